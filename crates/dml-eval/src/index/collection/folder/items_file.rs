//! Ids and attributes of the rows of an index, as a file.
//!
//! ```text
//! head     32 bytes: "DMLITEMS", version: u32, columns: u32, generation: u64, zeros: u32, CRC-32 of all that
//! frames   the ids, then one column each
//! ```

use std::fs;
use std::io::Write;
use std::path::Path;

use dml_core::durable;

use super::encoding::{Fault, Reader, Writer};
use super::frames::{self, Found};
use crate::index::collection::column::Column;
use crate::index::collection::error::CollectionError;
use crate::index::collection::id::Ids;

const MAGIC: &[u8; 8] = b"DMLITEMS";
pub(super) const VERSION: u32 = 1;
const HEAD: usize = 32;

/// Writes the file; returns its length.
pub(super) fn write(
    path: &Path,
    generation: u64,
    ids: &Ids,
    columns: &[(String, Column)],
) -> Result<u64, CollectionError> {
    let mut length = 0;
    durable::write_with(path, |out| {
        let mut put = |bytes: &[u8]| {
            length += bytes.len() as u64;
            out.write_all(bytes)
        };
        put(&head(generation, columns.len() as u32))?;
        let mut body = Writer::default();
        body.ids(ids);
        put(&frames::frame(0, &body.0))?;
        for (number, (name, column)) in (1..).zip(columns) {
            let mut body = Writer::default();
            body.column(name, column);
            put(&frames::frame(number, &body.0))?;
        }
        Ok(())
    })
    .map_err(CollectionError::io(path))?;
    Ok(length)
}

fn head(generation: u64, columns: u32) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend(columns.to_le_bytes());
    head.extend(generation.to_le_bytes());
    head.extend([0; 4]);
    head.extend(crc32fast::hash(&head).to_le_bytes());
    head
}

/// Reads a file of that length and generation: ids and columns.
pub(super) fn read(
    path: &Path,
    generation: u64,
    length: u64,
) -> Result<(Ids, Vec<(String, Column)>), CollectionError> {
    let failed = CollectionError::io(path);
    let fault = |fault| CollectionError::damaged(path, fault);
    let metadata = fs::metadata(path).map_err(&failed)?;
    if !metadata.is_file() || metadata.len() != length {
        return Err(fault("it has another length than the manifest says"));
    }
    let bytes = fs::read(path).map_err(&failed)?;
    if bytes.get(..8) != Some(MAGIC) {
        return Err(fault("it holds no items"));
    }
    let Some((own, frames)) = bytes.split_at_checked(HEAD) else {
        return Err(fault("it ends too early"));
    };
    let short = |at: usize| {
        let number = own[at..].first_chunk::<4>();
        number.map_or(0, |number| u32::from_le_bytes(*number))
    };
    let (version, columns) = (short(8), short(12));
    if version != VERSION {
        return Err(CollectionError::Version {
            path: path.to_owned(),
            known: VERSION,
            got: version,
        });
    }
    if own != head(generation, columns) {
        return Err(fault("its head has been altered"));
    }
    parse(frames, columns).map_err(fault)
}

fn parse(mut bytes: &[u8], count: u32) -> Result<(Ids, Vec<(String, Column)>), Fault> {
    let mut next = |number: u64| match frames::first(bytes, number) {
        Found::Frame(body) => {
            bytes = &bytes[frames::HEAD + body.len()..];
            Ok(Reader(body))
        }
        Found::End => Err("it has fewer columns than it says"),
        Found::Torn | Found::Damaged => Err("it has been altered"),
    };
    let mut first = next(0)?;
    let ids = first.ids()?;
    first.end()?;
    let mut columns = Vec::new();
    for number in 1..=u64::from(count) {
        let mut body = next(number)?;
        columns.push(body.column(ids.len())?);
        body.end()?;
    }
    let mut names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("it has two columns of one name");
    }
    if ids.repeated().is_some() || ids.check().is_err() {
        return Err("it has ids that no collection has");
    }
    Reader(bytes).end()?;
    Ok((ids, columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_altered_byte_and_every_cut_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items");
        let ids = Ids::from(["a", "b", "c"]);
        let columns = vec![
            ("x".to_owned(), Column::from(vec![Some(1), None, Some(3)])),
            ("y".to_owned(), Column::from(vec!["p", "q", "p"])),
        ];
        let length = write(&path, 5, &ids, &columns).unwrap();
        let read = |length| read(&path, 5, length);
        assert_eq!(read(length).unwrap(), (ids, columns));
        assert!(super::read(&path, 6, length).is_err());
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, length);
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).unwrap();
            assert!(read(length).is_err(), "{at}");
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(read(length).is_err() && read(at as u64).is_err(), "{at}");
        }
    }

    #[test]
    fn columns_and_ids_are_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items");
        let column = || ("x".to_owned(), Column::from(vec![1, 2]));
        let length = write(&path, 1, &Ids::from([1, 2]), &[column(), column()]).unwrap();
        assert!(read(&path, 1, length).is_err());
        let length = write(&path, 1, &Ids::from([1, 1]), &[column()]).unwrap();
        assert!(read(&path, 1, length).is_err());
    }
}
