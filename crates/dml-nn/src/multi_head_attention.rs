//! Multi-head attention with its linear layers.
//!
//! ```text
//! Q, K, V = X W_qᵀ + b_q, X W_kᵀ + b_k, X W_vᵀ + b_v        Y = attention(Q, K, V) W_oᵀ + b_o
//! ```
//!
//! Vaswani et al. 2017 (arXiv 1706.03762); the heads are side by side, each of `embed_dim / num_heads` numbers. Published
//! models name and store the four linear layers in different ways, so the names come from the caller:
//!
//! | model | projections | output |
//! |---|---|---|
//! | PyTorch's `nn.MultiheadAttention`, CLIP of `OpenAI` | `in_proj_weight`, `in_proj_bias` in one | `out_proj` |
//! | timm's ViT | `qkv` in one | `proj` |
//! | BERT, `MiniLM` | `self.query`, `self.key`, `self.value` | `output.dense` |
//! | CLIP of Hugging Face | `q_proj`, `k_proj`, `v_proj` | `out_proj` |

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Result, SeedSequence, check};
use rand::RngCore;

use crate::attention::{
    AttentionOptions, export_attention, multi_head_attention, multi_head_attention_packed,
};
use crate::named_linear::NamedLinear;
use crate::{Dropout, Graph, GraphValue, Layer, Linear, LinearConfig, Parameters, init};

dml_core::config! {
    /// Configuration of [`MultiHeadAttention`], with PyTorch's names.
    #[derive(Eq)]
    pub struct MultiHeadAttentionConfig {
        /// Size of the last dimension of input and output, 1 to 4,294,967,295; a multiple of the number of heads.
        pub embed_dim: usize,
        /// Number of heads, 1 to 4,294,967,295.
        pub num_heads: usize;
        /// Whether the linear layers have biases. Default true.
        pub bias: bool = true,
    }
}

/// Multi-head attention ([formula](self)): `[batch, length, embed_dim]` → `[batch, length, embed_dim]`.
///
/// As a [`Layer`] it is self-attention without masks; [`attend`](Self::attend) takes masks, and
/// [`attend_to`](Self::attend_to) other keys.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Layer, MultiHeadAttention, MultiHeadAttentionConfig};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let config = MultiHeadAttentionConfig::new(6, 2);
/// let layer = MultiHeadAttention::new(config, rng, DType::F32, &Device::Cpu)?;
/// let x = Tensor::ones((1, 4, 6), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&x)?.dims(), [1, 4, 6]);
/// let names: Vec<String> = layer.parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultiHeadAttention {
    projections: Projections,
    output: NamedLinear,
    heads: usize,
    dropout: Option<Dropout>,
}

#[derive(Clone, Debug)]
enum Projections {
    /// Queries, keys and values by one layer.
    Packed(NamedLinear),
    /// Queries, keys and values by a layer each.
    Separate(Box<[NamedLinear; 3]>),
}

impl MultiHeadAttention {
    /// Attention with PyTorch's names (`in_proj_weight`, `in_proj_bias`, `out_proj.weight`, `out_proj.bias`) and initialisation:
    /// `in_proj_weight` is uniform in ±√(6 / (4 · `embed_dim`)) (Glorot & Bengio 2010), the output's weight in ±1/√`embed_dim`,
    /// biases are 0.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size of 0 or heads that do not divide
    /// `embed_dim`, [`Error::Tensor`](dml_core::Error::Tensor) if the device can't hold the parameters.
    pub fn new(
        config: MultiHeadAttentionConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let width = check::at_least_one("embed_dim", config.embed_dim)?;
        let bound = (6.0 / (4 * width) as f64).sqrt();
        let weight = init::uniform((3 * width, width), bound, rng, dtype, device)?;
        let zeros = |len: usize| -> Result<Option<Var>> {
            Ok(config
                .bias
                .then(|| Var::zeros(len, dtype, device))
                .transpose()?)
        };
        let packed = Linear::from_parameters(weight, zeros(3 * width)?)?;
        let output = LinearConfig {
            bias: false,
            ..LinearConfig::new(width, width)
        };
        let output = Linear::new(output, rng, dtype, device)?;
        let output = Linear::from_parameters(output.weight().clone(), zeros(width)?)?;
        let mut layer = Self::packed(("in_proj", packed), ("out_proj", output), config.num_heads)?;
        if let Projections::Packed(named) = &mut layer.projections {
            named.prefix = "in_proj_".to_owned();
        }
        Ok(layer)
    }

