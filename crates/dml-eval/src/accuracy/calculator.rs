//! Metrics of nearest neighbours, averaged over queries or classes, and of clusters.

mod ranking;

use std::sync::Arc;

use dml_core::{Batch, Error, Labels, Relation, Result, check};

use super::label_relation::LabelRelation;
use super::metric::RankMetric;
use super::named::AccuracyMetric;
use super::relevance::relevance;
use super::retrieval::RetrievalMetric;
use super::score::{Accuracies, Score, class_means, mean, mean_of_classes};
use crate::clustering::{ClusterAgreement, ClusterMetric, Clusterer, Contingency, KMeans};
use crate::index::KnnIndex;
use crate::rows::{check_finite, checked_rows};
use ranking::{Matches, self_matches};

/// Neighbours that are in memory at a time.
const NEIGHBORS: usize = 1 << 22;

/// Number of neighbours of a query that metrics see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum NeighborCount {
    /// As many as the query with the most matches has.
    #[cfg_attr(feature = "serde", serde(rename = "max_bin_count"))]
    MaxBinCount,
    /// This number, clamped to the number of references; 1 to 4,294,967,295.
    #[cfg_attr(feature = "serde", serde(untagged))]
    Exactly(usize),
}

dml_core::config! {
    /// Configuration of [`AccuracyCalculator`].
    ///
    /// ```
    /// use dml_eval::{AccuracyCalculatorConfig, AccuracyMetric, NeighborCount, RetrievalMetric};
    ///
    /// // Precision@1 and NDCG@10, among the first ten neighbours.
    /// let config = AccuracyCalculatorConfig {
    ///     include: vec![AccuracyMetric::PrecisionAt1],
    ///     retrieval: vec![RetrievalMetric::NdcgAt(10)],
    ///     k: Some(NeighborCount::Exactly(10)),
    ///     ..Default::default()
    /// };
    /// ```
    #[derive(Eq)]
    pub struct AccuracyCalculatorConfig {
        /// PML's metrics to compute; none named means all that have a meaning for the batch: those of clusters are
        /// left out where its relation is not one of labels.
        pub include: Vec<AccuracyMetric> = Vec::new(),
        /// PML's metrics to leave out.
        pub exclude: Vec<AccuracyMetric> = Vec::new(),
        /// Metrics of rankings to compute besides.
        pub retrieval: Vec<RetrievalMetric> = Vec::new(),
        /// Metrics of clusters to compute besides.
        pub clustering: Vec<ClusterMetric> = Vec::new(),
        /// Average over the classes' averages, so that every class counts alike. Excludes `return_per_class`.
        pub avg_of_avgs: bool = false,
        /// Give the average of each class besides. Excludes `avg_of_avgs`.
        pub return_per_class: bool = false,
        /// Number of neighbours that metrics see. Default: as many as the formulas need.
        pub k: Option<NeighborCount> = None,
        /// Count the matches of a query as PML does: with the query itself among the references, all that match, less
        /// one. That is one too few where the relation does not match a row with itself. Where none is left by that count,
        /// what is divided by it is left out of the averages; PML's become infinite. Default: count them rightly.
        pub count_matches_as_pml: bool = false,
    }
}

/// PML's metrics and more: of the nearest neighbours ([formulas](super::retrieval)), and of clusters
/// ([formulas](crate::clustering::contingency)).
///
/// The relation of the [`Batch`] says which neighbours match: equal labels, or whatever else it holds. References
/// that it ignores are passed over, and no query finds the reference that is itself. Queries without any match
/// ("lone") are left out of the averages.
///
/// For the metrics of clusters, the embeddings (not the references) are sorted into as many clusters as there are
/// different labels, by k-means unless another [`Clusterer`] is given, and lone ones count as others do.
///
/// No more neighbours are searched for than the metrics need, and queries are taken in blocks, so that memory is
/// bounded even where all references are ranked.
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
/// use dml_eval::{AccuracyCalculator, AccuracyCalculatorConfig, FlatIndex};
///
/// // Two classes on a line; the nearest neighbour of the third row is of the other class.
/// let embeddings = Tensor::new(&[[0f32], [1.], [4.], [6.], [6.5]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, [0i64, 0, 0, 1, 1])?;
/// let calculator = AccuracyCalculator::new(AccuracyCalculatorConfig::default(), FlatIndex::default())?;
/// let accuracies = calculator.get_accuracy(&batch)?;
/// assert_eq!(accuracies.get("precision_at_1").unwrap().value, 0.8);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccuracyCalculator {
    metrics: Vec<Arc<dyn RankMetric>>,
    cluster_metrics: Vec<Arc<dyn ClusterAgreement>>,
    names_cluster_metrics: bool,
    config: AccuracyCalculatorConfig,
    index: Arc<dyn KnnIndex>,
    clusterer: Arc<dyn Clusterer>,
    label_relation: Option<Arc<dyn LabelRelation>>,
    neighbors_at_a_time: usize,
}

