//! An index file in the memory of the process, without being read into it.
//!
//! The system brings the pages of the file in when they are read, and may drop them again: an index may be larger than
//! memory. Each block is checked once, at the latest before its rows are read.
//!
//! Lengths are held against the file when it is opened. Nothing in this crate changes an index file in its place: a save
//! writes another file and renames it, and a mapping keeps the old one. Another program that cuts the file short while it
//! is mapped ends the process by a signal (SIGBUS), and one that overwrites its numbers changes what is found.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dml_core::{Error, Result};
use memmap2::Mmap;
use rayon::prelude::*;

use super::checksums::BLOCK;
use super::error::IndexFileError;
use crate::kernels::nearest::MappedBytes;

/// Blocks that are checked by one thread.
const BY_ONE_THREAD: usize = 4;

/// A mapped file with the checksums of its blocks.
pub(super) struct MappedFile {
    map: Mmap,
    path: PathBuf,
    blocks: Blocks,
}

/// What is checked, and what has been.
pub(super) struct Blocks {
    /// The bytes that have checksums.
    body: Range<usize>,
    checksums: Vec<u32>,
    are_checked: Vec<AtomicBool>,
    unchecked: AtomicUsize,
    /// The rows among the body, and whether bytes of them are numbers that an index takes.
    rows: Range<usize>,
    are_numbers: fn(&[u8]) -> bool,
}

impl Blocks {
    /// Unchecked blocks of `body`.
    pub(super) fn new(
        body: Range<usize>,
        checksums: Vec<u32>,
        rows: Range<usize>,
        are_numbers: fn(&[u8]) -> bool,
    ) -> Self {
        Self {
            body,
            are_checked: checksums.iter().map(|_| AtomicBool::new(false)).collect(),
            unchecked: AtomicUsize::new(checksums.len()),
            checksums,
            rows,
            are_numbers,
        }
    }

    /// Checks the block of that number; says what is wrong with it.
    fn check(&self, bytes: &[u8], block: usize) -> std::result::Result<(), Fault> {
        if self.are_checked[block].load(Ordering::Acquire) {
            return Ok(());
        }
        let start = self.body.start + block * BLOCK;
        let end = (start + BLOCK).min(self.body.end);
        if crc32fast::hash(&bytes[start..end]) != self.checksums[block] {
            return Err(Fault::Altered);
        }
        let rows = self.rows.start.max(start)..self.rows.end.min(end);
        if !rows.is_empty() && !(self.are_numbers)(&bytes[rows]) {
            return Err(Fault::NotNumbers);
        }
        if !self.are_checked[block].swap(true, Ordering::AcqRel) {
            self.unchecked.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(())
    }
}

enum Fault {
    Altered,
    NotNumbers,
}

/// The bytes of a file.
pub(super) fn map(file: &File, path: &Path) -> std::result::Result<Mmap, IndexFileError> {
    // SAFETY: the memory is read as bytes and as plain numbers only, of which every pattern of bits is one, and every
    // range is checked against the length of the mapping. That the file does not change is up to whoever else has it: this
    // crate never writes to an index file in its place (see the module).
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(file) };
    map.map_err(IndexFileError::io(path))
}

impl MappedFile {
    pub(super) fn new(map: Mmap, path: &Path, blocks: Blocks) -> Self {
        Self {
            map,
            path: path.to_owned(),
            blocks,
        }
    }

    fn error(&self, fault: Fault) -> IndexFileError {
        match fault {
            Fault::Altered => IndexFileError::checksum(&self.path, "rows"),
            Fault::NotNumbers => IndexFileError::content(&self.path)(Error::InvalidParameter {
                name: "references",
                value: f64::NAN,
                expected: "finite numbers whose squares are finite",
            }),
        }
    }

    /// Checks all that has not been checked.
    pub(super) fn check_all(&self) -> std::result::Result<(), IndexFileError> {
        self.check_blocks(0..self.blocks.checksums.len())
    }

    fn check_blocks(&self, blocks: Range<usize>) -> std::result::Result<(), IndexFileError> {
        let bytes: &[u8] = &self.map;
        let check = |block| self.blocks.check(bytes, block);
        let checked = blocks.into_par_iter().with_min_len(BY_ONE_THREAD);
        checked
            .try_for_each(check)
            .map_err(|fault| self.error(fault))
    }
}

impl MappedBytes for MappedFile {
    fn bytes(&self) -> &[u8] {
        &self.map
    }

    fn check(&self, range: Range<usize>) -> Result<()> {
        let blocks = &self.blocks;
        if blocks.unchecked.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let start = range.start.clamp(blocks.body.start, blocks.body.end);
        let end = range.end.clamp(start, blocks.body.end);
        let first = (start - blocks.body.start) / BLOCK;
        let last = (end - blocks.body.start).div_ceil(BLOCK);
        let checked = if last - first <= BY_ONE_THREAD {
            let mut blocks = first..last;
            let check = |block| self.blocks.check(&self.map, block);
            blocks
                .try_for_each(check)
                .map_err(|fault| self.error(fault))
        } else {
            self.check_blocks(first..last)
        };
        checked.map_err(|error| Error::Dataset(Box::new(error)))
    }
}
