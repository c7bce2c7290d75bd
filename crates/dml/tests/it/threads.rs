//! The same seed gives the same bits, whatever the number of threads.

use dml::candle_core::{DType, Device, Tensor, Var};
use dml::config::{DistanceConfig, LossKind, MinerKind};
use dml::core::Relation;
use dml::eval::{Clusterer, FlatIndex, FlatMetric, KMeans, KMeansConfig, KnnIndex};
use dml::{Batch, Tuples};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::registry::{DIM, batch, distance, gradient, miner, number, objective};

/// Enough rows that every loop is cut into several pieces, and one more than a multiple of 16, so that a piece could have one row.
const ROWS: usize = 321;

/// Numbers of threads; one of them divides nothing.
const THREADS: [usize; 4] = [1, 2, 3, 7];

fn rows(seed: u64) -> (Var, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let x: Vec<f32> = (0..ROWS * DIM)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let x = Tensor::from_vec(x, (ROWS, DIM), &Device::Cpu).unwrap();
    let labels = (0..ROWS).map(|i| (i % 3) as i64).collect();
    (Var::from_tensor(&x).unwrap(), labels)
}

/// Bits of what `f` computes in pools of several sizes; fails by the name if two differ.
fn assert_same_bits(what: &str, f: impl Fn() -> Vec<f64> + Sync) {
    let mut first: Option<Vec<u64>> = None;
    for threads in THREADS {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let numbers = pool.unwrap().install(&f);
        let bits: Vec<u64> = numbers.iter().map(|number| number.to_bits()).collect();
        match &first {
            None => first = Some(bits),
            Some(first) => {
                let differing = first.iter().zip(&bits).filter(|(a, b)| a != b).count();
                assert_eq!(
                    (first.len(), differing),
                    (bits.len(), 0),
                    "{what}: numbers that differ between 1 and {threads} threads"
                );
            }
        }
    }
}

#[test]
fn losses_and_gradients() {
    let (x, labels) = rows(1);
    for name in LossKind::NAMES {
        assert_same_bits(name, || {
            let objective = objective(name, DType::F32);
            let batch = batch(objective.loss(), &x, &labels).unwrap();
            let loss = objective.forward(&batch).unwrap();
            let mut numbers = gradient(&loss, &x).unwrap();
            numbers.push(number(&loss));
            numbers
        });
    }
}

#[test]
fn miners() {
    let (x, labels) = rows(2);
    let batch = Batch::new(&x, labels.as_slice()).unwrap();
    for name in MinerKind::NAMES
        .iter()
        .filter(|name| **name != "HardNegativeMiner")
    {
        assert_same_bits(name, || {
            let miner = miner(name);
            let tuples: Tuples = match miner.mine(&batch) {
                Ok(tuples) => tuples,
                Err(error) => panic!("{name}: {error}"),
            };
            let pairs = tuples.pairs(&batch).unwrap();
            let rows = pairs.positives.iter().chain(&pairs.negatives);
            rows.map(|row| f64::from(*row)).collect()
        });
    }
}

#[test]
fn distances() {
    let (x, _) = rows(3);
    for name in DistanceConfig::NAMES
        .iter()
        .filter(|name| **name != "HammingDistance")
    {
        assert_same_bits(name, || {
            let matrix = distance(name, DType::F32).matrix(&x, None).unwrap();
            let mut numbers = gradient(&matrix.sum_all().unwrap(), &x).unwrap();
            let matrix = matrix.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
            numbers.extend(matrix.to_vec1::<f64>().unwrap());
            numbers
        });
    }
}

#[test]
fn clusters_and_neighbours() {
    let (x, _) = rows(4);
    assert_same_bits("KMeans", || {
        let kmeans = KMeans::new(KMeansConfig::default()).unwrap();
        let clusters = kmeans.cluster(&x, 5).unwrap();
        clusters
            .as_slice()
            .iter()
            .map(|label| *label as f64)
            .collect()
    });
    assert_same_bits("FlatIndex", || {
        let mut index = FlatIndex::new(FlatMetric::SquaredEuclidean);
        index.add(&x).unwrap();
        let found = index.search(&x, 9).unwrap();
        found.distances
    });
}

#[test]
fn relations_count_the_same() {
    let (_, labels) = rows(5);
    assert_same_bits("Relation", || {
        let (positive, negative) = Relation::labels(labels.as_slice()).unwrap().counts();
        vec![positive as f64, negative as f64]
    });
}
