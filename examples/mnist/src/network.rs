//! The network of the example, and its way to and from a file.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use dml::candle_core::{self, DType, Device, ModuleT, Tensor};
use dml::core::SeedSequence;
use dml::nn::{
    Conv2d, Conv2dConfig, Dropout2d, Dropout2dConfig, Flatten, Layer, Linear, LinearConfig,
    MaxPool2d, MaxPool2dConfig, Parameters, Relu, Sequential,
};
use rand::RngCore;

/// Numbers of an embedding.
pub(crate) const EMBEDDING_SIZE: usize = 128;

/// Images `[n, 1, 28, 28]` to embeddings `[n, 128]`. A clone is the same network: it shares the variables.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Arc<Sequential>,
}

impl Network {
    /// The network with PyTorch's initialisation; weights and dropout follow `rng`.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn new(rng: &mut dyn RngCore, device: &Device) -> dml::Result<Self> {
        let dtype = DType::F32;
        let dropout = SeedSequence::new(rng.next_u64());
        let layers = Sequential::default()
            .with(
                "conv1",
                Conv2d::new(Conv2dConfig::new(1, 32, [3, 3]), rng, dtype, device)?,
            )
            .with("relu1", Relu)
            .with(
                "conv2",
                Conv2d::new(Conv2dConfig::new(32, 64, [3, 3]), rng, dtype, device)?,
            )
            .with("relu2", Relu)
            .with("pool", MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?)
            .with(
                "dropout1",
                Dropout2d::new(Dropout2dConfig { p: 0.25 }, dropout)?,
            )
            .with("flatten", Flatten)
            .with(
                "fc1",
                Linear::new(
                    LinearConfig::new(64 * 12 * 12, EMBEDDING_SIZE),
                    rng,
                    dtype,
                    device,
                )?,
            );
        Ok(Self {
            layers: Arc::new(layers),
        })
    }

    /// The embeddings of a batch of images.
    ///
    /// # Errors
    /// If the shape is another one.
    pub fn forward(&self, images: &Tensor, train: bool) -> dml::Result<Tensor> {
        self.layers.forward_t(images, train)
    }

    /// Weights and biases by PyTorch's names.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.layers.parameters()
    }

    /// The state of dropout's random numbers.
    #[must_use]
    pub fn seeds(&self) -> Vec<SeedSequence> {
        self.layers.seeds()
    }

    /// Writes the parameters: the whole file or none.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        self.parameters()
            .save(path)
            .with_context(|| format!("writing {}", path.display()))
    }
}

impl ModuleT for Network {
    fn forward_t(&self, images: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        Ok(self.forward(images, train)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn network(seed: u64) -> Network {
        Network::new(&mut ChaCha8Rng::seed_from_u64(seed), &Device::Cpu).unwrap()
    }

    #[test]
    fn a_saved_network_gives_the_same_embeddings() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.safetensors");
        let pixels: Vec<f32> = (0..2 * 784).map(|i| (i as f32 * 0.37).sin()).collect();
        let images = Tensor::from_vec(pixels, (2, 1, 28, 28), &Device::Cpu)?;
        let (first, second) = (network(1), network(2));
        let embeddings = |network: &Network| -> anyhow::Result<Vec<Vec<f32>>> {
            Ok(network.forward(&images, false)?.to_vec2()?)
        };
        assert_ne!(embeddings(&first)?, embeddings(&second)?);
        first.save(&path)?;
        second.parameters().load(&path)?;
        assert_eq!(embeddings(&first)?, embeddings(&second)?);
        Ok(())
    }

    #[test]
    fn a_seed_is_a_network() -> anyhow::Result<()> {
        let weights = |seed| {
            network(seed)
                .parameters()
                .get("fc1.weight")
                .unwrap()
                .to_vec2::<f32>()
        };
        assert_eq!(weights(3)?, weights(3)?);
        assert_ne!(weights(3)?, weights(4)?);
        Ok(())
    }
}
