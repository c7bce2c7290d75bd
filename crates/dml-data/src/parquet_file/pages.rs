//! Page headers of a Parquet file, checked before the parquet crate reads the pages.
//!
//! A header says how large its page is once decompressed, and how many values its dictionary has. The crate reserves
//! that much memory on its word. Headers are structs of Thrift's compact protocol.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use parquet::basic::CompressionCodec;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;

/// Bytes of one header at most; statistics in it may quote whole values.
const HEADER_LIMIT: u64 = 1 << 26;
/// Bytes that one entry of a dictionary takes in memory.
const ENTRY: u64 = 48;
/// Bytes of a compressed page of the old LZ4 codec, whose decoder doesn't know how much comes; it expands 255-fold.
const LZ4_LIMIT: u64 = 1 << 22;

/// What the pages of a column may take.
///
/// ```
/// use dml_data::parquet_file::PageLimits;
///
/// let limits = PageLimits { bytes: 1 << 20, values: 1000 };
/// assert!(limits.values < limits.bytes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimits {
    /// Most bytes of a page or of its dictionary, decompressed.
    pub bytes: u64,
    /// Most values of a column of a row group: a run of equal ones takes a few bytes however many they are.
    pub values: u64,
}

/// Checks the pages of a column chunk.
///
/// # Errors
/// For a header that makes no sense, pages, dictionaries or values beyond the limits, and encodings whose decoders reserve
/// memory on the word of the data.
pub(super) fn check<R: ChunkReader>(
    file: &R,
    column: &ColumnChunkMetaData,
    limits: PageLimits,
) -> Result<()> {
    let limit = limits.bytes;
    let mut values = 0u64;
    let (start, length) = byte_range(column)?;
    let end = start.checked_add(length).filter(|&end| end <= file.len());
    let end = end.ok_or_else(|| fault("a column that ends behind the file"))?;
    let codec = column.compression_codec();
    let mut at = start;
    while at < end {
        let mut reader = Counted {
            inner: BufReader::new(file.get_read(at)?).take(HEADER_LIMIT),
            count: 0,
        };
        let header = PageHeader::read(&mut reader)?;
        at = at.saturating_add(reader.count);
        let (Ok(compressed), Ok(plain)) = (
            u64::try_from(header.compressed),
            u64::try_from(header.uncompressed),
        ) else {
            return Err(fault("a page of negative size"));
        };
        if at.saturating_add(compressed) > end {
            return Err(fault("a page that ends behind its column"));
        }
        if plain > limit || (codec == CompressionCodec::LZ4 && compressed > LZ4_LIMIT) {
            return Err(ParquetError::General(format!(
                "a page of {plain} bytes, more than the memory limit of {limit}"
            )));
        }
        values = values.saturating_add(u64::try_from(header.values).unwrap_or(u64::MAX));
        if values > limits.values {
            let most = limits.values;
            return Err(ParquetError::General(format!(
                "a column of {values} values, more than {most}"
            )));
        }
        if let Some(encoding) = header.encoding
            && !matches!(encoding, 0 | 2 | 3 | 8)
        {
            return Err(fault(
                "a page that is in neither plain nor dictionary encoding",
            ));
        }
        if let Some(entries) = header.dictionary {
            let held = if codec == CompressionCodec::UNCOMPRESSED {
                compressed
            } else {
                plain
            };
            let entries = u64::try_from(entries).unwrap_or(u64::MAX);
            if entries > held || entries.saturating_mul(ENTRY) > limit {
                return Err(ParquetError::General(format!(
                    "a dictionary of {entries} values in {held} bytes"
                )));
            }
        }
        if codec == CompressionCodec::GZIP && header.is_compressed {
            check_gzip(file, at, compressed, plain, header.levels)?;
        }
        at += compressed;
    }
    Ok(())
}

/// Where a column chunk stands; the crate's own function panics at a negative number.
fn byte_range(column: &ColumnChunkMetaData) -> Result<(u64, u64)> {
    let start = match column.dictionary_page_offset() {
        Some(dictionary) if dictionary > 0 => dictionary,
        _ => column.data_page_offset(),
    };
    match (
        u64::try_from(start),
        u64::try_from(column.compressed_size()),
    ) {
        (Ok(start), Ok(length)) => Ok((start, length)),
        _ => Err(fault("a column of negative size")),
    }
}

