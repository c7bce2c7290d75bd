//! What a triplet costs.
//!
//! ```text
//! v = h(a,p) − h(a,n) + margin          h: the distance; for similarities its negative
//! ℓ = max(0, v)                         smooth: ln(1 + eᵛ)
//! ```

use candle_core::Tensor;
use dml_core::kernels::triplet_margin::TripletPenalty;
use dml_core::{Distance, Result, TensorExt, check};

/// A hinge, or a softplus, with a margin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TripletCost {
    pub(crate) margin: f64,
    pub(crate) penalty: TripletPenalty,
}

impl TripletCost {
    /// A cost with a finite margin.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the margin is not finite.
    pub(crate) fn new(margin: f64, is_smooth: bool) -> Result<Self> {
        Ok(Self {
            margin: check::finite("margin", margin)?,
            penalty: if is_smooth {
                TripletPenalty::Softplus
            } else {
                TripletPenalty::Hinge
            },
        })
    }

    /// The cost of each triplet, given how far positives and negatives are: `[T]`.
    pub(crate) fn of(
        &self,
        distance: &dyn Distance,
        near: &Tensor,
        far: &Tensor,
    ) -> Result<Tensor> {
        let violation = (distance.gap(near, far)? + self.margin)?;
        match self.penalty {
            TripletPenalty::Hinge => violation.hinge(),
            TripletPenalty::Softplus => violation.safe_softplus(),
        }
    }
}
