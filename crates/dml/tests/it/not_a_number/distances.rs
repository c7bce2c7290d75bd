//! Distances that have no number for some pairs of finite rows.

use super::*;

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
