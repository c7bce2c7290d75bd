//! The index as a file.

use std::path::Path;

use dml_core::kernels::Real;

use super::{FlatIndex, FlatMetric, RowStorage, Rows};
use crate::index::exact::float16_rows::Float16Rows;
use crate::index::file::{self, Header, IndexFileError, Norms, Payload, WithNorms};
use crate::index::{KnnIndex, RowSet};
use crate::kernels::nearest::{Numbers, References, Segments};
use crate::rows::check_numbers;

/// What a message calls the rows of a file.
const REFERENCES: &str = "references";

impl FlatIndex {
    /// Saves the rows, or some of them, under another kind, with what else that keeps.
    pub(crate) fn save_as(
        &self,
        path: &Path,
        kind: u32,
        extra: u64,
        kept: Option<&RowSet>,
    ) -> std::result::Result<(), IndexFileError> {
        let content = IndexFileError::content(path);
        self.check_file().map_err(&content)?;
        if let Some(kept) = kept {
            let fits = dml_core::check::length("row set", self.len(), kept.rows());
            fits.map_err(content)?;
        }
        let count = kept.map_or(self.len(), RowSet::count);
        let runs = Runs::new(kept, self.len(), self.dim().unwrap_or(0));
        let (rows, norms) = match &self.rows {
            // A file tells how an empty index would keep rows.
            Rows::None if self.storage == RowStorage::Float16 => {
                (file::Rows::F16(Vec::new()), Norms::None)
            }
            Rows::None => (file::Rows::None, Norms::None),
            Rows::F16(rows) => (file::Rows::F16(runs.of_rows(rows.pieces())), Norms::None),
            Rows::F32(rows) => (
                file::Rows::F32(runs.of_rows(rows.pieces())),
                Norms::F32(runs.of_norms(rows.squared_norms())),
            ),
            Rows::F64(rows) => (
                file::Rows::F64(runs.of_rows(rows.pieces())),
                Norms::F64(runs.of_norms(rows.squared_norms())),
            ),
        };
        let header = Header {
            kind,
            metric: self.metric as u32,
            dim: if count == 0 {
                0
            } else {
                self.dim().unwrap_or(0) as u64
            },
            rows: count as u64,
            extra,
        };
        file::save(path, header, &rows, &norms)
    }

    /// The index of a file of that kind.
    pub(crate) fn from_file(
        path: &Path,
        kind: u32,
        header: &Header,
        rows: Payload,
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
        let content = IndexFileError::content(path);
        let rows = match rows {
            Payload::Bytes(_) => return Err(IndexFileError::kind(path, "rows of numbers")),
            _ if header.rows == 0 => Rows::None,
            Payload::None => Rows::None,
            Payload::F16(rows) => {
                if !rows.are_mapped() {
                    let odd = rows.iter().find(|x| !x.is_finite());
                    let odd = odd.map_or(0.0, |x| x.to_f32());
                    check_numbers(REFERENCES, &[odd]).map_err(content)?;
                }
                Rows::F16(Float16Rows::of_numbers(dim, rows))
            }
            Payload::F32(rows) => Rows::F32(segments(dim, rows).map_err(content)?),
            Payload::F64(rows) => Rows::F64(segments(dim, rows).map_err(content)?),
        };
        Ok(Self {
            metric,
            storage,
            rows,
            on_device: Default::default(),
        })
    }
}

/// The rows of a file. The blocks of a mapped one are checked when they are read.
fn segments<T: Real>(dim: usize, payload: WithNorms<T>) -> dml_core::Result<Segments<T>> {
    if !payload.rows.are_mapped() {
        check_numbers(REFERENCES, &payload.rows)?;
    }
    let is_mapped = payload.rows.are_mapped();
    let references = match payload.squared_norms {
        Some(norms) => References::of_numbers(dim, payload.rows, norms),
        None => {
            let norms = References::norms_of(&payload.rows, dim);
            References::of_numbers(dim, payload.rows, Numbers::Owned(norms))
        }
    };
    Ok(if is_mapped {
        Segments::of_base(references)
    } else {
        Segments::in_memory_of(references)
    })
}

/// Runs of rows that are kept, one after the other.
struct Runs {
    /// First and end of each.
    runs: Vec<(usize, usize)>,
    dim: usize,
}

impl Runs {
    fn new(kept: Option<&RowSet>, rows: usize, dim: usize) -> Self {
        let mut runs = Vec::new();
        match kept {
            None if rows > 0 => runs.push((0, rows)),
            None => {}
            Some(kept) => {
                for row in kept.iter().map(|row| row as usize) {
                    match runs.last_mut() {
                        Some((_, end)) if *end == row => *end += 1,
                        _ => runs.push((row, row + 1)),
                    }
                }
            }
        }
        Self { runs, dim }
    }

    fn of_rows<'a, T>(&self, pieces: [&'a [T]; 2]) -> Vec<&'a [T]> {
        self.cut(pieces, self.dim)
    }

    fn of_norms<'a, T>(&self, pieces: [&'a [T]; 2]) -> Vec<&'a [T]> {
        self.cut(pieces, 1)
    }

    /// The runs of rows of `width` numbers each, which are in two pieces.
    fn cut<'a, T>(&self, pieces: [&'a [T]; 2], width: usize) -> Vec<&'a [T]> {
        let split = pieces[0].len();
        let mut cut = Vec::with_capacity(self.runs.len() + 1);
        for (first, end) in &self.runs {
            let (first, end) = (first * width, end * width);
            if first < split {
                cut.push(&pieces[0][first..end.min(split)]);
            }
            if end > split {
                cut.push(&pieces[1][first.max(split) - split..end - split]);
            }
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_go_over_the_border_of_the_pieces() {
        let numbers: Vec<u8> = (0..20).collect();
        let pieces = [&numbers[..8], &numbers[8..]];
        let kept = RowSet::from_rows(10, [1, 3, 4, 5, 9]).unwrap();
        let runs = Runs::new(Some(&kept), 10, 2);
        let cut = runs.of_rows(pieces);
        assert_eq!(cut.concat(), [2, 3, 6, 7, 8, 9, 10, 11, 18, 19]);
        assert_eq!(cut.len(), 4);
        assert_eq!(Runs::new(None, 10, 2).of_rows(pieces).concat(), numbers);
        let none = Runs::new(Some(&RowSet::none(10)), 10, 2);
        assert!(none.of_rows(pieces).is_empty());
    }
}
