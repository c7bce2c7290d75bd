//! The kinds of tables.

use std::ffi::OsStr;
use std::path::Path;

use crate::{DataError, Result};

/// The kind of a table, by the ending of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Csv,
    Tsv,
    JsonLines,
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Kind {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(OsStr::to_ascii_lowercase);
        match ending.as_deref().and_then(OsStr::to_str) {
            Some("csv") => Ok(Self::Csv),
            Some("tsv" | "tab") => Ok(Self::Tsv),
            Some("jsonl" | "ndjson" | "json") => Ok(Self::JsonLines),
            #[cfg(feature = "parquet")]
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(DataError::TableKind {
                file: path.to_path_buf(),
                known: if cfg!(feature = "parquet") {
                    ".csv, .tsv, .jsonl or .parquet"
                } else {
                    ".csv, .tsv or .jsonl, or .parquet with the feature `parquet`"
                },
            }),
        }
    }
}
