//! Low-rank adaptation of the linear layers of a network.
//!
//! ```text
//! y = x Wᵀ + b + (α / r) D(x) Aᵀ Bᵀ        A: [r, in_features], B: [out_features, r], D: dropout
//! merged:  W + (α / r) B A
//! ```
//!
//! Hu et al. 2021, "`LoRA`: Low-Rank Adaptation of Large Language Models" (arXiv 2106.09685), §4.1. A and B learn, W and b do
//! not. A is drawn as the weights of linear layers are (He's uniform initialisation with a = √5) and B is 0, so the network
//! starts as it was. Names and defaults are peft's.

mod low_rank;

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{
    FrozenVariables, NamePattern, Result, RunningStatistics, SeedSequence, check, with_frozen,
};
use rand::RngCore;

use crate::layer::candle_module;
use crate::{Dropout, DropoutConfig, Layer, Parameters};

pub(crate) use low_rank::{AdapterSlot, LowRank};

/// Beginning of the names of all parameters in a file of peft.
const BEGINNING: &str = "base_model.model";

dml_core::config! {
    /// Configuration of [`Lora`].
    pub struct LoraConfig {
        /// r, the rank, at least 1. Default 8.
        pub rank: usize = 8,
        /// α, in `[0, 1e30]`; the addition to a weight is multiplied with α / r. Default 8.
        pub alpha: f64 = 8.0,
        /// Probability that an input of A is dropped in training, in [0, 1). Default 0.
        pub dropout: f64 = 0.0,
        /// Patterns on the names of linear layers, such as `*.query`: `*` stands for any characters, `?` for one. A layer is
        /// adapted if one of them matches. Default: every linear layer.
        pub target_modules: Vec<String> = vec!["*".to_owned()],
    }
}

/// A network with adapters in its linear layers ([formula](self)), as a layer whose parameters are those of the adapters.
///
/// Parameters have peft's names: `base_model.model.NAME.lora_A.weight` and `….lora_B.weight`, so
/// [`Parameters::save`] and [`load`](Parameters::load) exchange adapters with it. The network's own parameters are constants
/// of the forward pass: no gradient is computed for them, nor below the lowest adapter. Dropping the `Lora` takes the adapters
/// out of the network.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Layer, Linear, LinearConfig, Lora, LoraConfig, Sequential};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let (dtype, device) = (DType::F32, &Device::Cpu);
/// let network = Sequential::default()
///     .with("query", Linear::new(LinearConfig::new(6, 4), rng, dtype, device)?)
///     .with("dense", Linear::new(LinearConfig::new(4, 4), rng, dtype, device)?);
/// let config = LoraConfig { rank: 2, target_modules: vec!["query".to_owned()], ..LoraConfig::default() };
/// let network = Lora::new(network, config, rng)?;
/// let names: Vec<String> = network.parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["base_model.model.query.lora_A.weight", "base_model.model.query.lora_B.weight"]);
/// // The weights of the network with the adapters in them, by the network's own names.
/// assert_eq!(network.merged_parameters()?["query.weight"].dims(), [4, 6]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Lora<L> {
    layer: L,
    /// Parameters of the network.
    frozen: FrozenVariables,
    adapters: Vec<Adapter>,
}

#[derive(Debug)]
struct Adapter {
    /// Name of the layer's weight.
    weight: String,
    /// Name of the layer.
    module: String,
    low_rank: Arc<LowRank>,
    slot: AdapterSlot,
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.slot.clear();
    }
}

impl<L: Layer> Lora<L> {
    /// Puts an adapter into every linear layer whose name a pattern matches. `rng` draws A and the seeds of dropout.
    ///
    /// # Errors
    /// [`Error::NoMatch`](dml_core::Error::NoMatch) for a pattern that matches no linear layer, [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a layer that has an adapter already.
    pub fn new(layer: L, config: LoraConfig, rng: &mut dyn RngCore) -> Result<Self> {
        let rank = check::at_least_one("rank", config.rank)?;
        let scale = check::non_negative("alpha", config.alpha)? / rank as f64;
        let parameters = layer.parameters();
        let modules = parameters.adaptable().map(|(name, ..)| module_of(name));
        let modules: Vec<&str> = modules.collect();
        let patterns = config.target_modules.into_iter().map(NamePattern::new);
        let patterns: Vec<NamePattern> = patterns.collect();
        for pattern in &patterns {
            pattern.check(modules.iter().copied())?;
        }
        let mut adapters: Vec<Adapter> = Vec::new();
        for ((name, weight, slot), module) in parameters.adaptable().zip(modules) {
            let is_target = patterns.iter().any(|pattern| pattern.matches(module));
            if !is_target {
                continue;
            }
            let p = config.dropout;
            let seeds = SeedSequence::new(rng.next_u64());
            let dropout = Dropout::new(DropoutConfig { p }, seeds)?;
            let low_rank = Arc::new(LowRank::new(weight, rank, scale, dropout, rng)?);
            slot.attach(low_rank.clone())?;
            adapters.push(Adapter {
                weight: name.to_owned(),
                module: module.to_owned(),
                low_rank,
                slot: slot.clone(),
            });
        }
        let frozen = parameters.iter().map(|(_, var)| var).collect();
        Ok(Self {
            layer,
            frozen,
            adapters,
        })
    }

    /// The network.
    #[must_use]
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// Adds B A to the weights of the network, so that a forward pass takes no more time than without adapters. The adapters
    /// keep their values, and get no gradient until [`unmerge`](Self::unmerge).
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if the device can't hold a copy of the weights.
    pub fn merge(&self) -> Result<()> {
        self.adapters
            .iter()
            .try_for_each(|own| own.low_rank.merge())
    }

    /// Puts back the weights as they were before [`merge`](Self::merge), to the bit.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't set a weight.
    pub fn unmerge(&self) -> Result<()> {
        let mut adapters = self.adapters.iter();
        adapters.try_for_each(|own| own.low_rank.unmerge())
    }

    /// All parameters and buffers of the network by its own names, with B A in the weights. The network is not changed.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if the device can't hold them.
    pub fn merged_parameters(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = self.layer.parameters().tensors();
        tensors.extend(self.layer.buffers().tensors());
        for own in &self.adapters {
            tensors.insert(own.weight.clone(), own.low_rank.merged_weight()?);
        }
        Ok(tensors)
    }
}

/// The name of a linear layer by that of its weight.
fn module_of(weight: &str) -> &str {
    let module = weight.strip_suffix("weight").unwrap_or(weight);
    module.trim_end_matches(['.', '_'])
}

impl<L: Layer> Layer for Lora<L> {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        with_frozen(&self.frozen, || self.layer.forward_t(input, train))
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        for own in &self.adapters {
            let separator = if own.module.is_empty() { "" } else { "." };
            let name = format!("{BEGINNING}{separator}{}", own.module);
            parameters.push(format!("{name}.lora_A.weight"), own.low_rank.a().clone());
            parameters.push(format!("{name}.lora_B.weight"), own.low_rank.b().clone());
        }
        parameters
    }

    fn buffers(&self) -> Parameters {
        self.layer.buffers()
    }

    fn statistics(&self) -> Vec<RunningStatistics> {
        self.layer.statistics()
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let adapters = self.adapters.iter();
        let adapters = adapters.flat_map(|own| own.low_rank.seeds());
        self.layer.seeds().into_iter().chain(adapters).collect()
    }
}

candle_module!(<L> Lora<L>);

#[cfg(test)]
mod tests;
