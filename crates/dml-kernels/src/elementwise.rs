//! Functions of one or two numbers at a time over long slices, in parallel.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::zeros::unwritten;
use crate::{Real, vectorized, zeros};

/// How many numbers a task takes at a time.
const RUN: usize = 16_384;

/// `f` of every number.
#[must_use]
pub fn map<T: Real>(x: &[T], f: impl Fn(T) -> T + Sync) -> Vec<T> {
    zip_map(x, x, |x, _| f(x))
}

/// `f` of every pair of numbers; the slices are of one length.
///
/// # Panics
/// Unless the slices are of one length.
#[must_use]
pub fn zip_map<T: Real>(x: &[T], y: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    lengths::length("y", y.len(), x.len());
    let mut out = unwritten(x.len());
    out.spare_capacity_mut()[..x.len()]
        .par_chunks_mut(RUN)
        .zip(x.par_chunks(RUN))
        .zip(y.par_chunks(RUN))
        .with_min_len(worth_a_thread(2 * RUN))
        .for_each_in_place(|((out, x), y)| {
            vectorized!({
                for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                    out.write(f(*x, *y));
                }
            });
        });
    // SAFETY: all three are of one length, and so are their chunks, so each of the first numbers was written.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(x.len());
    }
    out
}

/// Every row of `width` numbers times its factor.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn scale_rows<T: Real>(x: &[T], factors: &[T], width: usize) -> Vec<T> {
    let rows = lengths::rows("x", x.len(), width);
    if width > 0 {
        lengths::length("factors", factors.len(), rows);
    }
    let mut out = zeros(x.len());
    crate::for_each_row(&mut out, width, |i, out| {
        let factor = factors[i];
        vectorized!({
            for (out, x) in out.iter_mut().zip(&x[i * width..]) {
                *out = *x * factor;
            }
        });
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_slices_are_mapped_whole() {
        let x: Vec<f64> = (0..50_001).map(f64::from).collect();
        assert!(
            map(&x, |x| x + 1.0)
                .iter()
                .zip(&x)
                .all(|(a, b)| *a == b + 1.0)
        );
        assert!(
            zip_map(&x, &x, |a, b| a - b)
                .iter()
                .all(|difference| *difference == 0.0)
        );
        let halves = scale_rows(&x[..50_000], &[0.5; 500], 100);
        assert!(halves.iter().zip(&x).all(|(a, b)| *a == b / 2.0));
    }
}
