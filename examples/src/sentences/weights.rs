//! The weights of a BERT by Hugging Face's names.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, ensure};
use candle_transformers::models::bert::Config;
use dml::candle_core::{DType, Tensor, Var};
use dml::candle_nn::VarBuilder;
use dml::core::checkpoint;
use dml::nn::Parameters;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::DEVICE;

/// Variables by name, in single precision.
#[derive(Clone, Debug)]
pub struct Weights(Parameters);

/// Names and shapes, in order.
fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let mut shapes = Vec::new();
    let mut push = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
    for (name, rows) in [
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ] {
        push(
            format!("embeddings.{name}_embeddings.weight"),
            &[rows, hidden],
        );
    }
    push("embeddings.LayerNorm.weight".to_owned(), &[hidden]);
    push("embeddings.LayerNorm.bias".to_owned(), &[hidden]);
    for layer in 0..config.num_hidden_layers {
        let layer = format!("encoder.layer.{layer}");
        for (name, outputs, inputs) in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", wide, hidden),
            ("output.dense", hidden, wide),
        ] {
            push(format!("{layer}.{name}.weight"), &[outputs, inputs]);
            push(format!("{layer}.{name}.bias"), &[outputs]);
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            push(format!("{layer}.{name}.weight"), &[hidden]);
            push(format!("{layer}.{name}.bias"), &[hidden]);
        }
    }
    shapes
}

/// Under which name a file may have a weight: a model with a head has the encoder under `bert`, and older files call the
/// weights of layer norms by other names.
fn found<'a>(file: &'a HashMap<String, Tensor>, name: &str) -> Option<&'a Tensor> {
    let old = name.replace("LayerNorm.weight", "LayerNorm.gamma");
    let old = old.replace("LayerNorm.bias", "LayerNorm.beta");
    let names = [name, &old].map(|name| [name.to_owned(), format!("bert.{name}")]);
    names.iter().flatten().find_map(|name| file.get(name))
}

impl Weights {
    /// Those of a safetensors file. What else is in it, such as the weights of a head, is left out.
    ///
    /// # Errors
    /// If the file can't be read, has no such weight, or one of another shape or with NaN in it.
    pub fn read(path: &Path, config: &Config) -> anyhow::Result<Self> {
        let file = checkpoint::load(path, &DEVICE)?;
        let mut parameters = Parameters::default();
        for (name, shape) in shapes(config) {
            let tensor = found(&file, &name)
                .with_context(|| format!("{}: has no {name}", path.display()))?;
            ensure!(
                tensor.dims() == shape,
                "{}: {name}: expected shape {shape:?}, got {:?}",
                path.display(),
                tensor.dims()
            );
            let var = Var::from_tensor(&tensor.to_dtype(DType::F32)?)?;
            parameters.push(name, var);
        }
        checkpoint::finite(&parameters.tensors()).with_context(|| path.display().to_string())?;
        Ok(Self(parameters))
    }

    /// Random ones: BERT's spread for matrices, 1 for the factors of layer norms, 0 for all other vectors.
    ///
    /// # Errors
    /// If there is not the memory.
    pub fn random(config: &Config, seed: u64) -> anyhow::Result<Self> {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        // A uniform distribution of that standard deviation.
        let bound = (config.initializer_range * 3f64.sqrt()) as f32;
        let mut parameters = Parameters::default();
        for (name, shape) in shapes(config) {
            let tensor = match shape.as_slice() {
                [rows, columns] => {
                    let draw = |_| rng.random_range(-bound..bound);
                    let values: Vec<f32> = (0..rows * columns).map(draw).collect();
                    Tensor::from_vec(values, (*rows, *columns), &DEVICE)?
                }
                _ if name.ends_with("LayerNorm.weight") => {
                    Tensor::ones(shape, DType::F32, &DEVICE)?
                }
                _ => Tensor::zeros(shape, DType::F32, &DEVICE)?,
            };
            parameters.push(name, Var::from_tensor(&tensor)?);
        }
        Ok(Self(parameters))
    }

    /// Names and variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.0.iter()
    }

    /// The weight of that name.
    pub(super) fn get(&self, name: &str) -> anyhow::Result<&Var> {
        let var = self.0.get(name);
        var.with_context(|| format!("{name}: no such weight"))
    }

    /// Names and variables.
    pub(super) fn variables(&self) -> Parameters {
        self.0.clone()
    }

    /// The variables as candle-transformers takes them: they share their memory, and so what they learn.
    pub(super) fn builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_tensors(self.0.tensors(), DType::F32, &DEVICE)
    }

    /// Writes a safetensors file, whole or not at all.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        Ok(self.0.save(path)?)
    }
}
