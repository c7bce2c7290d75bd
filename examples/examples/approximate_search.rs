//! Exact and approximate search side by side: how many of the nearest rows a graph of neighbours finds, and how fast.
//!
//! 200,000 rows of 128 numbers around 1,000 centres, and 1,000 queries around the same ones.
//! `cargo run --release -p dml-examples --features usearch --example approximate_search`

#![allow(clippy::print_stdout)] // A program for a terminal: what it prints is its result.

use std::time::Instant;

use dml::candle_core::{Device, Tensor};
use dml::config::KnnConfig;
use dml::eval::Neighbors;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 200_000;
const QUERIES: usize = 1_000;
const DIM: usize = 128;
const CENTRES: usize = 1_000;
/// Neighbours of a query.
const K: usize = 10;

fn main() -> anyhow::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let centres: Vec<f32> = (0..CENTRES * DIM).map(|_| normal(&mut rng)).collect();
    let rows = around(&centres, ROWS, &mut rng)?;
    let queries = around(&centres, QUERIES, &mut rng)?;

    // Each with its defaults.
    let exact = measure("FlatIndex", &rows, &queries)?;
    let approximate = measure("UsearchIndex", &rows, &queries)?;
    let pairs = approximate.iter().zip(exact.iter());
    let found: usize = pairs
        .map(|((found, _), (nearest, _))| nearest.iter().filter(|row| found.contains(row)).count())
        .sum();
    let recall = found as f64 / exact.indices.len() as f64;
    println!("recall@{K} of the graph: {recall:.4}");
    Ok(())
}

/// Fills an index, searches it, and prints how long both take.
fn measure(name: &str, rows: &Tensor, queries: &Tensor) -> anyhow::Result<Neighbors> {
    let mut index = KnnConfig::from_json(name)?.build()?.to_empty();
    let start = Instant::now();
    index.add(rows)?;
    let filled = start.elapsed().as_secs_f64();
    // The first search warms up.
    index.search(queries, K)?;
    let start = Instant::now();
    let found = index.search(queries, K)?;
    let per_second = QUERIES as f64 / start.elapsed().as_secs_f64();
    println!("{name}: {ROWS} rows in {filled:.1} s, {per_second:.0} queries a second");
    Ok(found)
}

/// Rows near a centre each.
fn around(centres: &[f32], count: usize, rng: &mut ChaCha8Rng) -> anyhow::Result<Tensor> {
    let mut values = Vec::with_capacity(count * DIM);
    for i in 0..count {
        let centre = &centres[i % CENTRES * DIM..][..DIM];
        values.extend(centre.iter().map(|x| x + 0.7 * normal(rng)));
    }
    Ok(Tensor::from_vec(values, (count, DIM), &Device::Cpu)?)
}

/// About a normal number of variance 1: the sum of twelve uniform ones.
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum()
}
