//! Components by name with what they can't do without, and random batches with hostile rows among them.

use std::sync::Arc;

use dml::candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use dml::config::{
    DistanceConfig, LossConfig, LossKind, MinerConfig, ReducerConfig, RegularizerConfig,
    RegularizerKind,
};
use dml::core::autograd::without_kernels;
use dml::losses::SeededVars;
use dml::{Batch, Distance, Miner, Objective, Reducer, Regularizer};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Length of a row.
pub(crate) const DIM: usize = 6;
/// How many classes a batch has.
pub(crate) const CLASSES: usize = 4;
/// How many rows: as many of each class.
pub(crate) const ROWS: usize = 12;
/// Every element type that embeddings may have.
pub(crate) const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

fn read<T: serde::de::DeserializeOwned>(name: &str, mut own: Value) -> T {
    own["name"] = json!(name);
    dml::config::from_value(own).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The loss of that name with its reducer, and what it learns in the precision that such rows are computed in.
pub(crate) fn objective(name: &str, dtype: DType) -> Objective {
    let mut own: Value = match name {
        "ManifoldLoss" => json!({"K": 5}),
        "MarginLoss" => json!({"learn_beta": true, "num_classes": CLASSES, "nu": 0.1}),
        "RankedListLoss" => json!({"margin": 0.4, "Tn": 1.5}),
        "CrossBatchMemory" => json!({"loss": {"name": "NTXentLoss"}}),
        "SelfSupervisedLoss" => json!({"loss": {"name": "SupConLoss"}}),
        "MultipleLosses" => {
            json!({"losses": [{"name": "TripletMarginLoss"}, {"name": "SupConLoss"}]})
        }
        _ => json!({}),
    };
    for (key, size) in LossKind::sizes(name, CLASSES, DIM) {
        own[key] = size;
    }
    let precision = match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let vars = SeededVars::new(3).builder(precision, &Device::Cpu);
    read::<LossConfig>(name, own)
        .build_with(&vars)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn miner(name: &str) -> Arc<dyn Miner> {
    let built = read::<MinerConfig>(name, json!({})).build();
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The reducer of that name; one by bounds leaves out what is at most 0.
pub(crate) fn reducer(name: &str) -> Arc<dyn Reducer> {
    let own = match name {
        "ThresholdReducer" => json!({"low": 0.0}),
        "ClassWeightedReducer" => json!({"weights": [1.0, 2.0, 0.5, 0.0]}),
        "MultipleReducers" => {
            json!({"reducers": {"loss": {"name": "AvgNonZeroReducer"}}})
        }
        _ => json!({}),
    };
    let built = read::<ReducerConfig>(name, own).build();
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn regularizer(name: &str) -> Arc<dyn Regularizer> {
    let own = match name {
        "SparseCentersRegularizer" => {
            json!({"num_classes": CLASSES, "centers_per_class": ROWS / CLASSES})
        }
        _ => json!({}),
    };
    let built = read::<RegularizerConfig>(name, own).build();
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) const REGULARIZERS: &[&str] = RegularizerKind::NAMES;

/// The distance of that name, one that learns as the identity.
pub(crate) fn distance(name: &str, dtype: DType) -> Arc<dyn Distance> {
    let own = match name {
        "BatchedDistance" => json!({"distance": {"name": "LpDistance"}, "batch_size": 5}),
        "MahalanobisDistance" => json!({"embedding_size": DIM}),
        _ => json!({}),
    };
    let vars = SeededVars::new(3).builder(dtype, &Device::Cpu);
    let built = read::<DistanceConfig>(name, own).build_with(&vars);
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Which rows of a batch are hostile: none, one, two, all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hostile {
    None,
    One,
    Two,
    All,
}

/// A batch of numbers around 1, some rows of which are of the size of `value`, or hold it once where it is not finite.
pub(crate) fn rows(seed: u64, hostile: Hostile, value: f64) -> (Vec<f64>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut x: Vec<f64> = (0..ROWS * DIM)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let mut labels: Vec<i64> = (0..ROWS).map(|i| (i % CLASSES) as i64).collect();
    labels.shuffle(&mut rng);
    let mut order: Vec<usize> = (0..ROWS).collect();
    order.shuffle(&mut rng);
    let count = match hostile {
        Hostile::None => 0,
        Hostile::One => 1,
        Hostile::Two => 2,
        Hostile::All => ROWS,
    };
    for &row in &order[..count] {
        let row = &mut x[row * DIM..][..DIM];
        if value.is_finite() || rng.random_bool(0.5) {
            row.iter_mut().for_each(|x| *x *= value);
        } else {
            row[rng.random_range(0..DIM)] = value;
        }
    }
    (x, labels)
}

pub(crate) fn leaf(x: &[f64], dtype: DType) -> CandleResult<Var> {
    let x = Tensor::from_slice(x, (x.len() / DIM, DIM), &Device::Cpu)?;
    Var::from_tensor(&x.to_dtype(dtype)?)
}

/// What a loss makes of rows: some read two views and no labels, the others labels.
pub(crate) fn batch(name: &str, x: &Var, labels: &[i64]) -> dml::Result<Batch> {
    match name {
        "VICRegLoss" => Batch::unlabeled(x),
        "SelfSupervisedLoss" => {
            let view = (x.as_tensor().flip(&[1])? * 0.5)?;
            Batch::unlabeled(x)?.with_unlabeled_reference(&view)
        }
        _ => Batch::new(x, labels),
    }
}

pub(crate) fn number(scalar: &Tensor) -> f64 {
    let number = scalar.to_dtype(DType::F64).and_then(|x| x.to_scalar());
    number.unwrap_or_else(|error| panic!("a loss is no scalar: {error}"))
}

/// The gradient of a leaf; an error if it has none.
pub(crate) fn gradient(loss: &Tensor, x: &Var) -> dml::Result<Vec<f64>> {
    let store = loss.backward()?;
    let gradient = store.get(x.as_tensor()).ok_or(dml::Error::Missing {
        component: "the loss",
        needed: "a way to the embeddings",
    })?;
    Ok(gradient.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
}

/// Runs `check` by the fused kernels, then by Candle's operations.
pub(crate) fn in_both_forms(check: impl Fn(&str)) {
    check("fused");
    without_kernels(|| check("composite"));
}
