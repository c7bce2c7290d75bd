//! Evaluation by name.

use dml_eval::{AccuracyCalculator, AccuracyMetric, NeighborCount};
use serde::{Deserialize, Serialize};

use super::{ConfigError, KnnConfig, registry};

registry! {
    /// What measures how good embeddings are.
    pub enum EvaluationConfig {
        AccuracyCalculator(AccuracyCalculatorConfig),
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

/// Metrics of nearest neighbours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccuracyCalculatorConfig {
    /// The metrics to compute; none named means all.
    pub include: Vec<AccuracyMetric>,
    /// Metrics to leave out.
    pub exclude: Vec<MetricName>,
    /// Average over the classes' averages. Excludes `return_per_class`.
    pub avg_of_avgs: bool,
    /// Give the average of each class besides. Excludes `avg_of_avgs`.
    pub return_per_class: bool,
    /// How many neighbours are looked at: a number, `"max_bin_count"`, or as many as each formula needs.
    pub k: Option<NeighborCount>,
    /// Nothing but `null`: who matches whom is said by the batch's relation.
    pub label_comparison_fn: Option<NoFunction>,
    /// Nothing but `null`: there are no clustering metrics.
    pub kmeans_func: Option<NoFunction>,
    /// Where to compute, which is the CPU whatever is said.
    pub device: Option<String>,
    /// How neighbours are searched for.
    pub knn_func: KnnConfig,
    /// Count the matches of a query as PML does, one too few where a row does not match itself.
    pub count_matches_as_pml: bool,
}

/// A metric of PML's, for leaving it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricName {
    /// One that looks at neighbours.
    Rank(AccuracyMetric),
    /// One that looks at clusters.
    Cluster(ClusterMetric),
}

/// The metrics of PML's that look at clusters; they can be left out and not be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterMetric {
    /// Adjusted mutual information.
    AMI,
    /// Normalised mutual information.
    NMI,
}

/// No value: a function can't be named in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoFunction {}

impl AccuracyCalculatorConfig {
    /// The calculator.
    ///
    /// # Errors
    /// As [`EvaluationConfig::build`].
    pub fn build(&self) -> Result<AccuracyCalculator, ConfigError> {
        let excluded = self.exclude.iter().filter_map(|name| match name {
            MetricName::Rank(metric) => Some(*metric),
            MetricName::Cluster(_) => None,
        });
        let own = dml_eval::AccuracyCalculatorConfig {
            include: self.include.clone(),
            exclude: excluded.collect(),
            avg_of_avgs: self.avg_of_avgs,
            return_per_class: self.return_per_class,
            k: self.k,
            count_matches_as_pml: self.count_matches_as_pml,
        };
        Ok(AccuracyCalculator::new(own, self.knn_func.build()?)?)
    }
}
