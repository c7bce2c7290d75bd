//! What a test finds.

use crate::accuracy::Accuracies;

/// The metrics of one query split.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{AccuracyCalculator, FlatIndex, GlobalEmbeddingSpaceTester, TestSplit, TesterConfig};
///
/// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?;
/// let tester = GlobalEmbeddingSpaceTester::new(TesterConfig::default(), calculator)?;
/// let rows = Tensor::new(&[[9f32, 0.], [8., 1.], [1., 9.], [0., 9.]], &Device::Cpu)?;
/// let split = TestSplit::new("test", rows, [0i64, 0, 1, 1])?;
/// let network = |x: &Tensor| Ok(x.clone());
/// let found = tester.test(&[split], None, &network, None)?;
/// assert_eq!((found[0].query.as_str(), found[0].references.len()), ("test", 1));
/// assert_eq!(found[0].get("precision_at_1_level0"), Some(1.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SplitAccuracies {
    /// The query split.
    pub query: String,
    /// Its reference splits.
    pub references: Vec<String>,
    /// Values by PML's names: the metric and its level of labels, `precision_at_1_level0`; with several levels also their
    /// mean, `AVERAGE_precision_at_1`. NaN where nothing has a value, such as a ranking of lone queries.
    pub values: Vec<(String, f64)>,
    /// What the values are made of: the average of each class (with `return_per_class`) and the number of each query.
    pub scores: Vec<LevelScores>,
}

/// The metrics of queries that were measured together: those of a split, or of a parent.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{AccuracyCalculator, FlatIndex, GlobalEmbeddingSpaceTester, TestSplit, TesterConfig};
///
/// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?;
/// let tester = GlobalEmbeddingSpaceTester::new(TesterConfig::default(), calculator)?;
/// let rows = Tensor::new(&[[9f32, 0.], [8., 1.], [1., 9.], [0., 9.]], &Device::Cpu)?;
/// let split = TestSplit::new("test", rows, [0i64, 0, 1, 1])?;
/// let network = |x: &Tensor| Ok(x.clone());
/// let found = tester.test(&[split], None, &network, None)?;
/// let scores = &found[0].scores[0];
/// assert_eq!((scores.level, scores.parent), (0, None));
/// assert_eq!(scores.accuracies.get("precision_at_1").unwrap().per_query.len(), 4);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LevelScores {
    /// The level of their labels; 0 is the finest.
    pub level: usize,
    /// The label one level up that they share, where they were measured
    /// [by parents](super::WithSameParentLabelTester).
    pub parent: Option<i64>,
    /// A score for each metric. Queries are in the order of the split.
    pub accuracies: Accuracies,
}

/// A level of labels, its metrics by name, and what they are made of.
pub(super) struct LevelMetrics {
    pub(super) level: usize,
    pub(super) values: Vec<(String, f64)>,
    pub(super) scores: Vec<LevelScores>,
}

impl SplitAccuracies {
    /// A value by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }

    /// From the values of each level, which are of the same metrics.
    pub(super) fn new(query: &str, references: &[String], levels: Vec<LevelMetrics>) -> Self {
        let mut values: Vec<(String, f64)> = Vec::new();
        for of_level in &levels {
            let level = of_level.level;
            let named = of_level.values.iter();
            values.extend(named.map(|(metric, value)| (format!("{metric}_level{level}"), *value)));
        }
        if let (true, Some(first)) = (levels.len() > 1, levels.first()) {
            for (at, (metric, _)) in first.values.iter().enumerate() {
                let sum: f64 = levels.iter().map(|level| level.values[at].1).sum();
                values.push((format!("AVERAGE_{metric}"), sum / levels.len() as f64));
            }
        }
        Self {
            query: query.to_owned(),
            references: references.to_vec(),
            values,
            scores: levels.into_iter().flat_map(|level| level.scores).collect(),
        }
    }
}
