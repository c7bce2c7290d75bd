//! Pictures of the embeddings of a test set, as files of a run.

use std::fs;
use std::path::Path;

use anyhow::Context;
use dml::candle_core::Tensor;
use dml::data::{ImageFiles, ImageFilesConfig, Resize};
use dml::embedding_pictures::{Pictured, draw, draw_embeddings};
use dml::{Dataset, IntoLabels, Labels};
use serde::{Deserialize, Serialize};

use crate::evaluation::{Embedded, EvaluationSet};
use crate::run_folder::{FIGURES, RunFolder, write};

/// Height and width of images on the page, in pixels.
const THUMBNAIL: usize = 96;
/// The list of the figures.
const LIST: &str = "figures.json";

/// A figure of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FigureFile {
    /// The file in the folder of the figures.
    pub file: String,
    /// What it shows.
    pub caption: String,
}

/// Draws what the embeddings look like; nothing for pairs, which have no classes.
///
/// # Errors
/// Images that can't be read any more, a disk that is full.
pub fn write_all(run: &RunFolder, set: &EvaluationSet, embedded: &Embedded) -> anyhow::Result<()> {
    let labels = numbered(&embedded.labels)?;
    // Queries among a gallery are drawn among each other: the gallery may be of another size by far.
    let pictures = match set.images() {
        Some(images) => {
            let files = thumbnails(images)?;
            let shown = |rows: &[usize]| -> dml::Result<Tensor> {
                Ok(files.fetch(rows, 0)?.views()[0].clone())
            };
            let queries = Pictured {
                embeddings: &embedded.queries,
                labels: &labels,
                images: &shown,
            };
            draw(&queries, None)?
        }
        None if embedded.gallery.is_none() => draw_embeddings(&embedded.queries, &labels)?,
        // Pairs have no classes.
        None => return Ok(()),
    };
    let folder = run.path(FIGURES);
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let mut list = Vec::new();
    for picture in pictures {
        let file = format!("{}.svg", picture.name);
        write(&folder.join(&file), picture.drawing.to_svg()?.as_bytes())?;
        list.push(FigureFile {
            file,
            caption: picture.caption,
        });
    }
    // Last: a list names files that are there.
    write(&folder.join(LIST), &serde_json::to_vec_pretty(&list)?)
}

/// Labels from 0 without gaps, in the same order: the numbers in the list of the test set's classes.
fn numbered(labels: &Labels) -> dml::Result<Labels> {
    let mut present = labels.as_slice().to_vec();
    present.sort_unstable();
    present.dedup();
    // Labels below 0 are of no class and have no number.
    let first = present.partition_point(|label| *label < 0);
    let number = |label: &i64| match *label {
        junk @ ..0 => junk,
        label => (present.partition_point(|own| *own < label) - first) as i64,
    };
    let numbers: Vec<i64> = labels.as_slice().iter().map(number).collect();
    numbers.into_labels()
}

/// The figures of a run with their SVG; none before it has ended.
///
/// # Errors
/// Files that are damaged.
pub fn read_all(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let folder = folder.join(FIGURES);
    let path = folder.join(LIST);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read(&path).with_context(|| path.display().to_string())?;
    let list: Vec<FigureFile> =
        serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let read = |own: FigureFile| {
        let path = folder.join(&own.file);
        let svg = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok((own.caption, svg))
    };
    list.into_iter().map(read).collect()
}

/// The images in their own proportions, small.
pub(crate) fn thumbnails(images: &ImageFiles) -> anyhow::Result<ImageFiles> {
    let config = ImageFilesConfig {
        size: [THUMBNAIL, THUMBNAIL],
        channels: 3,
        resize: Resize::CenterCrop,
        ..images.config().clone()
    };
    Ok(images.with_config(config)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_numbers_of_the_list() -> dml::Result<()> {
        let labels = [7i64, 2, -1, 7, 9].into_labels()?;
        assert_eq!(numbered(&labels)?.as_slice(), [1, 0, -1, 1, 2]);
        Ok(())
    }
}
