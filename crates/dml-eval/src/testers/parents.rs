//! Tests among references of the same parent.

use candle_core::{ModuleT, Tensor};
use dml_core::{IntoLabels, Labels, Result, check};

use super::LevelScores;
use super::report::LevelMetrics;
use super::tester::{Pairing, Tester, tester};
use crate::rows::selected;

tester! {
    /// Measures each query among the references with the same label one level up, such as a breed of dog among dogs, and takes
    /// the mean over these labels: PML's `WithSameParentLabelTester`. The coarsest level has no parents and is left out.
    ///
    /// Parents for which a metric has no value are left out of its mean: those whose queries are all lone, and those without
    /// references. Where no parent has a value, the mean is NaN.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{AccuracyCalculator, FlatIndex, TestSplit, TesterConfig, WithSameParentLabelTester};
    ///
    /// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?;
    /// let tester = WithSameParentLabelTester::new(TesterConfig::default(), calculator)?;
    /// let rows = Tensor::new(&[[9f32, 0.], [8., 1.], [1., 9.], [0., 9.]], &Device::Cpu)?;
    /// // Two breeds, both of the same animal.
    /// let split = TestSplit::new("test", rows, [0i64, 0, 1, 1])?.with_parent_labels([0i64; 4])?;
    /// let network = |x: &Tensor| Ok(x.clone());
    /// let found = tester.test(&[split], None, &network, None)?;
    /// assert_eq!(found[0].get("precision_at_1_level0"), Some(1.0));
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct WithSameParentLabelTester, false, mean_over_parents;

    /// As [`GlobalEmbeddingSpaceTester::test`](super::GlobalEmbeddingSpaceTester::test).
    ///
    /// # Errors
    /// As there; [`Error::Missing`](dml_core::Error::Missing) if no level that is asked for has parents.
    test
}

fn mean_over_parents(tester: &Tester, pairing: &Pairing) -> Result<Vec<LevelMetrics>> {
    let available = pairing.query_labels.len();
    let levels = tester.levels(available)?.into_iter();
    let mut levels = levels.filter(|level| level + 1 < available).peekable();
    let needed = "labels one level above those that are measured";
    check::present(levels.peek(), "WithSameParentLabelTester", needed)?;
    levels
        .map(|level| tester.mean_over_parents(pairing, level))
        .collect()
}

impl Tester {
    fn mean_over_parents(&self, pairing: &Pairing, level: usize) -> Result<LevelMetrics> {
        let mut parents = pairing.query_labels[level + 1].as_slice().to_vec();
        parents.sort_unstable();
        parents.dedup();
        let names = self.calculator.names().into_iter();
        let mut sums: Vec<(String, f64, f64)> = names.map(|name| (name, 0.0, 0.0)).collect();
        let mut scores = Vec::new();
        for parent in parents {
            let children = pairing.of_parent(level, parent)?;
            if children.reference_labels[0].is_empty() {
                // Nothing to be found: as for lone queries.
                continue;
            }
            let accuracies = children.accuracy(&self.calculator, 0)?;
            for ((_, sum, count), score) in sums.iter_mut().zip(&accuracies) {
                // A metric that gives no number for a query is not passed over as lone queries are.
                let is_lone = score.per_query.iter().all(|value| value.is_nan());
                if !(score.value.is_nan() && is_lone) {
                    *sum += score.value;
                    *count += 1.0;
                }
            }
            scores.push(LevelScores {
                level,
                parent: Some(parent),
                accuracies,
            });
        }
        let means = sums.into_iter();
        Ok(LevelMetrics {
            level,
            values: means
                .map(|(metric, sum, count)| (metric, sum / count))
                .collect(),
            scores,
        })
    }
}

impl Pairing {
    /// The rows of one parent, with their labels of that level and those above.
    fn of_parent(&self, level: usize, parent: i64) -> Result<Self> {
        let part = |rows: &Tensor, labels: &[Labels]| -> Result<(Tensor, Vec<Labels>)> {
            let parents = labels[level + 1].as_slice().iter();
            let chosen: Vec<u32> = (0..)
                .zip(parents)
                .filter(|(_, other)| **other == parent)
                .map(|(row, _)| row)
                .collect();
            let own = labels[level..].iter().map(|labels| {
                let own = chosen.iter().map(|row| labels.as_slice()[*row as usize]);
                own.collect::<Vec<i64>>().into_labels()
            });
            let own = own.collect::<Result<Vec<Labels>>>()?;
            Ok((selected(rows, &chosen)?, own))
        };
        let (query, query_labels) = part(&self.query, &self.query_labels)?;
        let (reference, reference_labels) = part(&self.reference, &self.reference_labels)?;
        Ok(Self {
            query,
            query_labels,
            reference,
            reference_labels,
            includes_query: self.includes_query,
        })
    }
}
