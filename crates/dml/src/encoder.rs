//! Trained models with what they read: from images or texts to embeddings.
//!
//! A model is a folder: one that [`ImageEncoder::write`] wrote, or one of a text encoder, as sentence-transformers and
//! transformers lay it out.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use dml_core::rand::SeedableRng;
use dml_core::rand_chacha::ChaCha8Rng;
use dml_core::{Error, Result};
use dml_data::{
    DataError, ImageFiles, ImagePreparation, ImagePreparationConfig, TokenDataset, Unreadable,
};
use dml_eval::{DatasetInputs, embed};
use dml_models::text::{TextEncoder, TextTokenizer};
use dml_models::{ImageEncoder, ModelError};
use dml_nn::Layer;

/// Why a model can't be opened, or an input not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// A file of the model is missing, damaged or of another kind.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An image can't be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A tensor operation failed, or an argument is out of range.
    #[error(transparent)]
    Core(#[from] Error),
    /// The folder has no model.
    #[error("{}: expected the folder of a model, with config.json", path.display())]
    NoModel {
        /// The folder.
        path: PathBuf,
    },
    /// The model reads something else.
    #[error("the model reads {reads}, got {got}")]
    Input {
        /// `images` or `texts`.
        reads: &'static str,
        /// `images` or `texts`.
        got: &'static str,
    },
}

/// A model with what its inputs have to be.
///
/// ```no_run
/// use dml::candle_core::Device;
/// use dml::encoder::Encoder;
///
/// let encoder = Encoder::open("runs/clothing/model", &Device::Cpu)?;
/// let embedding = encoder.embed_image("boot.jpg", &std::fs::read("boot.jpg")?)?;
/// assert_eq!(embedding.dims()[0], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub enum Encoder {
    /// Images.
    Image(Box<ImageModel>),
    /// Texts.
    Text(Box<TextModel>),
}

/// An image encoder with the preparation of its images.
#[derive(Debug)]
pub struct ImageModel {
    /// The network.
    pub encoder: ImageEncoder,
    /// How files become its input. Files that can't be decoded are left out.
    pub preparation: ImagePreparation,
    device: Device,
}

/// A text encoder with its tokenizer.
#[derive(Debug)]
pub struct TextModel {
    /// The network.
    pub encoder: TextEncoder,
    /// From texts to token ids.
    pub tokenizer: TextTokenizer,
    device: Device,
}

impl ImageModel {
    /// An encoder with the images that it states.
    ///
    /// # Errors
    /// As [`ImagePreparation::new`].
    pub fn new(encoder: ImageEncoder, device: &Device) -> Result<Self> {
        let preparation = ImagePreparation::new(ImagePreparationConfig {
            unreadable: Unreadable::Skip,
            ..ImagePreparationConfig::new(encoder.input().clone())
        })?;
        Ok(Self {
            encoder,
            preparation,
            device: device.clone(),
        })
    }

    /// The embeddings `[rows, dim]` of image files, read as the network expects them whatever their configuration says.
    ///
    /// # Errors
    /// [`EncoderError::Core`] with [`Error::Dataset`] for an image that can't be read.
    pub fn embed(
        &self,
        files: &ImageFiles,
        batch_size: usize,
        done: impl FnMut(usize),
    ) -> std::result::Result<Tensor, EncoderError> {
        let files = files.with_config(self.preparation.evaluation_files().clone())?;
        let images = DatasetInputs::new(self.preparation.evaluation(files)?);
        let images = images.with_device(&self.device);
        Ok(embed(
            &images,
            batch_size,
            |x| self.encoder.forward(x),
            done,
        )?)
    }
}

impl TextModel {
    /// An encoder with its tokenizer.
    #[must_use]
    pub fn new(encoder: TextEncoder, tokenizer: TextTokenizer, device: &Device) -> Self {
        Self {
            encoder,
            tokenizer,
            device: device.clone(),
        }
    }

