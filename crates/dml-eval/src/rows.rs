//! Embeddings as searches and clusterings take them.

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::{Element, with_slice};
use dml_core::kernels::Real;
use dml_core::{Error, Result, TensorExt, for_element};

/// `[rows, dim]` of single or double precision, outside of the graph, that fits the rows of an index.
pub(crate) fn checked_rows(
    arg: &'static str,
    rows: &Tensor,
    dim: Option<usize>,
    dtype: Option<DType>,
) -> Result<Tensor> {
    if rows.rank() != 2 || rows.dims()[1] == 0 || dim.is_some_and(|dim| dim != rows.dims()[1]) {
        return Err(Error::Shape {
            arg,
            expected: "[rows, dim] with the dim of the index, at least 1",
            got: rows.dims().to_vec(),
        });
    }
    let rows = match rows.dtype() {
        DType::F16 | DType::BF16 => rows.to_dtype(DType::F32)?,
        _ => rows.clone(),
    };
    let expected = match (rows.dtype(), dtype) {
        (DType::F32 | DType::F64, None) => return Ok(rows.detach()),
        (got, Some(dtype)) if got == dtype => return Ok(rows.detach()),
        (_, None) => "a floating-point type",
        (_, Some(_)) => "the element type of the index",
    };
    Err(Error::DType {
        arg,
        expected,
        got: rows.dtype(),
    })
}

/// The largest size of a number in double precision whose square, and a sum of such squares, double precision holds.
const LARGEST: f64 = 1e150;

/// The rows of [`checked_rows`] on the CPU: every number is finite, or that is an error.
pub(crate) fn finite_rows(
    arg: &'static str,
    rows: &Tensor,
    dim: Option<usize>,
    dtype: Option<DType>,
) -> Result<Tensor> {
    let rows = checked_rows(arg, rows, dim, dtype)?.to_device(&Device::Cpu)?;
    check_finite(arg, &rows)?;
    Ok(rows)
}

/// The rows of [`finite_rows`] in double precision, none of them too large to be squared.
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
    refuse(arg, odd, "finite numbers")
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
    refuse(arg, odd, expected)
}

/// The first number of a larger size than `most`, or that is none.
fn first_beyond<T: Real>(numbers: &[T], most: f64) -> Option<f64> {
    let numbers = numbers.iter().map(|x| x.to_f64());
    let mut checked = numbers.map(|x| (x, x.abs() <= most));
    checked.find(|(_, fits)| !fits).map(|(x, _)| x)
}

fn refuse(name: &'static str, odd: Option<f64>, expected: &'static str) -> Result<()> {
    match odd {
        None => Ok(()),
        Some(value) => Err(Error::InvalidParameter {
            name,
            value,
            expected,
        }),
    }
}

/// 2 to that power, which double precision must hold as a normal number.
pub(crate) fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent.clamp(-1022, 1023) + 1023) as u64) << 52)
}

/// The number times 2 to that power, rounded once at most.
pub(crate) fn times_power_of_two(x: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    x * power_of_two(half) * power_of_two(exponent - half)
}

/// The size of the largest number.
pub(crate) fn largest_size<T: Real>(numbers: &[T]) -> f64 {
    // Lanes side by side become vector instructions.
    let mut most = [0f64; 8];
    let (chunks, rest) = numbers.as_chunks::<8>();
    for chunk in chunks {
        for (most, x) in most.iter_mut().zip(chunk) {
            let size = x.to_f64().abs();
            *most = if size > *most { size } else { *most };
        }
    }
    let rest = rest.iter().map(|x| x.to_f64().abs());
    most.into_iter().chain(rest).fold(0.0, f64::max)
}

