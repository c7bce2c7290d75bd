//! Collections as Parquet tables: a column of ids, one of rows as lists, and one for each attribute.
//!
//! ```text
//! id        whole numbers (any width, signed or not) or texts; none may be absent
//! vector    lists of single or double precision, all of one length, none absent
//! others    truth values, whole numbers, numbers, texts; each may be absent, and NaN counts as absent
//! ```
//!
//! Written files have 64-bit unsigned or UTF-8 ids, lists of single or double precision as the index has its rows, and zstd. Read
//! files may be uncompressed or compressed by snappy, gzip, LZ4 or zstd, in plain or dictionary encoding, in any number of row
//! groups: as pyarrow, pandas and polars write them. Rows are read and handed on some thousands at a time.

mod budget;
mod columns;
mod reading;
mod writing;

use std::path::Path;

use dml_data::parquet_file;
use dml_eval::{Collection, Items};

use crate::error::{ExchangeError, Result};

/// The names of the columns of a table.
///
/// ```
/// use dml_exchange::parquet::TableColumns;
///
/// let columns = TableColumns { id: "sku".to_owned(), ..TableColumns::default() };
/// assert_eq!((columns.vector.as_str(), columns.attributes), ("vector", None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct TableColumns {
    /// Name of the column of ids. Default `id`.
    pub id: String,
    /// Name of the column of rows. Default `vector`.
    pub vector: String,
    /// Names of the columns of attributes. Default `None`: all others; those of a kind that no attribute has are skipped.
    pub attributes: Option<Vec<String>>,
}

impl Default for TableColumns {
    fn default() -> Self {
        Self {
            id: "id".to_owned(),
            vector: "vector".to_owned(),
            attributes: None,
        }
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRead {
    /// Number of items.
    pub items: usize,
    /// Columns that were not read, and what they are.
    pub skipped: Vec<(String, String)>,
}

/// Writes a collection, in the order of its ids.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_exchange::parquet::{self, TableColumns};
/// use dml_eval::{Collection, FlatIndex, Items};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("shop.parquet");
/// let rows = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// let mut shop = Collection::new(FlatIndex::default());
/// shop.add(Items::new(["a", "b"], &rows)?.with_column("color", vec![Some("red"), None])?)?;
/// parquet::export(&shop, &path, &TableColumns::default())?;
///
/// let mut copy = Collection::new(FlatIndex::default());
/// assert_eq!(parquet::import(&mut copy, &path, &TableColumns::default())?.items, 2);
/// assert_eq!(copy.get("a")?, shop.get("a")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExchangeError::Unsupported`] if an attribute has the name of one of both other columns, or one that is listed is not there;
/// [`ExchangeError::Collection`] if the index does not give its rows; [`ExchangeError::Io`].
pub fn export(collection: &Collection, path: &Path, columns: &TableColumns) -> Result<()> {
    writing::write(path, collection, columns)
}

/// Reads a table and hands its items to `take`, some thousands at a time.
///
/// # Errors
/// [`ExchangeError::Format`] unless the file is a table with such columns; errors of `take`; [`ExchangeError::Io`]. What was
/// handed on before stays so.
pub fn read(
    path: &Path,
    columns: &TableColumns,
    take: impl FnMut(Items) -> Result<()>,
) -> Result<TableRead> {
    let mut take = take;
    let read = parquet_file::catch(|| reading::read(path, columns, &mut take));
    read.unwrap_or_else(|message| {
        let found = format!("one whose reader fails: {message}");
        Err(ExchangeError::format(path, "an intact Parquet file", found))
    })
}

/// Adds the items of a table to a collection, some thousands at a time, each as a change of its own.
///
/// # Errors
/// As [`read`] and [`Collection::add`]. What was added before stays.
pub fn import(
    collection: &mut Collection,
    path: &Path,
    columns: &TableColumns,
) -> Result<TableRead> {
    read(path, columns, |items| Ok(collection.add(items)?))
}

#[cfg(test)]
mod tests;
