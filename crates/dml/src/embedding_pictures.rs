//! What embeddings look like: one call for every picture of a set of queries and what they find.
//!
//! | name | picture |
//! |---|---|
//! | `confusion` | classes of queries, and of their nearest reference |
//! | `pca`, `tsne` | the first queries in the plane |
//! | `roc`, `det` | pairs of the first queries: errors of verification at every threshold |
//! | `neighbors` | queries as images with their nearest references, mistakes first |

use candle_core::Tensor;
use dml_core::{Batch, Labels, Result, check};
use dml_distances::{LpDistance, LpDistanceConfig};
use dml_eval::pictures::{
    Drawing, confusion_matrix, det_curve, neighbor_sheet, roc_curve, scatter,
};
use dml_eval::{
    Confusion, FlatIndex, FlatMetric, KnnIndex, Neighbors, Pca, SelfMatch, TSne, TSneConfig,
    Verification,
};

/// Queries in the plane, and in the pairs of the curves.
const SHOWN: usize = 1_000;
/// Classes of the table of confusion, which has a square for each two of them.
const CLASSES: usize = 100;
/// Rows of the sheet of neighbours, and neighbours in each.
const SHEET: usize = 10;

/// Embeddings `[n, dim]` with their classes, and images of them.
#[derive(Clone, Copy)]
pub struct Pictured<'a> {
    /// Rows of any length: they are compared by cosine.
    pub embeddings: &'a Tensor,
    /// The class of each row.
    pub labels: &'a Labels,
    /// Images `[rows, channels, height, width]` of chosen rows, of numbers from 0 (black) to 1 (white).
    pub images: &'a dyn Fn(&[usize]) -> Result<Tensor>,
}

impl Pictured<'_> {
    fn check(&self, arg: &'static str) -> Result<()> {
        let rows = self.embeddings.dims().first().copied().unwrap_or(0);
        check::length(arg, rows, self.labels.len())
    }
}

dml_core::debug_fields!(Pictured<'_>, |own| { embeddings: own.embeddings });

/// A drawing, its name for a file, and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// A word of small letters.
    pub name: &'static str,
    /// A phrase.
    pub caption: String,
    /// What is to be seen.
    pub drawing: Drawing,
}

/// The names of all pictures that there may be.
pub const NAMES: [&str; 6] = ["confusion", "pca", "tsne", "roc", "det", "neighbors"];

/// Every picture of queries among references, or, without these, among each other.
///
/// What can't be drawn of so few rows is left out: t-SNE takes five queries, PCA two of two numbers, the curves a pair of
/// one class and a pair of two. So is the confusion of more than a hundred classes.
///
/// ```
/// use dml::candle_core::{Device, Tensor};
/// use dml::embedding_pictures::{Pictured, draw};
/// use dml::{IntoLabels, TensorExt};
///
/// let images = Tensor::rand(0f32, 1., (8, 1, 4, 4), &Device::Cpu)?;
/// let labels = [0i64, 1, 0, 1, 0, 1, 0, 1].into_labels()?;
/// let chosen = |rows: &[usize]| -> dml::Result<Tensor> {
///     let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
///     Ok(images.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?)
/// };
/// let embeddings = images.flatten_from(1)?;
/// let queries = Pictured { embeddings: &embeddings, labels: &labels, images: &chosen };
/// let pictures = draw(&queries, None)?;
/// assert_eq!(pictures.len(), 6);
/// assert!(pictures[0].drawing.to_svg()?.starts_with("<svg"));
/// # Ok::<(), dml::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`](dml_core::Error::Length) if there are not as many labels as embeddings; as the index and the
/// pictures for embeddings that are not rows of finite numbers, images that are not as many, no reference.
pub fn draw(queries: &Pictured<'_>, references: Option<&Pictured<'_>>) -> Result<Vec<Picture>> {
    let own = if references.is_some() {
        SelfMatch::None
    } else {
        SelfMatch::Same
    };
    let references = references.unwrap_or(queries);
    queries.check("query labels")?;
    references.check("reference labels")?;
    let mut index = FlatIndex::new(FlatMetric::Cosine);
    index.add(references.embeddings)?;
    let nearest = index.search_others(queries.embeddings, 1, own)?.indices;
    let known = references.labels.as_slice();
    let given: Vec<i64> = nearest.iter().map(|row| known[*row as usize]).collect();
    let mut pictures = without_images(queries.embeddings, queries.labels, &given)?;
    let rows = chosen(
        &queries.labels.as_slice()[..SHOWN.min(queries.labels.len())],
        &given,
    );
    let drawing = sheet(queries, references, (&index, own), &rows)?;
    let caption = "the first mistakes and the first of each class, with their nearest; green frames are of the same class";
    pictures.push(Picture {
        name: "neighbors",
        caption: caption.to_owned(),
        drawing,
    });
    Ok(pictures)
}

