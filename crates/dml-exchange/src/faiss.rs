//! faiss' flat indexes, as `faiss.write_index` writes and `faiss.read_index` reads them.
//!
//! ```text
//! index    kind: 4 letters, head, content
//! head     dim: i32, rows: i64, 2 numbers of no meaning: i64, trained: u8, metric: i32 (0 inner product, 1 squared Euclidean)
//! IxF2, IxFI (IndexFlatL2, IndexFlatIP)          numbers: u64, rows of single precision
//! IxMp, IxM2 (IndexIDMap, IndexIDMap2)           the index of the rows, ids: u64, ids of 64 bits
//! ```
//!
//! The layout is that of faiss 1.5 to 1.15. A cosine is the inner product of rows of length 1 there: an index by cosine is
//! written as `IxFI`, and one that is read compares by inner product unless it is made one by cosine.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;

use dml_core::autograd::with_slice;
use dml_core::candle_core::{DType, Device, Tensor};
use dml_core::{check, durable};
use dml_eval::{Collection, FlatIndex, FlatMetric, IdRef, Ids, KnnIndex};

use crate::error::{ExchangeError, Result};

/// A number that faiss writes where it has kept nothing.
const DUMMY: i64 = 1 << 20;
/// Bytes of kind and head.
const HEAD: u64 = 4 + 4 + 8 + 16 + 1 + 4;

/// A flat index of faiss.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FaissFlat {
    /// [`FlatMetric::SquaredEuclidean`] or [`FlatMetric::InnerProduct`].
    pub metric: FlatMetric,
    /// `[rows, dim]` of single precision.
    pub rows: Tensor,
    /// The id of each row, if the index has ids. They are not negative.
    pub ids: Option<Ids>,
}

/// Writes rows and ids of a collection as an `IndexIDMap` over a flat index, in the order of [`Collection::ids`]. Attributes are
/// not written. `metric` is what faiss is to compare by; that of a cosine is the inner product of its rows of length 1.
///
/// # Errors
/// [`ExchangeError::Collection`] if the index does not give its rows, else as [`write()`].
pub fn export(collection: &Collection, path: &Path, metric: FlatMetric) -> Result<()> {
    let ids = crate::ids_of(collection)?;
    let rows = collection.rows(&ids)?.to_dtype(DType::F32);
    write(
        path,
        metric,
        &rows.map_err(dml_core::Error::from)?,
        Some(&ids),
    )
}

/// A collection in memory of a flat index. An index without ids gets the numbers of its rows as ids.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::FlatMetric;
/// use dml_exchange::faiss;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.faiss");
/// let rows = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// faiss::write(&path, FlatMetric::SquaredEuclidean, &rows, Some(&[7, 9].into()))?;
/// let collection = faiss::import(&path)?;
/// let query = Tensor::new(&[[3f32, 3.]], &Device::Cpu)?;
/// assert_eq!(collection.search(&query, 1)?[0][0].id, 9.into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`read`], [`FlatIndex::add`](KnnIndex::add) and [`Collection::with_ids`].
pub fn import(path: &Path) -> Result<Collection> {
    let FaissFlat { metric, rows, ids } = read(path)?;
    let mut index = FlatIndex::new(metric);
    index.add(&rows)?;
    let ids = ids.unwrap_or_else(|| (0..index.len() as u64).collect::<Vec<u64>>().into());
    Ok(Collection::with_ids(index, ids)?)
}

