//! Names of classes in the metadata of a Parquet file.
//!
//! Hugging Face's `datasets` writes labels as whole numbers, and the names that they stand for as JSON beside the columns:
//!
//! ```text
//! huggingface → info → features → label → {"_type": "ClassLabel", "names": ["owl", "teal"]}
//! ```

use std::path::Path;

use parquet::file::metadata::KeyValue;
use serde_json::Value;

use crate::error::shortened;
use crate::{DataError, Result};

/// The key of the metadata.
const KEY: &str = "huggingface";

/// The names of the classes of a column, that of label 0 first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassLabel(Vec<String>);

impl ClassLabel {
    /// The names for the column `column`, if the file has some.
    pub(super) fn find(metadata: Option<&Vec<KeyValue>>, column: &str) -> Option<Self> {
        let own = metadata?.iter().find(|pair| pair.key == KEY)?;
        let root: Value = serde_json::from_str(own.value.as_deref()?).ok()?;
        let mut feature = root.get("info")?.get("features")?.get(column)?;
        // A list of labels has the description of an element.
        while let Some(inner) = feature.get("feature") {
            feature = inner;
        }
        if feature.get("_type")?.as_str()? != "ClassLabel" {
            return None;
        }
        let names = feature.get("names")?.as_array()?.iter();
        let names = names.map(|name| name.as_str().map(str::to_owned));
        names.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The names, in order. A name that is there twice would make two classes one.
    pub(super) fn names(&self, path: &Path, column: &str) -> Result<Vec<String>> {
        let mut sorted: Vec<&String> = self.0.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let found = format!("{:?} twice", shortened(pair[0]));
            let expected = "names of classes that differ from each other";
            return Err(DataError::table(path, 1, column, expected, found));
        }
        Ok(self.0.clone())
    }

    /// The name that a cell stands for: that of a number of a class. `-1` stands for none and is kept.
    pub(super) fn name(&self, cell: String) -> std::result::Result<String, String> {
        match cell.parse::<i64>() {
            Ok(-1) => Ok(cell),
            Ok(label) => usize::try_from(label)
                .ok()
                .and_then(|label| self.0.get(label).cloned())
                .ok_or_else(|| format!("label {label} of {} classes", self.0.len())),
            Err(_) => Ok(cell),
        }
    }
}
