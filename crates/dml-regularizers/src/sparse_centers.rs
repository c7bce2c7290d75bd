//! How far apart the centres of one class are.
//!
//! ```text
//! ℓ = √(2 − 2 s(xᵢ, xⱼ)) for every two centres i < j of one class,   divisor 2 · (number of these pairs)
//! ```
//!
//! Qian, Shang, Sun, Hu, Li, Jin, "`SoftTriple` Loss: Deep Metric Learning Without Triplet Sampling", 2019,
//! arXiv:1909.05235, §3.3: centres that a class does not need fall together. Rows `c · centers_per_class` and the
//! following are the centres of class c.

use std::sync::Arc;

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Distance, DistanceKind, Reducer, Regularizer, Result, TensorExt, check};

use crate::per_row;

/// Configuration of [`SparseCentersRegularizer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct SparseCentersRegularizerConfig {
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
    /// Centres of each class, at least 2.
    pub centers_per_class: usize,
}

/// Draws the centres of a class together ([formula](self)), with gradient 0 for centres that point the same way.
///
/// ```
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_distances::CosineSimilarity;
/// use dml_reducers::DivisorReducer;
/// use dml_regularizers::{SparseCentersRegularizer, SparseCentersRegularizerConfig};
///
/// let config = SparseCentersRegularizerConfig { num_classes: 2, centers_per_class: 2 };
/// let regularizer =
///     SparseCentersRegularizer::new(config, CosineSimilarity::default(), DivisorReducer)?;
/// // The centres of the first class are opposite (√4), those of the second are the same (0); two pairs.
/// let rows = Tensor::new(&[[1f32, 0.], [-1., 0.], [0., 1.], [0., 2.]], &Device::Cpu)?;
/// assert_eq!(regularizer.penalty(&rows)?.to_scalar::<f32>()?, 0.5);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SparseCentersRegularizer {
    rows: usize,
    left: Vec<u32>,
    right: Vec<u32>,
    distance: Arc<dyn Distance>,
    reducer: Arc<dyn Reducer>,
}

impl SparseCentersRegularizer {
    /// The penalty by the cosine `distance`, reduced by `reducer`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for no class or fewer than two centres, [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance
    /// is the cosine similarity.
    pub fn new(
        config: SparseCentersRegularizerConfig,
        distance: impl Distance + 'static,
        reducer: impl Reducer + 'static,
    ) -> Result<Self> {
        let classes = check::at_least_one("num_classes", config.num_classes)?;
        let centers = config.centers_per_class;
        check::count_from("centers_per_class", centers, 2, usize::MAX)?;
        // The pairs are written out, and rows are numbered in 32 bits.
        check::elements("centers_per_class", &[classes, centers, centers], 4)?;
        let rows = classes * centers;
        check::count("num_classes * centers_per_class", rows, check::MOST)?;
        let is_cosine = matches!(distance.kind(), DistanceKind::Cosine { .. });
        let reason =
            "needs CosineSimilarity: its formula is that of the chord between unit vectors";
        check::supported(is_cosine, "SparseCentersRegularizer", reason)?;
        let (left, right) = (0..classes)
            .flat_map(|class| {
                let first = (class * centers) as u32;
                let last = first + centers as u32;
                (first..last).flat_map(move |i| (i + 1..last).map(move |j| (i, j)))
            })
            .unzip();
        Ok(Self {
            rows,
            left,
            right,
            distance: Arc::new(distance),
            reducer: Arc::new(reducer),
        })
    }
}

impl Regularizer for SparseCentersRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = &whole(rows)?;
        let fits = rows.rank() == 2 && rows.dims()[0] == self.rows;
        check::shape(fits, "rows", rows, "[num_classes * centers_per_class, dim]")?;
        let side = |numbers: &[u32]| rows.index_select(&Tensor::new(numbers, rows.device())?, 0);
        let similarity = self
            .distance
            .pairs(&side(&self.left)?, &side(&self.right)?)?; // [pairs]
        let values = ((similarity * -2.0)? + 2.0)?.hinge()?.safe_power(0.5)?;
        let divisor = 2.0 * self.left.len() as f64;
        per_row::reduce(&self.reducer, rows, values, Some(divisor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::candle_core::{Device, Var};
    use dml_distances::{CosineSimilarity, LpDistance};
    use dml_reducers::DivisorReducer;

    fn make(num_classes: usize, centers_per_class: usize) -> Result<SparseCentersRegularizer> {
        let config = SparseCentersRegularizerConfig {
            num_classes,
            centers_per_class,
        };
        SparseCentersRegularizer::new(config, CosineSimilarity::default(), DivisorReducer)
    }

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(
            make(3, 1),
            Err(Error::InvalidParameter {
                name: "centers_per_class",
                ..
            })
        ));
        assert!(matches!(
            make(0, 2),
            Err(Error::InvalidParameter {
                name: "num_classes",
                ..
            })
        ));
        let config = SparseCentersRegularizerConfig {
            num_classes: 2,
            centers_per_class: 2,
        };
        let lp = Arc::new(LpDistance::default());
        let made = SparseCentersRegularizer::new(config, lp, DivisorReducer);
        assert!(matches!(made, Err(Error::Unsupported { .. })));
    }

    #[test]
    fn rows_are_the_centres_of_all_classes() -> Result<()> {
        let rows = Tensor::new(&[[1f64, 0.], [0., 1.], [1., 1.]], &Device::Cpu)?;
        assert!(matches!(
            make(2, 2)?.penalty(&rows),
            Err(Error::Shape { arg: "rows", .. })
        ));
        Ok(())
    }

    #[test]
    fn equal_centres_have_a_finite_gradient() -> Result<()> {
        let rows = Var::new(&[[1f64, 0.], [2., 0.]], &Device::Cpu)?;
        let gradients = make(1, 2)?.penalty(&rows)?.backward()?;
        let gradient = gradients
            .get(rows.as_tensor())
            .map(Tensor::to_vec2::<f64>)
            .transpose()?;
        assert_eq!(gradient, Some(vec![vec![0., 0.], vec![0., 0.]]));
        Ok(())
    }
}
