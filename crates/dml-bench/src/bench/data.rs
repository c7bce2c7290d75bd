//! Embeddings and labels that ours and the peer's read from the same files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dml::candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(super) const DIM: usize = 128;

/// Embeddings `[rows, DIM]` of some classes, on disk.
pub(super) struct Data {
    folder: PathBuf,
    rows: usize,
    classes: usize,
}

impl Data {
    /// Writes rows around one random centre a class: as apart as embeddings early in training.
    pub(super) fn write(folder: &Path, rows: usize, classes: usize) -> anyhow::Result<Self> {
        let data = Self {
            folder: folder.to_owned(),
            rows,
            classes,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        // The sum of twelve uniform numbers is close enough to a normal one.
        let mut normal = || (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
        let centres: Vec<f32> = (0..classes * DIM).map(|_| 0.6 * normal()).collect();
        let labels: Vec<i64> = (0..rows).map(|i| (i % classes) as i64).collect();
        let mut embeddings: Vec<u8> = Vec::with_capacity(4 * rows * DIM);
        for &class in &labels {
            for x in &centres[class as usize * DIM..][..DIM] {
                embeddings.extend((x + normal()).to_le_bytes());
            }
        }
        let labels: Vec<u8> = labels.iter().flat_map(|y| y.to_le_bytes()).collect();
        fs::write(data.embeddings(), embeddings)?;
        fs::write(data.labels(), labels)?;
        Ok(data)
    }

    fn embeddings(&self) -> PathBuf {
        self.folder
            .join(format!("{}-{}.f32", self.rows, self.classes))
    }

    fn labels(&self) -> PathBuf {
        self.folder
            .join(format!("{}-{}.i64", self.rows, self.classes))
    }

    /// What a worker is told of the data: EMBEDDINGS LABELS ROWS DIM.
    pub(super) fn told(&self) -> [String; 4] {
        [
            self.embeddings().to_string_lossy().into_owned(),
            self.labels().to_string_lossy().into_owned(),
            self.rows.to_string(),
            DIM.to_string(),
        ]
    }
}

/// Embeddings `[rows, dim]` and labels, as told by [`Data::told`].
pub(super) fn read(told: &[String; 4], device: &Device) -> anyhow::Result<(Tensor, Vec<i64>)> {
    let [embeddings, labels, rows, dim] = told;
    let bytes = |path: &String| fs::read(path).with_context(|| path.clone());
    let x: Vec<f32> = bytes(embeddings)?
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let y: Vec<i64> = bytes(labels)?
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
        .collect();
    let shape = (rows.parse::<usize>()?, dim.parse::<usize>()?);
    Ok((Tensor::from_vec(x, shape, device)?, y))
}
