//! Which rows a gradient belongs to, where a matrix has one number for a query and a reference.

use std::borrow::Cow;
use std::ops::Range;

use crate::Real;
use crate::transpose::transpose;

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
    /// The part of a gradient matrix that belongs to some rows of this side, with `width` columns as stored, written
    /// to `tile` row by row: as it stands, transposed, or both added up.
    pub(crate) fn gather<T: Real>(
        self,
        matrix: &[T],
        width: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        tile: &mut [T],
    ) {
        let count = columns.len();
        if self != Self::Query {
            let source = &matrix[columns.start * width + rows.start..];
            transpose(source, width, count, rows.len(), tile, count);
        }
        if self == Self::Reference {
            return;
        }
        for (i, out) in rows.zip(tile.chunks_exact_mut(count)) {
            let row = &matrix[i * width + columns.start..][..count];
            if self == Self::Query {
                out.copy_from_slice(row);
            } else {
                for (out, x) in out.iter_mut().zip(row) {
                    *out += *x;
                }
            }
        }
    }

    /// All of a gradient matrix as this side sees it.
    pub(crate) fn whole<T: Real>(self, matrix: &[T], width: usize) -> Cow<'_, [T]> {
        if self == Self::Query || width == 0 {
            return Cow::Borrowed(matrix);
        }
        let height = matrix.len() / width;
        let mut all = vec![T::ZERO; matrix.len()];
        self.gather(matrix, width, 0..width, 0..height, &mut all);
        Cow::Owned(all)
    }
}

#[cfg(test)]
mod tests {
    use super::Side;

    #[test]
    fn each_side_sees_its_own_rows() {
        let wide = [1f32, 2., 3., 4., 5., 6.];
        assert_eq!(Side::Query.whole(&wide, 3)[..], wide);
        assert_eq!(
            Side::Reference.whole(&wide, 3)[..],
            [1., 4., 2., 5., 3., 6.]
        );
        let square = [1f32, 2., 3., 4.];
        assert_eq!(Side::Both.whole(&square, 2)[..], [2., 5., 5., 8.]);
    }

    #[test]
    fn a_part_is_cut_out_of_the_whole() {
        let matrix: Vec<f64> = (0..35).map(f64::from).collect();
        let mut tile = [0.0; 6];
        Side::Query.gather(&matrix, 7, 1..3, 2..5, &mut tile);
        assert_eq!(tile, [9., 10., 11., 16., 17., 18.]);
        Side::Reference.gather(&matrix, 7, 2..5, 1..3, &mut tile);
        assert_eq!(tile, [9., 16., 10., 17., 11., 18.]);
    }
}
