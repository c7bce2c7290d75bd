use candle_core::{DType, Device, Var};
use dml_core::{Error, Trainable};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    Activation, FeedForward, GeluForm, Linear, LinearConfig, MultiHeadAttention,
    MultiHeadAttentionConfig, Sequential,
};

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(3)
}

fn config(rank: usize, targets: &[&str]) -> LoraConfig {
    LoraConfig {
        rank,
        alpha: 3.0,
        target_modules: targets.iter().map(|own| (*own).to_owned()).collect(),
        ..LoraConfig::default()
    }
}

fn linear(dtype: DType) -> Linear {
    Linear::new(LinearConfig::new(5, 4), &mut rng(), dtype, &Device::Cpu).unwrap()
}

/// Numbers between −1 and 1 that repeat in no dimension.
fn numbers(shape: &[usize], dtype: DType) -> Tensor {
    let count = shape.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|i| ((i * 37 % 101) as f64 - 50.0) / 50.0)
        .collect();
    let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    tensor.to_dtype(dtype).unwrap()
}

/// Sets B, which is 0 in the beginning, to other numbers.
fn fill<L: Layer>(lora: &Lora<L>) {
    for (name, var) in lora
        .parameters()
        .iter()
        .filter(|(name, _)| name.contains("lora_B"))
    {
        var.set(&numbers(var.dims(), var.dtype()))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn largest(a: &Tensor, b: &Tensor) -> f64 {
    let difference = (a.to_dtype(DType::F64).unwrap() - b.to_dtype(DType::F64).unwrap()).unwrap();
    difference
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar()
        .unwrap()
}

#[test]
fn values_and_gradients_by_hand() -> Result<()> {
    let weight = Var::new(&[[1f64, 2.]], &Device::Cpu)?;
    let bias = Var::new(&[10f64], &Device::Cpu)?;
    let linear = Linear::from_parameters(weight.clone(), Some(bias.clone()))?;
    let lora = Lora::new(linear, config(1, &["*"]), &mut rng())?;
    let x = Var::new(&[[3f64, 4.], [5., 6.]], &Device::Cpu)?;
    // B is 0.
    assert_eq!(lora.forward(&x)?.to_vec2::<f64>()?, [[21.], [27.]]);
    let parameters = lora.parameters();
    let var = |name: &str| parameters.get(&format!("base_model.model.{name}.weight"));
    let (a, b) = (var("lora_A").unwrap(), var("lora_B").unwrap());
    a.set(&Tensor::new(&[[1f64, -1.]], &Device::Cpu)?)?;
    b.set(&Tensor::new(&[[2f64]], &Device::Cpu)?)?;
    // A x = −1 for both rows, and α / r = 3: −6 is added.
    let y = lora.forward(&x)?;
    assert_eq!(y.to_vec2::<f64>()?, [[15.], [21.]]);
    let upstream = Tensor::new(&[[1f64], [10.]], &Device::Cpu)?;
    let store = (y * upstream)?.sum_all()?.backward()?;
    // ∂B = 3 Σ g (A x) = 3 · 11 · (−1); ∂A = 3 B Σ g x = 6 · (53, 64); ∂x = g (W + 3 B A) = g (7, −4).
    assert_eq!(store.get(b).unwrap().to_vec2::<f64>()?, [[-33.]]);
    assert_eq!(store.get(a).unwrap().to_vec2::<f64>()?, [[318., 384.]]);
    assert_eq!(
        store.get(&x).unwrap().to_vec2::<f64>()?,
        [[7., -4.], [70., -40.]]
    );
    assert!(store.get(&weight).is_none() && store.get(&bias).is_none());
    assert_eq!(
        lora.merged_parameters()?["weight"].to_vec2::<f64>()?,
        [[7., -4.]]
    );
    assert_eq!(weight.to_vec2::<f64>()?, [[1., 2.]]);
    Ok(())
}

#[test]
fn a_merged_network_computes_the_same() -> Result<()> {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5), (DType::BF16, 0.1)] {
        // 2 rows take the composite form, 90 the kernel.
        for rows in [1, 2, 90] {
            let layer = linear(dtype);
            let before = layer.weight().as_detached_tensor().copy()?;
            let lora = Lora::new(layer, config(2, &["*"]), &mut rng())?;
            let x = numbers(&[rows, 3, 5], dtype).transpose(0, 1)?;
            let plain = lora.forward(&x)?;
            fill(&lora);
            let adapted = lora.forward(&x)?;
            assert!(largest(&plain, &adapted) > 0.1);
            lora.merge()?;
            lora.merge()?;
            assert!(largest(&lora.forward(&x)?, &adapted) < tolerance);
            let merged = lora.merged_parameters()?;
            assert_eq!(largest(&merged["weight"], lora.layer().weight()), 0.0);
            lora.unmerge()?;
            lora.unmerge()?;
            assert_eq!(largest(lora.layer().weight(), &before), 0.0);
            assert_eq!(largest(&lora.forward(&x)?, &adapted), 0.0);
        }
    }
    Ok(())
}

