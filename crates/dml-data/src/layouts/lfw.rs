//! Labeled Faces in the Wild: 13,233 photos of 5,749 persons, and 6,000 pairs in ten folds for verification.
//!
//! ```text
//! lfw/Abel_Pacheco/Abel_Pacheco_0001.jpg      also lfw_funneled, lfw-funneled, lfw-deepfunneled
//! pairs.txt            10  300                            folds, and pairs of each kind in a fold
//!                      Abel_Pacheco  1  4                 the same person: 300 a fold
//!                      Abdel_Madi_Shabneh  1  Dean_Barker  1    two persons: 300 a fold
//! pairsDevTrain.txt    1100                               pairs of each kind
//! pairsDevTest.txt     500
//! peopleDevTrain.txt   4038                               persons to learn from
//!                      Abdullah_Gul  19                   person, number of images
//! peopleDevTest.txt    1711
//! ```
//!
//! `pairs.txt` must be there; the others are read where they are. Lists may lie beside the images' folder or in it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::list_file::{Line, ListFile};
use super::{LayoutConfig, Published};
use crate::{Entry, ImagePair, Manifest, PairList, Result};

const IMAGES: [&str; 4] = ["lfw", "lfw_funneled", "lfw-funneled", "lfw-deepfunneled"];
const PAIRS: [(&str, &str); 3] = [
    ("test", "pairs.txt"),
    ("dev_train", "pairsDevTrain.txt"),
    ("dev_test", "pairsDevTest.txt"),
];

pub(super) fn read(folder: &Folder<'_>, _: &LayoutConfig) -> Result<Published> {
    let images = folder.find(&IMAGES)?;
    let list = |name: &str| -> Option<PathBuf> {
        let inside = Some(images.join(name)).filter(|path| path.is_file());
        folder.optional(name).or(inside)
    };
    let mut splits = HashMap::new();
    for (split, name) in [
        ("train", "peopleDevTrain.txt"),
        ("test", "peopleDevTest.txt"),
    ] {
        if let Some(path) = list(name) {
            let people = ListFile::open(&path)?;
            for line in people.lines().skip(1) {
                let [person, _] = line.words(["person", "images"])?;
                splits.insert(person.to_owned(), split);
            }
        }
    }
    let mut entries = Vec::new();
    for (person, path) in folder.folders(&images)? {
        for (_, path) in folder.images(&path)? {
            entries.push(Entry {
                split: splits.get(&person).map(|&split| split.to_owned()),
                ..Entry::new(path, &person)
            });
        }
    }
    let manifest = Manifest::new(folder.root(), entries)?;
    let rows = (0..).zip(manifest.entries());
    let rows: HashMap<&Path, usize> = rows.map(|(row, own)| (&*own.path, row)).collect();
    let mut pairs = Vec::new();
    for (name, file) in PAIRS {
        match list(file) {
            Some(path) => {
                let people = People {
                    rows: &rows,
                    images: &images,
                };
                pairs.push((name.to_owned(), people.pairs(&ListFile::open(&path)?)?));
            }
            None if name == "test" => return Err(folder.missing(file)),
            None => {}
        }
    }
    Ok(Published { manifest, pairs })
}

/// Where the images of persons are.
struct People<'a> {
    rows: &'a HashMap<&'a Path, usize>,
    images: &'a Path,
}

impl People<'_> {
    fn row(&self, line: Line<'_>, person: &str, number: &str) -> Result<usize> {
        let number = line.whole("image", number)?;
        let name = format!("{person}/{person}_{number:04}.jpg");
        let path = line.path("person", &name)?;
        let row = self.rows.get(&*self.images.join(path)).copied();
        row.ok_or_else(|| line.wrong("person", "an image that is there", &name))
    }

    fn pairs(&self, list: &ListFile) -> Result<PairList> {
        let first = list.first()?;
        let (folds, each) = match first.split()[..] {
            [each] => (1, first.whole("1", each)?),
            [folds, each] => (first.whole("1", folds)?, first.whole("2", each)?),
            _ => {
                let expected = "the numbers of folds and of pairs of each kind in a fold";
                return Err(first.wrong("1", expected, first.text));
            }
        };
        let lines: Vec<Line<'_>> = list.lines().skip(1).collect();
        let expected = folds
            .checked_mul(each)
            .and_then(|pairs| pairs.checked_mul(2));
        if expected != Some(lines.len() as u64) || lines.is_empty() {
            let found = format!("{} lines for {:?}", lines.len(), first.text);
            return Err(first.fault("1", "2 × folds × pairs lines", found));
        }
        let mut pairs = Vec::with_capacity(lines.len());
        for (number, line) in (0..).zip(lines) {
            let same = number / each % 2 == 0;
            let (a, b) = match (same, &line.split()[..]) {
                (true, [person, a, b]) => (self.row(line, person, a)?, self.row(line, person, b)?),
                (false, [one, a, other, b]) => (self.row(line, one, a)?, self.row(line, other, b)?),
                (true, _) => {
                    let expected = "a person and the numbers of two images";
                    return Err(line.wrong("1", expected, line.text));
                }
                (false, _) => {
                    let expected = "two persons, each with the number of an image";
                    return Err(line.wrong("1", expected, line.text));
                }
            };
            pairs.push(ImagePair {
                first: a,
                second: b,
                same,
            });
        }
        let folds = folds as usize;
        Ok(PairList { pairs, folds })
    }
}
