//! Image networks: a backbone by its name, or a model from a folder.

use std::path::Path;

use anyhow::Context;
use dml::candle_core::{DType, Device};
use dml::core::rand::SeedableRng;
use dml::core::rand_chacha::ChaCha8Rng;
use dml::data::{ImagePreparation, ImagePreparationConfig};
use dml::models::{ImageEncoder, ImageEncoderConfig, Weights};
use dml::nn::Layer;
use dml::train::{NamedModule, ParameterRules};

use super::{Network, with_rules};
use crate::notes::println;
use crate::settings::Settings;

/// An image encoder with the preparation of its images.
#[derive(Clone, Debug)]
pub struct ImageNetwork {
    /// The encoder.
    pub encoder: ImageEncoder,
    /// How files become its input, in training and outside of it.
    pub preparation: ImagePreparation,
}

impl ImageNetwork {
    /// Builds the network that the settings name, with its weights; the settings get what the network decides.
    ///
    /// # Errors
    /// Weights that can't be read or don't fit, sizes and augmentations out of range.
    pub fn build(settings: &mut Settings, device: &Device) -> anyhow::Result<Self> {
        let encoder = match &settings.backbone.folder {
            Some(folder) => {
                let encoder = ImageEncoder::read(folder, DType::F32, device)
                    .with_context(|| settings.cite("backbone.folder"))?;
                check_head(settings, &encoder)?;
                encoder.freeze_statistics();
                println!("network from {}", folder.display());
                encoder
            }
            None => fresh(settings, device)?,
        };
        let preparation = ImagePreparation::new(ImagePreparationConfig {
            size: settings.backbone.size,
            augmentations: settings.train.augment.clone(),
            unreadable: settings.data.unreadable,
            memory_limit: settings.data.memory_limit,
            ..ImagePreparationConfig::new(encoder.input().clone())
        });
        let preparation = preparation.map_err(|error| {
            let field = if settings.is_given("train.augment") {
                "train.augment"
            } else {
                "backbone.size"
            };
            settings.problem(field, dml_core::with_causes(&error))
        })?;
        let encoder = encoder.with_input(preparation.input().clone())?;
        settings.head.embedding = encoder.config().embedding_dim.unwrap_or(0);
        settings.head.normalize = encoder.config().normalize;
        let [height, width] = encoder.input().size;
        if height == width {
            settings.backbone.size = Some(height);
        }
        Ok(Self {
            encoder,
            preparation,
        })
    }

    /// The backbone as a module that learns by the settings.
    ///
    /// # Errors
    /// Rules that the network has no parameters for.
    pub fn trunk(&self, settings: &Settings) -> anyhow::Result<NamedModule> {
        let trunk = NamedModule::of("trunk", self.encoder.backbone().clone());
        super::trunk(settings, trunk, self.encoder.head().is_some())
    }

    /// The head as a module, if there is one.
    ///
    /// # Errors
    /// As the optimiser.
    pub fn head(&self, settings: &Settings) -> anyhow::Result<Option<NamedModule>> {
        let Some(head) = self.encoder.head() else {
            return Ok(None);
        };
        let head = NamedModule::of("embedder", head.clone());
        let rules = ParameterRules::default();
        Ok(Some(with_rules(head, &settings.optimizer, &rules)?))
    }
}

/// A network by its name, with published weights or random ones.
fn fresh(settings: &Settings, device: &Device) -> anyhow::Result<ImageEncoder> {
    let own = &settings.backbone;
    let name = own.name.as_deref().unwrap_or("");
    let embedding = settings.head.embedding;
    let config = ImageEncoderConfig {
        embedding_dim: (embedding > 0).then_some(embedding),
        normalize: settings.head.normalize,
        ..ImageEncoderConfig::new(name)
    };
    let rng = &mut ChaCha8Rng::seed_from_u64(settings.train.seed);
    let encoder = ImageEncoder::new(config, rng, DType::F32, device)?;
    let Some(path) = &own.weights else {
        println!("{name} starts from random weights: no backbone.weights");
        return Ok(encoder);
    };
    let report = Weights::open(path)
        .and_then(|weights| encoder.load_backbone(&weights))
        .with_context(|| settings.cite("backbone.weights"))?;
    println!("{name} from {}: {report}", path.display());
    // Running statistics of random weights are no statistics of images yet; those of pretrained weights are kept.
    encoder.freeze_statistics();
    Ok(encoder)
}

/// The head of a model from a folder is its own.
fn check_head(settings: &Settings, encoder: &ImageEncoder) -> anyhow::Result<()> {
    let embedding = settings.head.embedding;
    let own = encoder.config().embedding_dim.unwrap_or(0);
    if settings.is_given("head.embedding") && embedding != own {
        let folder = settings.cite("backbone.folder");
        let sentence =
            format!("{folder} has a head of length {own}, got {embedding}; leave it out");
        return Err(settings.problem("head.embedding", sentence).into());
    }
    if settings.is_given("head.normalize") && settings.head.normalize != encoder.config().normalize
    {
        let folder = settings.cite("backbone.folder");
        let sentence = format!(
            "{folder} has {}, got {}; leave it out",
            encoder.config().normalize,
            settings.head.normalize
        );
        return Err(settings.problem("head.normalize", sentence).into());
    }
    Ok(())
}

impl Network for ImageNetwork {
    fn layer(&self) -> &dyn Layer {
        &self.encoder
    }

    fn things(&self) -> &'static str {
        "images"
    }

    fn is_normalized_last(&self) -> bool {
        self.encoder.config().normalize
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.encoder.write(folder)?)
    }

    fn read(&self, folder: &Path, device: &Device) -> anyhow::Result<Box<dyn Network>> {
        Ok(Box::new(Self {
            encoder: ImageEncoder::read(folder, DType::F32, device)?,
            preparation: self.preparation.clone(),
        }))
    }

    fn shared(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }
}
