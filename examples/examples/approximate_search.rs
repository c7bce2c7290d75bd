//! Exact and approximate search side by side: how many of the nearest rows a graph of neighbours finds, and how fast.
//!
//! 200,000 rows of 128 numbers around 1,000 centres, and 1,000 queries around the same ones.
//! `cargo run --release -p dml-examples --features usearch-simd --example approximate_search`; with `usearch` alone it
//! builds minutes faster and searches slower.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use dml::candle_core::{Device, Tensor};
use dml::eval::{FlatIndex, FlatMetric, KnnIndex, Neighbors, UsearchIndex, UsearchIndexConfig};
use dml_examples::terminal::main_of;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 200_000;
const QUERIES: usize = 1_000;
const DIM: usize = 128;
const CENTRES: usize = 1_000;
/// Neighbours of a query.
const K: usize = 10;

fn main() -> ExitCode {
    main_of(run)
}

fn run(out: &mut dyn Write) -> anyhow::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let centres: Vec<f32> = (0..CENTRES * DIM).map(|_| normal(&mut rng)).collect();
    let rows = around(&centres, ROWS, &mut rng)?;
    let queries = around(&centres, QUERIES, &mut rng)?;

    let mut exact = FlatIndex::new(FlatMetric::default());
    writeln!(out, "exact: {:.1} s to fill", fill(&mut exact, &rows)?)?;
    let (nearest, speed) = search(&exact, &queries)?;
    writeln!(out, "  {speed:.0} queries a second")?;

    let mut graph = UsearchIndex::new(UsearchIndexConfig {
        parallel_build: true,
        ..Default::default()
    })?;
    writeln!(out, "graph: {:.1} s to fill", fill(&mut graph, &rows)?)?;
    // The argument of every graph of neighbours: how many candidates a search keeps.
    for candidates in [16, 32, 64, 128, 256] {
        graph.set_expansion_search(candidates)?;
        let (found, speed) = search(&graph, &queries)?;
        let recall = recall(&found, &nearest);
        writeln!(
            out,
            "  {candidates} candidates: recall@{K} {recall:.4}, {speed:.0} queries a second"
        )?;
    }
    Ok(())
}

/// Seconds that it takes to add the rows.
fn fill(index: &mut impl KnnIndex, rows: &Tensor) -> anyhow::Result<f64> {
    let start = Instant::now();
    index.add(rows)?;
    Ok(start.elapsed().as_secs_f64())
}

/// What is found, and queries a second: the median of five times, after one that warms up.
fn search(index: &impl KnnIndex, queries: &Tensor) -> anyhow::Result<(Neighbors, f64)> {
    let found = index.search(queries, K)?;
    let mut seconds = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        index.search(queries, K)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok((found, QUERIES as f64 / seconds[2]))
}

/// How many of the nearest are among those found.
fn recall(found: &Neighbors, nearest: &Neighbors) -> f64 {
    let pairs = found.iter().zip(nearest.iter());
    let common: usize = pairs
        .map(|((found, _), (nearest, _))| nearest.iter().filter(|row| found.contains(row)).count())
        .sum();
    common as f64 / nearest.indices.len() as f64
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
