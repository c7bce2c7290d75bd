//! Rows in panels with coordinates outermost, so that one coordinate of many rows is contiguous.

use std::ops::Range;

use rayon::prelude::*;

use crate::Real;
use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::transpose::transpose;

/// Rows in panels of `width`; the last panel is filled up with zeros.
#[derive(Debug)]
pub struct RowPanels<T> {
    data: Vec<T>,
    rows: usize,
    dim: usize,
    width: usize,
}

impl<T: Real> RowPanels<T> {
    /// The panels of the rows `[rows, dim]`, for a `dim` and a `width` of at least 1.
    ///
    /// # Panics
    /// If the length does not fit `dim`.
    #[must_use]
    pub fn new(rows: &[T], dim: usize, width: usize) -> Self {
        let count = lengths::rows("rows", rows.len(), dim);
        let mut data = vec![T::ZERO; count.div_ceil(width) * width * dim];
        data.par_chunks_mut(width * dim)
            .zip(rows.par_chunks(width * dim))
            .with_min_len(worth_a_thread(width * dim))
            .for_each_in_place(|(panel, rows)| {
                transpose(rows, dim, rows.len() / dim, dim, panel, width);
            });
        Self {
            data,
            rows: count,
            dim,
            width,
        }
    }

    /// Number of panels.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.div_ceil(self.width)
    }

    /// The rows that a panel holds.
    #[must_use]
    pub fn rows(&self, panel: usize) -> Range<usize> {
        panel * self.width..((panel + 1) * self.width).min(self.rows)
    }

    /// The elements of a panel: `dim` times `width`.
    #[must_use]
    pub fn panel(&self, panel: usize) -> &[T] {
        let size = self.width * self.dim;
        &self.data[panel * size..][..size]
    }

    /// Rows of a panel.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }
}

#[cfg(test)]
mod tests {
    use super::RowPanels;

    #[test]
    fn coordinates_come_first_and_the_last_panel_is_filled_up() {
        let panels = RowPanels::new(&[1f32, 2., 3., 4., 5., 6.], 2, 2);
        assert_eq!((panels.count(), panels.width()), (2, 2));
        assert_eq!((panels.rows(0), panels.rows(1)), (0..2, 2..3));
        assert_eq!(panels.panel(0), [1., 3., 2., 4.]);
        assert_eq!(panels.panel(1), [5., 0., 6., 0.]);
    }
}
