//! The rows of a table of pairs while they are read.

use std::path::{Path, PathBuf};

use super::{Pair, PairTable, PairTableConfig};
use crate::error::shortened;
use crate::manifest::cells::Cells;
use crate::manifest::schema::{Column, Schema, Sink, wrong_columns};
use crate::{DataError, Result};

/// Bytes that an allocation takes beyond its contents.
const OVERHEAD: usize = 16;

/// The lines of a table that were read so far, within a limit of memory.
#[derive(Debug)]
pub(super) struct PairLines {
    path: PathBuf,
    config: PairTableConfig,
    all: Schema,
    schema: Schema,
    /// Whether a pair without `same` is one of the same class: no column says anything else.
    are_same: bool,
    pairs: Vec<Pair>,
    bytes: u64,
}

impl PairLines {
    pub(super) fn new(path: &Path, config: &PairTableConfig) -> Result<Self> {
        let columns = &config.columns;
        let all = Schema::new(&[
            (Column::First, &columns.first),
            (Column::Second, &columns.second),
            (Column::Negatives, &columns.negatives),
            (Column::Same, &columns.same),
            (Column::Score, &columns.score),
            (Column::Fold, &columns.fold),
            (Column::Split, &columns.split),
        ])?;
        Ok(Self {
            path: path.to_path_buf(),
            config: config.clone(),
            schema: all.clone(),
            all,
            are_same: true,
            pairs: Vec::new(),
            bytes: 0,
        })
    }

    fn pair(&self, line: u64, mut cells: Cells) -> Result<Pair> {
        cells.check_lines(&self.path, line, &self.all)?;
        let fault = |column, expected, found: String| {
            DataError::table(&self.path, line, self.all.name(column), expected, found)
        };
        let quoted = |text: &str| format!("{:?}", shortened(text));
        let mut side = |column| {
            let text = cells.take(column);
            text.ok_or_else(|| fault(column, "a path or a text", "nothing".to_owned()))
        };
        let (first, second) = (side(Column::First)?, side(Column::Second)?);
        let same = cells.take(Column::Same).map(|text| match text.as_str() {
            "1" | "true" | "True" | "TRUE" | "1.0" => Ok(true),
            "0" | "false" | "False" | "FALSE" | "0.0" => Ok(false),
            other => Err(fault(
                Column::Same,
                "1, 0, true, false or nothing",
                quoted(other),
            )),
        });
        let score = cells.take(Column::Score).map(|text| {
            let score = text.parse().ok().filter(|score: &f64| score.is_finite());
            score.ok_or_else(|| fault(Column::Score, "a finite number or nothing", quoted(&text)))
        });
        Ok(Pair {
            first,
            second,
            negatives: cells.take_negatives(),
            same: same.transpose()?,
            score: score.transpose()?,
            fold: cells.take(Column::Fold),
            split: cells.take(Column::Split),
        })
    }

    fn check(&self) -> Result<()> {
        let places = (self.pairs.len() as u64).saturating_mul(2 * size_of::<Pair>() as u64);
        let (found, limit) = (self.bytes.saturating_add(places), self.config.memory_limit);
        if found > limit {
            return Err(DataError::TooLarge {
                file: self.path.clone(),
                limit,
                found,
            });
        }
        Ok(())
    }

    /// The table, once all lines are there.
    pub(super) fn finish(mut self) -> Result<PairTable> {
        if self.pairs.is_empty() {
            return Err(DataError::NoImages {
                path: self.path,
                kind: "in a pair on each line",
            });
        }
        let says_nothing = |pair: &Pair| pair.same.is_none() && pair.score.is_none();
        if self.are_same && self.pairs.iter().all(says_nothing) {
            self.pairs
                .iter_mut()
                .for_each(|pair| pair.same = Some(true));
        }
        Ok(PairTable {
            path: self.path.into(),
            pairs: self.pairs.into(),
        })
    }
}

impl Sink for PairLines {
    fn header(&mut self, names: &[&str], images: bool) -> Result<()> {
        self.schema.of_table(&self.path, names, images)?;
        for column in [Column::First, Column::Second] {
            if !self.schema.has(&[column]) {
                let name = self.all.name(column);
                return Err(wrong_columns(
                    &self.path,
                    names,
                    name,
                    "a column of that name",
                ));
            }
        }
        self.are_same = !self.schema.has(&[Column::Same, Column::Score]);
        Ok(())
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn separator(&self) -> char {
        self.config.separator
    }

    fn memory_limit(&self) -> u64 {
        self.config.memory_limit
    }

    #[cfg(feature = "parquet")]
    fn class_names(&mut self, _: Vec<String>) {}

    fn held(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.check()
    }

    fn take(&mut self, line: u64, cells: Cells) -> Result<()> {
        let pair = self.pair(line, cells)?;
        let own = [
            Some(&pair.first),
            Some(&pair.second),
            pair.fold.as_ref(),
            pair.split.as_ref(),
        ];
        let own = own.into_iter().flatten().map(|text| text.len() + OVERHEAD);
        let place = size_of::<String>() + OVERHEAD;
        let negatives = pair.negatives.iter().map(|text| text.len() + place);
        let bytes = own.sum::<usize>() + negatives.sum::<usize>();
        self.pairs.push(pair);
        self.held(bytes as u64)
    }
}
