//! The logarithm of the sum of exponentials over some entries of each row, and its gradient.
//!
//! ```text
//! y_i = ln(Σ_{j kept} e^{x_ij}),         0 if no entry of the row is kept
//! y_i = ln(1 + Σ_{j kept} e^{x_ij})      with the one
//! ∂y_i/∂x_ij = e^{x_ij − y_i} for kept entries, 0 for the others
//! ```
//!
//! The largest exponent is taken out of the sum first, so nothing overflows.

use crate::lengths;
use crate::{Real, for_each_row, vectorized};

/// `y` `[rows]` of `x` `[rows, width]`; `keep` `[rows, width]` is not 0 where an entry counts, and `None` keeps all.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn log_sum_exp<T: Real>(x: &[T], keep: Option<&[u8]>, width: usize, add_one: bool) -> Vec<T> {
    let rows = lengths::rows("x", x.len(), width);
    if let Some(keep) = keep {
        lengths::length("keep", keep.len(), x.len());
    }
    let mut out = vec![T::ZERO; rows];
    for_each_row(&mut out, 1, |i, out| {
        let row = &x[i * width..][..width];
        let keep = keep.map(|keep| &keep[i * width..][..width]);
        out[0] = vectorized!(of_row(row, keep, add_one));
    });
    out
}

#[inline(always)]
fn of_row<T: Real>(row: &[T], keep: Option<&[u8]>, add_one: bool) -> T {
    let kept = |j: usize| keep.is_none_or(|keep| keep[j] != 0);
    let mut top = if add_one {
        T::ZERO
    } else {
        T::from_f64(f64::NEG_INFINITY)
    };
    let mut any = add_one;
    for (j, x) in row.iter().enumerate() {
        if kept(j) {
            any = true;
            top = top.max(*x);
        }
    }
    if !any {
        return T::ZERO;
    }
    if !top.to_f64().is_finite() {
        let mut counted = row.iter().enumerate().filter(|(j, _)| kept(*j));
        return match counted.find(|(_, x)| x.is_nan()) {
            Some((_, nan)) => *nan,
            None => top,
        };
    }
    // In double precision: the sum of a long row would lose the digits that the logarithm keeps.
    let mut sum = if add_one { (-top).exp().to_f64() } else { 0.0 };
    for (j, x) in row.iter().enumerate() {
        if kept(j) {
            sum += (*x - top).exp().to_f64();
        }
    }
    T::from_f64(top.to_f64() + sum.ln())
}

/// The gradient with respect to `x`, given the result `y` and its gradient, both `[rows]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn log_sum_exp_backward<T: Real>(
    x: &[T],
    keep: Option<&[u8]>,
    y: &[T],
    gradient: &[T],
    width: usize,
) -> Vec<T> {
    let rows = lengths::rows("x", x.len(), width);
    if let Some(keep) = keep {
        lengths::length("keep", keep.len(), x.len());
    }
    if width > 0 {
        lengths::length("y", y.len(), rows);
        lengths::length("gradient", gradient.len(), rows);
    }
    let mut out = vec![T::ZERO; x.len()];
    for_each_row(&mut out, width, |i, out| {
        let (row, y, g) = (&x[i * width..][..width], y[i], gradient[i]);
        // Where nothing counts, gradients are 0; the shares of an infinite sum, and of NaN, are no numbers.
        if y == T::from_f64(f64::NEG_INFINITY) {
            return;
        }
        vectorized!({
            for (j, (out, x)) in out.iter_mut().zip(row).enumerate() {
                if keep.is_none_or(|keep| keep[i * width + j] != 0) {
                    *out = g * (*x - y).exp();
                }
            }
        });
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = [0f64, 3f64.ln(), 100.0, 1000.0];
        let keep = [1, 1, 0, 0];
        assert_eq!(log_sum_exp(&x, Some(&keep), 4, false), [4f64.ln()]);
        assert!((log_sum_exp(&x, Some(&keep), 4, true)[0] - 5f64.ln()).abs() < 1e-15);
        assert_eq!(
            log_sum_exp(&x, None, 4, true),
            [1000.0],
            "nothing overflows"
        );
    }

    #[test]
    fn a_row_with_nothing_kept_is_zero_and_has_no_gradient() {
        let x = [5f32, -7.0];
        assert_eq!(log_sum_exp(&x, Some(&[0, 0]), 2, false), [0.0]);
        assert_eq!(log_sum_exp(&x, Some(&[0, 0]), 2, true), [0.0]);
        assert_eq!(
            log_sum_exp_backward(&x, Some(&[0, 0]), &[0.0], &[1.0], 2),
            [0.0, 0.0]
        );
    }

    #[test]
    fn what_is_no_number_comes_through_where_it_counts() {
        let nan = f64::NAN;
        for (x, keep) in [
            ([nan, 1.0, 2.0], [1, 1, 0]),
            ([1.0, 2.0, nan], [0, 0, 1]),
            ([nan; 3], [1, 0, 1]),
        ] {
            for add_one in [false, true] {
                let y = log_sum_exp(&x, Some(&keep), 3, add_one);
                assert!(y[0].is_nan(), "{x:?}");
                let g = log_sum_exp_backward(&x, Some(&keep), &y, &[1.0], 3);
                for (g, keep) in g.iter().zip(keep) {
                    assert_eq!(g.is_nan(), keep == 1, "{x:?}: {g}");
                }
            }
        }
        let y = log_sum_exp(&[nan, 0.0], Some(&[0, 1]), 2, false);
        assert_eq!(y, [0.0], "what does not count is not read");
        let none = [f64::NEG_INFINITY; 2];
        assert_eq!(log_sum_exp(&none, None, 2, false), [f64::NEG_INFINITY]);
        let g = log_sum_exp_backward(&none, None, &[f64::NEG_INFINITY], &[1.0], 2);
        assert_eq!(g, [0.0; 2]);
    }

    #[test]
    fn the_gradient_is_the_softmax() {
        let x = [0f64, 3f64.ln(), 2.0];
        let keep = [1, 1, 0];
        let y = log_sum_exp(&x, Some(&keep), 3, false);
        let g = log_sum_exp_backward(&x, Some(&keep), &y, &[2.0], 3);
        for (g, want) in g.iter().zip([0.5, 1.5, 0.0]) {
            assert!((g - want).abs() < 1e-12, "{g} {want}");
        }
    }
}
