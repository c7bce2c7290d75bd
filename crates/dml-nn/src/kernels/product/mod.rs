//! Matrix products whose right side is packed once and shared by all threads.
//!
//! ```text
//! out[i, j] = (out[i, j] +) Σₖ left[i, k] · right[k, j]
//! ```
//!
//! The right side lies in [`Panels`] of a few registers' width. The left side is read where it lies: by rows, or by steps
//! of the sum ([`Left`]), so that a product with a transposed matrix needs no transposed copy. A tile of 6 rows and one
//! panel stays in registers while the sum runs: each step costs the panel's loads, 6 broadcasts, and the multiplications.
//!
//! Every element is a sum in the order of the steps, whatever piece of the output a call computes. Pieces can therefore be
//! shared among any number of threads, and the bits stay the same.

mod multiply;
mod panels;
mod tile;

pub(crate) use multiply::{Existing, Left, multiply};
pub(crate) use panels::Panels;

/// Height of a tile: 6 rows of 4 registers fill 24 of 32 registers, 6 rows of 2 registers fill 12 of 16.
pub(crate) const TILE_ROWS: usize = 6;

#[cfg(test)]
mod tests;
