//! Pages whose values are counted against a budget.
//!
//! A page says how many values it has, and a run of equal ones takes a few bytes however many they are. So values are counted
//! against a budget, which the reader sets for every block of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// Values of a page at most.
const MOST_VALUES: u64 = 1 << 25;

/// Values that pages may still have.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicU64>);

impl Budget {
    /// Sets the budget for a block of that many values, which may begin and end within a page.
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

/// The pages of a column.
pub(super) struct CountedPages {
    pub(super) pages: Box<dyn PageReader>,
    pub(super) budget: Budget,
}

impl PageReader for CountedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = page.as_ref().filter(|page| page.is_data_page()) {
            let values = u64::from(page.num_values());
            if values > MOST_VALUES || !self.budget.take(values) {
                return Err(ParquetError::General(
                    "more values than rows make".to_owned(),
                ));
            }
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

impl Iterator for CountedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
