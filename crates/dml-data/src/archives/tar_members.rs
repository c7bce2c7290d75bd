//! The members of a tar archive, one after the other.
//!
//! Only headers are read; what lies between them is passed over. Long names come as an entry of their own before the
//! member (GNU `L`, pax `x`), and are bounded, since the archive says how long they are.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tar::{Archive, Entries, EntryType, PaxExtensions};

use crate::error::shortened;
use crate::file_kind::open_regular;
use crate::{DataError, Result};

/// Most bytes of a name, or of a set of pax records.
const LONGEST_NAME: u64 = 1 << 16;
/// Most bytes of a member whose contents are read with its header.
const LARGEST_TEXT: u64 = 1 << 20;

/// A regular file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The path, which stays within the archive.
    pub(super) path: String,
    /// Position of the first byte.
    pub(super) offset: u64,
    /// Number of bytes.
    pub(super) length: u64,
}

/// Hands the regular files of an archive over, in order, each with a reader of its contents.
///
/// # Errors
/// [`DataError::Malformed`] for an archive that is compressed or damaged, a path that leads out of it, a link or a device;
/// [`DataError::Truncated`] if the file ends before a member does; whatever `take` returns.
pub(super) fn read(
    path: &Path,
    take: &mut dyn FnMut(Member, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let io_error = |error| DataError::io("read", path)(error);
    let (mut file, length) = open_regular(path)?;
    check_compression(path, &mut file)?;
    let mut archive = Archive::new(BufReader::new(file));
    let entries = archive.entries_with_seek().map_err(io_error)?;
    each(path, entries, length, take)
}

/// The same for entries of an archive of at most `most` bytes.
pub(super) fn each<R: Read>(
    path: &Path,
    entries: Entries<'_, R>,
    most: u64,
    take: &mut dyn FnMut(Member, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut name = None;
    for (number, entry) in entries.raw(true).enumerate() {
        let place = || format!("entry {number}");
        let damaged = |error: io::Error| match error.kind() {
            io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                let found = shortened(&error.to_string());
                malformed(path, place(), "an intact tar archive", found)
            }
            _ => DataError::io("read", path)(error),
        };
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let (offset, length) = (entry.raw_file_position(), entry.size());
        let end = offset.saturating_add(length);
        if end > most {
            return Err(DataError::Truncated {
                file: path.to_path_buf(),
                expected: end,
                found: most,
            });
        }
        let mut short = |expected| {
            if length > LONGEST_NAME {
                let found = format!("{length} bytes");
                return Err(malformed(path, place(), expected, found));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            Ok(bytes)
        };
        match kind {
            EntryType::GNULongName => {
                let mut bytes = short("a name of at most 65536 bytes")?;
                while bytes.last() == Some(&0) {
                    bytes.pop();
                }
                name = Some(bytes);
            }
            EntryType::XHeader => {
                let bytes = short("records of at most 65536 bytes")?;
                if let Some(own) = pax_path(path, &place(), &bytes)? {
                    name = Some(own);
                }
            }
            EntryType::GNULongLink => {
                short("a name of at most 65536 bytes")?;
            }
            EntryType::XGlobalHeader => {
                let bytes = short("records of at most 65536 bytes")?;
                pax_path(path, &place(), &bytes)?;
            }
            EntryType::Directory => name = None,
            EntryType::Regular | EntryType::Continuous => {
                let bytes = match name.take() {
                    Some(bytes) => bytes,
                    None => entry.path_bytes().into_owned(),
                };
                // The first version of the format marks folders by their name alone.
                if bytes.ends_with(b"/") {
                    continue;
                }
                let member = Member {
                    path: inner(path, &place(), bytes)?,
                    offset,
                    length,
                };
                take(member, &mut entry)?;
            }
            other => {
                let found = match other {
                    EntryType::Link => "a hard link".to_owned(),
                    EntryType::Symlink => "a symbolic link".to_owned(),
                    EntryType::GNUSparse => "a sparse file".to_owned(),
                    other => format!("an entry of type {:#04x}", other.as_byte()),
                };
                return Err(malformed(
                    path,
                    place(),
                    "a regular file or a folder",
                    found,
                ));
            }
        }
    }
    Ok(())
}

/// The contents of a member that is a label, a text or JSON.
pub(super) fn text(archive: &Path, member: &Member, contents: &mut dyn Read) -> Result<Vec<u8>> {
    if member.length > LARGEST_TEXT {
        let found = format!("{} bytes", member.length);
        let expected = "a label, text or JSON of at most 1048576 bytes";
        return Err(malformed(archive, member.path.clone(), expected, found));
    }
    let mut bytes = Vec::new();
    contents
        .read_to_end(&mut bytes)
        .map_err(DataError::io("read", archive))?;
    Ok(bytes)
}

fn malformed(
    file: &Path,
    place: String,
    expected: &'static str,
    found: impl Into<String>,
) -> DataError {
    DataError::Malformed {
        file: file.to_path_buf(),
        place,
        expected,
        found: found.into(),
    }
}

/// Positions within a compressed archive can't be found without reading it from the beginning.
fn check_compression(path: &Path, file: &mut File) -> Result<()> {
    let mut start = [0; 6];
    let mut length = 0;
    while length < start.len() {
        match file
            .read(&mut start[length..])
            .map_err(DataError::io("read", path))?
        {
            0 => break,
            count => length += count,
        }
    }
    file.seek(SeekFrom::Start(0))
        .map_err(DataError::io("read", path))?;
    let found = match &start[..length] {
        [0x1f, 0x8b, ..] => "gzip",
        [b'B', b'Z', b'h', ..] => "bzip2",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0xfd, b'7', b'z', b'X', b'Z', 0] => "xz",
        _ => return Ok(()),
    };
    let expected = "a tar archive that is not compressed";
    let found = format!("one compressed by {found}: uncompress it first");
    Err(malformed(path, "byte 0".to_owned(), expected, found))
}

/// The name in pax records. Sizes in them are for members of 8 GiB and more.
fn pax_path(path: &Path, place: &str, records: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut name = None;
    for record in PaxExtensions::new(records) {
        let record = record.map_err(|error| {
            let found = shortened(&error.to_string());
            malformed(path, place.to_owned(), "pax records", found)
        })?;
        match record.key_bytes() {
            b"path" => name = Some(record.value_bytes().to_vec()),
            b"size" => {
                let expected = "members of less than 8 GiB";
                return Err(malformed(path, place.to_owned(), expected, "a larger one"));
            }
            key if key.starts_with(b"GNU.sparse.") => {
                let expected = "a regular file or a folder";
                return Err(malformed(path, place.to_owned(), expected, "a sparse file"));
            }
            _ => {}
        }
    }
    Ok(name)
}

/// A name of a member as a path that stays within the archive.
fn inner(archive: &Path, place: &str, bytes: Vec<u8>) -> Result<String> {
    let expected = "a path in UTF-8 that stays within the archive";
    let fault = |found: String| malformed(archive, place.to_owned(), expected, found);
    let text = String::from_utf8(bytes).map_err(|_| fault("other bytes".to_owned()))?;
    // `tar -c .` begins every name so.
    let path: PathBuf = text.strip_prefix("./").unwrap_or(&text).into();
    let is_inner = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    match path.to_str() {
        Some(path) if is_inner && !path.is_empty() && !path.contains(['\0', '\n', '\r']) => {
            Ok(path.to_owned())
        }
        _ => Err(fault(format!("{:?}", shortened(&text)))),
    }
}
