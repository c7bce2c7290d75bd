//! Distances of all rows from differences: [`crate::euclidean`], and [`crate::pairwise_lp`] of p 1, on a GPU.

use super::{Extent, Launch, Number, Source};

/// `euclidean.cu`.
pub const SOURCE: Source = Source {
    name: "euclidean",
    text: include_str!("euclidean.cu"),
    kernels: &["euclidean", "euclidean_backward"],
};

/// What is made of the differences of two rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// `Σ d²`.
    Squared = 0,
    /// `√(Σ d²)`.
    Root = 1,
    /// `Σ |d|`.
    Absolute = 2,
}

/// Rows and columns of the tile that a block computes.
const TILE: usize = 64;

/// `x` `[queries, dim]`, `r` `[references, dim]` → distances `[queries, references]`.
#[must_use]
pub fn forward(queries: usize, references: usize, dim: usize, measure: Measure) -> Launch {
    Launch {
        source: &SOURCE,
        kernel: "euclidean",
        blocks: tiles(queries, references),
        inputs: vec![Extent::real(queries * dim), Extent::real(references * dim)],
        outputs: vec![Extent::real(queries * references)],
        numbers: vec![
            Number::size(queries),
            Number::size(references),
            Number::size(dim),
            Number::Flags(measure as i32),
        ],
    }
}

/// `x` `[rows, dim]`, `r` `[others, dim]`, distances and their gradient `[rows, others]` (`[others, rows]` if `turned`) →
/// the gradient of `x` `[rows, dim]`.
#[must_use]
pub fn backward(rows: usize, others: usize, dim: usize, turned: bool, measure: Measure) -> Launch {
    Launch {
        source: &SOURCE,
        kernel: "euclidean_backward",
        blocks: tiles(rows, dim),
        inputs: vec![
            Extent::real(rows * dim),
            Extent::real(others * dim),
            Extent::real(rows * others),
            Extent::real(rows * others),
        ],
        outputs: vec![Extent::real(rows * dim)],
        numbers: vec![
            Number::size(rows),
            Number::size(others),
            Number::size(dim),
            Number::flag(turned),
            Number::Flags(measure as i32),
        ],
    }
}

fn tiles(height: usize, width: usize) -> usize {
    height.div_ceil(TILE) * width.div_ceil(TILE)
}