/// Writes rows `[rows, dim]` as a flat index, within an `IndexIDMap` if there are ids.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::FlatMetric;
/// use dml_exchange::faiss;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.faiss");
/// let rows = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// faiss::write(&path, FlatMetric::InnerProduct, &rows, Some(&[7, 9].into()))?;
/// let read = faiss::read(&path)?;
/// assert_eq!((read.metric, read.ids), (FlatMetric::InnerProduct, Some([7, 9].into())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExchangeError::Rows`] unless the rows are a matrix of single precision, or half, which is widened;
/// [`ExchangeError::Unsupported`] for ids that are texts or above 2⁶³ − 1, another number of them than of rows, or more than
/// 2³¹ − 1 coordinates; [`ExchangeError::Io`].
pub fn write(path: &Path, metric: FlatMetric, rows: &Tensor, ids: Option<&Ids>) -> Result<()> {
    check::shape(rows.rank() == 2, "rows", rows, "[rows, dim]")?;
    let rows = match rows.dtype() {
        DType::F16 | DType::BF16 => rows.to_dtype(DType::F32),
        _ => Ok(rows.clone()),
    };
    let rows = rows.and_then(|rows| rows.to_device(&Device::Cpu));
    let rows = rows.map_err(dml_core::Error::from)?;
    check::dtype(
        rows.dtype() == DType::F32,
        "rows",
        &rows,
        "single or half precision",
    )?;
    let (count, dim) = rows.dims2().map_err(dml_core::Error::from)?;
    let Ok(width) = i32::try_from(dim) else {
        return Err(ExchangeError::unsupported(
            "dim",
            "at most 2147483647 coordinates",
            dim,
        ));
    };
    let ids = ids.map(|ids| numbers_of(ids, count)).transpose()?;
    let metric = match metric {
        FlatMetric::SquaredEuclidean => 1,
        FlatMetric::InnerProduct | FlatMetric::Cosine => 0,
        _ => {
            let expected = "a squared Euclidean distance, an inner product or a cosine";
            return Err(ExchangeError::unsupported(
                "metric",
                expected,
                format!("{metric:?}"),
            ));
        }
    };
    let head = |kind: &[u8; 4]| {
        let mut head = kind.to_vec();
        head.extend(width.to_le_bytes());
        head.extend((count as i64).to_le_bytes());
        head.extend(DUMMY.to_le_bytes());
        head.extend(DUMMY.to_le_bytes());
        head.push(1);
        head.extend(i32::to_le_bytes(metric));
        head
    };
    with_slice::<f32, _>(&rows, |rows| {
        durable::write_with(path, |out| {
            if ids.is_some() {
                out.write_all(&head(b"IxMp"))?;
            }
            out.write_all(&head(if metric == 1 { b"IxF2" } else { b"IxFI" }))?;
            out.write_all(&(rows.len() as u64).to_le_bytes())?;
            for rows in rows.chunks(1 << 14) {
                let piece: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
                out.write_all(&piece)?;
            }
            if let Some(ids) = &ids {
                out.write_all(&(ids.len() as u64).to_le_bytes())?;
                let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
                out.write_all(&bytes)?;
            }
            Ok(())
        })
        .map_err(ExchangeError::io(path))
    })?
}

/// Ids as faiss has them.
fn numbers_of(ids: &Ids, count: usize) -> Result<Vec<i64>> {
    if ids.len() != count {
        return Err(ExchangeError::unsupported(
            "ids",
            "as many as rows",
            ids.len(),
        ));
    }
    let number = |id: IdRef<'_>| match id {
        IdRef::Number(number) => i64::try_from(number).ok(),
        IdRef::Text(_) => None,
    };
    let number = |id| {
        let expected = "whole numbers up to 2^63 - 1";
        number(id).ok_or_else(|| ExchangeError::unsupported("ids", expected, id))
    };
    ids.iter().map(number).collect()
}

