//! Networks from token ids to states of tokens, with normalisation behind each part.
//!
//! ```text
//! x₀ = D(LN(word[id] + position[i] + type[0]))        xₗ = layerₗ(xₗ₋₁)
//! ```
//!
//! `RoBERTa` and `MPNet` count positions from `pad_token_id + 1` over the tokens that are no padding. In `MPNet` a learned
//! bias `b[head, class of (j − i)]` is added to the scores of every layer.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, Result, SeedSequence, check};
use dml_nn::{
    CheckpointSwitch, Dropout, ElementType, Embedding, Graph, GraphValue, Layer, LayerNorm,
    Parameters,
};
use rand::RngCore;

use super::layer::{PostNormLayer, dropout};
use super::masked_layer::Masks;
use super::plan::{BUCKETS, Plan};
use super::tokens::{Padding, added_scores, distances, length, real_tokens, running_sums};
use crate::init::Init;

/// Most layers of a network.
const MOST_LAYERS: usize = 1_000;
/// Distance from which on all distances are of one class.
const MOST_DISTANCE: f64 = 128.0;

/// A network ([formula](self)) from token ids `[batch, length]`, padded, to states `[batch, length, hidden]`.
#[derive(Debug)]
pub(super) struct PostNormTransformer {
    words: Embedding,
    positions: Embedding,
    types: Option<Embedding>,
    norm: LayerNorm,
    dropout: Dropout,
    layers: Vec<Arc<PostNormLayer>>,
    /// Whether layers are computed again in the backward pass.
    pub(super) checkpoint: CheckpointSwitch,
    relative_bias: Option<Embedding>,
    plan: Plan,
}

