//! A way for the gradient of a matrix to reach the rows that the matrix was computed from, without being a matrix of
//! Candle's in between.
//!
//! Candle's backward pass keeps a gradient for every node of the graph: for a matrix of N × N it writes N² zeros and
//! adds each contribution in a pass of its own, which for a loss over a batch takes about as long as the products that
//! the loss is about. An inlet is a node of one number between the rows and what reads the matrix. What reads it
//! hangs itself below the inlet, and in the backward pass leaves its contribution there; the gradient that Candle
//! carries to the inlet is their count. The inlet comes after all that hang below it, and computes the gradient of the
//! rows once, from the sum of what was left.
//!
//! Several threads may go backward over one graph at the same time: what a backward pass leaves is kept by its thread, on
//! which Candle runs the whole of it.
//!
//! A matrix is known by its tensor's id, on the thread that made it, for as long as it lives. Where it is not found
//! (another thread, another device, a matrix of one's own), gradients take Candle's way, to the same numbers.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use candle_core::Tensor;
use dml_kernels::MatrixGradient;
use dml_kernels::matrix_gradient::{Factor, Summand};

use super::{ByTensor, Element, binary, unary, with_slice};
use crate::{Error, Result};

/// What something that reads a matrix knows of the matrix' gradient: entries, times a factor.
#[derive(Clone, Debug)]
pub struct Contribution<T> {
    /// Every entry, row by row; without them each is 1.
    pub entries: Option<Arc<Vec<T>>>,
    /// What they are multiplied by.
    pub factor: Factor<Vec<T>, T>,
}

impl<T: Element> Contribution<T> {
    /// Entries as they are.
    #[must_use]
    pub fn written_out(entries: Vec<T>) -> Self {
        Self {
            entries: Some(Arc::new(entries)),
            factor: Factor::Uniform(<T as dml_kernels::Real>::ONE),
        }
    }

    fn summand(&self) -> Summand<'_, T> {
        Summand {
            entries: self.entries.as_ref().map(|entries| entries.as_slice()),
            factor: match &self.factor {
                Factor::Uniform(factor) => Factor::Uniform(*factor),
                Factor::OfRows(factors) => Factor::OfRows(factors),
            },
        }
    }

    /// The contribution as a tensor of the shape of `matrix`, for Candle's way.
    fn tensor(self, matrix: &Tensor) -> Result<Tensor> {
        let (shape, device) = (matrix.shape(), matrix.device());
        let entries = match self {
            // One number for all: a view of it is a matrix less to write, and to read.
            Self {
                entries: None,
                factor: Factor::Uniform(factor),
            } => return Ok(Tensor::new(factor, device)?.broadcast_as(shape)?),
            // Nothing to multiply, and mostly nobody else who holds the entries.
            Self {
                entries: Some(entries),
                factor: Factor::Uniform(factor),
            } if factor == <T as dml_kernels::Real>::ONE => Arc::unwrap_or_clone(entries),
            other => {
                let (height, width) = matrix.dims2()?;
                MatrixGradient::new(vec![other.summand()], height, width).entries()
            }
        };
        Ok(Tensor::from_vec(entries, shape, device)?)
    }
}

/// The node between rows and what reads the matrix of them.
struct Inlet<T> {
    /// The one number, a node of the graph.
    node: Tensor,
    left: Left<T>,
}

/// What was left at an inlet by the backward pass of each thread.
type Left<T> = Arc<Mutex<HashMap<ThreadId, Vec<Contribution<T>>>>>;

thread_local! {
    static INLETS: ByTensor<dyn Any + Send + Sync> = ByTensor::new();
}

impl<T: Element> Inlet<T> {
    fn of(matrix: &Tensor) -> Option<Arc<Self>> {
        let known = INLETS.with(|inlets| inlets.get(matrix))?;
        known.downcast().ok()
    }

    /// Leaves a contribution, and gives what Candle carries to the inlet for it.
    fn leave(&self, contribution: Contribution<T>) -> Result<Tensor> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.entry(thread::current().id())
            .or_default()
            .push(contribution);
        Ok(self.node.ones_like()?)
    }
}