/// Reads a flat index, within an `IndexIDMap` or not.
///
/// # Errors
/// [`ExchangeError::Format`] for an index of another kind or metric, one that is cut short or goes on behind its end, and ids
/// that are negative; [`ExchangeError::Io`].
pub fn read(path: &Path) -> Result<FaissFlat> {
    let failed = ExchangeError::io(path);
    let metadata = fs::metadata(path).map_err(&failed)?;
    let fault =
        |expected, found: &dyn ToString| ExchangeError::format(path, expected, found.to_string());
    if !metadata.is_file() {
        return Err(fault("a flat index of faiss", &"something that is no file"));
    }
    let file = BufReader::new(File::open(path).map_err(&failed)?);
    let mut reader = Reader {
        file,
        path,
        left: metadata.len(),
    };
    let outer = reader.head()?;
    let has_ids = matches!(&outer.kind, b"IxMp" | b"IxM2");
    let inner = if has_ids { reader.head()? } else { outer };
    let metric = match (&inner.kind, inner.metric) {
        (b"IxF2", 1) => FlatMetric::SquaredEuclidean,
        (b"IxFI", 0) => FlatMetric::InnerProduct,
        (kind, metric) => {
            let kind = String::from_utf8_lossy(kind);
            let found = format!("an index {kind:?} of metric {metric}");
            return Err(fault("IxF2, IxFI, or one of them in IxMp or IxM2", &found));
        }
    };
    if (outer.rows, outer.dim, outer.metric) != (inner.rows, inner.dim, inner.metric) {
        return Err(fault("one number of rows and one metric", &"two"));
    }
    let (rows, dim) = (inner.rows as usize, inner.dim as usize);
    let numbers = reader.vector(f32::from_le_bytes)?;
    if numbers.len() as u128 != u128::from(inner.rows) * u128::from(inner.dim) {
        let found = format!("{} numbers for {rows} rows of {dim}", numbers.len());
        return Err(fault(
            "as many numbers as rows and coordinates make",
            &found,
        ));
    }
    let ids = if has_ids {
        let ids = reader.vector(i64::from_le_bytes)?.into_iter();
        let ids = ids.map(u64::try_from);
        let ids: std::result::Result<Vec<u64>, _> = ids.collect();
        let ids = ids.map_err(|_| fault("ids of at least 0", &"a negative one"))?;
        if ids.len() != rows {
            return Err(fault("as many ids as rows", &ids.len()));
        }
        Some(Ids::from(ids))
    } else {
        None
    };
    if reader.left > 0 {
        return Err(fault("the end", &format!("{} more bytes", reader.left)));
    }
    let rows = Tensor::from_vec(numbers, (rows, dim), &Device::Cpu);
    Ok(FaissFlat {
        metric,
        rows: rows.map_err(dml_core::Error::from)?,
        ids,
    })
}

/// What stands before the content of an index.
#[derive(Clone, Copy)]
struct Head {
    kind: [u8; 4],
    dim: u64,
    rows: u64,
    metric: i32,
}

struct Reader<'a, R> {
    file: R,
    path: &'a Path,
    /// Bytes that have not been read.
    left: u64,
}

impl<R: Read> Reader<'_, R> {
    fn cut(&self) -> ExchangeError {
        ExchangeError::format(
            self.path,
            "a whole flat index of faiss",
            "one that ends too early",
        )
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.left = self.left.checked_sub(N as u64).ok_or_else(|| self.cut())?;
        let mut bytes = [0; N];
        self.file
            .read_exact(&mut bytes)
            .map_err(ExchangeError::io(self.path))?;
        Ok(bytes)
    }

    fn head(&mut self) -> Result<Head> {
        if self.left < HEAD {
            return Err(self.cut());
        }
        let kind = self.bytes()?;
        let dim = i32::from_le_bytes(self.bytes()?);
        let rows = i64::from_le_bytes(self.bytes()?);
        self.bytes::<17>()?;
        let metric = i32::from_le_bytes(self.bytes()?);
        if metric > 1 {
            // What belongs to other metrics.
            self.bytes::<4>()?;
        }
        match (u64::try_from(dim), u64::try_from(rows)) {
            (Ok(dim), Ok(rows)) => Ok(Head {
                kind,
                dim,
                rows,
                metric,
            }),
            _ => {
                let expected = "sizes that are not negative";
                Err(ExchangeError::format(self.path, expected, "a negative one"))
            }
        }
    }

    /// Numbers of `N` bytes each, behind how many there are.
    fn vector<T, const N: usize>(&mut self, number: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
        let count = u64::from_le_bytes(self.bytes()?);
        let length = count.checked_mul(N as u64).filter(|own| *own <= self.left);
        length.ok_or_else(|| self.cut())?;
        (0..count).map(|_| self.bytes().map(&number)).collect()
    }
}

#[cfg(test)]
mod tests;
