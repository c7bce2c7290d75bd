//! Rows of a table by number, and the sum of gradients of each row.
//!
//! ```text
//! y[i] = table[ids[i]],   ∂table[r] = Σ g[i] over all i with ids[i] = r, in the order of i
//! ```

use dml_core::kernels::{Real, lengths, written};

/// Numbers of a piece of work.
const WORK: usize = 16_384;

/// The rows of the table with these numbers.
///
/// # Panics
/// If a length does not fit, or a number is beyond the table.
pub(crate) fn rows<T: Real>(table: &[T], ids: &[u32], dim: usize) -> Vec<T> {
    lengths::rows("table", table.len(), dim);
    let run = (WORK / dim.max(1)).max(1);
    let (rows, _) = written(ids.len() * dim, run * dim, |i, piece: &mut [T]| {
        for (out, id) in piece.chunks_exact_mut(dim).zip(&ids[i * run..]) {
            out.copy_from_slice(&table[*id as usize * dim..][..dim]);
        }
    });
    rows
}

/// The gradient of a table of `rows` rows; that of row `padding` is 0.
///
/// # Panics
/// If a length does not fit.
pub(crate) fn table_gradient<T: Real>(
    gradient: &[T],
    ids: &[u32],
    rows: usize,
    dim: usize,
    padding: Option<u32>,
) -> Vec<T> {
    lengths::length("gradient", gradient.len(), ids.len() * dim);
    // Sorted by row, then by position, so that each row has its gradients side by side and in order.
    let positions = ids.iter().zip(0usize..);
    let mut order: Vec<(u32, usize)> = positions
        .map(|(id, position)| (*id, position))
        .filter(|(id, _)| Some(*id) != padding)
        .collect();
    order.sort_unstable();
    let run = (WORK / dim.max(1)).max(1);
    let (table, _) = written(rows * dim, run * dim, |i, piece: &mut [T]| {
        let first = i * run;
        let from = order.partition_point(|(id, _)| (*id as usize) < first);
        let to = order.partition_point(|(id, _)| (*id as usize) < first + run);
        let mut sums = vec![0f64; dim];
        for group in order[from..to].chunk_by(|a, b| a.0 == b.0) {
            let out = &mut piece[(group[0].0 as usize - first) * dim..][..dim];
            if let [(_, position)] = group {
                out.copy_from_slice(&gradient[position * dim..][..dim]);
                continue;
            }
            sums.fill(0.0);
            for (_, position) in group {
                for (sum, g) in sums.iter_mut().zip(&gradient[position * dim..][..dim]) {
                    *sum += g.to_f64();
                }
            }
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = T::from_f64(*sum);
            }
        }
    });
    table
}
