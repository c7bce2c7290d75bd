//! A network, an index and a threshold: from pictures to neighbours and matches.

use std::path::Path;

use candle_core::{ModuleT, Tensor};
use dml_core::{Result, TensorExt, check, no_grad};

use super::{MatchFinder, Matches};
use crate::index::{IndexFileError, KnnIndex, Neighbors};
use crate::inputs::{Inputs, embedded};

/// A network that can be shared among threads.
type Network = dyn ModuleT + Send + Sync;

dml_core::config! {
    /// Configuration of [`InferenceModel`].
    #[derive(Eq)]
    pub struct InferenceModelConfig {
        /// Whether embeddings are divided by their Euclidean norm. Default `true`.
        pub normalize_embeddings: bool = true,
    }
}

/// Embeds inputs, and finds what is near or matches: PML's `InferenceModel`.
///
/// Networks run as at inference: `forward_t` with `train` false, outside of the graph.
///
/// ```
/// use dml_core::{Distance, Result, TensorExt, candle_core::{Device, Tensor}};
/// use dml_eval::{
///     FlatIndex, InferenceModel, InferenceModelConfig, MatchFinder, MatchFinderConfig,
/// };
///
/// #[derive(Debug)]
/// struct Euclidean;
///
/// impl Distance for Euclidean {
///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
///         query.pairwise_lp(reference.unwrap_or(query), 2.0)
///     }
/// }
///
/// // A network that turns the plane by a quarter.
/// let turn = Tensor::new(&[[0f32, 1.], [-1., 0.]], &Device::Cpu)?;
/// let network = move |x: &Tensor| x.matmul(&turn);
/// let finder = MatchFinder::new(MatchFinderConfig { threshold: Some(0.5) }, Euclidean)?;
/// let mut model = InferenceModel::new(
///     InferenceModelConfig::default(),
///     network,
///     finder,
///     FlatIndex::default(),
/// );
///
/// let gallery = Tensor::new(&[[3f32, 0.], [0., 2.], [1., 1.]], &Device::Cpu)?;
/// model.train_knn(&gallery, 64)?;
/// let query = Tensor::new(&[[0f32, 9.]], &Device::Cpu)?;
/// assert_eq!(model.get_nearest_neighbors(&query, 2)?.indices, [1, 2]);
/// assert_eq!(model.get_matches(&query, Some(&gallery), None)?.pairs, [(0, 1)]);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub struct InferenceModel {
    trunk: Box<Network>,
    embedder: Option<Box<Network>>,
    match_finder: MatchFinder,
    normalize_embeddings: bool,
    index: Box<dyn KnnIndex>,
}

dml_core::debug_fields!(InferenceModel, |own| {
    match_finder: own.match_finder, normalize_embeddings: own.normalize_embeddings, index: own.index,
});

impl InferenceModel {
    /// Embeds by `trunk`, matches by `match_finder`, searches in `index`.
    #[must_use]
    pub fn new(
        config: InferenceModelConfig,
        trunk: impl ModuleT + Send + Sync + 'static,
        match_finder: MatchFinder,
        index: impl KnnIndex + 'static,
    ) -> Self {
        Self {
            trunk: Box::new(trunk),
            embedder: None,
            match_finder,
            normalize_embeddings: config.normalize_embeddings,
            index: Box::new(index),
        }
    }

    /// Embeds what the trunk gives by another network.
    #[must_use]
    pub fn with_embedder(mut self, embedder: impl ModuleT + Send + Sync + 'static) -> Self {
        self.embedder = Some(Box::new(embedder));
        self
    }

    /// The index, with what was added to it.
    #[must_use]
    pub fn index(&self) -> &dyn KnnIndex {
        &*self.index
    }

