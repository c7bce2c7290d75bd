//! Cross entropy of rows over classes, with a margin on a row's own class.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, has_kernel, with_slice};
use dml_core::kernels::Real;
use dml_core::kernels::class_softmax::{Logits, cross_entropies, cross_entropies_backward};
use dml_core::{Indices, Over, Result, TensorExt, Term, for_element};

/// What a row's similarity to its own class counts as.
pub(crate) trait OwnMargin: Clone + Send + Sync + 'static {
    /// φ(x) and its slope.
    fn at(&self, x: f64) -> (f64, f64);

    /// φ of a tensor, from Candle's operations.
    fn of(&self, x: &Tensor) -> Result<Tensor>;
}

/// `x − margin`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shifted(pub(crate) f64);

impl OwnMargin for Shifted {
    fn at(&self, x: f64) -> (f64, f64) {
        (x - self.0, 1.0)
    }

    fn of(&self, x: &Tensor) -> Result<Tensor> {
        Ok((x - self.0)?)
    }
}

/// Logits `scale · rows[i] · classes[j] · matrix[i][j]`; factors that are left out are 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassLogits<'a> {
    /// `[rows, classes]`.
    pub(crate) matrix: &'a Tensor,
    pub(crate) scale: f64,
    /// `[rows]`.
    pub(crate) rows: Option<&'a Tensor>,
    /// `[classes]`.
    pub(crate) classes: Option<&'a Tensor>,
}

impl<'a> ClassLogits<'a> {
    /// Logits without factors of rows or classes.
    pub(crate) fn new(matrix: &'a Tensor, scale: f64) -> Self {
        Self {
            matrix,
            scale,
            rows: None,
            classes: None,
        }
    }

    /// The logits of all classes, without a margin.
    pub(crate) fn all(&self) -> Result<Tensor> {
        let mut logits = (self.matrix * self.scale)?;
        if let Some(rows) = self.rows {
            logits = logits.broadcast_mul(&rows.unsqueeze(1)?)?;
        }
        if let Some(classes) = self.classes {
            logits = logits.broadcast_mul(classes)?;
        }
        Ok(logits)
    }

    /// `ln Σⱼ e^{z_ij} − z_iy` of each row `[rows]`, where the margin holds for the row's own class y.
    pub(crate) fn cross_entropy<M: OwnMargin>(&self, own: &[u32], margin: &M) -> Result<Tensor> {
        if has_kernel(self.matrix) {
            return for_element!(self.matrix, "matrix", |T| self.fused::<T, M>(own, margin));
        }
        self.composite(own, margin)
    }

    /// The cross entropies as a term `loss`, each times the weight of its row.
    pub(crate) fn term<M: OwnMargin>(
        &self,
        own: &[u32],
        margin: &M,
        weights: &[f64],
    ) -> Result<Term> {
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

    fn fused<T: Element, M: OwnMargin>(&self, own: &[u32], margin: &M) -> Result<Tensor> {
        let (count, width) = self.matrix.dims2()?;
        // A factor that is left out is an input without elements.
        let none = Tensor::zeros(0, self.matrix.dtype(), self.matrix.device())?;
        let (rows, classes) = (self.rows.unwrap_or(&none), self.classes.unwrap_or(&none));
        let inputs = [self.matrix, rows, classes];
        let scale = <T as Real>::from_f64(self.scale);
        let own = own.to_vec();
        let entropies = with_logits(inputs, scale, &own, |x, logits| {
            cross_entropies(x, width, logits, |x| margin.at(x))
        })?;
        let values = entropies.values.clone();
        autograd::ternary(
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
                let [x, rows, classes] = inputs;
                let tensor = |values: Vec<T>, like: &Tensor| -> Result<Option<Tensor>> {
                    Ok(if values.is_empty() {
                        None
                    } else {
                        Some(Tensor::from_vec(values, like.shape(), like.device())?)
                    })
                };
                Ok([
                    tensor(gradients.x, x)?,
                    tensor(gradients.rows, rows)?,
                    tensor(gradients.classes, classes)?,
                ])
            },
        )
    }

    fn composite<M: OwnMargin>(&self, own: &[u32], margin: &M) -> Result<Tensor> {
        let (count, width) = self.matrix.dims2()?;
        let column = Tensor::from_slice(own, (count, 1), self.matrix.device())?;
        let at_own = |matrix: &Tensor| matrix.contiguous()?.gather(&column, 1);
        let phi = margin.of(&at_own(self.matrix)?)?; // [rows, 1]
        let bare = ClassLogits {
            matrix: &phi,
            scale: self.scale,
            rows: self.rows,
            classes: None,
        };
        let mut own_logits = bare.all()?;
        if let Some(classes) = self.classes {
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
    with_slice(matrix, |x: &[T]| {
        with_slice(rows, |rows: &[T]| {
            with_slice(classes, |classes: &[T]| {
                let logits = Logits {
                    scale,
                    rows: given(rows),
                    classes: given(classes),
                    own,
                };
                f(x, logits)
            })
        })
    })??
}

#[cfg(test)]
mod tests;
