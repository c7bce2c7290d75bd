//! What is saved is loaded, into another network and from another element type.

use candle_core::{DType, Device};
use dml_models::{Model, Names, Weights, save};
use dml_nn::Layer;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn every_network_is_loaded_from_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    for model in [
        Model::MobileNetV2,
        Model::MobileNetV3Small,
        Model::EfficientNetLite0,
        Model::VitTinyPatch16,
    ] {
        let build = |seed, dtype| {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            model.build(rng, dtype, &Device::Cpu).unwrap()
        };
        let (saved, loaded, half) = (
            build(1, DType::F32),
            build(2, DType::F32),
            build(3, DType::BF16),
        );
        let path = folder.path().join(format!("{}.safetensors", model.name()));
        save(&saved, &path).unwrap();
        let weights = Weights::open(&path).unwrap();
        let report = loaded.load(&weights, &Names::default()).unwrap();
        let all = saved.parameters().len() + saved.buffers().len();
        assert_eq!((report.loaded, report.converted), (all, 0));
        for ((name, a), (_, b)) in saved.parameters().iter().zip(loaded.parameters().iter()) {
            let flat = |x: &candle_core::Var| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(flat(a), flat(b), "{name}");
        }
        let report = half.load(&weights, &Names::default()).unwrap();
        assert_eq!(report.converted, saved.parameters().len());
        // Equal networks have equal files.
        let again = folder.path().join("again.safetensors");
        save(&loaded, &again).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(again).unwrap());
        let header = std::fs::read(&path).unwrap();
        let start = br#"{"__metadata__":{"format":"pt"},"#;
        assert_eq!(&header[8..8 + start.len()], start);
        // For `generate/read_back.py`.
        if let Some(out) = std::env::var_os("DML_MODELS_SAVED") {
            std::fs::copy(
                &path,
                std::path::Path::new(&out).join(path.file_name().unwrap()),
            )
            .unwrap();
        }
    }
}
