//! What is no number comes out as no number: of losses, miners, reducers, regularizers and distances.

mod distances;
mod values;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dml::candle_core::WithDType;
use dml::candle_core::{DType, Device, Tensor, Var};
use dml::config::{
    DistanceConfig, LossConfig, LossKind, MinerConfig, MinerKind, ReducerConfig, RegularizerKind,
    from_value,
};
use dml::distances::LpDistance;
use dml::losses::{ContrastiveLoss, SeededVars, TripletMarginLoss, TripletMarginLossConfig};
use dml::miners::TripletMarginMiner;
use dml::reducers::{AvgNonZeroReducer, MeanReducer};
use dml::{
    Batch, Distance, DistanceKind, Indices, Loss, Miner, Objective, Order, Over, Reducer, Result,
    Term, Terms, Triplets, Tuples,
};

use crate::registry::{
    CLASSES, DIM, DTYPES, Hostile, ROWS, SIZES, batch, distance, gradient, in_both_forms, leaf,
    miner, number, objective, reducer, regularizer, rows,
};

const BROKEN: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
const SOME: [Hostile; 3] = [Hostile::One, Hostile::Two, Hostile::All];

/// Every kind of hostile batch: `check(what, rows, labels, element type)`, by both forms.
fn for_each_batch(check: impl Fn(&str, &[f64], &[i64], DType)) {
    in_both_forms(|form| {
        for (seed, dtype) in (0..).zip(DTYPES) {
            for hostile in SOME {
                for value in BROKEN {
                    let (x, labels) = rows(seed, hostile, value);
                    let what = format!("{form}, {dtype:?}, {value} in {hostile:?}");
                    check(&what, &x, &labels, dtype);
                }
            }
        }
    });
}

fn all_nan(numbers: &[f64]) -> bool {
    !numbers.is_empty() && numbers.iter().all(|x| x.is_nan())
}

#[test]
fn a_loss_over_rows_that_are_no_numbers_is_none_and_neither_is_its_gradient() {
    for name in LossKind::NAMES {
        for_each_batch(|what, x, labels, dtype| {
            let x = leaf(x, dtype).unwrap();
            let objective = objective(name, dtype);
            let evaluated = batch(objective.loss(), &x, labels).and_then(|batch| {
                let outcome = objective.evaluate(&batch)?;
                let slopes = gradient(&outcome.loss, &x)?;
                Ok((number(&outcome.loss), outcome.kept, slopes))
            });
            let (value, kept, slopes) =
                evaluated.unwrap_or_else(|error| panic!("{name}, {what}: {error}"));
            assert!(
                value.is_nan() && kept > 0,
                "{name}, {what}: {value}, kept {kept}"
            );
            assert!(all_nan(&slopes), "{name}, {what}: gradient {slopes:?}");
        });
    }
}

/// Whether a reducer makes a number of the terms.
fn reduces(name: &str) -> bool {
    ReducerConfig::profile(name).is_some_and(|profile| profile.reduces)
}

#[test]
fn no_reducer_hides_what_a_loss_asked_by_itself_says() {
    let reducers = ReducerConfig::NAMES.iter().filter(|name| reduces(name));
    let reducers: Vec<_> = reducers.map(|name| (name, reducer(name))).collect();
    for name in LossKind::NAMES {
        for (hostile, seed) in SOME.into_iter().zip(11..) {
            let (x, labels) = rows(seed, hostile, f64::NAN);
            let x = leaf(&x, DType::F32).unwrap();
            let objective = objective(name, DType::F32);
            let batch = batch(objective.loss(), &x, &labels).unwrap();
            let terms = objective.loss().terms(&batch, &Tuples::all());
            let terms = terms.unwrap_or_else(|error| panic!("{name}: {error}"));
            for (reducer_name, reducer) in &reducers {
                let value = number(&reducer.reduce(&terms, &batch).unwrap().loss);
                assert!(value.is_nan(), "{name}, {reducer_name}: {value}");
            }
        }
    }
}

