//! Testers by name.

use candle_core::ModuleT;
use dml_eval::{
    GlobalEmbeddingSpaceTester, GlobalTwoStreamEmbeddingSpaceTester, SplitAccuracies, SplitsToEval,
    TestSplit, WithSameParentLabelTester,
};
use serde::{Deserialize, Serialize};

use super::{AccuracyCalculatorSpec, ConfigError, registry};

registry! {
    /// What tests a network on the splits of a data set.
    pub enum TesterKind {
        GlobalEmbeddingSpaceTester(TesterSpec),
        WithSameParentLabelTester(TesterSpec),
        GlobalTwoStreamEmbeddingSpaceTester(TesterSpec),
    }
}

/// Configuration of a tester, and what it measures by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TesterSpec {
    /// How it embeds, and what it looks at.
    pub settings: dml_eval::TesterConfig,
    /// The metrics. Default: all of PML's.
    pub accuracy_calculator: AccuracyCalculatorSpec,
}

impl TesterKind {
    /// The tester.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Tester, ConfigError> {
        let (Self::GlobalEmbeddingSpaceTester(config)
        | Self::WithSameParentLabelTester(config)
        | Self::GlobalTwoStreamEmbeddingSpaceTester(config)) = self;
        let (settings, calculator) = (config.settings.clone(), config.accuracy_calculator.build()?);
        Ok(match self {
            Self::GlobalEmbeddingSpaceTester(_) => {
                Tester::Global(GlobalEmbeddingSpaceTester::new(settings, calculator)?)
            }
            Self::WithSameParentLabelTester(_) => {
                Tester::SameParent(WithSameParentLabelTester::new(settings, calculator)?)
            }
            Self::GlobalTwoStreamEmbeddingSpaceTester(_) => {
                let tester = GlobalTwoStreamEmbeddingSpaceTester::new(settings, calculator)?;
                Tester::TwoStream(tester)
            }
        })
    }
}

/// A tester that is ready.
#[derive(Clone, Debug)]
pub enum Tester {
    /// Among all references.
    Global(GlobalEmbeddingSpaceTester),
    /// Among references of the same parent.
    SameParent(WithSameParentLabelTester),
    /// First inputs among second ones.
    TwoStream(GlobalTwoStreamEmbeddingSpaceTester),
}

impl Tester {
    /// Embeds the splits and measures them: see [`GlobalEmbeddingSpaceTester::test`].
    ///
    /// # Errors
    /// As there.
    pub fn test(
        &self,
        splits: &[TestSplit],
        splits_to_eval: SplitsToEval<'_>,
        trunk: &dyn ModuleT,
        embedder: Option<&dyn ModuleT>,
    ) -> dml_core::Result<Vec<SplitAccuracies>> {
        match self {
            Self::Global(tester) => tester.test(splits, splits_to_eval, trunk, embedder),
            Self::SameParent(tester) => tester.test(splits, splits_to_eval, trunk, embedder),
            Self::TwoStream(tester) => tester.test(splits, splits_to_eval, trunk, embedder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use std::sync::Arc;

    #[test]
    fn testers_compare_labels_as_they_are_told() {
        // The same item by another camera, which is the level up: the row at 1 matches those at 0 and 0.1.
        let rows = Arc::new(Tensor::new(&[[0f32], [1.], [0.1], [9.]], &Device::Cpu).unwrap());
        let split = TestSplit::new("all", rows.clone(), [0i64, 0, 0, 1])
            .and_then(|split| split.with_parent_labels([0i64, 1, 0, 1]))
            .and_then(|split| split.with_second_inputs(rows))
            .unwrap();
        let identity = |x: &Tensor| Ok(x.clone());
        let value = |name: &str, comparison: &str| {
            let json = format!(
                r#"{{"name": "{name}", "settings": {{"normalize_embeddings": false}}, "accuracy_calculator":
                    {{"include": ["precision_at_1"], "label_comparison_fn": {comparison}}}}}"#
            );
            let tester = TesterKind::from_json(&json).unwrap().build().unwrap();
            let found = tester.test(std::slice::from_ref(&split), None, &identity, None);
            found.unwrap()[0].get("precision_at_1_level0").unwrap()
        };
        let other = r#""first_equal_second_different""#;
        // 0 and 0.1 find each other, and 1 finds 0.1; the first two are of the same camera.
        assert_eq!(value("GlobalEmbeddingSpaceTester", "null"), 1.0);
        assert_eq!(value("GlobalEmbeddingSpaceTester", other), 1. / 3.);
        // Each finds itself in the other stream.
        assert_eq!(value("GlobalTwoStreamEmbeddingSpaceTester", "null"), 1.0);
        assert_eq!(value("GlobalTwoStreamEmbeddingSpaceTester", other), 0.0);
        // Among references of the same camera nothing matches.
        assert_eq!(value("WithSameParentLabelTester", "null"), 1.0);
        assert!(value("WithSameParentLabelTester", other).is_nan());
    }

    #[test]
    fn every_tester_by_name() {
        let rows = Arc::new(Tensor::new(&[[0f32], [1.], [9.]], &Device::Cpu).unwrap());
        let split = TestSplit::new("all", rows.clone(), [0i64, 0, 1])
            .and_then(|split| split.with_parent_labels([0i64, 0, 0]))
            .and_then(|split| split.with_second_inputs(rows))
            .unwrap();
        let identity = |x: &Tensor| Ok(x.clone());
        for name in TesterKind::NAMES {
            let json = format!(
                r#"{{"name": "{name}", "settings": {{"normalize_embeddings": false}},
                    "accuracy_calculator": {{"include": ["precision_at_1"]}}}}"#
            );
            let tester = TesterKind::from_json(&json).unwrap().build().unwrap();
            let found = tester
                .test(std::slice::from_ref(&split), None, &identity, None)
                .unwrap();
            assert_eq!(found[0].get("precision_at_1_level0"), Some(1.0), "{name}");
        }
        let wrong = r#"{"name": "WithSameParentLabelTester", "settings": {"batch_size": 0}}"#;
        assert!(TesterKind::from_json(wrong).unwrap().build().is_err());
        assert!(
            TesterKind::from_json(r#"{"name": "WithSameParentLabelTester", "pca": 2}"#).is_err()
        );
    }
}
