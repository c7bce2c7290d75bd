//! What is no number comes out as no number: of losses, miners, reducers, regularizers and distances.

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

fn terms_of<T: WithDType>(over: Over, values: &[T; 3], lazy: bool) -> Terms {
    let anchors = vec![0u32, 1, 2];
    let indices = match over {
        Over::Elements | Over::Scalar => Indices::Elements(anchors),
        Over::Triplets => Indices::Triplets(Arc::new(Triplets {
            anchors,
            positives: vec![1, 0, 0],
            negatives: vec![2, 2, 1],
        })),
        _ => Indices::Pairs {
            anchors,
            others: vec![1, 2, 0],
        },
    };
    let values = Tensor::new(values, &Device::Cpu).unwrap();
    if lazy {
        return Term::implicit("loss", over, Arc::new(Lazy(values, indices))).into();
    }
    let term = Term::explicit("loss", over, values, indices).unwrap();
    term.with_divisor(2.0).into()
}

/// Values that are written out at once when they are asked for.
#[derive(Debug)]
struct Lazy(Tensor, Indices);

impl dml::ImplicitValues for Lazy {
    fn count(&self) -> u64 {
        self.0.elem_count() as u64
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<dml::PartialSum> {
        dml::TensorExt::sum_within(&self.0, low, high)
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        Ok((self.0.clone(), self.1.clone()))
    }
}

#[test]
fn no_reducer_drops_a_value_that_is_no_number() {
    let x = Tensor::new(&[[1f64, 0.], [0., 1.], [1., 1.]], &Device::Cpu).unwrap();
    let batch = Batch::new(&x, [0i64, 1, 3]).unwrap();
    let single = Batch::new(&x.to_dtype(DType::F32).unwrap(), [0i64, 1, 3]).unwrap();
    let kinds = [
        Over::Elements,
        Over::PositivePairs,
        Over::NegativePairs,
        Over::Triplets,
    ];
    in_both_forms(|form| {
        for name in ReducerConfig::NAMES.iter().filter(|name| reduces(name)) {
            let mut refused = 0;
            for over in kinds {
                for lazy in [false, true] {
                    for place in 0..3 {
                        let (mut values, mut singles) = ([0f64, 0.0, 3.0], [0f32, 0.0, 3.0]);
                        (values[place], singles[place]) = (f64::NAN, f32::NAN);
                        let double = reducer(name).reduce(&terms_of(over, &values, lazy), &batch);
                        let single = reducer(name).reduce(&terms_of(over, &singles, lazy), &single);
                        let (double, single) = match (double, single) {
                            // A term without a divisor, triplets by their anchor.
                            (Err(double), Err(single))
                                if is_refusal(&double) && is_refusal(&single) =>
                            {
                                refused += 1;
                                continue;
                            }
                            reduced => (reduced.0.unwrap(), reduced.1.unwrap()),
                        };
                        for reduced in [double, single] {
                            let value = number(&reduced.loss);
                            assert!(
                                value.is_nan() && reduced.kept > 0,
                                "{name}, {form}, {over:?}, NaN at {place}: {value}, kept {}",
                                reduced.kept
                            );
                        }
                    }
                }
            }
            // At least half of the terms are reduced.
            assert!(refused <= 12, "{name}, {form}: {refused} refused");
        }
    });
}

fn is_refusal(error: &dml::Error) -> bool {
    matches!(
        error,
        dml::Error::Unsupported { .. } | dml::Error::Missing { .. }
    )
}

#[test]
fn a_divisor_of_zero_hides_nothing() {
    let x = Tensor::new(&[[1f64, 0.], [0., 1.], [1., 1.]], &Device::Cpu).unwrap();
    let batch = Batch::new(&x, [0i64, 1, 3]).unwrap();
    let reduce = |values: &[f64; 3]| {
        let rows = Indices::Elements(vec![0, 1, 2]);
        let values = Tensor::new(values, &Device::Cpu).unwrap();
        let term = Term::explicit("loss", Over::Elements, values, rows).unwrap();
        let terms: Terms = term.with_divisor(0.0).into();
        number(
            &reducer("DivisorReducer")
                .reduce(&terms, &batch)
                .unwrap()
                .loss,
        )
    };
    assert!(reduce(&[0.0, f64::NAN, 0.0]).is_nan());
    assert_eq!(reduce(&[0.0, 1.0, 2.0]), 0.0);
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

/// A distance of finite rows that has no number for some pairs, as after an overflow.
#[derive(Clone, Debug)]
struct Holed {
    inner: Arc<dyn Distance>,
    holes: Vec<(usize, usize)>,
    kind: DistanceKind,
    /// Number of holes that a matrix had.
    met: Arc<AtomicUsize>,
}

impl Distance for Holed {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let matrix = self.inner.matrix(query, reference)?;
        let (height, width) = matrix.dims2()?;
        let mut numbers = vec![0f64; height * width];
        for (q, r) in &self.holes {
            if *q < height && *r < width {
                numbers[q * width + r] = f64::NAN;
                self.met.fetch_add(1, Ordering::Relaxed);
            }
        }
        let hole = Tensor::from_vec(numbers, (height, width), matrix.device())?;
        Ok((&matrix + hole.to_dtype(matrix.dtype())?)?)
    }

    /// No hole lies between a row and itself.
    fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        self.inner.pairs(query, reference)
    }

