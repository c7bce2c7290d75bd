//! The distances of all queries and references, a block of queries at a time.

use dml_core::autograd::with_slice;
use dml_core::{Batch, Distance, Result};

use crate::rows::doubles_on_cpu;

/// Entries of the distance matrix that are in memory at a time.
const ENTRIES: usize = 1 << 22;

/// Hands on the matrix `[queries, references]` in double precision and by rows: the first query of each block, and its
/// entries. Without references, the batch's embeddings are compared with themselves. Nothing of it can be learned from.
pub(crate) fn each_block(
    batch: &Batch,
    distance: &dyn Distance,
    mut visit: impl FnMut(usize, &[f64]),
) -> Result<()> {
    let batch = batch.detach();
    let (queries, references) = (batch.queries(), batch.references());
    let reference = batch.reference().unwrap_or(batch.embeddings());
    let block = (ENTRIES / references.max(1)).max(1);
    for start in (0..queries).step_by(block) {
        let rows = block.min(queries - start);
        let rows = batch.embeddings().narrow(0, start, rows)?;
        let matrix = distance.matrix(&rows, Some(reference))?;
        let matrix = doubles_on_cpu(&matrix)?;
        with_slice::<f64, _>(&matrix, |matrix| visit(start, matrix))?;
    }
    Ok(())
}
