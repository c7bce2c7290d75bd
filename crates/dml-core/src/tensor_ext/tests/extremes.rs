//! Rows of zeros, very short and very long rows, NaN, and tensors without rows or columns.

use candle_core::{DType, Device, Tensor, Var};

use super::super::{TensorExt, normalize, pairwise};
use crate::Result;
use crate::autograd::without_kernels;

/// A function of rows.
type Function<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor>;

const EXPONENTS: [f64; 5] = [1.0, 1.5, 2.0, 3.0, f64::INFINITY];
const TYPES: [DType; 4] = [DType::F16, DType::BF16, DType::F32, DType::F64];

fn flat(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// The value of `f`, and the gradient of the rows for fixed uneven weights of it.
fn value_and_gradient(
    rows: &Tensor,
    f: &dyn Fn(&Tensor) -> Result<Tensor>,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let x = Var::from_tensor(rows)?;
    let value = f(&x)?;
    let count = value.elem_count();
    let weights: Vec<f64> = (0..count)
        .map(|i| 0.5 + (i as f64 * 0.7).sin() / 4.0)
        .collect();
    let weights = Tensor::from_vec(weights, value.shape(), &Device::Cpu)?;
    let store = (&value * weights.to_dtype(value.dtype())?)?
        .sum_all()?
        .backward()?;
    let gradient = store
        .get(x.as_tensor())
        .map_or_else(|| x.zeros_like(), |g| Ok(g.clone()));
    Ok((flat(&value)?, flat(&gradient?)?))
}

/// The fused and the composite form.
fn both_forms(mut f: impl FnMut() -> Result<()>) -> Result<()> {
    f()?;
    without_kernels(f)
}

#[test]
fn a_row_of_zeros_stays_one_and_has_gradient_zero_in_every_precision() -> Result<()> {
    let rows = Tensor::new(&[[0f64, 0., 0.], [0.5, -1.0, 0.25]], &Device::Cpu)?;
    for dtype in TYPES {
        for p in EXPONENTS {
            both_forms(|| {
                let normalize = |x: &Tensor| x.normalize_rows(p);
                let (value, gradient) = value_and_gradient(&rows.to_dtype(dtype)?, &normalize)?;
                assert_eq!(value[..3], [0.0; 3], "{dtype:?} {p}");
                assert_eq!(gradient[..3], [0.0; 3], "{dtype:?} {p}");
                assert!(value[3..].iter().all(|x| x.is_finite() && *x != 0.0));
                assert!(gradient[3..].iter().all(|x| x.is_finite()));
                Ok(())
            })?;
        }
    }
    Ok(())
}

#[test]
fn rows_of_any_length_are_divided_by_their_norm() -> Result<()> {
    let shape = Tensor::new(&[[3f64, -4., 1.]], &Device::Cpu)?;
    // As long as each type can hold the coordinates, and their inverses for the gradient.
    let lengths: [(DType, &[f64], f64); 4] = [
        (DType::F16, &[3e-3, 1.0, 1e3], 5e-3),
        (DType::BF16, &[1e-30, 1e-13, 1.0, 1e12, 1e30], 3e-2),
        (DType::F32, &[1e-36, 1e-30, 1e-13, 1.0, 1e12, 1e30], 1e-5),
        (
            DType::F64,
            &[1e-200, 1e-30, 1e-13, 1.0, 1e12, 1e100, 1e200],
            1e-10,
        ),
    ];
    for p in EXPONENTS {
        let normalize = |x: &Tensor| x.normalize_rows(p);
        let (wanted, wanted_gradient) = value_and_gradient(&shape, &normalize)?;
        for (dtype, lengths, digits) in lengths {
            for &length in lengths {
                let rows = (&shape * length)?.to_dtype(dtype)?;
                both_forms(|| {
                    let (value, gradient) = value_and_gradient(&rows, &normalize)?;
                    for (got, want) in value.iter().zip(&wanted) {
                        assert!(
                            (got - want).abs() < digits,
                            "{dtype:?} {p} {length:e}: {value:?}"
                        );
                    }
                    for (got, want) in gradient.iter().zip(&wanted_gradient) {
                        let got = got * length;
                        assert!(
                            (got - want).abs() < digits,
                            "{dtype:?} {p} {length:e}: {got} {want}"
                        );
                    }
                    Ok(())
                })?;
            }
        }
    }
    Ok(())
}

#[test]
fn norms_and_distances_of_short_and_long_rows_neither_vanish_nor_overflow() -> Result<()> {
    let shape = Tensor::new(&[[3f64, -4., 1.]], &Device::Cpu)?;
    for p in EXPONENTS {
        let zeros = |x: &Tensor| x.zeros_like();
        let functions: [Function<'_>; 2] = [&|x| x.row_norms(p), &|x| x.pairwise_lp(&zeros(x)?, p)];
        for f in functions {
            let (wanted, wanted_gradient) = value_and_gradient(&shape, f)?;
            for (dtype, lengths) in [
                (DType::F32, &[1e-36, 1e-30, 1e-13, 1e12, 1e30][..]),
                (DType::F64, &[1e-300, 1e-200, 1e-30, 1e30, 1e200][..]),
            ] {
                for length in lengths {
                    let rows = (&shape * *length)?.to_dtype(dtype)?;
                    both_forms(|| {
                        let (value, gradient) = value_and_gradient(&rows, f)?;
                        let ratio = value[0] / (wanted[0] * length);
                        assert!(
                            (ratio - 1.0).abs() < 1e-5,
                            "{dtype:?} {p} {length:e}: {value:?}"
                        );
                        for (got, want) in gradient.iter().zip(&wanted_gradient) {
                            assert!(
                                (got - want).abs() < 1e-4,
                                "{dtype:?} {p} {length:e}: {got} {want}"
                            );
                        }
                        Ok(())
                    })?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_nan_shows_in_value_and_gradient() -> Result<()> {
    let rows = Tensor::new(&[[f64::NAN, 0., 0.], [0.5, -1.0, 0.25]], &Device::Cpu)?;
    for dtype in TYPES {
        for p in EXPONENTS {
            both_forms(|| {
                let rows = rows.to_dtype(dtype)?;
                let functions: [Function<'_>; 3] =
                    [&|x| x.normalize_rows(p), &|x| x.row_norms(p), &|x| {
                        x.pairwise_lp(&x.detach().ones_like()?, p)
                    }];
                for f in functions {
                    let (value, gradient) = value_and_gradient(&rows, f)?;
                    assert!(value[0].is_nan(), "{dtype:?} {p}: {value:?}");
                    assert!(gradient[0].is_nan(), "{dtype:?} {p}: {gradient:?}");
                    assert!(gradient[3..].iter().all(|g| g.is_finite()));
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Matrices without rows, without columns or without both: as made, views, and views that are not contiguous.
fn empties(dtype: DType) -> Result<Vec<Tensor>> {
    let device = &Device::Cpu;
    let full = Tensor::ones((4, 3), dtype, device)?;
    let mut empties = vec![
        Tensor::zeros((0, 3), dtype, device)?,
        Tensor::zeros((2, 0), dtype, device)?,
        Tensor::zeros((0, 0), dtype, device)?,
        Tensor::zeros((3, 0), dtype, device)?.t()?,
        full.narrow(0, 2, 0)?,
        full.narrow(0, 4, 0)?,
        full.narrow(1, 1, 0)?,
        full.t()?.narrow(0, 1, 0)?,
        full.t()?.narrow(1, 4, 0)?,
        // It begins beyond the end of its storage.
        full.narrow(1, 1, 2)?.narrow(0, 4, 0)?,
    ];
    // The same as views into a variable.
    let learned = Var::ones((4, 3), dtype, device)?;
    empties.push(learned.narrow(0, 4, 0)?);
    empties.push(learned.narrow(1, 1, 2)?.narrow(0, 4, 0)?);
    empties.push(learned.t()?.narrow(0, 1, 0)?);
    Ok(empties)
}

#[test]
fn every_primitive_takes_tensors_without_elements() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        for x in empties(dtype)? {
            both_forms(|| {
                let (rows, dim) = x.dims2()?;
                let others = Tensor::ones((2, dim), dtype, &Device::Cpu)?;
                for p in EXPONENTS {
                    assert_eq!(x.normalize_rows(p)?.dims(), x.dims());
                    assert_eq!(flat(&x.row_norms(p)?)?, vec![0.0; rows]);
                    assert_eq!(x.pairwise_lp(&x, p)?.dims(), [rows, rows]);
                    assert_eq!(x.pairwise_lp(&others, p)?.dims(), [rows, 2]);
                    assert_eq!(others.pairwise_lp(&x, p)?.dims(), [2, rows]);
                }
                assert_eq!(flat(&x.pairwise_dot(&others)?)?, vec![0.0; rows * 2]);
                assert_eq!(flat(&others.pairwise_squared(&x)?)?, vec![0.0; rows * 2]);
                assert_eq!(flat(&x.pairwise_dot(&x)?)?, vec![0.0; rows * rows]);
                assert_eq!(x.hinge()?.dims(), x.dims());
                assert_eq!(x.safe_softplus()?.dims(), x.dims());
                assert_eq!(x.safe_abs()?.dims(), x.dims());
                assert_eq!(x.safe_power(3.0)?.dims(), x.dims());
                assert_eq!(x.pick_entries(&[], &[])?.dims(), [0]);
                for add_one in [false, true] {
                    assert_eq!(flat(&x.masked_logsumexp(None, add_one)?)?, vec![0.0; rows]);
                }
                let within = x.sum_within(Some(0.0), None)?;
                assert_eq!((flat(&within.sum)?, within.count), (vec![0.0], 0));
                assert_eq!(flat(&x.attached_zero()?)?, [0.0]);
                assert_eq!(flat(&x.flatten_all()?.sum_by_group(&[], 2)?)?, [0.0; 2]);
                Ok(())
            })?;
        }
    }
    Ok(())
}

#[test]
fn gradients_pass_through_tensors_without_elements() -> Result<()> {
    for (rows, dim) in [(0, 3), (2, 0), (0, 0)] {
        both_forms(|| {
            let x = Var::zeros((rows, dim), DType::F32, &Device::Cpu)?;
            let others = Var::ones((2, dim), DType::F32, &Device::Cpu)?;
            for p in EXPONENTS {
                let unit = x.normalize_rows(p)?;
                let loss = (unit.pairwise_lp(&others, p)?.sum_all()?
                    + unit.pairwise_dot(&others)?.sum_all()?)?;
                let loss = (loss + x.row_norms(p)?.sum_all()?)?;
                let store = (loss + x.attached_zero()?)?.backward()?;
                if let Some(gradient) = store.get(others.as_tensor()) {
                    assert_eq!(flat(gradient)?, vec![0.0; 2 * dim]);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn composite_forms_agree_with_the_kernels_at_the_extremes() -> Result<()> {
    let rows = Tensor::new(&[[3e-25f32, 4e-25], [0., 0.], [3e25, -4e25]], &Device::Cpu)?;
    for p in EXPONENTS {
        let (fused, composite) = (
            rows.normalize_rows(p)?,
            normalize::normalize_composite(&rows, p)?,
        );
        for (a, b) in flat(&fused)?.iter().zip(flat(&composite)?) {
            assert!((a - b).abs() < 1e-6);
        }
        let fused = rows.pairwise_lp(&rows, p)?;
        let composite = pairwise::pairwise_lp_composite(&rows, &rows, p)?;
        for (a, b) in flat(&fused)?.iter().zip(flat(&composite)?) {
            assert!((a - b).abs() <= 1e-5 * b.abs(), "{p}: {a} {b}");
        }
    }
    Ok(())
}