impl AccuracyCalculator {
    /// Searches in indexes like `index`, whose own references play no part.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if `avg_of_avgs` and `return_per_class` are both set, [`Error::InvalidParameter`] if
    /// `k`, or that of a metric, is 0.
    pub fn new(config: AccuracyCalculatorConfig, index: impl KnnIndex + 'static) -> Result<Self> {
        let reason = "avg_of_avgs and return_per_class exclude each other";
        let is_both = config.avg_of_avgs && config.return_per_class;
        check::supported(!is_both, "AccuracyCalculator", reason)?;
        if let Some(NeighborCount::Exactly(k)) = config.k {
            check::at_least_one("k", k)?;
        }
        let is_chosen = |metric: &AccuracyMetric| {
            (config.include.is_empty() || config.include.contains(metric))
                && !config.exclude.contains(metric)
        };
        let chosen = || AccuracyMetric::ALL.into_iter().filter(is_chosen);
        let rankings = chosen().filter_map(AccuracyMetric::retrieval);
        let mut metrics: Vec<Arc<dyn RankMetric>> = Vec::new();
        for metric in rankings.chain(config.retrieval.iter().copied()) {
            metrics.push(Arc::new(metric.checked()?));
        }
        let clustering = chosen().filter_map(AccuracyMetric::clustering);
        let clustering = clustering.chain(config.clustering.iter().copied());
        let shared = |metric| -> Arc<dyn ClusterAgreement> { Arc::new(metric) };
        Ok(Self {
            metrics,
            cluster_metrics: clustering.map(shared).collect(),
            names_cluster_metrics: !(config.include.is_empty() && config.clustering.is_empty()),
            config,
            index: Arc::new(index),
            clusterer: Arc::new(KMeans::default()),
            label_relation: None,
            neighbors_at_a_time: NEIGHBORS,
        })
    }

