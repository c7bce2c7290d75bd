//! Rows around centres, and indexes of them, for the tests of the indexes.

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::index::KnnIndex;

/// Rows `[count, dim]` around so many centres, which are the same for every seed.
pub(crate) fn around_centres(centres: usize, count: usize, dim: usize, seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(99);
    let places: Vec<f32> = (0..centres * dim)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..count * dim)
        .map(|i| places[(i / dim % centres) * dim + i % dim] + rng.random_range(-0.5..0.5))
        .collect();
    Tensor::from_vec(values, (count, dim), &Device::Cpu).unwrap()
}

/// Adds rows in two pieces.
pub(crate) fn add_in_two(index: &mut dyn KnnIndex, rows: &Tensor) {
    let count = rows.dims()[0];
    let first = count / 3;
    index.add(&rows.narrow(0, 0, first).unwrap()).unwrap();
    index
        .add(&rows.narrow(0, first, count - first).unwrap())
        .unwrap();
}
