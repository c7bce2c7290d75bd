//! The numbers of tensors, read on the host: whether they are finite, and their Euclidean norm.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use dml_core::Result;

/// Name of the first tensor that holds NaN or an infinity.
///
/// On the CPU this is one pass over memory without a copy. On other devices one number per tensor comes back, all of
/// them in a single transfer.
///
/// # Errors
/// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't read a tensor.
pub(crate) fn first_non_finite<'a, N>(
    tensors: impl IntoIterator<Item = (N, &'a Tensor)>,
) -> Result<Option<N>> {
    let mut names = Vec::new();
    let mut sums = Vec::new();
    for (name, tensor) in tensors {
        if !tensor.dtype().is_float() || tensor.elem_count() == 0 {
            continue;
        }
        if tensor.device().is_cpu() {
            if !is_finite(tensor)? {
                return Ok(Some(name));
            }
            continue;
        }
        // 0 · x is 0 for finite x and NaN otherwise.
        let zero = (tensor.detach() * 0.0)?.sum_all()?;
        names.push(name);
        sums.push(zero.to_dtype(DType::F32)?);
    }
    let Some(first) = sums.first() else {
        return Ok(None);
    };
    let sums = if sums
        .iter()
        .all(|sum| sum.device().same_device(first.device()))
    {
        Tensor::stack(&sums, 0)?.to_vec1::<f32>()?
    } else {
        let number = |sum: &Tensor| Ok(sum.to_scalar::<f32>()?);
        sums.iter().map(number).collect::<Result<_>>()?
    };
    let mut named = names.into_iter().zip(sums);
    Ok(named.find(|(_, sum)| *sum != 0.0).map(|(name, _)| name))
}

/// Euclidean norm of all numbers of a tensor, summed in double precision on the CPU.
///
/// Finite whenever every number is finite and the norm is representable; NaN or infinite otherwise.
///
/// # Errors
/// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't read the tensor.
pub(crate) fn tensor_norm(tensor: &Tensor) -> Result<f64> {
    let tensor = match tensor.dtype() {
        DType::F32 | DType::F64 => tensor.detach(),
        _ => tensor.detach().to_dtype(DType::F32)?,
    };
    if let Some(norm) = on_host(&tensor, |x| sum_of_squares(x).sqrt(), norm)? {
        return Ok(norm);
    }
    let number = |x: Tensor| {
        Ok::<f64, dml_core::Error>(f64::from(x.to_dtype(DType::F32)?.to_scalar::<f32>()?))
    };
    let square = number(tensor.sqr()?.sum_all()?)?;
    let is_exact = square.is_nan() || (square.is_finite() && square > f64::from(f32::MIN_POSITIVE));
    if is_exact || tensor.elem_count() == 0 {
        return Ok(square.sqrt());
    }
    // The squares left the range of single precision, or all numbers are 0.
    let largest = number(tensor.abs()?.max_all()?)?;
    if largest == 0.0 || !largest.is_finite() {
        return Ok(largest);
    }
    Ok(largest * number((tensor / largest)?.sqr()?.sum_all()?)?.sqrt())
}

/// Euclidean norm of a list of numbers, whose squares may leave the range of double precision.
pub(crate) fn norm(values: &[f64]) -> f64 {
    let square: f64 = values.iter().map(|x| x * x).sum();
    if square.is_nan() || (square.is_finite() && square > 1e-280) {
        return square.sqrt();
    }
    let largest = values.iter().map(|x| x.abs()).fold(0.0, larger);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let scaled = |x: &f64| (x / largest) * (x / largest);
    largest * values.iter().map(scaled).sum::<f64>().sqrt()
}

/// The larger of two numbers, and NaN if one of them is; `f64::max` drops NaN.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// The smaller of two numbers, and NaN if one of them is; `f64::min` drops NaN.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    if b < a || b.is_nan() { b } else { a }
}

