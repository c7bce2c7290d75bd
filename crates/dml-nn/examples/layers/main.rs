//! Milliseconds of single layers, on the shapes that pretrained backbones give them.
//!
//! ```text
//! cargo run --release -p dml-nn --example layers -- [FILTER [SECONDS]]
//! ```
//!
//! Measures the rows whose name contains FILTER (`""`: all), each for SECONDS (default 1) or three passes, and prints the
//! median of the forward pass without recording and of forward with backward pass. `RAYON_NUM_THREADS` sets the number of threads.
//! `xtask/peers/layers.py` prints the same rows for PyTorch.
#![allow(clippy::print_stdout)]

mod attention;
mod convolution;
mod norms;

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Result, no_grad};
use dml_nn::Layer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A layer and the input that it is measured with.
pub(crate) struct Row {
    /// Name of the row, the same in `layers.py`.
    pub(crate) name: String,
    /// The layer.
    pub(crate) layer: Box<dyn Layer>,
    /// Shape of the input.
    pub(crate) input: Vec<usize>,
    /// Whether the backward pass computes the gradient of the input; false for the first layer of a network.
    pub(crate) needs_input: bool,
}

impl Row {
    /// A row whose input needs a gradient.
    pub(crate) fn new(
        name: impl Into<String>,
        layer: impl Layer + 'static,
        input: impl Into<Vec<usize>>,
    ) -> Self {
        Self {
            name: name.into(),
            layer: Box::new(layer),
            input: input.into(),
            needs_input: true,
        }
    }
}

/// Numbers of [−1, 1).
fn draw(shape: &[usize]) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Median milliseconds of `f`.
fn median(seconds: f64, mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    f()?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 3 || begin.elapsed() < Duration::from_secs_f64(seconds / 2.0) {
        let start = Instant::now();
        f()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn measure(row: &Row, seconds: f64) -> Result<[f64; 2]> {
    let input = draw(&row.input)?;
    let forward = || no_grad(|| row.layer.forward_t(&input, true)).map(drop);
    let forward = median(seconds, forward)?;
    let input = if row.needs_input {
        Var::from_tensor(&input)?.into_inner()
    } else {
        input
    };
    let both = median(seconds, || {
        let output = row.layer.forward_t(&input, true)?;
        if output.track_op() {
            output.backward()?;
        }
        Ok(())
    })?;
    Ok([forward, both])
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let filter = arguments.next().unwrap_or_default();
    let seconds = arguments.next().and_then(|s| s.parse().ok()).unwrap_or(1.0);
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, Device::Cpu);
    let mut rows = Vec::new();
    rows.extend(convolution::rows(rng, dtype, &device)?);
    rows.extend(norms::rows(rng, dtype, &device)?);
    rows.extend(attention::rows(rng, dtype, &device)?);
    println!("{:<44} {:>9} {:>9}", "layer", "forward", "both");
    for row in rows.iter().filter(|row| row.name.contains(&filter)) {
        let [forward, both] = measure(row, seconds)?;
        println!("{:<44} {forward:>9.2} {both:>9.2}", row.name);
    }
    for (name, mut step) in attention::steps(&device)? {
        if name.contains(&filter) {
            println!("{name:<44} {:>9.2}", median(seconds, &mut step)?);
        }
    }
    Ok(())
}
