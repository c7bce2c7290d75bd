//! A low-rank addition to the weight of a linear layer, and its place in the layer.

use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{DType, Tensor, Var};
use dml_core::{Error, Result, SeedSequence};
use rand::RngCore;

use crate::{Dropout, Layer, Linear, init, wide};

/// A place for the adapter of a linear layer. Clones of the layer share it, as they share the weight.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdapterSlot(Arc<RwLock<Option<Arc<LowRank>>>>);

impl AdapterSlot {
    /// The adapter that changes the output: none if there is none or it is merged into the weight.
    pub(crate) fn active(&self) -> Option<Arc<LowRank>> {
        let adapter = self.0.read().unwrap_or_else(PoisonError::into_inner);
        adapter.as_ref().filter(|own| !own.is_merged()).cloned()
    }

    /// Puts an adapter into an empty place.
    pub(super) fn attach(&self, adapter: Arc<LowRank>) -> Result<()> {
        let mut place = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if place.is_some() {
            return Err(Error::Unsupported {
                component: "Lora",
                reason: "a linear layer has an adapter already: drop the other Lora first",
            });
        }
        *place = Some(adapter);
        Ok(())
    }

    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// `scale · B A` beside a weight.
#[derive(Debug)]
pub(crate) struct LowRank {
    weight: Var,
    /// A, `[r, in_features]`.
    down: Linear,
    /// B, `[out_features, r]`.
    up: Linear,
    scale: f64,
    dropout: Dropout,
    /// The weight before the merge.
    unmerged: RwLock<Option<Tensor>>,
}

impl LowRank {
    /// A as PyTorch draws the weights of linear layers, B of zeros.
    pub(super) fn new(
        weight: &Var,
        rank: usize,
        scale: f64,
        dropout: Dropout,
        rng: &mut dyn RngCore,
    ) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let (dtype, device) = (weight.dtype(), weight.device());
        let down = init::fan_in_uniform((rank, inputs), inputs, rng, dtype, device)?;
        Ok(Self {
            weight: weight.clone(),
            down: Linear::from_parameters(down, None)?,
            up: Linear::from_parameters(Var::zeros((outputs, rank), dtype, device)?, None)?,
            scale,
            dropout,
            unmerged: RwLock::default(),
        })
    }

    /// What is added to the output of the layer.
    pub(crate) fn forward(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let input = self.dropout.forward_t(input, train)?;
        let low = self.down.forward_t(&input, train)?;
        Ok((self.up.forward_t(&low, train)? * self.scale)?)
    }

    pub(crate) fn a(&self) -> &Var {
        self.down.weight()
    }

    pub(crate) fn b(&self) -> &Var {
        self.up.weight()
    }

    pub(crate) fn seeds(&self) -> Vec<SeedSequence> {
        self.dropout.seeds()
    }

    pub(super) fn is_merged(&self) -> bool {
        let unmerged = self.unmerged.read();
        unmerged.unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The weight with the addition, whether it is merged or not.
    pub(super) fn merged_weight(&self) -> Result<Tensor> {
        let weight = self.weight.as_detached_tensor();
        if self.is_merged() {
            return Ok(weight);
        }
        let dtype: DType = wide(weight.dtype());
        let [a, b] = [self.a(), self.b()].map(|own| own.as_detached_tensor().to_dtype(dtype));
        let addition = (b?.matmul(&a?)? * self.scale)?;
        Ok((weight.to_dtype(dtype)? + addition)?.to_dtype(weight.dtype())?)
    }

    pub(super) fn merge(&self) -> Result<()> {
        if self.is_merged() {
            return Ok(());
        }
        let before = self.weight.as_detached_tensor().copy()?;
        self.weight.set(&self.merged_weight()?)?;
        *self
            .unmerged
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(before);
        Ok(())
    }

    pub(super) fn unmerge(&self) -> Result<()> {
        let mut unmerged = self
            .unmerged
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = &*unmerged {
            self.weight.set(before)?;
        }
        *unmerged = None;
        Ok(())
    }
}
