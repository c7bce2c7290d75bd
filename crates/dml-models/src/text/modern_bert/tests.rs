use candle_core::DType;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::text::{TextConfig, TextTransformer};

fn small() -> ModernBertConfig {
    ModernBertConfig {
        vocab_size: 20,
        hidden_size: 8,
        intermediate_size: 6,
        num_hidden_layers: 3,
        num_attention_heads: 2,
        max_position_embeddings: 12,
        initializer_range: 0.5,
        pad_token_id: 0,
        local_attention: 2,
        ..ModernBertConfig::default()
    }
}

fn build(config: ModernBertConfig) -> Result<TextTransformer> {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    TextConfig::ModernBert(config).build(rng, DType::F64, &Device::Cpu)
}

fn states(network: &TextTransformer, ids: &[u32]) -> Result<Vec<Vec<f64>>> {
    let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
    Ok(network.forward(&ids)?.get(0)?.to_vec2::<f64>()?)
}

#[test]
fn sliding_attention_sees_its_neighbours() -> Result<()> {
    let config = ModernBertConfig {
        layer_types: Some(vec![ModernBertLayerType::SlidingAttention; 3]),
        ..small()
    };
    let network = build(config)?;
    // Three layers of distance 1: the last token changes the three before it.
    let one = states(&network, &[4, 5, 6, 7, 8, 9])?;
    let other = states(&network, &[4, 5, 6, 7, 8, 10])?;
    for (i, (one, other)) in one.iter().zip(&other).enumerate() {
        assert_eq!(one == other, i < 2, "{i}");
    }
    let full = build(ModernBertConfig {
        global_attn_every_n_layers: 1,
        ..small()
    })?;
    assert_ne!(states(&full, &[4, 5, 6])?[0], states(&full, &[4, 5, 7])?[0]);
    Ok(())
}

#[test]
fn padding_changes_nothing() -> Result<()> {
    let network = build(small())?;
    let alone = states(&network, &[4, 5, 6, 7])?;
    let padded = states(&network, &[4, 5, 6, 7, 0, 0, 0, 0])?;
    for (one, other) in alone.iter().flatten().zip(padded.iter().flatten()) {
        assert!((one - other).abs() < 1e-10, "{one} {other}");
    }
    Ok(())
}

#[test]
fn parameters_have_upstreams_names() -> Result<()> {
    let network = build(small())?;
    let names: Vec<String> = network
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), 2 + 5 + 6 + 6 + 1);
    for name in [
        "embeddings.tok_embeddings.weight",
        "embeddings.norm.weight",
        "layers.0.attn.Wqkv.weight",
        "layers.1.attn_norm.weight",
        "layers.2.mlp.Wo.weight",
        "final_norm.weight",
    ] {
        assert!(names.iter().any(|own| own == name), "{name}");
    }
    assert!(!names.iter().any(|own| own == "layers.0.attn_norm.weight"));
    Ok(())
}

#[test]
fn old_and_new_fields_of_rotary_positions_are_read() {
    let read = |fields: &str| -> [f64; 2] {
        let text = format!(r#"{{"model_type": "modernbert"{fields}}}"#);
        let TextConfig::ModernBert(config) = TextConfig::from_json(&text).unwrap() else {
            unreachable!("the model type is modernbert");
        };
        [
            ModernBertLayerType::FullAttention,
            ModernBertLayerType::SlidingAttention,
        ]
        .map(|kind| config.rope_theta(kind).unwrap())
    };
    assert_eq!(read(""), [160_000.0, 10_000.0]);
    assert_eq!(
        read(r#", "global_rope_theta": 5.0, "local_rope_theta": null"#),
        [5.0, 10_000.0]
    );
    let new =
        r#", "rope_parameters": {"full_attention": {"rope_theta": 7.0, "rope_type": "default"}}"#;
    assert_eq!(read(new), [7.0, 10_000.0]);
}

#[test]
fn impossible_values_are_refused() {
    let said = |change: fn(&mut ModernBertConfig)| {
        let mut config = small();
        change(&mut config);
        build(config).unwrap_err().to_string()
    };
    assert!(said(|c| c.num_attention_heads = 3).starts_with("num_attention_heads"));
    assert!(said(|c| c.layer_types = Some(Vec::new())).starts_with("layer_types"));
    assert!(said(|c| c.global_attn_every_n_layers = 0).starts_with("global_attn_every_n_layers"));
    assert!(said(|c| c.rope_scaling = Some(1.into())).contains("rope_scaling"));
    assert!(said(|c| c.pad_token_id = 20).starts_with("pad_token_id"));
    assert!(said(|c| c.mlp_dropout = 1.0).starts_with("p:"));
}
