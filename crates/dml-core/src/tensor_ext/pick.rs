//! Entries of a matrix by row and column.

use candle_core::Tensor;

use crate::autograd::{PartialGradient, has_kernel, of_matrix, with_slice};
use crate::{Result, check, for_element};

pub(super) fn pick(matrix: &Tensor, rows: &[u32], columns: &[u32]) -> Result<Tensor> {
    let (height, width) = matrix.dims2()?;
    check::length("columns", rows.len(), columns.len())?;
    for (arg, list, limit) in [("rows", rows, height), ("columns", columns, width)] {
        check::indices(arg, list.iter().map(|&i| i as usize), limit)?;
    }
    let places: Vec<usize> = rows
        .iter()
        .zip(columns)
        .map(|(&r, &c)| r as usize * width + c as usize)
        .collect();
    let count = places.len();
    if has_kernel(matrix) {
        return for_element!(matrix, "matrix", |T| {
            let values: Vec<T> = with_slice(matrix, |m: &[T]| {
                places.iter().map(|&place| m[place]).collect()
            })?;
            of_matrix("pick", matrix, values, count, move |_, _, gradient| {
                let mut result = vec![<T as dml_kernels::Real>::ZERO; height * width];
                with_slice(gradient, |g: &[T]| {
                    for (&place, g) in places.iter().zip(g) {
                        result[place] += *g;
                    }
                })?;
                Ok(PartialGradient::dense(result))
            })
        });
    }
    if count == 0 {
        return Ok(Tensor::zeros(0, matrix.dtype(), matrix.device())?);
    }
    let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
    let places = Tensor::from_vec(places, count, matrix.device())?;
    Ok(matrix.flatten_all()?.index_select(&places, 0)?)
}
