//! Index files as they are read, into memory or mapped.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytemuck::Pod;
use dml_core::kernels::Real;
use half::f16;

use super::checksums::{self, BLOCK};
use super::error::IndexFileError;
use super::mapped::{self, Blocks, MappedFile};
use super::payload::{Element, Growing, Payload, WithNorms};
use super::{HEADER, Header, Layout};
use crate::kernels::nearest::{MappedBytes, MappedNumbers, Numbers};
use crate::rows::check_numbers;

/// When the checksums of a mapped file are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileCheck {
    /// All of them before the index is used, which reads the whole file once.
    #[default]
    AtOpen,
    /// That of each MiB before its rows are read for the first time. A search whose rows have been altered is an error.
    OnUse,
}

/// A file whose lengths agree with its header.
struct Opened {
    file: File,
    header: Header,
    version: u32,
    element: Element,
    /// Lengths in bytes.
    payload: usize,
    norms: usize,
}

impl Opened {
    fn new(path: &Path) -> Result<Self, IndexFileError> {
        let failed = IndexFileError::io(path);
        let metadata = fs::metadata(path).map_err(&failed)?;
        if !metadata.is_file() {
            // A pipe would be waited for.
            return Err(IndexFileError::not_an_index(path));
        }
        let mut file = File::open(path).map_err(&failed)?;
        // The length comes from the open file: another file may have taken its name.
        let length = file.metadata().map_err(&failed)?.len();
        let mut bytes = [0; HEADER];
        file.read_exact(&mut bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => IndexFileError::not_an_index(path),
                _ => failed(error),
            })?;
        let (header, layout) = Header::from_bytes(&bytes, path)?;
        let (element, norms) = check_lengths(path, &header, layout, length)?;
        Ok(Self {
            file,
            header,
            version: layout.version,
            element,
            payload: layout.payload as usize,
            norms,
        })
    }

    /// Where payload and norms lie.
    fn body(&self) -> Range<usize> {
        HEADER..HEADER + self.payload + self.norms
    }
}

/// Holds the lengths that the header gives against each other and against the file; gives the element type and the length of
/// the norms.
fn check_lengths(
    path: &Path,
    header: &Header,
    layout: Layout,
    length: u64,
) -> Result<(Element, usize), IndexFileError> {
    let check = |expected: u128, got: u64, is_odd: bool| {
        if expected == u128::from(got) && !is_odd {
            return Ok(());
        }
        Err(IndexFileError::Length {
            path: path.to_owned(),
            expected: u64::try_from(expected).unwrap_or(u64::MAX),
            got,
        })
    };
    let Some(element) = Element::of_code(layout.element) else {
        let expected = "rows of float16, float32 or float64";
        return Err(IndexFileError::kind(path, expected));
    };
    let has_norms = layout.norms == 1 && matches!(element, Element::F32 | Element::F64);
    if layout.norms != 0 && (!has_norms || layout.version == 1) {
        return Err(IndexFileError::kind(path, "norms of rows, or none"));
    }
    let norms = u128::from(header.rows) * element.size() as u128 * u128::from(layout.norms);
    let body = u128::from(layout.payload) + norms;
    let behind = match layout.version {
        1 => 4,
        _ => checksums::length_of_checksums(body),
    };
    check(HEADER as u128 + body + behind, length, false)?;
    let numbers = u128::from(header.rows) * u128::from(header.dim);
    // Rows without a type of their numbers can't be there either.
    let is_odd =
        (header.dim == 0) != (header.rows == 0) || (element == Element::None && numbers > 0);
    let expected = numbers.saturating_mul(element.size() as u128);
    check(expected, layout.payload, is_odd)?;
    // Where the payload is bytes, its rows are counted by who reads them.
    if element != Element::Bytes && header.rows > u64::from(u32::MAX) {
        return Err(IndexFileError::kind(path, "at most 4,294,967,295 rows"));
    }
    if usize::try_from(length).is_err() {
        return Err(IndexFileError::kind(
            path,
            "no more bytes than memory can have",
        ));
    }
    Ok((element, norms as usize))
}

/// Reads what [`save`](super::save) has written, of any version.
pub(crate) fn load(path: &Path) -> Result<(Header, Payload), IndexFileError> {
    let mut opened = Opened::new(path)?;
    let failed = IndexFileError::io(path);
    // No more than the file has, which has been made sure of.
    let mut rows = Growing::with_room(opened.element, opened.payload).map_err(&failed)?;
    let mut all = crc32fast::Hasher::new();
    let mut found = Vec::new();
    let mut block = vec![0; BLOCK.min(opened.payload + opened.norms)];
    let body = opened.body();
    for start in body.clone().step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(body.end - start)];
        opened.file.read_exact(block).map_err(&failed)?;
        if opened.version == 1 {
            all.update(block);
        } else {
            found.push(crc32fast::hash(block));
        }
        let of_rows = (HEADER + opened.payload).saturating_sub(start);
        rows.extend(&block[..of_rows.min(block.len())]);
    }
    let mut behind = Vec::new();
    opened.file.read_to_end(&mut behind).map_err(&failed)?;
    if opened.version == 1 {
        if all.finalize().to_le_bytes() != behind[..] {
            return Err(IndexFileError::checksum(path, "rows"));
        }
    } else {
        let table = checksums::parse(&behind);
        let table = table.ok_or_else(|| IndexFileError::checksum(path, "checksums"))?;
        if table != found {
            return Err(IndexFileError::checksum(path, "rows"));
        }
    }
    Ok((opened.header, rows.into_payload()))
}