    dml_core::setters! {
        /// Clusters by `clusterer` instead of k-means.
        pub fn with_clusterer(self, clusterer: impl Clusterer + 'static) { self.clusterer = Arc::new(clusterer) }

        /// Adds a metric of clusters.
        pub fn with_cluster_metric(self, metric: impl ClusterAgreement + 'static) {
            self.cluster_metrics.push(Arc::new(metric)); self.names_cluster_metrics = true
        }

        /// Derives the relation from labels by `relation` instead of by equality. Batches with a relation that is not one of
        /// labels keep it. Metrics of clusters are left out, unless they are requested by name.
        pub fn with_label_relation(self, relation: impl LabelRelation + 'static) {
            self.label_relation = Some(Arc::new(relation))
        }

        /// Adds a metric of rankings.
        pub fn with_metric(self, metric: impl RankMetric + 'static) { self.metrics.push(Arc::new(metric)) }
    }

    /// The metrics' names, in the order in which a batch of labels gets them.
    pub(crate) fn names(&self) -> Vec<String> {
        let rankings = self.metrics.iter().map(RankMetric::name);
        let left_out = self.label_relation.is_some() && !self.names_cluster_metrics;
        let clusters = self.cluster_metrics.iter().filter(|_| !left_out);
        rankings
            .chain(clusters.map(ClusterAgreement::name))
            .collect()
    }

    /// The relation of rows with those labels and those of the levels above, unless equal ones match.
    pub(crate) fn relation(
        &self,
        query: &[Labels],
        reference: &[Labels],
    ) -> Result<Option<Relation>> {
        let relation = self.label_relation.as_ref();
        let relation = relation.map(|relation| relation.relation(query, reference));
        relation.transpose()
    }

    /// The metrics of the batch's embeddings, with its references (or the other embeddings) as neighbours.
    ///
    /// Without queries, without references, and where no query has a match, rankings have no value: NaN, and nothing is
    /// searched, so that numbers which are not finite are not met either. Without queries clusters have none.
    ///
    /// # Errors
    /// [`Error::Missing`] if the batch has no relation, or with `avg_of_avgs` or `return_per_class` no labels;
    /// [`Error::Unsupported`] if a metric of clusters was asked for by name and the relation is not one of labels; and
    /// those of the index, the clusterer and the relation of labels, such as [`Error::InvalidParameter`] for embeddings
    /// that are not finite.
    pub fn get_accuracy(&self, batch: &Batch) -> Result<Accuracies> {
        let known = batch.require_relation("AccuracyCalculator")?;
        let (Some(query), Some(reference)) = (known.query_labels(), known.reference_labels())
        else {
            return self.measure(batch);
        };
        match self.relation(std::slice::from_ref(query), std::slice::from_ref(reference))? {
            None => self.measure(batch),
            Some(relation) => {
                let relation = relation.with_self_matches(&self_matches(known))?;
                self.measure(&batch.clone().with_relation(relation)?)
            }
        }
    }

    /// As [`get_accuracy`](Self::get_accuracy), by the batch's own relation.
    pub(crate) fn measure(&self, batch: &Batch) -> Result<Accuracies> {
        let relation = batch.require_relation("AccuracyCalculator")?;
        let relevance = relevance(relation);
        let per_query =
            if !self.metrics.is_empty() && relevance.iter().any(|query| query.matches > 0) {
                let as_pml = self.config.count_matches_as_pml;
                self.rank(batch, &Matches::new(relation, &relevance, as_pml))?
            } else {
                vec![vec![None; batch.queries()]; self.metrics.len()]
            };
        let scores = self.metrics.iter().zip(per_query);
        let scores = scores.map(|(metric, per_query)| self.score(metric.name(), batch, per_query));
        let mut scores: Vec<Score> = scores.collect::<Result<_>>()?;
        scores.extend(self.cluster_scores(batch, relation)?);
        Ok(Accuracies::new(scores))
    }

    fn cluster_scores(&self, batch: &Batch, relation: &Relation) -> Result<Vec<Score>> {
        let labels = match relation.query_labels() {
            _ if self.cluster_metrics.is_empty() => return Ok(Vec::new()),
            Some(labels) => labels,
            None if !self.names_cluster_metrics => return Ok(Vec::new()),
            None => {
                return Err(Error::unsupported(
                    "AccuracyCalculator",
                    "clusters can be compared with labels only, and the batch's relation is another one; \
                             leave AMI, NMI and the other metrics of clusters out",
                ));
            }
        };
        let table = if labels.is_empty() {
            None
        } else {
            // Clusters that are given would not show it.
            let embeddings = checked_rows("embeddings", batch.embeddings(), None, None)?;
            check_finite("embeddings", &embeddings)?;
            let classes = Contingency::new(labels, labels)?.class_count();
            let clusters = self.clusterer.cluster(batch.embeddings(), classes)?;
            Some(Contingency::new(labels, clusters)?)
        };
        let scores = self.cluster_metrics.iter().map(|metric| Score {
            metric: metric.name(),
            value: table.as_ref().map_or(f64::NAN, |table| metric.of(table)),
            per_class: Vec::new(),
            per_query: Vec::new(),
        });
        Ok(scores.collect())
    }

    /// The score of what each query has, if it has something to find.
    fn score(&self, metric: String, batch: &Batch, per_query: Vec<Option<f64>>) -> Result<Score> {
        let mut per_class = if self.config.avg_of_avgs || self.config.return_per_class {
            let needed = "labels for the averages of classes";
            let labels = check::present(batch.labels(), "AccuracyCalculator", needed)?;
            class_means(labels, &per_query)
        } else {
            Vec::new()
        };
        let value = if self.config.avg_of_avgs {
            mean_of_classes(&per_class)
        } else {
            mean(per_query.iter().copied())
        };
        if !self.config.return_per_class {
            per_class.clear();
        }
        let per_query = per_query.into_iter();
        Ok(Score {
            metric,
            value,
            per_class,
            per_query: per_query.map(|own| own.unwrap_or(f64::NAN)).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
