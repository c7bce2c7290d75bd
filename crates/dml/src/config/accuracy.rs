//! Evaluation by name.

use dml_core::check;
use dml_eval::{AccuracyCalculator, AccuracyMetric, ClusterMetric, NeighborCount, RetrievalMetric};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ClustererConfig, ConfigError, KnnConfig, LabelComparison, registry};

registry! {
    /// What measures how good embeddings are.
    pub enum EvaluationConfig {
        AccuracyCalculator(AccuracyCalculatorSpec) {
            examples: |_| json!([{"k": 3, "retrieval": ["precision_at_2", "ndcg_at_3"]}]),
        },
    }
}

impl EvaluationConfig {
    /// The calculator.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<AccuracyCalculator, ConfigError> {
        let Self::AccuracyCalculator(config) = self;
        config.build()
    }
}

/// Metrics of nearest neighbours and of clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccuracyCalculatorSpec {
    /// PML's metrics to compute; none named means all.
    pub include: Vec<AccuracyMetric>,
    /// PML's metrics to leave out.
    pub exclude: Vec<AccuracyMetric>,
    /// Metrics of rankings to compute besides, such as `"hit_rate_at_5"`.
    pub retrieval: Vec<RetrievalMetric>,
    /// Metrics of clusters to compute besides, such as `"ARI"`.
    pub clustering: Vec<ClusterMetric>,
    /// Average over the classes' averages. Excludes `return_per_class`.
    pub avg_of_avgs: bool,
    /// Give the average of each class besides. Excludes `avg_of_avgs`.
    pub return_per_class: bool,
    /// How many neighbours are looked at: a number, `"max_bin_count"`, or as many as each formula needs.
    pub k: Option<NeighborCount>,
    /// Which labels match. Default: equal ones. A batch that brings labels is measured by it, and so are the splits of a
    /// tester, where the second number of a label is the one a level up; a batch that brings another relation, such as
    /// that of [`LabelComparison::relation`], is measured by that. Metrics of clusters have no meaning with it.
    pub label_comparison_fn: Option<LabelComparison>,
    /// PML's choice of a device, which plays no part: neighbours are searched where the embeddings are if that is a CUDA
    /// device, and everything else is computed on the CPU.
    pub device: Option<String>,
    /// How neighbours are searched for.
    pub knn_func: KnnConfig,
    /// How clusters are made. Default: k-means.
    pub kmeans_func: Option<ClustererConfig>,
    /// Count the matches of a query as PML does, one too few where a row does not match itself.
    pub count_matches_as_pml: bool,
}

impl AccuracyCalculatorSpec {
    /// The calculator.
    ///
    /// # Errors
    /// As [`EvaluationConfig::build`], and if metrics of clusters are left in beside another comparison of labels.
    pub fn build(&self) -> Result<AccuracyCalculator, ConfigError> {
        let is_left = |metric: &AccuracyMetric| {
            (self.include.is_empty() || self.include.contains(metric))
                && !self.exclude.contains(metric)
        };
        let mut cluster_metrics = AccuracyMetric::ALL
            .iter()
            .filter(|m| m.clustering().is_some());
        let any_cluster_metric = cluster_metrics.any(is_left) || !self.clustering.is_empty();
        let can = self.label_comparison_fn.is_none() || !any_cluster_metric;
        let reason = "clusters can be compared with equal labels only: exclude AMI and NMI, or name no \
                      label_comparison_fn";
        check::supported(can, "AccuracyCalculator", reason)?;
        let own = dml_eval::AccuracyCalculatorConfig {
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            retrieval: self.retrieval.clone(),
            clustering: self.clustering.clone(),
            avg_of_avgs: self.avg_of_avgs,
            return_per_class: self.return_per_class,
            k: self.k,
            count_matches_as_pml: self.count_matches_as_pml,
        };
        let clusterer = self.kmeans_func.clone().unwrap_or_default().build()?;
        let calculator = AccuracyCalculator::new(own, self.knn_func.build()?.to_empty())?;
        let calculator = calculator.with_clusterer(clusterer);
        Ok(match self.label_comparison_fn {
            None => calculator,
            Some(comparison) => calculator.with_label_relation(comparison),
        })
    }
}