#[test]
fn gradients_are_central_differences() -> Result<()> {
    for rows in [2, 30] {
        let lora = Lora::new(linear(DType::F64), config(2, &["*"]), &mut rng())?;
        fill(&lora);
        let x = Var::from_tensor(&numbers(&[rows, 5], DType::F64))?;
        let loss =
            |lora: &Lora<Linear>| -> Result<Tensor> { Ok(lora.forward(&x)?.sqr()?.sum_all()?) };
        let store = loss(&lora)?.backward()?;
        let mut leaves: Vec<Var> = lora.parameters().into_iter().map(|(_, var)| var).collect();
        leaves.push(x.clone());
        for leaf in leaves {
            let values = leaf.flatten_all()?.to_vec1::<f64>()?;
            let gradient = store.get(&leaf).unwrap().flatten_all()?.to_vec1::<f64>()?;
            for i in (0..values.len()).step_by(7) {
                let at = |step: f64| -> Result<f64> {
                    let mut moved = values.clone();
                    moved[i] += step;
                    leaf.set(&Tensor::from_vec(moved, leaf.shape(), &Device::Cpu)?)?;
                    Ok(loss(&lora)?.to_scalar::<f64>()?)
                };
                let difference = (at(1e-5)? - at(-1e-5)?) / 2e-5;
                at(0.0)?;
                assert!((difference - gradient[i]).abs() < 1e-6 * (1.0 + difference.abs()));
            }
        }
    }
    Ok(())
}

/// Attention and feed-forward layers under names of BERT, whose fused forms read weights of linear layers themselves.
fn block() -> Sequential {
    let (rng, dtype, device) = (&mut rng(), DType::F32, &Device::Cpu);
    let attention = MultiHeadAttentionConfig::new(6, 2);
    let attention = MultiHeadAttention::new(attention, rng, dtype, device).unwrap();
    let mut linear = |inputs, outputs| {
        Linear::new(LinearConfig::new(inputs, outputs), rng, dtype, device).unwrap()
    };
    let (first, second) = (("up", linear(6, 8)), ("down", linear(8, 6)));
    let activation = Activation::Gelu(GeluForm::Erf);
    Sequential::default().with("attention", attention).with(
        "feed_forward",
        FeedForward::new(first, activation, second).unwrap(),
    )
}

