//! Rows and ids in the formats of others: `.npy` arrays, faiss' flat indexes, Parquet tables.
//!
//! | | rows | ids | attributes |
//! |---|---|---|---|
//! | [`npy`] | half, single or double precision | whole numbers or texts, in a file of their own | |
//! | [`faiss`] | single precision | whole numbers (`IndexIDMap`) | |
//! | `parquet` (feature `parquet`) | a column of lists | a column of whole numbers or texts | a column each |
//!
//! Files are written whole or not at all. Read files are not trusted: lengths are held against the file before memory is
//! reserved.

mod collections;
mod error;
pub mod faiss;
#[cfg(test)]
mod made_by_others;
pub mod npy;
#[cfg(feature = "parquet")]
pub mod parquet;

pub use error::ExchangeError;
pub use faiss::FaissFlat;
