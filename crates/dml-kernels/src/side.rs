//! Which rows a gradient belongs to, where a matrix has one number for a query and a reference.

use std::ops::Range;

use crate::{MatrixGradient, Real, lengths};

/// Whose gradient is asked for: that of the queries, of the references, or of rows that are both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The rows of the matrix.
    Query,
    /// The columns of the matrix.
    Reference,
    /// Rows that were compared among themselves: each is a row and a column of the matrix.
    Both,
}

impl Side {
    /// The part of a gradient that belongs to some rows of this side, written to `tile` row by row: as it stands,
    /// transposed, or both added up.
    pub(crate) fn gather<T: Real>(
        self,
        gradient: &MatrixGradient<'_, T>,
        rows: Range<usize>,
        columns: Range<usize>,
        tile: &mut [T],
        scratch: &mut Vec<T>,
    ) {
        tile.fill(T::ZERO);
        if self != Self::Query {
            gradient.add_transposed_to(columns.clone(), rows.clone(), tile, scratch);
        }
        if self != Self::Reference {
            gradient.add_to(rows, columns, tile);
        }
    }

    /// One entry of a gradient as this side sees it: of its row i and the other side's row j.
    pub(crate) fn entry<T: Real>(self, gradient: &MatrixGradient<'_, T>, i: usize, j: usize) -> T {
        match self {
            Self::Query => gradient.at(i, j),
            Self::Reference => gradient.at(j, i),
            Self::Both => gradient.at(i, j) + gradient.at(j, i),
        }
    }

    /// All of a gradient as this side sees it.
    pub(crate) fn whole<T: Real>(self, gradient: &MatrixGradient<'_, T>) -> Vec<T> {
        let (height, width) = (gradient.height(), gradient.width());
        let mut all = vec![T::ZERO; height * width];
        if all.is_empty() {
            return all;
        }
        let (rows, columns) = self.shape(height, width);
        self.gather(gradient, 0..rows, 0..columns, &mut all, &mut Vec::new());
        all
    }

    /// Checks what a backward pass reads: `rows` of this side and `others` of the other one, `[_, dim]` each, and the
    /// `values` of a matrix that has the shape of its gradient.
    ///
    /// # Panics
    /// Unless they fit each other.
    #[track_caller]
    pub(crate) fn check<T: Real>(
        self,
        gradient: &MatrixGradient<'_, T>,
        rows: &[T],
        others: &[T],
        values: &[T],
        dim: usize,
    ) {
        let (height, width) = (gradient.height(), gradient.width());
        let (count, other_count) = self.shape(height, width);
        lengths::length("rows", rows.len(), lengths::area("rows", count, dim));
        lengths::length(
            "others",
            others.len(),
            lengths::area("others", other_count, dim),
        );
        lengths::length("values", values.len(), height * width);
        if self == Self::Both {
            lengths::length("gradient", height, width);
        }
    }

    /// How many rows this side has, and how many the other one, for a matrix of `height` by `width`.
    pub(crate) fn shape(self, height: usize, width: usize) -> (usize, usize) {
        match self {
            Self::Reference => (width, height),
            Self::Query | Self::Both => (height, width),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Side;
    use crate::MatrixGradient;

    #[test]
    fn each_side_sees_its_own_rows() {
        let whole = |side: Side, entries: &[f32], width| {
            side.whole(&MatrixGradient::written_out(entries, width))
        };
        let wide = [1f32, 2., 3., 4., 5., 6.];
        assert_eq!(whole(Side::Query, &wide, 3), wide);
        assert_eq!(whole(Side::Reference, &wide, 3), [1., 4., 2., 5., 3., 6.]);
        assert_eq!(whole(Side::Both, &[1., 2., 3., 4.], 2), [2., 5., 5., 8.]);
    }

    #[test]
    fn a_part_is_cut_out_of_the_whole() {
        let matrix: Vec<f64> = (0..35).map(f64::from).collect();
        let gradient = MatrixGradient::written_out(&matrix, 7);
        let (mut tile, mut scratch) = ([0.0; 6], Vec::new());
        Side::Query.gather(&gradient, 1..3, 2..5, &mut tile, &mut scratch);
        assert_eq!(tile, [9., 10., 11., 16., 17., 18.]);
        Side::Reference.gather(&gradient, 2..5, 1..3, &mut tile, &mut scratch);
        assert_eq!(tile, [9., 16., 10., 17., 11., 18.]);
        assert_eq!(Side::Reference.entry(&gradient, 2, 1), 9.0);
    }
}
