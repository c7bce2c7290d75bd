//! Pictures of the embeddings of a test set, as files of a run.

use std::fs;
use std::path::Path;

use anyhow::Context;
use dml::Dataset;
use dml::candle_core::Tensor;
use dml::data::{ImageFiles, ImageFilesConfig, Resize};
use dml::embedding_pictures::{Pictured, draw};
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

/// Draws what the embeddings look like; nothing for sets without images.
///
/// # Errors
/// Images that can't be read any more, a disk that is full.
pub fn write_all(run: &RunFolder, set: &EvaluationSet, embedded: &Embedded) -> anyhow::Result<()> {
    let Some(images) = set.images() else {
        return Ok(());
    };
    // Queries among a gallery are drawn among each other: the gallery may be of another size by far.
    let files = thumbnails(images)?;
    let shown =
        |rows: &[usize]| -> dml::Result<Tensor> { Ok(files.fetch(rows, 0)?.views()[0].clone()) };
    let queries = Pictured {
        embeddings: &embedded.queries,
        labels: &embedded.labels,
        images: &shown,
    };
    let folder = run.path(FIGURES);
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let mut list = Vec::new();
    for picture in draw(&queries, None)? {
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
