//! Checks of the rows that come in.

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::kernels::Real;
use dml_core::{Result, check, for_element};

/// `[rows, dim]` of single or double precision, outside of the graph, that fits the rows of an index.
pub(crate) fn checked_rows(
    arg: &'static str,
    rows: &Tensor,
    dim: Option<usize>,
    dtype: Option<DType>,
) -> Result<Tensor> {
    let fits = |own: usize| own > 0 && dim.is_none_or(|dim| dim == own);
    let fits = rows.rank() == 2 && fits(rows.dims()[1]);
    let expected = "[rows, dim] with the dim of the index, at least 1";
    check::shape(fits, arg, rows, expected)?;
    let rows = match rows.dtype() {
        DType::F16 | DType::BF16 => rows.to_dtype(DType::F32)?,
        _ => rows.clone(),
    };
    let (fits, expected) = match dtype {
        None => {
            let is_wide = matches!(rows.dtype(), DType::F32 | DType::F64);
            (is_wide, "a floating-point type")
        }
        Some(dtype) => (rows.dtype() == dtype, "the element type of the index"),
    };
    check::dtype(fits, arg, &rows, expected)?;
    Ok(rows.detach())
}

/// The rows of [`checked_rows`] that fit those of another tensor.
pub(crate) fn rows_like(arg: &'static str, rows: &Tensor, other: &Tensor) -> Result<Tensor> {
    checked_rows(arg, rows, Some(other.dims()[1]), Some(other.dtype()))
}

/// The largest size of a number in double precision whose square, and a sum of such squares, double precision holds.
const LARGEST: f64 = 1e150;

/// The rows of [`checked_rows`] in double precision on the CPU: finite, and none of them too large to be squared.
pub(crate) fn double_rows(arg: &'static str, rows: &Tensor, dim: Option<usize>) -> Result<Tensor> {
    let rows = checked_rows(arg, rows, dim, None)?;
    let rows = doubles_on_cpu(&rows)?;
    check_squares(arg, &rows)?;
    Ok(rows)
}

/// The numbers in double precision on the CPU. They move first: not every device has double precision.
pub(crate) fn doubles_on_cpu(numbers: &Tensor) -> candle_core::Result<Tensor> {
    numbers.to_device(&Device::Cpu)?.to_dtype(DType::F64)
}

/// Whether every number of the rows, of single or double precision and on any device, is finite.
pub(crate) fn check_finite(arg: &'static str, rows: &Tensor) -> Result<()> {
    let odd = if rows.device().is_cpu() {
        for_element!(rows, "rows", |T| with_slice::<T, _>(rows, |rows| {
            first_beyond(rows, f64::MAX)
        }))?
    } else {
        // 0 times a number is 0, and anything else is not a number: one number leaves the device.
        let sum = doubles_on_cpu(&(rows * 0.0)?.sum_all()?)?.to_scalar::<f64>()?;
        sum.is_nan().then_some(sum)
    };
    check::parameter(odd.is_none(), arg, odd.unwrap_or(0.0), "finite numbers").map(drop)
}

/// Whether every number of the rows, which are on the CPU, is finite and can be squared in double precision.
pub(crate) fn check_squares(arg: &'static str, rows: &Tensor) -> Result<()> {
    for_element!(rows, "rows", |T| with_slice::<T, _>(rows, |rows| {
        check_numbers(arg, rows)
    })?)
}

/// Whether every number is finite and can be squared in double precision.
pub(crate) fn check_numbers<T: Real>(arg: &'static str, numbers: &[T]) -> Result<()> {
    let odd = first_beyond(numbers, LARGEST);
    let expected = match odd {
        Some(value) if value.is_finite() => "numbers of at most 1e150, whose squares are finite",
        _ => "finite numbers",
    };
    check::parameter(odd.is_none(), arg, odd.unwrap_or(0.0), expected).map(drop)
}

/// The first number of a larger size than `most`, or that is none.
fn first_beyond<T: Real>(numbers: &[T], most: f64) -> Option<f64> {
    let numbers = numbers.iter().map(|x| x.to_f64());
    let mut checked = numbers.map(|x| (x, x.abs() <= most));
    checked.find(|(_, fits)| !fits).map(|(x, _)| x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn what_is_not_finite_or_not_to_be_squared_is_named() -> Result<()> {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let rows = Tensor::new(&[[0.0, odd]], &Device::Cpu)?;
            for refused in [check_finite("rows", &rows), check_squares("rows", &rows)] {
                assert!(matches!(
                    refused,
                    Err(Error::InvalidParameter {
                        name: "rows",
                        expected: "finite numbers",
                        ..
                    })
                ));
            }
        }
        let rows = Tensor::new(&[[1e151]], &Device::Cpu)?;
        check_finite("rows", &rows)?;
        assert!(check_squares("rows", &rows).is_err());
        Ok(())
    }
}
