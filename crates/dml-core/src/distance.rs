//! How far apart, or how alike, two embeddings are.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Tensor, Var};

use crate::Result;

/// Whether smaller or larger values mean closer.
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

/// Which formula a distance is, for components whose own formula holds for one geometry only: a margin added to an
/// angle needs cosines, and the law of distances between random unit vectors needs Euclidean ones.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum DistanceKind {
    /// Dot products of rows that are divided by their norm first.
    Cosine,
    /// Dot products of rows as they come, or of normalised rows.
    DotProduct,
    /// `‖x − r‖ₚ^power`.
    Lp {
        /// The norm's exponent.
        p: f64,
        /// The power that the norm is raised to.
        power: f64,
        /// Whether rows are divided by their p-norm first.
        normalized: bool,
    },
    /// `var(x − r) / var(x)`.
    SignalToNoise,
    /// Anything else.
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
}

/// Everything that decides the numbers of a distance matrix: equal formulas give equal matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Formula {
    /// The kind of distance.
    pub kind: DistanceKind,
    /// The exponent of the norm that rows are measured or divided by.
    pub p: f64,
    /// The power that values are raised to.
    pub power: f64,
    /// Whether rows are divided by their norm first.
    pub normalized: bool,
}

/// A distance or a similarity between embeddings.
///
/// Only [`matrix`](Distance::matrix) must be written for a new one.
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

    /// Which formula this is; a distance of one's own may leave it at [`DistanceKind::Other`].
    fn kind(&self) -> DistanceKind {
        DistanceKind::Other
    }

    /// What decides the numbers of the matrix, so that a miner and a loss of one formula can share it; `None` shares
    /// with nobody.
    fn formula(&self) -> Option<Formula> {
        None
    }

    /// What the distance learns, by name: for an optimiser, and for a checkpoint.
    fn parameters(&self) -> Vec<(String, Var)> {
        Vec::new()
    }

    /// What is done to embeddings before they are compared, such as dividing them by their norm.
    ///
    /// # Errors
    /// As [`matrix`](Distance::matrix).
    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
        Ok(embeddings.clone())
    }

    /// The norm of each row of `[rows, dim]` that belongs to this distance, before any preparation: `[rows]`.
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

    /// Row i with row i as PML's `pairwise_distance` has it: on the rows as they come, neither normalised nor raised
    /// to a power, and for p-norms with 1e-6 added to every difference.
    ///
    /// # Errors
    /// As [`matrix`](Distance::matrix).
    fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        self.pairs(query, reference)
    }

    /// How much further `far` is than `near`, negated: `near − far` for distances, `far − near` for similarities.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if the shapes differ.
    fn gap(&self, near: &Tensor, far: &Tensor) -> Result<Tensor> {
        Ok(match self.order() {
            Order::SmallerIsCloser => (near - far)?,
            Order::LargerIsCloser => (far - near)?,
        })
    }

    /// The closer of two distances: the smaller one, or the larger similarity; NaN where one is.
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

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<D: Distance + ?Sized> Distance for $t {
            fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
                (**self).matrix(query, reference)
            }
            fn order(&self) -> Order {
                (**self).order()
            }
            fn kind(&self) -> DistanceKind {
                (**self).kind()
            }
            fn formula(&self) -> Option<Formula> {
                (**self).formula()
            }
            fn parameters(&self) -> Vec<(String, Var)> {
                (**self).parameters()
            }
            fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
                (**self).prepare(embeddings)
            }
            fn norms(&self, embeddings: &Tensor) -> Result<Tensor> {
                (**self).norms(embeddings)
            }
            fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
                (**self).pairs(query, reference)
            }
            fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
                (**self).raw_pairs(query, reference)
            }
            fn gap(&self, near: &Tensor, far: &Tensor) -> Result<Tensor> {
                (**self).gap(near, far)
            }
            fn closer(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
                (**self).closer(a, b)
            }
        }
    )*};
}
forward!(&D, Box<D>, Arc<D>);

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
            DistanceKind::Cosine,
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
