//! Parquet files from anywhere: what they say of their size is checked before the crate `parquet` reads them.
//!
//! The crate reserves memory on the word of the file and panics at some damaged ones. [`ParquetFile`] checks the length of the
//! footer and the headers of the pages; [`catch`] makes panics errors. Types of the crate `parquet` are part of this module,
//! which is exempt from semantic versioning.

mod pages;
mod quiet_panic;

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::CompressionCodec;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};

pub use pages::PageLimits;
pub use quiet_panic::catch;

/// Largest footer that is read: the description of the file, of which the crate holds a multiple in memory.
const FOOTER_LIMIT: u64 = 1 << 26;

/// A Parquet file with an intact footer.
///
/// ```
/// use dml_data::parquet_file::ParquetFile;
///
/// // The length of the footer stands before the last four bytes.
/// let file = bytes::Bytes::from_static(b"PAR1\xff\xff\xff\xffPAR1");
/// let error = ParquetFile::open(file).unwrap_err().to_string();
/// assert!(error.contains("a footer of 4294967295 bytes"));
/// ```
pub struct ParquetFile<R: ChunkReader + 'static> {
    file: Arc<R>,
    reader: SerializedFileReader<Shared<R>>,
}

impl<R: ChunkReader + 'static> std::fmt::Debug for ParquetFile<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = self.reader.metadata().file_metadata().num_rows();
        f.debug_struct("ParquetFile").field("rows", &rows).finish()
    }
}

impl<R: ChunkReader + 'static> ParquetFile<R> {
    /// Reads the footer.
    ///
    /// # Errors
    /// [`ParquetError`] if it is damaged or too large.
    pub fn open(file: R) -> Result<Self> {
        check_footer(&file)?;
        let file = Arc::new(file);
        let reader = SerializedFileReader::new(Shared(Arc::clone(&file)))?;
        Ok(Self { file, reader })
    }

    /// The reader of the crate `parquet`. Columns must be [checked](Self::check_pages) before their pages are read.
    pub fn reader(&self) -> &dyn FileReader {
        &self.reader
    }

    /// The first column, among those whose outermost name `is_read` holds for, that is compressed in a way that can't be read.
    pub fn unreadable(&self, is_read: impl Fn(&str) -> bool) -> Option<&ColumnChunkMetaData> {
        use CompressionCodec::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
        self.chunks(is_read).find(|column| {
            let codec = column.compression_codec();
            !matches!(codec, UNCOMPRESSED | SNAPPY | GZIP | LZ4 | LZ4_RAW | ZSTD)
        })
    }

    /// Checks the headers of all pages of the columns whose outermost name `is_read` holds for.
    ///
    /// # Errors
    /// [`ParquetError`] for a page, a dictionary or a number of values beyond the limits, and for encodings whose decoders
    /// reserve memory on the word of the data.
    pub fn check_pages(&self, is_read: impl Fn(&str) -> bool, limits: PageLimits) -> Result<()> {
        let mut chunks = self.chunks(is_read);
        chunks.try_for_each(|column| pages::check(&*self.file, column, limits))
    }

    fn chunks(&self, is_read: impl Fn(&str) -> bool) -> impl Iterator<Item = &ColumnChunkMetaData> {
        let groups = self.reader.metadata().row_groups().iter();
        let chunks = groups.flat_map(RowGroupMetaData::columns);
        chunks.filter(move |own| {
            own.column_path()
                .parts()
                .first()
                .is_some_and(|name| is_read(name))
        })
    }
}

/// A file that is read and checked at once.
struct Shared<R>(Arc<R>);

impl<R: ChunkReader> Length for Shared<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Shared<R> {
    type T = R::T;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // The crate reserves the length before it reads.
        if start
            .checked_add(length as u64)
            .is_none_or(|end| end > self.0.len())
        {
            let text = format!("{length} bytes from byte {start} on, behind the end of the file");
            return Err(ParquetError::General(text));
        }
        self.0.get_bytes(start, length)
    }
}

/// The length of the footer stands before the last four bytes.
fn check_footer<R: ChunkReader>(file: &R) -> Result<()> {
    let Some(start) = file.len().checked_sub(8) else {
        return Ok(()); // the crate says what is wrong
    };
    let tail = file.get_bytes(start, 8)?;
    let length = tail.first_chunk().map_or(0, |own| u32::from_le_bytes(*own));
    if u64::from(length) > FOOTER_LIMIT {
        let text = format!("a footer of {length} bytes, more than {FOOTER_LIMIT}");
        return Err(ParquetError::General(text));
    }
    Ok(())
}