#[test]
fn miners_keep_what_is_no_number_and_count_it() {
    for name in MinerKind::NAMES {
        for_each_batch(|what, x, labels, dtype| {
            let x = leaf(x, dtype).unwrap();
            let batch = Batch::new(&x, labels).unwrap();
            let mined = miner(name)
                .mine(&batch)
                .and_then(|tuples| tuples.count(&batch));
            let mined = mined.unwrap_or_else(|error| panic!("{name}, {what}: {error}"));
            assert!(mined.total() > 0, "{name}, {what}: mined {mined:?}");
            for loss in ["TripletMarginLoss", "ContrastiveLoss", "ArcFaceLoss"] {
                let objective = objective(loss, dtype).with_miner(miner(name));
                let outcome = objective.evaluate(&batch).unwrap();
                let mined = outcome.mined.unwrap();
                assert!(mined.total() > 0, "{name}, {loss}, {what}: mined {mined:?}");
                let value = number(&outcome.loss);
                assert!(value.is_nan(), "{name}, {loss}, {what}: {value}");
            }
        });
    }
}

/// A loss of one's own and a miner of one's own, both made of comparisons.
#[derive(Debug)]
struct Careless;

impl Loss for Careless {
    fn terms(&self, batch: &Batch, _: &Tuples) -> Result<Terms> {
        let sums = batch.embeddings().sum(1)?;
        let above = sums.gt(0f64)?.to_dtype(sums.dtype())?;
        let rows = (0..batch.queries() as u32).collect();
        Ok(Term::explicit("loss", Over::Elements, above, Indices::Elements(rows))?.into())
    }
}

impl Miner for Careless {
    fn mine(&self, _: &Batch) -> Result<Tuples> {
        Ok(Triplets::default().into())
    }
}

#[test]
fn an_objective_watches_over_losses_and_miners_of_ones_own() {
    let objective = Objective::new(Arc::new(Careless), Arc::new(AvgNonZeroReducer::default()))
        .with_miner(Arc::new(Careless));
    for_each_batch(|what, x, labels, dtype| {
        let batch = Batch::new(&leaf(x, dtype).unwrap(), labels).unwrap();
        let outcome = objective.evaluate(&batch).unwrap();
        assert!(number(&outcome.loss).is_nan(), "{what}");
        assert!(
            outcome.mined.is_some_and(|mined| mined.total() > 0),
            "{what}"
        );
    });
}

#[test]
fn the_penalty_of_rows_that_are_no_numbers_is_none() {
    for name in RegularizerKind::NAMES {
        let regularizer = regularizer(name);
        for_each_batch(|what, x, _, dtype| {
            if matches!(dtype, DType::F16 | DType::BF16) {
                // Embeddings in half precision reach a regularizer in single.
                return;
            }
            let x = leaf(x, dtype).unwrap();
            let penalty = regularizer.penalty(&x);
            let penalty = penalty.unwrap_or_else(|error| panic!("{name}, {what}: {error}"));
            let value = number(&penalty);
            assert!(value.is_nan(), "{name}, {what}: {value}");
            let slopes = gradient(&penalty, &x).unwrap();
            assert!(all_nan(&slopes), "{name}, {what}: gradient {slopes:?}");
        });
    }
}

#[test]
fn a_distance_from_what_is_no_number_is_none_or_an_error() {
    for name in DistanceConfig::NAMES {
        in_both_forms(|form| {
            for dtype in [DType::F32, DType::F64] {
                for hostile in SOME {
                    let (x, _) = rows(5, hostile, f64::NAN);
                    let broken = |row: usize| x[row * DIM..][..DIM].iter().any(|x| x.is_nan());
                    let tensor = leaf(&x, dtype).unwrap();
                    let Ok(matrix) = distance(name, dtype).matrix(&tensor, None) else {
                        continue;
                    };
                    let matrix = matrix
                        .to_dtype(DType::F64)
                        .unwrap()
                        .to_vec2::<f64>()
                        .unwrap();
                    for (i, row) in matrix.iter().enumerate() {
                        for (j, value) in row.iter().enumerate() {
                            let expected = broken(i) || broken(j);
                            assert_eq!(
                                value.is_nan(),
                                expected,
                                "{name}, {form}, {dtype:?}, {i} to {j}: {value}"
                            );
                        }
                    }
                }
            }
        });
    }
}

