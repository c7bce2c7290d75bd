//! Vector encoders: a multilayer perceptron on rows of numbers, such as counts of genes or features of another network.
//!
//! ```text
//! z = normalise(head(reluₙ(… relu₁((x − mean) · scale))))
//! ```
//!
//! Mean and scale are those of the training rows, and belong to the model as buffers. The folder of an encoder has two files:
//! `config.json` with the [`VectorEncoderConfig`], and `model.safetensors` with the tensors.

use std::path::Path;
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor, Var};
use dml_core::{Result as CoreResult, TensorExt, check};
use dml_nn::{Layer, Linear, LinearConfig, Parameters, Relu, Sequential};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::backbone::trainable;
use crate::encoder_folder;
use crate::error::Result;

/// What `model_type` says in `config.json`.
const MODEL_TYPE: &str = "dml_vector_encoder";
/// Name of mean and scale in the file of the weights.
const INPUT: &str = "input";
/// Largest length of a row, a hidden layer or an embedding.
const LONGEST: usize = 1 << 20;
/// Most hidden layers.
const MOST_LAYERS: usize = 1_000;

/// Configuration of a [`VectorEncoder`]; `config.json` of its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorEncoderConfig {
    /// Length of a row.
    pub inputs: usize,
    /// Lengths of the hidden layers, each with a ReLU; none for a linear map. Default none.
    #[serde(default)]
    pub hidden: Vec<usize>,
    /// Length of the embeddings; `None` for the outputs of the last hidden layer without a head.
    #[serde(default)]
    pub embedding_dim: Option<usize>,
    /// Whether embeddings are scaled to length 1. Default `true`.
    #[serde(default = "yes")]
    pub normalize: bool,
}

fn yes() -> bool {
    true
}

impl VectorEncoderConfig {
    /// Rows of this length, scaled to length 1 and otherwise as they are.
    #[must_use]
    pub fn new(inputs: usize) -> Self {
        Self {
            inputs,
            hidden: Vec::new(),
            embedding_dim: None,
            normalize: true,
        }
    }
}

/// Turns rows `[rows, inputs]` into embeddings `[rows, dim]` ([formula and files](self)). Clones share their variables.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{VectorEncoder, VectorEncoderConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let config = VectorEncoderConfig { hidden: vec![32], embedding_dim: Some(4), ..VectorEncoderConfig::new(3) };
/// let encoder = VectorEncoder::new(config, rng, DType::F32, &Device::Cpu)?;
/// let rows = Tensor::new(&[[10f32, 200., 1.], [12., 100., 1.]], &Device::Cpu)?;
/// encoder.standardize(&rows)?;
/// assert_eq!(encoder.forward(&rows)?.dims(), [2, 4]);
/// # Ok::<(), dml_models::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct VectorEncoder {
    config: VectorEncoderConfig,
    mean: Var,
    scale: Var,
    layers: Arc<Sequential>,
}

impl VectorEncoder {
    /// An encoder with PyTorch's initialisation, mean 0 and scale 1.
    ///
    /// # Errors
    /// [`ModelError::Core`](crate::ModelError::Core) with [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) or
    /// [`Error::Count`](dml_core::Error::Count) for a length of 0 or above 2²⁰, [`Error::Size`](dml_core::Error::Size) for
    /// layers that memory has no room for.
    pub fn new(
        config: VectorEncoderConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let inputs = check::count("inputs", config.inputs, LONGEST)?;
        check::count_from("hidden layers", config.hidden.len() + 1, 1, MOST_LAYERS + 1)?;
        let mut layers = Sequential::default();
        let mut before = inputs;
        let mut linear = |arg, before: usize, length: usize| -> Result<Linear> {
            check::count(arg, length, LONGEST)?;
            check::elements(arg, &[before, length], dtype.size_in_bytes())?;
            let config = LinearConfig::new(before, length);
            Ok(Linear::new(config, rng, dtype, device)?)
        };
        for (number, &length) in config.hidden.iter().enumerate() {
            let layer = linear("hidden", before, length)?;
            layers = layers.with(format!("hidden.{number}"), layer);
            layers = layers.with(format!("relu.{number}"), Relu);
            before = length;
        }
        if let Some(length) = config.embedding_dim {
            layers = layers.with("head", linear("embedding_dim", before, length)?);
        }
        let core = |error: candle_core::Error| dml_core::Error::from(error);
        Ok(Self {
            mean: Var::zeros(inputs, dtype, device).map_err(core)?,
            scale: Var::ones(inputs, dtype, device).map_err(core)?,
            layers: Arc::new(layers),
            config,
        })
    }

