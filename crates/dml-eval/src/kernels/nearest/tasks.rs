//! How a search is shared among threads.

use std::ops::Range;

use super::filter::TILE;

/// How many queries a block holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Blocks are multiples of this, which fill the vector registers.
    unit: usize,
    /// Smaller ones cost more than it saves to have one for each thread.
    fewest: usize,
    most: usize,
}

/// With 128 coordinates they fit in a second-level cache beside a tile.
pub(super) const BY_PRODUCT: Sizes = Sizes {
    unit: 16,
    fewest: 16,
    most: 384,
};
/// As integers they take half of the room, and the more there are, the less it costs to turn a tile into integers.
pub(super) const BY_INTEGERS: Sizes = Sizes {
    unit: 32,
    fewest: 256,
    most: 1024,
};

/// Of a search for all that is near: what is found is not bounded, so blocks are small.
pub(super) const WITHIN: Sizes = Sizes {
    unit: 16,
    fewest: 16,
    most: 64,
};

/// Blocks of queries and, where these are fewer than the threads, spans of references to share as well.
pub(super) fn tasks(
    queries: usize,
    references: usize,
    sizes: Sizes,
    threads: usize,
) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    // Four blocks per thread even out what the threads get; so does the same number for each.
    let count = queries.div_ceil(sizes.fewest).min(threads * 4);
    let mut count = count.max(queries.div_ceil(sizes.most));
    if count > threads {
        count = count.next_multiple_of(threads);
    }
    let block = queries.div_ceil(count).next_multiple_of(sizes.unit);
    let blocks = cut(queries, block.min(sizes.most));
    let wanted = (threads * 2).div_ceil(blocks.len());
    let span = references.div_ceil(wanted).max(TILE * 4);
    (blocks, cut(references, span))
}

/// `0..length` in pieces.
pub(super) fn cut(length: usize, piece: usize) -> Vec<Range<usize>> {
    (0..length)
        .step_by(piece)
        .map(|start| start..(start + piece).min(length))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_gets_as_many_blocks() {
        let (blocks, spans) = tasks(10_000, 60_000, BY_INTEGERS, 2);
        assert_eq!((blocks.len(), blocks[0].len(), spans.len()), (10, 1024, 1));
        assert_eq!(tasks(10_000, 60_000, BY_PRODUCT, 2).0.len(), 28);
        assert_eq!(tasks(1000, 60_000, BY_PRODUCT, 2).0.len(), 8);
    }

    #[test]
    fn few_queries_share_the_references() {
        let (blocks, spans) = tasks(100, 60_000, BY_INTEGERS, 2);
        assert_eq!((blocks.len(), &blocks[0], spans.len()), (1, &(0..100), 4));
        let (blocks, spans) = tasks(1, 500, BY_PRODUCT, 16);
        assert_eq!((&blocks[0], &spans[0]), (&(0..1), &(0..500)));
    }
}