#[test]
fn what_a_loss_learned_that_is_no_number_makes_it_none_or_an_error() {
    for name in LossKind::NAMES {
        in_both_forms(|form| {
            for dtype in [DType::F32, DType::F64] {
                let objective = objective(name, dtype);
                let (x, labels) = rows(7, Hostile::None, 0.0);
                let x = leaf(&x, dtype).unwrap();
                let batch = batch(objective.loss(), &x, &labels).unwrap();
                for (parameter, var) in objective.loss().parameters() {
                    let sound = var.as_tensor().copy().unwrap();
                    let count = sound.elem_count();
                    for place in [0, count / 2, count - 1] {
                        let mut numbers = vec![0f64; count];
                        numbers[place] = f64::NAN;
                        let hole = Tensor::from_vec(numbers, sound.shape(), &Device::Cpu).unwrap();
                        let hole = hole.to_dtype(sound.dtype()).unwrap();
                        var.set(&(&sound + hole).unwrap()).unwrap();
                        if let Ok(outcome) = objective.evaluate(&batch) {
                            let value = number(&outcome.loss);
                            assert!(
                                value.is_nan(),
                                "{name}, {form}, {dtype:?}, {parameter}[{place}]: {value}"
                            );
                        }
                        var.set(&sound).unwrap();
                    }
                }
                let value = number(&objective.forward(&batch).unwrap());
                assert!(value.is_finite(), "{name}: {value}, after all was put back");
            }
        });
    }
}

#[test]
fn rows_that_take_no_part_change_nothing() {
    // Row 3 is in none of the triplets.
    let x = Var::new(
        &[[1f64, 0.], [0., 1.], [0.9, 0.1], [f64::NAN, 1.]],
        &Device::Cpu,
    )
    .unwrap();
    let batch = Batch::new(&x, [0i64, 0, 1, 1]).unwrap();
    let tuples: Tuples = Triplets::new(vec![0], vec![1], vec![2]).unwrap().into();
    let sound = x.as_tensor().narrow(0, 0, 3).unwrap();
    let sound = Batch::new(&sound, [0i64, 0, 1]).unwrap();
    for name in ["TripletMarginLoss", "ContrastiveLoss", "SupConLoss"] {
        let objective = objective(name, DType::F64);
        let value = |batch| number(&objective.evaluate_tuples(batch, &tuples).unwrap().loss);
        assert_eq!(value(&batch), value(&sound), "{name}");
        assert!(value(&batch).is_finite(), "{name}");
        assert!(
            number(&objective.forward(&batch).unwrap()).is_nan(),
            "{name}"
        );
    }
}

#[test]
fn a_memory_and_a_histogram_are_not_touched_by_what_is_no_number() {
    for name in LossKind::NAMES {
        let objective = objective(name, DType::F32);
        if objective.loss().buffers().unwrap().is_empty() {
            continue;
        }
        let buffers = || -> Vec<Vec<f64>> {
            let buffers = objective.loss().buffers().unwrap();
            let numbers = |x: &Tensor| x.flatten_all()?.to_dtype(DType::F64)?.to_vec1();
            buffers.iter().map(|(_, x)| numbers(x).unwrap()).collect()
        };
        let step = |hostile| {
            let (x, labels) = rows(3, hostile, f64::NAN);
            let batch = Batch::new(&leaf(&x, DType::F32).unwrap(), labels).unwrap();
            number(&objective.forward(&batch).unwrap())
        };
        assert!(step(Hostile::None).is_finite(), "{name}");
        let before = buffers();
        assert!(step(Hostile::One).is_nan(), "{name}");
        assert_eq!(buffers(), before, "{name}");
        assert!(step(Hostile::None).is_finite(), "{name}");
    }
}
