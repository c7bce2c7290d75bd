//! Where the heads lie in the inputs and in the result.

use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;
use dml_core::kernels::Real;
use dml_core::{Result, check};

use crate::kernels::attention::{HeadGradients, Operands, Rows, Sizes};

/// Sizes of an attention, and the form of its inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) sizes: Sizes,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `[batch, heads, length, width]`.
    Heads,
    /// `[batch, length, heads · width]`.
    Joined,
    /// `[batch, length, 3 · heads · width]`.
    Packed,
}

impl Layout {
    pub(super) fn heads(query: &Tensor, key: &Tensor, value: &Tensor) -> Result<Self> {
        let fits = query.rank() == 4;
        check::shape(fits, "query", query, "[batch, heads, queries, width]")?;
        let (batch, heads, queries, width) = query.dims4()?;
        let keys = key.dims().get(2).copied().unwrap_or(0);
        let fits = *key.dims() == [batch, heads, keys, width];
        let expected = "[batch, heads, keys, width], as the query";
        check::shape(fits, "key", key, expected)?;
        let value_width = value.dims().last().copied().unwrap_or(0);
        let fits = *value.dims() == [batch, heads, keys, value_width];
        let expected = "[batch, heads, keys, value_width], as the key";
        check::shape(fits, "value", value, expected)?;
        let lengths = [queries, keys];
        Self::new(batch, heads, lengths, [width, value_width], Form::Heads)
    }

    pub(super) fn joined(
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        heads: usize,
    ) -> Result<Self> {
        check::at_least_one("heads", heads)?;
        let of_heads = |x: &Tensor| x.rank() == 3 && x.dims()[2].is_multiple_of(heads);
        let expected = "[batch, queries, heads · width]";
        check::shape(of_heads(query), "query", query, expected)?;
        let (batch, queries, all) = query.dims3()?;
        let keys = key.dims().get(1).copied().unwrap_or(0);
        let fits = *key.dims() == [batch, keys, all];
        let expected = "[batch, keys, heads · width], as the query";
        check::shape(fits, "key", key, expected)?;
        let fits = of_heads(value) && value.dims()[..2] == [batch, keys];
        let expected = "[batch, keys, heads · value_width], as the key";
        check::shape(fits, "value", value, expected)?;
        let widths = [all, value.dims()[2]].map(|all| all / heads);
        Self::new(batch, heads, [queries, keys], widths, Form::Joined)
    }

    pub(super) fn packed(qkv: &Tensor, heads: usize) -> Result<Self> {
        check::at_least_one("heads", heads)?;
        let fits = qkv.rank() == 3 && qkv.dims()[2].is_multiple_of(3 * heads);
        check::shape(fits, "qkv", qkv, "[batch, length, 3 · heads · width]")?;
        let (batch, length, all) = qkv.dims3()?;
        Self::new(
            batch,
            heads,
            [length; 2],
            [all / (3 * heads); 2],
            Form::Packed,
        )
    }

    fn new(
        batch: usize,
        heads: usize,
        [queries, keys]: [usize; 2],
        [width, value_width]: [usize; 2],
        form: Form,
    ) -> Result<Self> {
        let sizes = Sizes {
            batch,
            heads,
            queries,
            keys,
            width,
            value_width,
        };
        check::at_least_one("heads", sizes.heads)?;
        check::at_least_one("keys", sizes.keys)?;
        check::at_least_one("width", sizes.width)?;
        check::at_least_one("value_width", sizes.value_width)?;
        Ok(Self { sizes, form })
    }

    /// The shape of the result: of separate heads `[batch, queries, heads, value_width]`.
    pub(super) fn result_shape(&self) -> Vec<usize> {
        let sizes = self.sizes;
        match self.form {
            Form::Heads => vec![sizes.batch, sizes.queries, sizes.heads, sizes.value_width],
            Form::Joined | Form::Packed => {
                vec![sizes.batch, sizes.queries, sizes.heads * sizes.value_width]
            }
        }
    }

