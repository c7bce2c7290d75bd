//! Layers of dml-nn that no backbone has.

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, Result};
use dml_nn::{
    Activation, AvgPool2d, AvgPool2dConfig, Embedding, EmbeddingConfig, FeedForward, Flatten,
    GeluForm, Gem, GemConfig, Graph, GroupNorm, GroupNormConfig, Hardsigmoid, Layer, LayerNorm,
    LayerNormConfig, Linear, LinearConfig, MaxPool2d, MaxPool2dConfig, MultiHeadAttention,
    MultiHeadAttentionConfig, RmsNorm, RmsNormConfig, Sequential, Sigmoid,
};
use dml_onnx::{OnnxConfig, OnnxError, to_bytes};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::onnxruntime::{check, fill, numbers};

#[test]
fn generalised_mean_pooling() {
    let pool = Gem::new(GemConfig::default(), DType::F32, &Device::Cpu).unwrap();
    let network = Sequential::default()
        .with("gem", pool)
        .with("flatten", Flatten);
    check(
        "gem",
        &network,
        &OnnxConfig::images(),
        &[numbers(&[2, 3, 5, 4])],
    );
}

#[test]
fn average_pooling() {
    for (name, config) in [
        ("side by side", AvgPool2dConfig::new([2, 3])),
        (
            "padded",
            AvgPool2dConfig {
                stride: Some([2, 1]),
                padding: [1, 1],
                ..AvgPool2dConfig::new([3, 2])
            },
        ),
        (
            "padding left out",
            AvgPool2dConfig {
                stride: Some([1, 2]),
                padding: [1, 1],
                count_include_pad: false,
                ..AvgPool2dConfig::new([2, 3])
            },
        ),
    ] {
        let network = Sequential::default()
            .with("pool", AvgPool2d::new(config).unwrap())
            .with("flatten", Flatten);
        let inputs = [[2, 3, 6, 7], [1, 3, 6, 7]].map(|shape| numbers(&shape));
        check(name, &network, &OnnxConfig::images(), &inputs);
    }
}

#[test]
fn group_normalisation_of_any_rank() {
    for affine in [true, false] {
        let mut config = GroupNormConfig::new(2, 6);
        (config.eps, config.affine) = (1e-3, affine);
        let norm = GroupNorm::new(config, DType::F32, &Device::Cpu).unwrap();
        let network = Sequential::default()
            .with("norm", norm)
            .with("flatten", Flatten);
        fill(&network);
        for shape in [&[3, 6, 2, 5][..], &[2, 6, 4], &[3, 6]] {
            let name = format!("group norm of {shape:?}");
            check(&name, &network, &OnnxConfig::default(), &[numbers(shape)]);
        }
    }
}

#[test]
fn root_mean_square_normalisation() {
    for (eps, elementwise_affine) in [(None, true), (Some(1e-2), true), (None, false)] {
        let config = RmsNormConfig {
            eps,
            elementwise_affine,
            ..RmsNormConfig::new(5)
        };
        let norm = RmsNorm::new(config, DType::F32, &Device::Cpu).unwrap();
        let network = Sequential::default()
            .with("norm", norm)
            .with("flatten", Flatten);
        fill(&network);
        // Rows of large and of tiny numbers, for which ε counts.
        let rows = numbers(&[3, 2, 5]);
        let inputs = [rows.clone(), (&rows * 1e-3).unwrap()];
        check("rms norm", &network, &OnnxConfig::default(), &inputs);
    }
}

#[test]
fn feed_forward_with_each_activation() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    for activation in [
        Activation::Relu,
        Activation::Silu,
        Activation::Gelu(GeluForm::Erf),
        Activation::Gelu(GeluForm::Tanh),
        Activation::Gelu(GeluForm::Quick),
    ] {
        let mut linear = |inputs, outputs| {
            let config = LinearConfig::new(inputs, outputs);
            Linear::new(config, rng, DType::F32, &Device::Cpu).unwrap()
        };
        let (first, second) = (linear(4, 9), linear(9, 3));
        let layer = FeedForward::new(("fc1", first), activation, ("fc2", second)).unwrap();
        let network = Sequential::default()
            .with("mlp", layer)
            .with("flatten", Flatten);
        fill(&network);
        let name = format!("{activation:?}");
        check(
            &name,
            &network,
            &OnnxConfig::default(),
            &[numbers(&[2, 5, 4])],
        );
    }
}

