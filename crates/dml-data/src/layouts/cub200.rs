//! CUB-200-2011: 11,788 photos of 200 species of birds.
//!
//! ```text
//! CUB_200_2011/
//!   images.txt               1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
//!   image_class_labels.txt   1 1
//!   classes.txt              1 001.Black_footed_Albatross
//!   train_test_split.txt     1 0                               published split: 1 is train
//!   bounding_boxes.txt       1 60.0 27.0 325.0 304.0           left, top, width, height
//!   images/001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
//! ```

use std::collections::HashMap;

use super::folder::Folder;
use super::list_file::ListFile;
use super::{LayoutConfig, Protocol, Published};
use crate::{Entry, Manifest, PixelBox, Result};

/// Classes up to this number are those to learn from.
const LAST_TRAIN_CLASS: u64 = 100;

pub(super) fn read(folder: &Folder<'_>, config: &LayoutConfig) -> Result<Published> {
    let images = folder.list(&["images.txt"])?;
    let classes = folder.list(&["classes.txt"])?;
    let class_of = numbers(&folder.list(&["image_class_labels.txt"])?, "class")?;
    let files = folder.find(&["images"])?;
    let is_train = match config.protocol {
        Protocol::Published => Some(numbers(
            &folder.list(&["train_test_split.txt"])?,
            "is_training",
        )?),
        Protocol::UnseenClasses => None,
    };
    let boxes = match config.boxes {
        true => Some(read_boxes(&folder.list(&["bounding_boxes.txt"])?)?),
        false => None,
    };
    let mut names = HashMap::new();
    let mut ordered = Vec::new();
    for line in classes.lines() {
        let [class, name] = line.words(["class", "name"])?;
        let class = line.whole("class", class)?;
        if names.insert(class, name.to_owned()).is_some() {
            return Err(line.wrong("class", "one line for each class", name));
        }
        ordered.push((class, name.to_owned()));
    }
    ordered.sort();
    let mut entries = Vec::new();
    for line in images.lines() {
        let [id, path] = line.words(["image", "path"])?;
        let (image, path) = (line.whole("image", id)?, line.path("path", path)?);
        let class = class_of.get(&image);
        let class = *class.ok_or_else(|| {
            line.wrong(
                "image",
                "an image with a line in image_class_labels.txt",
                id,
            )
        })?;
        let name = names.get(&class).ok_or_else(|| {
            let expected = "an image of a class with a line in classes.txt";
            line.wrong("image", expected, id)
        })?;
        let train = match &is_train {
            Some(is_train) => {
                *is_train.get(&image).ok_or_else(|| {
                    line.wrong("image", "an image with a line in train_test_split.txt", id)
                })? == 1
            }
            None => class <= LAST_TRAIN_CLASS,
        };
        let bounding_box = boxes.as_ref().map(|boxes| {
            let expected = "an image with a line in bounding_boxes.txt";
            boxes
                .get(&image)
                .copied()
                .ok_or_else(|| line.wrong("image", expected, id))
        });
        entries.push(Entry {
            split: Some(if train { "train" } else { "test" }.to_owned()),
            bounding_box: bounding_box.transpose()?,
            ..Entry::new(files.join(path), name)
        });
    }
    let names = ordered.into_iter().map(|(_, name)| name).collect();
    Manifest::with_classes(folder.root(), entries, names).map(Published::new)
}

/// The number that stands beside each image.
fn numbers(list: &ListFile, column: &'static str) -> Result<HashMap<u64, u64>> {
    let mut numbers = HashMap::new();
    for line in list.lines() {
        let [image, number] = line.words(["image", column])?;
        let number = line.whole(column, number)?;
        if numbers
            .insert(line.whole("image", image)?, number)
            .is_some()
        {
            return Err(line.wrong("image", "one line for each image", image));
        }
    }
    Ok(numbers)
}

fn read_boxes(list: &ListFile) -> Result<HashMap<u64, PixelBox>> {
    let mut boxes = HashMap::new();
    for line in list.lines() {
        let [image, x, y, width, height] =
            line.words(["image", "left", "top", "width", "height"])?;
        let own = line.pixel_box([x, y, width, height], PixelBox::from_size)?;
        boxes.insert(line.whole("image", image)?, own);
    }
    Ok(boxes)
}