/// Every picture of embeddings `[n, dim]` among each other that needs no images: all of [`draw`]'s but the neighbours.
///
/// ```
/// use dml::IntoLabels;
/// use dml::candle_core::{Device, Tensor};
/// use dml::embedding_pictures::draw_embeddings;
///
/// let embeddings = Tensor::rand(0f32, 1., (8, 4), &Device::Cpu)?;
/// let labels = [0i64, 1, 0, 1, 0, 1, 0, 1].into_labels()?;
/// assert_eq!(draw_embeddings(&embeddings, &labels)?.len(), 5);
/// # Ok::<(), dml::Error>(())
/// ```
///
/// # Errors
/// As [`draw`].
pub fn draw_embeddings(embeddings: &Tensor, labels: &Labels) -> Result<Vec<Picture>> {
    let rows = embeddings.dims().first().copied().unwrap_or(0);
    check::length("query labels", rows, labels.len())?;
    let mut index = FlatIndex::new(FlatMetric::Cosine);
    index.add(embeddings)?;
    let nearest = index.search_others(embeddings, 1, SelfMatch::Same)?.indices;
    let known = labels.as_slice();
    let given: Vec<i64> = nearest.iter().map(|row| known[*row as usize]).collect();
    without_images(embeddings, labels, &given)
}

/// The pictures of queries whose nearest references are of the classes `given`.
fn without_images(embeddings: &Tensor, labels: &Labels, given: &[i64]) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    let mut push = |name, caption: String, drawing| {
        pictures.push(Picture {
            name,
            caption,
            drawing,
        });
    };
    let mut present = [labels.as_slice(), given].concat();
    present.sort_unstable();
    present.dedup();
    if present.len() <= CLASSES {
        let confusion = Confusion::new(labels, given)?;
        let caption = "classes, and what they are taken for: the class of the nearest";
        let drawing = confusion_matrix(&confusion);
        push("confusion", caption.to_owned(), drawing);
    }

    let count = SHOWN.min(labels.len());
    let shown = embeddings.narrow(0, 0, count)?;
    let classes = &labels.as_slice()[..count];
    if count >= 2 && shown.dims()[1] >= 2 {
        let plane = Pca::fit(&shown, 2, false)?.transform(&shown)?;
        let caption = format!("the two principal components of the first {count}");
        push("pca", caption, scatter("PCA", &plane, classes)?);
    }
    if count >= 5 {
        let config = TSneConfig {
            perplexity: (count as f64 / 4.0).min(30.0),
            ..TSneConfig::default()
        };
        let plane = TSne::new(config)?.fit(&shown)?;
        let caption = format!("t-SNE of the first {count}");
        push("tsne", caption, scatter("t-SNE", &plane, classes)?);
    }
    if has_both_pairs(classes) {
        let distance = LpDistance::new(LpDistanceConfig::default())?;
        let pairs = Verification::of_batch(&Batch::new(&shown, classes)?, &distance)?;
        let caption = |errors: &str| format!("pairs of the first {count}: {errors}");
        push("roc", caption("true and false accepts"), roc_curve(&pairs));
        push(
            "det",
            caption("false rejects and false accepts"),
            det_curve(&pairs),
        );
    }
    Ok(pictures)
}

/// Whether there is a pair of one class and a pair of two, without which there are no rates.
fn has_both_pairs(classes: &[i64]) -> bool {
    let mut classes = classes.to_vec();
    classes.sort_unstable();
    let same = |pair: &[i64]| pair[0] == pair[1];
    classes.windows(2).any(same) && !classes.windows(2).all(same)
}

/// Mistakes first, up to half of the sheet; then one row of each class, as far as there is room.
fn chosen(classes: &[i64], given: &[i64]) -> Vec<usize> {
    let wrong = (0..classes.len()).filter(|&row| given[row] != classes[row]);
    let mut rows: Vec<usize> = wrong.take(SHEET / 2).collect();
    let mut seen: Vec<i64> = Vec::new();
    for (row, class) in classes.iter().enumerate() {
        if rows.len() == SHEET {
            break;
        }
        if !seen.contains(class) {
            seen.push(*class);
            rows.push(row);
        }
    }
    rows
}

