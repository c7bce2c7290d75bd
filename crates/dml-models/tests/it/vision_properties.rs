//! Properties of vision transformers and their text towers: shapes, precision, files, and what is refused.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};
use dml_models::{
    Backbone, DualEncoder, Names, TextTower, TextTowerConfig, TokenPooling, VisionTransformer,
    VisionTransformerConfig, Weights, save,
};
use dml_nn::Layer;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::formula::{fill, tensor};
use crate::vision::{build, clip, siglip, small, small_text};

/// The position of the text is that of its first end token, whatever comes behind.
#[test]
fn clip_reads_texts_up_to_their_end() {
    let network = clip(DType::F64);
    fill(&network);
    let text = |ids: &[u32]| {
        let ids = Tensor::new(ids, &Device::Cpu)
            .unwrap()
            .unsqueeze(0)
            .unwrap();
        network
            .text()
            .forward(&ids)
            .unwrap()
            .to_vec2::<f64>()
            .unwrap()
    };
    let short = text(&[48, 3, 49]);
    let long = text(&[48, 3, 49, 7, 49, 0]);
    for (a, b) in short[0].iter().zip(&long[0]) {
        assert!((a - b).abs() < 1e-12);
    }
    assert_ne!(short, text(&[48, 4, 49]));
    let refused = |ids: Tensor| network.text().forward(&ids).unwrap_err().to_string();
    let ids = |ids: &[u32]| Tensor::new(ids, &Device::Cpu).unwrap();
    let without_end = ids(&[48, 3]).unsqueeze(0).unwrap();
    assert!(refused(without_end).contains("end_token_id in every row"));
    assert!(refused(ids(&[48, 49])).starts_with("ids:"));
    assert!(refused(ids(&[49; 9]).unsqueeze(0).unwrap()).contains("max_position_embeddings"));
    let beyond = ids(&[50, 49]).unsqueeze(0).unwrap();
    assert!(refused(beyond).starts_with("input[0]:"));
    let floats = Tensor::zeros((1, 2), DType::F32, &Device::Cpu).unwrap();
    assert!(refused(floats).contains("whole numbers"));
}

/// Texts as CLIP's tokenizer gives them: lower case, between a start token and the end token, which pads too.
#[cfg(feature = "text")]
#[test]
fn clip_reads_what_its_kind_of_tokenizer_writes() {
    let special =
        |name: &str, id: u32| serde_json::json!({"id": name, "ids": [id], "tokens": [name]});
    let json = serde_json::json!({
        "version": "1.0", "added_tokens": [], "truncation": null, "padding": null, "decoder": null,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<start>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<end>", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": {"<start>": special("<start>", 48), "<end>": special("<end>", 49)},
        },
        "model": {
            "type": "WordLevel",
            "unk_token": "?",
            "vocab": {"?": 0, "red": 2, "ball": 3, "<start>": 48, "<end>": 49},
        },
    });
    let network = clip(DType::F64);
    fill(&network);
    let config = network.text().config();
    let tokenizer = dml_models::text::TextTokenizer::from_json(
        &json.to_string(),
        config.end_token_id,
        config.max_position_embeddings,
    );
    let ids = tokenizer
        .unwrap()
        .encode_batch(&["Red ball", "red"], &Device::Cpu)
        .unwrap();
    assert_eq!(
        ids.to_vec2::<u32>().unwrap(),
        [[48, 2, 3, 49], [48, 2, 49, 49]]
    );
    let both = network
        .text()
        .forward(&ids)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    let alone = Tensor::new(&[[48u32, 2, 49]], &Device::Cpu).unwrap();
    let alone = network
        .text()
        .forward(&alone)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    for (a, b) in both[1].iter().zip(&alone[0]) {
        assert!((a - b).abs() < 1e-12);
    }
}

/// A batch of one, views, and images that are no multiple of the patches.
#[test]
fn images_of_other_shapes() {
    for config in [
        VisionTransformerConfig::vit_tiny_patch16_224(),
        VisionTransformerConfig::dinov2_with_registers_small(),
        VisionTransformerConfig::siglip_base_patch16_224(),
    ] {
        let network = build(small(config), DType::F32);
        fill(&network);
        let images = tensor("image", &[1, 3, 35, 5], -1.0, 1.0);
        let images = images.to_dtype(DType::F32).unwrap();
        let view = images.transpose(2, 3).unwrap();
        let whole = view.contiguous().unwrap();
        let row = |images: &Tensor| {
            let features = network.forward(images).unwrap();
            assert_eq!(features.dims(), [1, network.embedding_dim()]);
            features.to_vec2::<f32>().unwrap()
        };
        assert_eq!(row(&view), row(&whole));
        for shape in [vec![1, 3, 20, 21], vec![1, 3, 0, 20], vec![3, 20, 20]] {
            let images = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            let error = network.forward(&images).unwrap_err().to_string();
            assert!(error.contains("multiples of patch_size"), "{error}");
        }
        let grey = Tensor::zeros((1, 1, 20, 20), DType::F32, &Device::Cpu).unwrap();
        assert!(network.forward(&grey).is_err());
    }
}