    /// The embeddings `[rows, dim]` of inputs `[rows, …]`.
    ///
    /// # Errors
    /// Those of the networks; [`Error::Shape`](dml_core::Error::Shape) if what they give has no rows to normalise.
    pub fn get_embeddings(&self, inputs: &Tensor) -> Result<Tensor> {
        no_grad(|| {
            let mut embeddings = self.trunk.forward_t(inputs, false)?;
            if let Some(embedder) = &self.embedder {
                embeddings = embedder.forward_t(&embeddings, false)?;
            }
            if self.normalize_embeddings {
                embeddings = embeddings.normalize_rows(2.0)?;
            }
            Ok(embeddings.detach())
        })
    }

    /// The same of a tensor or [other inputs](Inputs), such as those of a data set, `batch_size` at a time.
    ///
    /// # Errors
    /// As [`get_embeddings`](InferenceModel::get_embeddings),
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is 0,
    /// [`Error::Shape`](dml_core::Error::Shape) if the inputs have no rows.
    pub fn get_embeddings_in_batches(
        &self,
        inputs: &dyn Inputs,
        batch_size: usize,
    ) -> Result<Tensor> {
        let batch_size = check::at_least_one("batch_size", batch_size)?;
        embedded("inputs", inputs, batch_size, |batch| {
            self.get_embeddings(batch)
        })
    }

    /// Fills the index anew with the embeddings of inputs.
    ///
    /// # Errors
    /// As [`get_embeddings_in_batches`](InferenceModel::get_embeddings_in_batches) and [`KnnIndex::add`]; the index
    /// is then as it was.
    pub fn train_knn(&mut self, inputs: &dyn Inputs, batch_size: usize) -> Result<()> {
        let mut index = self.index.to_empty();
        index.add(&self.get_embeddings_in_batches(inputs, batch_size)?)?;
        self.index = index;
        Ok(())
    }

    /// Adds the embeddings of inputs to the index.
    ///
    /// # Errors
    /// As [`train_knn`](InferenceModel::train_knn).
    pub fn add_to_knn(&mut self, inputs: &dyn Inputs, batch_size: usize) -> Result<()> {
        let embeddings = self.get_embeddings_in_batches(inputs, batch_size)?;
        self.index.add(&embeddings)
    }

    /// Writes the index to a file: see [`KnnIndex::save`]. The network is not in it.
    ///
    /// # Errors
    /// As there.
    pub fn save_knn(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.index.save(path)
    }

    /// Fills the index anew with what an index of the same kind has written: see [`KnnIndex::load`]. Its rows must be
    /// embeddings of the same network, which a file can't tell.
    ///
    /// # Errors
    /// As there; the index is then as it was.
    pub fn load_knn(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.index.load(path)
    }

    /// The `k` rows of the index that are nearest to each query.
    ///
    /// # Errors
    /// As [`get_embeddings`](InferenceModel::get_embeddings) and [`KnnIndex::search`].
    pub fn get_nearest_neighbors(&self, query: &Tensor, k: usize) -> Result<Neighbors> {
        self.index.search(&self.get_embeddings(query)?, k)
    }

    /// The matches of the queries' embeddings among those of the references; `None` compares the queries among
    /// themselves, each with itself too.
    ///
    /// # Errors
    /// As [`get_embeddings`](InferenceModel::get_embeddings) and [`MatchFinder::get_matching_pairs`].
    pub fn get_matches(
        &self,
        query: &Tensor,
        reference: Option<&Tensor>,
        threshold: Option<f64>,
    ) -> Result<Matches> {
        let query = self.get_embeddings(query)?;
        let reference = reference
            .map(|rows| self.get_embeddings(rows))
            .transpose()?;
        self.match_finder
            .get_matching_pairs(&query, reference.as_ref(), threshold)
    }

    /// Whether input i matches input i of the others.
    ///
    /// # Errors
    /// As [`get_embeddings`](InferenceModel::get_embeddings) and [`MatchFinder::is_match`].
    pub fn is_match(
        &self,
        query: &Tensor,
        reference: &Tensor,
        threshold: Option<f64>,
    ) -> Result<Vec<bool>> {
        let (query, reference) = (self.get_embeddings(query)?, self.get_embeddings(reference)?);
        self.match_finder.is_match(&query, &reference, threshold)
    }
}

#[cfg(test)]
mod tests;