/// These queries with what they find.
fn sheet(
    queries: &Pictured<'_>,
    references: &Pictured<'_>,
    (index, own): (&FlatIndex, SelfMatch<'_>),
    rows: &[usize],
) -> Result<Drawing> {
    let itself = |&row: &usize| matches!(own, SelfMatch::Same).then_some(row as u32);
    let own: Vec<Option<u32>> = rows.iter().map(itself).collect();
    let k = SHEET.min(index.len() - usize::from(own.iter().any(Option::is_some)));
    let places: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
    let places = Tensor::from_vec(places, rows.len(), queries.embeddings.device())?;
    let chosen = queries.embeddings.index_select(&places, 0)?;
    let found = index.search_others(&chosen, k, SelfMatch::Rows(&own))?;
    let neighbors: Vec<usize> = found.indices.iter().map(|row| *row as usize).collect();
    // Only the images that are shown, numbered anew.
    let shown = Neighbors {
        indices: (0..neighbors.len() as u32).collect(),
        ..found
    };
    let images = ((queries.images)(rows)?, (references.images)(&neighbors)?);
    let (classes, known) = (queries.labels.as_slice(), references.labels.as_slice());
    neighbor_sheet(&images.0, &images.1, &shown, |q, r| {
        classes[rows[q]] == known[neighbors[r]]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use dml_core::Error;
    use dml_core::IntoLabels;

    /// Rows on a circle, those of a class close together.
    fn rows(count: usize) -> (Tensor, Labels) {
        let labels: Vec<i64> = (0..count as i64).map(|row| row % 3).collect();
        let values = labels.iter().enumerate().flat_map(|(row, class)| {
            let angle = *class as f32 + 0.001 * row as f32;
            [angle.cos(), angle.sin()]
        });
        let values: Vec<f32> = values.collect();
        let rows = Tensor::from_vec(values, (count, 2), &Device::Cpu).unwrap();
        (rows, labels.into_labels().unwrap())
    }

    fn images(rows: &[usize]) -> Result<Tensor> {
        Ok(Tensor::zeros(
            (rows.len(), 3, 2, 2),
            candle_core::DType::F32,
            &Device::Cpu,
        )?)
    }

    fn names(pictures: &[Picture]) -> Vec<&str> {
        pictures.iter().map(|picture| picture.name).collect()
    }

    #[test]
    fn few_rows_have_fewer_pictures_and_no_error() -> Result<()> {
        let (references, known) = rows(9);
        let references = Pictured {
            embeddings: &references,
            labels: &known,
            images: &images,
        };
        for (count, expected) in [
            (1, &["confusion", "neighbors"][..]),
            (3, &["confusion", "pca", "neighbors"]),
            (4, &["confusion", "pca", "roc", "det", "neighbors"]),
            (6, &NAMES),
        ] {
            let (embeddings, labels) = rows(count);
            let queries = Pictured {
                embeddings: &embeddings,
                labels: &labels,
                images: &images,
            };
            assert_eq!(
                names(&draw(&queries, Some(&references))?),
                expected,
                "{count}"
            );
        }
        Ok(())
    }

    #[test]
    fn among_each_other_no_row_finds_itself() -> Result<()> {
        let (embeddings, _) = rows(6);
        // Every row's class is that of the row after the next: the nearest is always of the same class.
        let labels = [0i64, 1, 2, 0, 1, 2].into_labels()?;
        let queries = Pictured {
            embeddings: &embeddings,
            labels: &labels,
            images: &images,
        };
        let pictures = draw(&queries, None)?;
        let svg = pictures[0].drawing.to_svg()?;
        assert!(svg.contains("accuracy 100.0%"), "{svg}");
        // Three queries, and five others for each.
        let sheet = pictures[5].drawing.to_svg()?;
        assert_eq!(sheet.matches("<image").count(), 3 * 6);
        // One of the five has its class.
        assert_eq!(sheet.matches("#008c46").count(), 3);
        // With another class each, all are mistakes.
        let apart = [0i64, 1, 2, 3, 4, 5].into_labels()?;
        let queries = Pictured {
            labels: &apart,
            ..queries
        };
        let pictures = draw(&queries, None)?;
        assert_eq!(names(&pictures), ["confusion", "pca", "tsne", "neighbors"]);
        assert!(pictures[0].drawing.to_svg()?.contains("accuracy 0.0%"));
        Ok(())
    }

    #[test]
    fn labels_that_are_not_as_many_are_refused_and_many_classes_are_no_table() -> Result<()> {
        let (embeddings, labels) = rows(6);
        let (_, fewer) = rows(5);
        let of = |labels| Pictured {
            embeddings: &embeddings,
            labels,
            images: &images,
        };
        for (queries, references) in [(&fewer, &labels), (&labels, &fewer)] {
            let refused = draw(&of(queries), Some(&of(references)));
            let length = matches!(
                refused,
                Err(Error::Length {
                    expected: 6,
                    got: 5,
                    ..
                })
            );
            assert!(length, "{refused:?}");
        }
        let (embeddings, _) = rows(CLASSES + 1);
        let labels: Vec<i64> = (0..=CLASSES as i64).collect();
        let labels = labels.into_labels()?;
        let queries = Pictured {
            embeddings: &embeddings,
            labels: &labels,
            images: &images,
        };
        assert_eq!(names(&draw(&queries, None)?), ["pca", "tsne", "neighbors"]);
        Ok(())
    }

    #[test]
    fn mistakes_come_first_and_then_every_class() {
        let classes = [0, 0, 1, 1, 2, 2];
        assert_eq!(chosen(&classes, &[0, 1, 1, 1, 2, 2]), [1, 0, 2, 4]);
        let (many, wrong) = (vec![7; 30], vec![8; 30]);
        assert_eq!(chosen(&many, &wrong), [0, 1, 2, 3, 4, 0]);
    }
}