/// As [`load`], with the rows left where they are.
pub(crate) fn map(path: &Path, check: FileCheck) -> Result<(Header, Payload), IndexFileError> {
    let opened = Opened::new(path)?;
    if opened.payload == 0 {
        // There is nothing to map.
        return load(path);
    }
    if cfg!(target_endian = "big") {
        return Err(IndexFileError::kind(
            path,
            "a processor with the byte order of index files, to map them",
        ));
    }
    let size = opened.element.size();
    if !matches!(opened.element, Element::F16 | Element::F32 | Element::F64) {
        return Err(IndexFileError::kind(path, "rows of numbers, to map them"));
    }
    let map = mapped::map(&opened.file, path)?;
    let body = opened.body();
    let rows = HEADER..HEADER + opened.payload;
    // The file may have been cut short since its length was compared.
    let behind = map.get(body.end..).unwrap_or_default();
    let are_numbers: fn(&[u8]) -> bool = match opened.element {
        Element::F16 => are_finite,
        Element::F32 => are_numbers::<f32>,
        _ => are_numbers::<f64>,
    };
    let (checksums, is_whole) = if opened.version == 1 {
        let whole = map.get(rows.clone()).map(crc32fast::hash);
        let is_whole = whole.is_some_and(|own| own.to_le_bytes() == *behind)
            && map.get(rows.clone()).is_some_and(are_numbers);
        (Vec::new(), is_whole)
    } else {
        let table = checksums::parse(behind);
        let is_whole = table.as_ref().map(Vec::len) == Some(body.len().div_ceil(BLOCK));
        (table.unwrap_or_default(), is_whole)
    };
    if !is_whole {
        let part = if opened.version == 1 {
            "rows"
        } else {
            "checksums"
        };
        return Err(IndexFileError::checksum(path, part));
    }
    let blocks = Blocks::new(body.clone(), checksums, rows.clone(), are_numbers);
    let file = Arc::new(MappedFile::new(map, path, blocks));
    if check == FileCheck::AtOpen {
        file.check_all()?;
    }
    let numbers = opened.payload / size;
    let place = Place {
        path,
        file,
        rows: numbers,
        norms: opened.norms / size,
    };
    let payload = match opened.element {
        Element::F16 => Payload::F16(place.numbers(HEADER, numbers)?),
        Element::F32 => Payload::F32(place.with_norms()?),
        _ => Payload::F64(place.with_norms()?),
    };
    Ok((opened.header, payload))
}

/// Where rows and norms lie in a mapped file.
struct Place<'a> {
    path: &'a Path,
    file: Arc<MappedFile>,
    /// How many numbers.
    rows: usize,
    norms: usize,
}

impl Place<'_> {
    fn numbers<T: Pod>(&self, start: usize, count: usize) -> Result<Numbers<T>, IndexFileError> {
        let file: Arc<dyn MappedBytes> = Arc::<MappedFile>::clone(&self.file);
        let numbers = MappedNumbers::new(file, start, count);
        // The file has become shorter: a mapping begins at a page, and lengths have been compared.
        let numbers = numbers.ok_or_else(|| IndexFileError::checksum(self.path, "rows"))?;
        Ok(Numbers::Mapped(numbers))
    }

    fn with_norms<T: Pod>(&self) -> Result<WithNorms<T>, IndexFileError> {
        let start = HEADER + self.rows * size_of::<T>();
        let norms = (self.norms > 0).then(|| self.numbers(start, self.norms));
        Ok(WithNorms {
            rows: self.numbers(HEADER, self.rows)?,
            squared_norms: norms.transpose()?,
        })
    }
}

/// Whether the bytes are numbers that an index takes.
fn are_numbers<T: Real + Pod>(bytes: &[u8]) -> bool {
    let numbers = bytemuck::try_cast_slice::<u8, T>(bytes);
    numbers.is_ok_and(|numbers| check_numbers("references", numbers).is_ok())
}

fn are_finite(bytes: &[u8]) -> bool {
    let numbers = bytes.as_chunks::<2>().0.iter();
    let mut numbers = numbers.map(|bytes| f16::from_le_bytes(*bytes));
    numbers.all(f16::is_finite)
}