    fn order(&self) -> Order {
        self.inner.order()
    }

    fn kind(&self) -> DistanceKind {
        self.kind
    }

    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.inner.prepare(embeddings)
    }
}

/// The labels of the holed batches: rows 0, 4 and 8 are of one class, and so on.
fn labels() -> Vec<i64> {
    (0..ROWS).map(|i| (i % CLASSES) as i64).collect()
}

fn holed(inner: Arc<dyn Distance>, holes: &[(usize, usize)]) -> Holed {
    Holed {
        kind: inner.kind(),
        inner,
        holes: holes.to_vec(),
        met: Arc::default(),
    }
}

fn lp() -> Arc<dyn Distance> {
    Arc::new(LpDistance::default())
}

/// Every example of a loss that takes a distance, over its own with holes, with the number of holes that it met.
fn losses_over(holes: &[(usize, usize)]) -> Vec<(String, Arc<dyn Loss>, Arc<AtomicUsize>)> {
    let vars = SeededVars::new(3).builder(DType::F64, &Device::Cpu);
    let mut losses = Vec::new();
    for (number, example) in LossKind::NAMES
        .iter()
        .flat_map(|name| LossKind::examples(name, SIZES))
        .enumerate()
    {
        let what = example.to_string();
        // Triplets that are drawn may leave a hole out.
        let is_drawn = example.get("triplets_per_anchor").is_some();
        let config: LossConfig = from_value(example).unwrap();
        let profile = LossKind::profile(config.loss.name()).unwrap();
        let Some(default) = config.loss.default_distance() else {
            continue;
        };
        if is_drawn || !profile.reads_all_distances {
            continue;
        }
        let vars = vars.pp(number);
        let distance = config.distance.as_ref();
        let inner = distance.map_or(Ok(default), |given| given.build_with(&vars.pp("distance")));
        let distance = holed(inner.unwrap(), holes);
        let met = distance.met.clone();
        let distance: Arc<dyn Distance> = Arc::new(distance);
        let loss = config.loss.build_over(Some(&distance), &vars).unwrap();
        losses.push((what, loss, met));
    }
    losses
}

/// One pair that is positive, one that is negative, then many: all from row 0 on, so that losses of classes meet them.
const HOLES: [&[(usize, usize)]; 3] = [
    &[(4, 0), (0, 4)],
    &[(0, 2), (2, 0)],
    &[
        (0, 1),
        (0, 2),
        (0, 3),
        (0, 4),
        (0, 8),
        (5, 1),
        (1, 5),
        (3, 0),
    ],
];

/// What a test of holed distances has met.
fn assert_most(met: &BTreeSet<String>, all: usize) {
    assert!(
        met.len() * 2 > all,
        "{} of {all} met a hole: {met:?}",
        met.len()
    );
}

/// Whether an error says that a number is not finite: `ManifoldLoss` solves equations with the distances.
fn names_what_is_not_finite(error: &dml::Error) -> bool {
    matches!(error, dml::Error::NotANumber { .. })
        || matches!(error, dml::Error::Unsupported { reason, .. } if reason.contains("not finite"))
}

