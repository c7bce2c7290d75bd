//! What the distances of PyTorch Metric Learning have in common: rows divided by their norm before the formula, a power after
//! it.

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Result, TensorExt, check};

/// Normalisation before and power after, with checked parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) normalized: bool,
    pub(crate) p: f64,
    pub(crate) power: f64,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            normalized: true,
            p: 2.0,
            power: 1.0,
        }
    }
}

impl Frame {
    pub(crate) fn new(normalized: bool, p: f64, power: f64) -> Result<Self> {
        Ok(Self {
            normalized,
            p: check::norm_exponent("p", p)?,
            power: check::positive("power", power)?,
        })
    }

    pub(crate) fn prepare(self, embeddings: &Tensor) -> Result<Tensor> {
        if self.normalized {
            embeddings.normalize_rows(self.p)
        } else {
            whole(embeddings)
        }
    }

    /// Euclidean distances of prepared rows, raised to the power.
    pub(crate) fn euclidean(self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        // Squares need no roots, and their gradient no quotients.
        #[expect(clippy::float_cmp, reason = "the very number that was given")]
        if self.power == 2.0 {
            return query.pairwise_squared(reference);
        }
        query.pairwise_lp(reference, 2.0)?.safe_power(self.power)
    }
}

/// Implements `Distance` for a type with a `frame`.
///
/// `matrix` and `pairs` are functions of the frame and two matrices of prepared rows: `matrix` gives all distances, raised to the
/// power; `pairs` those of row i with row i, without the power. Rows compared among themselves are one tensor.
macro_rules! framed_distance {
    ($distance:ty, $order:ident, $Kind:ident $({ $normalized:ident })?, $matrix:expr, $pairs:expr) => {
        impl dml_core::Distance for $distance {
            fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
                let query = self.frame.prepare(query)?;
                let reference = reference.map(|r| self.frame.prepare(r)).transpose()?;
                $matrix(self.frame, &query, reference.as_ref().unwrap_or(&query))
            }

            fn order(&self) -> dml_core::Order {
                dml_core::Order::$order
            }

            fn kind(&self) -> dml_core::DistanceKind {
                dml_core::DistanceKind::$Kind {
                    p: self.frame.p,
                    power: self.frame.power,
                    $($normalized: self.frame.$normalized,)?
                }
            }

            fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
                self.frame.prepare(embeddings)
            }

            fn norms(&self, embeddings: &Tensor) -> Result<Tensor> {
                dml_core::TensorExt::row_norms(embeddings, self.frame.p)
            }

            fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
                dml_core::check::same_shape("reference", reference, query)?;
                let (query, reference) = (self.prepare(query)?, self.prepare(reference)?);
                let values = $pairs(self.frame, &query, &reference)?;
                dml_core::TensorExt::safe_power(&values, self.frame.power)
            }

            fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
                use dml_core::autograd::whole;
                dml_core::check::same_shape("reference", reference, query)?;
                $pairs(self.frame, &whole(query)?, &whole(reference)?)
            }
        }
    };
}
pub(crate) use framed_distance;
