//! The mean of every few neighbours, weighted by their own softmax.

use candle_core::Tensor;
use dml_core::autograd::{self, has_kernel, with_slice};
use dml_core::kernels::{column_groups as kernel, elementwise::scale_rows};
use dml_core::{Result, for_element};

/// The softmax mean of each `size` neighbouring columns at temperature γ: `[rows, groups · size]` → `[rows, groups]`.
pub(crate) fn softmax_mean_of_groups(x: &Tensor, size: usize, gamma: f64) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let groups = columns / size;
    if !has_kernel(x) {
        let x = x.reshape((rows, groups, size))?;
        let top = x.detach().max_keepdim(2)?;
        let shares = (x.broadcast_sub(&top)? / gamma)?.exp()?;
        let means = ((&shares * x)?.sum(2)? / shares.sum(2)?)?;
        return Ok(means);
    }
    for_element!(x, "x", |T| {
        let (means, gradients) = with_slice(x, |x: &[T]| kernel::softmax_means(x, size, gamma))?;
        autograd::unary(
            "softmax_mean_of_groups",
            x,
            means,
            (rows, groups),
            move |_, _, gradient| {
                with_slice(gradient, |gradient: &[T]| {
                    scale_rows(&gradients, gradient, size)
                })
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use dml_core::autograd::without_kernels;

    #[test]
    fn equal_shares_make_the_mean() -> Result<()> {
        // A γ this large makes all shares equal: the mean of 1 and 3 is 2, and both count half.
        let x = Var::new(&[[1f64, 3.]], &Device::Cpu)?;
        let mean = softmax_mean_of_groups(&x, 2, 1e12)?;
        assert!((mean.to_vec2::<f64>()?[0][0] - 2.0).abs() < 1e-9);
        // At γ = 1 the larger one has the share e² / (1 + e²).
        let share = 1.0 / (1.0 + (-2f64).exp());
        let mean = softmax_mean_of_groups(&x, 2, 1.0)?;
        assert!((mean.to_vec2::<f64>()?[0][0] - (1.0 + 2.0 * share)).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn the_kernel_agrees_with_the_composite_form() -> Result<()> {
        let values: Vec<f64> = (0..24).map(|i| (f64::from(i) * 1.1).sin()).collect();
        let x = Var::from_tensor(&Tensor::from_vec(values, (2, 12), &Device::Cpu)?)?;
        let numbers = || -> Result<Vec<f64>> {
            let means = softmax_mean_of_groups(&x, 3, 0.4)?; // [2, 4]
            let weights = Tensor::arange(1f64, 9., &Device::Cpu)?.reshape((2, 4))?;
            let store = (&means * weights)?.sum_all()?.backward()?;
            let gradient = store.get(x.as_tensor()).unwrap().flatten_all()?;
            Ok([means.flatten_all()?.to_vec1()?, gradient.to_vec1::<f64>()?].concat())
        };
        for (a, b) in numbers()?.iter().zip(without_kernels(numbers)?) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        Ok(())
    }
}
