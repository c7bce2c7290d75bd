//! A head on features that were computed once.

use candle_core::{Device, Tensor};
use dml_core::{Dataset, Error, Examples, Labels, Result};
use dml_nn::Layer;
use dml_train::{CachedFeatures, CachedFeaturesConfig, MetricLossOnly, TrainError, Trainer};

use crate::blobs::{Blobs, WIDTH, adam, named_module, network, sampler, triplets, weights};

/// Points without noise, some of which can't be read.
#[derive(Debug)]
struct Steady(Blobs, Vec<usize>);

impl Dataset for Steady {
    fn labels(&self) -> &Labels {
        self.0.labels()
    }

    fn fetch(&self, rows: &[usize], _: u64) -> Result<Examples> {
        let rows: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|row| !self.1.contains(row))
            .collect();
        self.0.fetch(&rows, 3)
    }
}

fn head() -> dml_train::NamedModule {
    named_module("head", network(2, 5, 3, 0.0))
        .with_optimizer(adam)
        .unwrap()
}

fn cached(data: &dyn Dataset, rows_per_batch: usize) -> Result<CachedFeatures> {
    let backbone = network(1, WIDTH, 5, 0.0);
    let config = CachedFeaturesConfig {
        rows_per_batch,
        ..Default::default()
    };
    CachedFeatures::compute(data, &config, |view| backbone.forward(view))
}

#[test]
fn the_head_learns_as_behind_the_backbone() -> std::result::Result<(), TrainError> {
    // A row by itself draws its noise from its own seed, so batches of one give what any batches give.
    let data = Steady(Blobs::new(64, 1), Vec::new());
    let features = cached(&data, 7)?;
    let order = sampler(&data.0);
    let mut on_features =
        Trainer::builder(MetricLossOnly::new(head(), triplets()), features, order)
            .with_seed(4)
            .build()?;
    on_features.run(2)?;
    let backbone = named_module("backbone", network(1, WIDTH, 5, 0.0)).frozen();
    let order = sampler(&data.0);
    let method = MetricLossOnly::new(backbone, triplets()).with_embedder(head());
    let mut behind = Trainer::builder(method, data, order).with_seed(4).build()?;
    behind.run(2)?;
    let behind = weights(&behind)
        .into_iter()
        .filter(|(name, _)| name.starts_with("head/"));
    for ((name, own), (_, other)) in weights(&on_features).into_iter().zip(behind) {
        let difference = own.iter().zip(&other).map(|(a, b)| (a - b).abs());
        // The last bias learns from rounding alone.
        let bound = if name == "head/fc2.bias" { 1.0 } else { 1e-3 };
        assert!(difference.fold(0.0, f32::max) < bound, "{name}");
    }
    Ok(())
}

#[test]
fn files_hold_all_of_it() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("features.safetensors");
    let data = Steady(Blobs::new(21, 2), vec![4, 20]);
    let features = cached(&data, 6)?;
    features.save(&path)?;
    let opened = CachedFeatures::open(&path, 1 << 20)?;
    assert_eq!(opened.labels(), data.labels());
    for own in [&features, &opened] {
        let examples = own.fetch(&[20, 5, 4, 0, 5], 9)?;
        assert_eq!(examples.rows(), [5, 0, 5]);
        assert_eq!(examples.views().len(), 2);
        let expected = data.fetch(&(0..21).collect::<Vec<_>>(), 0)?;
        assert_eq!(own.views()[1].dims(), [19, 5]);
        assert_eq!(expected.len(), 19);
        assert!(matches!(own.fetch(&[21], 0), Err(Error::Index { .. })));
    }
    let values = |own: &CachedFeatures| own.views()[1].to_vec2::<f32>();
    assert_eq!(values(&features)?, values(&opened)?);
    let text = CachedFeatures::open(&path, 64).unwrap_err().to_string();
    assert!(
        text.starts_with("most_bytes of features: expected at most 16 elements"),
        "{text}"
    );
    let missing = CachedFeatures::open(folder.path().join("none"), 64);
    assert!(matches!(missing, Err(TrainError::Io { .. })));
    let other =
        std::collections::HashMap::from([("rows".to_owned(), Tensor::new(&[0i64], &Device::Cpu)?)]);
    dml_core::checkpoint::save(&path, &other)?;
    assert!(matches!(
        CachedFeatures::open(&path, 1 << 20),
        Err(TrainError::Damaged { .. })
    ));
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = Steady(Blobs::new(8, 1), Vec::new());
    let config = |rows_per_batch, most_bytes| CachedFeaturesConfig {
        rows_per_batch,
        most_bytes,
        ..Default::default()
    };
    let compute = |config: CachedFeaturesConfig| {
        CachedFeatures::compute(&data, &config, |view| Ok(view.clone())).map(|_| ())
    };
    let bytes = 8 * WIDTH * 4;
    assert!(compute(config(3, bytes)).is_ok());
    assert!(matches!(
        compute(config(3, bytes - 1)),
        Err(Error::Size { .. })
    ));
    assert!(matches!(
        compute(config(0, bytes)),
        Err(Error::InvalidParameter { .. })
    ));
    let mut calls = 0;
    let shapes = CachedFeatures::compute(&data, &config(4, bytes), |view| {
        calls += 1;
        Ok(view.narrow(1, 0, calls)?)
    });
    assert!(matches!(shapes, Err(Error::Shape { .. })));
    let fewer = CachedFeatures::compute(&data, &config(4, bytes), |view| Ok(view.narrow(0, 0, 2)?));
    assert!(matches!(fewer, Err(Error::Length { .. })));
}
