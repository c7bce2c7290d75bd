//! What the embeddings look like.

use std::sync::Arc;

use dml::Batch;
use dml::candle_core::Tensor;
use dml::config::DistanceConfig;
use dml::data::{ImageDataset, Normalization};
use dml::eval::pictures::{
    Drawing, confusion_matrix, det_curve, neighbor_sheet, roc_curve, scatter,
};
use dml::eval::{Confusion, FlatIndex, KnnIndex, Pca, TSne, TSneConfig, Verification};

use super::outputs::Outputs;
use super::report::Figure;

/// Test images in the plane, and in the pairs of the curves.
const SHOWN: usize = 1_000;
/// Rows of the sheet of neighbours, and neighbours in each.
const SHEET: usize = 10;
/// Pixels as they are.
const PLAIN: Normalization = Normalization {
    mean: 0.0,
    std: 1.0,
};

/// The pictures, each an SVG and a PNG of that name.
pub(super) const NAMES: [&str; 6] = ["confusion", "pca", "tsne", "roc", "det", "neighbors"];

/// Writes every picture; these are they, with what they show. `nearest` is the nearest training image of each test
/// image, or empty where nobody has searched for it.
pub(super) fn write(
    outputs: &Outputs,
    test: (&Tensor, &ImageDataset),
    train: (&Tensor, &ImageDataset),
    nearest: &[u32],
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut save = |name: &str, caption: String, drawing: &Drawing| -> anyhow::Result<()> {
        debug_assert!(NAMES.contains(&name), "an earlier run's {name} would stay");
        let svg = drawing.to_svg()?;
        outputs.write(&format!("{name}.svg"), svg.as_bytes())?;
        outputs.write(&format!("{name}.png"), &drawing.to_png()?)?;
        figures.push(Figure { caption, svg });
        Ok(())
    };
    let mut index = FlatIndex::default();
    index.add(train.0)?;
    // Metrics don't search where no test image has a training image of its class.
    let searched;
    let nearest = if nearest.is_empty() {
        searched = index.search(test.0, 1)?.indices;
        &searched
    } else {
        nearest
    };
    let labels = train.1.labels().as_slice();
    let given: Vec<i64> = nearest.iter().map(|row| labels[*row as usize]).collect();
    let confusion = Confusion::new(test.1.labels(), &given)?;
    save(
        "confusion",
        "classes of test images and of the nearest training image".to_owned(),
        &confusion_matrix(&confusion),
    )?;

    let count = SHOWN.min(test.1.len());
    let shown = test.0.narrow(0, 0, count)?;
    let classes = &test.1.labels().as_slice()[..count];
    let plane = Pca::fit(&shown, 2, false)?.transform(&shown)?;
    let of_shown = |what: &str| format!("{what} of the first {count} test images");
    save(
        "pca",
        of_shown("the two principal components"),
        &scatter("PCA", &plane, classes)?,
    )?;
    let config = TSneConfig {
        perplexity: (count as f64 / 4.0).min(30.0),
        ..TSneConfig::default()
    };
    save(
        "tsne",
        of_shown("t-SNE"),
        &scatter("t-SNE", &TSne::new(config)?.fit(&shown)?, classes)?,
    )?;
    let distance: Arc<_> = DistanceConfig::from_json("LpDistance")?.build()?;
    let pairs = Verification::of_batch(&Batch::new(&shown, classes)?, &*distance)?;
    save("roc", of_shown("pairs"), &roc_curve(&pairs))?;
    save("det", of_shown("pairs"), &det_curve(&pairs))?;

    // Mistakes first, up to half of the sheet; then one image of each class, as far as there are so many.
    let wrong = (0..count).filter(|&row| given[row] != classes[row]);
    let mut rows: Vec<usize> = wrong.take(SHEET / 2).collect();
    let mistakes = rows.len();
    let first_of = |class: i64| classes.iter().position(|other| *other == class);
    rows.extend((0..SHEET as i64).filter_map(first_of));
    rows.truncate(SHEET);
    let chosen: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
    let chosen = Tensor::from_vec(chosen, rows.len(), test.0.device())?;
    let found = index.search(&test.0.index_select(&chosen, 0)?, SHEET.min(index.len()))?;
    let queries = test.1.batch(&rows, PLAIN, &dml::candle_core::Device::Cpu)?;
    // Only the images that are shown, numbered anew.
    let neighbors: Vec<usize> = found.indices.iter().map(|row| *row as usize).collect();
    let references = train
        .1
        .batch(&neighbors, PLAIN, &dml::candle_core::Device::Cpu)?;
    let mut renumbered = found.clone();
    renumbered.indices = (0..neighbors.len() as u32).collect();
    let sheet = neighbor_sheet(&queries, &references, &renumbered, |q, r| {
        classes[rows[q]] == labels[neighbors[r]]
    })?;
    let caption = format!(
        "test images with their nearest training images, the {mistakes} first with a wrong one at the front; green frames \
         are of the same class"
    );
    save("neighbors", caption, &sheet)?;
    Ok(figures)
}