#[test]
fn parameters_of_a_feed_forward_part_keep_their_names() -> Result<()> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut linear = || Linear::new(LinearConfig::new(3, 3), rng, DType::F32, &Device::Cpu);
    let layer = FeedForward::new(("fc1", linear()?), Activation::Relu, ("fc2", linear()?))?;
    let network = Sequential::default().with("mlp", layer);
    let mut graph = Graph::default();
    let input = graph.input("x");
    network.export(&mut graph, &input)?;
    let names = graph.constants().iter().map(|(value, _)| value.name());
    let names: Vec<&str> = names.collect();
    let parameters: Vec<String> = network
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, parameters);
    Ok(())
}

#[test]
fn attention_with_one_projection() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let config = MultiHeadAttentionConfig::new(12, 3);
    let attention = MultiHeadAttention::new(config, rng, DType::F32, &Device::Cpu).unwrap();
    let mut plain = LayerNormConfig::new([5, 12]);
    plain.elementwise_affine = false;
    let norm = LayerNorm::new(plain, DType::F32, &Device::Cpu).unwrap();
    let network = Sequential::default()
        .with("attention", attention)
        .with("norm", norm)
        .with("flatten", Flatten);
    fill(&network);
    let inputs = [[2, 5, 12], [1, 5, 12]].map(|shape| numbers(&shape));
    check("attention", &network, &OnnxConfig::default(), &inputs);
}

#[test]
fn embeddings_and_activations() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let table = Embedding::new(EmbeddingConfig::new(6, 4), rng, dtype, device).unwrap();
    let head = LinearConfig {
        bias: false,
        ..LinearConfig::new(12, 3)
    };
    let network = Sequential::default()
        .with("table", table)
        .with("hard", Hardsigmoid)
        .with("flatten", Flatten)
        .with("head", Linear::new(head, rng, dtype, device).unwrap())
        .with("soft", Sigmoid);
    let ids = Tensor::new(&[[5u32, 0, 1], [2, 2, 2]], device).unwrap();
    check("table", &network, &OnnxConfig::default(), &[ids]);
}

#[test]
fn a_shared_layer_has_one_weight() -> Result<()> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let norm = LayerNorm::new(LayerNormConfig::new([3]), DType::F32, &Device::Cpu)?;
    let norm = std::sync::Arc::new(norm);
    let head = Linear::new(LinearConfig::new(3, 3), rng, DType::F32, &Device::Cpu)?;
    let network = Sequential::default()
        .with("norm", norm.clone())
        .with("head", head)
        .with("norm", norm);
    let mut graph = Graph::default();
    let input = graph.input("x");
    network.export(&mut graph, &input)?;
    let names = graph.constants().iter().map(|(value, _)| value.name());
    let names: Vec<&str> = names.collect();
    assert_eq!(
        names,
        ["norm.weight", "norm.bias", "head.weight", "head.bias"]
    );
    Ok(())
}

#[test]
fn what_has_no_description_is_refused() -> Result<()> {
    let images = numbers(&[1, 1, 4, 4]);
    let refused = |layer: &dyn Layer| to_bytes(layer, &images, &OnnxConfig::images()).unwrap_err();
    let ceil = MaxPool2dConfig {
        ceil_mode: true,
        ..MaxPool2dConfig::new([2, 2])
    };
    let average = AvgPool2d::new(AvgPool2dConfig {
        ceil_mode: true,
        ..AvgPool2dConfig::new([2, 2])
    })?;
    for (component, layer) in [
        ("MaxPool2d", &MaxPool2d::new(ceil)? as &dyn Layer),
        ("AvgPool2d", &average),
    ] {
        let error = refused(layer);
        let is_named = matches!(&error, OnnxError::Core(Error::Unsupported { component: own, .. })
            if own.ends_with(component));
        assert!(is_named, "{error}");
    }
    Ok(())
}
