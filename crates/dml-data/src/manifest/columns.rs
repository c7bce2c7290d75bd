//! What the columns of a table of images are called, and how it is read.

use super::schema::{Column, Schema};
use crate::Manifest;

dml_core::config! {
    /// Names of the columns of a table. A table needs few of them; columns of other names are passed over.
    ///
    /// ```
    /// use dml_data::{Manifest, ManifestColumns, ManifestConfig};
    ///
    /// let columns = ManifestColumns { label: "product_id".to_owned(), ..ManifestColumns::default() };
    /// let config = ManifestConfig { columns, ..ManifestConfig::default() };
    /// let table = Manifest::parse_with("t.csv", b"path,product_id\n1.jpg,A7\n", &config)?;
    /// assert_eq!(table.class_names(), ["A7"]);
    /// # Ok::<(), dml_data::DataError>(())
    /// ```
    #[derive(Eq)]
    pub struct ManifestColumns {
        /// Path of the image. Default `path`; a table without it may call it `file_name`.
        pub path: String = "path".to_owned(),
        /// The image itself; Parquet only. Default `image`.
        pub image: String = "image".to_owned(),
        /// Name of the class. Default `label`.
        pub label: String = "label".to_owned(),
        /// Names of several classes. Default `labels`.
        pub labels: String = "labels".to_owned(),
        /// Name of the split. Default `split`.
        pub split: String = "split".to_owned(),
        /// Role in search. Default `role`.
        pub role: String = "role".to_owned(),
        /// Name or number of the camera. Default `camera`.
        pub camera: String = "camera".to_owned(),
        /// Name or number of the sequence of images that were taken one after the other. Default `sequence`.
        pub sequence: String = "sequence".to_owned(),
        /// Name of the class's category. Default `category`.
        pub category: String = "category".to_owned(),
        /// Part of the image to read. Default `box`.
        pub bounding_box: String = "box".to_owned(),
        /// Text that belongs to the row. Default `text`.
        pub text: String = "text".to_owned(),
    }
}

dml_core::config! {
    /// How a table is read.
    #[derive(Eq)]
    pub struct ManifestConfig {
        /// Names of the columns.
        pub columns: ManifestColumns = ManifestColumns::default(),
        /// Whether rows may have no label: they are of no class, and have the label −1. Default `false`.
        pub allow_unlabelled: bool = false,
        /// Between the labels of a cell of text. Default `|`.
        pub separator: char = '|',
        /// Most bytes of memory that the table may take. Default [`Manifest::MEMORY_LIMIT`].
        pub memory_limit: u64 = Manifest::MEMORY_LIMIT,
    }
}

impl ManifestColumns {
    /// The columns by name.
    ///
    /// # Errors
    /// For names that are empty or stand for two columns.
    pub(super) fn schema(&self) -> dml_core::Result<Schema> {
        Schema::new(&[
            (Column::Path, &self.path),
            (Column::Image, &self.image),
            (Column::Label, &self.label),
            (Column::Labels, &self.labels),
            (Column::Split, &self.split),
            (Column::Role, &self.role),
            (Column::Camera, &self.camera),
            (Column::Sequence, &self.sequence),
            (Column::Category, &self.category),
            (Column::Box, &self.bounding_box),
            (Column::Text, &self.text),
        ])
    }
}
