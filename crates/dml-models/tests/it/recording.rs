//! What every network records for a backward pass: nothing without gradients, nothing for frozen parameters, and less with
//! activation checkpoints.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use dml_core::{FrozenVariables, SeedSequence, no_grad, with_frozen};
use dml_models::text::{
    BertConfig, ModernBertConfig, MpnetConfig, Pooling, TextConfig, TextEncoder,
};
use dml_models::{
    Backbone, ConvNeXt, ConvNeXtConfig, EfficientNet, EfficientNetConfig, MobileNetV2,
    MobileNetV2Config, Model, ResNet, ResNetConfig, VisionTransformer, VisionTransformerConfig,
};
use dml_nn::{Layer, Lora, LoraConfig, Parameters};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::formula::fill;

/// Small networks of every kind of block, with dropout and stochastic depth where they have any, and an input.
fn networks() -> Vec<(String, Box<dyn Backbone>, Tensor)> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let pixels: Vec<f32> = (0..2 * 3 * 56 * 56)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let images = Tensor::from_vec(pixels, (2, 3, 56, 56), device).unwrap();
    let mut networks: Vec<(String, Box<dyn Backbone>, Tensor)> = Vec::new();
    let mut add = |name: &str, network: Box<dyn Backbone>, input: &Tensor| {
        fill(&*network);
        networks.push((name.to_owned(), network, input.clone()));
    };
    let mut resnet = ResNetConfig::resnet50();
    resnet.layers = [1, 2, 1, 1];
    let resnet = ResNet::new(resnet, rng, dtype, device).unwrap();
    add("resnet", Box::new(resnet), &images);
    let mut mobile = MobileNetV2Config::default();
    mobile.width_mult = 0.5;
    let mobile = MobileNetV2::new(mobile, rng, dtype, device).unwrap();
    add("mobilenet", Box::new(mobile), &images);
    let mut efficient = EfficientNetConfig::b0();
    efficient.width_mult = 0.5;
    let efficient = EfficientNet::new(efficient, rng, dtype, device).unwrap();
    add("efficientnet", Box::new(efficient), &images);
    let mut convnext = ConvNeXtConfig::tiny();
    convnext.stages = vec![[24, 1], [32, 2]];
    let convnext = ConvNeXt::new(convnext, rng, dtype, device).unwrap();
    add("convnext", Box::new(convnext), &images);
    let mut vision = VisionTransformerConfig::dinov2_with_registers_small();
    (vision.hidden_size, vision.num_hidden_layers) = (24, 3);
    (vision.intermediate_size, vision.num_attention_heads) = (48, 3);
    vision.drop_path_rate = 0.3;
    let vision = VisionTransformer::new(vision, rng, dtype, device).unwrap();
    add("vision", Box::new(vision), &images);
    // The last token of each text is padding.
    let ids = (0..8 * 8).map(|i| if i % 8 == 7 { 1 } else { 2 + i * 5 % 7 });
    let ids = Tensor::from_vec(ids.collect::<Vec<u32>>(), (8, 8), device).unwrap();
    let mut bert = BertConfig::default();
    (bert.vocab_size, bert.hidden_size, bert.num_hidden_layers) = (10, 24, 2);
    (bert.intermediate_size, bert.num_attention_heads) = (32, 3);
    bert.pad_token_id = 1;
    let mut mpnet = MpnetConfig::default();
    (mpnet.vocab_size, mpnet.hidden_size, mpnet.num_hidden_layers) = (10, 24, 2);
    (mpnet.intermediate_size, mpnet.num_attention_heads) = (32, 3);
    let mut modern = ModernBertConfig::default();
    (modern.vocab_size, modern.hidden_size) = (10, 24);
    (modern.num_hidden_layers, modern.num_attention_heads) = (4, 3);
    (modern.intermediate_size, modern.local_attention) = (32, 4);
    (modern.pad_token_id, modern.mlp_dropout) = (1, 0.2);
    for (name, config) in [
        ("bert", TextConfig::Bert(bert)),
        ("mpnet", TextConfig::Mpnet(mpnet)),
        ("modernbert", TextConfig::ModernBert(modern)),
    ] {
        let network = config.build(rng, dtype, device).unwrap();
        let encoder = TextEncoder::new(network, Pooling::Mean);
        add(name, Box::new(encoder), &ids);
    }
    networks
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

fn backward(output: &Tensor) -> GradStore {
    let weights: Vec<f32> = (0..output.elem_count()).map(|i| (i as f32).cos()).collect();
    let weights = Tensor::from_vec(weights, output.shape(), &Device::Cpu).unwrap();
    let loss = (output * weights).unwrap().sum_all().unwrap();
    loss.backward().unwrap()
}