#[test]
fn layers_within_layers_are_selected_by_their_names() -> Result<()> {
    let targets = ["attention.in_proj", "*.down"];
    let lora = Lora::new(block(), config(2, &targets), &mut rng())?;
    let names: Vec<String> = lora
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "attention.in_proj.lora_A",
        "attention.in_proj.lora_B",
        "feed_forward.down.lora_A",
        "feed_forward.down.lora_B",
    ];
    assert_eq!(
        names,
        expected.map(|name| format!("base_model.model.{name}.weight"))
    );
    let x = numbers(&[20, 4, 6], DType::F32);
    let plain = lora.forward(&x)?;
    fill(&lora);
    let adapted = lora.forward(&x)?;
    assert!(largest(&plain, &adapted) > 0.05);
    let merged = lora.merged_parameters()?;
    let other = block();
    other.parameters().assign(&merged).unwrap();
    assert!(largest(&other.forward(&x)?, &adapted) < 1e-4);
    let store = adapted.sqr()?.sum_all()?.backward()?;
    for (name, var) in lora.parameters().iter() {
        assert!(store.get(var).is_some(), "{name}");
    }
    // Neither for adapted layers nor for others.
    for (name, var) in lora.layer().parameters().iter() {
        assert!(store.get(var).is_none(), "{name}");
    }
    Ok(())
}

#[test]
fn dropout_draws_from_its_seed_in_training_alone() -> Result<()> {
    let with = LoraConfig {
        dropout: 0.5,
        ..config(2, &["*"])
    };
    let lora = Lora::new(linear(DType::F32), with.clone(), &mut rng())?;
    fill(&lora);
    let x = numbers(&[4, 5], DType::F32);
    let outside = lora.forward(&x)?;
    assert_eq!(largest(&outside, &lora.forward(&x)?), 0.0);
    let first = Layer::forward_t(&lora, &x, true)?;
    assert!(largest(&outside, &first) > 0.01);
    let seeds = lora.contents().seeds;
    assert_eq!((seeds.len(), seeds[0].calls()), (1, 1));
    seeds[0].resume(0);
    assert_eq!(largest(&Layer::forward_t(&lora, &x, true)?, &first), 0.0);
    // The layer itself gets all of its input: without the addition there is nothing random.
    let zero = Lora::new(linear(DType::F32), with, &mut rng())?;
    assert_eq!(
        largest(&Layer::forward_t(&zero, &x, true)?, &zero.forward(&x)?),
        0.0
    );
    Ok(())
}

#[test]
fn adapters_are_saved_alone() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("adapter_model.safetensors");
    let x = numbers(&[3, 4, 6], DType::F32);
    let lora = Lora::new(block(), config(2, &["*"]), &mut rng())?;
    fill(&lora);
    lora.parameters().save(&path)?;
    let other = Lora::new(
        block(),
        config(2, &["*"]),
        &mut ChaCha8Rng::seed_from_u64(9),
    )?;
    other.parameters().load(&path)?;
    assert_eq!(largest(&lora.forward(&x)?, &other.forward(&x)?), 0.0);
    Ok(())
}

#[test]
fn a_layer_has_one_adapter_at_a_time() -> Result<()> {
    let layer = block();
    let first = Lora::new(&layer, config(1, &["*.up"]), &mut rng())?;
    let second = Lora::new(&layer, config(1, &["*"]), &mut rng());
    assert!(matches!(second, Err(Error::Unsupported { .. })));
    drop(first);
    assert!(Lora::new(&layer, config(1, &["*"]), &mut rng()).is_ok());
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() {
    let attach = |config| {
        Lora::new(block(), config, &mut rng())
            .map(|_| ())
            .unwrap_err()
    };
    let error = attach(config(1, &["*.query"]));
    assert!(
        matches!(&error, Error::NoMatch { pattern, .. } if pattern == "*.query"),
        "{error}"
    );
    assert!(matches!(
        attach(config(0, &["*"])),
        Error::InvalidParameter { .. }
    ));
    for (alpha, dropout) in [(-1.0, 0.0), (f64::NAN, 0.0), (1.0, 1.0)] {
        let own = LoraConfig {
            alpha,
            dropout,
            ..config(1, &["*"])
        };
        assert!(matches!(attach(own), Error::InvalidParameter { .. }));
    }
}
