//! The k nearest references, one tile of a product of matrices after the other.

use super::{Buffer, Extent, Launch, Number, Source};

/// `top_k.cu`.
pub const SOURCE: Source = Source {
    name: "top_k",
    text: include_str!("top_k.cu"),
    kernels: &["top_k"],
};

/// The most neighbours of a query.
pub const LIMIT: usize = 1024;

/// Takes references `offset .. offset + width` into the best so far.
///
/// products `[queries, width]`, norms `[width]`, the reference that each query is itself (−1 for none) `[queries]`, keys
/// and rows so far `[queries, k]` → keys and rows. The key is `scale · product + norm`, the smaller the nearer; a row of
/// −1 with an infinite key is none. `k` is from 1 to [`LIMIT`].
#[must_use]
pub fn take(queries: usize, width: usize, offset: usize, k: usize, scale: f64) -> Launch {
    let rows = |count| Extent::new(Buffer::I64, count);
    let best = queries * k;
    Launch {
        source: &SOURCE,
        kernel: "top_k",
        blocks: queries,
        inputs: vec![
            Extent::real(queries * width),
            Extent::real(width),
            rows(queries),
            Extent::real(best),
            rows(best),
        ],
        outputs: vec![Extent::real(best), rows(best)],
        numbers: vec![
            Number::size(width),
            Number::size(offset),
            Number::size(k),
            Number::Real(scale),
        ],
    }
}
