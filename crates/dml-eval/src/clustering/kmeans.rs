//! k-means: every row in the cluster of the closest mean.

use candle_core::{Device, Tensor};
use dml_core::autograd::{Element, with_slice};
use dml_core::{IntoLabels, Labels, Result, check, for_element};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Clusterer;
use crate::kernels::kmeans::{Clustering, kmeans};
use crate::rows::{check_squares, checked_rows};

pub use crate::kernels::kmeans::KMeansStart;

dml_core::config! {
    /// Configuration of [`KMeans`], by faiss's names.
    #[derive(Eq)]
    pub struct KMeansConfig {
        /// Maximum number of updates of the centroids, 0 to 1,000,000. Default 20, as in PML's `AccuracyCalculator`.
        pub niter: usize = 20,
        /// Number of runs, each from new centroids; the run with the smallest inertia is kept. 1 to 10,000. Default 1.
        pub nredo: usize = 1,
        /// Seed of the initial centroids. Default 1234, as in faiss.
        pub seed: u64 = 1234,
        /// Initial centroids. Default: k-means++.
        pub start: KMeansStart = KMeansStart::PlusPlus,
    }
}

/// Lloyd's k-means: exact assignments at the speed of a matrix product, no empty clusters as long as there are enough
/// different rows, the same result whatever the number of threads.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{KMeans, KMeansConfig};
///
/// let rows = Tensor::new(&[[0f32, 0.], [0., 1.], [9., 0.], [9., 1.]], &Device::Cpu)?;
/// let found = KMeans::new(KMeansConfig { nredo: 3, ..Default::default() })?.fit(&rows, 2)?;
/// assert_eq!(found.inertia, 1.0);
/// assert_eq!(found.clusters[2], found.clusters[3]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct KMeans {
    config: KMeansConfig,
}

/// What [`KMeans::fit`] finds.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::KMeans;
///
/// let rows = Tensor::new(&[[0f32], [2.], [9.], [9.]], &Device::Cpu)?;
/// let found = KMeans::default().fit(&rows, 2)?;
/// assert_eq!((found.centroids.dims(), found.inertia), (&[2, 1][..], 2.0));
/// assert_ne!(found.clusters[0], found.clusters[3]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RowClusters {
    /// The centroids `[clusters, dim]`, in the element type of the rows.
    pub centroids: Tensor,
    /// The cluster of every row.
    pub clusters: Vec<u32>,
    /// The sum of the squared distances between rows and their centroids.
    pub inertia: f64,
}

impl KMeans {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) and [`Error::Count`](dml_core::Error::Count) for
    /// numbers outside of their range.
    pub fn new(config: KMeansConfig) -> Result<Self> {
        check::count_from("niter", config.niter, 0, 1_000_000)?;
        check::count("nredo", config.nredo, 10_000)?;
        Ok(Self { config })
    }

    /// Sorts the rows `[rows, dim]` into `clusters` clusters.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, dim]`, [`Error::DType`](dml_core::Error::DType)
    /// unless they are of a floating-point type, [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one is
    /// not finite or above 1e150, or if there are fewer rows than clusters or no cluster.
    pub fn fit(&self, rows: &Tensor, clusters: usize) -> Result<RowClusters> {
        let rows = checked_rows("embeddings", rows, None, None)?.to_device(&Device::Cpu)?;
        let enough = (1..=rows.dims()[0]).contains(&clusters);
        let expected = "a number from 1 to the number of rows";
        check::parameter(enough, "clusters", clusters as f64, expected)?;
        for_element!(rows, "embeddings", |T| self.fit_rows::<T>(&rows, clusters))
    }

    fn fit_rows<T: Element>(&self, rows: &Tensor, clusters: usize) -> Result<RowClusters> {
        check_squares("embeddings", rows)?;
        let dim = rows.dims()[1];
        let start = self.config.start;
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        let best = with_slice::<T, _>(rows, |rows| {
            let mut run = || kmeans(rows, dim, clusters, self.config.niter, start, &mut rng);
            let mut best: Clustering<T> = run();
            for _ in 1..self.config.nredo {
                let found = run();
                if found.inertia < best.inertia {
                    best = found;
                }
            }
            best
        })?;
        Ok(RowClusters {
            centroids: Tensor::from_vec(best.centroids, (clusters, dim), &Device::Cpu)?,
            clusters: best.assignments,
            inertia: best.inertia,
        })
    }
}

impl Clusterer for KMeans {
    fn cluster(&self, embeddings: &Tensor, clusters: usize) -> Result<Labels> {
        self.fit(embeddings, clusters)?.clusters.into_labels()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use dml_core::Error;

    fn line(places: &[f64]) -> Tensor {
        Tensor::from_slice(places, (places.len(), 1), &Device::Cpu).unwrap()
    }

    #[test]
    fn more_restarts_are_never_worse_and_seeds_repeat() -> Result<()> {
        let places: Vec<f64> = (0..60)
            .map(|i| f64::from(i * i % 61) + f64::from(i % 6) * 100.)
            .collect();
        let fit = |nredo, start| -> Result<RowClusters> {
            let config = KMeansConfig {
                nredo,
                start,
                ..Default::default()
            };
            KMeans::new(config)?.fit(&line(&places), 6)
        };
        for start in [KMeansStart::PlusPlus, KMeansStart::Random] {
            let mut before = f64::INFINITY;
            for nredo in 1..5 {
                let found = fit(nredo, start)?;
                assert!(found.inertia <= before);
                assert_eq!(found.clusters, fit(nredo, start)?.clusters);
                before = found.inertia;
            }
        }
        Ok(())
    }

    #[test]
    fn every_floating_point_type_is_clustered() -> Result<()> {
        let rows = line(&[0., 1., 10., 11.]);
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            let labels = KMeans::default().cluster(&rows.to_dtype(dtype)?, 2)?;
            let labels = labels.as_slice();
            assert!(labels[0] == labels[1] && labels[1] != labels[2] && labels[2] == labels[3]);
        }
        Ok(())
    }

    #[test]
    fn bad_rows_and_numbers_are_refused() {
        let rows = line(&[0., 1.]);
        let kmeans = KMeans::default();
        for clusters in [0, 3] {
            assert!(matches!(
                kmeans.fit(&rows, clusters),
                Err(Error::InvalidParameter {
                    name: "clusters",
                    ..
                })
            ));
        }
        assert!(matches!(
            kmeans.fit(&line(&[0., f64::NAN]), 1),
            Err(Error::InvalidParameter {
                name: "embeddings",
                ..
            })
        ));
        assert!(matches!(
            kmeans.fit(&rows.flatten_all().unwrap(), 1),
            Err(Error::Shape { .. })
        ));
        let whole = rows.to_dtype(DType::I64).unwrap();
        assert!(matches!(kmeans.fit(&whole, 1), Err(Error::DType { .. })));
        let config = KMeansConfig {
            nredo: 0,
            ..Default::default()
        };
        assert!(matches!(
            KMeans::new(config),
            Err(Error::InvalidParameter { name: "nredo", .. })
        ));
    }
}