    /// The result, or its gradient, by rows of heads.
    pub(super) fn result_rows<'a, T>(&self, data: &'a [T]) -> Rows<'a, T> {
        let row = self.sizes.heads * self.sizes.value_width;
        Rows {
            data,
            batch: self.sizes.queries * row,
            head: self.sizes.value_width,
            row,
        }
    }

    /// Queries, keys and values in the memory of their tensors.
    pub(super) fn operands<'a, T>(&self, inputs: [(&'a [T], &[usize]); 3]) -> Operands<'a, T> {
        let sizes = self.sizes;
        let widths = [sizes.width, sizes.width, sizes.value_width];
        let rows = |part: usize| -> Rows<'a, T> {
            let (data, strides) = inputs[part];
            match (self.form, strides) {
                (Form::Heads, &[batch, head, row, _]) => Rows {
                    data,
                    batch,
                    head,
                    row,
                },
                (form, strides) => Rows {
                    data: match form {
                        Form::Packed => data
                            .get(part * sizes.heads * sizes.width..)
                            .unwrap_or_default(),
                        _ => data,
                    },
                    batch: strides[0],
                    head: widths[part],
                    row: strides[1],
                },
            }
        };
        Operands {
            sizes,
            query: rows(0),
            key: rows(1),
            value: rows(2),
        }
    }

    /// Queries, keys and values as `[batch, heads, length, width]`.
    pub(super) fn heads_of(&self, inputs: &[&Tensor]) -> Result<[Tensor; 3]> {
        let sizes = self.sizes;
        let split = |tensor: &Tensor| -> Result<Tensor> {
            let (batch, length, all) = tensor.dims3()?;
            let shape = (batch, length, sizes.heads, all / sizes.heads);
            Ok(tensor.contiguous()?.reshape(shape)?.transpose(1, 2)?)
        };
        let part = |part: usize| -> Result<Tensor> {
            let width = sizes.heads * sizes.width;
            match self.form {
                Form::Heads => Ok(inputs[part].clone()),
                Form::Joined => split(inputs[part]),
                Form::Packed => split(&inputs[0].narrow(2, part * width, width)?),
            }
        };
        Ok([part(0)?, part(1)?, part(2)?])
    }

    /// A result `[batch, heads, queries, value_width]` in the [shape](Self::result_shape) of the result.
    pub(super) fn result_of_heads(&self, result: &Tensor) -> Result<Tensor> {
        let result = result.transpose(1, 2)?;
        Ok(match self.form {
            Form::Heads => result,
            Form::Joined | Form::Packed => result.contiguous()?.reshape(self.result_shape())?,
        })
    }

    /// Where a head of part 0, 1 or 2 (query, key or value) begins in the gradient of a sample, and the distance of its
    /// rows.
    fn place(&self, part: usize, head: usize) -> (usize, usize) {
        let sizes = self.sizes;
        let width = [sizes.width, sizes.width, sizes.value_width][part];
        let length = [sizes.queries, sizes.keys, sizes.keys][part];
        match self.form {
            Form::Heads => (head * length * width, width),
            Form::Joined => (head * width, sizes.heads * width),
            Form::Packed => ((part * sizes.heads + head) * width, 3 * sizes.heads * width),
        }
    }
}

/// The gradients of the inputs, contiguous, into which threads put those of the heads, sample by sample.
pub(super) struct Samples<'a, T> {
    layout: Layout,
    inputs: Vec<Vec<Mutex<&'a mut [T]>>>,
}

impl<'a, T: Real> Samples<'a, T> {
    pub(super) fn new(layout: Layout, gradients: &'a mut [Vec<T>]) -> Self {
        let samples = layout.sizes.batch.max(1);
        let chunks = |all: &'a mut Vec<T>| {
            let sample = (all.len() / samples).max(1);
            all.chunks_mut(sample).map(Mutex::new).collect()
        };
        let inputs = gradients.iter_mut().map(chunks).collect();
        Self { layout, inputs }
    }

    /// Puts the gradients of a head where they belong.
    pub(super) fn put(&self, batch: usize, head: usize, gradients: HeadGradients<'_, T>) {
        let sizes = self.layout.sizes;
        let parts = [
            (gradients.query, sizes.width),
            (gradients.key, sizes.width),
            (gradients.value, sizes.value_width),
        ];
        for (part, (values, width)) in parts.into_iter().enumerate() {
            let sample = &self.inputs[part.min(self.inputs.len() - 1)][batch];
            let mut sample = sample.lock().unwrap_or_else(PoisonError::into_inner);
            let (start, stride) = self.layout.place(part, head);
            for (i, row) in values.chunks_exact(width).enumerate() {
                sample[start + i * stride..][..width].copy_from_slice(row);
            }
        }
    }
}
