//! Re-identification from a table to the mean average precision: cameras, junk, and rows that are query and gallery.

use dml::data::{ImageFiles, ImageFilesConfig, ImageSource, Manifest, Role};
use dml::eval::{
    AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex, query_gallery_relation,
};
use dml::{Batch, Dataset};

/// Brightness of each image, and its line of the table. An image's embedding is its brightness.
const ROWS: [(u8, &str); 8] = [
    (100, "7,query,1"),
    (101, "-1,gallery,2"), // junk, nearest of all
    (102, "7,gallery,1"),  // the same thing by the same camera
    (103, ",junk,3"),      // junk by its role
    (110, "7,gallery,2"),  // right
    (150, "9,both,1"),     // query and gallery
    (155, "9,gallery,2"),  // right for it
    (240, "0,gallery,1"),  // a thing that nobody looks for, as Market-1501 has them
];

fn embeddings(files: &ImageFiles) -> candle_core::Tensor {
    let rows: Vec<usize> = (0..files.paths().len()).collect();
    let images = files.fetch(&rows, 0).unwrap().views()[0].clone();
    images.flatten_from(1).unwrap().mean_keepdim(1).unwrap()
}

#[test]
fn the_protocol_of_market_1501_counts_only_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = "path,label,role,camera\n".to_owned();
    for (i, (grey, line)) in ROWS.iter().enumerate() {
        let image = image::GrayImage::from_pixel(4, 4, image::Luma([*grey]));
        image.save(folder.path().join(format!("{i}.png"))).unwrap();
        table.push_str(&format!("{i}.png,{line}\n"));
    }
    let path = folder.path().join("table.csv");
    std::fs::write(&path, table).unwrap();

    let config = ImageFilesConfig {
        size: [4, 4],
        channels: 1,
        ..ImageFilesConfig::default()
    };
    let table = Manifest::read(&path).unwrap();
    let part = |role| table.role(role).unwrap().images(config.clone()).unwrap();
    let (query, gallery) = (part(Role::Query), part(Role::Gallery));
    assert_eq!((query.paths().len(), gallery.paths().len()), (2, 7));
    let labels = |files: &ImageFiles| ImageSource::labels(files).as_slice().to_vec();
    let relation = query_gallery_relation(
        (&labels(&query), query.cameras().unwrap()),
        (&labels(&gallery), gallery.cameras().unwrap()),
    )
    .unwrap();
    let batch = Batch::unlabeled(&embeddings(&query))
        .and_then(|batch| batch.with_unlabeled_reference(&embeddings(&gallery)))
        .and_then(|batch| batch.with_relation(relation))
        .unwrap();
    let config = AccuracyCalculatorConfig {
        include: vec![
            AccuracyMetric::MeanAveragePrecision,
            AccuracyMetric::PrecisionAt1,
        ],
        ..Default::default()
    };
    let calculator = AccuracyCalculator::new(config, FlatIndex::default()).unwrap();
    let accuracies = calculator.get_accuracy(&batch).unwrap();
    for metric in ["mean_average_precision", "precision_at_1"] {
        assert_eq!(
            accuracies.get(metric).unwrap().per_query,
            [1.0, 1.0],
            "{metric}"
        );
    }
}
