//! The index as a file.

use std::path::Path;

use dml_core::kernels::Real;

use super::{FlatIndex, FlatMetric, RowStorage, Rows};
use crate::index::KnnIndex;
use crate::index::exact::float16_rows::Float16Rows;
use crate::index::file::{self, Header, IndexFileError, Loaded, Stored};
use crate::kernels::nearest::References;
use crate::rows::check_numbers;

/// What a message calls the rows of a file.
const REFERENCES: &str = "references";

impl FlatIndex {
    /// Saves the rows under another kind, with what else that keeps.
    pub(crate) fn save_as(
        &self,
        path: &Path,
        kind: u32,
        extra: u64,
    ) -> std::result::Result<(), IndexFileError> {
        let rows = match &self.rows {
            // A file tells how an empty index would keep rows.
            Rows::None if self.storage == RowStorage::Float16 => Stored::F16(&[]),
            Rows::None => Stored::None,
            Rows::F16(rows) => Stored::F16(rows.rows()),
            Rows::F32(rows) => Stored::F32(rows.rows()),
            Rows::F64(rows) => Stored::F64(rows.rows()),
        };
        let header = Header {
            kind,
            metric: self.metric as u32,
            dim: if self.is_empty() {
                0
            } else {
                self.dim().unwrap_or(0) as u64
            },
            rows: self.len() as u64,
            extra,
        };
        file::save(path, header, rows)
    }

    /// The index of a file of that kind.
    pub(crate) fn from_file(
        path: &Path,
        kind: u32,
        header: &Header,
        rows: Loaded,
    ) -> std::result::Result<Self, IndexFileError> {
        let metric = FlatMetric::of_file(header.metric);
        let (true, Some(metric)) = (header.kind == kind, metric) else {
            return Err(IndexFileError::kind(path, "an index of the same kind"));
        };
        let dim = header.dim as usize;
        let storage = match rows {
            Loaded::F16(_) => RowStorage::Float16,
            _ => RowStorage::AsGiven,
        };
        let checked = match &rows {
            Loaded::None => Ok(()),
            Loaded::Bytes(_) => return Err(IndexFileError::kind(path, "rows of numbers")),
            Loaded::F16(rows) => check_numbers(
                REFERENCES,
                &rows.iter().map(|x| x.to_f32()).collect::<Vec<f32>>(),
            ),
            Loaded::F32(rows) => check_numbers(REFERENCES, rows),
            Loaded::F64(rows) => check_numbers(REFERENCES, rows),
        };
        checked.map_err(IndexFileError::content(path))?;
        let rows = match rows {
            _ if header.rows == 0 => Rows::None,
            Loaded::None | Loaded::Bytes(_) => Rows::None,
            Loaded::F16(rows) => {
                let mut references = Float16Rows::new(dim);
                references.extend(&rows);
                Rows::F16(references)
            }
            Loaded::F32(rows) => Rows::F32(references(dim, &rows)),
            Loaded::F64(rows) => Rows::F64(references(dim, &rows)),
        };
        Ok(Self {
            metric,
            storage,
            rows,
            on_device: Default::default(),
        })
    }
}

fn references<T: Real>(dim: usize, rows: &[T]) -> References<T> {
    let mut references = References::new(dim);
    references.extend(rows);
    references
}
