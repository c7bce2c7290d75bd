//! Where the time of a training step goes: PyTorch Metric Learning's MNIST network, batch 256, Adam.
//!
//! `cargo run --release -p dml-nn --example mnist_step [STEPS]`; `RAYON_NUM_THREADS` sets the number of threads.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use dml_core::SeedSequence;
use dml_nn::{
    Adam, AdamConfig, Conv2d, Conv2dConfig, Dropout2d, Dropout2dConfig, Flatten, Layer, Linear,
    LinearConfig, MaxPool2d, MaxPool2dConfig, Optimizer, Relu, Sequential,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BATCH: usize = 256;

fn network() -> dml_core::Result<Sequential> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let conv = |i, o, rng: &mut ChaCha8Rng| {
        Conv2d::new(Conv2dConfig::new(i, o, [3, 3]), rng, dtype, device)
    };
    Ok(Sequential::default()
        .with("conv1", conv(1, 32, rng)?)
        .with("relu1", Relu)
        .with("conv2", conv(32, 64, rng)?)
        .with("relu2", Relu)
        .with("pool", MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?)
        .with(
            "dropout1",
            Dropout2d::new(Dropout2dConfig { p: 0.25 }, SeedSequence::new(1))?,
        )
        .with("flatten", Flatten)
        .with(
            "fc1",
            Linear::new(LinearConfig::new(9216, 128), rng, dtype, device)?,
        ))
}

/// Milliseconds that all threads of this process have computed so far, which other programs don't lengthen; NaN where
/// the system doesn't tell.
fn computed() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return f64::NAN;
    };
    threads
        .flatten()
        .filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        })
        .sum::<f64>()
        / 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> dml_core::Result<()> {
    let steps = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let network = network()?;
    let mut adam = Adam::new(network.parameters(), AdamConfig::from(0.01))?;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut draw = |shape: &[usize]| {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    };
    let (images, weights) = (draw(&[BATCH, 1, 28, 28])?, draw(&[BATCH, 128])?);
    let mut wall: [Vec<f64>; 4] = Default::default();
    let mut cpu: [Vec<f64>; 4] = Default::default();
    for _ in 0..steps {
        let mut times = vec![(Instant::now(), computed())];
        let embeddings = network.forward_t(&images, true)?;
        times.push((Instant::now(), computed()));
        let gradients = (embeddings * &weights)?.mean_all()?.backward()?;
        times.push((Instant::now(), computed()));
        adam.step(&gradients)?;
        drop(gradients);
        times.push((Instant::now(), computed()));
        for part in 0..4 {
            let (from, to) = if part < 3 { (part, part + 1) } else { (0, 3) };
            wall[part].push((times[to].0 - times[from].0).as_secs_f64() * 1e3);
            cpu[part].push(times[to].1 - times[from].1);
        }
    }
    println!("milliseconds, median of {steps} steps   wall   least   computed (all threads)");
    let names = ["forward", "backward", "Adam", "whole step"];
    for ((name, wall), cpu) in names.iter().zip(wall).zip(cpu) {
        let least = wall.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{name:<36} {:>6.1} {least:>7.1} {:>8.1}",
            median(wall),
            median(cpu)
        );
    }
    Ok(())
}