/// The numbers of a tensor in row-major order, in double precision.
///
/// # Errors
/// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't read the tensor.
pub(crate) fn doubles(tensor: &Tensor) -> Result<Vec<f64>> {
    let tensor = tensor.detach().to_device(&Device::Cpu)?;
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// Whether every number of a tensor on the CPU is finite.
fn is_finite(tensor: &Tensor) -> Result<bool> {
    let single = |x: &[f32]| all(x, f32::is_finite);
    let double = |x: &[f64]| all(x, f64::is_finite);
    Ok(match on_host(tensor, single, double)? {
        Some(finite) => finite,
        None => {
            let wide = tensor.detach().to_dtype(DType::F32)?;
            on_host(&wide, single, double)?.unwrap_or(true)
        }
    })
}

/// Blocks without a branch in them, which the compiler turns into vector instructions.
fn all<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> bool {
    let block_holds = |block: &[T]| block.iter().fold(true, |all, x| all & holds(*x));
    values.chunks(4_096).all(block_holds)
}

/// Eight sums side by side in double precision, which squares of single precision can't overflow.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0f64; 8];
    let blocks = values.chunks_exact(8);
    let rest = blocks.remainder();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            let x = f64::from(*x);
            *sum += x * x;
        }
    }
    let rest: f64 = rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    sums.iter().sum::<f64>() + rest
}

/// The result of a function of the numbers of a tensor; `None` unless they are f32 or f64 on the CPU.
fn on_host<R>(
    tensor: &Tensor,
    single: impl FnOnce(&[f32]) -> R,
    double: impl FnOnce(&[f64]) -> R,
) -> Result<Option<R>> {
    if !tensor.device().is_cpu() || !matches!(tensor.dtype(), DType::F32 | DType::F64) {
        return Ok(None);
    }
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let start = layout.start_offset();
    let range = start..start + layout.shape().elem_count();
    Ok(match &*storage {
        Storage::Cpu(CpuStorage::F32(all)) => all.get(range).map(single),
        Storage::Cpu(CpuStorage::F64(all)) => all.get(range).map(double),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_finite_are_found_wherever_they_stand() -> Result<()> {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 7, 4_095, 4_096, 9_999] {
                let mut values = vec![1f32; 10_000];
                values[place] = bad;
                let tensor = Tensor::new(values, &Device::Cpu)?;
                for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
                    let (good, bad) = (tensor.ones_like()?, tensor.to_dtype(dtype)?);
                    let found = first_non_finite([("good", &good), ("bad", &bad)])?;
                    assert_eq!(found, Some("bad"), "{dtype:?}, {place}");
                    assert_eq!(first_non_finite([("good", &good)])?, None);
                    // A view of the sound rows only.
                    let view = bad.narrow(0, (place + 1) % 5_000, 1)?;
                    assert_eq!(first_non_finite([("view", &view)])?, None);
                }
            }
        }
        let whole = Tensor::new(&[1u32], &Device::Cpu)?;
        assert_eq!(first_non_finite([((), &whole)])?, None);
        Ok(())
    }

    #[test]
    fn norms_neither_overflow_nor_hide_a_nan() -> Result<()> {
        let of = |values: &[f64], dtype| -> Result<f64> {
            tensor_norm(&Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)?)
        };
        assert_eq!(of(&[3.0, -4.0], DType::F32)?, 5.0);
        assert_eq!(of(&[3.0, -4.0], DType::BF16)?, 5.0);
        approx::assert_relative_eq!(of(&[3e30, 4e30], DType::F32)?, 5e30, max_relative = 1e-6);
        approx::assert_relative_eq!(
            of(&[3e200, 4e200], DType::F64)?,
            5e200,
            max_relative = 1e-12
        );
        approx::assert_relative_eq!(
            of(&[3e-200, 4e-200], DType::F64)?,
            5e-200,
            max_relative = 1e-12
        );
        assert_eq!(of(&[0.0; 9], DType::F64)?, 0.0);
        assert!(of(&[1.0, f64::NAN], DType::F32)?.is_nan());
        assert!(of(&[1.0, f64::NAN, f64::INFINITY], DType::F64)?.is_nan());
        assert_eq!(of(&[1.0, f64::NEG_INFINITY], DType::F64)?, f64::INFINITY);
        let many = Tensor::ones((10, 1_000), DType::F32, &Device::Cpu)?;
        assert_eq!(tensor_norm(&many.t()?)?, 100.0);
        Ok(())
    }
}