    /// The embeddings `[rows, dim]` of texts. Texts of similar length are embedded together.
    ///
    /// # Errors
    /// [`EncoderError::Model`] for a text without a token.
    pub fn embed(
        &self,
        texts: &[&str],
        batch_size: usize,
        done: impl FnMut(usize),
    ) -> std::result::Result<Tensor, EncoderError> {
        let tokens = self.tokenizer.encode_each(texts)?;
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|&row| tokens[row].len());
        let mut places = vec![0u32; order.len()];
        for (place, &row) in order.iter().enumerate() {
            places[row] = place as u32;
        }
        let sorted = order.iter().map(|&row| tokens[row].clone()).collect();
        let pad = self.encoder.network().pad_token_id();
        let tokens = TokenDataset::new(sorted, pad, vec![0i64; texts.len()])?;
        let inputs = DatasetInputs::new(tokens).with_device(&self.device);
        let embeddings = embed(&inputs, batch_size, |x| self.encoder.forward(x), done)?;
        let places = Tensor::new(places, &self.device).map_err(Error::from)?;
        Ok(embeddings.index_select(&places, 0).map_err(Error::from)?)
    }
}

impl Encoder {
    /// Opens the folder of a model, in single precision.
    ///
    /// # Errors
    /// [`EncoderError::NoModel`] for a folder without `config.json`, [`EncoderError::Model`] for files that are missing or
    /// damaged.
    pub fn open(
        folder: impl AsRef<Path>,
        device: &Device,
    ) -> std::result::Result<Self, EncoderError> {
        let folder = folder.as_ref();
        if !is_model(folder) {
            let path = folder.to_path_buf();
            return Err(EncoderError::NoModel { path });
        }
        if ImageEncoder::read_config(folder).is_ok() {
            let encoder = ImageEncoder::read(folder, DType::F32, device)?;
            return Ok(Self::Image(Box::new(ImageModel::new(encoder, device)?)));
        }
        // The generator seeds dropout, which rests outside of training.
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let encoder = TextEncoder::read(folder, rng, DType::F32, device)?;
        let tokenizer = TextTokenizer::read(folder, &encoder, usize::MAX)?;
        let model = TextModel::new(encoder, tokenizer, device);
        Ok(Self::Text(Box::new(model)))
    }

    /// `images` or `texts`.
    #[must_use]
    pub fn reads(&self) -> &'static str {
        match self {
            Self::Image(_) => "images",
            Self::Text(_) => "texts",
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &dyn Layer {
        match self {
            Self::Image(own) => &own.encoder,
            Self::Text(own) => &own.encoder,
        }
    }

    /// The embedding `[1, dim]` of an image file in memory; `name` is for messages.
    ///
    /// # Errors
    /// [`EncoderError::Input`] if the model reads texts, [`EncoderError::Data`] if the image can't be decoded.
    pub fn embed_image(
        &self,
        name: &str,
        bytes: &[u8],
    ) -> std::result::Result<Tensor, EncoderError> {
        let own = match self {
            Self::Image(own) => own,
            Self::Text(_) => return Err(self.wrong("images")),
        };
        let image = own.preparation.decode(name, bytes)?;
        let image = image.to_device(&own.device).map_err(Error::from)?;
        Ok(own.encoder.forward(&image)?.detach())
    }

    /// The embedding `[1, dim]` of a text.
    ///
    /// # Errors
    /// [`EncoderError::Input`] if the model reads images, [`EncoderError::Model`] for a text without a token.
    pub fn embed_text(&self, text: &str) -> std::result::Result<Tensor, EncoderError> {
        match self {
            Self::Text(own) => own.embed(&[text], 1, |_| ()),
            Self::Image(_) => Err(self.wrong("texts")),
        }
    }

    fn wrong(&self, got: &'static str) -> EncoderError {
        let reads = self.reads();
        EncoderError::Input { reads, got }
    }
}

/// Whether a folder has the files of a model.
#[must_use]
pub fn is_model(folder: &Path) -> bool {
    folder.join("config.json").is_file() || folder.join("modules.json").is_file()
}

#[cfg(test)]
mod tests;