    /// Reads the folder of an encoder.
    ///
    /// # Errors
    /// [`ModelError::Io`](crate::ModelError::Io) if a file can't be read, [`ModelError::Format`](crate::ModelError::Format) if
    /// it is damaged or of another kind of model, errors of [`new`](Self::new) and [`load()`](crate::load()).
    pub fn read(folder: impl AsRef<Path>, dtype: DType, device: &Device) -> Result<Self> {
        encoder_folder::read(folder.as_ref(), MODEL_TYPE, |config, rng| {
            Self::new(config, rng, dtype, device)
        })
    }

    /// The configuration in the folder of an encoder, without its weights.
    ///
    /// # Errors
    /// [`ModelError::Io`](crate::ModelError::Io) if the file can't be read, [`ModelError::Format`](crate::ModelError::Format)
    /// if it is damaged or of another kind of model.
    pub fn read_config(folder: impl AsRef<Path>) -> Result<VectorEncoderConfig> {
        encoder_folder::read_config(folder.as_ref(), MODEL_TYPE)
    }

    /// Writes `config.json` and `model.safetensors` to a folder, which is created if it is absent. Each file is whole or
    /// absent.
    ///
    /// # Errors
    /// [`ModelError::Io`](crate::ModelError::Io) if a file can't be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        encoder_folder::write(folder.as_ref(), MODEL_TYPE, &self.config, self)
    }

    /// Takes mean and scale from rows `[rows, inputs]`: the scale is 1 over the standard deviation, and 1 where all rows have
    /// the same number.
    ///
    /// # Errors
    /// [`ModelError::Core`](crate::ModelError::Core) with [`Error::Shape`](dml_core::Error::Shape) for rows of another length,
    /// or none.
    pub fn standardize(&self, rows: &Tensor) -> Result<()> {
        let inputs = self.config.inputs;
        let fits = matches!(*rows.dims(), [count, length] if count > 0 && length == inputs);
        check::shape(fits, "rows", rows, "[rows, inputs], at least one row")?;
        let set = || -> candle_core::Result<()> {
            // Sums of many rows, or of large numbers, need double precision.
            let rows = rows.to_dtype(DType::F64)?;
            let mean = rows.mean(0)?;
            let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
            let inverse = |variance: f64| match variance.sqrt().recip() {
                scale if scale.is_finite() => scale,
                _ => 1.0,
            };
            let scale: Vec<f64> = variance.to_vec1()?.into_iter().map(inverse).collect();
            let scale = Tensor::new(scale, rows.device())?;
            let like = |own: &Var, value: &Tensor| {
                own.set(&value.to_dtype(own.dtype())?.to_device(own.device())?)
            };
            like(&self.mean, &mean)?;
            like(&self.scale, &scale)
        };
        Ok(set().map_err(dml_core::Error::from)?)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &VectorEncoderConfig {
        &self.config
    }

    /// Length of an embedding.
    #[must_use]
    pub fn embedding_dim(&self) -> usize {
        let features = self.config.hidden.last().copied();
        let features = features.unwrap_or(self.config.inputs);
        self.config.embedding_dim.unwrap_or(features)
    }
}

