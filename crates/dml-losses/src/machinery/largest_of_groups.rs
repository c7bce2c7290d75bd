//! The largest of every few neighbours.

use candle_core::Tensor;
use dml_core::autograd::{self, has_kernel, with_slice};
use dml_core::kernels::column_groups as kernel;
use dml_core::{Result, for_element};

/// The largest of each `size` neighbouring columns: `[rows, groups · size]` → `[rows, groups]`. The gradient goes to the
/// first of equal ones.
pub(crate) fn largest_of_groups(x: &Tensor, size: usize) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let groups = columns / size;
    if !has_kernel(x) {
        let x = x.reshape((rows, groups, size))?;
        // A maximum may pass NaN over: 0 · x, which is 0 for numbers, does not.
        return Ok((x.max(2)? + (x * 0.0)?.sum(2)?)?);
    }
    for_element!(x, "x", |T| {
        let (values, places) = with_slice(x, |x: &[T]| kernel::largest(x, size))?;
        autograd::unary(
            "largest_of_groups",
            x,
            values,
            (rows, groups),
            move |_, _, gradient| {
                with_slice(gradient, |gradient: &[T]| {
                    kernel::largest_backward(&places, gradient, size)
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
    fn the_largest_of_each_pair_gets_the_gradient() -> Result<()> {
        let x = Var::new(&[[1f32, 2., 5., 4.], [0., 0., -1., -2.]], &Device::Cpu)?;
        let largest = largest_of_groups(&x, 2)?;
        assert_eq!(largest.to_vec2::<f32>()?, [[2., 5.], [0., -1.]]);
        let weights = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
        let store = (largest * weights)?.sum_all()?.backward()?;
        assert_eq!(
            store.get(x.as_tensor()).unwrap().to_vec2::<f32>()?,
            [[0., 1., 2., 0.], [3., 0., 4., 0.]]
        );
        let composite = without_kernels(|| largest_of_groups(&x, 2))?;
        assert_eq!(composite.to_vec2::<f32>()?, [[2., 5.], [0., -1.]]);
        Ok(())
    }
}
