//! Matrix products whose right side is packed once and shared by all threads.
//!
//! ```text
//! out[i, j] = (out[i, j] +) Σₖ left[i, k] · right[k, j]
//! ```
//!
//! The right side lies in [`Panels`] of a few registers' width. The left side may lie by rows, which are read where they are,
//! or by steps of the sum ([`Left`]), which are packed for each call. A tile of 6 rows and one panel stays in registers while the sum runs
//! (see [`register_tile`](super::register_tile)).
//!
//! Every element is a sum in the order of the steps, whatever piece of the output a call computes. Pieces can therefore be
//! shared among any number of threads, and the bits stay the same.

mod multiply;
mod panels;

pub(crate) use multiply::{Existing, Left, multiply};
pub(crate) use panels::Panels;

pub(crate) use super::register_tile::ROWS as TILE_ROWS;

#[cfg(test)]
mod tests;
