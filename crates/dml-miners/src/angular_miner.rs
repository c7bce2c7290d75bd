//! Triplets whose negative sees anchor and positive under a wide angle.
//!
//! ```text
//! c = (a + p) / 2      tan θ = δ(a,p) / (2 δ(n,c))      chosen: θ > angle
//! δ(x,y) = ‖x − y + 1e-6‖₂ on the rows as they come, not normalised
//! ```
//!
//! The angle is that of Wang, Zhou, Wen, Liu and Lin, "Deep Metric Learning with Angular Loss" (2017,
//! arXiv:1708.01682). No centre is formed and no triplet is stored: squared distances between rows, `O(N²)` of them,
//! decide every triplet by one addition ([`AngularTriplets`]), and the result is a set by rule.

use candle_core::Tensor;
use dml_core::autograd::with_slices;
use dml_core::kernels::{AngularTriplets, Triangle};
use dml_core::{Batch, Distance, Miner, Result, TensorExt, Tuples, check, for_element};

use crate::host;

/// What is added to every difference, as in PyTorch's `pairwise_distance`.
const EPSILON: f64 = 1e-6;

dml_core::config! {
    /// Configuration of [`AngularMiner`].
    pub struct AngularMinerConfig {
        /// The angle that a triplet must exceed, in degrees, in `[0, 90)`. Default `20`.
        pub angle: f64 = 20.0,
    }
}

/// Chooses triplets by the angle at the negative ([formula](self)), as a rule that is asked anchor by anchor.
///
/// ```
/// use dml_core::{Batch, Miner, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_miners::{AngularMiner, AngularMinerConfig};
///
/// let config = AngularMinerConfig { angle: 40.0 };
/// let miner = AngularMiner::new(config, LpDistance::default())?;
/// let embeddings = Tensor::new(&[[-1f32, 0.], [1., 0.], [0., 1.], [0., 2.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1, 2])?;
/// // Rows 0 and 1 are 2 apart. From row 2 that is atan(2 / 2) = 45°, from row 3 it is atan(2 / 4) ≈ 27°.
/// let triplets = miner.mine(&batch)?.triplets(&batch)?;
/// assert_eq!((&triplets.anchors[..], &triplets.negatives[..]), (&[0, 1][..], &[2, 2][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AngularMiner {
    /// In radians.
    angle: f64,
}

impl AngularMiner {
    /// A miner whose `distance` must be the Euclidean one, the only one in which the angle means anything.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for an angle outside of `[0, 90)`, [`Error::Unsupported`](dml_core::Error::Unsupported) for another distance.
    pub fn new(config: AngularMinerConfig, distance: impl Distance + 'static) -> Result<Self> {
        host::unit_euclidean("AngularMiner", &distance)?;
        let fits = (0.0..90.0).contains(&config.angle);
        let angle = check::parameter(fits, "angle", config.angle, "degrees in [0, 90)")?;
        Ok(Self {
            angle: angle.to_radians(),
        })
    }
}

impl Miner for AngularMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let relation = batch.require_relation("AngularMiner")?.clone();
        if batch.is_spoiled()? {
            return Ok(Tuples::all());
        }
        let anchors = host::on_host(batch.embeddings())?; // [Q, dim]
        let references = batch.reference().map(host::on_host).transpose()?; // [R, dim]
        let others = references.as_ref().unwrap_or(&anchors);
        let from_anchor = euclidean(&anchors, others)?; // [Q, R]
        let among = references
            .as_ref()
            .map(|references| euclidean(references, references));
        let among = among.transpose()?; // [R, R]
        let dim = anchors.dims()[1];
        let tensors = [
            &anchors,
            others,
            &from_anchor,
            among.as_ref().unwrap_or(&from_anchor),
        ];
        for_element!(anchors, "embeddings", |T| {
            with_slices(tensors, |[a, r, ar, rr]: [&[T]; 4]| {
                let rows = Triangle {
                    anchors: a,
                    references: r,
                    dim,
                    from_anchor: ar,
                    among: among.is_some().then_some(rr),
                };
                let split =
                    move |q: usize, p: &mut Vec<u32>, n: &mut Vec<u32>| relation.split(q, p, n);
                Tuples::from_set(AngularTriplets::new(rows, self.angle, EPSILON, split))
            })
        })
    }
}

fn euclidean(x: &Tensor, r: &Tensor) -> Result<Tensor> {
    let shape = (x.dims()[0], r.dims()[0]);
    if shape.0 == 0 || shape.1 == 0 {
        return Ok(Tensor::zeros(shape, x.dtype(), x.device())?);
    }
    x.pairwise_lp(r, 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::example_distance::{Euclidean, triplets};
    use candle_core::Device;
    use dml_core::Error;
    use dml_core::TupleCount;
    use dml_distances::{CosineSimilarity, LpDistance};
    use std::sync::Arc;

    fn mine(angle: f64, batch: &Batch) -> Result<Tuples> {
        AngularMiner::new(AngularMinerConfig { angle }, LpDistance::default())?.mine(batch)
    }

    #[test]
    fn rows_are_taken_as_they_come() -> Result<()> {
        // Normalised, the rows of either class would coincide.
        let embeddings = Tensor::new(&[[1f64, 0.], [3., 0.], [0., 1.], [0., 9.]], &Device::Cpu)?;
        let batch = Batch::new(&embeddings, [0i64, 0, 1, 1])?;
        let mined = mine(20.0, &batch)?;
        // Of (0,1) the centre is (2,0), √5 ≈ 2.24 from row 2: atan(2 / 4.47) ≈ 24.1°; row 3 is too far. Of (2,3) the
        // centre is (0,5), √26 and √34 from rows 0 and 1: atan(8 / 10.2) ≈ 38.1° and atan(8 / 11.7) ≈ 34.5°.
        assert_eq!(
            triplets(&mined, &batch)?,
            [
                [0, 1, 2],
                [1, 0, 2],
                [2, 3, 0],
                [2, 3, 1],
                [3, 2, 0],
                [3, 2, 1]
            ]
        );
        assert_eq!(mined.count(&batch)?, TupleCount::Triplets(6));
        assert_eq!(mine(35.0, &batch)?.count(&batch)?.total(), 2);
        Ok(())
    }

    #[test]
    fn references_are_the_other_corners() -> Result<()> {
        let query = Tensor::new(&[[-1f32, 0.]], &Device::Cpu)?;
        let reference = Tensor::new(&[[1f32, 0.], [0., 1.], [0., 2.]], &Device::Cpu)?;
        let batch = Batch::new(&query, [0i64])?.with_reference(&reference, [0i64, 1, 1])?;
        assert_eq!(triplets(&mine(40.0, &batch)?, &batch)?, [[0, 0, 1]]);
        assert_eq!(
            triplets(&mine(20.0, &batch)?, &batch)?,
            [[0, 0, 1], [0, 0, 2]]
        );
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() {
        let others: [Arc<dyn Distance>; 2] =
            [Arc::new(CosineSimilarity::default()), Arc::new(Euclidean)];
        for distance in others {
            assert!(matches!(
                AngularMiner::new(AngularMinerConfig::default(), distance),
                Err(Error::Unsupported { .. })
            ));
        }
        for angle in [-1.0, 90.0, f64::NAN] {
            assert!(matches!(
                AngularMiner::new(AngularMinerConfig { angle }, LpDistance::default()),
                Err(Error::InvalidParameter { name: "angle", .. })
            ));
        }
    }
}
