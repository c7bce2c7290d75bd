//! Distances and similarities between embeddings.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Tensor, Var};

use crate::Result;
use crate::forward;

/// Whether smaller or larger values mean closer.
///
/// ```
/// use dml_core::Order;
///
/// let farther = |order: Order, a: f64, b: f64| order.sign() * a > order.sign() * b;
/// assert!(farther(Order::SmallerIsCloser, 3.0, 1.0)); // distances
/// assert!(farther(Order::LargerIsCloser, 0.1, 0.9)); // similarities
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A distance: 0 is closest.
    SmallerIsCloser,
    /// A similarity: the largest value is closest.
    LargerIsCloser,
}

impl Order {
    /// 1 for distances and −1 for similarities: `sign · value` grows with the distance in both.
    #[must_use]
    pub fn sign(self) -> f64 {
        match self {
            Self::SmallerIsCloser => 1.0,
            Self::LargerIsCloser => -1.0,
        }
    }
}

/// The formula of a distance: everything that decides the numbers of its matrix.
///
/// Distances of equal kind give equal matrices, so that a miner and a loss of one kind share the matrix of a step.
/// Components whose own formula holds for one geometry only check the kind of their distance: a margin added to an angle needs
/// cosines, and the law of distances between random unit vectors needs Euclidean ones.
///
/// ```
/// use dml_core::DistanceKind;
///
/// let kind = DistanceKind::Lp { p: 2.0, power: 1.0, normalized: true };
/// assert!(kind.is_unit_euclidean() && kind.is_normalized());
/// assert!(!DistanceKind::Other.is_normalized());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum DistanceKind {
    /// `(x · r / (‖x‖ₚ ‖r‖ₚ))^power`.
    Cosine {
        /// Exponent of the norm that rows are divided by.
        p: f64,
        /// Power that the similarity is raised to.
        power: f64,
    },
    /// `(x · r)^power`.
    DotProduct {
        /// Exponent of the norm that rows are divided by.
        p: f64,
        /// Power that the similarity is raised to.
        power: f64,
        /// Whether rows are divided by their p-norm first.
        normalized: bool,
    },
    /// `‖x − r‖ₚ^power`.
    Lp {
        /// Exponent of the norm.
        p: f64,
        /// Power that the norm is raised to.
        power: f64,
        /// Whether rows are divided by their p-norm first.
        normalized: bool,
    },
    /// `(var(x − r) / var(x))^power`.
    SignalToNoise {
        /// Exponent of the norm that rows are divided by.
        p: f64,
        /// Power that the ratio is raised to.
        power: f64,
        /// Whether rows are divided by their p-norm first.
        normalized: bool,
    },
    /// Any other formula. Its matrix is shared with no other distance.
    Other,
}

impl DistanceKind {
    /// Whether this is `‖x̂ − r̂‖₂` of normalised rows: the distance of points on the unit sphere.
    #[must_use]
    pub fn is_unit_euclidean(self) -> bool {
        self == Self::Lp {
            p: 2.0,
            power: 1.0,
            normalized: true,
        }
    }

    /// Whether the distance divides rows by their norm first; `false` if that is unknown.
    #[must_use]
    pub fn is_normalized(self) -> bool {
        match self {
            Self::Cosine { .. } => true,
            Self::DotProduct { normalized, .. }
            | Self::Lp { normalized, .. }
            | Self::SignalToNoise { normalized, .. } => normalized,
            Self::Other => false,
        }
    }
}

