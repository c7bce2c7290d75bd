//! Real numbers in cells.

use super::schema::Column;

/// Whole numbers up to this size are exact among numbers of 64 bits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A real number as the text of a cell: one without a fraction as a whole number, NaN as nothing. Programs without whole
/// numbers that may be missing write a column of reals as soon as one cell is empty, and NaN into that cell. `None` for a
/// number that the column doesn't take.
pub(super) fn real(x: f64, column: Column) -> Option<String> {
    if x.is_nan() {
        Some(String::new())
    } else if x.fract() == 0.0 && x.abs() <= EXACT {
        Some(format!("{}", x as i64))
    } else {
        (column.takes_fractions() && x.is_finite()).then(|| x.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_boxes_and_scores_have_fractions() {
        assert_eq!(real(-3.0, Column::Label).as_deref(), Some("-3"));
        assert_eq!(real(f64::NAN, Column::Label).as_deref(), Some(""));
        assert_eq!(real(1e16, Column::Label), None);
        assert_eq!(real(2.5, Column::Label), None);
        assert_eq!(real(2.5, Column::Box).as_deref(), Some("2.5"));
        assert_eq!(real(f64::INFINITY, Column::Box), None);
    }
}
