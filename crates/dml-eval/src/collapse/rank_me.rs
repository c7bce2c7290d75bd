//! The effective rank of embeddings.

use candle_core::Tensor;
use dml_core::Result;

use super::spectrum::spectrum;
use crate::rows::{double_rows, of_ordinary_size};

/// `RankMe` of the [module](super): over how many directions `embeddings` `[rows, dim]` spread, from 1 to
/// `min(rows, dim)`; 0 where all are zero.
///
/// Singular values are the square roots of the eigenvalues of the smaller of `XᵀX` and `XXᵀ` in double precision; those
/// that can't be told from rounding, below `√(dim · 2⁻⁵²)` of the largest, count as 0.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
///
/// // Two directions of equal strength, and one that is not used.
/// let rows = Tensor::new(&[[1f32, 0., 0.], [0., 1., 0.], [-1., 0., 0.], [0., -1., 0.]], &Device::Cpu)?;
/// assert!((dml_eval::rank_me(&rows)? - 2.0).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, dim]`, [`Error::DType`](dml_core::Error::DType)
/// unless they are of a floating-point type, [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one is not
/// finite.
pub fn rank_me(embeddings: &Tensor) -> Result<f64> {
    let rows = of_ordinary_size(&double_rows("embeddings", embeddings, None)?)?;
    let squares = spectrum(&rows)?;
    let singular: Vec<f64> = squares.iter().rev().map(|x| x.sqrt()).collect();
    let sum: f64 = singular.iter().sum();
    if sum == 0.0 {
        return Ok(0.0);
    }
    let shares = singular.iter().map(|x| x / sum);
    Ok((-shares.map(|p| p * p.ln()).sum::<f64>()).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use dml_core::Error;

    fn rank(rows: &[[f64; 3]]) -> f64 {
        let rows = Tensor::from_slice(rows.as_flattened(), (rows.len(), 3), &Device::Cpu).unwrap();
        let (tall, wide) = (
            rank_me(&rows).unwrap(),
            rank_me(&rows.t().unwrap()).unwrap(),
        );
        assert!((tall - wide).abs() < 1e-6);
        tall
    }

    #[test]
    fn ranks_by_hand() {
        // Singular values 3 and 1: shares ¾ and ¼.
        let entropy = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        let got = rank(&[[3., 0., 0.], [0., 0., -1.]]);
        assert!((got - entropy.exp()).abs() < 1e-6);
        assert!((rank(&[[1., 1., 1.]; 5]) - 1.0).abs() < 1e-6);
        assert!((rank(&[[0., 2., 0.], [2., 0., 0.], [0., 0., 2.]]) - 3.0).abs() < 1e-12);
        assert_eq!(rank(&[[0.; 3]; 2]), 0.0);
    }

    #[test]
    fn bad_embeddings_are_refused() {
        let rows = Tensor::new(&[[1f32, f32::INFINITY]], &Device::Cpu).unwrap();
        assert!(matches!(
            rank_me(&rows),
            Err(Error::InvalidParameter {
                name: "embeddings",
                ..
            })
        ));
        assert!(matches!(
            rank_me(&rows.flatten_all().unwrap()),
            Err(Error::Shape { .. })
        ));
    }
}
