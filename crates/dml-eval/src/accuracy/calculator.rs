//! Metrics of nearest neighbours, averaged over queries or classes, and of clusters.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Batch, Error, Labels, PairKind, Relation, Result, check};
use rayon::prelude::*;

use super::label_relation::LabelRelation;
use super::metric::{RankDepth, RankMetric};
use super::named::AccuracyMetric;
use super::relevance::{Relevance, relevance};
use super::retrieval::RetrievalMetric;
use super::score::{Accuracies, Score, class_means, mean, mean_of_classes};
use crate::clustering::{ClusterAgreement, ClusterMetric, Clusterer, Contingency, KMeans};
use crate::index::{KnnIndex, SelfMatch};
use crate::rows::{check_finite, checked_rows};

/// Neighbours that are in memory at a time.
const NEIGHBORS: usize = 1 << 22;

/// How many neighbours of a query are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NeighborCount {
    /// As many as the query with the most matches has.
    #[cfg_attr(feature = "serde", serde(rename = "max_bin_count"))]
    MaxBinCount,
    /// So many, or all references if there are fewer; 1 to 4,294,967,295.
    #[cfg_attr(feature = "serde", serde(untagged))]
    Exactly(usize),
}

/// Configuration of [`AccuracyCalculator`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct AccuracyCalculatorConfig {
    /// PML's metrics to compute; none named means all that have a meaning for the batch: those of clusters are
    /// left out where its relation is not one of labels.
    pub include: Vec<AccuracyMetric>,
    /// PML's metrics to leave out.
    pub exclude: Vec<AccuracyMetric>,
    /// Metrics of rankings to compute besides.
    pub retrieval: Vec<RetrievalMetric>,
    /// Metrics of clusters to compute besides.
    pub clustering: Vec<ClusterMetric>,
    /// Average over the classes' averages, so that every class counts alike. Excludes `return_per_class`.
    pub avg_of_avgs: bool,
    /// Give the average of each class besides. Excludes `avg_of_avgs`.
    pub return_per_class: bool,
    /// How many neighbours are looked at. Default: as many as each metric's formula needs.
    pub k: Option<NeighborCount>,
    /// Count the matches of a query as PML does: with the query itself among the references, all that match, less
    /// one. That is one too few where the relation does not match a row with itself. Where none is left by that count,
    /// what is divided by it is left out of the averages; PML's become infinite. Default: count them rightly.
    pub count_matches_as_pml: bool,
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
/// use std::sync::Arc;
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
/// use dml_eval::{AccuracyCalculator, AccuracyCalculatorConfig, FlatIndex};
///
/// // Two classes on a line; the nearest neighbour of the third row is of the other class.
/// let embeddings = Tensor::new(&[[0f32], [1.], [4.], [6.], [6.5]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, [0i64, 0, 0, 1, 1])?;
/// let calculator = AccuracyCalculator::new(AccuracyCalculatorConfig::default(), Arc::new(FlatIndex::default()))?;
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
    pub fn new(config: AccuracyCalculatorConfig, index: Arc<dyn KnnIndex>) -> Result<Self> {
        if config.avg_of_avgs && config.return_per_class {
            return Err(Error::Unsupported {
                component: "AccuracyCalculator",
                reason: "avg_of_avgs and return_per_class exclude each other",
            });
        }
        if let Some(NeighborCount::Exactly(k)) = config.k {
            check::at_least_one("k", k)?;
        }
        let chosen: Vec<AccuracyMetric> = AccuracyMetric::ALL
            .into_iter()
            .filter(|metric| config.include.is_empty() || config.include.contains(metric))
            .filter(|metric| !config.exclude.contains(metric))
            .collect();
        let mut metrics: Vec<Arc<dyn RankMetric>> = Vec::new();
        for metric in chosen.iter().filter_map(|metric| metric.retrieval()) {
            metrics.push(Arc::new(metric));
        }
        for metric in &config.retrieval {
            metrics.push(Arc::new(metric.checked()?));
        }
        let clustering = chosen.iter().filter_map(|metric| metric.clustering());
        let clustering = clustering.chain(config.clustering.iter().copied());
        let shared = |metric| -> Arc<dyn ClusterAgreement> { Arc::new(metric) };
        Ok(Self {
            metrics,
            cluster_metrics: clustering.map(shared).collect(),
            names_cluster_metrics: !(config.include.is_empty() && config.clustering.is_empty()),
            config,
            index,
            clusterer: Arc::new(KMeans::default()),
            label_relation: None,
            neighbors_at_a_time: NEIGHBORS,
        })
    }

    /// Makes clusters in another way.
    #[must_use]
    pub fn with_clusterer(mut self, clusterer: Arc<dyn Clusterer>) -> Self {
        self.clusterer = clusterer;
        self
    }

    /// Computes a metric of clusters of your own besides.
    #[must_use]
    pub fn with_cluster_metric(mut self, metric: Arc<dyn ClusterAgreement>) -> Self {
        self.cluster_metrics.push(metric);
        self.names_cluster_metrics = true;
        self
    }

    /// Says by labels who matches whom: instead of equal ones, where a batch brings labels. A relation that a batch brings
    /// is not asked again. Metrics of clusters have no meaning then.
    #[must_use]
    pub fn with_label_relation(mut self, relation: Arc<dyn LabelRelation>) -> Self {
        self.label_relation = Some(relation);
        self
    }

    /// Computes a metric of your own besides.
    #[must_use]
    pub fn with_metric(mut self, metric: Arc<dyn RankMetric>) -> Self {
        self.metrics.push(metric);
        self
    }

    /// The metrics' names, in the order in which a batch of labels gets them.
    pub(crate) fn names(&self) -> Vec<String> {
        let rankings = self.metrics.iter().map(|metric| metric.name());
        let left_out = self.label_relation.is_some() && !self.names_cluster_metrics;
        let clusters = self.cluster_metrics.iter().filter(|_| !left_out);
        rankings
            .chain(clusters.map(|metric| metric.name()))
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
                let own = (0..known.queries()).map(|q| known.self_match(q).map(|r| r as u32));
                let relation = relation.with_self_matches(&own.collect::<Vec<_>>())?;
                self.measure(&batch.clone().with_relation(relation)?)
            }
        }
    }

    /// As [`get_accuracy`](Self::get_accuracy), by the batch's own relation.
    pub(crate) fn measure(&self, batch: &Batch) -> Result<Accuracies> {
        let relation = batch.require_relation("AccuracyCalculator")?;
        let relevance = relevance(relation);
        let counted = self.counted_matches(relation, &relevance);
        let mut per_query = vec![vec![None; batch.queries()]; self.metrics.len()];
        if !self.metrics.is_empty() && relevance.iter().any(|query| query.matches > 0) {
            self.rank(batch, relation, &relevance, &counted, &mut per_query)?;
        }
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
                return Err(Error::Unsupported {
                    component: "AccuracyCalculator",
                    reason: "clusters can be compared with labels only, and the batch's relation is another one; \
                             leave AMI, NMI and the other metrics of clusters out",
                });
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

    /// R of every query.
    fn counted_matches(&self, relation: &Relation, relevance: &[Relevance]) -> Vec<usize> {
        let counted = |(q, query): (usize, &Relevance)| match relation.self_match(q) {
            Some(r) if self.config.count_matches_as_pml => {
                let itself = matches!(relation.pair_kind_as_distinct(q, r), PairKind::Positive(_));
                (query.matches + usize::from(itself)).saturating_sub(1)
            }
            _ => query.matches,
        };
        relevance.iter().enumerate().map(counted).collect()
    }

    fn rank(
        &self,
        batch: &Batch,
        relation: &Relation,
        relevance: &[Relevance],
        counted: &[usize],
        per_query: &mut [Vec<Option<f64>>],
    ) -> Result<()> {
        let own: Vec<Option<u32>> = (0..batch.queries())
            .map(|q| relation.self_match(q).map(|r| r as u32))
            .collect();
        let mut index = self.index.to_empty();
        index.add(batch.reference().unwrap_or(batch.embeddings()))?;
        // A query that is itself a reference may find one reference less than another.
        let (among, apart): (Vec<usize>, Vec<usize>) =
            (0..batch.queries()).partition(|q| own[*q].is_some());
        for (group, itself) in [(among, 1), (apart, 0)] {
            let findable = batch.references() - itself.min(batch.references());
            let limit = self.limit(counted, findable);
            let ignored = group.iter().map(|q| relevance[*q].ignored).max();
            let k = (limit + ignored.unwrap_or(0)).min(findable);
            if k == 0 {
                // Nothing to be found: no query of the group has a match.
                continue;
            }
            for queries in group.chunks((self.neighbors_at_a_time / k).max(1)) {
                let own: Vec<Option<u32>> = queries.iter().map(|q| own[*q]).collect();
                let rows = rows_of(batch.embeddings(), queries)?;
                let found = index.search_others(&rows, k, SelfMatch::Rows(&own))?;
                let values: Vec<Vec<Option<f64>>> = found
                    .indices
                    .par_chunks_exact(k)
                    .zip(queries)
                    .map(|(neighbors, q)| {
                        if relevance[*q].matches == 0 {
                            return Vec::new();
                        }
                        let hits = hits(relation, *q, neighbors, limit);
                        let values = self.metrics.iter();
                        values
                            .map(|metric| metric.of_query(&hits, counted[*q]))
                            .map(|value| {
                                // Divided by a count of 0, of matches that are there.
                                let beyond = counted[*q] == 0 && !value.is_finite();
                                (!beyond).then_some(value)
                            })
                            .collect()
                    })
                    .collect();
                for (q, values) in queries.iter().zip(values) {
                    for (per_query, value) in per_query.iter_mut().zip(values) {
                        per_query[*q] = value;
                    }
                }
            }
        }
        Ok(())
    }

    /// How many neighbours that count are looked at: what the metrics need, and no more than `k`; at least 1.
    fn limit(&self, counted: &[usize], findable: usize) -> usize {
        let most = counted.iter().copied().max().unwrap_or(0);
        let depths = self.metrics.iter().map(|metric| match metric.depth() {
            RankDepth::First(count) => count,
            RankDepth::Relevant => most,
            RankDepth::All => findable,
        });
        let needed = depths.max().unwrap_or(0);
        let allowed = match self.config.k {
            None => findable,
            Some(NeighborCount::MaxBinCount) => most,
            Some(NeighborCount::Exactly(k)) => k,
        };
        needed.min(allowed).min(findable).max(1)
    }

    /// The score of what each query has, if it has something to find.
    fn score(&self, metric: String, batch: &Batch, per_query: Vec<Option<f64>>) -> Result<Score> {
        let per_class = if self.config.avg_of_avgs || self.config.return_per_class {
            let labels = batch.labels().ok_or(Error::Missing {
                component: "AccuracyCalculator",
                needed: "labels for the averages of classes",
            })?;
            class_means(labels, &per_query)
        } else {
            Vec::new()
        };
        let value = if self.config.avg_of_avgs {
            mean_of_classes(&per_class)
        } else {
            mean(per_query.iter().copied())
        };
        Ok(Score {
            metric,
            value,
            per_class: if self.config.return_per_class {
                per_class
            } else {
                Vec::new()
            },
            per_query: per_query
                .into_iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect(),
        })
    }
}

/// The rows of those queries, which ascend: a part of the tensor where they follow one another.
fn rows_of(embeddings: &Tensor, queries: &[usize]) -> Result<Tensor> {
    match (queries.first(), queries.last()) {
        (Some(first), Some(last)) if last - first + 1 == queries.len() => {
            Ok(embeddings.narrow(0, *first, queries.len())?)
        }
        _ => {
            let rows: Vec<u32> = queries.iter().map(|q| *q as u32).collect();
            let rows = Tensor::from_vec(rows, queries.len(), embeddings.device())?;
            Ok(embeddings.index_select(&rows, 0)?)
        }
    }
}

/// Whether each of the first `limit` neighbours that count matches.
fn hits(relation: &Relation, q: usize, neighbors: &[u32], limit: usize) -> Vec<bool> {
    let verdicts = neighbors.iter().map(|r| relation.pair_kind(q, *r as usize));
    let hits = verdicts.filter_map(|verdict| match verdict {
        PairKind::Positive(_) => Some(true),
        PairKind::Negative(_) => Some(false),
        PairKind::Ignored => None,
    });
    hits.take(limit).collect()
}

#[cfg(test)]
mod tests;
