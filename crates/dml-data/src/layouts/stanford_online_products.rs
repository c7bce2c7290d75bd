//! Stanford Online Products: 120,053 photos of 22,634 products from an auction site, in 12 categories.
//!
//! ```text
//! Stanford_Online_Products/
//!   Ebay_train.txt, Ebay_test.txt    image_id class_id super_class_id path
//!                                    1 1 1 bicycle_final/111085122871_0.JPG
//!   bicycle_final/111085122871_0.JPG
//! ```
//!
//! The lists have no class in common.

use super::folder::Folder;
use super::{LayoutConfig, Published};
use crate::{ClassOrder, Entry, Manifest, Result};

pub(super) fn read(folder: &Folder<'_>, _: &LayoutConfig) -> Result<Published> {
    let lists = [
        ("train", folder.list(&["Ebay_train.txt"])?),
        ("test", folder.list(&["Ebay_test.txt"])?),
    ];
    let mut entries = Vec::new();
    for (split, list) in &lists {
        let header = list.first()?;
        let columns = ["image_id", "class_id", "super_class_id", "path"];
        if header.split() != columns {
            let expected = "the names image_id class_id super_class_id path";
            return Err(header.wrong("1", expected, header.text));
        }
        for line in list.lines().skip(1) {
            let [_, class, _, path] = line.words(columns)?;
            let class = line.whole("class_id", class)?;
            let path = line.path("path", path)?;
            let category = path.parent().and_then(|folder| folder.to_str());
            let category = category.filter(|name| !name.is_empty());
            let category = category.map(|name| name.trim_end_matches("_final").to_owned());
            entries.push(Entry {
                split: Some((*split).to_owned()),
                category,
                ..Entry::new(folder.root().join(path), class.to_string())
            });
        }
    }
    let manifest = Manifest::new(folder.root(), entries)?;
    Ok(Published::new(
        manifest.with_class_order(ClassOrder::Number),
    ))
}
