//! Tests among all references.

use candle_core::ModuleT;
use dml_core::Result;

use super::tester::{Pairing, Tester, tester};

tester! {
    /// Measures every query split among all rows of its reference splits: PML's `GlobalEmbeddingSpaceTester`.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{
    ///     AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex,
    ///     GlobalEmbeddingSpaceTester, TestSplit, TesterConfig,
    /// };
    ///
    /// let config = AccuracyCalculatorConfig {
    ///     include: vec![AccuracyMetric::PrecisionAt1],
    ///     ..Default::default()
    /// };
    /// let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
    /// let tester = GlobalEmbeddingSpaceTester::new(TesterConfig::default(), calculator)?;
    /// let train = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
    /// let test = Tensor::new(&[[2f32, 0.1], [0.1, 9.], [5., 1.]], &Device::Cpu)?;
    /// let splits = [
    ///     TestSplit::new("train", train, [0i64, 1])?,
    ///     TestSplit::new("test", test, [0i64, 1, 1])?,
    /// ];
    /// let network = |x: &Tensor| Ok(x.clone());
    /// let found = tester.test(&splits, Some(&[("test", &["train"])]), &network, None)?;
    /// assert_eq!(found[0].get("precision_at_1_level0"), Some(2. / 3.));
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct GlobalEmbeddingSpaceTester, false, Tester::by_level;

    /// Embeds by `trunk` and, unless the trunk's output is measured, `embedder`, as at inference; then measures.
    ///
    /// # Errors
    /// Those of the networks and of the calculator; [`Error::Unsupported`](dml_core::Error::Unsupported) if a split is
    /// not among those given, [`Error::Index`](dml_core::Error::Index) if there is no such level of labels.
    test
}
