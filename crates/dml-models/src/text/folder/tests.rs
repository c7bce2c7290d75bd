use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::backbone::Backbone;
use crate::save::save;
use dml_nn::Layer;

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 10, "initializer_range": 0.5}"#;
const MODULES: &str = r#"[
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"}]"#;
const DENSE: &str = r#"{"in_features": 8, "out_features": 3, "bias": true,
    "activation_function": "torch.nn.modules.activation.Tanh"}"#;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(3)
}

/// A folder of sentence-transformers, with weights of a model with a head and the names of 2018.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let put = |name: &str, text: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("config.json", CONFIG);
    put("modules.json", MODULES);
    put(
        "1_Pooling/config.json",
        r#"{"word_embedding_dimension": 8, "pooling_mode_cls_token": true}"#,
    );
    put("2_Dense/config.json", DENSE);
    put(
        "sentence_bert_config.json",
        r#"{"max_seq_length": 7, "do_lower_case": false}"#,
    );
    put("README.md", "about");
    put("onnx/model.onnx", "old");
    put("pytorch_model.bin", "old");
    let network = TextConfig::from_json(CONFIG).unwrap();
    let network = network.build(&mut rng(), DType::F32, &Device::Cpu).unwrap();
    let mut tensors: Vec<_> = network
        .parameters()
        .into_iter()
        .map(|(name, var)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            (format!("bert.{name}"), var.as_detached_tensor())
        })
        .collect();
    let ids = Tensor::arange(0i64, 10, &Device::Cpu).unwrap();
    tensors.push(("bert.embeddings.position_ids".to_owned(), ids));
    let head = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    tensors.push(("cls.bias".to_owned(), head));
    save_tensors(tensors, &root.join("model.safetensors")).unwrap();
    let dense = dense(
        &root.join("2_Dense/config.json"),
        &mut rng(),
        DType::F32,
        &Device::Cpu,
    );
    save(&dense.unwrap(), root.join("2_Dense/model.safetensors")).unwrap();
    folder
}

fn read(folder: &Path) -> Result<TextEncoder> {
    TextEncoder::read(folder, &mut rng(), DType::F32, &Device::Cpu)
}

fn embeddings(encoder: &TextEncoder) -> Vec<Vec<f32>> {
    let ids = Tensor::new(&[[2u32, 5, 7], [3, 4, 0]], &Device::Cpu).unwrap();
    encoder.forward(&ids).unwrap().to_vec2().unwrap()
}

#[test]
fn what_is_read_is_written_with_its_names() {
    let source = folder();
    let encoder = read(source.path()).unwrap();
    assert_eq!((encoder.embedding_dim(), encoder.max_seq_length()), (3, 7));
    assert_eq!(encoder.pooling(), Pooling::Cls);
    let all: usize = encoder.blocks().iter().map(Vec::len).sum();
    assert_eq!(
        (encoder.blocks().len(), all),
        (3, encoder.parameters().len())
    );
    for row in embeddings(&encoder) {
        let length: f32 = row.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{row:?}");
    }

    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("new/folder");
    encoder.write(&target).unwrap();
    assert_eq!(
        fs::read(source.path().join("model.safetensors")).unwrap(),
        fs::read(target.join("model.safetensors")).unwrap()
    );
    assert_eq!(
        fs::read_to_string(target.join("README.md")).unwrap(),
        "about"
    );
    for old in ["onnx", "pytorch_model.bin"] {
        assert!(!target.join(old).exists(), "{old}");
    }

    // Changed weights arrive; the rest of the file stays as it was.
    for name in ["2_Dense.linear.bias", "embeddings.LayerNorm.weight"] {
        let parameters = encoder.parameters();
        let var = parameters.get(name).unwrap();
        var.set(&(var.as_detached_tensor() * 2.0).unwrap()).unwrap();
    }
    encoder.write(&target).unwrap();
    assert_eq!(embeddings(&read(&target).unwrap()), embeddings(&encoder));
    let (old, new) = (Weights::open(source.path()), Weights::open(&target));
    let (old, new) = (old.unwrap(), new.unwrap());
    assert!(old.names().eq(new.names()));
    assert_eq!(new.stored_type("bert.embeddings.position_ids"), Some("i64"));

    // Into its own folder, more than once.
    encoder.write(source.path()).unwrap();
    encoder.write(source.path()).unwrap();
    assert_eq!(
        embeddings(&read(source.path()).unwrap()),
        embeddings(&encoder)
    );
    assert!(source.path().join("onnx/model.onnx").exists());
}

#[test]
fn a_folder_of_transformers_has_mean_pooling() {
    let source = folder();
    fs::remove_file(source.path().join("modules.json")).unwrap();
    fs::remove_file(source.path().join("sentence_bert_config.json")).unwrap();
    let encoder = read(source.path()).unwrap();
    assert_eq!(encoder.pooling(), Pooling::Mean);
    assert_eq!((encoder.modules().len(), encoder.max_seq_length()), (0, 10));
    // The tokenizer's bound, which is 1e30 for none.
    for (bound, expected) in [
        ("1e30", 10),
        ("1000000000000000019884624838656", 10),
        ("6", 6),
    ] {
        let settings = format!(r#"{{"model_max_length": {bound}}}"#);
        fs::write(source.path().join("tokenizer_config.json"), settings).unwrap();
        assert_eq!(read(source.path()).unwrap().max_seq_length(), expected);
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let said = |name: &str, text: &str| {
        let source = folder();
        fs::write(source.path().join(name), text).unwrap();
        read(source.path()).unwrap_err().to_string()
    };
    let modules = |from: &str, to: &str| said("modules.json", &MODULES.replace(from, to));
    assert!(modules("models.Dense", "models.LSTM").ends_with("found LSTM"));
    assert!(
        modules("sentence_transformers.models.Normalize", "my.Normalize").contains("my.Normalize")
    );
    assert!(modules("2_Dense", "../x").ends_with("found ../x"));
    assert!(modules("models.Transformer", "models.Router").contains("found Router"));
    assert!(said("modules.json", "[]").contains("modules"));
    let pooling = |text: &str| said("1_Pooling/config.json", text);
    assert!(pooling(r#"{"pooling_mode": "best"}"#).contains("`best`"));
    assert!(pooling(r#"{"pooling_mode": ["mean", "max"]}"#).contains("expected one pooling"));
    let two = r#"{"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}"#;
    assert!(pooling(two).contains("pooling_mode_cls_token, pooling_mode_max_tokens"));
    let dense = |from: &str, to: &str| said("2_Dense/config.json", &DENSE.replace(from, to));
    assert!(dense("activation.Tanh", "activation.Mish").contains("Mish"));
    assert!(dense("\"bias\"", "\"use_residual\": true, \"bias\"").contains("use_residual"));
    assert!(
        dense("\"bias\"", "\"module_input_name\": \"x\", \"bias\"").contains("module_input_name")
    );
    assert!(dense("\"in_features\": 8", "\"in_features\": 9").contains("linear.weight"));
    assert!(said("config.json", &CONFIG.replace("12,", "13,")).contains("expected [13, 8]"));
    let network = TextConfig::from_json(CONFIG).unwrap();
    let network = network.build(&mut rng(), DType::F32, &Device::Cpu).unwrap();
    let built = TextEncoder::new(network, Pooling::Mean);
    let error = built.write(std::env::temp_dir().join("no")).unwrap_err();
    assert!(error.to_string().contains("not read from a folder"));
}
