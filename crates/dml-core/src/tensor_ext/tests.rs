//! Every primitive: by hand, against its composite form, and against central differences.

use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod extremes;

use super::*;
use crate::Error;

fn draw(seed: u64, rows: usize, columns: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..rows * columns)
        .map(|_| rng.random_range(-2.0..2.0))
        .collect()
}

fn var(values: &[f64], shape: (usize, usize)) -> Var {
    Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// The gradient of Σ weights · f(x), with fixed uneven weights.
fn gradient(x: &Var, f: &dyn Fn(&Tensor) -> Result<Tensor>) -> Vec<f64> {
    let y = f(x.as_tensor()).unwrap();
    let loss = weighted(&y);
    let store = loss.backward().unwrap();
    store
        .get(x.as_tensor())
        .map_or_else(|| vec![0.0; x.elem_count()], flat)
}

fn weighted(y: &Tensor) -> Tensor {
    let n = y.elem_count();
    let weights: Vec<f64> = (0..n).map(|i| 0.3 + (i as f64 * 0.7).sin()).collect();
    let weights = Tensor::from_vec(weights, y.shape(), &Device::Cpu).unwrap();
    (y * weights).unwrap().sum_all().unwrap()
}

fn check(
    values: &[f64],
    shape: (usize, usize),
    f: &dyn Fn(&Tensor) -> Result<Tensor>,
    composite: &dyn Fn(&Tensor) -> Result<Tensor>,
) {
    let x = var(values, shape);
    let close = |a: &[f64], b: &[f64], tolerance: f64, what: &str| {
        assert_eq!(a.len(), b.len());
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * (1.0 + b.abs()),
                "{what} {i}: {a} {b}"
            );
        }
    };
    close(
        &flat(&f(&x).unwrap()),
        &flat(&composite(&x).unwrap()),
        1e-10,
        "value",
    );
    let got = gradient(&x, f);
    close(
        &got,
        &gradient(&x, composite),
        1e-9,
        "gradient of the composite form",
    );
    for k in (0..values.len()).step_by(3) {
        let at = |shift: f64| {
            let mut moved = values.to_vec();
            moved[k] += shift;
            flat(&weighted(&f(&var(&moved, shape)).unwrap()))[0]
        };
        let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!(
            (slope - got[k]).abs() < 1e-5 * (1.0 + slope.abs()),
            "difference {k}: {slope} {}",
            got[k]
        );
    }
}

#[test]
fn normalize_and_norms_agree_with_their_composite_forms() {
    for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
        check(&draw(1, 5, 7), (5, 7), &|x| x.normalize_rows(p), &|x| {
            normalize::normalize_composite(x, p)
        });
        check(&draw(2, 5, 7), (5, 7), &|x| x.row_norms(p), &|x| {
            normalize::row_norms_composite(x, p)
        });
    }
}

/// 6 rows stay with the differences, 20 rows of 16 coordinates take matrix products.
const SHAPES: [(usize, usize); 2] = [(6, 7), (20, 16)];

#[test]
fn distances_agree_with_their_composite_form_on_both_sides() {
    for (rows, dim) in SHAPES {
        let other = var(&draw(4, rows, dim), (rows, dim));
        let values = draw(3, rows, dim);
        for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
            let composite = |x: &Tensor, r: &Tensor| pairwise::pairwise_lp_composite(x, r, p);
            let shape = (rows, dim);
            check(&values, shape, &|x| x.pairwise_lp(&other, p), &|x| {
                composite(x, &other)
            });
            check(&values, shape, &|x| other.pairwise_lp(x, p), &|x| {
                composite(&other, x)
            });
            check(&values, shape, &|x| x.pairwise_lp(x, p), &|x| {
                composite(x, x)
            });
        }
    }
}

#[test]
fn squares_and_products_agree_with_their_composite_forms_on_both_sides() {
    type Pairwise = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let kernels: [(Pairwise, Pairwise); 2] = [
        (TensorExt::pairwise_dot, pairwise::pairwise_dot_composite),
        (
            TensorExt::pairwise_squared,
            pairwise::pairwise_squared_composite,
        ),
    ];
    for (rows, dim) in SHAPES {
        let shape = (rows, dim);
        let other = var(&draw(4, rows, dim), shape);
        let values = draw(3, rows, dim);
        for (fused, composite) in kernels {
            check(&values, shape, &|x| fused(x, &other), &|x| {
                composite(x, &other)
            });
            check(&values, shape, &|x| fused(&other, x), &|x| {
                composite(&other, x)
            });
            check(&values, shape, &|x| fused(x, x), &|x| composite(x, x));
        }
    }
}

