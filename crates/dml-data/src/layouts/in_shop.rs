//! In-shop Clothes Retrieval Benchmark (DeepFashion): 52,712 photos of 7,982 articles of clothing.
//!
//! ```text
//! Eval/list_eval_partition.txt     52712
//!                                  image_name item_id evaluation_status
//!                                  img/WOMEN/Dresses/id_00000002/02_1_front.jpg id_00000002 train
//! Anno/list_bbox_inshop.txt        52712
//!                                  image_name clothes_type pose_type x_1 y_1 x_2 y_2
//! Img/img/WOMEN/Dresses/id_00000002/02_1_front.jpg
//! ```
//!
//! The status is `train`, `query` or `gallery`; articles of the first are in neither of the others. The lists may also
//! lie in the folder itself, as may `img`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::list_file::{Line, ListFile};
use super::{LayoutConfig, Published};
use crate::{Entry, Manifest, PixelBox, Result, Role};

pub(super) fn read(folder: &Folder<'_>, config: &LayoutConfig) -> Result<Published> {
    let name = "list_eval_partition.txt";
    let list = folder.list(&[&format!("Eval/{name}"), name])?;
    let images = folder.find(&["img", "Img/img"])?;
    let base = images.parent().unwrap_or(folder.root()).to_path_buf();
    let boxes = match config.boxes {
        true => {
            let name = "list_bbox_inshop.txt";
            Some(read_boxes(&folder.list(&[&format!("Anno/{name}"), name])?)?)
        }
        false => None,
    };
    let mut entries = Vec::new();
    for line in body(&list, ["image_name", "item_id", "evaluation_status"])? {
        let [path, item, status] = line.words(["image_name", "item_id", "evaluation_status"])?;
        let image = line.path("image_name", path)?;
        let (split, role) = match status {
            "train" => ("train", None),
            "query" => ("test", Some(Role::Query)),
            "gallery" => ("test", Some(Role::Gallery)),
            other => {
                let expected = "train, query or gallery";
                return Err(line.wrong("evaluation_status", expected, other));
            }
        };
        let bounding_box = boxes.as_ref().map(|boxes| {
            let expected = "an image with a line in list_bbox_inshop.txt";
            boxes
                .get(&image)
                .copied()
                .ok_or_else(|| line.wrong("image_name", expected, path))
        });
        entries.push(Entry {
            split: Some(split.to_owned()),
            role,
            category: category(&image),
            bounding_box: bounding_box.transpose()?,
            ..Entry::new(base.join(&image), item)
        });
    }
    Manifest::new(folder.root(), entries).map(Published::new)
}

/// `WOMEN/Dresses` of `img/WOMEN/Dresses/id_00000002/02_1_front.jpg`.
fn category(image: &Path) -> Option<String> {
    let article = image.parent()?.parent()?;
    let parts = article.iter().skip(1).map(|part| part.to_str());
    let parts = parts.collect::<Option<Vec<_>>>()?;
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The lines behind their number and the names of the columns.
fn body<'a, const N: usize>(list: &'a ListFile, columns: [&str; N]) -> Result<Vec<Line<'a>>> {
    let first = list.first()?;
    let count = first.whole("1", first.text)?;
    let mut lines = list.lines().skip(1);
    let header = lines.next().ok_or_else(|| {
        list.fault(
            first.number + 1,
            "1",
            "the names of the columns",
            "the end of the file",
        )
    })?;
    if header.split() != columns {
        return Err(header.wrong("1", "the names of the columns of this list", header.text));
    }
    let lines: Vec<Line<'a>> = lines.collect();
    if lines.len() as u64 != count {
        let found = format!("{} lines for a number of {count}", lines.len());
        return Err(first.fault("1", "as many lines as the first one says", found));
    }
    Ok(lines)
}

fn read_boxes(list: &ListFile) -> Result<HashMap<PathBuf, PixelBox>> {
    let columns = [
        "image_name",
        "clothes_type",
        "pose_type",
        "x_1",
        "y_1",
        "x_2",
        "y_2",
    ];
    let mut boxes = HashMap::new();
    for line in body(list, columns)? {
        let [path, _, _, x1, y1, x2, y2] = line.words(columns)?;
        let own = line.pixel_box([x1, y1, x2, y2], PixelBox::from_corners)?;
        boxes.insert(line.path("image_name", path)?, own);
    }
    Ok(boxes)
}
