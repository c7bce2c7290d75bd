//! The distances of all queries and references, a block of queries at a time.

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::{Batch, Distance, Result};

/// Entries of the distance matrix that are in memory at a time.
const ENTRIES: usize = 1 << 22;

/// Hands on the matrix of `queries` and `references`, on the CPU and a block of queries at a time: the first query of each
/// block, and its rows. A block has `rows` queries, or about four million entries.
pub(crate) fn each_matrix(
    queries: &Tensor,
    references: &Tensor,
    distance: &dyn Distance,
    rows: Option<usize>,
    mut visit: impl FnMut(usize, Tensor) -> Result<()>,
) -> Result<()> {
    let count = queries.dims()[0];
    let block = rows.unwrap_or(ENTRIES / references.dims()[0].max(1)).max(1);
    for start in (0..count).step_by(block) {
        let queries = queries.narrow(0, start, block.min(count - start))?;
        let matrix = distance.matrix(&queries, Some(references))?;
        visit(start, matrix.to_device(&Device::Cpu)?)?;
    }
    Ok(())
}

/// Hands on the matrix `[queries, references]` in double precision and by rows: the first query of each block, and its
/// entries. Without references, the batch's embeddings are compared with themselves. Nothing of it can be learned from.
pub(crate) fn each_block(
    batch: &Batch,
    distance: &dyn Distance,
    mut visit: impl FnMut(usize, &[f64]),
) -> Result<()> {
    let batch = batch.detach();
    let queries = batch.embeddings();
    let references = batch.reference().unwrap_or(queries);
    each_matrix(queries, references, distance, None, |start, matrix| {
        let matrix = matrix.to_dtype(DType::F64)?;
        with_slice(&matrix, |matrix| visit(start, matrix))
    })
}