/// Rows of double precision, on the CPU, by a power of two that brings them near 1 if they are all very small: for what does
/// not depend on their size.
pub(crate) fn of_ordinary_size(rows: &Tensor) -> Result<Tensor> {
    let size = with_slice::<f64, _>(rows, largest_size)?;
    if size == 0.0 || size > power_of_two(-200) {
        return Ok(rows.clone());
    }
    let exponent = -exponent_of(size);
    let scaled = with_slice::<f64, _>(rows, |rows| {
        let scaled = rows.iter().map(|x| times_power_of_two(*x, exponent));
        scaled.collect::<Vec<f64>>()
    })?;
    Ok(Tensor::from_vec(scaled, rows.dims2()?, &Device::Cpu)?)
}

/// The power of two that is closest below a size above 0.
pub(crate) fn exponent_of(size: f64) -> i32 {
    size.log2().floor() as i32
}

/// Finite rows on the CPU over their Euclidean norms, whatever these are: rows as short as 1e-40 and as long as 1e300 get
/// length 1, and a row of zeros stays one.
pub(crate) fn unit_rows(rows: &Tensor) -> Result<Tensor> {
    let ordinary = for_element!(rows, "rows", |T| ordinary_rows::<T>(rows))?;
    ordinary.unwrap_or_else(|| rows.clone()).normalize_rows(2.0)
}

/// The rows with those that are very short or long multiplied by a power of two, which changes no direction; `None` if no
/// row is.
fn ordinary_rows<T: Element>(rows: &Tensor) -> Result<Option<Tensor>> {
    // Squares of what lies in between neither vanish nor overflow.
    let ordinary = power_of_two(-30)..=power_of_two(400);
    let dim = rows.dims()[1];
    let is_odd = |row: &[T]| {
        let size = largest_size(row);
        size > 0.0 && !ordinary.contains(&size)
    };
    let scaled = with_slice::<T, _>(rows, |rows| {
        if !rows.chunks_exact(dim).any(is_odd) {
            return None;
        }
        let mut rows = rows.to_vec();
        for row in rows.chunks_exact_mut(dim).filter(|row| is_odd(row)) {
            let exponent = -exponent_of(largest_size(row));
            for x in row {
                *x = <T as Real>::from_f64(times_power_of_two(Real::to_f64(*x), exponent));
            }
        }
        Some(rows)
    })?;
    let scaled = scaled.map(|scaled| Tensor::from_vec(scaled, rows.dims2()?, &Device::Cpu));
    Ok(scaled.transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_length_become_unit_rows() -> Result<()> {
        for size in [1e-44, 1e-38, 1e-30, 1e-13, 1e-12, 1.0, 1e30, 1e38] {
            let rows = Tensor::new(&[[3f32, 4.], [0., 0.]], &Device::Cpu)?;
            let rows = (rows * (size / 4.0))?;
            let want = rows.to_dtype(DType::F64)?.to_vec2::<f64>()?;
            let got = unit_rows(&rows)?.to_vec2::<f32>()?;
            let length = want[0][0].hypot(want[0][1]);
            for (got, want) in got[0].iter().zip(&want[0]) {
                assert!((f64::from(*got) - want / length).abs() < 1e-7, "{size}");
            }
            assert_eq!(got[1], [0., 0.]);
        }
        for size in [1e-310, 1e-200, 1e-13, 1e13, 1e200, 1e307] {
            let rows = Tensor::new(&[[3.0 * size, 4.0 * size]], &Device::Cpu)?;
            let got = unit_rows(&rows)?.to_vec2::<f64>()?;
            assert!((got[0][0] - 0.6).abs() < 1e-10 && (got[0][1] - 0.8).abs() < 1e-10);
        }
        Ok(())
    }

    #[test]
    fn powers_of_two_are_exact() {
        for exponent in [-1022, -52, -1, 0, 1, 400, 1023] {
            assert_eq!(power_of_two(exponent), 2f64.powi(exponent));
        }
        assert_eq!(times_power_of_two(f64::from_bits(1), 1074), 1.0);
        assert_eq!(exponent_of(0.75), -1);
    }

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
