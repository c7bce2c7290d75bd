//! Milliseconds of a training step of `MiniLM`: 32 pairs of texts of 64 tokens, in-batch negatives with a temperature of 0.05,
//! dropout of 0.1, `AdamW`. Random weights.
//!
//! `cargo run --release -p dml-models --example minilm_step [STEPS]`; `RAYON_NUM_THREADS` sets the number of threads.
//! PyTorch's: `xtask/peers/minilm_step.py`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use candle_core::{D, DType, Device, Tensor};
use dml_models::text::{BertConfig, Pooling, TextConfig, TextEncoder, TextModule};
use dml_nn::{AdamW, AdamWConfig, Layer, Optimizer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PAIRS: usize = 32;
const TOKENS: usize = 64;
const TEMPERATURE: f64 = 0.05;

fn encoder(rng: &mut ChaCha8Rng) -> dml_core::Result<TextEncoder> {
    let mut config = BertConfig::default();
    config.hidden_size = 384;
    config.num_hidden_layers = 6;
    config.intermediate_size = 1536;
    let network = TextConfig::Bert(config).build(rng, DType::F32, &Device::Cpu)?;
    TextEncoder::new(network, Pooling::Mean).with("2_Normalize", TextModule::Normalize)
}

/// Mean of −ln softmax of the diagonal.
fn loss(first: &Tensor, second: &Tensor) -> candle_core::Result<Tensor> {
    let scores = (first.matmul(&second.t()?)? / TEMPERATURE)?;
    let sums = scores.exp()?.sum(D::Minus1)?.log()?;
    let diagonal = (scores * Tensor::eye(PAIRS, DType::F32, &Device::Cpu)?)?.sum(D::Minus1)?;
    (sums - diagonal)?.mean_all()
}

fn main() -> dml_core::Result<()> {
    let steps = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(10);
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let encoder = encoder(rng)?;
    let config = AdamWConfig {
        lr: 2e-5,
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(encoder.parameters(), config)?;
    let mut view = || {
        let ids: Vec<u32> = (0..PAIRS * TOKENS)
            .map(|_| rng.random_range(1_000..30_000))
            .collect();
        Tensor::from_vec(ids, (PAIRS, TOKENS), &Device::Cpu)
    };
    let (first, second) = (view()?, view()?);
    let mut times = Vec::new();
    // The first two steps allocate.
    for step in 0..steps + 2 {
        let start = Instant::now();
        let embeddings = [&first, &second].map(|ids| encoder.forward_t(ids, true));
        let [first, second] = embeddings;
        optimizer.step(&loss(&first?, &second?)?.backward()?)?;
        if step >= 2 {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    if let Some(median) = times.get(times.len() / 2) {
        println!("{median:.0} ms a step");
    }
    Ok(())
}
