//! Each row of a matrix divided by a number of its own.

use candle_core::Tensor;
use dml_core::autograd::{has_kernel, host_node, whole, with_slices};
use dml_core::kernels::divided_rows as kernel;
use dml_core::{Result, check, for_element};

/// Row i of a matrix divided by number i: `[rows, columns]`, `[rows]` → `[rows, columns]`.
pub(crate) fn divide_rows(x: &Tensor, divisors: &Tensor) -> Result<Tensor> {
    let x = &whole(x)?;
    let (rows, width) = x.dims2()?;
    let fits = divisors.dims() == [rows];
    check::shape(fits, "divisors", divisors, "[rows], one for each row")?;
    if !has_kernel(x) || x.dtype() != divisors.dtype() {
        return Ok(x.broadcast_div(&divisors.unsqueeze(1)?)?);
    }
    for_element!(x, "x", |T| {
        let value = with_slices([x, divisors], |[x, d]: [&[T]; 2]| {
            kernel::divided_rows(x, d, width)
        })?;
        let (inputs, shape) = ([x, divisors], (rows, width));
        host_node("divide_rows", inputs, value, shape, move |[_, d], y, g| {
            with_slices([g, d, y], |[g, d, y]: [&[T]; 3]| {
                let of_divisors = kernel::divisor_gradient(y, g, d, width);
                [kernel::divided_rows(g, d, width), of_divisors]
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use dml_assert::assert_forms_agree;
    use dml_core::Error;
    use dml_core::autograd::without_kernels;

    #[test]
    fn divided_rows_agree_with_their_composite_form_on_both_sides() -> Result<()> {
        let (rows, columns) = (5, 9);
        let divisors = Tensor::new(&[2f64, -0.5, 3., 1., 7.], &Device::Cpu)?;
        assert_forms_agree(23, (rows, columns), |x| divide_rows(x, &divisors));
        let x = Tensor::arange(0f64, 45.0, &Device::Cpu)?.reshape((rows, columns))?;
        assert_forms_agree(24, (rows, 1), |divisors| {
            divide_rows(&x, &(divisors.reshape(rows)? + 5.0)?)
        });
        assert!(matches!(
            divide_rows(&x, &divisors.narrow(0, 0, 4)?),
            Err(Error::Shape {
                arg: "divisors",
                ..
            })
        ));
        Ok(())
    }

    #[test]
    fn tensors_without_elements_are_divided() -> Result<()> {
        let full = Tensor::ones((4, 3), DType::F32, &Device::Cpu)?;
        // The last begins beyond the end of its storage.
        let beyond = full.narrow(1, 1, 2)?.narrow(0, 4, 0)?;
        for x in [full.narrow(0, 4, 0)?, full.narrow(1, 1, 0)?, beyond] {
            let divisors = Tensor::ones(x.dims()[0], DType::F32, &Device::Cpu)?;
            assert_eq!(divide_rows(&x, &divisors)?.dims(), x.dims());
            let composite = without_kernels(|| divide_rows(&x, &divisors))?;
            assert_eq!(composite.dims(), x.dims());
        }
        Ok(())
    }
}