/// A distance or a similarity between embeddings.
///
/// Only [`matrix`](Distance::matrix) must be written for a new one. Here is the Canberra distance,
/// `Σ |xₖ − rₖ| / (|xₖ| + |rₖ|)`, in Candle's operations and with its gradient:
///
/// ```
/// use dml_core::candle_core::{Device, Tensor, Var};
/// use dml_core::{Distance, Result, TensorExt};
///
/// #[derive(Debug)]
/// struct Canberra;
///
/// impl Distance for Canberra {
///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
///         let x = query.unsqueeze(1)?; // [Q, 1, dim]
///         let r = reference.unwrap_or(query).unsqueeze(0)?; // [1, R, dim]
///         let scale = x.safe_abs()?.broadcast_add(&r.safe_abs()?)?;
///         let shares = (x.broadcast_sub(&r)?.safe_abs()? / (scale + 1e-12)?)?;
///         Ok(shares.sum(2)?)
///     }
/// }
///
/// let x = Var::new(&[[1f64, 0.], [3., 4.]], &Device::Cpu)?;
/// let matrix = Canberra.matrix(&x, None)?;
/// assert!((matrix.to_vec2::<f64>()?[0][1] - 1.5).abs() < 1e-9);
/// assert!(matrix.sum_all()?.backward()?.get(x.as_tensor()).is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Distance: Debug + Send + Sync {
    /// All distances `[Q, R]` between rows of `query` `[Q, dim]` and `reference` `[R, dim]`; `None` compares the
    /// queries among themselves.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the rows are of different length.
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor>;

    /// Whether smaller or larger values mean closer.
    fn order(&self) -> Order {
        Order::SmallerIsCloser
    }

    /// The formula. Any kind but [`DistanceKind::Other`] promises the matrix of that formula.
    fn kind(&self) -> DistanceKind {
        DistanceKind::Other
    }

    /// Learned parameters by name, for an optimiser and for checkpoints.
    fn parameters(&self) -> Vec<(String, Var)> {
        Vec::new()
    }

    /// Embeddings as they are compared: divided by their norm, for example. An index of prepared rows searches by this distance.
    ///
    /// # Errors
    /// As [`matrix`](Distance::matrix).
    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
        Ok(embeddings.clone())
    }

    /// Norm of each row before any preparation, in the norm of this distance: `[rows, dim]` to `[rows]`.
    ///
    /// # Errors
    /// As [`matrix`](Distance::matrix).
    fn norms(&self, embeddings: &Tensor) -> Result<Tensor> {
        crate::TensorExt::row_norms(embeddings, 2.0)
    }

    /// Row i with row i, `[N, dim]` and `[N, dim]` to `[N]`: the same numbers as the diagonal of the matrix.
    ///
    /// # Errors
    /// As [`matrix`](Distance::matrix).
    fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        let rows: Vec<u32> = (0..query.dims()[0] as u32).collect();
        crate::TensorExt::pick_entries(&self.matrix(query, Some(reference))?, &rows, &rows)
    }

    /// Row i with row i, `[N, dim]` and `[N, dim]` to `[N]`, of the rows as they come: neither normalised nor raised to a
    /// power.
    ///
    /// # Errors
    /// As [`matrix`](Distance::matrix).
    fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        self.pairs(query, reference)
    }

    /// Signed gap: `near − far` for distances, `far − near` for similarities. Negative if `near` is closer than `far`.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if the shapes differ.
    fn gap(&self, near: &Tensor, far: &Tensor) -> Result<Tensor> {
        Ok(match self.order() {
            Order::SmallerIsCloser => (near - far)?,
            Order::LargerIsCloser => (far - near)?,
        })
    }

    /// The closer of two values, entry by entry: the smaller distance or the larger similarity. NaN if one of them is NaN.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if the shapes differ.
    fn closer(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let closer = match self.order() {
            Order::SmallerIsCloser => a.minimum(b)?,
            Order::LargerIsCloser => a.maximum(b)?,
        };
        // Which of the two comes out of a comparison with NaN depends on the device.
        let is_number = a.eq(a)?.mul(&b.eq(b)?)?;
        Ok(is_number.where_cond(&closer, &(a + b)?)?)
    }
}

forward!(Distance for [&T, Box<T>, Arc<T>] {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor>;
    fn order(&self) -> Order;
    fn kind(&self) -> DistanceKind;
    fn parameters(&self) -> Vec<(String, Var)>;
    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor>;
    fn norms(&self, embeddings: &Tensor) -> Result<Tensor>;
    fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor>;
    fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor>;
    fn gap(&self, near: &Tensor, far: &Tensor) -> Result<Tensor>;
    fn closer(&self, a: &Tensor, b: &Tensor) -> Result<Tensor>;
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_geometry_is_that_of_the_unit_sphere() {
        let lp = |p, power, normalized| DistanceKind::Lp {
            p,
            power,
            normalized,
        };
        assert!(lp(2.0, 1.0, true).is_unit_euclidean());
        for other in [
            lp(1.0, 1.0, true),
            lp(2.0, 2.0, true),
            lp(2.0, 1.0, false),
            DistanceKind::Cosine { p: 2.0, power: 1.0 },
            DistanceKind::Other,
        ] {
            assert!(!other.is_unit_euclidean());
        }
    }

    #[test]
    fn distances_are_objects() {
        fn object(_: &dyn Distance) {}
        #[derive(Debug)]
        struct Zero;
        impl Distance for Zero {
            fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
                let rows = reference.unwrap_or(query).dims()[0];
                Ok(Tensor::zeros(
                    (query.dims()[0], rows),
                    query.dtype(),
                    query.device(),
                )?)
            }
        }
        object(&Zero);
        object(&Arc::new(Zero));
    }
}
