//! Columns as rows, written out.

use candle_core::Tensor;
use dml_core::autograd::{Element, has_kernel, unary, whole, with_slice};
use dml_core::kernels::transposed as kernel;
use dml_core::{Result, for_element};

/// The transposed matrix, written out row by row: `[rows, columns]` → `[columns, rows]`.
pub(crate) fn transposed(x: &Tensor) -> Result<Tensor> {
    let x = &whole(x)?;
    if !has_kernel(x) {
        return Ok(x.t()?.contiguous()?);
    }
    for_element!(x, "x", |T| {
        let (rows, columns) = x.dims2()?;
        let value = turn::<T>(x)?;
        unary("transposed", x, value, (columns, rows), |_, _, gradient| {
            turn::<T>(gradient)
        })
    })
}

fn turn<T: Element>(x: &Tensor) -> Result<Vec<T>> {
    let (rows, columns) = x.dims2()?;
    with_slice(x, |x: &[T]| kernel(x, rows, columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use dml_assert::assert_forms_agree;
    use dml_core::autograd::without_kernels;

    #[test]
    fn a_transposed_matrix_agrees_with_its_view() {
        for shape in [(1, 1), (3, 70), (70, 3), (33, 40)] {
            assert_forms_agree(5, shape, transposed);
        }
    }

    #[test]
    fn tensors_without_elements_are_transposed() -> Result<()> {
        let full = Tensor::ones((4, 3), DType::F32, &Device::Cpu)?;
        // The last begins beyond the end of its storage.
        let beyond = full.narrow(1, 1, 2)?.narrow(0, 4, 0)?;
        for x in [full.narrow(0, 4, 0)?, full.narrow(1, 1, 0)?, beyond] {
            let (rows, columns) = x.dims2()?;
            assert_eq!(transposed(&x)?.dims(), [columns, rows]);
            assert_eq!(without_kernels(|| transposed(&x))?.dims(), [columns, rows]);
        }
        Ok(())
    }
}
