//! Exact search by any distance.
//!
//! The distance's own matrix is taken in blocks of queries, and the closest of each row are picked: the smallest of a
//! distance, the largest of a similarity. Slower than [`FlatIndex`](crate::FlatIndex), whose three metrics are known.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::{Distance, Order, Result, check, for_element};

use crate::index::file::{self, Header, IndexFileError, Norms, Payload, Rows};
use crate::index::knn_index::{check_among, checked_threshold, kept_rows};
use crate::index::{KnnIndex, Neighbors, NeighborsWithin, RowSet, SelfMatch};
use crate::kernels::nearest::{closest_first, closest_of_rows};
use crate::rows::distance_blocks::each_matrix;
use crate::rows::{check_finite, checked_rows, rows_like, selected};

dml_core::config! {
    /// Configuration of [`CustomKNN`].
    #[derive(Eq)]
    pub struct CustomKNNConfig {
        /// Number of queries whose distances are in memory at once; 1 to 4,294,967,295. Default: a distance matrix of about
        /// four million entries.
        pub batch_size: Option<usize> = None,
    }
}

/// Exact nearest neighbours by any [`Distance`]; its values are the distances that are found.
///
/// Rows are kept on the device of the first of them, where they are compared.
///
/// A search returns an error if a distance is NaN. A file holds the references and not the distance: load it into an index
/// with the distance that it was saved with.
///
/// ```
/// use dml_core::{Distance, Result, TensorExt, candle_core::{Device, Tensor}};
/// use dml_eval::{CustomKNN, CustomKNNConfig, KnnIndex};
///
/// #[derive(Debug)]
/// struct Manhattan;
///
/// impl Distance for Manhattan {
///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
///         query.pairwise_lp(reference.unwrap_or(query), 1.0)
///     }
/// }
///
/// let mut index = CustomKNN::new(CustomKNNConfig::default(), Manhattan)?;
/// index.add(&Tensor::new(&[[0f32, 0.], [3., 4.], [1., 0.]], &Device::Cpu)?)?;
/// let found = index.search(&Tensor::new(&[[2f32, 2.]], &Device::Cpu)?, 2)?;
/// assert_eq!((found.indices, found.distances), (vec![1, 2], vec![3.0, 3.0]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CustomKNN {
    batch_size: Option<usize>,
    distance: Arc<dyn Distance>,
    references: Option<Tensor>,
}

impl CustomKNN {
    /// An index without references.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is 0.
    pub fn new(config: CustomKNNConfig, distance: impl Distance + 'static) -> Result<Self> {
        let batch_size = config.batch_size;
        let batch_size = batch_size.map(|size| check::at_least_one("batch_size", size));
        Ok(Self {
            batch_size: batch_size.transpose()?,
            distance: Arc::new(distance),
            references: None,
        })
    }

    /// Rows that can be compared with those that are there, on their device.
    fn checked(&self, arg: &'static str, rows: &Tensor) -> Result<Tensor> {
        let rows = match &self.references {
            None => checked_rows(arg, rows, None, None)?,
            Some(references) => rows_like(arg, rows, references)?.to_device(references.device())?,
        };
        check_finite(arg, &rows)?;
        Ok(rows)
    }
}

