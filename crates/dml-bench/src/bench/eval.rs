//! Exact search, among all rows and among some, k-means and whole rankings on random rows of length 1 with 128 coordinates; the
//! peer is faiss.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::Batch;
use dml::candle_core::{DType, Device, Tensor};
use dml::eval::{
    AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex, KMeans, KMeansConfig,
    KMeansStart, KnnIndex, RowSet,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Workload;
use super::data::{DIM, normal, read_file, write_file};
use super::worker::{self, Sample};

/// Updates of the centroids.
const UPDATES: usize = 20;
/// Classes of the rankings.
const CLASSES: usize = 10;

/// Searches for 1, 10, 100 and 1,000 of `rows` references by a sixth as many queries, for 10 of every second, 20th and 1,000th
/// reference by one query and by as many as before, k-means of `rows` rows into a sixtieth
/// as many clusters, and all metrics of rankings with every row ranked for every row.
pub(super) fn workloads(
    folder: &Path,
    rows: usize,
    queries: Option<usize>,
) -> anyhow::Result<Vec<Workload>> {
    let (queries, clusters) = (queries.unwrap_or(rows / 6).max(1), (rows / 60).max(1));
    let references = write(folder, "references", rows, 0)?;
    let asked = write(folder, "queries", queries, 1)?;
    let mut workloads: Vec<Workload> = [1, 10, 100, 1_000]
        .into_iter()
        .filter(|k| *k <= rows)
        .map(|k| {
            let id = format!("eval/search/k{k}/Q{queries}-R{rows}-D{DIM}");
            let told = told("search", &references, &[&asked, &k.to_string()]);
            Workload::new(id, true, told, true)
        })
        .collect();
    let one = write(folder, "query", 1, 2)?;
    for (asked, count) in [(&one, 1), (&asked, queries)] {
        for every in [2, 20, 1_000]
            .into_iter()
            .filter(|every| rows / every >= 10)
        {
            let id = format!("eval/filtered/1-in-{every}/k10/Q{count}-R{rows}-D{DIM}");
            let told = told("filtered", &references, &[asked, "10", &every.to_string()]);
            workloads.push(Workload::new(id, true, told, true));
        }
    }
    let kmeans = told(
        "kmeans",
        &references,
        &[&clusters.to_string(), &UPDATES.to_string()],
    );
    let id = format!("eval/kmeans/N{rows}-D{DIM}-C{clusters}");
    // They begin at other rows.
    workloads.push(Workload::new(id, false, kmeans, true));
    let ranking = told("ranking", &references, &[]);
    let id = format!("eval/whole-ranking/N{rows}-D{DIM}");
    // A peer would hold all pairs in memory, several times.
    workloads.push(Workload::new(id, true, ranking, false));
    Ok(workloads)
}

fn told(what: &str, references: &str, rest: &[&str]) -> Vec<String> {
    let mut told = vec!["eval".to_owned(), what.to_owned(), references.to_owned()];
    told.extend(rest.iter().map(|word| (*word).to_owned()));
    told
}

/// Writes random rows of length 1; returns where.
fn write(folder: &Path, name: &str, rows: usize, seed: u64) -> anyhow::Result<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = Vec::with_capacity(4 * rows * DIM);
    for _ in 0..rows {
        let row: Vec<f32> = (0..DIM).map(|_| normal(&mut rng)).collect();
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        bytes.extend(row.iter().flat_map(|x| (x / length).to_le_bytes()));
    }
    write_file(folder, &format!("{name}.f32"), bytes)
}

fn read(path: &str, device: &Device) -> anyhow::Result<Tensor> {
    let bytes = fs::metadata(path).with_context(|| path.to_owned())?.len();
    read_file(path, DType::F32, &[bytes as usize / 4 / DIM, DIM], device)
}

/// The worker.
pub(super) fn serve(told: &[String], device: &Device) -> anyhow::Result<()> {
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    match told[..] {
        ["search", references, queries, k] => {
            let (queries, k) = (read(queries, device)?, k.parse::<usize>()?);
            let mut index = FlatIndex::default();
            index.add(&read(references, device)?)?;
            timed(|| {
                let found = index.search(&queries, k)?;
                Ok(found.distances.iter().sum::<f64>() / found.distances.len() as f64)
            })
        }
        ["filtered", references, queries, k, every] => {
            let (queries, k) = (read(queries, device)?, k.parse::<usize>()?);
            let every: usize = every.parse()?;
            let mut index = FlatIndex::default();
            index.add(&read(references, device)?)?;
            let some = RowSet::from_fn(index.len(), |row| row % every == 0);
            timed(|| {
                let found = index.search_among(&queries, k, &some)?;
                Ok(found.distances.iter().sum::<f64>() / found.distances.len() as f64)
            })
        }
        ["kmeans", rows, clusters, updates] => {
            let (rows, clusters) = (read(rows, device)?, clusters.parse()?);
            let kmeans = KMeans::new(KMeansConfig {
                niter: updates.parse()?,
                start: KMeansStart::Random,
                ..KMeansConfig::default()
            })?;
            timed(|| Ok(kmeans.fit(&rows, clusters)?.inertia))
        }
        ["ranking", rows] => {
            let rows = read(rows, device)?;
            let labels: Vec<i64> = (0..rows.dims()[0])
                .map(|row| (row % CLASSES) as i64)
                .collect();
            let batch = Batch::new(&rows, labels)?;
            let config = AccuracyCalculatorConfig {
                exclude: vec![AccuracyMetric::AMI, AccuracyMetric::NMI],
                ..AccuracyCalculatorConfig::default()
            };
            let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
            timed(|| {
                let accuracies = calculator.get_accuracy(&batch)?;
                let score = accuracies.get("mean_average_precision");
                Ok(score.context("it was asked for")?.value)
            })
        }
        _ => bail!("eval: no workload {told:?}"),
    }
}

fn timed(mut work: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<()> {
    worker::serve(|| {
        let start = Instant::now();
        let loss = work()?;
        Ok(Sample::since(start, loss, 0))
    })
}
