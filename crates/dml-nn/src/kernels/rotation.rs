//! Rotation of pairs of numbers by angles that depend on the position of their row.
//!
//! ```text
//! (a, b) → (a cos θ − b sin θ, b cos θ + a sin θ)
//! ```

use dml_core::kernels::{Real, lengths, vectorized, written};

/// Which numbers of a row are rotated, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation<'a, T> {
    /// cos θ, `[positions, pairs]`; row i of the input is at position `i % positions`.
    pub(crate) cos: &'a [T],
    /// sin θ, as the cosines.
    pub(crate) sin: &'a [T],
    /// Number of pairs of a row.
    pub(crate) pairs: usize,
    /// Whether pairs are neighbours; else number i goes with number `pairs + i`.
    pub(crate) interleaved: bool,
    /// Whether the angles are negated: the transpose, which the backward pass takes.
    pub(crate) backwards: bool,
}

impl<T: Real> Rotation<'_, T> {
    /// The rows of `x`, each of `width` numbers, rotated; numbers beyond the pairs are copied.
    ///
    /// # Panics
    /// If a length does not fit.
    pub(crate) fn apply(&self, x: &[T], width: usize) -> Vec<T> {
        lengths::rows("x", x.len(), width);
        lengths::length("sin", self.sin.len(), self.cos.len());
        let positions = lengths::rows("cos", self.cos.len(), self.pairs);
        let run = (4_096 / width.max(1)).max(1);
        let (y, _) = written(x.len(), run * width, |i, piece: &mut [T]| {
            vectorized!({
                let x = x[i * run * width..].chunks_exact(width);
                for (j, (y, x)) in piece.chunks_exact_mut(width).zip(x).enumerate() {
                    let at = (i * run + j) % positions * self.pairs;
                    self.rotate(&self.cos[at..], &self.sin[at..], x, y);
                }
            });
        });
        y
    }

    #[inline(always)]
    fn rotate(&self, cos: &[T], sin: &[T], x: &[T], y: &mut [T]) {
        let pairs = self.pairs;
        let sign = if self.backwards { -T::ONE } else { T::ONE };
        let angles = cos.iter().zip(sin);
        let (rotated, rest) = y.split_at_mut(2 * pairs);
        rest.copy_from_slice(&x[2 * pairs..]);
        if self.interleaved {
            let (y, _) = rotated.as_chunks_mut::<2>();
            let (x, _) = x[..2 * pairs].as_chunks::<2>();
            for ((y, x), (cos, sin)) in y.iter_mut().zip(x).zip(angles) {
                let sin = sign * *sin;
                *y = [x[0] * *cos - x[1] * sin, x[1] * *cos + x[0] * sin];
            }
        } else {
            let (first, second) = rotated.split_at_mut(pairs);
            let y = first.iter_mut().zip(second);
            let x = x[..pairs].iter().zip(&x[pairs..]);
            for (((first, second), (a, b)), (cos, sin)) in y.zip(x).zip(angles) {
                let sin = sign * *sin;
                *first = *a * *cos - *b * sin;
                *second = *b * *cos + *a * sin;
            }
        }
    }
}
