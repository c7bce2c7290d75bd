//! The masks of an attention as tensors.

use candle_core::{DType, Tensor};
use dml_core::autograd::{Element, with_slice, with_strides};
use dml_core::{Result, check};

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
            let (arg, fits) = (
                "key_padding_mask",
                *mask.dims() == [sizes.batch, sizes.keys],
            );
            check::dtype(mask.dtype() == DType::U8, arg, mask, "u8")?;
            check::shape(fits, arg, mask, "[batch, keys]")?;
        }
        let all = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
        let broadcast = |mask: &Tensor| -> Result<Tensor> {
            let (arg, is_same) = ("attn_mask", mask.dtype() == query.dtype());
            check::dtype(is_same, arg, mask, "the element type of the queries")?;
            let mut sizes = all.iter().rev().zip(mask.dims().iter().rev());
            let fits = sizes.all(|(all, own)| own == all || *own == 1) && mask.rank() <= all.len();
            let expected = "a shape that broadcasts to [batch, heads, queries, keys]";
            check::shape(fits, arg, mask, expected)?;
            Ok(mask.broadcast_as(&all[..])?)
        };
        let added = options.attn_mask.map(broadcast).transpose()?;
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
