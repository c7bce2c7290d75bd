//! Linear layers and attention of ViT-S/16 for 16 images of 224 × 224 pixels and of `MiniLM` for 64 sentences of 64 tokens, and
//! steps of optimisers over the parameters of ViT-S.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::Result;
use dml_nn::attention::{AttentionOptions, multi_head_attention_packed};
use dml_nn::{
    Activation, AdamW, AdamWConfig, FeedForward, GeluForm, Layer, Linear, LinearConfig,
    MultiHeadAttention, Optimizer, Sgd, SgdConfig,
};
use rand_chacha::ChaCha8Rng;

use crate::{Row, draw};

/// Network, batch, tokens, heads.
const NETWORKS: [(&str, usize, usize, usize); 2] = [("vit-s", 16, 197, 6), ("minilm", 64, 64, 12)];
const WIDTH: usize = 384;

/// Attention alone, of packed queries, keys and values.
#[derive(Debug)]
struct Packed(usize);

impl Layer for Packed {
    fn forward_t(&self, qkv: &Tensor, _: bool) -> Result<Tensor> {
        multi_head_attention_packed(qkv, self.0, &AttentionOptions::default())
    }
}

pub(crate) fn rows(rng: &mut ChaCha8Rng, dtype: DType, device: &Device) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut linear =
        |inputs, outputs| Linear::new(LinearConfig::new(inputs, outputs), rng, dtype, device);
    for (network, batch, tokens, heads) in NETWORKS {
        for (inputs, outputs) in [
            (WIDTH, 3 * WIDTH),
            (WIDTH, WIDTH),
            (WIDTH, 4 * WIDTH),
            (4 * WIDTH, WIDTH),
        ] {
            let name = format!("{network} linear {inputs}>{outputs}");
            rows.push(Row::new(
                name,
                linear(inputs, outputs)?,
                [batch, tokens, inputs],
            ));
        }
        let name = format!("{network} attention {heads} heads");
        rows.push(Row::new(name, Packed(heads), [batch, tokens, 3 * WIDTH]));
        let (qkv, output) = (linear(WIDTH, 3 * WIDTH)?, linear(WIDTH, WIDTH)?);
        let whole = MultiHeadAttention::packed(("qkv", qkv), ("proj", output), heads)?;
        let name = format!("{network} attention with its layers");
        rows.push(Row::new(name, whole, [batch, tokens, WIDTH]));
        let (first, second) = (linear(WIDTH, 4 * WIDTH)?, linear(4 * WIDTH, WIDTH)?);
        let gelu = Activation::Gelu(GeluForm::Erf);
        let part = FeedForward::new(("fc1", first), gelu, ("fc2", second))?;
        let name = format!("{network} feed-forward");
        rows.push(Row::new(name, part, [batch, tokens, WIDTH]));
    }
    rows.push(Row::new(
        "long attention 6 heads",
        Packed(6),
        [2, 1024, 3 * WIDTH],
    ));
    Ok(rows)
}

/// 22 million numbers in 150 tensors.
fn parameters() -> Result<Vec<(String, Var)>> {
    let mut shapes = vec![
        vec![WIDTH, 768],
        vec![197, WIDTH],
        vec![WIDTH],
        vec![WIDTH],
        vec![1000, WIDTH],
        vec![1000],
    ];
    for _ in 0..12 {
        for (rows, columns) in [(1152, 384), (384, 384), (1536, 384), (384, 1536)] {
            shapes.extend([vec![rows, columns], vec![rows]]);
        }
        shapes.extend((0..4).map(|_| vec![WIDTH]));
    }
    let var =
        |(i, shape): (usize, Vec<usize>)| Ok((format!("{i}"), Var::from_tensor(&draw(&shape)?)?));
    shapes.into_iter().enumerate().map(var).collect()
}

/// A step of an optimiser.
type Step = Box<dyn FnMut() -> Result<()>>;

/// Steps of optimisers by name.
pub(crate) fn steps(device: &Device) -> Result<Vec<(&'static str, Step)>> {
    let named = parameters()?;
    let mut loss = Tensor::new(0f32, device)?;
    for (_, var) in &named {
        loss = (loss + (var.sqr()? * 0.01)?.sum_all()?)?;
    }
    let (gradients, again) = (loss.backward()?, loss.backward()?);
    let mut adam_w = AdamW::new(named.clone(), AdamWConfig::default())?;
    let config = SgdConfig {
        momentum: 0.9,
        ..SgdConfig::default()
    };
    let mut sgd = Sgd::new(named, config)?;
    Ok(vec![
        (
            "vit-s step of AdamW",
            Box::new(move || adam_w.step(&gradients)),
        ),
        (
            "vit-s step of SGD with momentum",
            Box::new(move || sgd.step(&again)),
        ),
    ])
}
