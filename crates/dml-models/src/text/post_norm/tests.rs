use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::text::{BertConfig, MpnetConfig, RobertaConfig, TextConfig, TextTransformer};

fn small() -> BertConfig {
    BertConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 6,
        initializer_range: 0.5,
        ..BertConfig::default()
    }
}

fn build(config: &TextConfig) -> Result<TextTransformer> {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    config.build(rng, DType::F64, &Device::Cpu)
}

#[test]
fn classes_of_distances() {
    // Upstream's, for keys before and after the query.
    let classes = |distances: &[usize]| -> Vec<u32> {
        distances
            .iter()
            .map(|distance| bucket(*distance, 0))
            .collect()
    };
    assert_eq!(
        classes(&[0, 1, 7, 8, 11, 12, 15, 16]),
        [0, 1, 7, 8, 8, 9, 9, 10]
    );
    assert_eq!(classes(&[91, 127, 128, 1000]), [15, 15, 15, 15]);
    assert_eq!((bucket(0, 1), bucket(0, 9), bucket(3, 1003)), (17, 24, 31));
}

#[test]
fn positions_count_the_tokens_that_are_no_padding() -> Result<()> {
    let ids = Tensor::new(&[[5u32, 1, 7, 1], [9, 9, 9, 9]], &Device::Cpu)?;
    let numbers = positions_after(1, &Padding::new(&ids, 1)?);
    assert_eq!(numbers, [2, 1, 3, 1, 2, 3, 4, 5]);
    Ok(())
}

#[test]
fn padding_changes_nothing() -> Result<()> {
    let mpnet = MpnetConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 9,
        ..MpnetConfig::default()
    };
    let roberta = RobertaConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 9,
        ..RobertaConfig::default()
    };
    for config in [
        TextConfig::Bert(small()),
        TextConfig::Mpnet(mpnet),
        TextConfig::Roberta(roberta),
    ] {
        let network = build(&config)?;
        let pad = network.pad_token_id();
        let ids = Tensor::new(&[[4u32, 5, 6]], &Device::Cpu)?;
        let padded = Tensor::new(&[[4u32, 5, 6, pad, pad]], &Device::Cpu)?;
        let alone = network.forward(&ids)?;
        let beside = network.forward(&padded)?.narrow(1, 0, 3)?;
        let gap = (alone - beside)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert!(gap < 1e-10, "{gap}");
    }
    Ok(())
}

#[test]
fn dropout_follows_the_seed_and_is_off_in_evaluation() -> Result<()> {
    let ids = Tensor::new(&[[4u32, 5, 6]], &Device::Cpu)?;
    let network = build(&TextConfig::Bert(small()))?;
    // Embeddings, and three in each layer.
    assert_eq!(network.seeds().len(), 7);
    let flat = |x: Tensor| x.flatten_all()?.to_vec1::<f64>();
    let trained = flat(network.forward_t(&ids, true)?)?;
    let again = build(&TextConfig::Bert(small()))?;
    assert_eq!(trained, flat(again.forward_t(&ids, true)?)?);
    assert_ne!(trained, flat(again.forward_t(&ids, true)?)?);
    assert_eq!(flat(network.forward(&ids)?)?, flat(again.forward(&ids)?)?);
    Ok(())
}

#[test]
fn impossible_inputs_and_configurations_are_refused() -> Result<()> {
    let network = build(&TextConfig::Bert(small()))?;
    let long = Tensor::ones((1, 7), DType::U32, &Device::Cpu)?;
    assert!(matches!(
        network.forward(&long),
        Err(Error::Count {
            most: 6,
            got: 7,
            ..
        })
    ));
    let unknown = Tensor::new(&[[20u32]], &Device::Cpu)?;
    assert!(matches!(
        network.forward(&unknown),
        Err(Error::Index { .. })
    ));
    let one = |change: fn(&mut BertConfig)| {
        let mut config = small();
        change(&mut config);
        build(&TextConfig::Bert(config)).unwrap_err().to_string()
    };
    assert!(one(|c| c.num_attention_heads = 3).starts_with("num_heads"));
    assert!(one(|c| c.num_attention_heads = 0).starts_with("num_attention_heads"));
    assert!(one(|c| c.num_hidden_layers = 0).starts_with("num_hidden_layers"));
    assert!(one(|c| c.hidden_dropout_prob = 1.0).starts_with("p:"));
    assert!(one(|c| c.pad_token_id = 20).starts_with("pad_token_id"));
    assert!(one(|c| c.vocab_size = 0).starts_with("vocab_size"));
    assert!(one(|c| c.is_decoder = true).contains("is_decoder"));
    assert!(one(|c| c.initializer_range = f64::NAN).starts_with("initializer_range"));
    Ok(())
}

#[test]
fn unsupported_values_of_a_file_are_named() {
    for (text, expected) in [
        (
            r#"{"model_type": "t5"}"#,
            "model_type: expected one of bert",
        ),
        ("{}", "found none"),
        (
            r#"{"model_type": "bert", "position_embedding_type": "relative_key"}"#,
            "`relative_key`",
        ),
        (r#"{"model_type": "bert", "hidden_act": "mish"}"#, "`mish`"),
        ("[", "EOF"),
    ] {
        let error = TextConfig::from_json(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let text =
        r#"{"model_type": "xlm-roberta", "torch_dtype": "float16", "hidden_act": "gelu_fast"}"#;
    let config = TextConfig::from_json(text).unwrap();
    assert!(
        matches!(config, TextConfig::Roberta(own) if own.hidden_act == crate::text::HiddenAct::GeluNew)
    );
}
