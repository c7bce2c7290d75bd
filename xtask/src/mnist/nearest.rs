//! One search for the metrics and for the pictures.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use dml::candle_core::Tensor;
use dml::eval::{FlatIndex, IndexFileError, KnnIndex, Neighbors, NeighborsWithin, OwnRow};

/// Exact search that remembers the nearest row of every query, in the order in which they are searched for.
///
/// Whoever measures makes an empty index of this one and searches in that; all of them write into the same list.
#[derive(Debug)]
pub(crate) struct RememberingIndex {
    index: Box<dyn KnnIndex>,
    nearest: Arc<Mutex<Vec<u32>>>,
}

impl RememberingIndex {
    pub(crate) fn new() -> Self {
        Self {
            index: Box::new(FlatIndex::default()),
            nearest: Arc::default(),
        }
    }

    /// The nearest row of every query so far.
    pub(crate) fn nearest(&self) -> Vec<u32> {
        let nearest = self.nearest.lock();
        nearest.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl KnnIndex for RememberingIndex {
    fn add(&mut self, references: &Tensor) -> dml::Result<()> {
        self.index.add(references)
    }

    fn search_others(&self, queries: &Tensor, k: usize, own: OwnRow<'_>) -> dml::Result<Neighbors> {
        let found = self.index.search_others(queries, k, own)?;
        let nearest = self.nearest.lock();
        let mut nearest = nearest.unwrap_or_else(PoisonError::into_inner);
        nearest.extend(found.iter().map(|(rows, _)| rows[0]));
        Ok(found)
    }

    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        own: OwnRow<'_>,
    ) -> dml::Result<NeighborsWithin> {
        self.index.search_within(queries, threshold, own)
    }

    fn remove(&mut self, rows: &[u32]) -> dml::Result<usize> {
        self.index.remove(rows)
    }

    fn save(&self, path: &Path) -> Result<(), IndexFileError> {
        self.index.save(path)
    }

    fn load(&mut self, path: &Path) -> Result<(), IndexFileError> {
        self.index.load(path)
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self {
            index: self.index.to_empty(),
            nearest: Arc::clone(&self.nearest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml::Batch;
    use dml::candle_core::Device;
    use dml::config::MetricName;

    #[test]
    fn the_search_of_a_metric_is_remembered() -> anyhow::Result<()> {
        let line = |places: &[f32]| Tensor::from_slice(places, (places.len(), 1), &Device::Cpu);
        let batch = Batch::new(&line(&[0.1, 5.0, 2.9])?, [0i64, 1, 0])?
            .with_reference(&line(&[3.0, 0.0, 6.0])?, [0i64, 1, 1])?;
        let index = Arc::new(RememberingIndex::new());
        let metric: MetricName = "hit_rate_at_2".parse()?;
        let values = MetricName::evaluate(&[metric], &batch, index.clone())?;
        assert_eq!(index.nearest(), [1, 2, 0]);
        assert_eq!(values[0].1, 1.0);
        assert!(index.is_empty());
        Ok(())
    }
}
