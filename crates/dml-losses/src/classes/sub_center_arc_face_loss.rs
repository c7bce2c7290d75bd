//! `ArcFace` with several centres for each class: an embedding belongs to the nearest of them.
//!
//! ```text
//! cos θⱼ = the largest cosine of the embedding and a centre of class j
//! ```
//!
//! and the rest as in [`ArcFaceLoss`](crate::ArcFaceLoss). Rows that were labelled wrongly gather around a centre of
//! their own, and [`outliers`](SubCenterArcFaceLoss::outliers) finds them there.
//!
//! Deng, Guo, Liu, Gong and Zafeiriou, "Sub-center `ArcFace`: Boosting Face Recognition by Large-scale Noisy Web Faces",
//! ECCV 2020.

use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use dml_core::{Batch, Distance, Result, check};

use crate::WeightInit;
use crate::classes::arc_face_loss::AngularMargin;
use crate::classes::class_softmax::{ClassLogits, Margin};
use crate::classes::class_weights::Classes;
use crate::classes::margin_softmax::{MarginSoftmax, MarginSoftmaxLoss};
use crate::classes::over_classes::loss_over_classes;
use crate::machinery::expression::Expression;
use crate::machinery::largest_of_groups::largest_of_groups;

dml_core::config! {
    /// Configuration of [`SubCenterArcFaceLoss`].
    pub struct SubCenterArcFaceLossConfig {
        /// Number of classes, 1 to 4,294,967,295.
        pub num_classes: usize,
        /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
        pub embedding_size: usize;
        /// Margin in degrees; any finite number. Default `28.6`.
        pub margin: f64 = 28.6,
        /// Factor of the cosines, in `[-1e30, 1e30]`. Default `64`.
        pub scale: f64 = 64.0,
        /// Number of centres of each class, 1 to 4,294,967,295. Default `3`.
        pub sub_centers: usize = 3,
        /// Initialisation of the weights. Default: standard normal.
        pub weight_init_func: Option<WeightInit> = None,
    }
}

/// Softmax over cosines with the nearest centre of each class and an angular margin ([formula](self)). One term `loss`, per
/// row. Learns `W` `[dim, classes · centres]`, in which the centres of a class stand side by side.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{SeededVars, SubCenterArcFaceLoss, SubCenterArcFaceLossConfig};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = SubCenterArcFaceLossConfig {
///     margin: 0.0,
///     scale: 1.0,
///     sub_centers: 2,
///     ..SubCenterArcFaceLossConfig::new(2, 2)
/// };
/// let loss = SubCenterArcFaceLoss::new(config, CosineSimilarity::default(), vars)?;
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[1f32, 0., -1., 0.], [0., 1., 0., -1.]], &Device::Cpu)?)?;
///
/// let batch = Batch::new(&Tensor::new(&[[0.6f32, 0.8]], &Device::Cpu)?, &[0i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// // The nearest centre of class 0 has cosine 0.8, that of class 1 has −0.6.
/// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
/// assert!((value - (-0.6f32 - 0.8).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SubCenterArcFaceLoss(MarginSoftmaxLoss<NearestCenters>);

