//! The features of a frozen network, computed once and kept.
//!
//! ```text
//! once:    fᵢ = backbone(xᵢ) for every row i
//! step:    z = head(f of the rows of the batch)
//! ```
//!
//! Training a head on a frozen backbone then takes no pass over the backbone. Augmentations of the data set are drawn once,
//! with the features.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use dml_core::{Dataset, Error, Examples, IntoLabels, Labels, Result, check, checkpoint, no_grad};

use crate::TrainError;
use crate::config::config;

/// Names of the tensors of a file.
const LABELS: &str = "labels";
const ROWS: &str = "rows";
const VIEW: &str = "features.";

config! {
    /// Configuration of [`CachedFeatures::compute`].
    pub struct CachedFeaturesConfig {
        /// Rows that the network gets at once, at least 1. Default 64.
        pub rows_per_batch: usize = 64,
        /// Most bytes of all features in single precision. Default 4 GiB.
        pub most_bytes: usize = 4 << 30,
        /// Seed of what is random about the data set. Default 0.
        pub seed: u64 = 0,
    }
}

/// The features of a frozen network, computed once: a data set in single precision, in memory or from a safetensors file.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{CachedFeatures, CachedFeaturesConfig, MetricLossOnly, Trainer};
///
/// let backbone = module("backbone", 784, 32)?;
/// let config = CachedFeaturesConfig::default();
/// let features = CachedFeatures::compute(&digits()?, &config, |view| backbone.forward(view, false))?;
/// let method = MetricLossOnly::new(module("head", 32, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, features, sampler()?).build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CachedFeatures {
    /// `[rows that could be read, …]`, one tensor for each view.
    views: Vec<Tensor>,
    labels: Labels,
    /// Rows of the data set that the features belong to, in order.
    rows: Vec<usize>,
    /// Position of every row of the data set among the features; `None` for rows that could not be read.
    positions: Vec<Option<u32>>,
}

impl CachedFeatures {
    /// Embeds every row of a data set. `embed` gets views as the data set returns them, on the CPU; its result is kept on the
    /// CPU in single precision. Rows that the data set leaves out are left out of the batches, too.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for no rows in a batch, [`Error::Size`] if the features take more than
    /// [`most_bytes`](CachedFeaturesConfig::most_bytes), [`Error::Shape`] for features of another shape than those of the
    /// first rows; as the data set and `embed`.
    pub fn compute(
        dataset: &dyn Dataset,
        config: &CachedFeaturesConfig,
        mut embed: impl FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let step = check::at_least_one("rows_per_batch", config.rows_per_batch)?;
        let all: Vec<usize> = (0..dataset.len()).collect();
        let mut columns: Vec<Column> = Vec::new();
        let mut rows = Vec::new();
        for batch in all.chunks(step) {
            let examples = dataset.fetch(batch, config.seed)?;
            if examples.is_empty() {
                continue;
            }
            let views = examples.views();
            if columns.is_empty() {
                columns.resize_with(views.len(), Column::default);
            }
            check::length("views", columns.len(), views.len())?;
            for (view, column) in views.iter().zip(&mut columns) {
                let features = no_grad(|| embed(view))?.detach();
                let got = features.dims().first().copied().unwrap_or(0);
                check::length("features", examples.len(), got)?;
                if rows.is_empty() {
                    let per_row = features.elem_count() / examples.len();
                    let counts = [views.len(), all.len(), per_row];
                    check_size(&counts, config.most_bytes)?;
                    column.values.reserve_exact(all.len() * per_row);
                }
                column.append(&features)?;
            }
            rows.extend_from_slice(examples.rows());
        }
        let count = rows.len();
        let views = columns.into_iter().map(|own| own.into_tensor(count));
        Self::new(
            views.collect::<Result<_>>()?,
            dataset.labels().clone(),
            rows,
        )
    }

    fn new(views: Vec<Tensor>, labels: Labels, rows: Vec<usize>) -> Result<Self> {
        let mut positions = vec![None; labels.len()];
        check::indices(ROWS, rows.iter().copied(), labels.len())?;
        for (position, row) in rows.iter().enumerate() {
            positions[*row] = Some(position as u32);
        }
        Ok(Self {
            views,
            labels,
            rows,
            positions,
        })
    }

    /// Features of every row that could be read, `[rows, …]`, one tensor for each view.
    #[must_use]
    pub fn views(&self) -> &[Tensor] {
        &self.views
    }