/// Panics unless both have the same bits. In `MPNet` a bias of the scores that learns takes attention to its composite form.
fn assert_same(name: &str, a: &Tensor, b: &Tensor) {
    if name != "mpnet" {
        assert_eq!(bits(a), bits(b), "{name}");
        return;
    }
    let largest = |x: &Tensor| x.abs()?.max_all()?.to_scalar::<f32>();
    let difference = largest(&(a - b).unwrap()).unwrap();
    assert!(
        // The gradient of a bias of the keys is zero but for rounding.
        difference <= 1e-4 * largest(b).unwrap() + 1e-6,
        "{name}: {difference}"
    );
}

/// Sets random sequences back to their beginning.
fn restart(network: &dyn Backbone) {
    for seeds in network.seeds() {
        seeds.resume(0);
    }
}

#[test]
fn without_gradients_outputs_are_constants_with_the_same_bits() {
    for (name, network, input) in networks() {
        for train in [false, true] {
            network.freeze_statistics();
            restart(&*network);
            let recorded = network.forward_t(&input, train).unwrap();
            restart(&*network);
            let constant = no_grad(|| network.forward_t(&input, train)).unwrap();
            assert!(recorded.track_op() && !constant.track_op(), "{name}");
            assert_same(&name, &recorded, &constant);
        }
    }
}

#[test]
fn activations_that_are_computed_again_give_the_same_bits() {
    for (name, network, input) in networks() {
        let run = |checkpoint: bool| {
            network.set_activation_checkpoint(checkpoint).unwrap();
            restart(&*network);
            let buffers: Vec<(Var, Tensor)> = network
                .buffers()
                .into_iter()
                .map(|(_, var)| {
                    let copy = var.as_detached_tensor().copy().unwrap();
                    (var, copy)
                })
                .collect();
            let output = network.forward_t(&input, true).unwrap();
            let gradients = backward(&output);
            let calls: Vec<u64> = network.seeds().iter().map(SeedSequence::calls).collect();
            let mut all = vec![output];
            for (name, var) in network.parameters() {
                let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{name}"));
                all.push(gradient.clone());
            }
            for ((_, var), (_, before)) in network.buffers().into_iter().zip(&buffers) {
                all.push(var.as_detached_tensor().copy().unwrap());
                var.set(before).unwrap();
            }
            (all, calls)
        };
        let (plain, checkpointed) = (run(false), run(true));
        assert_eq!(plain.1, checkpointed.1, "{name}");
        for (plain, checkpointed) in plain.0.iter().zip(&checkpointed.0) {
            assert_same(&name, plain, checkpointed);
        }
    }
}

#[test]
fn no_gradient_is_computed_for_frozen_blocks() {
    for (name, network, input) in networks() {
        let (blocks, parameters) = (network.blocks(), network.parameters());
        let middle = blocks.len() / 2;
        let vars = |blocks: &[Vec<String>], parameters: &Parameters| -> Vec<Var> {
            let names = blocks.iter().flatten();
            names
                .map(|name| parameters.get(name).unwrap().clone())
                .collect()
        };
        let (below, above) = blocks.split_at(middle);
        let (below, above) = (vars(below, &parameters), vars(above, &parameters));
        restart(&*network);
        let whole = backward(&network.forward_t(&input, true).unwrap());
        let check = |frozen: &[Var], learning: &[Var]| {
            let frozen_set: FrozenVariables = frozen.iter().collect();
            for checkpoint in [false, true] {
                network.set_activation_checkpoint(checkpoint).unwrap();
                restart(&*network);
                let output = with_frozen(&frozen_set, || network.forward_t(&input, true)).unwrap();
                let gradients = backward(&output);
                assert!(
                    frozen.iter().all(|var| gradients.get(var).is_none()),
                    "{name}"
                );
                for var in learning {
                    let (own, whole) = (gradients.get(var).unwrap(), whole.get(var).unwrap());
                    assert_same(&name, own, whole);
                }
            }
        };
        // The pass ends at the lowest block that learns, or goes through frozen ones.
        check(&below, &above);
        check(&above, &below);
        let all: FrozenVariables = below.iter().chain(&above).collect();
        let constant = with_frozen(&all, || network.forward_t(&input, true)).unwrap();
        assert!(!constant.track_op(), "{name}");
    }
}

#[test]
fn adapters_of_vision_transformers_learn_alone() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = Model::VitTinyPatch16
        .build(rng, DType::F32, &Device::Cpu)
        .unwrap();
    let own = network.parameters();
    let config = LoraConfig {
        target_modules: vec!["blocks.1?.attn.qkv".to_owned()],
        ..LoraConfig::default()
    };
    let lora = Lora::new(network, config, rng).unwrap();
    let images = Tensor::ones((1, 3, 32, 32), DType::F32, &Device::Cpu).unwrap();
    let output = Layer::forward_t(&lora, &images, true).unwrap();
    let gradients = backward(&output);
    let adapters = lora.parameters();
    assert_eq!(adapters.len(), 4);
    assert!(adapters.iter().all(|(_, var)| gradients.get(var).is_some()));
    assert!(own.iter().all(|(_, var)| gradients.get(var).is_none()));
}