#[test]
fn half_precision_is_near() {
    for config in [
        VisionTransformerConfig::vit_tiny_patch16_224(),
        VisionTransformerConfig::siglip_base_patch16_224(),
    ] {
        let config = small(config);
        let images = tensor("image", &[2, 3, 20, 20], -1.0, 1.0);
        let of = |dtype| {
            let network = build(config.clone(), dtype);
            fill(&network);
            let features = network.forward(&images.to_dtype(dtype).unwrap()).unwrap();
            assert_eq!(features.dtype(), dtype);
            features.to_dtype(DType::F64).unwrap()
        };
        let exact = of(DType::F64);
        let norm = |x: &Tensor| {
            x.sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f64>()
                .unwrap()
                .sqrt()
        };
        for (dtype, most) in [(DType::F16, 5e-3), (DType::BF16, 4e-2)] {
            let share = norm(&(of(dtype) - &exact).unwrap()) / norm(&exact);
            assert!(share < most, "{dtype:?}: {share}");
        }
    }
}

#[test]
fn stochastic_depth_grows_with_depth() {
    let mut config = small(VisionTransformerConfig::vit_tiny_patch16_224());
    config.drop_path_rate = 0.5;
    let network = build(config, DType::F64);
    fill(&network);
    let seeds = network.seeds();
    assert_eq!(seeds.len(), 2);
    let images = tensor("image", &[8, 3, 20, 20], -1.0, 1.0);
    let rows = |train| {
        network
            .forward_t(&images, train)
            .unwrap()
            .to_vec2::<f64>()
            .unwrap()
    };
    assert_ne!(rows(true), rows(false));
    // The first block is never skipped; the last one draws once for each of its parts.
    assert_eq!([seeds[0].calls(), seeds[1].calls()], [0, 2]);
}

#[test]
fn sizes_are_those_of_the_weights() {
    for config in [
        VisionTransformerConfig::vit_tiny_patch16_224(),
        VisionTransformerConfig::dinov2_with_registers_small().with_names_of_timm(),
        VisionTransformerConfig::dinov2_with_registers_small(),
        VisionTransformerConfig::clip_vit_base_patch32(),
        VisionTransformerConfig::siglip_base_patch16_224(),
    ] {
        let mut expected = small(config.clone());
        (expected.hidden_size, expected.num_attention_heads) = (64, 1);
        let network = build(expected.clone(), DType::F32);
        let named = network.parameters().prefixed("module");
        let weights = Weights::from_tensors(named.tensors()).unwrap();
        let sized = config
            .clone()
            .with_sizes_of(&weights, &Names::default())
            .unwrap();
        assert_eq!(sized, expected);
        let report = build(sized, DType::F32)
            .load(&weights, &Names::default())
            .unwrap();
        assert_eq!(report.loaded, network.parameters().len());
        let nothing = Weights::from_tensors(HashMap::new()).unwrap();
        let error = config
            .with_sizes_of(&nothing, &Names::default())
            .unwrap_err();
        assert!(
            error.to_string().ends_with("no tensor of that name"),
            "{error}"
        );
    }
}

/// The towers of a file with both, and what transformers' older files have beside them.
#[test]
fn one_file_has_both_towers() {
    let folder = tempfile::tempdir().unwrap();
    for (network, of_logits) in [(clip(DType::F32), 1), (siglip(DType::F32), 2)] {
        fill(&network);
        let path = folder.path().join("model.safetensors");
        save(&network, &path).unwrap();
        let file = Weights::open(&path).unwrap();
        let all = network.parameters();
        assert_eq!(file.len(), all.len());
        let mut tensors = all.tensors();
        for tower in ["text_model", "vision_model"] {
            let ids = Tensor::zeros((1, 9), DType::I64, &Device::Cpu).unwrap();
            tensors.insert(format!("{tower}.embeddings.position_ids"), ids);
        }
        let file = Weights::from_tensors(tensors).unwrap();
        let image = build(network.image().config().clone(), DType::F32);
        let report = image.load(&file, &Names::default()).unwrap();
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let config = network.text().config().clone();
        let text = TextTower::new(config, rng, DType::F32, &Device::Cpu).unwrap();
        let loaded = report.loaded + text.load(&file, &Names::default()).unwrap().loaded;
        assert_eq!(loaded + of_logits, all.len());
        let equal = |a: &Var, b: &Var| {
            let values = |x: &Var| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values(a) == values(b)
        };
        for (name, var) in image.parameters().iter().chain(text.parameters().iter()) {
            assert!(equal(var, all.get(name).unwrap()), "{name}");
        }
        assert_eq!(
            network
                .load(&file, &Names::default())
                .unwrap()
                .left_out
                .len(),
            2
        );
    }
}

