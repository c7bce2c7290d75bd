//! Cross entropy of rows over classes, with a margin on a row's own class.

use std::fmt::Debug;

use candle_core::Tensor;
use dml_core::autograd::{self, Element, has_kernel, with_slice, with_slices};
use dml_core::kernels::Real;
use dml_core::kernels::class_softmax::{Logits, cross_entropies, cross_entropies_backward};
use dml_core::{Indices, Over, Result, TensorExt, Term, for_element};

use crate::machinery::expression::{Composite, Dual, Expression};

/// The margin by which a row's own class has to win.
pub(crate) trait Margin: Clone + Debug + Send + Sync + 'static {
    /// φ: what the similarity of a row and its own class counts as. Without a margin: the similarity.
    #[inline(always)]
    fn own<E: Expression>(&self, x: E) -> E {
        x
    }
}

/// A margin that is subtracted from the similarity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subtracted(pub(crate) f64);

impl Margin for Subtracted {
    #[inline(always)]
    fn own<E: Expression>(&self, x: E) -> E {
        x - self.0
    }
}

/// Logits `scale · rows[i] · classes[j] · matrix[i][j]`; factors that are left out are 1.
#[derive(Clone, Debug)]
pub(crate) struct ClassLogits {
    /// `[rows, classes]`.
    pub(crate) matrix: Tensor,
    pub(crate) scale: f64,
    /// `[rows]`.
    pub(crate) rows: Option<Tensor>,
    /// `[classes]`.
    pub(crate) classes: Option<Tensor>,
}

impl ClassLogits {
    /// Logits without factors of rows or classes.
    pub(crate) fn new(matrix: Tensor, scale: f64) -> Self {
        Self {
            matrix,
            scale,
            rows: None,
            classes: None,
        }
    }

    /// The logits of all classes, without a margin.
    pub(crate) fn all(&self) -> Result<Tensor> {
        let mut logits = (&self.matrix * self.scale)?;
        if let Some(rows) = &self.rows {
            logits = logits.broadcast_mul(&rows.unsqueeze(1)?)?;
        }
        if let Some(classes) = &self.classes {
            logits = logits.broadcast_mul(classes)?;
        }
        Ok(logits)
    }

    /// `ln Σⱼ e^{z_ij} − z_iy` of each row `[rows]`, where the margin holds for the row's own class y.
    pub(crate) fn cross_entropy<M: Margin>(&self, own: &[u32], margin: &M) -> Result<Tensor> {
        if !has_kernel(&self.matrix) {
            return self.composite(own, margin);
        }
        for_element!(self.matrix, "matrix", |T| {
            if self.rows.is_none() && self.classes.is_none() {
                self.of_rows::<T>(own, margin)
            } else {
                self.fused::<T>(own, margin)
            }
        })
    }

    /// The cross entropies as a term `loss`, each times the weight of its row.
    pub(crate) fn term<M: Margin>(&self, own: &[u32], margin: &M, weights: &[f64]) -> Result<Term> {
        let mut values = self.cross_entropy(own, margin)?;
        #[expect(
            clippy::float_cmp,
            reason = "the weight of rows that all count alike is 1 exactly"
        )]
        if weights.iter().any(|weight| *weight != 1.0) {
            let weights = Tensor::new(weights, values.device())?;
            values = (&values * weights.to_dtype(values.dtype())?)?;
        }
        let rows = (0..own.len() as u32).collect();
        Term::explicit("loss", Over::Elements, values, Indices::Elements(rows))
    }

    /// Without factors: one visit of each row gives its value and its gradient.
    fn of_rows<T: Element>(&self, own: &[u32], margin: &impl Margin) -> Result<Tensor> {
        let scale = <T as Real>::from_f64(self.scale);
        let logits = Logits {
            scale,
            rows: None,
            classes: None,
            own,
        };
        autograd::row_values::<T>("class_cross_entropy", &self.matrix, |i, x, gradient| {
            let own = own[i] as usize;
            let phi = Dual::at(Real::to_f64(x[own]), |x| margin.own(x));
            let value = logits.cross_entropy(i, x, phi.value, gradient);
            for share in gradient.iter_mut() {
                *share *= scale;
            }
            gradient[own] *= <T as Real>::from_f64(phi.gradient[0]);
            <T as Real>::from_f64(value)
        })
    }

    fn fused<T: Element>(&self, own: &[u32], margin: &impl Margin) -> Result<Tensor> {
        let (count, width) = self.matrix.dims2()?;
        // A factor that is left out is an input without elements.
        let none = Tensor::zeros(0, self.matrix.dtype(), self.matrix.device())?;
        let [rows, classes] = [&self.rows, &self.classes].map(|x| x.as_ref().unwrap_or(&none));
        let inputs = [&self.matrix, rows, classes];
        let scale = <T as Real>::from_f64(self.scale);
        let own = own.to_vec();
        let entropies = with_logits(inputs, scale, &own, |x, logits| {
            cross_entropies(x, width, logits, |x| {
                let phi = Dual::at(x, |x| margin.own(x));
                (phi.value, phi.gradient[0])
            })
        })?;
        let values = entropies.values.clone();
        autograd::host_node(
            "class_cross_entropy",
            inputs,
            values,
            count,
            move |inputs, _, gradient| {
                let gradients = with_slice(gradient, |gradient: &[T]| {
                    with_logits(inputs, scale, &own, |x, logits| {
                        cross_entropies_backward(x, width, logits, &entropies, gradient)
                    })
                })??;
                Ok([gradients.x, gradients.rows, gradients.classes])
            },
        )
    }

    fn composite(&self, own: &[u32], margin: &impl Margin) -> Result<Tensor> {
        let (count, width) = self.matrix.dims2()?;
        let column = Tensor::from_slice(own, (count, 1), self.matrix.device())?;
        let at_own = self.matrix.contiguous()?.gather(&column, 1)?; // [rows, 1]
        let mut own_logits = Self {
            matrix: Composite::of(&at_own, |x| margin.own(x))?,
            scale: self.scale,
            rows: self.rows.clone(),
            classes: None,
        }
        .all()?;
        if let Some(classes) = &self.classes {
            let of_rows = classes.index_select(&column.flatten_all()?, 0)?;
            own_logits = (own_logits * of_rows.unsqueeze(1)?)?;
        }
        let others = Tensor::arange(0, width as u32, self.matrix.device())?
            .broadcast_as((count, width))?
            .broadcast_ne(&column)?;
        self.all()?
            .broadcast_sub(&own_logits)?
            .masked_logsumexp(Some(&others), true)
    }
}

/// `f` on the elements of a matrix and of its factors.
fn with_logits<T: Element, R>(
    [matrix, rows, classes]: [&Tensor; 3],
    scale: T,
    own: &[u32],
    f: impl FnOnce(&[T], Logits<'_, T>) -> R,
) -> Result<R> {
    fn given<T>(factors: &[T]) -> Option<&[T]> {
        (!factors.is_empty()).then_some(factors)
    }
    with_slices([matrix, rows, classes], |[x, rows, classes]| {
        let logits = Logits {
            scale,
            rows: given(rows),
            classes: given(classes),
            own,
        };
        f(x, logits)
    })
}

#[cfg(test)]
mod tests;
