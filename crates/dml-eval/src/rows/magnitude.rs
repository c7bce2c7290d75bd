//! Rows of any magnitude, brought near 1 by powers of two, which lose no digit.

use candle_core::{Device, Tensor};
use dml_core::autograd::{Element, with_slice};
use dml_core::kernels::Real;
use dml_core::{Result, TensorExt, for_element};

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
    use candle_core::DType;

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
}
