//! What a table says of its rows, as the rest of the library takes it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Entry, Manifest};
use crate::image_files::Extras;
use crate::{DataError, ImageFiles, ImageFilesConfig, Result};

/// The position of every name.
fn places(names: &[String]) -> HashMap<&str, i64> {
    let names = (0..).zip(names);
    names.map(|(place, name)| (name.as_str(), place)).collect()
}

impl Manifest {
    /// The label of every line: the position of its class among [`class_names`](Self::class_names), −1 for a line of no
    /// class. A line of several classes has the label of its `label`, or else of the first of its `labels`.
    #[must_use]
    pub fn labels(&self) -> Vec<i64> {
        let places = places(self.class_names());
        let label = |entry: &Entry| match entry.has_class() {
            true => places.get(entry.label.as_str()).copied().unwrap_or(-1),
            false => -1,
        };
        self.entries.iter().map(label).collect()
    }

    /// The labels of all classes of every line, ascending; empty for a line of no class. `Relation::label_sets` of the
    /// crate `dml-core` takes them.
    ///
    /// ```
    /// let table = dml_data::Manifest::parse("t.csv", b"path,labels\n1.jpg,red|round\n2.jpg,blue|round\n", 1 << 20)?;
    /// assert_eq!(table.class_names(), ["blue", "red", "round"]);
    /// assert_eq!(table.label_sets(), [[1, 2], [0, 2]]);
    /// # Ok::<(), dml_data::DataError>(())
    /// ```
    #[must_use]
    pub fn label_sets(&self) -> Vec<Vec<i64>> {
        let places = places(self.class_names());
        let set = |entry: &Entry| {
            if entry.is_junk() {
                return Vec::new();
            }
            let classes = entry.classes().filter_map(|name| places.get(name));
            let mut set: Vec<i64> = classes.copied().collect();
            set.sort_unstable();
            set.dedup();
            set
        };
        self.entries.iter().map(set).collect()
    }

    /// The camera of every line, a position in [`camera_names`](Self::camera_names); `None` unless every line has one.
    #[must_use]
    pub fn cameras(&self) -> Option<Vec<i64>> {
        self.numbers(&self.camera_names, |entry| &entry.camera)
    }

    /// The sequence of every line, a position in [`sequence_names`](Self::sequence_names); `None` unless every line has
    /// one.
    #[must_use]
    pub fn sequences(&self) -> Option<Vec<i64>> {
        self.numbers(&self.sequence_names, |entry| &entry.sequence)
    }

    /// The category of every line, a position in [`category_names`](Self::category_names); `None` unless every line has
    /// one.
    #[must_use]
    pub fn categories(&self) -> Option<Vec<i64>> {
        self.numbers(&self.category_names, |entry| &entry.category)
    }

    /// The text of every line; `None` unless every line has one.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<&str>> {
        let texts = self.entries.iter().map(|entry| entry.text.as_deref());
        texts.collect()
    }

    fn numbers(&self, names: &[String], cell: fn(&Entry) -> &Option<String>) -> Option<Vec<i64>> {
        let places = places(names);
        let cells = self.entries.iter().map(|entry| cell(entry).as_deref());
        cells.map(|own| places.get(own?).copied()).collect()
    }

    /// The images of these lines. Lines of no class have the label −1.
    ///
    /// # Errors
    /// [`DataError::Table`] for a line without an image, and as [`ImageFiles::new`].
    pub fn images(&self, config: ImageFilesConfig) -> Result<ImageFiles> {
        let has_image =
            |entry: &Entry| entry.contents.is_some() || !entry.path.as_os_str().is_empty();
        if let Some(row) = self.entries.iter().position(|entry| !has_image(entry)) {
            let (row, expected) = (row as u64 + 1, "the path of an image");
            return Err(DataError::table(
                &self.path, row, "path", expected, "nothing",
            ));
        }
        let entries = || self.entries.iter();
        let contents = match entries().any(|entry| entry.contents.is_some()) {
            true => entries().map(|entry| entry.contents.clone()).collect(),
            false => Vec::new(),
        };
        let boxes = match entries().any(|entry| entry.bounding_box.is_some()) {
            true => entries().map(|entry| entry.bounding_box).collect(),
            false => Vec::new(),
        };
        let extras = Extras {
            contents,
            boxes,
            cameras: self.cameras(),
            camera_names: Arc::clone(&self.camera_names),
            has_junk: true,
            skipped: Vec::new(),
        };
        let paths = entries().map(|entry| entry.path.clone());
        let names = self.class_names.iter().cloned();
        ImageFiles::with_extras(&self.path, paths, self.labels(), names, config, extras)
    }
}