#[test]
fn blocks_of_both_towers_are_all_parameters() {
    for network in [clip(DType::F32), siglip(DType::F32)] {
        let parameters = network.parameters();
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
        let blocks = network.blocks();
        let joined: Vec<&str> = blocks.iter().flatten().map(String::as_str).collect();
        assert_eq!(joined, names);
        // Embeddings with the first normalisation, two blocks, twice; and the parameters of the logits.
        assert_eq!(blocks.len(), 7);
    }
}

#[test]
fn what_a_family_lacks_is_refused() {
    let refused = |config: VisionTransformerConfig, change: fn(&mut VisionTransformerConfig)| {
        let mut config = small(config);
        change(&mut config);
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let network = VisionTransformer::new(config, rng, DType::F32, &Device::Cpu);
        network.unwrap_err().to_string()
    };
    let vit = VisionTransformerConfig::vit_tiny_patch16_224;
    let clip = VisionTransformerConfig::clip_vit_base_patch32;
    let siglip = VisionTransformerConfig::siglip_base_patch16_224;
    assert!(refused(clip(), |c| c.register_tokens = 4).contains("no registers"));
    assert!(refused(clip(), |c| c.layer_scale = Some(1.0)).contains("no layer_scale"));
    assert!(refused(vit(), |c| c.projection_dim = Some(8)).contains("no projection"));
    assert!(refused(vit(), |c| c.pooling = TokenPooling::Attention).contains("attention"));
    assert!(refused(siglip(), |c| c.pooling = TokenPooling::ClassToken).contains("class token"));
    let no_average = |c: &mut VisionTransformerConfig| c.pooling = TokenPooling::AverageThenNorm;
    assert!(refused(clip(), no_average).contains("norm behind an average"));
    assert!(refused(vit(), |c| c.image_size = [20, 21]).starts_with("image_size:"));
    assert!(refused(vit(), |c| c.image_size = [0, 20]).starts_with("image_size:"));
    assert!(refused(vit(), |c| c.patch_size = 0).starts_with("patch_size:"));
    assert!(refused(vit(), |c| c.num_hidden_layers = 1001).starts_with("num_hidden_layers:"));
    assert!(refused(vit(), |c| c.num_attention_heads = 5).starts_with("num_heads:"));
    assert!(refused(vit(), |c| c.hidden_size = 0).starts_with("hidden_size:"));
    assert!(refused(vit(), |c| c.intermediate_size = 0).starts_with("intermediate_size:"));
    assert!(refused(vit(), |c| c.drop_path_rate = 1.0).starts_with("drop_path_rate:"));
    assert!(refused(vit(), |c| c.position_offset = f64::NAN).starts_with("position_offset:"));
    assert!(refused(vit(), |c| c.layer_norm_eps = 0.0).starts_with("eps:"));
    assert!(refused(vit(), |c| c.register_tokens = 1 << 50).starts_with("parameter"));
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let text = small_text(TextTowerConfig::siglip_base_patch16_224(), 9, 1);
    let mixed = DualEncoder::new(small(clip()), text, rng, DType::F32, &Device::Cpu);
    assert!(
        mixed
            .unwrap_err()
            .to_string()
            .contains("CLIP's or SigLIP's")
    );
    let text = small_text(TextTowerConfig::clip_vit_base_patch32(), 9, 1);
    let lengths = DualEncoder::new(small(clip()), text, rng, DType::F32, &Device::Cpu);
    assert!(lengths.is_ok());
    let mut text = small_text(TextTowerConfig::clip_vit_base_patch32(), 9, 1);
    text.projection_dim = 7;
    let lengths = DualEncoder::new(small(clip()), text, rng, DType::F32, &Device::Cpu);
    assert!(
        lengths
            .unwrap_err()
            .to_string()
            .starts_with("projection_dim:")
    );
    let text = small_text(TextTowerConfig::clip_vit_base_patch32(), 9, 50);
    let outside = TextTower::new(text, rng, DType::F32, &Device::Cpu);
    assert!(
        outside
            .unwrap_err()
            .to_string()
            .starts_with("end_token_id[0]:")
    );
}
