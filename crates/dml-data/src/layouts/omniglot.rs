//! Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 persons.
//!
//! ```text
//! images_background/Alphabet_of_the_Magi/character01/0709_01.png     30 alphabets to learn from
//! images_evaluation/Angelic/character01/0965_01.png                  20 alphabets to test with
//! ```
//!
//! A class is a character, `Alphabet_of_the_Magi/character01`; its category is the alphabet.

use super::folder::Folder;
use super::{LayoutConfig, Published};
use crate::{Entry, Manifest, Result};

pub(super) fn read(folder: &Folder<'_>, _: &LayoutConfig) -> Result<Published> {
    let mut entries = Vec::new();
    for (part, split) in [
        ("images_background", "train"),
        ("images_evaluation", "test"),
    ] {
        for (alphabet, path) in folder.folders(&folder.find(&[part])?)? {
            for (character, path) in folder.folders(&path)? {
                for (_, path) in folder.images(&path)? {
                    entries.push(Entry {
                        split: Some(split.to_owned()),
                        category: Some(alphabet.clone()),
                        ..Entry::new(path, format!("{alphabet}/{character}"))
                    });
                }
            }
        }
    }
    Manifest::new(folder.root(), entries).map(Published::new)
}
