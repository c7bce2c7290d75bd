//! Low-rank adapters in a text encoder.

use candle_core::{DType, Device, Tensor};
use dml_models::text::{BertConfig, Pooling, TextConfig, TextEncoder};
use dml_nn::{Layer, Lora, LoraConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn encoder() -> TextEncoder {
    let mut config = BertConfig::default();
    (
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
    ) = (10, 24, 2);
    (config.intermediate_size, config.num_attention_heads) = (32, 3);
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let network = TextConfig::Bert(config).build(rng, DType::F32, &Device::Cpu);
    TextEncoder::new(network.unwrap(), Pooling::Mean)
}

#[test]
fn an_encoder_learns_by_adapters_and_takes_them_into_its_weights() {
    let config = LoraConfig {
        rank: 2,
        target_modules: ["*.query", "*.value", "*.intermediate.dense"]
            .map(str::to_owned)
            .to_vec(),
        ..LoraConfig::default()
    };
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    let encoder_with = Lora::new(encoder(), config, rng).unwrap();
    let parameters = encoder_with.parameters();
    assert_eq!(parameters.len(), 2 * 3 * 2);
    let name = "base_model.model.encoder.layer.1.attention.self.query.lora_A.weight";
    assert_eq!(parameters.get(name).unwrap().dims(), [2, 24]);
    // 20 texts of 3 tokens are enough rows for the kernels.
    let ids = Tensor::new(&[[2u32, 7, 3]; 20], &Device::Cpu).unwrap();
    let before = encoder().forward(&ids).unwrap();
    for (_, var) in parameters.iter() {
        // Equal numbers would add up to 0 with a row that is normalised.
        let numbers = (0..var.elem_count()).map(|i| 0.1 * (0.7 * i as f32).sin());
        let numbers = Tensor::from_iter(numbers, &Device::Cpu).unwrap();
        var.set(&numbers.reshape(var.shape()).unwrap()).unwrap();
    }
    let adapted = encoder_with.forward(&ids).unwrap();
    let store = adapted
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    assert!(parameters.iter().all(|(_, var)| store.get(var).is_some()));
    let difference = |a: &Tensor, b: &Tensor| {
        let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        difference.to_scalar::<f32>().unwrap()
    };
    assert!(difference(&before, &adapted) > 0.01);
    let merged = encoder();
    let tensors = encoder_with.merged_parameters().unwrap();
    merged.parameters().assign(&tensors).unwrap();
    assert!(difference(&merged.forward(&ids).unwrap(), &adapted) < 1e-4);
}