impl Layer for VectorEncoder {
    fn forward_t(&self, input: &Tensor, train: bool) -> CoreResult<Tensor> {
        let fits = input.rank() == 2 && input.dim(D::Minus1)? == self.config.inputs;
        check::shape(fits, "rows", input, "[rows, inputs]")?;
        let centred = input.broadcast_sub(&self.mean.as_detached_tensor())?;
        let scaled = centred.broadcast_mul(&self.scale.as_detached_tensor())?;
        let embeddings = self.layers.forward_t(&scaled, train)?;
        match self.config.normalize {
            true => embeddings.normalize_rows(2.0),
            false => Ok(embeddings),
        }
    }

    fn parameters(&self) -> Parameters {
        self.layers.parameters()
    }

    fn buffers(&self) -> Parameters {
        let mut own = Parameters::default();
        own.push("mean", self.mean.clone());
        own.push("scale", self.scale.clone());
        own.prefixed(INPUT)
    }
}

trainable!(VectorEncoder);

#[cfg(test)]
mod tests {
    use dml_core::rand_chacha::ChaCha8Rng;
    use rand::SeedableRng;

    use super::*;

    fn encoder(config: VectorEncoderConfig) -> Result<VectorEncoder> {
        let rng = &mut ChaCha8Rng::seed_from_u64(3);
        VectorEncoder::new(config, rng, DType::F32, &Device::Cpu)
    }

    fn rows() -> CoreResult<Tensor> {
        let rows = [[1f32, 100., 5.], [3., 300., 5.]];
        Ok(Tensor::new(&rows, &Device::Cpu)?)
    }

    #[test]
    fn columns_have_mean_0_and_deviation_1_and_constant_ones_are_0() -> Result<()> {
        let plain = VectorEncoderConfig {
            normalize: false,
            ..VectorEncoderConfig::new(3)
        };
        let encoder = encoder(plain)?;
        encoder.standardize(&rows()?)?;
        let found: Vec<Vec<f32>> = encoder.forward(&rows()?)?.to_vec2().unwrap();
        assert_eq!(found, [[-1., -1., 0.], [1., 1., 0.]]);
        assert_eq!(encoder.embedding_dim(), 3);
        assert!(
            encoder
                .standardize(&rows()?.narrow(0, 0, 0).unwrap())
                .is_err()
        );
        Ok(())
    }

    #[test]
    fn what_is_written_is_read_back_with_its_statistics() -> Result<()> {
        let root = tempfile::tempdir().unwrap();
        let config = VectorEncoderConfig {
            hidden: vec![7, 5],
            embedding_dim: Some(2),
            ..VectorEncoderConfig::new(3)
        };
        let written = encoder(config.clone())?;
        written.standardize(&rows()?)?;
        written.write(root.path())?;
        let read = VectorEncoder::read(root.path(), DType::F32, &Device::Cpu)?;
        let values = |own: &VectorEncoder| -> Result<Vec<Vec<f32>>> {
            Ok(own
                .forward(&rows()?)?
                .to_vec2()
                .map_err(dml_core::Error::from)?)
        };
        assert_eq!(values(&read)?, values(&written)?);
        assert_eq!(read.config(), &config);
        let names: Vec<String> = read.parameters().into_iter().map(|own| own.0).collect();
        assert_eq!(names[0], "hidden.0.weight");
        assert_eq!(names[names.len() - 1], "head.bias");
        // An image encoder's folder is another kind.
        assert!(crate::ImageEncoder::read_config(root.path()).is_err());
        Ok(())
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        let with = |inputs, hidden, embedding_dim| {
            encoder(VectorEncoderConfig {
                hidden,
                embedding_dim,
                ..VectorEncoderConfig::new(inputs)
            })
            .map(drop)
        };
        for refused in [
            with(0, vec![], None),
            with(3, vec![0], None),
            with(3, vec![], Some(0)),
            with(1 << 20, vec![1 << 20], None),
            with(3, vec![1; 1_001], None),
        ] {
            assert!(refused.is_err());
        }
    }
}
