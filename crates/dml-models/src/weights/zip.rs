//! Where the files of a zip archive lie that are stored without compression, as PyTorch writes them.
//!
//! The crate `zip` reads the table of contents. What it takes memory for is bounded before and while it reads: the number of
//! files that an archive announces, and the bytes of the table.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::storage;
use crate::error::{ModelError, Result};

/// Most files of an archive.
const MOST_FILES: u64 = 1 << 20;
/// Most bytes of a table of contents.
const MOST_TABLE: u64 = 256 << 20;
/// Bytes at the end of an archive in which the search for the end of the table takes place: the last record with the
/// longest comment, and the record that leads to the 64-bit one.
const TAIL: u64 = 20 + 22 + 4 + (1 << 16);

/// A file of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Position of the first byte; `None` for a compressed file.
    start: Option<u64>,
    /// Number of bytes.
    pub(super) size: u64,
}

impl Member {
    /// Position of the first byte in the archive.
    pub(super) fn start(&self, path: &Path) -> Result<u64> {
        self.start.ok_or_else(|| {
            let problem =
                "expected files that are stored as they are in the archive, found a compressed one";
            ModelError::format(path, problem)
        })
    }
}

/// A file of which no more than some bytes are read.
struct Bounded<'a> {
    file: &'a mut File,
    left: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !buffer.is_empty() {
            let problem = format!("a table of more than {MOST_TABLE} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..most])?;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Seek for Bounded<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Files of the archive by name.
pub(super) fn members(file: &mut File, path: &Path, total: u64) -> Result<HashMap<String, Member>> {
    let damaged =
        |found: &str| ModelError::format(path, format!("expected a zip archive, found {found}"));
    let failed = |error: ZipError| match error {
        ZipError::Io(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            ModelError::io("read", path)(error)
        }
        error => damaged(&format!("a damaged one: {error}")),
    };
    let announced = announced(file, path, total)?;
    if announced > MOST_FILES {
        return Err(damaged(&format!(
            "one of {announced} files, more than {MOST_FILES}"
        )));
    }
    let bounded = Bounded {
        file,
        left: MOST_TABLE,
    };
    // The archive begins with the file. A search for another beginning would go through all of it.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let mut archive = ZipArchive::with_config(config, bounded).map_err(failed)?;
    if archive.has_duplicate_names() {
        return Err(damaged("one with two files of a name"));
    }
    if archive.has_overlapping_entries().map_err(failed)? {
        return Err(damaged("one whose files overlap"));
    }
    let mut members = HashMap::with_capacity(archive.len());
    for index in 0..archive.len() {
        let own = archive.by_index_raw(index).map_err(failed)?;
        let name = std::str::from_utf8(own.name_raw());
        let name = name.map_err(|_| damaged("one with a name that is no Unicode"))?;
        let is_stored = own.compression() == CompressionMethod::Stored
            && !own.encrypted()
            && own.compressed_size() == own.size();
        let start = own.data_start().filter(|_| is_stored);
        if start.is_some_and(|start| start.checked_add(own.size()).is_none_or(|end| end > total)) {
            return Err(damaged("one that breaks off"));
        }
        let member = Member {
            start,
            size: own.size(),
        };
        members.insert(name.to_owned(), member);
    }
    Ok(members)
}

/// The largest number of files that a 64-bit record at the end announces, for which memory is taken at once. A record of 32
/// bits can announce 65,535.
fn announced(file: &mut File, path: &Path, total: u64) -> Result<u64> {
    let tail = total.min(TAIL);
    let bytes = storage::bytes(file, path, total - tail, tail as usize)?;
    let mut most = 0;
    for locator in bytes
        .windows(20)
        .filter(|own| own.starts_with(b"PK\x06\x07"))
    {
        let record = number(&locator[8..16]);
        if record.checked_add(56).is_none_or(|end| end > total) {
            continue;
        }
        let record = storage::bytes(file, path, record, 56)?;
        most = most
            .max(number(&record[24..32]))
            .max(number(&record[32..40]));
    }
    Ok(most)
}

fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().rev();
    digits.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// An archive of files of these names and contents.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, contents) in files {
            writer.start_file(*name, options).unwrap();
            writer.write_all(contents).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn read(bytes: &[u8]) -> Result<HashMap<String, Member>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.pth");
        std::fs::write(&path, bytes).unwrap();
        let (mut file, total) = storage::open(&path)?;
        members(&mut file, &path, total)
    }

    fn problem(bytes: &[u8]) -> String {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, ModelError::Format { .. }), "{error}");
        error.to_string()
    }

    /// Position of a text, of which there is one.
    fn find(bytes: &[u8], text: &[u8]) -> usize {
        let mut all = bytes.windows(text.len());
        all.position(|own| own == text).unwrap()
    }

    /// The 64-bit records at the end of an archive, with a number of files and a position of the table.
    fn with_wide_records(bytes: &[u8], count: u64, table: u64) -> Vec<u8> {
        let end = find(bytes, b"PK\x05\x06");
        let mut all = bytes[..end].to_vec();
        all.extend(b"PK\x06\x06");
        all.extend(44u64.to_le_bytes());
        all.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [count, count, u64::MAX / 2, table] {
            all.extend(number.to_le_bytes());
        }
        all.extend(b"PK\x06\x07\0\0\0\0");
        all.extend((end as u64).to_le_bytes());
        all.extend(1u32.to_le_bytes());
        let mut last = bytes[end..].to_vec();
        last[8..20].fill(0xff);
        all.extend(last);
        all
    }

    #[test]
    fn members_are_where_their_bytes_are() -> Result<()> {
        let bytes = archive(&[
            ("a/data.pkl", b"pickle"),
            ("a/data/0", b""),
            ("a/data/1", b"numbers"),
        ]);
        let members = read(&bytes)?;
        assert_eq!(members.len(), 3);
        for (name, contents) in [
            ("a/data.pkl", &b"pickle"[..]),
            ("a/data/0", b""),
            ("a/data/1", b"numbers"),
        ] {
            let own = members[name];
            let start = own.start(Path::new(""))? as usize;
            assert_eq!(&bytes[start..start + own.size as usize], contents);
        }
        let table = find(&bytes, b"PK\x01\x02") as u64;
        assert_eq!(read(&with_wide_records(&bytes, 3, table))?.len(), 3);
        Ok(())
    }

    #[test]
    fn a_number_of_files_that_there_cannot_be_takes_no_memory() {
        let bytes = archive(&[("a", b"1")]);
        let table = find(&bytes, b"PK\x01\x02") as u64;
        for count in [u64::MAX, u64::MAX / 2, 1 << 40, MOST_FILES + 1] {
            let said = problem(&with_wide_records(&bytes, count, table));
            assert!(said.contains(&format!("one of {count} files")), "{said}");
        }
        // As many as the file may announce, and far more than its bytes.
        assert!(problem(&with_wide_records(&bytes, MOST_FILES, table)).contains("damaged"));
        assert!(problem(&with_wide_records(&bytes, 1, u64::MAX)).contains("damaged"));
    }

    #[test]
    fn files_that_share_bytes_are_refused() {
        let mut bytes = archive(&[("a", b"12345678"), ("b", b"12345678")]);
        let table = find(&bytes, b"PK\x01\x02");
        let second = table + 4 + find(&bytes[table + 4..], b"PK\x01\x02");
        // The second entry leads to the first file: a bomb has thousands of them.
        bytes[second + 42..second + 46].fill(0);
        assert!(problem(&bytes).contains("overlap"));
        // A file that goes on into the table, and one that goes on beyond the end.
        for (size, expected) in [(40u32, "overlap"), (u32::MAX - 1, "overlap")] {
            let mut bytes = archive(&[("a", b"12345678")]);
            let table = find(&bytes, b"PK\x01\x02");
            for at in [table + 20, table + 24] {
                bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
            }
            let said = problem(&bytes);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn two_files_of_a_name_are_refused() {
        let mut bytes = archive(&[("a1", b"1"), ("a2", b"2")]);
        let table = find(&bytes, b"PK\x01\x02");
        let name = table + find(&bytes[table..], b"a2");
        bytes[name + 1] = b'1';
        assert!(problem(&bytes).contains("two files of a name"));
    }

    #[test]
    fn compressed_and_encrypted_files_are_refused_when_they_are_needed() -> Result<()> {
        for (field, value) in [(10, 8u16), (8, 1)] {
            let mut bytes = archive(&[("a", b"1"), ("b", b"2")]);
            let table = find(&bytes, b"PK\x01\x02");
            bytes[table + field..table + field + 2].copy_from_slice(&value.to_le_bytes());
            let members = read(&bytes)?;
            assert!(members["b"].start(Path::new("")).is_ok());
            let error = members["a"]
                .start(Path::new("x.pth"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("found a compressed one"), "{error}");
        }
        // A bomb: a size that the bytes do not have.
        let mut bytes = archive(&[("a", b"1")]);
        let table = find(&bytes, b"PK\x01\x02");
        bytes[table + 24..table + 28].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
        assert!(read(&bytes)?["a"].start(Path::new("")).is_err());
        Ok(())
    }

    #[test]
    fn a_table_that_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, [1; 100]).unwrap();
        let mut file = File::open(&path).unwrap();
        let mut bounded = Bounded {
            file: &mut file,
            left: 60,
        };
        let mut bytes = Vec::new();
        let error = bounded.read_to_end(&mut bytes).unwrap_err();
        assert_eq!(
            (error.kind(), bytes.len()),
            (io::ErrorKind::InvalidData, 60)
        );
    }
}
