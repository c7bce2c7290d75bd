//! A folder of pictures through the trainer's loader.

use std::sync::Arc;

use dml::data::augment::{
    Compose, HorizontalFlip, HorizontalFlipConfig, RandomResizedCrop, RandomResizedCropConfig,
};
use dml::data::{AugmentedImages, ImageFilesConfig, ImageFolder};
use dml::samplers::{MPerClassSampler, MPerClassSamplerConfig};
use dml::train::{Loader, Position};
use dml::{Dataset, Labels};

use crate::pictures::stripes;

/// Rows, labels and the bits of all numbers of a batch.
type Bits = (Vec<usize>, Labels, Vec<Vec<u32>>);

/// The first `count` batches, bit by bit.
fn batches(dataset: &Arc<dyn Dataset>, threads: usize, count: usize) -> Vec<Bits> {
    let config = MPerClassSamplerConfig {
        batch_size: Some(6),
        length_before_new_iter: 24,
        ..MPerClassSamplerConfig::new(2)
    };
    let sampler = MPerClassSampler::new(config, dataset.labels()).unwrap();
    let sampler = Arc::new(sampler);
    let mut loader = Loader::new(dataset.clone(), sampler, 3, Position::START, threads);
    (0..count)
        .map(|_| {
            let (examples, _) = loader.next_batch().unwrap();
            let bits = examples.views().iter().map(|view| {
                let values = view.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                values.into_iter().map(f32::to_bits).collect()
            });
            let bits = bits.collect();
            (examples.rows().to_vec(), examples.labels().clone(), bits)
        })
        .collect()
}

/// The same batches for any number of threads, over more than one pass.
fn assert_same_for_all_threads(dataset: impl Dataset + 'static) -> Vec<Bits> {
    let dataset: Arc<dyn Dataset> = Arc::new(dataset);
    let alone = batches(&dataset, 0, 10);
    assert_eq!(alone.len(), 10);
    assert!(alone[0].2[0].iter().any(|bits| *bits != alone[0].2[0][0]));
    for threads in [1, 2, 4] {
        assert!(batches(&dataset, threads, 10) == alone, "{threads} threads");
    }
    alone
}

fn folder(root: &std::path::Path) -> ImageFolder {
    stripes(root, &[("a", 0.0), ("b", 45.0), ("c/d", 90.0)], 6, 1);
    let config = ImageFilesConfig {
        size: [12, 10],
        ..ImageFilesConfig::default()
    };
    ImageFolder::open(root, config).unwrap()
}

#[test]
fn batches_of_a_folder_do_not_depend_on_threads() {
    let root = tempfile::tempdir().unwrap();
    assert_same_for_all_threads(folder(root.path()));
}

#[test]
fn augmented_views_do_not_depend_on_threads() {
    let root = tempfile::tempdir().unwrap();
    let augmentation = Compose::default()
        .with(RandomResizedCrop::new(RandomResizedCropConfig::new([8, 8])).unwrap())
        .with(HorizontalFlip::new(HorizontalFlipConfig::default()).unwrap());
    let views = AugmentedImages::two_views(folder(root.path()), augmentation).unwrap();
    let batches = assert_same_for_all_threads(views);
    for (_, _, views) in &batches {
        assert_eq!(views.len(), 2);
        assert_ne!(views[0], views[1]);
    }
    // Every pass changes its pictures anew.
    let firsts: Vec<_> = batches.iter().map(|(_, _, views)| &views[0]).collect();
    assert!((1..firsts.len()).all(|i| !firsts[..i].contains(&firsts[i])));
}
