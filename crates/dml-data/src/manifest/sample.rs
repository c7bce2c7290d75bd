//! Lines of a table that come from the samples of an archive.

use std::path::Path;

use super::cells::Cells;
use super::columns::ManifestConfig;
use super::json_lines;
use super::lines::Lines;
use super::schema::{Column, Sink};
use crate::{Contents, Manifest, Result};

/// The cells of a sample.
#[derive(Debug, Default)]
pub(crate) struct SampleCells(Cells);

impl SampleCells {
    pub(crate) fn set_label(&mut self, label: String) {
        self.0.set(Column::Label, label, '\0');
    }

    pub(crate) fn set_text(&mut self, text: String) {
        self.0.set(Column::Text, text, '\0');
    }

    pub(crate) fn set_image(&mut self, name: String, contents: Contents) {
        self.0.set(Column::Path, name, '\0');
        self.0.contents = Some(contents);
    }
}

/// The samples that were read so far.
#[derive(Debug)]
pub(crate) struct SampleLines {
    lines: Lines,
    number: u64,
}

impl SampleLines {
    pub(crate) fn new(archive: &Path, config: &ManifestConfig) -> Result<Self> {
        let lines = Lines::new(archive, config)?;
        Ok(Self { lines, number: 0 })
    }

    /// The cells of a JSON object; or what is wrong with it.
    pub(crate) fn cells_of_json(&self, bytes: &[u8]) -> std::result::Result<SampleCells, String> {
        let cells = json_lines::object(bytes, self.lines.schema(), self.lines.separator());
        cells.map(SampleCells).map_err(|error| error.to_string())
    }

    /// Takes a sample of an archive. Paths of images are below the archive's own.
    pub(crate) fn take(&mut self, archive: &Path, cells: SampleCells) -> Result<()> {
        self.number += 1;
        self.lines.take_sample(archive, self.number, cells.0)
    }

    pub(crate) fn finish(self) -> Result<Manifest> {
        self.lines.finish()
    }
}
