//! Layers of a network of tokens: attention with masks, and activations that may be computed again.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::Result;
use dml_nn::attention::AttentionOptions;
use dml_nn::{CheckpointSwitch, Layer, checkpoint_activations};

/// A layer `[batch, length, hidden]` to the same shape, which as a [`Layer`] has no masks.
pub(super) trait MaskedLayer: Layer + 'static {
    /// The output for `x` with masks.
    fn attend(&self, x: &Tensor, options: &AttentionOptions<'_>, train: bool) -> Result<Tensor>;
}

/// The masks of a layer's attention.
#[derive(Clone, Debug, Default)]
pub(super) struct Masks {
    /// `[batch, length]` of `u8`, 1 for padding.
    pub(super) key_padding: Option<Tensor>,
    /// Numbers that are added to the scores; they may depend on variables.
    pub(super) added: Option<Tensor>,
}

impl Masks {
    /// The output of a layer for `x`, with its activations computed again in the backward pass while `checkpoint` is on.
    pub(super) fn apply<L: MaskedLayer>(
        &self,
        layer: &Arc<L>,
        x: &Tensor,
        checkpoint: &CheckpointSwitch,
        train: bool,
    ) -> Result<Tensor> {
        if !checkpoint.is_on() {
            return layer.attend(x, &self.options(), train);
        }
        let key_padding = self.key_padding.clone();
        let inputs: Vec<&Tensor> = std::iter::once(x).chain(&self.added).collect();
        checkpoint_activations(layer, &inputs, move |layer, inputs| {
            let masks = Self {
                key_padding: key_padding.clone(),
                added: inputs.get(1).cloned(),
            };
            layer.attend(&inputs[0], &masks.options(), train)
        })
    }

    fn options(&self) -> AttentionOptions<'_> {
        AttentionOptions {
            key_padding_mask: self.key_padding.as_ref(),
            attn_mask: self.added.as_ref(),
            ..AttentionOptions::default()
        }
    }
}
