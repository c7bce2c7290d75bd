//! The results as a page to look at.

use dml::Dataset;
use dml::candle_core::Tensor;
use dml::data::ImageFolder;
use dml::embedding_pictures::{Pictured, draw};
use dml::eval::pictures::line_chart;
use dml::report::{Figure, Page};

use super::Results;
use super::results::write_whole;

/// Least width of an image on the page that was reduced, in pixels.
const THUMBNAIL: usize = 96;

/// Writes `report.html`: metrics before and after training, the loss of every epoch, and what the embeddings of the test
/// pictures look like.
pub(super) fn write(
    results: &Results,
    embeddings: &Tensor,
    test: &ImageFolder,
) -> anyhow::Result<()> {
    let (train, judged) = (&results.train, &results.test);
    let mut page = Page::new(
        "An embedding of pictures, judged by unseen classes",
        format!("learnt from {train}; judged by {judged}"),
    );
    for name in ["precision_at_1", "mean_average_precision_at_r", "NMI"] {
        if let Some(value) = results.metrics.get(name) {
            page.fact(name.replace('_', " "), format!("{value:.4}"));
        }
    }
    page.fact("training", format!("{:.1} s", results.train_seconds));
    let losses = line_chart("loss", ("epoch", 1), &results.losses).to_svg()?;
    page.figures("Training", [Figure::new("mean loss, by epoch", losses)]);
    // The folder's images have values from 0 to 1, before any normalisation.
    let images =
        |rows: &[usize]| -> dml::Result<Tensor> { thumbnails(&test.fetch(rows, 0)?.views()[0]) };
    let queries = Pictured {
        embeddings,
        labels: test.labels(),
        images: &images,
    };
    let mut figures = Vec::new();
    for picture in draw(&queries, None)? {
        figures.push(Figure::new(picture.caption, picture.drawing.to_svg()?));
    }
    page.figures("Embeddings of unseen classes", figures);
    let before = |name| results.metrics_before_training.get(name).copied();
    let rows = results.metrics.iter().map(|(name, after)| {
        let before = before(name).unwrap_or(f64::NAN);
        [name.clone(), format!("{before:.4}"), format!("{after:.4}")]
    });
    page.table("Metrics", &["", "before", "after"], rows);
    let classes = judged.classes.iter().enumerate();
    let classes = classes.map(|(number, name)| [number.to_string(), name.clone()]);
    page.table("Classes by number", &[], classes);
    write_whole(
        &results.config.out,
        "report.html",
        page.to_string().as_bytes(),
    )
}

/// Images reduced by a whole factor, so that the page stays small.
fn thumbnails(images: &Tensor) -> dml::Result<Tensor> {
    match images.dims()[3] / THUMBNAIL {
        0 | 1 => Ok(images.clone()),
        factor => Ok(images.avg_pool2d(factor)?),
    }
}
