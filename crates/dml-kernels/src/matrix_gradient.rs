//! The gradient of a matrix that need not be written out.
//!
//! ```text
//! g[i][j] = Σₖ fₖ(i) · eₖ[i][j]
//! ```
//!
//! A loss knows the gradients of each row's value and, once the gradient comes down, one factor for each row. Multiplied
//! out that is a matrix to write and to read again; here it is multiplied where a tile of it is needed.

use std::ops::Range;

use crate::lengths;
use crate::transpose::transpose;
use crate::{Real, for_each_row};

/// One summand of the gradient of a matrix: its entries, times a factor.
#[derive(Clone, Copy, Debug)]
pub struct Summand<'a, T> {
    /// Every entry, row by row; without them each is 1.
    pub entries: Option<&'a [T]>,
    /// What they are multiplied by.
    pub factor: Factor<&'a [T], T>,
}

/// What the entries of a [`Summand`] are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Factor<R, T> {
    /// One number for all.
    Uniform(T),
    /// A number for each row.
    OfRows(R),
}

/// The gradient of a matrix `[height, width]` as a sum of parts ([formula](self)).
#[derive(Clone, Debug)]
pub struct MatrixGradient<'a, T> {
    summands: Vec<Summand<'a, T>>,
    height: usize,
    width: usize,
}

impl<'a, T: Real> MatrixGradient<'a, T> {
    /// The sum of `summands`; of none it is 0.
    ///
    /// # Panics
    /// If entries or factors are not as many as the shape says.
    #[must_use]
    pub fn new(summands: Vec<Summand<'a, T>>, height: usize, width: usize) -> Self {
        let area = lengths::area("gradient", height, width);
        for summand in &summands {
            if let Some(entries) = summand.entries {
                lengths::length("entries", entries.len(), area);
            }
            if let Factor::OfRows(factors) = summand.factor {
                lengths::length("factors", factors.len(), height);
            }
        }
        Self {
            summands,
            height,
            width,
        }
    }

    /// A gradient that is written out, `width` entries a row.
    ///
    /// # Panics
    /// Unless the entries fill whole rows.
    #[must_use]
    pub fn written_out(entries: &'a [T], width: usize) -> Self {
        let summand = Summand {
            entries: Some(entries),
            factor: Factor::Uniform(T::ONE),
        };
        Self::new(
            vec![summand],
            entries.len().checked_div(width).unwrap_or(0),
            width,
        )
    }

    /// How many rows the matrix has.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// How many columns the matrix has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Every entry, row by row.
    #[must_use]
    pub fn entries(&self) -> Vec<T> {
        let mut entries = vec![T::ZERO; self.height * self.width];
        let summands = &self.summands;
        for_each_row(&mut entries, self.width, |i, out| {
            add_row(summands, i, i * self.width, out);
        });
        entries
    }

    /// One entry.
    pub(crate) fn at(&self, i: usize, j: usize) -> T {
        self.summands.iter().fold(T::ZERO, |sum, summand| {
            let entry = summand.entries.map_or(T::ONE, |e| e[i * self.width + j]);
            sum + summand.factor.of(i) * entry
        })
    }

    /// Adds the entries of some rows and columns to `tile`, row by row.
    pub(crate) fn add_to(&self, rows: Range<usize>, columns: Range<usize>, tile: &mut [T]) {
        for (i, out) in rows.zip(tile.chunks_exact_mut(columns.len())) {
            add_row(&self.summands, i, i * self.width + columns.start, out);
        }
    }

    /// As [`add_to`](Self::add_to) with rows and columns exchanged: row r of `tile` is column r of the matrix.
    pub(crate) fn add_transposed_to(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        tile: &mut [T],
        scratch: &mut Vec<T>,
    ) {
        let (count, width) = (rows.len(), self.width);
        for summand in &self.summands {
            if let Some(entries) = summand.entries {
                scratch.resize(tile.len(), T::ZERO);
                let source = &entries[rows.start * width + columns.start..];
                transpose(source, width, count, columns.len(), scratch, count);
            } else {
                scratch.clear();
                scratch.resize(tile.len(), T::ONE);
            }
            let lines = tile
                .chunks_exact_mut(count)
                .zip(scratch.chunks_exact(count));
            match summand.factor {
                Factor::Uniform(factor) => {
                    for (out, line) in lines {
                        out.iter_mut()
                            .zip(line)
                            .for_each(|(out, x)| *out += factor * *x);
                    }
                }
                Factor::OfRows(factors) => {
                    let factors = &factors[rows.clone()];
                    for (out, line) in lines {
                        for ((out, x), factor) in out.iter_mut().zip(line).zip(factors) {
                            *out += *factor * *x;
                        }
                    }
                }
            }
        }
    }
}

/// Adds what the summands say of row `i` from the entry at `start` on.
fn add_row<T: Real>(summands: &[Summand<'_, T>], i: usize, start: usize, out: &mut [T]) {
    for summand in summands {
        let factor = summand.factor.of(i);
        match summand.entries {
            None => out.iter_mut().for_each(|out| *out += factor),
            Some(entries) => {
                for (out, x) in out.iter_mut().zip(&entries[start..]) {
                    *out += factor * *x;
                }
            }
        }
    }
}

impl<T: Copy> Factor<&[T], T> {
    #[inline(always)]
    fn of(&self, row: usize) -> T {
        match self {
            Self::Uniform(factor) => *factor,
            Self::OfRows(factors) => factors[row],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summands_are_multiplied_and_added_tile_by_tile() {
        let entries = [1f64, 2., 3., 4., 5., 6.];
        let gradient = MatrixGradient::new(
            vec![
                Summand {
                    entries: Some(&entries),
                    factor: Factor::OfRows(&[10., 100.]),
                },
                Summand {
                    entries: None,
                    factor: Factor::Uniform(0.5),
                },
            ],
            2,
            3,
        );
        assert_eq!(gradient.at(1, 2), 600.5);
        let mut tile = [0.0; 4];
        gradient.add_to(0..2, 1..3, &mut tile);
        assert_eq!(tile, [20.5, 30.5, 500.5, 600.5]);
        let mut tile = [1000.0; 4];
        gradient.add_transposed_to(0..2, 1..3, &mut tile, &mut Vec::new());
        assert_eq!(tile, [1020.5, 1500.5, 1030.5, 1600.5]);
    }

    #[test]
    fn no_summand_is_zero() {
        let gradient = MatrixGradient::<f32>::new(Vec::new(), 2, 2);
        assert_eq!(gradient.at(1, 1), 0.0);
        let mut tile = [0.0; 4];
        gradient.add_to(0..2, 0..2, &mut tile);
        assert_eq!(tile, [0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "factors: expected 2 numbers")]
    fn factors_are_as_many_as_rows() {
        let summand = Summand {
            entries: None,
            factor: Factor::OfRows(&[1f32][..]),
        };
        let _ = MatrixGradient::new(vec![summand], 2, 2);
    }
}
