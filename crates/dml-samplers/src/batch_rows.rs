//! How many rows a batch may have.

/// The largest number of rows in a batch, and of batches in an epoch whose order is written out: 16,777,216.
pub(crate) const MOST: usize = 1 << 24;
