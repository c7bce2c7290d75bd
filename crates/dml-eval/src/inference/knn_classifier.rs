//! The class of a query: that of its neighbours.
//!
//! ```text
//! Majority      weight of every neighbour 1
//! InverseRank   weight of neighbour j  1/j
//! class of q  = the class with the most weight among the k nearest neighbours
//! share       = its weight / the weight of all k
//! ```
//!
//! Cover and Hart, "Nearest neighbor pattern classification" (1967).

use candle_core::Tensor;
use dml_core::{IntoLabels, Result, check};

use crate::index::KnnIndex;

/// Weight of a neighbour's vote; [formulas](self).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnClassifier, KnnClassifierConfig, Vote};
///
/// let rows = Tensor::new(&[[0f32], [2.], [3.]], &Device::Cpu)?;
/// let query = Tensor::new(&[[0.5f32]], &Device::Cpu)?;
/// for (vote, label) in [(Vote::Majority, 8), (Vote::InverseRank, 7)] {
///     let config = KnnClassifierConfig { k: 3, vote };
///     let mut classifier = KnnClassifier::new(config, FlatIndex::default())?;
///     classifier.add(&rows, [7i64, 8, 8])?;
///     assert_eq!(classifier.predict(&query)?[0].label, label);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Vote {
    /// Equal weights.
    #[default]
    Majority,
    /// One over the rank of the neighbour.
    InverseRank,
}

dml_core::config! {
    /// Configuration of [`KnnClassifier`].
    #[derive(Eq)]
    pub struct KnnClassifierConfig {
        /// Number of neighbours that vote; 1 to 4,294,967,295. Default 5.
        pub k: usize = 5,
        /// Weights of their votes. Default: equal.
        pub vote: Vote = Vote::Majority,
    }
}

/// What [`KnnClassifier::predict`] says of a query.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnClassifier, KnnClassifierConfig};
///
/// let config = KnnClassifierConfig { k: 1, ..Default::default() };
/// let mut classifier = KnnClassifier::new(config, FlatIndex::default())?;
/// classifier.add(&Tensor::new(&[[0f32], [9.]], &Device::Cpu)?, [7i64, 8])?;
/// let found = classifier.predict(&Tensor::new(&[[8f32]], &Device::Cpu)?)?;
/// assert_eq!((found[0].label, found[0].share), (8, 1.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// The class.
    pub label: i64,
    /// Its share of the votes, above 0.
    pub share: f64,
}

/// Classifies by the nearest neighbours; [formulas](self). Of classes with as many votes, the one that is met first wins.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnClassifier, KnnClassifierConfig};
///
/// let config = KnnClassifierConfig { k: 3, ..Default::default() };
/// let mut classifier = KnnClassifier::new(config, FlatIndex::default())?;
/// let rows = Tensor::new(&[[0f32], [1.], [9.], [10.]], &Device::Cpu)?;
/// classifier.add(&rows, [7i64, 7, 8, 8])?;
/// let found = classifier.predict(&Tensor::new(&[[2f32]], &Device::Cpu)?)?;
/// assert_eq!((found[0].label, found[0].share), (7, 2. / 3.));
/// # Ok::<(), dml_core::Error>(())
/// ```
pub struct KnnClassifier {
    config: KnnClassifierConfig,
    index: Box<dyn KnnIndex>,
    labels: Vec<i64>,
}

dml_core::debug_fields!(KnnClassifier, |own| { config: own.config, index: own.index });

impl KnnClassifier {
    /// Searches in an index like `index`, whose own references play no part.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `k` is 0.
    pub fn new(config: KnnClassifierConfig, index: impl KnnIndex + 'static) -> Result<Self> {
        check::at_least_one("k", config.k)?;
        Ok(Self {
            config,
            index: index.to_empty(),
            labels: Vec::new(),
        })
    }

    /// Adds embeddings `[rows, dim]` of known classes.
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) if there is not one label for each row; as [`KnnIndex::add`].
    pub fn add(&mut self, embeddings: &Tensor, labels: impl IntoLabels) -> Result<()> {
        let labels = labels.into_labels()?;
        let rows = embeddings.dims().first().copied().unwrap_or(0);
        check::length("labels", rows, labels.len())?;
        self.index.add(embeddings)?;
        self.labels.extend_from_slice(labels.as_slice());
        Ok(())
    }

    /// The class of each query `[queries, dim]`.
    ///
    /// # Errors
    /// As [`KnnIndex::search`]: there must be at least `k` embeddings.
    pub fn predict(&self, queries: &Tensor) -> Result<Vec<Prediction>> {
        let found = self.index.search(queries, self.config.k)?;
        Ok(found.iter().map(|(rows, _)| self.elect(rows)).collect())
    }

    fn elect(&self, rows: &[u32]) -> Prediction {
        let mut votes: Vec<(i64, f64)> = Vec::new();
        let mut all = 0.0;
        for (rank, row) in (1u32..).zip(rows) {
            let label = self.labels[*row as usize];
            let weight = match self.config.vote {
                Vote::Majority => 1.0,
                Vote::InverseRank => 1.0 / f64::from(rank),
            };
            all += weight;
            match votes.iter_mut().find(|(other, _)| *other == label) {
                Some((_, sum)) => *sum += weight,
                None => votes.push((label, weight)),
            }
        }
        let first_best =
            |best: (i64, f64), vote: &(i64, f64)| if vote.1 > best.1 { *vote } else { best };
        let (label, sum) = votes.iter().fold((0, 0.0), first_best);
        Prediction {
            label,
            share: sum / all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::FlatIndex;
    use candle_core::Device;
    use dml_core::Error;

    fn line(places: &[f32]) -> Tensor {
        Tensor::from_slice(places, (places.len(), 1), &Device::Cpu).unwrap()
    }

    fn classifier(k: usize, vote: Vote) -> KnnClassifier {
        let config = KnnClassifierConfig { k, vote };
        let mut classifier = KnnClassifier::new(config, FlatIndex::default()).unwrap();
        classifier.add(&line(&[1., 2.]), [5i64, -3]).unwrap();
        classifier.add(&line(&[3., 40.]), [-3i64, 5]).unwrap();
        classifier
    }

    #[test]
    fn votes_by_hand() -> Result<()> {
        let of = |k, vote| -> Result<(i64, f64)> {
            let found = classifier(k, vote).predict(&line(&[0.]))?;
            Ok((found[0].label, found[0].share))
        };
        assert_eq!(of(1, Vote::Majority)?, (5, 1.0));
        // A tie goes to the class of the nearest.
        assert_eq!(of(2, Vote::Majority)?, (5, 0.5));
        assert_eq!(of(3, Vote::Majority)?, (-3, 2. / 3.));
        // 1 against 1/2 + 1/3.
        let (label, share) = of(3, Vote::InverseRank)?;
        assert_eq!(label, 5);
        assert!((share - 6. / 11.).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn bad_numbers_and_labels_are_refused() {
        let config = KnnClassifierConfig {
            k: 0,
            ..Default::default()
        };
        assert!(matches!(
            KnnClassifier::new(config, FlatIndex::default()),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
        assert!(matches!(
            classifier(5, Vote::Majority).predict(&line(&[0.])),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
        let mut classifier = classifier(1, Vote::Majority);
        assert!(matches!(
            classifier.add(&line(&[0.]), [1i64, 2]),
            Err(Error::Length { arg: "labels", .. })
        ));
        // Refused rows leave no labels behind.
        assert!(classifier.add(&line(&[f32::NAN]), [1i64]).is_err());
        assert_eq!(classifier.labels.len(), classifier.index.len());
    }
}