/// The gzip decoder of the crate reads to the end whatever the header says.
fn check_gzip<R: ChunkReader>(
    file: &R,
    at: u64,
    compressed: u64,
    plain: u64,
    levels: u64,
) -> Result<()> {
    let (Some(body), Some(expected)) = (compressed.checked_sub(levels), plain.checked_sub(levels))
    else {
        return Err(fault("a page that is smaller than its levels"));
    };
    if expected == 0 {
        return Ok(());
    }
    let start = file.get_read(at + levels)?.take(body);
    let mut decoder = MultiGzDecoder::new(BufReader::new(start)).take(expected + 1);
    let found = io::copy(&mut decoder, &mut io::sink())
        .map_err(|_| fault("a page that is no intact gzip data"))?;
    if found == expected {
        Ok(())
    } else {
        Err(fault("a page of another size than its header says"))
    }
}

fn fault(found: &str) -> ParquetError {
    ParquetError::General(found.to_owned())
}

/// What is read of a page's header.
#[derive(Debug)]
struct PageHeader {
    uncompressed: i64,
    compressed: i64,
    /// Encoding of the values, by its number.
    encoding: Option<i64>,
    /// Number of values of a dictionary page.
    dictionary: Option<i64>,
    /// Number of values of a page of data.
    values: i64,
    /// Bytes of the levels before the compressed part.
    levels: u64,
    is_compressed: bool,
}

impl PageHeader {
    fn read(reader: &mut Counted<impl Read>) -> Result<Self> {
        let mut header = Self {
            uncompressed: -1,
            compressed: -1,
            encoding: None,
            dictionary: None,
            values: 0,
            levels: 0,
            is_compressed: true,
        };
        let mut id = 0;
        while let Some(kind) = reader.field(&mut id)? {
            match (id, kind) {
                (2, I32) => header.uncompressed = reader.int()?,
                (3, I32) => header.compressed = reader.int()?,
                (DATA | DICTIONARY | DATA_V2, STRUCT) => header.read_part(id, reader)?,
                _ => reader.skip(kind, 0)?,
            }
        }
        Ok(header)
    }

    /// Reads what only pages of one type have.
    fn read_part(&mut self, page: i64, reader: &mut Counted<impl Read>) -> Result<()> {
        let mut id = 0;
        while let Some(kind) = reader.field(&mut id)? {
            match (page, id, kind) {
                (DATA | DICTIONARY, 2, I32) | (DATA_V2, 4, I32) => {
                    self.encoding = Some(reader.int()?);
                }
                (DICTIONARY, 1, I32) => self.dictionary = Some(reader.int()?),
                (DATA | DATA_V2, 1, I32) => self.values = reader.int()?,
                (DATA_V2, 5 | 6, I32) => {
                    let bytes = u64::try_from(reader.int()?);
                    let bytes = bytes.map_err(|_| fault("levels of negative size"))?;
                    self.levels = self.levels.saturating_add(bytes);
                }
                (DATA_V2, 7, TRUE | FALSE) => self.is_compressed = kind == TRUE,
                _ => reader.skip(kind, 0)?,
            }
        }
        Ok(())
    }
}

/// Fields of the header that only pages of one type have.
const DATA: i64 = 5;
const DICTIONARY: i64 = 7;
const DATA_V2: i64 = 8;

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const STRUCT: u8 = 12;
/// Structs within structs that are followed.
const DEPTH: u8 = 16;

/// A reader of the compact protocol that counts its bytes.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Counted<R> {
    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.inner
            .read_exact(&mut byte)
            .map_err(|_| fault("a page header that is cut off or too long"))?;
        self.count += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(fault("a number of more than 64 bits"))
    }

    fn int(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The type of the next field of a struct, whose number goes to `id`; none at the end.
    fn field(&mut self, id: &mut i64) -> Result<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *id = match byte >> 4 {
            0 => self.int()?,
            step => id.saturating_add(i64::from(step)),
        };
        Ok(Some(byte & 0x0f))
    }

    fn skip_bytes(&mut self, count: u64) -> Result<()> {
        let skipped = io::copy(&mut (&mut self.inner).take(count), &mut io::sink())
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        self.count += skipped;
        if skipped == count {
            Ok(())
        } else {
            Err(fault("a page header that is cut off or too long"))
        }
    }

    /// Passes over a value of that type. Each element takes a byte at least, so that the header's limit ends it.
    fn skip(&mut self, kind: u8, depth: u8) -> Result<()> {
        if depth > DEPTH {
            return Err(fault("a page header of too many levels"));
        }
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.skip_bytes(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip_bytes(8),
            8 => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = match byte >> 4 {
                    15 => self.varint()?,
                    count => u64::from(count),
                };
                for _ in 0..count {
                    match byte & 0x0f {
                        // In lists, a truth value takes a byte.
                        TRUE | FALSE => self.skip_bytes(1)?,
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
                Ok(())
            }
            STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(fault("a page header with a field of unknown type")),
        }
    }
}
