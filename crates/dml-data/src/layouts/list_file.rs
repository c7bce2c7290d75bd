//! Lists in text files: words between blanks, one item a line.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::folder::inner;
use crate::error::shortened;
use crate::file_kind::open_regular;
use crate::{DataError, PixelBox, Result};

/// Most bytes of a file that describes a data set. The largest of them has 124 MB.
pub(super) const LIMIT: u64 = 1 << 30;

/// The bytes of a file that describes a data set.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let (file, length) = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(DataError::io("read", path))?;
    if bytes.len() as u64 > LIMIT {
        return Err(DataError::TooLarge {
            file: path.to_path_buf(),
            limit: LIMIT,
            found: length,
        });
    }
    Ok(bytes)
}

/// A text file that was read.
#[derive(Debug)]
pub(super) struct ListFile {
    path: PathBuf,
    text: String,
}

impl ListFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let text = String::from_utf8(read_bounded(path)?).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
            DataError::table(path, line, "1", "text in UTF-8", "other bytes")
        })?;
        let path = path.to_path_buf();
        Ok(Self { path, text })
    }

    /// The lines with something on them.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let lines = (1..).zip(text.lines()).map(|(number, text)| Line {
            file: &self.path,
            number,
            text: text.trim(),
        });
        lines.filter(|line| !line.text.is_empty())
    }

    /// The first line with something on it.
    pub(super) fn first(&self) -> Result<Line<'_>> {
        let first = self.lines().next();
        first.ok_or_else(|| self.fault(1, "1", "at least one line", "none"))
    }

    pub(super) fn fault(
        &self,
        line: u64,
        column: &str,
        expected: &'static str,
        found: impl Into<String>,
    ) -> DataError {
        DataError::table(&self.path, line, column, expected, found)
    }
}

/// A line of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    file: &'a Path,
    pub(super) number: u64,
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    pub(super) fn fault(
        &self,
        column: &str,
        expected: &'static str,
        found: impl Into<String>,
    ) -> DataError {
        DataError::table(self.file, self.number, column, expected, found)
    }

    /// A cell that is not what it should be.
    pub(super) fn wrong(&self, column: &str, expected: &'static str, cell: &str) -> DataError {
        self.fault(column, expected, format!("{:?}", shortened(cell)))
    }

    /// As many words as there are columns; the last one has the rest of the line, blanks included.
    pub(super) fn words<const N: usize>(&self, columns: [&str; N]) -> Result<[&'a str; N]> {
        let mut rest = self.text;
        let mut words = [""; N];
        for (i, word) in words.iter_mut().enumerate() {
            rest = rest.trim_start();
            let end = match i + 1 == N {
                true => rest.len(),
                false => rest.find(char::is_whitespace).unwrap_or(rest.len()),
            };
            (*word, rest) = rest.split_at(end);
            if word.is_empty() {
                return Err(self.fault(columns[i], "a word in that column", "the end of the line"));
            }
        }
        Ok(words)
    }

    /// The words between tabs or blanks.
    pub(super) fn split(&self) -> Vec<&'a str> {
        self.text.split_whitespace().collect()
    }

    pub(super) fn whole(&self, column: &str, word: &str) -> Result<u64> {
        let number = word.parse();
        number.map_err(|_| self.wrong(column, "a whole number", word))
    }

    /// A path within the data set's folder.
    pub(super) fn path(&self, column: &str, word: &str) -> Result<PathBuf> {
        inner(word).ok_or_else(|| self.wrong(column, "a path within the data set's folder", word))
    }

    /// A box by its corners, or by corner and size.
    pub(super) fn pixel_box(
        &self,
        words: [&str; 4],
        of: fn([f64; 4]) -> Option<PixelBox>,
    ) -> Result<PixelBox> {
        let expected = "four numbers of a box with at least one pixel";
        let fault = || self.wrong("box", expected, &words.join(" "));
        let mut numbers = [0.0; 4];
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = word.parse().map_err(|_| fault())?;
        }
        of(numbers).ok_or_else(fault)
    }
}
