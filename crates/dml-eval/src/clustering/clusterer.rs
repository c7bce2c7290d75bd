//! The contract of clustering.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{IntoLabels, Labels, Result, check};

/// Something that sorts rows into clusters: PML's `kmeans_func`.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{IntoLabels, Labels, Result};
/// use dml_eval::Clusterer;
///
/// /// Two clusters, by the sign of the first coordinate.
/// #[derive(Debug)]
/// struct BySign;
///
/// impl Clusterer for BySign {
///     fn cluster(&self, embeddings: &Tensor, _clusters: usize) -> Result<Labels> {
///         let first = embeddings.narrow(1, 0, 1)?.flatten_all()?.to_vec1::<f32>()?;
///         first.iter().map(|x| i64::from(*x > 0.0)).collect::<Vec<i64>>().into_labels()
///     }
/// }
///
/// let rows = Tensor::new(&[[-3f32], [2.], [-1.]], &Device::Cpu)?;
/// assert_eq!(BySign.cluster(&rows, 2)?.as_slice(), [0, 1, 0]);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Clusterer: Debug + Send + Sync {
    /// The cluster of every row of `embeddings` `[rows, dim]`; there are to be `clusters` of them.
    ///
    /// # Errors
    /// If the rows can't be clustered, or not into so many clusters.
    fn cluster(&self, embeddings: &Tensor, clusters: usize) -> Result<Labels>;
}

dml_core::forward!(Clusterer for [Arc<T>] {
    fn cluster(&self, embeddings: &Tensor, clusters: usize) -> Result<Labels>;
});

/// Clusters that are known already, such as those of another program.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Clusterer, GivenClusters};
///
/// let given = GivenClusters::new([4i64, 4, 9])?;
/// let rows = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
/// assert_eq!(given.cluster(&rows, 2)?.as_slice(), [4, 4, 9]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenClusters {
    labels: Labels,
}

impl GivenClusters {
    /// One cluster per row, by any numbers.
    ///
    /// # Errors
    /// As [`IntoLabels::into_labels`].
    pub fn new(labels: impl IntoLabels) -> Result<Self> {
        Ok(Self {
            labels: labels.into_labels()?,
        })
    }
}

impl Clusterer for GivenClusters {
    /// Whatever number of clusters is asked for.
    fn cluster(&self, embeddings: &Tensor, _clusters: usize) -> Result<Labels> {
        let rows = embeddings.dims().first().copied().unwrap_or(0);
        check::length("given clusters", rows, self.labels.len())?;
        Ok(self.labels.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use dml_core::Error;

    #[test]
    fn clusterers_are_objects_and_given_clusters_must_fit() {
        fn object(_: &dyn Clusterer) {}
        let given = GivenClusters::new([1i64, 2]).unwrap();
        object(&given);
        let rows = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu).unwrap();
        assert!(matches!(
            given.cluster(&rows, 2),
            Err(Error::Length {
                arg: "given clusters",
                expected: 3,
                got: 2
            })
        ));
    }
}
