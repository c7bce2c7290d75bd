//! The inverse of a square matrix.

use candle_core::{DType, Tensor};
use dml_core::autograd::{Value, has_kernel, node, with_slice};
use dml_core::kernels::inverse as kernel;
use dml_core::{Error, Result, check, for_element};

const SINGULAR: Error = Error::unsupported("ManifoldLoss", "the matrix is singular or not finite");

/// The inverse of `[n, n]`, with gradient.
pub(super) fn inverse(x: &Tensor) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    check::shape(rows == columns, "x", x, "[n, n]")?;
    if !has_kernel(x) {
        return inverse_composite(x);
    }
    for_element!(x, "x", |T| {
        let value = with_slice(x, |x: &[T]| kernel::inverse(x, rows))?;
        let value = Value::host(value.ok_or(SINGULAR)?, (rows, rows))?;
        node("inverse", [x], value, |_, y, gradient| {
            let turned = y.t()?;
            Ok([Some(turned.matmul(gradient)?.matmul(&turned)?.neg()?)])
        })
    })
}

/// After Newton and Schulz (1933): `y ← y (2 − x y)` doubles the right digits of an inverse, and the last step gives
/// the gradient.
fn inverse_composite(x: &Tensor) -> Result<Tensor> {
    /// So many steps reach a condition number of 10¹² and more.
    const STEPS: usize = 100;
    let a = x.detach();
    let number = |x: Tensor| -> Result<f64> {
        Ok(x.to_dtype(DType::F64)?
            .to_device(&candle_core::Device::Cpu)?
            .to_scalar()?)
    };
    let largest_sum = |dim: usize| number(a.abs()?.sum(dim)?.max_all()?);
    let one = Tensor::eye(a.dims()[0], a.dtype(), a.device())?;
    let mut y = (a.t()? / (largest_sum(0)? * largest_sum(1)?))?.contiguous()?;
    let mut left = f64::INFINITY;
    for _ in 0..STEPS {
        let difference = (&one - a.matmul(&y)?)?;
        let rest = number(difference.sqr()?.sum_all()?)?.sqrt();
        let rounding = rest < 0.1 && rest >= 0.5 * left;
        left = rest;
        // What is left falls to its square, until rounding is all that is left; NaN is left of what is not finite.
        if rounding || rest.is_nan() {
            break;
        }
        y = (&y + y.matmul(&difference)?)?;
    }
    if left.is_nan() || left >= 0.1 {
        return Err(SINGULAR);
    }
    Ok(((&y * 2.0)? - y.matmul(x)?.matmul(&y)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use dml_assert::assert_forms_agree;
    use dml_core::autograd::without_kernels;

    #[test]
    fn inverses_agree_with_their_composite_form() -> Result<()> {
        for n in [1, 4, 7, 40] {
            assert_forms_agree(22, (n, n), |x| {
                let diagonal = Tensor::eye(n, x.dtype(), x.device())?;
                inverse(&(x + (diagonal * 5.0)?)?)
            });
        }
        let singular = Tensor::new(&[[1f64, 2.], [2., 4.]], &Device::Cpu)?;
        for inverse in [inverse(&singular), without_kernels(|| inverse(&singular))] {
            assert!(matches!(inverse, Err(Error::Unsupported { .. })));
        }
        let wide = Tensor::ones((2, 3), DType::F64, &Device::Cpu)?;
        assert!(matches!(inverse(&wide), Err(Error::Shape { .. })));
        Ok(())
    }
}
