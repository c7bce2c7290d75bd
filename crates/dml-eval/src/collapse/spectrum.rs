//! How much embeddings spread along each direction.

use candle_core::Tensor;
use dml_core::Result;
use dml_core::autograd::with_slice;

use crate::kernels::symmetric_eigen::eigenvalues;

/// The squared singular values of `rows` `[rows, dim]`, of double precision, largest first: the eigenvalues of the smaller of
/// `XᵀX` and `XXᵀ`. Those that can't be told from rounding are left out.
pub(super) fn spectrum(rows: &Tensor) -> Result<Vec<f64>> {
    let (count, dim) = rows.dims2()?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let gram = if count < dim {
        rows.matmul(&rows.t()?)?
    } else {
        rows.t()?.matmul(rows)?
    };
    let mut squares =
        with_slice::<f64, _>(&gram, |gram| eigenvalues(gram.to_vec(), count.min(dim)))?;
    let largest = squares.first().copied().unwrap_or(0.0);
    let noise = largest * squares.len() as f64 * f64::EPSILON;
    squares.retain(|square| *square > noise);
    Ok(squares)
}
