//! What every distance does around its own formula: rows divided by their norm before it, a power after it.

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{DistanceKind, Formula, Result, TensorExt, check};

/// Normalisation before and power after, with checked parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) normalized: bool,
    pub(crate) p: f64,
    pub(crate) power: f64,
}

impl Frame {
    pub(crate) fn new(normalized: bool, p: f64, power: f64) -> Result<Self> {
        Ok(Self {
            normalized,
            p: check::norm_exponent("p", p)?,
            power: check::positive("power", power)?,
        })
    }

    /// What decides the numbers of a distance of this kind.
    pub(crate) fn formula(self, kind: DistanceKind) -> Formula {
        Formula {
            kind,
            p: self.p,
            power: self.power,
            normalized: self.normalized,
        }
    }

    pub(crate) fn prepare(self, embeddings: &Tensor) -> Result<Tensor> {
        if self.normalized {
            embeddings.normalize_rows(self.p)
        } else {
            whole(embeddings)
        }
    }

    /// The matrix of prepared rows. Rows compared among themselves are prepared once.
    pub(crate) fn matrix(
        self,
        query: &Tensor,
        reference: Option<&Tensor>,
        formula: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let query = self.prepare(query)?;
        let reference = reference.map(|r| self.prepare(r)).transpose()?;
        formula(&query, reference.as_ref().unwrap_or(&query))
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

    /// As [`Frame::matrix`] for row i with row i.
    pub(crate) fn pairs(
        self,
        query: &Tensor,
        reference: &Tensor,
        formula: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        check::same_shape("reference", reference, query)?;
        formula(&self.prepare(query)?, &self.prepare(reference)?)?.safe_power(self.power)
    }
}
