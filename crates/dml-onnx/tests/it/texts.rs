//! Text encoders with each pooling.

use candle_core::{DType, Device, Tensor};
use dml_models::text::{
    BertConfig, Dense, DenseActivation, DistilBertConfig, HiddenAct, ModernBertConfig, MpnetConfig,
    Pooling, RobertaConfig, TextConfig, TextEncoder, TextModule,
};
use dml_nn::LinearConfig;
use dml_onnx::OnnxConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::onnxruntime::{check, fill};

const POOLINGS: [Pooling; 6] = [
    Pooling::Mean,
    Pooling::Cls,
    Pooling::Max,
    Pooling::MeanSqrtLenTokens,
    Pooling::WeightedMean,
    Pooling::LastToken,
];

/// Batches of two lengths, with padding at the end, at the beginning and in the middle.
fn ids(pad: u32) -> [Tensor; 2] {
    let first = Tensor::new(&[[5u32, 6, 7, 8, 9], [9, 3, 2, pad, pad]], &Device::Cpu);
    let [a, b, c] = [
        [pad, pad, 4, 5, 6, 7, 8, 9],
        [4, 5, pad, pad, 6, 7, 8, pad],
        [3, pad, pad, pad, pad, pad, pad, pad],
    ];
    [
        first.unwrap(),
        Tensor::new(&[a, b, c], &Device::Cpu).unwrap(),
    ]
}

fn encoder(config: &TextConfig, pooling: Pooling) -> TextEncoder {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = config.build(rng, DType::F32, &Device::Cpu).unwrap();
    TextEncoder::new(network, pooling)
}

fn family(name: &str, config: &TextConfig, pad: u32) {
    for pooling in POOLINGS {
        let encoder = encoder(config, pooling);
        fill(&encoder);
        let name = format!("{name}, {pooling:?}");
        check(&name, &encoder, &OnnxConfig::texts(), &ids(pad));
    }
}

/// The layers of all-MiniLM-L6-v2, with fewer words.
#[test]
fn minilm() {
    let mut config = BertConfig::default();
    (
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
    ) = (100, 384, 6);
    config.intermediate_size = 1536;
    let encoder = encoder(&TextConfig::Bert(config), Pooling::Mean);
    let encoder = encoder.with("2_Normalize", TextModule::Normalize).unwrap();
    fill(&encoder);
    check("minilm", &encoder, &OnnxConfig::texts(), &ids(0));
}

#[test]
fn bert_with_a_dense_module() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let activation = DenseActivation::Tanh;
    let dense = Dense::new(LinearConfig::new(24, 5), activation, rng, dtype, device).unwrap();
    let encoder = encoder(&TextConfig::Bert(bert()), Pooling::Mean);
    let encoder = encoder.with("2_Dense", TextModule::Dense(dense)).unwrap();
    fill(&encoder);
    check("dense", &encoder, &OnnxConfig::texts(), &ids(0));
}

fn bert() -> BertConfig {
    let mut config = BertConfig::default();
    (
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
    ) = (10, 24, 2);
    (config.num_attention_heads, config.intermediate_size) = (3, 20);
    config
}

#[test]
fn bert_with_each_pooling() {
    family("bert", &TextConfig::Bert(bert()), 0);
}

#[test]
fn activations() {
    for act in [
        HiddenAct::GeluNew,
        HiddenAct::QuickGelu,
        HiddenAct::Relu,
        HiddenAct::Silu,
    ] {
        let mut config = bert();
        config.hidden_act = act;
        let encoder = encoder(&TextConfig::Bert(config), Pooling::Mean);
        fill(&encoder);
        check(&format!("{act:?}"), &encoder, &OnnxConfig::texts(), &ids(0));
    }
}

#[test]
fn roberta_with_each_pooling() {
    let mut config = RobertaConfig::default();
    (
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
    ) = (10, 24, 2);
    (config.num_attention_heads, config.intermediate_size) = (3, 20);
    family("roberta", &TextConfig::Roberta(config), 1);
}

#[test]
fn distilbert_with_each_pooling() {
    let mut config = DistilBertConfig::default();
    (config.vocab_size, config.dim, config.n_layers) = (10, 24, 2);
    (config.n_heads, config.hidden_dim) = (3, 20);
    family("distilbert", &TextConfig::DistilBert(config), 0);
}

#[test]
fn mpnet_with_each_pooling() {
    let mut config = MpnetConfig::default();
    (
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
    ) = (10, 24, 2);
    (config.num_attention_heads, config.intermediate_size) = (3, 20);
    family("mpnet", &TextConfig::Mpnet(config), 1);
}

/// The window is shorter than a text, and tokens of padding see no other token.
#[test]
fn modernbert_with_each_pooling() {
    let mut config = ModernBertConfig::default();
    (
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
    ) = (10, 24, 4);
    (config.num_attention_heads, config.intermediate_size) = (3, 20);
    (config.local_attention, config.pad_token_id) = (4, 1);
    config.max_position_embeddings = 16;
    family("modernbert", &TextConfig::ModernBert(config), 1);
}
