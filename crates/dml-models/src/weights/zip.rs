//! The table of contents of a zip archive whose files are stored without compression, as PyTorch writes it.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use super::storage;
use crate::error::{ModelError, Result};

/// Bytes of the record at the end of an archive, without its comment.
const END: u64 = 22;
/// Longest comment.
const COMMENT: u64 = 65_535;
/// Bytes of the record that leads to the 64-bit end of the directory.
const LOCATOR: u64 = 20;
/// Most bytes of a directory.
const MOST_DIRECTORY: u64 = 256 << 20;

/// A file of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Position of its local header.
    header: u64,
    /// Number of bytes.
    pub(super) size: u64,
    is_stored: bool,
}

/// Little-endian numbers of a record, in order. Past its end, a number is an error of the archive.
struct Record<'a>(&'a [u8]);

impl Record<'_> {
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let (own, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        let digits = own.iter().rev();
        Some(digits.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}

/// Files of the archive by name.
pub(super) fn members(file: &mut File, path: &Path, total: u64) -> Result<HashMap<String, Member>> {
    let damaged = || ModelError::format(path, "expected a zip archive, found a damaged one");
    let (start, size) = directory(file, path, total)?.ok_or_else(damaged)?;
    if size > MOST_DIRECTORY || start.checked_add(size).is_none_or(|end| end > total) {
        return Err(damaged());
    }
    let directory = storage::bytes(file, path, start, size as usize)?;
    let mut members = HashMap::new();
    let mut rest = directory.as_slice();
    while !rest.is_empty() {
        let (name, member, after) = member(rest).ok_or_else(damaged)?;
        rest = after;
        if members.insert(name, member).is_some() {
            return Err(damaged());
        }
    }
    Ok(members)
}

/// Position and length of the directory.
fn directory(file: &mut File, path: &Path, total: u64) -> Result<Option<(u64, u64)>> {
    let tail = total.min(END + COMMENT);
    let bytes = storage::bytes(file, path, total - tail, tail as usize)?;
    let Some(end) = bytes.windows(4).rposition(|four| four == b"PK\x05\x06") else {
        return Ok(None);
    };
    let mut record = Record(&bytes[end..]);
    let found = (|| {
        record.skip(12)?;
        let size = record.number(4)?;
        Some((record.number(4)?, size))
    })();
    let Some((start, size)) = found else {
        return Ok(None);
    };
    let at = total - tail + end as u64;
    if at < LOCATOR {
        return Ok(Some((start, size)));
    }
    // A 64-bit archive has a second record, which a first one leads to.
    let bytes = storage::bytes(file, path, at - LOCATOR, LOCATOR as usize)?;
    let mut locator = Record(&bytes);
    if locator.number(4) != Some(0x0706_4b50) {
        return Ok(Some((start, size)));
    }
    let Some(second) = locator.skip(4).and_then(|()| locator.number(8)) else {
        return Ok(None);
    };
    if second.checked_add(56).is_none_or(|end| end > total) {
        return Ok(None);
    }
    let bytes = storage::bytes(file, path, second, 56)?;
    let mut record = Record(&bytes);
    Ok((|| {
        (record.number(4)? == 0x0606_4b50).then_some(())?;
        record.skip(36)?;
        let size = record.number(8)?;
        Some((record.number(8)?, size))
    })())
}

/// One entry of the directory, and what follows it.
fn member(bytes: &[u8]) -> Option<(String, Member, &[u8])> {
    let mut record = Record(bytes);
    (record.number(4)? == 0x0201_4b50).then_some(())?;
    record.skip(6)?;
    let method = record.number(2)?;
    record.skip(8)?;
    let packed = record.number(4)?;
    let mut size = record.number(4)?;
    let lengths = [record.number(2)?, record.number(2)?, record.number(2)?];
    let [name, extra, comment] = lengths.map(|length| length as usize);
    record.skip(8)?;
    let mut header = record.number(4)?;
    let (name, rest) = record.0.split_at_checked(name)?;
    let (extra, rest) = rest.split_at_checked(extra)?;
    let after = rest.get(comment..)?;
    let mut extra = Record(extra);
    // 64-bit numbers stand in a field of their own, those that do not fit above, in this order.
    while let (Some(kind), Some(length)) = (extra.number(2), extra.number(2)) {
        let (own, rest) = extra.0.split_at_checked(length as usize)?;
        extra.0 = rest;
        if kind != 1 {
            continue;
        }
        let mut own = Record(own);
        if size == u64::from(u32::MAX) {
            size = own.number(8)?;
        }
        if packed == u64::from(u32::MAX) {
            own.number(8)?;
        }
        if header == u64::from(u32::MAX) {
            header = own.number(8)?;
        }
    }
    let member = Member {
        header,
        size,
        is_stored: method == 0,
    };
    Some((String::from_utf8(name.to_vec()).ok()?, member, after))
}

impl Member {
    /// Position of the first byte in the archive.
    pub(super) fn start(&self, file: &mut File, path: &Path, total: u64) -> Result<u64> {
        let wrong = |problem: &str| ModelError::format(path, problem);
        if !self.is_stored {
            return Err(wrong(
                "expected files that are stored as they are in the archive, found a compressed one",
            ));
        }
        let damaged = "expected a zip archive, found a damaged one";
        if self.header.checked_add(30).is_none_or(|end| end > total) {
            return Err(wrong(damaged));
        }
        let local = storage::bytes(file, path, self.header, 30)?;
        let mut record = Record(&local);
        let start = (|| {
            (record.number(4)? == 0x0403_4b50).then_some(())?;
            record.skip(22)?;
            let start = self.header + 30 + record.number(2)? + record.number(2)?;
            (start.checked_add(self.size)? <= total).then_some(start)
        })();
        start.ok_or_else(|| wrong(damaged))
    }
}