impl KnnIndex for CustomKNN {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let new = self.checked("references", references)?;
        if new.dims()[0] == 0 {
            return Ok(());
        }
        self.references = Some(match &self.references {
            // A copy: what was given may be a variable that changes.
            None => new.copy()?,
            Some(old) => Tensor::cat(&[old, &new], 0)?,
        });
        Ok(())
    }

    fn search_others(
        &self,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors> {
        let queries = self.checked("queries", queries)?;
        let count = queries.dims()[0];
        self_matches.check(count, self.len(), k)?;
        let Some(references) = &self.references else {
            return Ok(Neighbors::default());
        };
        let largest_first = self.distance.order() == Order::LargerIsCloser;
        let mut found = Neighbors::with_capacity(count, k);
        let take = |start, matrix: Tensor| {
            let columns = matrix.dims()[1];
            let self_matches = |q: usize| self_matches.of(start + q);
            let (nearest, all_numbers) = for_element!(matrix, "distance matrix", |T| {
                with_slice::<T, _>(&matrix, |matrix| {
                    closest_of_rows(matrix, columns, k, largest_first, self_matches)
                })
            })?;
            found.distances.extend(nearest.distances);
            found.indices.extend(nearest.indices);
            check_numbers(all_numbers)
        };
        each_matrix(&queries, references, &self.distance, self.batch_size, take)?;
        Ok(found)
    }

    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: SelfMatch<'_>,
    ) -> Result<NeighborsWithin> {
        let threshold = checked_threshold(threshold)?;
        let queries = self.checked("queries", queries)?;
        self_matches.check_rows(queries.dims()[0], self.len())?;
        let Some(references) = &self.references else {
            return Ok(NeighborsWithin::none(queries.dims()[0]));
        };
        let sign = self.distance.order().sign();
        let mut within = NeighborsWithin::none(0);
        let take = |start, matrix: Tensor| {
            // In the precision of the distances, in which they can be equal to the threshold.
            let threshold = match matrix.dtype() {
                DType::F32 => f64::from(threshold as f32),
                _ => threshold,
            };
            let matrix = matrix.to_dtype(DType::F64)?;
            let mut all_numbers = true;
            with_slice::<f64, _>(&matrix, |matrix| {
                for (q, row) in (start..).zip(matrix.chunks_exact(references.dims()[0])) {
                    let self_matches = self_matches.of(q);
                    let mut found: Vec<(f64, u32)> = (0..)
                        .zip(row)
                        .map(|(r, value)| (sign * value + 0.0, r))
                        .filter(|(_, r)| self_matches != Some(*r))
                        .inspect(|(key, _)| all_numbers &= !key.is_nan())
                        .filter(|(key, _)| *key <= sign * threshold)
                        .collect();
                    found.sort_unstable_by(closest_first);
                    within.push_query(found.iter().map(|(key, r)| (sign * key + 0.0, *r)));
                }
            })?;
            check_numbers(all_numbers)
        };
        each_matrix(&queries, references, &self.distance, self.batch_size, take)?;
        Ok(within)
    }

    /// Compares the rows of the set alone.
    fn search_among(&self, queries: &Tensor, k: usize, rows: &RowSet) -> Result<Neighbors> {
        let queries = self.checked("queries", queries)?;
        let k = check_among(queries.dims()[0], self.len(), k, rows)?;
        let Some(references) = self.references.as_ref().filter(|_| k > 0) else {
            return Ok(Neighbors::default());
        };
        let rows: Vec<u32> = rows.iter().collect();
        let some = Self {
            references: Some(selected(references, &rows)?),
            ..self.clone()
        };
        let mut found = some.search(&queries, k)?;
        for row in &mut found.indices {
            *row = rows[*row as usize];
        }
        Ok(found)
    }

    fn rows_at(&self, rows: &[u32]) -> Result<Tensor> {
        check::indices("rows", rows.iter().map(|row| *row as usize), self.len())?;
        match &self.references {
            None => Ok(Tensor::zeros((0, 0), DType::F32, &Device::Cpu)?),
            Some(references) => Ok(selected(references, rows)?.to_device(&Device::Cpu)?),
        }
    }

    fn dim(&self) -> Option<usize> {
        self.references.as_ref().map(|rows| rows.dims()[1])
    }

    fn order(&self) -> Option<Order> {
        Some(self.distance.order())
    }

    fn remove(&mut self, rows: &[u32]) -> Result<usize> {
        let (keep, gone) = kept_rows(rows, self.len())?;
        let Some(references) = &self.references else {
            return Ok(gone);
        };
        let kept: Vec<u32> = (0..)
            .zip(&keep)
            .filter(|(_, keep)| **keep)
            .map(|(row, _)| row)
            .collect();
        self.references = if kept.is_empty() {
            None
        } else {
            Some(selected(references, &kept)?)
        };
        Ok(gone)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let content = IndexFileError::content(path);
        let mut header = Header {
            kind: file::CUSTOM,
            ..Header::default()
        };
        let Some(references) = &self.references else {
            return file::save(path, header, &Rows::None, &Norms::None);
        };
        header.rows = references.dims()[0] as u64;
        header.dim = references.dims()[1] as u64;
        let rows = references
            .to_device(&Device::Cpu)
            .map_err(|error| content(error.into()))?;
        let save = |rows: Rows<'_>| file::save(path, header, &rows, &Norms::None);
        match rows.dtype() {
            DType::F64 => with_slice(&rows, |rows| save(Rows::F64(vec![rows]))),
            _ => with_slice(&rows, |rows| save(Rows::F32(vec![rows]))),
        }
        .map_err(content)?
    }

    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let (header, rows) = file::load(path)?;
        if header.kind != file::CUSTOM {
            return Err(IndexFileError::kind(path, "an index of the same kind"));
        }
        let shape = (header.rows as usize, header.dim as usize);
        let content = IndexFileError::content(path);
        let references = match rows {
            _ if header.rows == 0 => None,
            Payload::None => None,
            Payload::F32(rows) => Some(Tensor::from_vec(rows.into_rows(), shape, &Device::Cpu)),
            Payload::F64(rows) => Some(Tensor::from_vec(rows.into_rows(), shape, &Device::Cpu)),
            Payload::F16(_) | Payload::Bytes(_) => {
                return Err(IndexFileError::kind(path, "rows of float32 or float64"));
            }
        };
        let references = references.transpose();
        let references = references.map_err(|error| content(error.into()))?;
        if let Some(references) = &references {
            check_finite("references", references).map_err(content)?;
        }
        self.references = references;
        Ok(())
    }

    fn len(&self) -> usize {
        self.references.as_ref().map_or(0, |rows| rows.dims()[0])
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self {
            references: None,
            ..self.clone()
        })
    }
}

fn check_numbers(all_numbers: bool) -> Result<()> {
    check::parameter(all_numbers, "distance", f64::NAN, "numbers").map(drop)
}

#[cfg(test)]
mod tests;
