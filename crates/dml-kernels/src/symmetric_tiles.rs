//! Symmetric matrices at half the price: tiles of the lower half are computed and mirrored.

use std::ops::Range;

use rayon::prelude::*;

use crate::Real;
use crate::in_place::InPlace;
use crate::transpose::transpose;
use crate::zeros::unwritten;

/// How many mirrored rows are put together before they are written.
const STRIP: usize = 16;

/// A symmetric `[rows, rows]` matrix. `compute(above, left, tile)` writes the entries of rows `above` and columns
/// `left` to the row-major `tile`; it is asked for tiles on and below the diagonal only, in no particular order, and
/// of tiles on the diagonal only the lower half is used. `width` is the height and width of a tile.
pub(crate) fn symmetric_tiles<T: Real>(
    rows: usize,
    width: usize,
    compute: impl Fn(Range<usize>, Range<usize>, &mut [T]) + Sync,
) -> Vec<T> {
    // Every entry is written once, by its tile or by the mirror image of one: zeros before that would be a pass more.
    let mut out = unwritten::<T>(rows * rows);
    let shared = Shared {
        start: out.as_mut_ptr(),
        len: out.capacity(),
    };
    let range = |tile: usize| tile * width..((tile + 1) * width).min(rows);
    // The largest tiles first would be the same: all but those at the edge are of one size.
    let tiles: Vec<(usize, usize)> = (0..rows.div_ceil(width))
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .collect();
    tiles.into_par_iter().for_each_init_in_place(
        || (vec![T::ZERO; width * width], vec![T::ZERO; STRIP * width]),
        |(tile, strip), (i, j)| {
            let (above, left) = (range(i), range(j));
            let (height, columns) = (above.len(), left.len());
            let tile = &mut tile[..height * columns];
            compute(above.clone(), left.clone(), tile);
            if i == j {
                for a in 0..height {
                    for b in 0..a {
                        tile[b * columns + a] = tile[a * columns + b];
                    }
                }
            }
            for (k, piece) in tile.chunks_exact(columns).enumerate() {
                // SAFETY: `out` outlives this loop and is not used meanwhile. Tile (i, j) and its mirror image are
                // written by this call alone, as j <= i and each pair comes once.
                #[allow(unsafe_code)]
                unsafe {
                    shared.write((above.start + k) * rows + left.start, piece);
                }
            }
            if i == j {
                return;
            }
            for start in (0..columns).step_by(STRIP) {
                let count = STRIP.min(columns - start);
                transpose(&tile[start..], columns, height, count, strip, height);
                for (k, piece) in strip.chunks_exact(height).take(count).enumerate() {
                    let place = (left.start + start + k) * rows + above.start;
                    // SAFETY: as above.
                    #[allow(unsafe_code)]
                    unsafe {
                        shared.write(place, piece);
                    }
                }
            }
        },
    );
    // SAFETY: tiles and mirror images cover the matrix, so all of its entries are written.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(rows * rows);
    }
    out
}

/// Memory that threads write to at places that do not overlap.
struct Shared<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: the pointer is only written through by `write`, whose callers promise that places do not overlap.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T: Real> Shared<T> {
    /// # Safety
    /// The memory behind must be alive and otherwise unused, and no two places that are written may overlap.
    #[allow(unsafe_code)]
    unsafe fn write(&self, start: usize, piece: &[T]) {
        assert!(start + piece.len() <= self.len);
        // SAFETY: within the memory, as just checked, and exclusive by the caller's promise.
        unsafe {
            let place = self.start.add(start);
            std::ptr::copy_nonoverlapping(piece.as_ptr(), place, piece.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::symmetric_tiles;

    #[test]
    fn the_lower_half_is_mirrored_whatever_the_width() {
        for (rows, width) in [(0, 4), (1, 4), (4, 4), (5, 4), (70, 32), (33, 64)] {
            let entry = |i: usize, j: usize| (i * 1000 + j) as f32;
            let matrix = symmetric_tiles::<f32>(rows, width, |above, left, tile| {
                for (a, i) in above.enumerate() {
                    for (b, j) in left.clone().enumerate() {
                        // What stands above the diagonal must not matter.
                        let wrong = if j > i { 0.5 } else { 0.0 };
                        tile[a * left.len() + b] = entry(i, j) + wrong;
                    }
                }
            });
            for i in 0..rows {
                for j in 0..rows {
                    assert_eq!(matrix[i * rows + j], entry(i.max(j), i.min(j)));
                }
            }
        }
    }
}
