//! Tests of first inputs among second ones.

use candle_core::ModuleT;
use dml_core::Result;

use super::tester::{Pairing, Tester, tester};

tester! {
    /// Measures the first inputs of every split among its second ones, such as sketches among photographs: PML's
    /// `GlobalTwoStreamEmbeddingSpaceTester`. A row is not its own partner: both are different things of the same label.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{
    ///     AccuracyCalculator, FlatIndex, GlobalTwoStreamEmbeddingSpaceTester, TestSplit, TesterConfig,
    /// };
    ///
    /// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?;
    /// let tester = GlobalTwoStreamEmbeddingSpaceTester::new(TesterConfig::default(), calculator)?;
    /// let sketches = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
    /// let photographs = Tensor::new(&[[9f32, 1.], [1., 9.]], &Device::Cpu)?;
    /// let split = TestSplit::new("test", sketches, [0i64, 1])?.with_second_inputs(photographs)?;
    /// let network = |x: &Tensor| Ok(x.clone());
    /// let found = tester.test(&[split], None, &network, None)?;
    /// assert_eq!(found[0].get("precision_at_1_level0"), Some(1.0));
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct GlobalTwoStreamEmbeddingSpaceTester, true, Tester::by_level;

    /// As [`GlobalEmbeddingSpaceTester::test`](super::GlobalEmbeddingSpaceTester::test); a query split has itself as its
    /// only reference.
    ///
    /// # Errors
    /// As there; [`Error::Missing`](dml_core::Error::Missing) if a split has no second inputs,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) if a query split has another reference.
    test
}
