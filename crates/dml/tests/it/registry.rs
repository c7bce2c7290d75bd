//! Components by name with what they can't do without, and random batches with hostile rows among them.

use std::sync::Arc;

use dml::candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use dml::config::{
    BatchSizes, DistanceConfig, LossConfig, LossKind, MinerConfig, MinerKind, ReducerConfig,
    RegularizerConfig, RegularizerKind, from_value,
};
use dml::core::autograd::without_kernels;
use dml::losses::SeededVars;
use dml::{Batch, Distance, Loss, Miner, Objective, Reducer, Regularizer};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Length of a row.
pub(crate) const DIM: usize = 6;
/// How many classes a batch has.
pub(crate) const CLASSES: usize = 4;
/// How many rows: as many of each class.
pub(crate) const ROWS: usize = 12;
/// Every element type that embeddings may have.
pub(crate) const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

/// The batches of these tests.
pub(crate) const SIZES: BatchSizes = BatchSizes {
    rows: ROWS,
    num_classes: CLASSES,
    embedding_size: DIM,
};

/// The first example of a component.
fn first<T: serde::de::DeserializeOwned>(name: &str, mut examples: Vec<Value>) -> T {
    from_value(examples.swap_remove(0)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The loss of that name with its reducer, and what it learns in the precision that such rows are computed in.
pub(crate) fn objective(name: &str, dtype: DType) -> Objective {
    let precision = match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let vars = SeededVars::new(3).builder(precision, &Device::Cpu);
    first::<LossConfig>(name, LossKind::examples(name, SIZES))
        .build_with(&vars)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn miner(name: &str) -> Arc<dyn Miner> {
    let built = first::<MinerConfig>(name, MinerKind::examples(name, SIZES)).build();
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn reducer(name: &str) -> Arc<dyn Reducer> {
    let built = first::<ReducerConfig>(name, ReducerConfig::examples(name, SIZES)).build();
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn regularizer(name: &str) -> Arc<dyn Regularizer> {
    let built = first::<RegularizerConfig>(name, RegularizerKind::examples(name, SIZES)).build();
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The distance of that name, one that learns as the identity.
pub(crate) fn distance(name: &str, dtype: DType) -> Arc<dyn Distance> {
    let vars = SeededVars::new(3).builder(dtype, &Device::Cpu);
    let config = first::<DistanceConfig>(name, DistanceConfig::examples(name, SIZES));
    let built = config.build_with(&vars);
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

/// What the loss reads: labels, or a second view.
pub(crate) fn batch(loss: &dyn Loss, x: &Var, labels: &[i64]) -> dml::Result<Batch> {
    if loss.reads_relation() {
        return Batch::new(x, labels);
    }
    let view = (x.as_tensor().flip(&[1])? * 0.5)?;
    Batch::unlabeled(x)?.with_unlabeled_reference(&view)
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
