//! Vision transformers and their text towers beside timm and transformers (`generate/vision.py`).

use candle_core::{DType, Device, Tensor};
use dml_models::{
    Backbone, DualEncoder, Names, TextTowerConfig, TokenPooling, VisionTransformer,
    VisionTransformerConfig, Weights, by_name,
};
use dml_nn::Layer;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::formula::{Case, assert_digest, digest, fill, tensor};
use crate::parity::golden;

/// Relative to the norm of the tensor. The files have ten digits; upstream resizes positions in single precision.
const TOLERANCE: f64 = 2e-6;

#[derive(serde::Deserialize)]
struct Golden {
    shape: [usize; 4],
    #[serde(default)]
    ids: Vec<Vec<u32>>,
    image: Option<[f64; 4]>,
    text: Option<[f64; 4]>,
    #[serde(flatten)]
    case: Case,
}

fn read(name: &str) -> Golden {
    serde_json::from_str(&golden(&format!("vision_{name}.json"))).unwrap()
}

/// Two blocks of width 36 for images of 20 × 20 pixels.
pub(crate) fn small(mut config: VisionTransformerConfig) -> VisionTransformerConfig {
    config.image_size = [20, 20];
    (config.patch_size, config.num_hidden_layers) = (5, 2);
    (config.hidden_size, config.num_attention_heads) = (36, 3);
    config.intermediate_size = 72;
    config
}

pub(crate) fn small_text(
    mut config: TextTowerConfig,
    positions: usize,
    end: u32,
) -> TextTowerConfig {
    (config.vocab_size, config.num_hidden_layers) = (50, 2);
    (config.hidden_size, config.num_attention_heads) = (36, 3);
    config.intermediate_size = 72;
    (config.max_position_embeddings, config.end_token_id) = (positions, end);
    config
}

pub(crate) fn build(config: VisionTransformerConfig, dtype: DType) -> VisionTransformer {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    VisionTransformer::new(config, rng, dtype, &Device::Cpu).unwrap()
}

pub(crate) fn clip(dtype: DType) -> DualEncoder {
    let mut image = small(VisionTransformerConfig::clip_vit_base_patch32());
    let mut text = small_text(TextTowerConfig::clip_vit_base_patch32(), 8, 49);
    image.projection_dim = Some(28);
    text.projection_dim = 28;
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    DualEncoder::new(image, text, rng, dtype, &Device::Cpu).unwrap()
}

pub(crate) fn siglip(dtype: DType) -> DualEncoder {
    let image = small(VisionTransformerConfig::siglip_base_patch16_224());
    let mut text = small_text(TextTowerConfig::siglip_base_patch16_224(), 9, 1);
    text.projection_dim = 36;
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    DualEncoder::new(image, text, rng, dtype, &Device::Cpu).unwrap()
}

fn check(name: &str, config: VisionTransformerConfig) {
    let golden = read(name);
    let network = build(small(config), DType::F64);
    fill(&network);
    let images = tensor("image", &golden.shape, -1.0, 1.0);
    for train in [false, true] {
        let features = network.forward_t(&images, train).unwrap();
        golden.case.assert(name, &features, &network, TOLERANCE);
    }
    // Single precision.
    let single = build(network.config().clone(), DType::F32);
    fill(&single);
    let features = single
        .forward(&images.to_dtype(DType::F32).unwrap())
        .unwrap();
    assert_digest(
        name,
        digest("features", &features),
        golden.case.features,
        1e-5,
        0.0,
    );
}

fn check_both_towers(name: &str, network: &DualEncoder) {
    let golden = read(name);
    fill(network);
    let images = tensor("image", &golden.shape, -1.0, 1.0);
    let ids = Tensor::new(golden.ids.clone(), &Device::Cpu).unwrap();
    let features = network.forward(&images).unwrap();
    let got = digest("image_features", &features);
    assert_digest("image", got, golden.image.unwrap(), TOLERANCE, 0.0);
    let features = network.text().forward(&ids).unwrap();
    let got = digest("text_features", &features);
    assert_digest("text", got, golden.text.unwrap(), TOLERANCE, 0.0);
    for train in [false, true] {
        let logits = network.logits(&images, &ids, train).unwrap();
        golden.case.assert(name, &logits, network, TOLERANCE);
    }
}

#[test]
fn vit() {
    check("vit", VisionTransformerConfig::vit_tiny_patch16_224());
}

#[test]
fn vit_of_other_images() {
    check(
        "vit_resized",
        VisionTransformerConfig::vit_tiny_patch16_224(),
    );
}

#[test]
fn vit_with_averages() {
    for (name, pooling) in [
        ("vit_average", TokenPooling::Average),
        ("vit_average_norm", TokenPooling::AverageThenNorm),
    ] {
        let mut config = VisionTransformerConfig::vit_tiny_patch16_224();
        config.pooling = pooling;
        check(name, config);
    }
}

#[test]
fn dinov2_of_timm() {
    let plain = VisionTransformerConfig::dinov2_small();
    check("timm_dinov2", plain.with_names_of_timm());
    let registers = VisionTransformerConfig::dinov2_with_registers_small();
    check("timm_dinov2_registers", registers.with_names_of_timm());
}

#[test]
fn dinov2() {
    check("dinov2", VisionTransformerConfig::dinov2_small());
    check("dinov2_resized", VisionTransformerConfig::dinov2_small());
    let registers = VisionTransformerConfig::dinov2_with_registers_small();
    check("dinov2_registers", registers);
}

