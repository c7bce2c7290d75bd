//! What an accuracy calculation gives.

use std::collections::BTreeMap;

use dml_core::{Labels, Result};

use super::bootstrap::{BootstrapConfig, ConfidenceInterval, confidence_interval};

/// One [`Score`] per metric.
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
/// use dml_eval::{AccuracyCalculator, FlatIndex};
///
/// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?;
/// let rows = Tensor::new(&[[0f32], [1.], [8.], [9.]], &Device::Cpu)?;
/// let found = calculator.get_accuracy(&Batch::new(&rows, [0i64, 0, 1, 1])?)?;
/// let values: Vec<(&str, f64)> = found.iter().map(|score| (score.metric.as_str(), score.value)).collect();
/// assert_eq!(values[0], ("precision_at_1", 1.0));
/// assert_eq!(found.get("precision_at_1").unwrap().per_query, [1.0; 4]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Accuracies(Vec<Score>);

/// One metric: its average, and what it is made of.
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
/// use dml_eval::{AccuracyCalculator, FlatIndex};
///
/// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?;
/// let rows = Tensor::new(&[[0f32], [1.], [3.]], &Device::Cpu)?;
/// let found = calculator.get_accuracy(&Batch::new(&rows, [0i64, 0, 1])?)?;
/// let score = found.get("precision_at_1").unwrap();
/// // The third row has no other of its class.
/// assert_eq!((score.value, score.per_query[2].is_nan()), (1.0, true));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// The metric's name, such as `precision_at_1`.
    pub metric: String,
    /// The average over the queries that have a match, or over the classes' averages with `avg_of_avgs`; NaN if no
    /// query has a match, or if a metric of your own gives no number for one that has. For metrics of clusters, the
    /// number itself.
    pub value: f64,
    /// The average of each class in ascending order of labels, with `return_per_class`. Classes none of whose queries
    /// has a match are left out; if that is so for all of them, each is NaN. Empty for metrics of clusters.
    pub per_class: Vec<(i64, f64)>,
    /// The number of every query; NaN for a query without any match. Empty for metrics of clusters.
    pub per_query: Vec<f64>,
}

// A value for each query would fill the screen, and a file of logs, with millions of numbers.
dml_core::debug_fields!(Score, |own| {
    metric: own.metric, value: own.value, classes: own.per_class.len(), queries: own.per_query.len(),
});

/// Metrics and their values.
impl std::fmt::Debug for Accuracies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = self.0.iter();
        f.debug_map()
            .entries(values.map(|score| (&score.metric, score.value)))
            .finish()
    }
}

impl Score {
    /// The interval of the mean over queries, by drawing queries anew.
    ///
    /// # Errors
    /// As [`confidence_interval`]; metrics of clusters have no value per query.
    pub fn confidence_interval(&self, config: &BootstrapConfig) -> Result<ConfidenceInterval> {
        confidence_interval(&self.per_query, config)
    }
}

impl Accuracies {
    pub(super) fn new(scores: Vec<Score>) -> Self {
        Self(scores)
    }

    /// The score of a metric, if it was asked for.
    #[must_use]
    pub fn get(&self, metric: &str) -> Option<&Score> {
        self.0.iter().find(|score| score.metric == metric)
    }

    /// The scores, in the order in which the metrics were asked for.
    pub fn iter(&self) -> std::slice::Iter<'_, Score> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Accuracies {
    type Item = &'a Score;
    type IntoIter = std::slice::Iter<'a, Score>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The mean of the values of queries that have one; NaN if none has, or one of the values is.
pub(super) fn mean(values: impl IntoIterator<Item = Option<f64>>) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for value in values.into_iter().flatten() {
        sum += value;
        count += 1;
    }
    sum / count as f64
}

/// The mean of each class, as [`Score::per_class`] has them.
pub(super) fn class_means(labels: &Labels, per_query: &[Option<f64>]) -> Vec<(i64, f64)> {
    let mut classes: BTreeMap<i64, (f64, usize)> = BTreeMap::new();
    for (label, value) in labels.as_slice().iter().zip(per_query) {
        let (sum, count) = classes.entry(*label).or_default();
        if let Some(value) = value {
            *sum += value;
            *count += 1;
        }
    }
    let none = classes.values().all(|(_, count)| *count == 0);
    classes
        .into_iter()
        .filter(|(_, (_, count))| none || *count > 0)
        .map(|(label, (sum, count))| (label, sum / count as f64))
        .collect()
}

/// The mean of the averages of [`class_means`].
pub(super) fn mean_of_classes(classes: &[(i64, f64)]) -> f64 {
    mean(classes.iter().map(|(_, mean)| Some(*mean)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::IntoLabels;

    #[test]
    fn scores_show_themselves_in_one_line() {
        let score = Score {
            metric: "precision_at_1".to_owned(),
            value: 0.5,
            per_class: vec![(0, 0.5); 3],
            per_query: vec![0.5; 100_000],
        };
        let want =
            "Score { metric: \"precision_at_1\", value: 0.5, classes: 3, queries: 100000, .. }";
        assert_eq!(format!("{score:?}"), want);
        let all = Accuracies::new(vec![score]);
        assert_eq!(format!("{all:?}"), "{\"precision_at_1\": 0.5}");
    }

    #[test]
    fn means_leave_lone_queries_out() {
        assert_eq!(mean([Some(1.0), None, Some(0.0)]), 0.5);
        assert!(mean([None]).is_nan());
        // A query that has something to find, and no number for it, is no lone one.
        assert!(mean([Some(1.0), Some(f64::NAN)]).is_nan());
        let labels = [7i64, -1, 7, 3].into_labels().unwrap();
        let means = class_means(&labels, &[Some(1.0), Some(0.5), Some(0.0), None]);
        assert_eq!(means, [(-1, 0.5), (7, 0.5)]);
    }

    #[test]
    fn where_all_are_lone_every_class_is_nan() {
        let labels = [2i64, 1, 2].into_labels().unwrap();
        let means = class_means(&labels, &[None; 3]);
        assert_eq!(
            means.iter().map(|(label, _)| *label).collect::<Vec<_>>(),
            [1, 2]
        );
        assert!(means.iter().all(|(_, mean)| mean.is_nan()));
    }
}
