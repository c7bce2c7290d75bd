//! iNaturalist 2018: photos of 8,142 species.
//!
//! ```text
//! train2018.json, val2018.json          images: [{id, file_name}], annotations: [{image_id, category_id}],
//!                                       categories: [{id, name, supercategory}]
//! train_val2018/Aves/2761/….jpg
//! Inat_dataset_splits/Inaturalist_train_set1.txt, Inaturalist_test_set1.txt      a path of an image a line
//! ```
//!
//! The two lists divide the species by those to learn from and those to test with: Brown, Xie, Kalogeiton, Zisserman,
//! "Smooth-AP", 2020, arXiv:2007.12163. They are published apart from the data set. [`Protocol::Published`] takes `train2018.json`
//! to learn from and `val2018.json` to test with, of all species, and needs no list.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::folder::{Folder, inner};
use super::list_file::read_bounded;
use super::{LayoutConfig, Protocol, Published};
use crate::error::shortened;
use crate::{DataError, Entry, Manifest, Result};

#[derive(Deserialize)]
struct Annotations {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    category_id: i64,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    supercategory: String,
}

pub(super) fn read(folder: &Folder<'_>, config: &LayoutConfig) -> Result<Published> {
    let mut photos = Photos::default();
    for (name, split) in [("train2018.json", "train"), ("val2018.json", "test")] {
        photos.add(&folder.find(&[name])?, split)?;
    }
    folder.find(&["train_val2018"])?;
    let names = photos.names();
    let entry = |file: &str, photo: &Photo, split: &str| Entry {
        split: Some(split.to_owned()),
        category: photos.group(photo.category, file),
        ..Entry::new(
            folder.root().join(&photo.path),
            names[&photo.category].clone(),
        )
    };
    let mut entries = Vec::new();
    match config.protocol {
        Protocol::Published => {
            for file in &photos.order {
                let photo = &photos.by_file[file];
                entries.push(entry(file, photo, photo.split));
            }
        }
        Protocol::UnseenClasses => {
            for split in ["train", "test"] {
                let name = format!("Inat_dataset_splits/Inaturalist_{split}_set1.txt");
                let list = folder.list(&[&name])?;
                for line in list.lines() {
                    let photo = photos.by_file.get(line.text).ok_or_else(|| {
                        line.wrong("1", "an image of train2018.json or val2018.json", line.text)
                    })?;
                    entries.push(entry(line.text, photo, split));
                }
            }
        }
    }
    let names = names.into_values().collect();
    Manifest::with_classes(folder.root(), entries, names).map(Published::new)
}

/// A photo of one of the two lists.
struct Photo {
    path: PathBuf,
    category: i64,
    split: &'static str,
}

#[derive(Default)]
struct Photos {
    by_file: HashMap<String, Photo>,
    /// Files in the order of the lists.
    order: Vec<String>,
    /// Name and group of every category.
    categories: BTreeMap<i64, (String, String)>,
}

impl Photos {
    fn add(&mut self, path: &Path, split: &'static str) -> Result<()> {
        let fault = |place: String, expected, found: String| DataError::Malformed {
            file: path.to_path_buf(),
            place,
            expected,
            found,
        };
        let bytes = read_bounded(path)?;
        let read: Annotations = serde_json::from_slice(&bytes).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            let expected = "JSON with images, annotations and categories";
            fault(place, expected, shortened(&error.to_string()))
        })?;
        let category_of = read.annotations.iter();
        let category_of: HashMap<i64, i64> = category_of
            .map(|own| (own.image_id, own.category_id))
            .collect();
        for category in read.categories {
            self.categories
                .insert(category.id, (category.name, category.supercategory));
        }
        for image in read.images {
            let place = || format!("image {}", image.id);
            let category = *category_of
                .get(&image.id)
                .ok_or_else(|| fault(place(), "an annotation of the image", "none".to_owned()))?;
            let inside = inner(&image.file_name).ok_or_else(|| {
                let found = format!("{:?}", shortened(&image.file_name));
                fault(place(), "a path within the data set's folder", found)
            })?;
            let photo = Photo {
                path: inside,
                category,
                split,
            };
            self.categories.entry(category).or_default();
            self.order.push(image.file_name.clone());
            if self
                .by_file
                .insert(image.file_name.clone(), photo)
                .is_some()
            {
                let found = format!("{:?} twice", shortened(&image.file_name));
                return Err(fault(place(), "one image of a name", found));
            }
        }
        Ok(())
    }

    /// The names of the categories; their numbers where names are missing or stand for two.
    fn names(&self) -> BTreeMap<i64, String> {
        let mut seen = HashSet::new();
        let mut names = self.categories.values().map(|(name, _)| name);
        let are_names = names.all(|name| !name.is_empty() && seen.insert(name));
        let categories = self.categories.iter();
        let named = categories.map(|(id, (name, _))| match are_names {
            true => (*id, name.clone()),
            false => (*id, id.to_string()),
        });
        named.collect()
    }

    /// The group of a category; where that is missing, the second folder of the path.
    fn group(&self, category: i64, file: &str) -> Option<String> {
        let named = self
            .categories
            .get(&category)
            .map(|(_, group)| group.clone());
        let named = named.filter(|group| !group.is_empty());
        named.or_else(|| file.split('/').nth(1).map(str::to_owned))
    }
}
