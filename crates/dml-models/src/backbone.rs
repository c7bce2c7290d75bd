//! The trait of networks that turn an input into an embedding.

use std::sync::Arc;

use dml_core::{Error, ImageInput};
use dml_nn::{Layer, Parameters};

use crate::error::Result;
use crate::load::{LoadReport, load};
use crate::names::{Names, rest_under};
use crate::weights::Weights;

/// A network that turns a batch of inputs into embeddings `[batch, embedding_dim]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{Backbone, Model};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = dml_models::by_name("resnet18")?.build(rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((2, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [2, network.embedding_dim()]);
/// assert_eq!(network.image_input().unwrap().size, [224, 224]);
/// // The stem, eight blocks of two convolutions.
/// assert_eq!(network.blocks().len(), 9);
/// # Ok::<(), dml_models::ModelError>(())
/// ```
pub trait Backbone: Layer {
    /// Length of an embedding.
    fn embedding_dim(&self) -> usize;

    /// Preprocessing of images as upstream trained the network; `None` for networks that read no images. Default `None`.
    fn image_input(&self) -> Option<ImageInput> {
        None
    }

    /// Names of the parameters in order of depth, one list for each block: the first is nearest to the input. Every
    /// parameter is in one block. For learning rates that decay with depth, and for freezing up to some depth.
    fn blocks(&self) -> Vec<Vec<String>>;

    /// Prefixes of upstream's classifier, which the backbone has no place for. Default none.
    fn classifier(&self) -> &[&str] {
        &[]
    }

    /// Sets whether the activations within each block are computed again in the backward pass instead of kept
    /// ([`activation_checkpoint`](dml_nn::activation_checkpoint)), from the next forward pass on. Off at first. Outputs and
    /// gradients stay the same to the bit.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use dml_models::{Backbone, Model};
    /// use rand::SeedableRng;
    ///
    /// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
    /// let network = dml_models::by_name("resnet18")?.build(rng, DType::F32, &Device::Cpu)?;
    /// network.set_activation_checkpoint(true)?;
    /// # Ok::<(), dml_models::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a backbone without such blocks, which is the default.
    fn set_activation_checkpoint(&self, on: bool) -> dml_core::Result<()> {
        let _ = on;
        Err(Error::Unsupported {
            component: std::any::type_name::<Self>(),
            reason: "the backbone has no blocks whose activations are computed again",
        })
    }

    /// Loads weights by name, as [`load()`] does, and leaves the [classifier](Backbone::classifier) out.
    ///
    /// # Errors
    /// As [`load()`].
    fn load(&self, weights: &Weights, names: &Names) -> Result<LoadReport> {
        let mut names = names.clone();
        let classifier = self.classifier().iter().copied().map(str::to_owned);
        names.left_out.extend(classifier);
        load(self, weights, &names)
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<B: Backbone + ?Sized> Backbone for $pointer {
            fn embedding_dim(&self) -> usize {
                (**self).embedding_dim()
            }
            fn image_input(&self) -> Option<ImageInput> {
                (**self).image_input()
            }
            fn blocks(&self) -> Vec<Vec<String>> {
                (**self).blocks()
            }
            fn classifier(&self) -> &[&str] {
                (**self).classifier()
            }
            fn set_activation_checkpoint(&self, on: bool) -> dml_core::Result<()> {
                (**self).set_activation_checkpoint(on)
            }
            fn load(&self, weights: &Weights, names: &Names) -> Result<LoadReport> {
                (**self).load(weights, names)
            }
        }
    )*};
}
forward!(&B, Box<B>, Arc<B>);

/// Implements the traits of Candle's modules and of trainable modules for backbones.
macro_rules! trainable {
    ($backbone:ty) => {
        impl candle_core::ModuleT for $backbone {
            fn forward_t(
                &self,
                input: &candle_core::Tensor,
                train: bool,
            ) -> candle_core::Result<candle_core::Tensor> {
                Ok(dml_nn::Layer::forward_t(self, input, train)?)
            }
        }

        impl dml_core::Trainable for $backbone {
            fn contents(&self) -> dml_core::Contents {
                dml_core::Contents {
                    parameters: dml_nn::Layer::parameters(self).into_iter().collect(),
                    buffers: dml_nn::Layer::buffers(self).into_iter().collect(),
                    seeds: dml_nn::Layer::seeds(self),
                    statistics: dml_nn::Layer::statistics(self),
                }
            }
        }
    };
}
pub(crate) use trainable;

trainable!(Box<dyn Backbone>);

/// Names of parameters by block. A block is a list of prefixes; a parameter belongs to the first block with one that it is
/// under, and to the last block if there is none. Blocks without parameters are left out.
pub(crate) fn by_prefix(parameters: &Parameters, blocks: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut names = vec![Vec::new(); blocks.len()];
    for (name, _) in parameters.iter() {
        let mut places = blocks.iter();
        let place = places.position(|prefixes| {
            let mut prefixes = prefixes.iter();
            prefixes.any(|prefix| rest_under(name, prefix).is_some())
        });
        let last = blocks.len().saturating_sub(1);
        if let Some(block) = names.get_mut(place.unwrap_or(last)) {
            block.push(name.to_owned());
        }
    }
    names.retain(|block| !block.is_empty());
    names
}
