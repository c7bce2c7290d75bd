//! What holds for every loss that there is by name: a new one is held to it by its line in the registry.

use dml::candle_core::{DType, Result as CandleResult, Tensor, Var};
use dml::config::{BatchSizes, LossConfig, LossKind, from_value};
use dml::core::autograd::cuda::with_runner;
use dml::core::autograd::without_kernels;
use dml::losses::SeededVars;
use dml::{Batch, Loss, Objective};
use dml_testing::{HostKernels, test_device};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(super) const DIM: usize = 6;
pub(super) const CLASSES: usize = 4;

const SIZES: BatchSizes = BatchSizes {
    rows: 16,
    num_classes: CLASSES,
    embedding_size: DIM,
};

/// The first example of a loss.
fn config(name: &str) -> LossConfig {
    let example = LossKind::examples(name, SIZES).swap_remove(0);
    from_value(example).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn objective(name: &str, dtype: DType) -> Objective {
    let vars = SeededVars::new(3).builder(dtype, &test_device());
    config(name)
        .build_with(&vars)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Rows around one centre a class, apart enough that no loss is at its floor everywhere.
fn rows(count: usize, seed: u64) -> (Vec<f64>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let centres: Vec<f64> = (0..CLASSES * DIM)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let labels: Vec<i64> = (0..count).map(|i| (i % CLASSES) as i64).collect();
    let x = labels.iter().flat_map(|&c| {
        let centre = &centres[c as usize * DIM..][..DIM];
        centre
            .iter()
            .map(|x| x + rng.random_range(-0.9..0.9))
            .collect::<Vec<_>>()
    });
    (x.collect(), labels)
}

fn leaf(x: &[f64], dtype: DType) -> CandleResult<Var> {
    let x = Tensor::from_slice(x, (x.len() / DIM, DIM), &test_device())?;
    Var::from_tensor(&x.to_dtype(dtype)?)
}

/// What the loss reads: labels, or a second view.
fn batch(loss: &dyn Loss, x: &Var, labels: &[i64]) -> dml::Result<Batch> {
    if loss.reads_relation() {
        return Batch::new(x, labels);
    }
    let view = (x.as_tensor().flip(&[1])? + 0.1)?;
    Batch::unlabeled(x)?.with_unlabeled_reference(&view)
}

/// Value and gradient of a fresh loss.
fn evaluate(name: &str, x: &[f64], labels: &[i64], dtype: DType) -> dml::Result<(f64, Vec<f64>)> {
    let x = leaf(x, dtype)?;
    let precision = if dtype == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let objective = objective(name, precision);
    let loss = objective.forward(&batch(objective.loss(), &x, labels)?)?;
    let store = loss.backward()?;
    let gradient = store
        .get(x.as_tensor())
        .unwrap_or_else(|| panic!("{name}: the loss is not attached to the embeddings"));
    assert_eq!(gradient.dtype(), dtype, "{name}");
    Ok((
        loss.to_dtype(DType::F64)?.to_scalar::<f64>()?,
        gradient.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?,
    ))
}

fn sound(name: &str, x: &[f64], labels: &[i64], dtype: DType) -> (f64, Vec<f64>) {
    evaluate(name, x, labels, dtype).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn assert_finite(name: &str, what: &str, (value, gradient): (f64, Vec<f64>)) {
    assert!(value.is_finite(), "{name}, {what}: {value}");
    let broken = gradient.iter().find(|x| !x.is_finite());
    assert!(broken.is_none(), "{name}, {what}: gradient {broken:?}");
}

#[test]
fn gradients_are_those_of_central_differences() {
    let (x, labels) = rows(16, 1);
    for name in LossKind::NAMES {
        if LossKind::profile(name).is_some_and(|profile| profile.has_constant_factors) {
            continue;
        }
        let (_, gradient) = sound(name, &x, &labels, DType::F64);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..3 {
            let direction: Vec<f64> = x.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
            let step = 1e-6;
            let along = |sign: f64| -> f64 {
                let moved = x.iter().zip(&direction).map(|(x, d)| x + sign * step * d);
                sound(name, &moved.collect::<Vec<_>>(), &labels, DType::F64).0
            };
            let difference = (along(1.0) - along(-1.0)) / (2.0 * step);
            let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let size = slope.abs().max(difference.abs()).max(1e-2);
            assert!(
                (slope - difference).abs() < 2e-5 * size,
                "{name}: gradient {slope}, difference {difference}"
            );
        }
    }
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let (x, labels) = rows(12, 2);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for i in (1..order.len()).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    let moved: Vec<f64> = order
        .iter()
        .flat_map(|&i| x[i * DIM..][..DIM].to_vec())
        .collect();
    let moved_labels: Vec<i64> = order.iter().map(|&i| labels[i]).collect();
    for name in LossKind::NAMES {
        if LossKind::profile(name).is_some_and(|profile| profile.reads_positions) {
            continue;
        }
        let (value, gradient) = sound(name, &x, &labels, DType::F64);
        let (moved_value, moved_gradient) = sound(name, &moved, &moved_labels, DType::F64);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-8 * (1.0 + a.abs());
        assert!(close(value, moved_value), "{name}: {value} {moved_value}");
        for (to, &from) in order.iter().enumerate() {
            for k in 0..DIM {
                let (a, b) = (gradient[from * DIM + k], moved_gradient[to * DIM + k]);
                assert!(close(a, b), "{name}: row {from}: {a} {b}");
            }
        }
    }
}

#[test]
fn both_forms_give_the_same_numbers() {
    let (x, labels) = rows(16, 3);
    for name in LossKind::NAMES {
        let (value, gradient) = sound(name, &x, &labels, DType::F64);
        let (other, others) = without_kernels(|| sound(name, &x, &labels, DType::F64));
        assert!(
            (value - other).abs() <= 1e-9 * (1.0 + value.abs()),
            "{name}: {value} {other}"
        );
        let size = gradient.iter().fold(1e-3, |m, g| f64::max(m, g.abs()));
        for (a, b) in gradient.iter().zip(&others) {
            assert!((a - b).abs() <= 1e-8 * size, "{name}: {a} {b}");
        }
    }
}

#[test]
fn the_kernels_for_cuda_give_the_same_numbers() {
    let Some(kernels) = HostKernels::get().unwrap() else {
        return;
    };
    let (x, labels) = rows(16, 3);
    for name in LossKind::NAMES {
        let (value, gradient) = sound(name, &x, &labels, DType::F64);
        let (other, others) = with_runner(kernels.clone(), || sound(name, &x, &labels, DType::F64));
        assert!(
            (value - other).abs() <= 1e-9 * (1.0 + value.abs()),
            "{name}: {value} {other}"
        );
        let size = gradient.iter().fold(1e-3, |m, g| f64::max(m, g.abs()));
        for (a, b) in gradient.iter().zip(&others) {
            assert!((a - b).abs() <= 1e-8 * size, "{name}: {a} {b}");
        }
    }
}

#[test]
fn nothing_to_compare_is_a_finite_loss_that_is_attached() {
    let (x, _) = rows(4, 4);
    for name in LossKind::NAMES {
        for (what, count, labels) in [
            ("one class", 4, vec![1; 4]),
            ("no two of a class", 4, vec![0, 1, 2, 3]),
            ("two rows", 2, vec![0, 1]),
            ("one row", 1, vec![2]),
            ("no row", 0, vec![]),
        ] {
            let outcome = sound(name, &x[..count * DIM], &labels, DType::F32);
            assert_finite(name, what, outcome);
        }
    }
}

#[test]
fn extreme_rows_have_finite_losses_and_gradients() {
    let (x, labels) = rows(12, 5);
    let scaled = |factor: f64| -> Vec<f64> { x.iter().map(|x| x * factor).collect() };
    let mut twins = x.clone();
    let (first, rest) = twins.split_at_mut(DIM);
    for row in rest.chunks_exact_mut(DIM).take(5) {
        row.copy_from_slice(first);
    }
    let mut holes = x.clone();
    holes[..3 * DIM].fill(0.0);
    for name in LossKind::NAMES {
        for (what, x) in [
            ("all rows equal", x[..DIM].repeat(labels.len())),
            ("some rows equal", twins.clone()),
            ("all rows zero", vec![0.0; x.len()]),
            ("some rows zero", holes.clone()),
            ("rows of norm 1e-6", scaled(1e-6)),
            ("rows of norm 1e4", scaled(1e4)),
        ] {
            assert_finite(name, what, sound(name, &x, &labels, DType::F32));
        }
    }
}

#[test]
fn half_precision_is_computed_in_single() {
    let (x, labels) = rows(12, 6);
    for name in LossKind::NAMES {
        for dtype in [DType::F16, DType::BF16] {
            // The same numbers in both: those that half precision can hold.
            let half = leaf(&x, dtype).unwrap();
            let held = half.flatten_all().and_then(|x| x.to_dtype(DType::F64));
            let held: Vec<f64> = held.and_then(|x| x.to_vec1()).unwrap();
            let (value, _) = sound(name, &held, &labels, DType::F32);
            let (halved, gradient) = sound(name, &held, &labels, dtype);
            assert!(
                (value - halved).abs() <= 1e-3 * (1.0 + value.abs()),
                "{name} {dtype:?}: {value} {halved}"
            );
            assert_finite(name, "half precision", (halved, gradient));
            let large: Vec<f64> = held.iter().map(|x| x * 1e4).collect();
            let (value, _) = sound(name, &large, &labels, dtype);
            assert!(value.is_finite(), "{name} {dtype:?}, norm 1e4: {value}");
        }
    }
}
