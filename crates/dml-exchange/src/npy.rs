//! Arrays as `numpy.save` writes and `numpy.load` reads them: rows in one file, ids in another.
//!
//! [`Npy`] describes the format.

use std::path::Path;

use dml_core::autograd::with_slice;
use dml_core::candle_core::{DType, Device, Tensor};
use dml_core::check;
use dml_data::archives::{Npy, NpyValues};
use dml_eval::{Collection, IdRef, Ids, Items};

use crate::error::{ExchangeError, Result};

/// Writes the rows of a collection as one array and the ids as another, in the order of [`Collection::ids`]. Attributes are not
/// written.
///
/// # Errors
/// [`ExchangeError::Collection`] if the index does not give its rows, else as [`write_rows`] and [`write_ids`].
pub fn export(collection: &Collection, rows: &Path, ids: &Path) -> Result<()> {
    let all = crate::ids_of(collection)?;
    write_rows(rows, &collection.rows(&all)?)?;
    write_ids(ids, &all)
}

/// Adds the rows of an array to a collection, with the ids of another array.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Ids};
/// use dml_exchange::npy;
///
/// let folder = tempfile::tempdir()?;
/// let (rows, ids) = (folder.path().join("rows.npy"), folder.path().join("ids.npy"));
/// npy::write_rows(&rows, &Tensor::new(&[[1f32, 2.]], &Device::Cpu)?)?;
/// npy::write_ids(&ids, &Ids::from(["a"]))?;
/// let mut collection = Collection::new(FlatIndex::default());
/// npy::import(&mut collection, &rows, &ids)?;
/// assert_eq!(collection.get("a")?.unwrap().row, [1., 2.]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`read_rows`], [`read_ids`], [`Items::new`] and [`Collection::add`].
pub fn import(collection: &mut Collection, rows: &Path, ids: &Path) -> Result<()> {
    let items = Items::new(read_ids(ids)?, &read_rows(rows)?)?;
    Ok(collection.add(items)?)
}

/// Writes rows `[rows, dim]` of half, single or double precision.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_exchange::npy;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.npy");
/// let rows = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// npy::write_rows(&path, &rows)?;
/// assert_eq!(npy::read_rows(&path)?.to_vec2::<f32>()?, [[1., 2.], [3., 4.]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExchangeError::Rows`] unless the rows are a matrix of such numbers, [`ExchangeError::File`].
pub fn write_rows(path: &Path, rows: &Tensor) -> Result<()> {
    check::shape(rows.rank() == 2, "rows", rows, "[rows, dim]")?;
    let rows = rows
        .to_device(&Device::Cpu)
        .map_err(dml_core::Error::from)?;
    let values = match rows.dtype() {
        DType::F16 => with_slice(&rows, |x| NpyValues::Halves(x.to_vec()))?,
        DType::F32 => with_slice(&rows, |x| NpyValues::Singles(x.to_vec()))?,
        DType::F64 => with_slice(&rows, |x| NpyValues::Doubles(x.to_vec()))?,
        dtype => {
            let expected = "half, single or double precision";
            return Err(ExchangeError::unsupported(
                "rows",
                expected,
                format!("{dtype:?}"),
            ));
        }
    };
    Ok(Npy::new(rows.dims(), values)?.write(path)?)
}

/// Writes ids: whole numbers as `<u8`, texts as `<U`.
///
/// ```
/// use dml_eval::Ids;
/// use dml_exchange::npy;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ids.npy");
/// npy::write_ids(&path, &Ids::from(["a", "größe"]))?;
/// assert_eq!(npy::read_ids(&path)?, Ids::from(["a", "größe"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExchangeError::File`] if the file can't be written, or for a text that ends with a zero, which NumPy does not keep.
pub fn write_ids(path: &Path, ids: &Ids) -> Result<()> {
    let texts = ids.iter().filter_map(|id| match id {
        IdRef::Text(text) => Some(text.to_owned()),
        IdRef::Number(_) => None,
    });
    let numbers = ids.iter().filter_map(|id| match id {
        IdRef::Number(number) => Some(number),
        IdRef::Text(_) => None,
    });
    let texts: Vec<String> = texts.collect();
    let values = if texts.is_empty() {
        NpyValues::Unsigned(numbers.collect())
    } else {
        NpyValues::Texts(texts)
    };
    Ok(Npy::new([ids.len()], values)?.write(path)?)
}

/// Reads rows `[rows, dim]` of half, single or double precision.
///
/// # Errors
/// [`ExchangeError::Format`] unless the file is such an array, [`ExchangeError::File`] if it is none or damaged.
pub fn read_rows(path: &Path) -> Result<Tensor> {
    let array = Npy::read(path)?;
    let expected = match (array.dims(), array.values()) {
        ([_, _], NpyValues::Halves(_) | NpyValues::Singles(_) | NpyValues::Doubles(_)) => {
            return Ok(array.to_tensor(&Device::Cpu)?);
        }
        ([_, _], _) => "an array of float16, float32 or float64",
        _ => "an array of two dimensions",
    };
    Err(ExchangeError::format(path, expected, shown(&array)))
}

/// Reads ids: an array of one dimension, of whole numbers that are not negative, or of texts (`U` or `S`).
///
/// # Errors
/// [`ExchangeError::Format`] unless the file is such an array, [`ExchangeError::File`] if it is none or damaged.
pub fn read_ids(path: &Path) -> Result<Ids> {
    let array = Npy::read(path)?;
    if array.dims().len() != 1 {
        return Err(ExchangeError::format(
            path,
            "an array of one dimension",
            shown(&array),
        ));
    }
    let numbers = |own: Vec<i64>| {
        let numbers = own.into_iter().map(|number| {
            let negative = |_| ExchangeError::format(path, "whole numbers of at least 0", number);
            u64::try_from(number).map_err(negative)
        });
        numbers.collect::<Result<Vec<u64>>>()
    };
    let shown = shown(&array);
    match array.into_values() {
        NpyValues::Bytes(own) => Ok(Ids::from(
            own.into_iter().map(u64::from).collect::<Vec<_>>(),
        )),
        NpyValues::Integers(own) => Ok(Ids::from(numbers(own)?)),
        NpyValues::Unsigned(own) => Ok(Ids::from(own)),
        NpyValues::Texts(own) => Ok(Ids::from(own)),
        _ => Err(ExchangeError::format(
            path,
            "an array of whole numbers or texts",
            shown,
        )),
    }
}

/// For messages.
fn shown(array: &Npy) -> String {
    format!(
        "one of {} and shape {:?}",
        array.values().kind(),
        array.dims()
    )
}

#[cfg(test)]
mod tests;