impl PostNormTransformer {
    pub(super) fn new(
        plan: &Plan,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        check::count("num_hidden_layers", plan.layers, MOST_LAYERS)?;
        check::at_least_one("num_attention_heads", plan.heads)?;
        check::at_least_one("max_position_embeddings", plan.most_tokens())?;
        let init = &mut Init { rng, dtype, device };
        let std = plan.initializer_range;
        let pad = plan.pad as usize;
        let mut table = |name, rows, width, padding: Option<usize>| -> Result<Embedding> {
            check::at_least_one(name, rows)?;
            check::at_least_one("hidden_size", width)?;
            let weight = init.normal(&[rows, width], std)?;
            check::indices("pad_token_id", padding, rows)?;
            if let Some(row) = padding {
                let zeros = Tensor::zeros((1, width), dtype, device)?;
                let values = weight.as_detached_tensor();
                weight.set(&values.slice_assign(&[row..row + 1, 0..width], &zeros)?)?;
            }
            Embedding::from_parameters(weight, padding)
        };
        let words = table("vocab_size", plan.vocab_size, plan.hidden, Some(pad))?;
        let padding = plan.positions_after_padding.then_some(pad);
        let positions = table(
            "max_position_embeddings",
            plan.positions,
            plan.hidden,
            padding,
        )?;
        let types = plan
            .types
            .map(|types| table("type_vocab_size", types, plan.hidden, None))
            .transpose()?;
        let relative_bias = plan
            .relative_bias
            .then(|| table("relative_attention_num_buckets", BUCKETS, plan.heads, None))
            .transpose()?;
        let layers = (0..plan.layers).map(|_| PostNormLayer::new(plan, init).map(Arc::new));
        Ok(Self {
            words,
            positions,
            types,
            layers: layers.collect::<Result<_>>()?,
            checkpoint: CheckpointSwitch::default(),
            norm: init.layer_norm(plan.hidden, plan.eps)?,
            dropout: dropout(plan.dropout, init)?,
            relative_bias,
            plan: plan.clone(),
        })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Prefixes of the parameters in order of depth.
    pub(super) fn block_prefixes(&self) -> Vec<Vec<String>> {
        let first = vec![
            "embeddings".to_owned(),
            "encoder.relative_attention_bias".to_owned(),
        ];
        let layers = self.plan.parts.layers;
        let others = (0..self.layers.len()).map(|i| vec![format!("{layers}.{i}")]);
        std::iter::once(first).chain(others).collect()
    }

    fn embedded(&self, ids: &Tensor, padding: &Padding, train: bool) -> Result<Tensor> {
        let words = self.words.forward_t(ids, train)?;
        let mut x = if self.plan.positions_after_padding {
            let numbers = positions_after(self.plan.pad, padding);
            let shape = (padding.batch, padding.length);
            let numbers = Tensor::from_vec(numbers, shape, ids.device())?;
            (words + self.positions.forward_t(&numbers, train)?)?
        } else {
            let numbers = Tensor::arange(0, padding.length as u32, ids.device())?;
            words.broadcast_add(&self.positions.forward_t(&numbers, train)?)?
        };
        if let Some(types) = &self.types {
            let first = Tensor::zeros(1, DType::U32, ids.device())?;
            x = x.broadcast_add(&types.forward_t(&first, train)?)?;
        }
        self.dropout
            .forward_t(&self.norm.forward_t(&x, train)?, train)
    }

    /// `[1, heads, length, length]`.
    fn bias_of_distances(&self, length: usize, device: &Device) -> Result<Option<Tensor>> {
        let Some(table) = &self.relative_bias else {
            return Ok(None);
        };
        let all = (0..length).flat_map(|query| (0..length).map(move |key| bucket(query, key)));
        let numbers = Tensor::from_vec(all.collect::<Vec<u32>>(), (length, length), device)?;
        let bias = table.forward(&numbers)?.permute((2, 0, 1))?;
        Ok(Some(bias.unsqueeze(0)?.contiguous()?))
    }

    /// As [`Self::embedded`]; `real` says which tokens are no padding.
    fn export_embedded(
        &self,
        graph: &mut Graph,
        ids: &GraphValue,
        real: &GraphValue,
    ) -> Result<GraphValue> {
        let words = graph.part("word_embeddings", &self.words, ids)?;
        let positions = if self.plan.positions_after_padding {
            let real = graph.cast(real, ElementType::Int64);
            let numbers = running_sums(graph, &real)?;
            let numbers = graph.node("Mul", &[&numbers, &real]);
            let pad = graph.integers(&[i64::from(self.plan.pad)])?;
            let numbers = graph.node("Add", &[&numbers, &pad]);
            graph.part("position_embeddings", &self.positions, &numbers)?
        } else {
            let table = graph.constant("position_embeddings.weight", self.positions.weight());
            let (zero, length) = (graph.integers(&[0])?, length(graph, ids));
            graph.node("Slice", &[&table, &zero, &length, &zero])
        };
        let mut x = graph.node("Add", &[&words, &positions]);
        if let Some(types) = &self.types {
            let first = types.weight().as_detached_tensor().narrow(0, 0, 1)?;
            let first = graph.constant("token_type_embeddings.weight", &first);
            x = graph.node("Add", &[&x, &first]);
        }
        graph.part("LayerNorm", &self.norm, &x)
    }

    /// `[heads, length, length]`, from a table of all distances.
    fn export_bias(&self, graph: &mut Graph, ids: &GraphValue) -> Result<Option<GraphValue>> {
        let Some(table) = &self.relative_bias else {
            return Ok(None);
        };
        let most = self.plan.most_tokens();
        let before = (1..most).rev().map(|distance| bucket(distance, 0));
        let all: Vec<u32> = before
            .chain((0..most).map(|distance| bucket(0, distance)))
            .collect();
        let numbers = Tensor::new(all, table.weight().device())?;
        let table = graph.constant("distances", &table.forward(&numbers)?.t()?);
        let length = length(graph, ids);
        let places = distances(graph, &length)?;
        let middle = graph.integers(&[most as i64 - 1])?;
        let places = graph.node("Add", &[&places, &middle]);
        let axis = [("axis", 1i64.into())];
        Ok(Some(graph.node_with("Gather", &[&table, &places], &axis)))
    }
}

/// Positions: `pad` for padding, else the number of tokens up to it that are no padding, behind `pad`.
fn positions_after(pad: u32, padding: &Padding) -> Vec<u32> {
    let mut numbers = Vec::with_capacity(padding.padded.len());
    for row in padding.rows() {
        let mut last = pad;
        numbers.extend(row.iter().map(|padded| {
            if *padded == 1 {
                return pad;
            }
            last += 1;
            last
        }));
    }
    numbers
}

/// Class of the distance between two tokens: 8 classes of single distances in each direction, then classes that grow
/// geometrically up to [`MOST_DISTANCE`].
fn bucket(query: usize, key: usize) -> u32 {
    let half = BUCKETS / 2;
    let exact = half / 2;
    let direction = if key > query { half } else { 0 };
    let distance = query.abs_diff(key);
    let class = if distance < exact {
        distance
    } else {
        // In single precision, as upstream: at powers of two the class depends on the rounding.
        let share = (distance as f32 / exact as f32).ln();
        let share = share / (MOST_DISTANCE / exact as f64).ln() as f32;
        (exact + (share * (half - exact) as f32) as usize).min(half - 1)
    };
    (direction + class) as u32
}

impl Layer for PostNormTransformer {
    fn forward_t(&self, ids: &Tensor, train: bool) -> Result<Tensor> {
        let padding = Padding::new(ids, self.plan.pad)?;
        if padding.length > self.plan.most_tokens() {
            return Err(Error::Count {
                name: "length of ids",
                least: 1,
                most: self.plan.most_tokens(),
                got: padding.length,
            });
        }
        let mut x = self.embedded(ids, &padding, train)?;
        let mask = padding.mask(ids.device())?;
        let bias = self.bias_of_distances(padding.length, ids.device())?;
        let masks = Masks {
            key_padding: mask,
            added: bias,
        };
        for layer in &self.layers {
            x = masks.apply(layer, &x, &self.checkpoint, train)?;
        }
        Ok(x)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        let mut add = |name: &str, layer: &dyn Layer| parameters.extend(name, layer.parameters());
        add("embeddings.word_embeddings", &self.words);
        add("embeddings.position_embeddings", &self.positions);
        if let Some(types) = &self.types {
            add("embeddings.token_type_embeddings", types);
        }
        add("embeddings.LayerNorm", &self.norm);
        if let Some(bias) = &self.relative_bias {
            add("encoder.relative_attention_bias", bias);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            let name = format!("{}.{i}", self.plan.parts.layers);
            parameters.extend(&name, layer.parameters());
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let layers = self.layers.iter().flat_map(Layer::seeds);
        self.dropout.seeds().into_iter().chain(layers).collect()
    }

    fn export(&self, graph: &mut Graph, ids: &GraphValue) -> Result<GraphValue> {
        let real = real_tokens(graph, ids, self.plan.pad)?;
        let mut x = graph.scoped("embeddings", |graph| {
            self.export_embedded(graph, ids, &real)
        })?;
        let mut added = added_scores(graph, &real, f64::NEG_INFINITY)?;
        let bias = graph.scoped("encoder.relative_attention_bias", |graph| {
            self.export_bias(graph, ids)
        })?;
        if let Some(bias) = bias {
            added = graph.node("Add", &[&added, &bias]);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            let name = format!("{}.{i}", self.plan.parts.layers);
            x = graph.scoped(&name, |graph| layer.export_masked(graph, &x, &added))?;
        }
        Ok(x)
    }
}

#[cfg(test)]
mod tests;
