//! Attention, linear layers and optimisers, on the shapes of ViT-S/16 (16 pictures of 224 px) and `MiniLM` (64 sentences of
//! 64 tokens).

use candle_core::{DType, Device, Tensor, Var};
use dml_core::Result;
use dml_nn::attention::{AttentionOptions, multi_head_attention, multi_head_attention_packed};
use dml_nn::{AdamW, AdamWConfig, Layer, Linear, LinearConfig, Optimizer, Sgd, SgdConfig};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Row;

fn random(shape: &[usize]) -> Result<Tensor> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn linear(batch: usize, tokens: usize, inputs: usize, outputs: usize) -> Result<Row> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let layer = Linear::new(
        LinearConfig::new(inputs, outputs),
        rng,
        DType::F32,
        &Device::Cpu,
    )?;
    let x = Var::from_tensor(&random(&[batch, tokens, inputs])?)?;
    let name = format!("linear {batch}x{tokens} {inputs}->{outputs}");
    Ok(Row::of_layer(name, x, layer))
}

/// Joined queries, keys and values of all heads.
fn attention(batch: usize, tokens: usize, heads: usize, width: usize, packed: bool) -> Result<Row> {
    let options = AttentionOptions::default;
    let name = format!("attention {batch}x{tokens} {heads}x{width}");
    if packed {
        let x = Var::from_tensor(&random(&[batch, tokens, 3 * heads * width])?)?;
        let forward = move |x: &Tensor| multi_head_attention_packed(x, heads, &options());
        return Ok(Row::of_function(name + " packed", vec![x], move |x| {
            forward(&x[0])
        }));
    }
    let x = random(&[batch, tokens, heads * width])?;
    let inputs = (0..3)
        .map(|_| Var::from_tensor(&x))
        .collect::<candle_core::Result<_>>()?;
    Ok(Row::of_function(name, inputs, move |x| {
        multi_head_attention(&x[0], &x[1], &x[2], heads, &options())
    }))
}

/// The parameters of ViT-S: 22 million numbers in 150 tensors.
fn parameters() -> Result<Vec<(String, Var)>> {
    let mut shapes = vec![vec![1000, 384], vec![384, 768], vec![197, 384]];
    shapes.extend([vec![384], vec![384], vec![1000]]);
    for _ in 0..12 {
        for (rows, columns) in [(1152, 384), (384, 384), (1536, 384), (384, 1536)] {
            shapes.push(vec![rows, columns]);
            shapes.push(vec![rows]);
        }
        shapes.extend([vec![384], vec![384], vec![384], vec![384]]);
    }
    let var =
        |(i, shape): (usize, Vec<usize>)| Ok((format!("{i}"), Var::from_tensor(&random(&shape)?)?));
    shapes.into_iter().enumerate().map(var).collect()
}

fn optimizer(name: &str, mut optimizer: impl Optimizer + 'static, vars: &[Var]) -> Result<Row> {
    let mut loss = Tensor::new(0f32, &Device::Cpu)?;
    for var in vars {
        loss = (loss + (var.sqr()? * 0.01)?.sum_all()?)?;
    }
    let gradients = loss.backward()?;
    Ok(Row {
        name: name.to_owned(),
        forward: Box::new(move || optimizer.step(&gradients)),
        both: None,
    })
}

pub(super) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (batch, tokens, width) in [(16, 197, 384), (64, 64, 384)] {
        if tokens == 197 {
            rows.push(linear(batch, tokens, width, 3 * width)?);
        }
        rows.push(linear(batch, tokens, width, width)?);
        rows.push(linear(batch, tokens, width, 4 * width)?);
        rows.push(linear(batch, tokens, 4 * width, width)?);
    }
    rows.push(attention(16, 197, 6, 64, true)?);
    rows.push(attention(64, 64, 12, 32, false)?);
    rows.push(attention(2, 1024, 6, 64, true)?);
    let named = parameters()?;
    let vars: Vec<Var> = named.iter().map(|(_, var)| var.clone()).collect();
    let adam_w = AdamW::new(named.clone(), AdamWConfig::default())?;
    rows.push(optimizer("AdamW 22M", adam_w, &vars)?);
    let momentum = SgdConfig {
        momentum: 0.9,
        ..SgdConfig::default()
    };
    rows.push(optimizer(
        "SGD with momentum 22M",
        Sgd::new(named, momentum)?,
        &vars,
    )?);
    Ok(rows)
}
