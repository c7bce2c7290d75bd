//! Ruling out all but a few references by a number that is cheaper than measuring.

use std::ops::Range;

use dml_core::kernels::Real;

use super::Best;
use super::block::{Block, Found, Tile};
use super::integer_product::{self, Instructions};
use super::integer_tiles::IntegerTiles;
use super::product_tiles::ProductTiles;
use super::sample::Sample;

/// References that a tile of the matrix product covers.
pub(super) const TILE: usize = integer_product::TILE;
/// Where the bound of the integers' error alone lets more than one in so many pairs pass, a product in the precision of
/// the rows is cheaper than keeping these.
const SURPLUS: usize = 32;

/// The ways to a tile's numbers, and which of them is worth it.
#[derive(Debug)]
struct Numbers<T> {
    integers: Option<IntegerTiles>,
    product: Option<ProductTiles<T>>,
    /// Tiles to go by the matrix product before integers are tried again, ...
    paused: usize,
    /// ... and how many there will be the next time.
    pause: usize,
}

impl<T: Real> Numbers<T> {
    fn new(block: &Block<'_, T>, instructions: Option<Instructions>) -> Self {
        Self {
            integers: instructions.and_then(|instructions| IntegerTiles::new(block, instructions)),
            product: None,
            paused: 0,
            pause: 1,
        }
    }

    fn search(&mut self, tiles: impl Iterator<Item = Tile>, found: &mut Found<'_, '_, T>) {
        for tile in tiles {
            self.search_tile(tile, found);
        }
    }

    fn search_tile(&mut self, tile: Tile, found: &mut Found<'_, '_, T>) {
        if let Some(integers) = &mut self.integers
            && self.paused == 0
        {
            let surplus = integers.search(tile, found);
            if surplus * SURPLUS > tile.count * found.block.excluded.len() {
                self.paused = self.pause;
                self.pause *= 2;
            } else {
                self.pause = 1;
            }
            return;
        }
        self.paused = self.paused.saturating_sub(1);
        let product = self
            .product
            .get_or_insert_with(|| ProductTiles::new(found.block));
        product.search(tile, found);
    }
}

/// The `k` best of a span for every query of the block.
pub(super) fn best_of_span<T: Real>(
    block: &Block<'_, T>,
    span: Range<usize>,
    k: usize,
    instructions: Option<Instructions>,
) -> Vec<Best> {
    let mut numbers = Numbers::new(block, instructions);
    let Some(sample) = Sample::new(span.len(), k) else {
        let mut found = Found::new(block, k, |_| f64::INFINITY);
        numbers.search(tiles(span, 1), &mut found);
        return found.into_best();
    };
    let mut found = Found::new(block, sample.rank, |_| f64::INFINITY);
    numbers.search(tiles(span.clone(), sample.step), &mut found);
    let guesses = found.into_bounds();
    let mut found = Found::new(block, k, |q| guesses[q]);
    numbers.search(tiles(span.clone(), 1), &mut found);
    let mut best = found.into_best();
    let is_wrong = |q: &usize| best[*q].kth() - block.shift(*q) > guesses[*q];
    let wrong: Vec<usize> = (0..guesses.len()).filter(is_wrong).collect();
    if !wrong.is_empty() {
        let (queries, excluded) = block.pick(&wrong);
        let block = Block::new(block.references, block.affinity, &queries, &excluded);
        let mut found = Found::new(&block, k, |_| f64::INFINITY);
        Numbers::new(&block, instructions).search(tiles(span, 1), &mut found);
        for (q, again) in wrong.into_iter().zip(found.into_best()) {
            best[q] = again;
        }
    }
    best
}

/// Every `step`-th row of a span, in tiles.
fn tiles(span: Range<usize>, step: usize) -> impl Iterator<Item = Tile> {
    let starts = span.clone().step_by(step * TILE);
    starts.map(move |first| Tile {
        first,
        step,
        count: (span.end - first).div_ceil(step).min(TILE),
    })
}