    /// Attention whose queries, keys and values come from one layer, `[3 · width, embed_dim]`: the rows of the queries first,
    /// then those of the keys, then those of the values. Parameters have the given names before theirs.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) if the layers do not fit each other,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for heads that do not divide the width.
    pub fn packed(qkv: (&str, Linear), output: (&str, Linear), num_heads: usize) -> Result<Self> {
        let qkv = NamedLinear::new(qkv);
        let (rows, _) = qkv.sizes()?;
        let expected = "a weight of [3 · width, embed_dim]";
        check::dims(rows.is_multiple_of(3), "qkv", &[rows], expected)?;
        Self::of(
            Projections::Packed(qkv),
            rows / 3,
            NamedLinear::new(output),
            num_heads,
        )
    }

    /// Attention whose queries, keys and values come from a layer each, in this order. Parameters have the given names before
    /// theirs.
    ///
    /// # Errors
    /// As [`packed`](Self::packed).
    pub fn separate(
        [query, key, value]: [(&str, Linear); 3],
        output: (&str, Linear),
        num_heads: usize,
    ) -> Result<Self> {
        let all = [query, key, value].map(NamedLinear::new);
        let (width, _) = all[0].sizes()?;
        for named in &all[1..] {
            let (fits, weight) = (named.sizes()?.0 == width, named.linear.weight());
            check::shape(
                fits,
                "key and value",
                weight,
                "as many outputs as the query",
            )?;
        }
        let all = Projections::Separate(Box::new(all));
        Self::of(all, width, NamedLinear::new(output), num_heads)
    }

    fn of(
        projections: Projections,
        width: usize,
        output: NamedLinear,
        heads: usize,
    ) -> Result<Self> {
        check::at_least_one("num_heads", heads)?;
        let divides = width.is_multiple_of(heads);
        check::whole(divides, "num_heads", heads, "a divisor of the width")?;
        let (fits, weight) = (output.sizes()?.1 == width, output.linear.weight());
        check::shape(fits, "output", weight, "a weight of [embed_dim, width]")?;
        Ok(Self {
            projections,
            output,
            heads,
            dropout: None,
        })
    }

    /// With dropout of the probabilities in training.
    #[must_use]
    pub fn with_dropout(mut self, dropout: Dropout) -> Self {
        self.dropout = Some(dropout);
        self
    }

    /// Number of heads.
    #[must_use]
    pub fn num_heads(&self) -> usize {
        self.heads
    }

    /// Self-attention with masks: `[batch, length, embed_dim]` → `[batch, length, embed_dim]`. The layer's own dropout is
    /// applied in training if the options have none.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) and [`Error::DType`](dml_core::Error::DType) for an input or masks that do
    /// not fit, [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't do it.
    pub fn attend(
        &self,
        input: &Tensor,
        options: &AttentionOptions<'_>,
        train: bool,
    ) -> Result<Tensor> {
        let Projections::Packed(qkv) = &self.projections else {
            return self.attend_to([input; 3], options, train);
        };
        let qkv = qkv.forward_t(three_dimensional(input)?, train)?;
        let options = self.with_own_dropout(options, train);
        let heads = multi_head_attention_packed(&qkv, self.heads, &options)?;
        self.output.forward_t(&heads, train)
    }

    /// Attention of queries to keys and values of other inputs: `[batch, queries, embed_dim]`, `[batch, keys, …]` and
    /// `[batch, keys, …]` → `[batch, queries, embed_dim]`.
    ///
    /// # Errors
    /// As [`attend`](Self::attend).
    pub fn attend_to(
        &self,
        [query, key, value]: [&Tensor; 3],
        options: &AttentionOptions<'_>,
        train: bool,
    ) -> Result<Tensor> {
        let project = |part: usize, input: &Tensor| {
            let input = three_dimensional(input)?;
            match &self.projections {
                Projections::Separate(layers) => layers[part].forward_t(input, train),
                Projections::Packed(all) => {
                    let width = all.sizes()?.0 / 3;
                    all.linear.outputs(input, train, part * width, width)
                }
            }
        };
        let (query, key, value) = (project(0, query)?, project(1, key)?, project(2, value)?);
        let options = self.with_own_dropout(options, train);
        let heads = multi_head_attention(&query, &key, &value, self.heads, &options)?;
        self.output.forward_t(&heads, train)
    }

