//! Text encoders, from folders of sentence-transformers and transformers.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use dml::candle_core::{DType, Device};
use dml::core::rand::SeedableRng;
use dml::core::rand_chacha::ChaCha8Rng;
use dml::models::SharedBackbone;
use dml::models::text::{TextEncoder, TextTokenizer};
use dml::nn::Layer;
use dml::train::NamedModule;
use dml_program::println;

use super::Network;
use crate::settings::Settings;

/// A text encoder with its tokenizer.
#[derive(Clone, Debug)]
pub struct TextNetwork {
    /// The encoder.
    pub encoder: Arc<TextEncoder>,
    /// From texts to token ids.
    pub tokenizer: TextTokenizer,
}

/// Fields that say something of images alone, or of a head that a text encoder brings itself.
const OF_IMAGES: [&str; 5] = [
    "backbone.size",
    "train.augment",
    "head.embedding",
    "head.normalize",
    "data.unreadable",
];

impl TextNetwork {
    /// Reads the folder that the settings name.
    ///
    /// # Errors
    /// Files that are missing, damaged or of another kind, and fields that are of images alone.
    pub fn build(settings: &Settings, device: &Device) -> anyhow::Result<Self> {
        let folder = settings.backbone.folder.as_deref().unwrap_or(Path::new(""));
        let cite = || settings.cite("backbone.folder");
        let reason = format!("{} reads texts, which have no such field", cite());
        settings.refuse_set(&OF_IMAGES, &reason)?;
        let network = read(folder, settings.train.seed, device).with_context(cite)?;
        println!("text encoder from {}", folder.display());
        Ok(network)
    }

    /// The encoder as a module that learns by the settings.
    ///
    /// # Errors
    /// Rules that the network has no parameters for.
    pub fn trunk(&self, settings: &Settings) -> anyhow::Result<NamedModule> {
        let backbone = SharedBackbone::from(self.encoder.clone());
        super::trunk(settings, NamedModule::of("encoder", backbone), false)
    }
}

/// Reads the folder of an encoder; the seed is that of dropout.
fn read(folder: &Path, seed: u64, device: &Device) -> anyhow::Result<TextNetwork> {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let encoder = TextEncoder::read(folder, rng, DType::F32, device)?;
    let tokenizer = TextTokenizer::read(folder, &encoder, usize::MAX)?;
    Ok(TextNetwork {
        encoder: Arc::new(encoder),
        tokenizer,
    })
}

impl Network for TextNetwork {
    fn layer(&self) -> &dyn Layer {
        &*self.encoder
    }

    fn things(&self) -> &'static str {
        "texts"
    }

    fn is_normalized_last(&self) -> bool {
        // The encoder's own modules are all that learns.
        false
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.encoder.write(folder)?)
    }

    fn read(&self, folder: &Path, device: &Device) -> anyhow::Result<Box<dyn Network>> {
        Ok(Box::new(read(folder, 0, device)?))
    }

    fn shared(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }
}
