//! The pictures of a run: each an SVG and a PNG of its name, and a figure of the page.

use dml::candle_core::{Device, Tensor};
use dml::data::{ImageDataset, Normalization};
use dml::embedding_pictures::{self, Pictured};
use dml::eval::pictures::{Drawing, line_chart};
use dml::report::Figure;

use crate::history::History;
use crate::outputs::{CURVES, Outputs, picture_names};

/// Pixels as they are.
const PLAIN: Normalization = Normalization {
    mean: 0.0,
    std: 1.0,
};

/// Loss and tuples by iteration, and Precision@1 by epoch where it was measured.
pub(crate) fn curves(
    outputs: &Outputs,
    history: &History,
    has_miner: bool,
) -> anyhow::Result<Vec<Figure>> {
    let iterations = history.iterations();
    let losses: Vec<f64> = iterations.iter().map(|done| f64::from(done.loss)).collect();
    let tuples: Vec<f64> = iterations.iter().map(|done| done.mined as f64).collect();
    let precisions = history.precisions();
    let counted = if has_miner { "mined tuples" } else { "values" };
    let all = [
        ("loss", ("iteration", 0), &losses),
        (counted, ("iteration", 0), &tuples),
        ("Precision@1", ("epoch", 1), &precisions),
    ];
    let mut figures = Vec::new();
    for (file, (name, along, values)) in CURVES.into_iter().zip(all) {
        if !values.is_empty() {
            let caption = format!("{name}, by {}", along.0);
            figures.push(save(
                outputs,
                file,
                caption,
                &line_chart(name, along, values),
            )?);
        }
    }
    Ok(figures)
}

/// What the embeddings of test images look like among those of training images.
pub(crate) fn embeddings(
    outputs: &Outputs,
    test: (&Tensor, &ImageDataset),
    train: (&Tensor, &ImageDataset),
) -> anyhow::Result<Vec<Figure>> {
    let test_images = |rows: &[usize]| test.1.batch(rows, PLAIN, &Device::Cpu);
    let train_images = |rows: &[usize]| train.1.batch(rows, PLAIN, &Device::Cpu);
    let queries = Pictured {
        embeddings: test.0,
        labels: test.1.labels(),
        images: &test_images,
    };
    let references = Pictured {
        embeddings: train.0,
        labels: train.1.labels(),
        images: &train_images,
    };
    let pictures = embedding_pictures::draw(&queries, Some(&references))?;
    let pictures = pictures.into_iter();
    pictures
        .map(|picture| save(outputs, picture.name, picture.caption, &picture.drawing))
        .collect()
}

fn save(
    outputs: &Outputs,
    name: &str,
    caption: String,
    drawing: &Drawing,
) -> anyhow::Result<Figure> {
    debug_assert!(
        picture_names().any(|own| own == name),
        "an earlier run's {name} would stay"
    );
    let svg = drawing.to_svg()?;
    outputs.write(&format!("{name}.svg"), svg.as_bytes())?;
    outputs.write(&format!("{name}.png"), &drawing.to_png()?)?;
    Ok(Figure::new(caption, svg))
}
