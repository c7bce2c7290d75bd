//! A row of a table.

use std::path::PathBuf;

use super::Role;
use crate::{Contents, PixelBox};

/// One line of a [`Manifest`](crate::Manifest).
///
/// ```
/// use dml_data::Entry;
///
/// let entry = Entry { split: Some("train".to_owned()), ..Entry::new("images/1.jpg", "owl") };
/// assert!(!entry.is_junk() && entry.labels.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The image: as the table has it if that is absolute, else below the table's folder. Empty if the row has none.
    pub path: PathBuf,
    /// The name of its class; empty if it has none.
    pub label: String,
    /// The names of all its classes, where a table has several for a row; else empty.
    pub labels: Vec<String>,
    /// The split that it belongs to, such as `train`.
    pub split: Option<String>,
    /// What it is for.
    pub role: Option<Role>,
    /// The name of the camera that took it.
    pub camera: Option<String>,
    /// The name of the sequence of images that it is part of.
    pub sequence: Option<String>,
    /// The name of the category that its class belongs to.
    pub category: Option<String>,
    /// The part of the image that is read.
    pub bounding_box: Option<PixelBox>,
    /// A text that belongs to it.
    pub text: Option<String>,
    /// The image, if it isn't a file of its own. Then the path only names it.
    pub contents: Option<Contents>,
}

impl Entry {
    /// An image of a class, and nothing else.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, label: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            label: label.into(),
            ..Self::default()
        }
    }

    /// Whether it is of no class: its role is [`Role::Junk`].
    #[must_use]
    pub fn is_junk(&self) -> bool {
        self.role == Some(Role::Junk)
    }

    /// Whether it has a class.
    #[must_use]
    pub fn has_class(&self) -> bool {
        !self.is_junk() && !self.label.is_empty()
    }

    /// The names of its classes, whether it has one or several.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        let one = Some(self.label.as_str()).filter(|label| !label.is_empty());
        let more = self.labels.iter().map(String::as_str);
        one.into_iter()
            .chain(more.filter(|label| *label != self.label))
    }

    /// Bytes in memory, apart from those of the list that it stands in.
    pub(super) fn heap(&self) -> u64 {
        let optional = [
            &self.split,
            &self.camera,
            &self.sequence,
            &self.category,
            &self.text,
        ];
        let optional = optional.into_iter().flatten();
        let texts = optional.map(|text| text.len() + OVERHEAD).sum::<usize>();
        let place = size_of::<String>() + OVERHEAD;
        let labels = self.labels.iter().map(|text| text.len() + place);
        let contents = self
            .contents
            .as_ref()
            .map_or(0, |own| own.heap() + OVERHEAD);
        let path = self.path.as_os_str().len() + OVERHEAD;
        let own = path + self.label.len() + OVERHEAD + contents;
        (own + texts + labels.sum::<usize>()) as u64
    }
}

/// Bytes that an allocation takes beyond its contents.
const OVERHEAD: usize = 16;

/// Bytes that a row takes at least: its place in a list that doubles as it grows.
pub(super) const LEAST_BYTES: u64 = 2 * size_of::<Entry>() as u64;
