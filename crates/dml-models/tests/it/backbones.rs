//! Properties of every network.

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use dml_models::{Backbone, Model};
use dml_nn::Layer;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::formula::fill;

fn build(model: Model, dtype: DType) -> Box<dyn Backbone> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    model.build(rng, dtype, &Device::Cpu).unwrap()
}

/// One test for both, since the large networks take seconds to draw.
#[test]
fn parameters_are_as_many_as_upstreams_and_blocks_are_a_partition_in_their_order() {
    // sum(p.numel() for p in network.parameters()) without the classifier, mask_token and the other tower.
    let expected = [
        ("mobilenet_v2", 2_223_872),
        ("resnet18", 11_176_512),
        ("resnet34", 21_284_672),
        ("resnet50", 23_508_032),
        ("resnet101", 42_500_160),
        ("mobilenet_v3_small", 927_008),
        ("mobilenet_v3_large", 2_971_952),
        ("efficientnet_b0", 4_007_548),
        ("efficientnet_lite0", 3_371_008),
        ("convnext_tiny", 27_818_592),
        ("vit_tiny_patch16_224", 5_524_416),
        ("vit_small_patch16_224", 21_665_664),
        ("vit_base_patch16_224", 85_798_656),
        ("dinov2-small", 22_056_192),
        ("dinov2-base", 86_579_712),
        ("dinov2-with-registers-small", 22_057_728),
        ("dinov2-with-registers-base", 86_582_784),
        ("clip-vit-base-patch32", 87_849_216),
        ("siglip-base-patch16-224", 92_884_224),
    ];
    assert_eq!(Model::ALL.len(), expected.len());
    for (name, count) in expected {
        let network = build(dml_models::by_name(name).unwrap(), DType::F32);
        let parameters = network.parameters();
        assert_eq!(parameters.element_count(), count, "{name}");
        network.image_input().unwrap().check().unwrap();
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
        let blocks = network.blocks();
        let joined: Vec<&str> = blocks.iter().flatten().map(String::as_str).collect();
        assert_eq!(joined, names, "{name}");
        assert!(blocks.len() > 8, "{name}");
        let all: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(all.len(), names.len(), "{name}");
    }
}

#[test]
fn images_of_odd_sizes_and_a_batch_of_one_work() {
    for model in [
        Model::MobileNetV2,
        Model::ResNet18,
        Model::EfficientNetLite0,
    ] {
        let network = build(model, DType::F32);
        for shape in [(1, 3, 33, 47), (2, 3, 65, 32)] {
            let images = Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
            // Not contiguous.
            let images = images.transpose(2, 3).unwrap();
            let features = network.forward(&images).unwrap();
            assert_eq!(features.dims(), [shape.0, network.embedding_dim()]);
        }
        let grey = Tensor::ones((1, 1, 32, 32), DType::F32, &Device::Cpu).unwrap();
        assert!(network.forward(&grey).is_err());
        let flat = Tensor::ones((3, 32, 32), DType::F32, &Device::Cpu).unwrap();
        assert!(network.forward(&flat).is_err());
    }
}

#[test]
fn half_precision_is_near_and_nan_stays_nan() {
    for model in [Model::MobileNetV3Small, Model::EfficientNetB0] {
        let single = build(model, DType::F32);
        let half = build(model, DType::F16);
        // Initial weights give features near the smallest numbers of half precision.
        fill(&single);
        fill(&half);
        let values: Vec<f32> = (0..3 * 32 * 32).map(|i| (i as f32 * 0.37).sin()).collect();
        let images = Tensor::from_vec(values, (1, 3, 32, 32), &Device::Cpu).unwrap();
        let exact = single.forward(&images).unwrap();
        let near = half.forward(&images.to_dtype(DType::F16).unwrap()).unwrap();
        assert_eq!(near.dtype(), DType::F16);
        let norm = |x: &Tensor| {
            x.sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
                .sqrt()
        };
        let difference = (near.to_dtype(DType::F32).unwrap() - &exact).unwrap();
        let share = norm(&difference) / norm(&exact);
        assert!(share < 0.02, "{}: {share}", model.name());
        let nan = (images * f64::NAN).unwrap();
        let features = single.forward(&nan).unwrap().flatten_all().unwrap();
        assert!(
            features
                .to_vec1::<f32>()
                .unwrap()
                .iter()
                .all(|x| x.is_nan())
        );
    }
}

#[test]
fn stochastic_depth_follows_its_seed_and_is_listed_for_checkpoints() {
    let network = build(Model::EfficientNetB0, DType::F32);
    let seeds = network.seeds();
    // Nine blocks have a shortcut; the first has a probability above 0.
    assert_eq!(seeds.len(), 9);
    let images = Tensor::ones((4, 3, 32, 32), DType::F32, &Device::Cpu).unwrap();
    network.freeze_statistics();
    network.forward_t(&images, true).unwrap();
    assert!(seeds.iter().all(|seeds| seeds.calls() == 1));
    network.forward(&images).unwrap();
    assert!(seeds.iter().all(|seeds| seeds.calls() == 1));
}
