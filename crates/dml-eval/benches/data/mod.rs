//! Rows that benches search and measure.

// Each bench takes what it needs.
#![allow(dead_code)]

use dml_core::candle_core::{Device, Tensor};
use dml_core::{Result, TensorExt};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers of a row.
pub(crate) const DIM: usize = 128;

/// Centres that [`clustered`] rows lie around.
const CENTRES: usize = 1_000;

/// Points on the unit sphere.
pub(crate) fn rows(count: usize, seed: u64) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // The sum of four uniform numbers is close enough to a normal one.
    let mut normal = || (0..4).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
    let values: Vec<f32> = (0..count * DIM).map(|_| normal()).collect();
    Tensor::from_vec(values, (count, DIM), &Device::Cpu)?.normalize_rows(2.0)
}

/// Points around a centre each, of a thousand that are always the same.
pub(crate) fn clustered(count: usize, seed: u64) -> Result<Tensor> {
    let which: Vec<u32> = (0..count).map(|i| (i % CENTRES) as u32).collect();
    let which = Tensor::new(which, &Device::Cpu)?;
    let centres = rows(CENTRES, 7)?.index_select(&which, 0)?;
    Ok((centres + (rows(count, seed)? * 0.7)?)?)
}
