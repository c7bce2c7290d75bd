//! What is no number comes out as no number: of losses, miners, reducers, regularizers and distances.

use std::sync::Arc;

use dml::candle_core::WithDType;
use dml::candle_core::{DType, Device, Tensor, Var};
use dml::config::{DistanceConfig, LossConfig, LossKind, MinerKind, ReducerConfig};
use dml::distances::{
    CosineSimilarity, CosineSimilarityConfig, DotProductSimilarity, DotProductSimilarityConfig,
    LpDistance, LpDistanceConfig, SNRDistance, SNRDistanceConfig,
};
use dml::losses::*;
use dml::miners::*;
use dml::reducers::{AvgNonZeroReducer, MeanReducer};
use dml::{
    Batch, Distance, DistanceKind, Indices, Loss, Miner, Objective, Order, Over, Reducer, Result,
    Term, Terms, Triplets, Tuples,
};

use crate::registry::{
    CLASSES, DIM, DTYPES, Hostile, REGULARIZERS, ROWS, batch, distance, gradient, in_both_forms,
    leaf, miner, number, objective, reducer, regularizer, rows,
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
            let evaluated = batch(name, &x, labels).and_then(|batch| {
                let outcome = objective(name, dtype).evaluate(&batch)?;
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

#[test]
fn no_reducer_hides_what_a_loss_asked_by_itself_says() {
    let reducers = ReducerConfig::NAMES
        .iter()
        .filter(|name| **name != "DoNothingReducer");
    let reducers: Vec<_> = reducers.map(|name| (name, reducer(name))).collect();
    for name in LossKind::NAMES {
        for (hostile, seed) in SOME.into_iter().zip(11..) {
            let (x, labels) = rows(seed, hostile, f64::NAN);
            let x = leaf(&x, DType::F32).unwrap();
            let batch = batch(name, &x, &labels).unwrap();
            let terms = objective(name, DType::F32)
                .loss()
                .terms(&batch, &Tuples::all());
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
        for name in ReducerConfig::NAMES {
            for over in kinds {
                for lazy in [false, true] {
                    let needs_divisor = *name == "DivisorReducer" && lazy;
                    let refuses = *name == "PerAnchorReducer" && over == Over::Triplets;
                    if *name == "DoNothingReducer" || needs_divisor || refuses {
                        continue;
                    }
                    for place in 0..3 {
                        let (mut values, mut singles) = ([0f64, 0.0, 3.0], [0f32, 0.0, 3.0]);
                        (values[place], singles[place]) = (f64::NAN, f32::NAN);
                        let double = reducer(name).reduce(&terms_of(over, &values, lazy), &batch);
                        let single = reducer(name).reduce(&terms_of(over, &singles, lazy), &single);
                        for reduced in [double.unwrap(), single.unwrap()] {
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
        }
    });
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
    for name in REGULARIZERS {
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
                let batch = batch(name, &x, &labels).unwrap();
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
}

impl Distance for Holed {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let matrix = self.inner.matrix(query, reference)?;
        let (height, width) = matrix.dims2()?;
        let mut numbers = vec![0f64; height * width];
        for (q, r) in &self.holes {
            if *q < height && *r < width {
                numbers[q * width + r] = f64::NAN;
            }
        }
        let hole = Tensor::from_vec(numbers, (height, width), matrix.device())?;
        Ok((&matrix + hole.to_dtype(matrix.dtype())?)?)
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

fn holed(inner: Arc<dyn Distance>, holes: &[(usize, usize)]) -> Arc<dyn Distance> {
    Arc::new(Holed {
        kind: inner.kind(),
        inner,
        holes: holes.to_vec(),
    })
}

fn lp() -> Arc<dyn Distance> {
    Arc::new(LpDistance::new(LpDistanceConfig::default()).unwrap())
}

fn squared() -> Arc<dyn Distance> {
    let config = LpDistanceConfig {
        power: 2.0,
        ..LpDistanceConfig::default()
    };
    Arc::new(LpDistance::new(config).unwrap())
}

fn cosine() -> Arc<dyn Distance> {
    Arc::new(CosineSimilarity::new(CosineSimilarityConfig::default()).unwrap())
}

fn dot() -> Arc<dyn Distance> {
    Arc::new(DotProductSimilarity::new(DotProductSimilarityConfig::default()).unwrap())
}

fn snr() -> Arc<dyn Distance> {
    Arc::new(SNRDistance::new(SNRDistanceConfig::default()).unwrap())
}

fn classes<T>(config: serde_json::Value) -> T
where
    T: serde::de::DeserializeOwned,
{
    serde_json::from_value(config).unwrap()
}

/// Losses over rows with a distance that has holes.
fn losses_over(holes: &[(usize, usize)]) -> Vec<(&'static str, Arc<dyn Loss>)> {
    let vars = SeededVars::new(3).builder(DType::F64, &Device::Cpu);
    let swap = TripletMarginLossConfig {
        swap: true,
        ..Default::default()
    };
    let smooth = TripletMarginLossConfig {
        smooth_loss: true,
        ..Default::default()
    };
    let sizes = serde_json::json!({"num_classes": CLASSES, "embedding_size": DIM});
    macro_rules! list {
        ($($name:literal: $Loss:ident($distance:ident) $(, $config:expr $(, $vars:expr)?)?;)*) => {
            vec![$((
                $name,
                Arc::new(list!(@new $Loss, holed($distance(), holes) $(, $config $(, $vars)?)?)) as Arc<dyn Loss>,
            )),*]
        };
        (@new $Loss:ident, $distance:expr) => { $Loss::new(Default::default(), $distance).unwrap() };
        (@new $Loss:ident, $distance:expr, $config:expr) => { $Loss::new($config, $distance).unwrap() };
        (@new $Loss:ident, $distance:expr, $config:expr, $vars:expr) => {
            $Loss::new($config, $distance, $vars.pp(stringify!($Loss))).unwrap()
        };
    }
    let mut losses = list! {
        "CircleLoss": CircleLoss(cosine);
        "ContrastiveLoss": ContrastiveLoss(lp);
        "ContrastiveLoss of similarities": ContrastiveLoss(cosine);
        "DynamicSoftMarginLoss": DynamicSoftMarginLoss(lp);
        "FastAPLoss": FastAPLoss(squared);
        "GeneralizedLiftedStructureLoss": GeneralizedLiftedStructureLoss(lp);
        "HistogramLoss": HistogramLoss(cosine);
        "InstanceLoss": InstanceLoss(cosine);
        "IntraPairVarianceLoss": IntraPairVarianceLoss(cosine);
        "LiftedStructureLoss": LiftedStructureLoss(lp);
        "MarginLoss": MarginLoss(lp), Default::default(), vars;
        "MultiSimilarityLoss": MultiSimilarityLoss(cosine);
        "NCALoss": NCALoss(squared);
        "NTXentLoss": NTXentLoss(cosine);
        "PNPLoss": PNPLoss(cosine);
        "RankedListLoss": RankedListLoss(lp), RankedListLossConfig::new(0.4, 1.5);
        "SignalToNoiseRatioContrastiveLoss": SignalToNoiseRatioContrastiveLoss(snr);
        "SmoothAPLoss": SmoothAPLoss(cosine);
        "SupConLoss": SupConLoss(cosine);
        "TripletMarginLoss": TripletMarginLoss(lp);
        "TripletMarginLoss with swap": TripletMarginLoss(lp), swap;
        "TripletMarginLoss with softplus": TripletMarginLoss(lp), smooth;
        "TupletMarginLoss": TupletMarginLoss(cosine);
        // Rows against classes: the holes lie at row and class.
        "ArcFaceLoss": ArcFaceLoss(cosine), classes(sizes.clone()), vars;
        "CosFaceLoss": CosFaceLoss(cosine), classes(sizes.clone()), vars;
        "LargeMarginSoftmaxLoss": LargeMarginSoftmaxLoss(cosine), classes(sizes.clone()), vars;
        "NormalizedSoftmaxLoss": NormalizedSoftmaxLoss(dot), classes(sizes.clone()), vars;
        "ProxyAnchorLoss": ProxyAnchorLoss(cosine), classes(sizes.clone()), vars;
        "ProxyNCALoss": ProxyNCALoss(squared), classes(sizes.clone()), vars;
        "SoftTripleLoss": SoftTripleLoss(cosine), classes(sizes.clone()), vars;
        "SphereFaceLoss": SphereFaceLoss(cosine), classes(sizes.clone()), vars;
        "SubCenterArcFaceLoss": SubCenterArcFaceLoss(cosine), classes(sizes.clone()), vars;
    };
    losses.push((
        "NPairsLoss",
        Arc::new(NPairsLoss::new(holed(dot(), &[(0, 1)]))),
    ));
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

/// Losses that read distances of rows one way only, or compare rows with classes: what they don't reach is no fault.
fn reaches(name: &str, holes: &[(usize, usize)]) -> bool {
    let of_classes = name.contains("Face") || name.contains("Proxy") || name.contains("Soft");
    let soft_margin = name == "DynamicSoftMarginLoss" || name.starts_with("TripletMargin");
    !of_classes || soft_margin || holes.iter().any(|(_, class)| *class < CLASSES)
}

#[test]
fn distances_that_are_no_numbers_come_through_every_loss() {
    for holes in HOLES {
        in_both_forms(|form| {
            for (name, loss) in losses_over(holes) {
                if !reaches(name, holes) {
                    continue;
                }
                let reducers: [Arc<dyn Reducer>; 2] = [
                    Arc::new(AvgNonZeroReducer::default()),
                    Arc::new(MeanReducer),
                ];
                for reducer in reducers {
                    let (x, _) = rows(9, Hostile::None, 0.0);
                    let batch = Batch::new(&leaf(&x, DType::F64).unwrap(), labels()).unwrap();
                    let objective = Objective::new(loss.clone(), reducer);
                    let outcome = objective.evaluate(&batch);
                    let outcome = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
                    let value = number(&outcome.loss);
                    assert!(
                        value.is_nan() && outcome.kept > 0,
                        "{name}, {form}, {holes:?}, {:?}: {value}, kept {}",
                        objective.reducer(),
                        outcome.kept
                    );
                }
            }
        });
    }
}

#[test]
fn distances_that_are_no_numbers_come_through_every_miner() {
    for holes in HOLES {
        in_both_forms(|form| {
            let easy_hard = |pos_strategy, neg_strategy| BatchEasyHardMinerConfig {
                pos_strategy,
                neg_strategy,
                ..Default::default()
            };
            let of_type = |type_of_triplets| TripletMarginMinerConfig {
                type_of_triplets,
                ..Default::default()
            };
            let over = |inner: Arc<dyn Distance>| holed(inner, holes);
            let mut miners: Vec<(String, Arc<dyn Miner>)> = Vec::new();
            let kinds = [
                TripletType::All,
                TripletType::Hard,
                TripletType::Semihard,
                TripletType::Easy,
            ];
            for kind in kinds {
                let miner = TripletMarginMiner::new(of_type(kind), over(lp())).unwrap();
                miners.push((format!("TripletMarginMiner, {kind:?}"), Arc::new(miner)));
            }
            use BatchStrategy::{All, Easy, Hard, Semihard};
            for (near, far) in [
                (Easy, Semihard),
                (Hard, Easy),
                (Semihard, Hard),
                (All, Hard),
                (Easy, All),
                (All, All),
            ] {
                let miner = BatchEasyHardMiner::new(easy_hard(near, far), over(lp())).unwrap();
                let name = format!("BatchEasyHardMiner, {near:?}, {far:?}");
                miners.push((name, Arc::new(miner)));
            }
            macro_rules! push {
                ($($Miner:ident($distance:ident);)*) => {$(
                    let miner = $Miner::new(Default::default(), over($distance())).unwrap();
                    miners.push((stringify!($Miner).to_owned(), Arc::new(miner)));
                )*};
            }
            push! {
                BatchHardMiner(lp);
                DistanceWeightedMiner(lp);
                HDCMiner(lp);
                MultiSimilarityMiner(cosine);
                NHardTripletsMiner(lp);
                PairMarginMiner(lp);
                UniformHistogramMiner(lp);
            }
            for (name, miner) in miners {
                let (x, _) = rows(9, Hostile::None, 0.0);
                let batch = Batch::new(&leaf(&x, DType::F32).unwrap(), labels()).unwrap();
                // A loss that reads pairs meets every one that was mined.
                let loss = ContrastiveLoss::new(Default::default(), over(lp())).unwrap();
                let reducer = Arc::new(AvgNonZeroReducer::default());
                let objective = Objective::new(Arc::new(loss), reducer).with_miner(miner);
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
    for name in ["CrossBatchMemory", "DynamicSoftMarginLoss"] {
        let objective = objective(name, DType::F32);
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

#[test]
fn every_loss_over_rows_and_a_distance_is_in_the_list_of_holed_ones() {
    /// Losses that measure by themselves, or are losses around others, which are in the list.
    const OTHERS: &[&str] = &[
        "AngularLoss",
        "CentroidTripletLoss",
        "CrossBatchMemory",
        "ManifoldLoss",
        "MultipleLosses",
        "P2SGradLoss",
        "SelfSupervisedLoss",
        "ThresholdConsistentMarginLoss",
        "VICRegLoss",
    ];
    let listed: Vec<&str> = losses_over(&[]).iter().map(|(name, _)| *name).collect();
    for name in LossKind::NAMES {
        assert!(
            OTHERS.contains(name) != listed.contains(name),
            "{name} is in one of the two lists"
        );
    }
    assert!(LossConfig::from_json("TripletMarginLoss").is_ok());
}
