//! Scaled dot-product attention, head by head and block by block.
//!
//! ```text
//! S = scale · Q Kᵀ + mask        P = exp(S − m) / l        O = (M ∘ P) V
//! m = max of a row of S          l = Σ exp(S − m)          M = the factors of dropout, or 1
//! ```
//!
//! Dao et al. 2022 (arXiv 2205.14135). A block of queries goes through the keys tile by tile. The maximum and the sum of a
//! row are kept, and the backward pass computes P again from them, so nothing of `queries × keys` numbers is stored:
//!
//! ```text
//! ∂V = (M ∘ P)ᵀ ∂O        ∂S = P ∘ (M ∘ ∂O Vᵀ − D)        Dᵢ = ∂Oᵢ · Oᵢ
//! ∂Q = scale · ∂S K       ∂K = scale · ∂Sᵀ Q
//! ```
//!
//! A head is computed by one thread, from the first key to the last, so the bits do not depend on the number of threads.

mod backward;
mod forward;
mod mask;
mod scores;

use std::ops::Range;

use super::product::TILE_ROWS;

pub(crate) use backward::{HeadGradients, backward};
pub(crate) use forward::forward;
pub(crate) use mask::Mask;

/// Queries that a block has at most.
const QUERIES: usize = 12 * TILE_ROWS;
/// Keys that a tile has at most: the 257 tokens of an image of 16 × 16 patches are one tile.
const KEYS: usize = 320;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    /// Numbers of a query, and of a key.
    pub(crate) width: usize,
    /// Numbers of a value.
    pub(crate) value_width: usize,
}

/// The rows of queries, keys or values: row i of head h of sample b begins at `b · batch + h · head + i · row`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) batch: usize,
    pub(crate) head: usize,
    pub(crate) row: usize,
}

impl<'a, T> Rows<'a, T> {
    /// From the first row of a head on.
    fn head(&self, batch: usize, head: usize) -> &'a [T] {
        &self.data[batch * self.batch + head * self.head..]
    }
}

/// Queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<'a, T> {
    pub(crate) sizes: Sizes,
    pub(crate) query: Rows<'a, T>,
    pub(crate) key: Rows<'a, T>,
    pub(crate) value: Rows<'a, T>,
}

/// `0..count` in equal ranges of at most `most`, whose lengths are rounded up to a multiple of `multiple`.
fn blocks(
    count: usize,
    most: usize,
    multiple: usize,
) -> impl Iterator<Item = Range<usize>> + Clone {
    let length = count
        .div_ceil(count.div_ceil(most).max(1))
        .next_multiple_of(multiple)
        .max(1);
    (0..count)
        .step_by(length)
        .map(move |start| start..(start + length).min(count))
}

/// Distance of two rows of a tile of scores: a step of the tile can be read as whole tiles of rows.
fn tile_stride(keys: usize) -> usize {
    (keys + TILE_ROWS).next_multiple_of(16)
}