    /// As [`Layer::export`], with numbers that are added to the scores: a value that can be broadcast to
    /// `[batch, heads, queries, keys]`.
    ///
    /// # Errors
    /// As [`Layer::export`].
    pub fn export_masked(
        &self,
        graph: &mut Graph,
        input: &GraphValue,
        added: Option<&GraphValue>,
    ) -> Result<GraphValue> {
        self.export_attending(graph, [input; 3], added)
    }

    /// As [`export_masked`](Self::export_masked), for [`attend_to`](Self::attend_to): attention of queries to keys and values
    /// of other inputs.
    ///
    /// # Errors
    /// As [`Layer::export`].
    pub fn export_attending(
        &self,
        graph: &mut Graph,
        inputs: [&GraphValue; 3],
        added: Option<&GraphValue>,
    ) -> Result<GraphValue> {
        let rows = self.output.sizes()?.1;
        let (heads, width) = (self.heads as i64, (rows / self.heads) as i64);
        let [query, key, value] = match &self.projections {
            Projections::Separate(layers) => {
                let [query, key, value] = layers.as_ref();
                [
                    query.export(graph, inputs[0])?,
                    key.export(graph, inputs[1])?,
                    value.export(graph, inputs[2])?,
                ]
            }
            Projections::Packed(qkv) => {
                // One product for each different input.
                let mut products: Vec<(&GraphValue, GraphValue)> = Vec::with_capacity(3);
                for input in inputs {
                    if products.iter().all(|(own, _)| *own != input) {
                        products.push((input, qkv.export(graph, input)?));
                    }
                }
                let axis = graph.integers(&[2])?;
                let mut part = |number: usize| -> Result<GraphValue> {
                    let all = products.iter().find(|(own, _)| *own == inputs[number]);
                    let all = all.map_or(inputs[number], |(_, all)| all);
                    let bounds = [number, number + 1].map(|part| [part as i64 * heads * width]);
                    let [start, end] = [graph.integers(&bounds[0])?, graph.integers(&bounds[1])?];
                    Ok(graph.node("Slice", &[all, &start, &end, &axis]))
                };
                [part(0)?, part(1)?, part(2)?]
            }
        };
        // [batch, length, heads, width]; 0 keeps a size.
        let shape = graph.integers(&[0, 0, heads, width])?;
        let mut transposed = |x: &GraphValue, order: [i64; 4]| {
            let apart = graph.node("Reshape", &[x, &shape]);
            graph.node_with("Transpose", &[&apart], &[("perm", order.into())])
        };
        let query = transposed(&query, [0, 2, 1, 3]);
        let key = transposed(&key, [0, 2, 3, 1]);
        let value = transposed(&value, [0, 2, 1, 3]);
        let sums = export_attention(graph, [&query, &key, &value], [heads, width], added)?;
        self.output.export(graph, &sums)
    }

    fn with_own_dropout<'a>(
        &'a self,
        options: &AttentionOptions<'a>,
        train: bool,
    ) -> AttentionOptions<'a> {
        let own = self.dropout.as_ref().filter(|_| train);
        AttentionOptions {
            dropout: options.dropout.or(own),
            ..*options
        }
    }
}

fn three_dimensional(input: &Tensor) -> Result<&Tensor> {
    let expected = "[batch, length, embed_dim]";
    check::shape(input.rank() == 3, "input", input, expected)?;
    Ok(input)
}

impl Layer for MultiHeadAttention {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        self.attend(input, &AttentionOptions::default(), train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        match &self.projections {
            Projections::Packed(qkv) => qkv.add_to(&mut parameters),
            Projections::Separate(layers) => {
                layers
                    .iter()
                    .for_each(|named| named.add_to(&mut parameters));
            }
        }
        self.output.add_to(&mut parameters);
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.dropout.iter().flat_map(Layer::seeds).collect()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        self.export_masked(graph, input, None)
    }
}

#[cfg(test)]
mod tests;