/// Takes what this backward pass left, which is as many contributions as Candle carried. What stands before them was left
/// by a pass of this thread that stopped half-way, and is dropped.
fn take<T: Element>(left: &Left<T>, carried: &Tensor) -> Result<Vec<Contribution<T>>> {
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = left.remove(&thread::current().id()).unwrap_or_default();
    let carried = with_slice(carried, |count: &[T]| {
        dml_kernels::Real::to_f64(count[0]).round() as usize
    })?;
    match taken.len().checked_sub(carried) {
        Some(stale) => Ok(taken.split_off(stale)),
        None => {
            let message = format!(
                "{carried} gradients of a matrix were announced and {} came",
                taken.len()
            );
            Err(Error::Tensor(candle_core::Error::Msg(message)))
        }
    }
}

/// A matrix `[rows of x, rows of r]` that is known already, as a node of the graph; `r` is `None` for rows among
/// themselves. `backward(x, r, values, gradient)` gives the gradients of both, of which the second is not asked for
/// without `r`.
pub(crate) fn matrix<T: Element>(
    name: &'static str,
    x: &Tensor,
    r: Option<&Tensor>,
    values: Vec<T>,
    backward: impl Fn(&Tensor, &Tensor, &Tensor, &MatrixGradient<'_, T>) -> Result<(Tensor, Tensor)>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    let (height, width) = (x.dims()[0], r.unwrap_or(x).dims()[0]);
    if !x.track_op() && !r.is_some_and(Tensor::track_op) {
        return Ok(Tensor::from_vec(values, (height, width), x.device())?);
    }
    let left = Left::default();
    // The values come later, as a tensor that shares its memory with the matrix.
    let seen: Arc<OnceLock<Tensor>> = Arc::default();
    let pull = {
        let (left, seen) = (left.clone(), seen.clone());
        move |x: &Tensor, r: &Tensor, carried: &Tensor| {
            let contributions = take(&left, carried)?;
            let summands = contributions.iter().map(Contribution::summand).collect();
            let values = seen.get().ok_or_else(|| {
                let message = "a matrix is differentiated before it has values";
                Error::Tensor(candle_core::Error::Msg(message.to_owned()))
            })?;
            backward(x, r, values, &MatrixGradient::new(summands, height, width))
        }
    };
    let zero = vec![<T as dml_kernels::Real>::ZERO];
    let node = match r {
        None => unary(name, x, zero, (), move |x, _, carried| {
            Ok(pull(x, x, carried)?.0)
        })?,
        Some(r) => binary(name, x, r, zero, (), move |x, r, _, carried| {
            pull(x, r, carried)
        })?,
    };
    let inlet = Arc::new(Inlet { node, left });
    let known: Arc<dyn Any + Send + Sync> = inlet.clone();
    let node = inlet.node.clone();
    // The node of the matrix keeps the inlet alive: it is what Candle's operations on the matrix lead to.
    let matrix = unary(
        name,
        &node,
        values,
        (height, width),
        move |_, _, gradient| {
            let entries = with_slice(gradient, <[T]>::to_vec)?;
            inlet.leave(Contribution::written_out(entries))
        },
    )?;
    seen.get_or_init(|| matrix.detach());
    INLETS.with(|inlets| inlets.insert(&matrix, &known));
    Ok(matrix)
}

/// The node of a value that is known already and was read from `matrix`; `backward(matrix, value, gradient)` gives the
/// contribution to the matrix' gradient. Other tensors will do where the contribution has no factors of rows.
///
/// Where the matrix came from rows of this crate's kernels, its gradient never becomes a matrix of Candle's.
///
/// # Errors
/// [`Error::Tensor`] if the matrix is not on the CPU, or the shape does not hold the value.
pub fn of_matrix<T: Element>(
    name: &'static str,
    matrix: &Tensor,
    value: Vec<T>,
    shape: impl Into<candle_core::Shape>,
    backward: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Contribution<T>> + Send + Sync + 'static,
) -> Result<Tensor> {
    match Inlet::<T>::of(matrix) {
        Some(inlet) => {
            let (node, matrix) = (inlet.node.clone(), matrix.detach());
            unary(name, &node, value, shape, move |_, value, gradient| {
                inlet.leave(backward(&matrix, value, gradient)?)
            })
        }
        None => unary(
            name,
            matrix,
            value,
            shape,
            move |matrix, value, gradient| backward(matrix, value, gradient)?.tensor(matrix),
        ),
    }
}

#[cfg(test)]
mod tests;
