//! Pages that are checked before their values are decoded.
//!
//! A page says how many values it has, and a run of equal ones takes a few bytes however many they are. So values are counted
//! against a budget, which the reader sets for every block of rows.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Values of a page at most.
const MOST_VALUES: u64 = 1 << 25;

/// Values that pages may still have.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicU64>);

impl Budget {
    /// Sets the budget for so many values; they may begin and end within a page.
    pub(super) fn set(&self, values: u64) {
        self.0
            .store(values.saturating_add(2 * MOST_VALUES), Ordering::Relaxed);
    }

    fn take(&self, values: u64) -> bool {
        let left = self.0.load(Ordering::Relaxed).checked_sub(values);
        if let Some(left) = left {
            self.0.store(left, Ordering::Relaxed);
        }
        left.is_some()
    }
}

fn fault(found: &str) -> ParquetError {
    ParquetError::General(found.to_owned())
}

/// The pages of a column.
pub(super) struct CheckedPages {
    pub(super) pages: Box<dyn PageReader>,
    pub(super) budget: Budget,
}

impl CheckedPages {
    fn check(&self, page: &Page) -> Result<()> {
        let encoding = page.encoding();
        // Others reserve memory on the word of the data.
        let is_known = matches!(
            encoding,
            Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE | Encoding::RLE_DICTIONARY
        );
        if !is_known {
            return Err(ParquetError::General(format!(
                "a page in the encoding {encoding}, which is neither plain nor by a dictionary"
            )));
        }
        let values = u64::from(page.num_values());
        if page.is_dictionary_page() {
            // Entries of a dictionary have four bytes at least, or their length has.
            if values * 4 > page.buffer().len() as u64 {
                return Err(fault("a dictionary with more entries than bytes"));
            }
        } else if values > MOST_VALUES || !self.budget.take(values) {
            return Err(fault("more values than rows make"));
        }
        Ok(())
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            self.check(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

/// A file of which no more is asked than it has.
pub(super) struct Bounded {
    file: File,
    length: u64,
}

impl Bounded {
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

impl Length for Bounded {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Bounded {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(file))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(fault("bytes behind the end of the file"));
        }
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