    /// Writes features, rows and labels to a safetensors file, whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Tensors`] if the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> crate::Result<()> {
        let rows: Vec<i64> = self.rows.iter().map(|row| *row as i64).collect();
        let labels = self.labels.as_slice().to_vec();
        let mut tensors = HashMap::new();
        for (name, numbers) in [(ROWS, rows), (LABELS, labels)] {
            let count = numbers.len();
            let tensor = Tensor::from_vec(numbers, count, &Device::Cpu)?;
            tensors.insert(name.to_owned(), tensor);
        }
        for (i, view) in self.views.iter().enumerate() {
            tensors.insert(format!("{VIEW}{i}"), view.clone());
        }
        Ok(checkpoint::save(path.as_ref(), &tensors)?)
    }

    /// Reads a file that [`save`](Self::save) has written into memory.
    ///
    /// # Errors
    /// [`TrainError::Io`] and [`TrainError::Tensors`] if the file can't be read or is damaged, [`TrainError::Core`] for a file
    /// of more than `most_bytes`, [`TrainError::Damaged`] if its tensors are not those of features.
    pub fn open(path: impl AsRef<Path>, most_bytes: usize) -> crate::Result<Self> {
        let path = path.as_ref();
        let length = std::fs::metadata(path).map_err(TrainError::io("read", path))?;
        check_size(&[length.len().div_ceil(4) as usize], most_bytes)?;
        let mut tensors = checkpoint::load(path, &Device::Cpu)?;
        let mut numbers = |name: &str| -> Option<Vec<i64>> { tensors.remove(name)?.to_vec1().ok() };
        let (rows, labels) = (numbers(ROWS), numbers(LABELS));
        let views: Vec<Option<Tensor>> = (0..tensors.len())
            .map(|i| tensors.remove(&format!("{VIEW}{i}")))
            .collect();
        let views: Option<Vec<Tensor>> = views.into_iter().collect();
        let refuse = || TrainError::damaged(path)("expected features, rows and labels");
        let (Some(rows), Some(labels), Some(views)) = (rows, labels, views) else {
            return Err(refuse());
        };
        let fits =
            |view: &Tensor| view.dtype() == DType::F32 && view.dims().first() == Some(&rows.len());
        let increases = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !views.iter().all(fits) || !increases {
            return Err(refuse());
        }
        let rows: std::result::Result<Vec<usize>, _> =
            rows.into_iter().map(usize::try_from).collect();
        let rows = rows.map_err(|_| refuse())?;
        Self::new(views, labels.into_labels()?, rows).map_err(|_| refuse())
    }
}

impl Dataset for CachedFeatures {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], _: u64) -> Result<Examples> {
        check::indices("rows", rows.iter().copied(), self.positions.len())?;
        let kept = rows
            .iter()
            .filter_map(|row| Some((*row, self.positions[*row]?)));
        let (kept, positions): (Vec<usize>, Vec<u32>) = kept.unzip();
        let count = positions.len();
        let positions = Tensor::from_vec(positions, count, &Device::Cpu)?;
        let views = self.views.iter();
        let views = views.map(|view| Ok(view.index_select(&positions, 0)?));
        Examples::with_views(views.collect::<Result<_>>()?, &kept, &self.labels)
    }
}

/// Features of one view, while they are computed.
#[derive(Default)]
struct Column {
    values: Vec<f32>,
    /// Shape of the features of a row.
    shape: Option<Vec<usize>>,
}

impl Column {
    fn append(&mut self, features: &Tensor) -> Result<()> {
        let shape = self
            .shape
            .get_or_insert_with(|| features.dims()[1..].to_vec());
        let fits = features.dims()[1..] == shape[..];
        check::shape(fits, "features", features, "that of the first rows")?;
        let values = features.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        self.values.extend(values.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    fn into_tensor(self, rows: usize) -> Result<Tensor> {
        let mut shape = vec![rows];
        shape.extend(self.shape.unwrap_or_default());
        Ok(Tensor::from_vec(self.values, shape, &Device::Cpu)?)
    }
}

/// Checks that features in single precision fit into a number of bytes.
fn check_size(counts: &[usize], most_bytes: usize) -> Result<()> {
    let most = most_bytes / size_of::<f32>();
    let count = counts
        .iter()
        .try_fold(1usize, |all, own| all.checked_mul(*own));
    if count.is_none_or(|count| count > most) {
        return Err(Error::Size {
            name: "most_bytes of features",
            most,
            got: counts.to_vec(),
        });
    }
    check::elements("features", counts, size_of::<f32>())?;
    Ok(())
}
