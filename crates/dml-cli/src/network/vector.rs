//! Networks on vectors: hidden layers and a head, which learn together.

use std::path::Path;

use dml::candle_core::{DType, Device, Tensor};
use dml::core::rand::SeedableRng;
use dml::core::rand_chacha::ChaCha8Rng;
use dml::models::{VectorEncoder, VectorEncoderConfig};
use dml::nn::Layer;
use dml::train::{NamedModule, ParameterRules};
use dml_program::println;

use super::{Network, with_rules};
use crate::settings::Settings;

/// A vector encoder.
#[derive(Clone, Debug)]
pub struct VectorNetwork {
    /// The encoder.
    pub encoder: VectorEncoder,
}

impl VectorNetwork {
    /// Builds the network that the settings describe for rows `[rows, inputs]`, with their mean and scale.
    ///
    /// # Errors
    /// Lengths that memory has no room for.
    pub fn build(settings: &Settings, rows: &Tensor, device: &Device) -> anyhow::Result<Self> {
        let embedding = settings.head.embedding;
        let config = VectorEncoderConfig {
            hidden: settings.backbone.hidden.clone(),
            embedding_dim: (embedding > 0).then_some(embedding),
            normalize: settings.head.normalize,
            ..VectorEncoderConfig::new(rows.dims()[1])
        };
        let rng = &mut ChaCha8Rng::seed_from_u64(settings.train.seed);
        let encoder = VectorEncoder::new(config, rng, DType::F32, device)
            .map_err(|error| settings.problem("backbone.hidden", dml_core::with_causes(&error)))?;
        encoder.standardize(rows)?;
        let parameters = encoder.parameters().element_count();
        println!("a network of {parameters} parameters on vectors");
        Ok(Self { encoder })
    }

    /// The encoder as a module that learns by the settings.
    ///
    /// # Errors
    /// As the optimiser.
    pub fn trunk(&self, settings: &Settings) -> anyhow::Result<NamedModule> {
        let encoder = NamedModule::of("encoder", self.encoder.clone());
        let rules = ParameterRules::default();
        Ok(with_rules(encoder, &settings.optimizer, &rules)?)
    }
}

impl Network for VectorNetwork {
    fn layer(&self) -> &dyn Layer {
        &self.encoder
    }

    fn things(&self) -> &'static str {
        "vectors"
    }

    fn is_normalized_last(&self) -> bool {
        // The module that learns normalises itself.
        false
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.encoder.write(folder)?)
    }

    fn read(&self, folder: &Path, device: &Device) -> anyhow::Result<Box<dyn Network>> {
        Ok(Box::new(Self {
            encoder: VectorEncoder::read(folder, DType::F32, device)?,
        }))
    }

    fn shared(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }
}