#[test]
fn dinov2_with_the_authors_resizing() {
    let mut config = VisionTransformerConfig::dinov2_small();
    config.position_offset = 0.1;
    check("dinov2_authors", config);
}

#[test]
fn both_towers_of_clip() {
    check_both_towers("clip", &clip(DType::F64));
}

#[test]
fn both_towers_of_siglip() {
    let network = siglip(DType::F64);
    check_both_towers("siglip", &network);
    // Shorter texts are padded to all positions.
    let rows = |ids: &[&[u32]]| {
        let ids = Tensor::new(ids.concat(), &Device::Cpu).unwrap();
        let ids = ids.reshape((1, ())).unwrap();
        network
            .text()
            .forward(&ids)
            .unwrap()
            .to_vec2::<f64>()
            .unwrap()
    };
    assert_eq!(rows(&[&[3, 7, 1]]), rows(&[&[3, 7, 1], &[1; 6]]));
}

/// An image tower, or both towers.
enum Full {
    Image(Box<dyn Backbone>),
    Both(Box<DualEncoder>),
}

impl Full {
    /// The network of a file's name, with the weights of the file.
    fn load(name: &str, file: &Weights) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let (dtype, device) = (DType::F32, &Device::Cpu);
        let names = Names::default().leave_out("check");
        let towers = match name {
            "clip-vit-base-patch32" => Some((
                VisionTransformerConfig::clip_vit_base_patch32(),
                TextTowerConfig::clip_vit_base_patch32(),
            )),
            "siglip-base-patch16-224" => Some((
                VisionTransformerConfig::siglip_base_patch16_224(),
                TextTowerConfig::siglip_base_patch16_224(),
            )),
            _ => None,
        };
        match towers {
            Some((image, text)) => {
                let network = DualEncoder::new(image, text, rng, dtype, device).unwrap();
                network.load(file, &names).unwrap();
                Self::Both(Box::new(network))
            }
            None => {
                let network = by_name(name).unwrap().build(rng, dtype, device).unwrap();
                network.load(file, &names).unwrap();
                Self::Image(Box::new(network))
            }
        }
    }

    fn network(&self) -> &dyn Backbone {
        match self {
            Self::Image(network) => network.as_ref(),
            Self::Both(network) => network.as_ref(),
        }
    }
}

fn norm(x: &Tensor) -> f64 {
    let squares = x.to_dtype(DType::F64).unwrap().sqr().unwrap();
    squares
        .sum_all()
        .unwrap()
        .to_scalar::<f64>()
        .unwrap()
        .sqrt()
}

/// Embeddings and gradients of networks of full size: files `NAME.safetensors` of `generate/vision.py full` in the folder
/// `DML_MODELS_VISION`.
#[test]
fn full_networks_have_upstreams_embeddings_and_gradients() {
    let Some(folder) = std::env::var_os("DML_MODELS_VISION") else {
        println!("skipped: DML_MODELS_VISION is not set");
        return;
    };
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "safetensors"));
    let mut count = 0;
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file = Weights::open(&path).unwrap();
        let full = Full::load(name, &file);
        let read = |name: &str, dtype| {
            let name = format!("check.{name}");
            file.tensor(&name, dtype, &Device::Cpu).unwrap()
        };
        let images = read("images", DType::F32);
        let mut outputs = vec![("features", full.network().forward(&images).unwrap())];
        if let Full::Both(network) = &full {
            let ids = read("ids", DType::I64);
            outputs.push(("text", network.text().forward(&ids).unwrap()));
        }
        let mut loss: Option<Tensor> = None;
        for (what, output) in outputs {
            let expected = read(what, DType::F32);
            let difference = norm(&(&output - &expected).unwrap()) / norm(&expected);
            println!("{name}: {what}, relative difference {difference:.2e}");
            assert!(difference <= 1e-4, "{name}: {what}");
            let probe = tensor(&format!("probe.{what}"), output.dims(), -1.0, 1.0);
            let probe = probe.to_dtype(DType::F32).unwrap();
            let own = (output * probe).unwrap().sum_all().unwrap();
            loss = Some(match loss {
                None => own,
                Some(loss) => (loss + own).unwrap(),
            });
        }
        let gradients = loss.unwrap().backward().unwrap();
        let of = |own: &str| read(&format!("gradients.{own}"), DType::F32);
        let all = file
            .names()
            .filter_map(|name| name.strip_prefix("check.gradients."));
        let all: Vec<&str> = all.collect();
        // A gradient that is 0 but for rounding has no digits to compare: that of the biases of keys, which move all scores
        // of a query by the same.
        let least = 1e-4 * all.iter().map(|own| norm(&of(own))).fold(0.0, f64::max);
        let parameters = full.network().parameters();
        let (mut worst, mut whose, mut compared) = (0.0, String::new(), 0);
        for (own, var) in parameters.iter().filter(|(own, _)| all.contains(own)) {
            let (got, expected) = (gradients.get(var).unwrap(), of(own));
            let difference = norm(&(got - &expected).unwrap()) / norm(&expected).max(least);
            if difference > worst {
                (worst, whose) = (difference, own.to_owned());
            }
            compared += 1;
        }
        println!("{name}: {compared} gradients, relative difference {worst:.2e} ({whose})");
        assert_eq!(compared, all.len(), "{name}");
        assert!(worst <= 1e-4, "{name}: {whose}");
        count += 1;
    }
    assert!(count > 0);
}