#[test]
fn the_gradient_of_quotients_goes_to_the_rows_before_them() {
    for (rows, dim) in SHAPES {
        let shape = (rows, dim);
        let other = var(&draw(6, rows, dim), shape);
        let values = draw(5, rows, dim);
        for p in [1.0, 2.0] {
            // What an operation of Candle's returns is no quotient that anybody knows.
            let unknown = |x: &Tensor| -> Result<Tensor> { Ok((x.normalize_rows(p)? * 1.0)?) };
            check(
                &values,
                shape,
                &|x| {
                    let unit = x.normalize_rows(p)?;
                    unit.pairwise_dot(&unit)
                },
                &|x| {
                    let unit = unknown(x)?;
                    unit.pairwise_dot(&unit)
                },
            );
            check(
                &values,
                shape,
                &|x| x.normalize_rows(p)?.pairwise_lp(&other, 2.0),
                &|x| unknown(x)?.pairwise_lp(&other, 2.0),
            );
            // Rows that are compared with what they were before they were divided, and read once more.
            check(
                &values,
                shape,
                &|x| {
                    let unit = x.normalize_rows(p)?;
                    Ok((x.pairwise_squared(&unit)? + unit.pairwise_dot(&other)?)?)
                },
                &|x| {
                    let unit = unknown(x)?;
                    Ok((x.pairwise_squared(&unit)? + unit.pairwise_dot(&other)?)?)
                },
            );
        }
    }
}

#[test]
fn no_rows_have_no_distances() -> Result<()> {
    let none = Var::zeros((0, 3), DType::F32, &Device::Cpu)?;
    let some = Var::zeros((2, 3), DType::F32, &Device::Cpu)?;
    for (x, r, shape) in [
        (&none, &some, (0, 2)),
        (&some, &none, (2, 0)),
        (&none, &none, (0, 0)),
    ] {
        for matrix in [
            x.pairwise_dot(r)?,
            x.pairwise_squared(r)?,
            x.pairwise_lp(r, 2.0)?,
            x.pairwise_lp(r, 1.0)?,
        ] {
            assert_eq!(matrix.dims2()?, shape);
        }
    }
    Ok(())
}

#[test]
fn elementwise_functions_agree_with_their_composite_forms() {
    let values = draw(5, 4, 6);
    check(
        &values,
        (4, 6),
        &|x| x.hinge(),
        &elementwise::hinge_composite,
    );
    check(
        &values,
        (4, 6),
        &|x| x.safe_softplus(),
        &elementwise::softplus_composite,
    );
    check(
        &values,
        (4, 6),
        &|x| x.safe_abs(),
        &elementwise::magnitude_composite,
    );
    check(&values, (4, 6), &|x| x.safe_power(2.0), &|x| {
        elementwise::power_composite(x, 2.0)
    });
    let positive: Vec<f64> = values.iter().map(|x| x.abs() + 0.1).collect();
    check(&positive, (4, 6), &|x| x.safe_power(0.5), &|x| {
        elementwise::power_composite(x, 0.5)
    });
}

#[test]
fn the_softplus_of_very_negative_numbers_keeps_its_digits() -> Result<()> {
    let x = Tensor::new(&[-40f32, -20., -10.], &Device::Cpu)?;
    for value in [x.safe_softplus()?, elementwise::softplus_composite(&x)?] {
        for (x, got) in [-40f64, -20., -10.].iter().zip(flat(&value)) {
            let want = x.exp().ln_1p();
            assert!((got - want).abs() < 1e-6 * want, "{got} {want}");
        }
    }
    Ok(())
}

#[test]
fn sums_of_exponentials_agree_with_their_composite_form() {
    let values: Vec<f64> = draw(8, 4, 6).iter().map(|x| 40.0 * x).collect();
    // The third row keeps nothing.
    let mask: Vec<u8> = (0..24)
        .map(|i| u8::from(i / 6 != 2 && i % 5 != 0))
        .collect();
    let mask = Tensor::from_vec(mask, (4, 6), &Device::Cpu).unwrap();
    for keep in [None, Some(&mask)] {
        for add_one in [false, true] {
            check(
                &values,
                (4, 6),
                &|x| x.masked_logsumexp(keep, add_one),
                &|x| log_sum_exp::masked_logsumexp_composite(x, keep, add_one),
            );
        }
    }
    let x = var(&values, (4, 6));
    let narrow = mask.narrow(1, 0, 3).unwrap();
    assert!(matches!(
        x.masked_logsumexp(Some(&narrow), false),
        Err(Error::Shape { arg: "keep", .. })
    ));
}

