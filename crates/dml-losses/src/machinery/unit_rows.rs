//! Rows divided by norms that are known.

use candle_core::Tensor;
use dml_core::Result;

/// Each of `rows` `[rows, dim]` divided by its norm `[rows]`. A row of norm 0 becomes 0, with gradient 0.
pub(crate) fn divided_by_norms(rows: &Tensor, norms: &Tensor) -> Result<Tensor> {
    let norms = norms.unsqueeze(1)?; // [rows, 1]
    let is_zero = norms.eq(0.0)?;
    let divisor = is_zero.where_cond(&norms.ones_like()?, &norms)?;
    let quotients = rows.broadcast_div(&divisor)?;
    Ok(is_zero
        .broadcast_as(quotients.shape())?
        .where_cond(&quotients.zeros_like()?, &quotients)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use dml_core::TensorExt;

    #[test]
    fn short_rows_have_length_one_and_a_row_of_zeros_has_gradient_zero() -> Result<()> {
        let rows = Var::new(&[[3e-20f32, 4e-20], [0., 0.], [f32::NAN, 1.]], &Device::Cpu)?;
        let unit = divided_by_norms(&rows, &rows.row_norms(2.0)?)?;
        let values = unit.to_vec2::<f32>()?;
        assert_eq!(values[..2], [[0.6, 0.8], [0., 0.]]);
        assert!(values[2].iter().all(|x| x.is_nan()));
        let weights = Tensor::new(&[[1f32, 2.], [3., 4.], [0., 0.]], &Device::Cpu)?;
        let store = (unit * weights)?.sum_all()?.backward()?;
        let gradient = store.get(rows.as_tensor()).unwrap().to_vec2::<f32>()?;
        assert_eq!(gradient[1], [0., 0.]);
        // (1, 2) less its part along (0.6, 0.8), which is 2.2 long, over the length.
        assert!(
            (gradient[0][0] / -6.4e18 - 1.0).abs() < 1e-4,
            "{gradient:?}"
        );
        assert!((gradient[0][1] / 4.8e18 - 1.0).abs() < 1e-4);
        Ok(())
    }
}
