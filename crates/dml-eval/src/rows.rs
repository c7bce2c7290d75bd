//! Embeddings as searches and clusterings take them.

use candle_core::{DType, Device, Tensor};
use dml_core::fused::{Element, with_slice};
use dml_core::kernels::Real;
use dml_core::{Error, Result};

/// `[rows, dim]` of single or double precision, outside of the graph, that fits the rows of an index.
pub(crate) fn checked_rows(
    arg: &'static str,
    rows: &Tensor,
    dim: Option<usize>,
    dtype: Option<DType>,
) -> Result<Tensor> {
    if rows.rank() != 2 || rows.dims()[1] == 0 || dim.is_some_and(|dim| dim != rows.dims()[1]) {
        return Err(Error::Shape {
            arg,
            expected: "[rows, dim] with the dim of the index, at least 1",
            got: rows.dims().to_vec(),
        });
    }
    let rows = match rows.dtype() {
        DType::F16 | DType::BF16 => rows.to_dtype(DType::F32)?,
        _ => rows.clone(),
    };
    let expected = match (rows.dtype(), dtype) {
        (DType::F32 | DType::F64, None) => return Ok(rows.detach()),
        (got, Some(dtype)) if got == dtype => return Ok(rows.detach()),
        (_, None) => "a floating-point type",
        (_, Some(_)) => "the element type of the index",
    };
    Err(Error::DType {
        arg,
        expected,
        got: rows.dtype(),
    })
}

/// The numbers in double precision on the CPU. They move first: not every device has double precision.
pub(crate) fn doubles_on_cpu(numbers: &Tensor) -> candle_core::Result<Tensor> {
    numbers.to_device(&Device::Cpu)?.to_dtype(DType::F64)
}

/// Whether every number of the rows is finite, which are on the CPU.
pub(crate) fn check_finite<T: Element>(arg: &'static str, rows: &Tensor) -> Result<()> {
    let odd = with_slice::<T, _>(rows, |rows| {
        rows.iter()
            .map(|x| Real::to_f64(*x))
            .find(|x| !x.is_finite())
    })?;
    match odd {
        None => Ok(()),
        Some(value) => Err(Error::InvalidParameter {
            name: arg,
            value,
            expected: "finite numbers",
        }),
    }
}
