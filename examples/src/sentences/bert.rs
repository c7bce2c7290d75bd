//! BERT twice over the same weights: candle-transformers' to answer, and one to learn.
//!
//! candle-transformers' model takes Candle's fast layer normalisation, which has no backward pass and leaves no trace in
//! the graph: no gradient gets past the last layer, and nothing says so. In training the same weights therefore go
//! through the layers written out here, of operations that all have one. Dropout is in neither.
//!
//! Devlin, Chang, Lee, Toutanova 2018, "BERT" (arXiv 1810.04805).

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, ensure};
use candle_transformers::models::bert::{BertModel, Config, HiddenAct};
use dml::candle_core::{self, D, DType, ModuleT, Tensor};
use dml::candle_nn::ops::{layer_norm_slow, softmax};
use dml::candle_nn::{Linear, Module};

use super::Weights;

/// An encoder: tokens `[n, length]`, padded, to embeddings `[n, hidden]`.
pub struct Encoder {
    config: Config,
    weights: Weights,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    answering: BertModel,
}

/// Factor and summand of a layer normalisation.
struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

struct Embeddings {
    words: Tensor,
    positions: Tensor,
    /// Of the first type, which all tokens have.
    kind: Tensor,
    norm: Norm,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
    heads: usize,
    act: HiddenAct,
}

impl Norm {
    fn new(weights: &Weights, name: &str, eps: f64) -> anyhow::Result<Self> {
        let tensor = |end| anyhow::Ok(weights.get(&format!("{name}.{end}"))?.as_tensor().clone());
        Ok(Self {
            weight: tensor("weight")?,
            bias: tensor("bias")?,
            eps: eps as f32,
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        layer_norm_slow(x, &self.weight, &self.bias, self.eps)
    }
}

fn linear(weights: &Weights, name: &str) -> anyhow::Result<Linear> {
    let tensor = |end| anyhow::Ok(weights.get(&format!("{name}.{end}"))?.as_tensor().clone());
    Ok(Linear::new(tensor("weight")?, Some(tensor("bias")?)))
}

impl Layer {
    fn new(weights: &Weights, config: &Config, number: usize) -> anyhow::Result<Self> {
        let name = |end: &str| format!("encoder.layer.{number}.{end}");
        let linear = |end: &str| linear(weights, &name(end));
        let norm = |end: &str| Norm::new(weights, &name(end), config.layer_norm_eps);
        Ok(Self {
            query: linear("attention.self.query")?,
            key: linear("attention.self.key")?,
            value: linear("attention.self.value")?,
            attended: linear("attention.output.dense")?,
            attended_norm: norm("attention.output.LayerNorm")?,
            wide: linear("intermediate.dense")?,
            narrow: linear("output.dense")?,
            norm: norm("output.LayerNorm")?,
            heads: config.num_attention_heads,
            act: config.hidden_act,
        })
    }

    /// `[n, length, hidden]` → the same; `mask` `[n, 1, 1, length]` is added to the scores.
    fn forward(&self, x: &Tensor, mask: &Tensor) -> candle_core::Result<Tensor> {
        let (n, length, hidden) = x.dims3()?;
        let split = |x: Tensor| {
            // [n, heads, length, hidden / heads]
            let x = x.reshape((n, length, self.heads, hidden / self.heads))?;
            x.transpose(1, 2)?.contiguous()
        };
        let query = split(self.query.forward(x)?)?;
        let key = split(self.key.forward(x)?)?;
        let value = split(self.value.forward(x)?)?;
        let scale = ((hidden / self.heads) as f64).sqrt();
        let scores = (query.matmul(&key.t()?)? / scale)?.broadcast_add(mask)?;
        let seen = softmax(&scores, D::Minus1)?.matmul(&value)?;
        let seen = seen.transpose(1, 2)?.reshape((n, length, hidden))?;
        let x = self
            .attended_norm
            .forward(&(self.attended.forward(&seen)? + x)?)?;
        let wide = self.wide.forward(&x)?;
        let wide = match self.act {
            HiddenAct::Gelu => wide.gelu_erf()?,
            HiddenAct::GeluApproximate => wide.gelu()?,
            HiddenAct::Relu => wide.relu()?,
        };
        self.norm.forward(&(self.narrow.forward(&wide)? + &x)?)
    }
}

impl Encoder {
    /// That of a folder with `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// If they can't be read, or are of another kind of model.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("config.json");
        let shown = || path.display().to_string();
        let file = File::open(&path).with_context(|| format!("can't read {}", shown()))?;
        let config: Config = serde_json::from_reader(BufReader::new(file)).with_context(shown)?;
        let weights = Weights::read(&folder.join("model.safetensors"), &config)?;
        Self::new(config, weights)
    }

    /// An encoder of given weights.
    ///
    /// # Errors
    /// If the heads don't divide the hidden size.
    pub fn new(config: Config, weights: Weights) -> anyhow::Result<Self> {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        ensure!(
            heads > 0 && hidden % heads == 0,
            "num_attention_heads: expected a divisor of the hidden size {hidden}, got {heads}"
        );
        let tensor = |name: &str| {
            let name = format!("embeddings.{name}_embeddings.weight");
            anyhow::Ok(weights.get(&name)?.as_tensor().clone())
        };
        let embeddings = Embeddings {
            words: tensor("word")?,
            positions: tensor("position")?,
            kind: tensor("token_type")?,
            norm: Norm::new(&weights, "embeddings.LayerNorm", config.layer_norm_eps)?,
        };
        let layers = (0..config.num_hidden_layers)
            .map(|number| Layer::new(&weights, &config, number))
            .collect::<anyhow::Result<_>>()?;
        let answering = BertModel::load(weights.builder(), &config)?;
        Ok(Self {
            config,
            weights,
            embeddings,
            layers,
            answering,
        })
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// How long a sentence may be.
    #[must_use]
    pub fn most_tokens(&self) -> usize {
        self.config.max_position_embeddings
    }

    /// What sentences of a batch are filled up with.
    #[must_use]
    pub fn pad_token(&self) -> u32 {
        self.config.pad_token_id as u32
    }

    /// The last layer `[n, length, hidden]` for tokens and a mask `[n, length]`: of operations that have a gradient, or
    /// by candle-transformers.
    ///
    /// # Errors
    /// As Candle.
    pub fn states(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        train: bool,
    ) -> candle_core::Result<Tensor> {
        if !train {
            return self
                .answering
                .forward(tokens, &tokens.zeros_like()?, Some(mask));
        }
        let Embeddings {
            words,
            positions,
            kind,
            norm,
        } = &self.embeddings;
        let (n, length) = tokens.dims2()?;
        let words = words.index_select(&tokens.flatten_all()?, 0)?;
        let words = words.reshape((n, length, self.config.hidden_size))?;
        let place = positions
            .narrow(0, 0, length)?
            .broadcast_add(&kind.narrow(0, 0, 1)?)?;
        let mut x = norm.forward(&words.broadcast_add(&place)?)?;
        // Tokens that only fill up are seen by none.
        let bias = ((mask.to_dtype(DType::F32)? - 1.0)? * f64::from(f32::MAX))?;
        let bias = bias.reshape((n, 1, 1, length))?;
        for layer in &self.layers {
            x = layer.forward(&x, &bias)?;
        }
        Ok(x)
    }
}

impl ModuleT for Encoder {
    fn forward_t(&self, tokens: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        let mask = tokens.ne(self.pad_token())?;
        let states = self.states(tokens, &mask, train)?;
        let weights = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let sum = states.broadcast_mul(&weights)?.sum(1)?;
        sum.broadcast_div(&weights.sum(1)?)
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