impl SubCenterArcFaceLoss {
    /// A loss over the cosine similarity `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: SubCenterArcFaceLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let centers = check::at_least_one("sub_centers", config.sub_centers)?;
        let classes = Classes {
            centers,
            ..Classes::new(
                "SubCenterArcFaceLoss",
                config.num_classes,
                config.embedding_size,
            )
        };
        MarginSoftmaxLoss::over_cosines(
            classes,
            NearestCenters {
                margin: AngularMargin::degrees(config.margin)?,
                centers,
            },
            config.scale,
            config.weight_init_func,
            distance,
            &vars,
        )
        .map(Self)
    }

    /// The rows that lie far from the centre that most rows of their class are nearest to.
    ///
    /// A row is far if its angle to that centre is wider than `threshold` degrees. Of centres that equally many rows are
    /// nearest to, the first one counts. Labels are classes.
    ///
    /// # Errors
    /// As [`terms`](dml_core::Loss::terms), and [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a
    /// threshold that is not finite.
    pub fn outliers(&self, batch: &Batch, threshold: f64) -> Result<Outliers> {
        let widest = check::finite("threshold", threshold)?.to_radians();
        let own = self.0.weights.own_classes(&batch.detach())?;
        let weights = self.0.weights.rows()?.detach();
        let mut rows = Vec::new();
        let mut dominant = Vec::new();
        let cosines = self.cosines_of_own_centers(batch, &own)?;
        let mut members = vec![Vec::new(); self.0.weights.num_classes()];
        for (row, class) in own.iter().enumerate() {
            members[*class as usize].push(row);
        }
        for (class, members) in members.iter().enumerate() {
            let mut nearest = vec![0usize; self.0.margin.centers];
            for &row in members {
                nearest[first_largest(&cosines[row])] += 1;
            }
            let center = first_largest(&nearest);
            dominant.push((class * self.0.margin.centers + center) as u32);
            let angle = |row: usize| cosines[row][center].clamp(-1.0, 1.0).acos();
            let far = |row: &&usize| angle(**row) > widest;
            rows.extend(members.iter().filter(far).map(|row| *row as u32));
        }
        rows.sort_unstable();
        let dominant = Tensor::new(dominant, weights.device())?;
        Ok(Outliers {
            rows,
            dominant_centers: weights.index_select(&dominant, 0)?.t()?.contiguous()?,
        })
    }

    /// For each row its cosines with the centres of its own class.
    fn cosines_of_own_centers(&self, batch: &Batch, own: &[u32]) -> Result<Vec<Vec<f64>>> {
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let embeddings = batch.embeddings().detach();
        let weights = self.0.weights.rows_for(&embeddings)?.detach();
        let all = self.0.distance.matrix(&embeddings, Some(&weights))?;
        let all: Vec<Vec<f64>> = all.to_dtype(DType::F64)?.to_vec2()?;
        let of_class = |(cosines, class): (&Vec<f64>, &u32)| {
            cosines[*class as usize * self.0.margin.centers..][..self.0.margin.centers].to_vec()
        };
        Ok(all.iter().zip(own).map(of_class).collect())
    }
}

loss_over_classes!(SubCenterArcFaceLoss<MarginSoftmaxLoss<NearestCenters>>);

/// The margin of `ArcFace`, between a row and the nearest centre of its class.
#[derive(Clone, Copy, Debug)]
struct NearestCenters {
    margin: AngularMargin,
    centers: usize,
}

impl Margin for NearestCenters {
    #[inline(always)]
    fn own<E: Expression>(&self, cosine: E) -> E {
        self.margin.own(cosine)
    }
}

impl MarginSoftmax for NearestCenters {
    fn logits(loss: &MarginSoftmaxLoss<Self>, embeddings: &Tensor) -> Result<ClassLogits> {
        let cosines = loss.weights.compared(&loss.distance, embeddings)?;
        let nearest = largest_of_groups(&cosines, loss.margin.centers)?;
        Ok(ClassLogits::new(nearest, loss.scale))
    }
}

/// Result of [`outliers`](SubCenterArcFaceLoss::outliers).
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{SeededVars, SubCenterArcFaceLoss, SubCenterArcFaceLossConfig};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = SubCenterArcFaceLossConfig {
///     sub_centers: 2,
///     ..SubCenterArcFaceLossConfig::new(2, 2)
/// };
/// let loss = SubCenterArcFaceLoss::new(config, CosineSimilarity::default(), vars)?;
/// // The centres of class 0 point right and up, those of class 1 left and down.
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[1f32, 0., -1., 0.], [0., 1., 0., -1.]], &Device::Cpu)?)?;
///
/// let rows = Tensor::new(&[[0.96f32, 0.28], [0.8, 0.6], [0., 1.], [0., -1.]], &Device::Cpu)?;
/// let outliers = loss.outliers(&Batch::new(&rows, &[0i64, 0, 0, 1])?, 60.0)?;
/// // Two of three rows of class 0 are nearest to its right centre, at 16° and 37°; row 2 is 90° away from it.
/// assert_eq!(outliers.rows, [2]);
/// // The main centres point right and down.
/// assert_eq!(outliers.dominant_centers.to_vec2::<f32>()?, [[1., 0.], [0., -1.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outliers {
    /// The rows that lie far from the main centre of their class, ascending.
    pub rows: Vec<u32>,
    /// The main centre of each class `[dim, classes]`; the first one for a class without rows.
    pub dominant_centers: Tensor,
}

/// Where the largest value stands first.
fn first_largest<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests;
