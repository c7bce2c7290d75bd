//! The index as a file.

use std::path::Path;

use dml_core::Result;
use dml_core::kernels::Real;

use super::{FlatIndex, FlatMetric, RowStorage, Rows};
use crate::index::KnnIndex;
use crate::index::exact::float16_rows::Float16Rows;
use crate::index::file::{self, Header, IndexFileError, Payload};
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
            Rows::None if self.storage == RowStorage::Float16 => Payload::F16(Vec::new().into()),
            Rows::None => Payload::None,
            Rows::F16(rows) => Payload::F16(rows.rows().into()),
            Rows::F32(rows) => Payload::F32(rows.rows().into()),
            Rows::F64(rows) => Payload::F64(rows.rows().into()),
        };
        let header = Header {
            kind,
            metric: self.metric as u32,
            dim: self.dim().unwrap_or(0) as u64,
            rows: self.len() as u64,
            extra,
        };
        file::save(path, header, &rows)
    }

    /// The index of a file of that kind.
    pub(crate) fn from_file(
        path: &Path,
        kind: u32,
        header: &Header,
        rows: Payload<'_>,
    ) -> std::result::Result<Self, IndexFileError> {
        let metric = FlatMetric::of_file(header.metric);
        let (true, Some(metric)) = (header.kind == kind, metric) else {
            return Err(IndexFileError::kind(path, "an index of the same kind"));
        };
        let dim = header.dim as usize;
        let storage = match rows {
            Payload::F16(_) => RowStorage::Float16,
            _ => RowStorage::AsGiven,
        };
        let rows = match rows {
            Payload::Bytes(_) => return Err(IndexFileError::kind(path, "rows of numbers")),
            _ if header.rows == 0 => Ok(Rows::None),
            Payload::None => Ok(Rows::None),
            Payload::F16(rows) => {
                let single: Vec<f32> = rows.iter().map(|x| x.to_f32()).collect();
                let mut references = Float16Rows::new(dim);
                references.extend(&rows);
                check_numbers(REFERENCES, &single).map(|()| Rows::F16(references))
            }
            Payload::F32(rows) => references(dim, &rows).map(Rows::F32),
            Payload::F64(rows) => references(dim, &rows).map(Rows::F64),
        };
        let rows = rows.map_err(IndexFileError::content(path))?;
        Ok(Self {
            metric,
            storage,
            rows,
            on_device: Default::default(),
        })
    }
}

fn references<T: Real>(dim: usize, rows: &[T]) -> Result<References<T>> {
    check_numbers(REFERENCES, rows)?;
    let mut references = References::new(dim);
    references.extend(rows);
    Ok(references)
}
