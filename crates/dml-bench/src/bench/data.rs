//! Rows of numbers and labels that ours and the peer's read from the same files.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use dml::candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(super) const DIM: usize = 128;

/// Writes rows around one random centre a class, as apart as embeddings early in training, and their labels. Returns what a
/// worker receives as arguments: EMBEDDINGS LABELS ROWS DIM.
pub(super) fn write(folder: &Path, rows: usize, classes: usize) -> anyhow::Result<[String; 4]> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let centres: Vec<f32> = (0..classes * DIM).map(|_| 0.6 * normal(&mut rng)).collect();
    let mut embeddings: Vec<u8> = Vec::with_capacity(4 * rows * DIM);
    for row in 0..rows {
        for x in &centres[row % classes * DIM..][..DIM] {
            embeddings.extend((x + normal(&mut rng)).to_le_bytes());
        }
    }
    let labels = (0..rows).flat_map(|row| ((row % classes) as i64).to_le_bytes());
    let file = |ending, bytes| write_file(folder, &format!("{rows}-{classes}.{ending}"), bytes);
    Ok([
        file("f32", embeddings)?,
        file("i64", labels.collect())?,
        rows.to_string(),
        DIM.to_string(),
    ])
}

/// Writes a file of a folder; returns where it is.
pub(super) fn write_file(folder: &Path, name: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    let path = folder.join(name);
    fs::write(&path, bytes)?;
    Ok(path.to_string_lossy().into_owned())
}

/// The sum of twelve uniform numbers, which is close enough to a normal one.
pub(super) fn normal(rng: &mut impl Rng) -> f32 {
    (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum()
}

/// Embeddings `[rows, dim]` and labels, as written by [`write()`].
pub(super) fn read(told: &[String], device: &Device) -> anyhow::Result<(Tensor, Vec<i64>)> {
    let [embeddings, labels, rows, dim] = told else {
        bail!("expected EMBEDDINGS LABELS ROWS DIM, got {told:?}");
    };
    let (rows, dim) = (rows.parse()?, dim.parse()?);
    let labels = read_file(labels, DType::I64, &[rows], &Device::Cpu)?;
    let embeddings = read_file(embeddings, DType::F32, &[rows, dim], device)?;
    Ok((embeddings, labels.to_vec1()?))
}

/// Numbers of a file.
pub(super) fn read_file(
    path: &str,
    dtype: DType,
    shape: &[usize],
    device: &Device,
) -> anyhow::Result<Tensor> {
    let bytes = fs::read(path).with_context(|| path.to_owned())?;
    Ok(Tensor::from_raw_buffer(&bytes, dtype, shape, device)?)
}
