//! Published data sets, from the folder to the figures: roles, cameras, junk and folds reach the metrics.

use std::path::{Path, PathBuf};

use dml::candle_core::{Device, Tensor};
use dml::data::layouts::{LayoutConfig, layout};
use dml::data::{ImageFiles, ImageFilesConfig, Role};
use dml::eval::{
    AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex, FlatMetric,
    RetrievalMetric, fold_accuracies, query_gallery_relation,
};
use dml::{Batch, Dataset, Order};

fn excerpt(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../dml-data/tests/inputs/layouts")
        .join(name)
}

#[test]
fn persons_of_market_1501_are_found_by_the_rules_of_their_paper() {
    let market = layout("market1501").unwrap();
    let market = market
        .read(excerpt("market1501"), &LayoutConfig::default())
        .unwrap();
    let part = |role| -> ImageFiles {
        let part = market.manifest.role(role).unwrap();
        part.images(ImageFilesConfig::default()).unwrap()
    };
    let (queries, gallery) = (part(Role::Query), part(Role::Gallery));
    let relation = query_gallery_relation(
        (queries.labels().as_slice(), queries.cameras().unwrap()),
        (gallery.labels().as_slice(), gallery.cameras().unwrap()),
    )
    .unwrap();
    // The gallery is junk, a distractor, person 1 by the same camera, person 1 by another one, and person 4 by another one.
    // The first query finds them in this order, the second one the other way round.
    let positions = |own: &[f32]| {
        Tensor::new(own, &Device::Cpu)
            .unwrap()
            .reshape(((), 1))
            .unwrap()
    };
    let query = positions(&[0., 10.]);
    let gallery = positions(&[1., 2., 3., 4., 5.]);
    let batch = Batch::unlabeled(&query).unwrap();
    let batch = batch.with_unlabeled_reference(&gallery).unwrap();
    let batch = batch.with_relation(relation).unwrap();
    let config = AccuracyCalculatorConfig {
        exclude: AccuracyMetric::ALL.to_vec(),
        retrieval: vec![
            RetrievalMetric::MeanAveragePrecision,
            RetrievalMetric::HitRateAt(1),
        ],
        ..AccuracyCalculatorConfig::default()
    };
    let index = FlatIndex::new(FlatMetric::SquaredEuclidean);
    let found = AccuracyCalculator::new(config, index).unwrap();
    let found = found.get_accuracy(&batch).unwrap();
    // Junk and the same camera do not count: distractor, match, no match; and match first.
    assert_eq!(
        found.get("mean_average_precision").unwrap().value,
        (0.5 + 1.0) / 2.0
    );
    assert_eq!(found.get("hit_rate_at_1").unwrap().value, 0.5);
}

#[test]
fn pairs_of_labeled_faces_are_verified_fold_by_fold() {
    let faces = layout("lfw").unwrap();
    let faces = faces
        .read(excerpt("lfw"), &LayoutConfig::default())
        .unwrap();
    let list = faces.pairs("test").unwrap();
    // Distances of an embedding that confuses nothing but one pair of the second fold.
    let same: Vec<bool> = list.pairs.iter().map(|pair| pair.same).collect();
    let mut distances: Vec<f64> = same
        .iter()
        .map(|same| if *same { 0.2 } else { 0.8 })
        .collect();
    distances[4] = 0.9;
    let found = fold_accuracies(&distances, &same, Order::SmallerIsCloser, list.folds).unwrap();
    assert_eq!(found.accuracies, [1.0, 0.75]);
}