#[test]
fn picked_entries_may_repeat() {
    let (rows, columns) = ([0u32, 2, 2, 1], [3u32, 0, 0, 1]);
    let places = Tensor::new(&[3u32, 8, 8, 5], &Device::Cpu).unwrap();
    let composite = |x: &Tensor| Ok(x.flatten_all()?.index_select(&places, 0)?);
    check(
        &draw(6, 3, 4),
        (3, 4),
        &|x| x.pick_entries(&rows, &columns),
        &composite,
    );
    let x = var(&draw(6, 3, 4), (3, 4));
    assert!(matches!(
        x.pick_entries(&[3], &[0]),
        Err(Error::Index {
            arg: "rows",
            limit: 3,
            got: 3,
            ..
        })
    ));
    assert!(matches!(
        x.pick_entries(&[0], &[]),
        Err(Error::Length { .. })
    ));
}

#[test]
fn sums_within_bounds_are_strict() -> Result<()> {
    let values = Var::new(&[0f64, 0.5, 1., 2., f64::INFINITY], &Device::Cpu)?;
    for (low, high, sum, count) in [
        (Some(0.0), Some(2.0), 1.5, 2),
        (None, Some(1.0), 0.5, 2),
        (Some(2.5), Some(2.6), 0.0, 0),
    ] {
        for part in [
            values.sum_within(low, high)?,
            sum_within::sum_within_composite(&values, low, high)?,
        ] {
            assert_eq!((part.sum.to_scalar::<f64>()?, part.count), (sum, count));
            let store = part.sum.backward()?;
            let slopes = flat(store.get(values.as_tensor()).unwrap());
            assert_eq!(slopes.iter().sum::<f64>(), count as f64);
        }
    }
    Ok(())
}

#[test]
fn groups_are_summed_and_may_be_empty() {
    let groups = [2u32, 0, 2, 2, 0, 4];
    let column = |x: &Tensor| -> Result<Tensor> { Ok(x.flatten_all()?) };
    check(
        &draw(8, 2, 3),
        (2, 3),
        &|x| column(x)?.sum_by_group(&groups, 5),
        &|x| sum_by_group::sum_by_group_composite(&column(x)?, &groups, 5),
    );
    let values = Tensor::new(&[1f32, 2., 4., 8., 16., 32.], &Device::Cpu).unwrap();
    let sums = values.sum_by_group(&groups, 5).unwrap();
    assert_eq!(sums.to_vec1::<f32>().unwrap(), [18., 0., 13., 0., 32.]);
    assert!(matches!(
        values.sum_by_group(&groups, 4),
        Err(Error::Index {
            arg: "groups",
            position: 5,
            limit: 4,
            got: 4
        })
    ));
    assert!(matches!(
        values.sum_by_group(&groups[1..], 5),
        Err(Error::Length { arg: "groups", .. })
    ));
    let square = values.reshape((2, 3)).unwrap();
    assert!(matches!(
        square.sum_by_group(&groups, 5),
        Err(Error::Shape { arg: "values", .. })
    ));
}

#[test]
fn kinks_have_gradient_zero() {
    let zeros = var(&[0.0; 4], (2, 2));
    assert_eq!(gradient(&zeros, &|x| x.hinge()), [0.0; 4]);
    assert_eq!(gradient(&zeros, &elementwise::hinge_composite), [0.0; 4]);
    assert_eq!(gradient(&zeros, &|x| x.safe_abs()), [0.0; 4]);
    assert_eq!(gradient(&zeros, &|x| x.safe_power(0.5)), [0.0; 4]);
    assert_eq!(gradient(&zeros, &|x| x.pairwise_lp(x, 2.0)), [0.0; 4]);
    assert_eq!(
        gradient(&zeros, &|x| pairwise::pairwise_lp_composite(x, x, 2.0)),
        [0.0; 4]
    );
    assert_eq!(gradient(&zeros, &|x| x.pairwise_squared(x)), [0.0; 4]);
    assert_eq!(gradient(&zeros, &|x| x.row_norms(2.0)), [0.0; 4]);
}

#[test]
fn an_attached_zero_has_gradient_zero_even_at_infinity() -> Result<()> {
    let x = Var::new(&[f32::INFINITY, f32::NAN, 1.], &Device::Cpu)?;
    let zero = x.attached_zero()?;
    assert_eq!(zero.to_scalar::<f32>()?, 0.0);
    assert_eq!(flat(zero.backward()?.get(x.as_tensor()).unwrap()), [0.0; 3]);
    Ok(())
}

#[test]
fn shapes_are_checked() {
    let x = var(&draw(7, 2, 3), (2, 3));
    let y = var(&draw(7, 2, 4), (2, 4));
    assert!(matches!(
        x.pairwise_lp(&y, 2.0),
        Err(Error::Shape {
            arg: "reference",
            ..
        })
    ));
    assert!(matches!(
        x.pairwise_dot(&y),
        Err(Error::Shape {
            arg: "reference",
            ..
        })
    ));
    assert!(matches!(
        x.flatten_all().unwrap().normalize_rows(2.0),
        Err(Error::Shape { .. })
    ));
}