#[test]
fn distances_that_are_no_numbers_come_through_every_loss() {
    let reducers: [Arc<dyn Reducer>; 2] = [
        Arc::new(AvgNonZeroReducer::default()),
        Arc::new(MeanReducer),
    ];
    let reached = RefCell::new(BTreeSet::new());
    for holes in HOLES {
        in_both_forms(|form| {
            for (name, loss, met) in losses_over(holes) {
                for reducer in &reducers {
                    let (x, _) = rows(9, Hostile::None, 0.0);
                    let batch = Batch::new(&leaf(&x, DType::F64).unwrap(), labels()).unwrap();
                    met.store(0, Ordering::Relaxed);
                    let objective = Objective::new(loss.clone(), reducer.clone());
                    let outcome = objective.evaluate(&batch);
                    if met.load(Ordering::Relaxed) == 0 {
                        // Rows against classes have no such pair, or the loss asks for no matrix.
                        continue;
                    }
                    reached.borrow_mut().insert(name.clone());
                    if outcome.as_ref().is_err_and(names_what_is_not_finite) {
                        continue;
                    }
                    let outcome = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
                    let value = number(&outcome.loss);
                    assert!(
                        value.is_nan() && outcome.kept > 0,
                        "{name}, {form}, {holes:?}, {reducer:?}: {value}, kept {}",
                        outcome.kept
                    );
                }
            }
        });
    }
    assert_most(&reached.borrow(), losses_over(&[]).len());
}

#[test]
fn distances_that_are_no_numbers_come_through_every_miner() {
    let (reached, all) = (RefCell::new(BTreeSet::new()), RefCell::new(BTreeSet::new()));
    for holes in HOLES {
        in_both_forms(|form| {
            for example in MinerKind::NAMES
                .iter()
                .flat_map(|name| MinerKind::examples(name, SIZES))
            {
                let name = example.to_string();
                let config: MinerConfig = from_value(example).unwrap();
                let distance = holed(config.miner.default_distance(), holes);
                let met = distance.met.clone();
                let miner = config.miner.build_over(Arc::new(distance)).unwrap();
                let (x, _) = rows(9, Hostile::None, 0.0);
                let batch = Batch::new(&leaf(&x, DType::F32).unwrap(), labels()).unwrap();
                all.borrow_mut().insert(name.clone());
                let mined = miner.mine(&batch);
                if met.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                reached.borrow_mut().insert(name.clone());
                assert!(mined.is_ok(), "{name}: {mined:?}");
                // A loss that reads pairs meets every one that was mined.
                let own = Arc::new(holed(lp(), holes));
                let loss = ContrastiveLoss::new(Default::default(), own).unwrap();
                let reducer = AvgNonZeroReducer::default();
                let objective = Objective::new(Arc::new(loss), Arc::new(reducer)).with_miner(miner);
                let outcome = objective.evaluate(&batch).unwrap();
                let value = number(&outcome.loss);
                assert!(value.is_nan(), "{name}, {form}, {holes:?}: {value}");
                assert!(
                    outcome.mined.is_some_and(|mined| mined.total() > 0),
                    "{name}"
                );
            }
        });
    }
    assert_most(&reached.borrow(), all.borrow().len());
}

#[test]
fn infinite_distances_of_triplets_hide_nothing() {
    // All rows are infinitely far from row 0: its gaps are ∞ − ∞.
    let infinite: Vec<(usize, usize)> = (1..ROWS).flat_map(|i| [(0, i), (i, 0)]).collect();
    #[derive(Debug)]
    struct Far(Arc<dyn Distance>, Vec<(usize, usize)>);
    impl Distance for Far {
        fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
            let matrix = self.0.matrix(query, reference)?;
            let (height, width) = matrix.dims2()?;
            let mut numbers = vec![0f64; height * width];
            for (q, r) in &self.1 {
                numbers[q * width + r] = f64::INFINITY;
            }
            let far = Tensor::from_vec(numbers, (height, width), matrix.device())?;
            Ok((&matrix + far.to_dtype(matrix.dtype())?)?)
        }
    }
    let distance: Arc<dyn Distance> = Arc::new(Far(lp(), infinite));
    in_both_forms(|form| {
        for smooth_loss in [false, true] {
            let config = TripletMarginLossConfig {
                smooth_loss,
                ..Default::default()
            };
            let loss = TripletMarginLoss::new(config, distance.clone()).unwrap();
            let objective = Objective::new(Arc::new(loss), Arc::new(AvgNonZeroReducer::default()));
            let miner = TripletMarginMiner::new(Default::default(), distance.clone()).unwrap();
            let (x, _) = rows(9, Hostile::None, 0.0);
            let batch = Batch::new(&leaf(&x, DType::F32).unwrap(), labels()).unwrap();
            for objective in [objective.clone(), objective.with_miner(Arc::new(miner))] {
                let value = number(&objective.forward(&batch).unwrap());
                assert!(value.is_nan(), "{form}, smooth {smooth_loss}: {value}");
            }
        }
    });
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
