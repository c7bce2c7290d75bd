//! The masks of an attention as tensors.

use candle_core::{DType, Tensor};
use dml_core::autograd::{Element, with_slice, with_strides};
use dml_core::{Error, Result};

use super::AttentionOptions;
use crate::kernels::attention::Sizes;

/// Masks that fit the sizes.
#[derive(Clone, Debug)]
pub(super) struct Masks {
    pub(super) causal: bool,
    /// `[batch, keys]` of `u8`.
    pub(super) ignored: Option<Tensor>,
    /// Mask of shape `[batch, heads, queries, keys]`, usually a view.
    pub(super) added: Option<Tensor>,
}

impl Masks {
    pub(super) fn new(
        options: &AttentionOptions<'_>,
        sizes: &Sizes,
        query: &Tensor,
    ) -> Result<Self> {
        if let Some(mask) = options.key_padding_mask {
            if mask.dtype() != DType::U8 {
                return Err(Error::DType {
                    arg: "key_padding_mask",
                    expected: "u8",
                    got: mask.dtype(),
                });
            }
            if *mask.dims() != [sizes.batch, sizes.keys] {
                return Err(Error::Shape {
                    arg: "key_padding_mask",
                    expected: "[batch, keys]",
                    got: mask.dims().to_vec(),
                });
            }
        }
        let all = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
        let added = match options.attn_mask {
            None => None,
            Some(mask) if mask.dtype() != query.dtype() => {
                return Err(Error::DType {
                    arg: "attn_mask",
                    expected: "the element type of the queries",
                    got: mask.dtype(),
                });
            }
            Some(mask) => {
                let sizes = all.iter().rev().zip(mask.dims().iter().rev());
                if mask.rank() > all.len()
                    || !sizes.clone().all(|(all, own)| own == all || *own == 1)
                {
                    return Err(Error::Shape {
                        arg: "attn_mask",
                        expected: "a shape that broadcasts to [batch, heads, queries, keys]",
                        got: mask.dims().to_vec(),
                    });
                }
                Some(mask.broadcast_as(&all[..])?)
            }
        };
        Ok(Self {
            causal: options.is_causal,
            ignored: options.key_padding_mask.cloned(),
            added,
        })
    }

    /// `f` on the memory of the masks: the ignored keys, and what is added with its strides.
    pub(super) fn with<T: Element, R>(
        &self,
        f: impl FnOnce(&[u8], Option<(&[T], [usize; 3])>) -> R,
    ) -> Result<R> {
        let with_added = |ignored: &[u8]| match &self.added {
            None => Ok(f(ignored, None)),
            Some(added) => with_strides(added, |added: &[T], strides| {
                f(ignored, Some((added, [strides[0], strides[1], strides[2]])))
            }),
        };
        match &self.ignored {
            None => with_added(&[]),
            Some(ignored) => with_slice(ignored, with_added)?,
        }
    }
}
