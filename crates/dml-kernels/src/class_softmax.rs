//! Cross entropy of a softmax over classes, where a row's own class has to win by a margin.
//!
//! ```text
//! z[i][j] = scale · a[i] · b[j] · x[i][j]            for the own class y of row i: φ(x[i][y]) in place of x[i][y]
//! value[i] = ln Σⱼ e^{z[i][j]} − z[i][y] = ln(1 + Σ_{j ≠ y} e^{z[i][j] − z[i][y]})
//! ∂value[i]/∂z[i][j] = the share of class j,         for the own class: its share − 1
//! ```
//!
//! The factors `a` of rows and `b` of classes are 1 where they are left out. Taking the own logit out first keeps the
//! digits of a small loss, and of the small share that an own class lacks to 1.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::softmax::softmax_in_place;
use crate::{Real, for_each_row, vectorized, zeros};

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 8;
/// Rows whose share of a class's gradient is added up before those of others.
const BLOCK: usize = 64;

/// What becomes of a matrix `[rows, classes]` before the softmax.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a, T> {
    /// A factor of everything.
    pub scale: T,
    /// A factor of each row; `None` is 1.
    pub rows: Option<&'a [T]>,
    /// A factor of each class; `None` is 1.
    pub classes: Option<&'a [T]>,
    /// The class of each row, below the number of classes.
    pub own: &'a [u32],
}

/// The values `[rows]`, and what their gradient is made of.
#[derive(Clone, Debug)]
pub struct CrossEntropies<T> {
    /// The value of each row.
    pub values: Vec<T>,
    /// The gradient of each value with respect to each logit `[rows, classes]`.
    pub shares: Vec<T>,
    /// φ of each row's own entry, and its gradient.
    pub margins: Vec<(T, T)>,
}

/// The gradient of Σ g·value.
#[derive(Clone, Debug)]
pub struct LogitGradients<T> {
    /// With respect to the matrix `[rows, classes]`.
    pub x: Vec<T>,
    /// With respect to the factors of the rows; empty if there are none.
    pub rows: Vec<T>,
    /// With respect to the factors of the classes; empty if there are none.
    pub classes: Vec<T>,
}

/// The cross entropy of each row of `x` `[rows, width]`; `margin` is φ with its gradient.
///
/// ```
/// use dml_kernels::class_softmax::{Logits, cross_entropies};
///
/// let logits = Logits { scale: 1.0, rows: None, classes: None, own: &[0] };
/// let entropy = cross_entropies(&[3f64, 1.0], 2, logits, |x| (x - 2.0, 1.0));
/// assert!((entropy.values[0] - 2f64.ln()).abs() < 1e-15);
/// assert_eq!(entropy.shares, [-0.5, 0.5]);
/// ```
///
/// # Panics
/// If a length does not fit the shapes, or a row's class is not among them.
pub fn cross_entropies<T: Real>(
    x: &[T],
    width: usize,
    logits: Logits<'_, T>,
    margin: impl Fn(f64) -> (f64, f64) + Sync,
) -> CrossEntropies<T> {
    logits.check(x, width);
    let rows = logits.own.len();
    let mut values = vec![T::ZERO; rows];
    let mut margins = vec![(T::ZERO, T::ZERO); rows];
    let mut shares = zeros(rows * width);
    values
        .par_chunks_mut(ROWS)
        .zip(margins.par_chunks_mut(ROWS))
        .zip(shares.par_chunks_mut((ROWS * width).max(1)))
        .enumerate()
        // An exponential costs about two nanoseconds.
        .with_min_len(worth_a_thread(2 * ROWS * width))
        .for_each_in_place(|(chunk, ((values, margins), shares))| {
            let rows = values.iter_mut().zip(margins);
            for (k, ((value, margin_of), shares)) in
                rows.zip(shares.chunks_exact_mut(width)).enumerate()
            {
                let i = chunk * ROWS + k;
                let x = &x[i * width..][..width];
                let own = logits.own[i] as usize;
                let (phi, gradient) = margin(x[own].to_f64());
                *margin_of = (T::from_f64(phi), T::from_f64(gradient));
                *value = T::from_f64(logits.cross_entropy(i, x, phi, shares));
            }
        });
    CrossEntropies {
        values,
        shares,
        margins,
    }
}

impl<T: Real> Logits<'_, T> {
    /// # Panics
    /// Unless `x` is `[rows, width]`, factors are as many, and classes are below `width`.
    fn check(&self, x: &[T], width: usize) {
        let rows = self.own.len();
        lengths::length("x", x.len(), lengths::area("x", rows, width));
        lengths::below("own", self.own, width);
        if let Some(factors) = self.rows {
            lengths::length("rows", factors.len(), rows);
        }
        if let Some(factors) = self.classes {
            lengths::length("classes", factors.len(), width);
        }
    }

    fn row_factor(&self, i: usize) -> T {
        self.rows.map_or(self.scale, |rows| self.scale * rows[i])
    }

    /// The value of row i, `x`, where `phi` takes the place of its own entry; `shares` become its gradient with respect to
    /// the logits.
    ///
    /// # Panics
    /// Unless there is a share for each value.
    #[inline(always)]
    pub fn cross_entropy(&self, i: usize, x: &[T], phi: f64, shares: &mut [T]) -> f64 {
        lengths::length("shares", shares.len(), x.len());
        let own = self.own[i] as usize;
        let factor = self.row_factor(i);
        let own_factor = self.classes.map_or(T::ONE, |classes| classes[own]);
        let level = T::from_f64(factor.to_f64() * own_factor.to_f64() * phi);
        vectorized!(match self.classes {
            None => {
                for (share, x) in shares.iter_mut().zip(x) {
                    *share = factor * *x - level;
                }
            }
            Some(classes) => {
                for ((share, x), class) in shares.iter_mut().zip(x).zip(classes) {
                    *share = factor * *class * *x - level;
                }
            }
        });
        shares[own] = T::from_f64(f64::NEG_INFINITY);
        let value = softmax_in_place(shares, &[], true);
        // With one class there is nothing to compare its own number with, and nothing would tell of NaN.
        let value = if phi.is_nan() { phi } else { value };
        shares[own] = T::from_f64((-value).exp_m1());
        value
    }
}

/// The gradient of Σ g·value with respect to the matrix `x` `[rows, width]` and the factors.
///
/// # Panics
/// If a length does not fit the shapes, or a row's class is not among them.
#[must_use]
pub fn cross_entropies_backward<T: Real>(
    x: &[T],
    width: usize,
    logits: Logits<'_, T>,
    entropies: &CrossEntropies<T>,
    gradient: &[T],
) -> LogitGradients<T> {
    logits.check(x, width);
    lengths::length("shares", entropies.shares.len(), x.len());
    lengths::length("margins", entropies.margins.len(), logits.own.len());
    lengths::length("gradient", gradient.len(), logits.own.len());
    let (shares, margins) = (&entropies.shares, &entropies.margins);
    let mut out = zeros(x.len());
    for_each_row(&mut out, width, |i, out| {
        let factor = gradient[i] * logits.row_factor(i);
        let shares = &shares[i * width..][..width];
        vectorized!(match logits.classes {
            None => {
                for (out, share) in out.iter_mut().zip(shares) {
                    *out = factor * *share;
                }
            }
            Some(classes) => {
                for ((out, share), class) in out.iter_mut().zip(shares).zip(classes) {
                    *out = factor * *class * *share;
                }
            }
        });
        let own = logits.own[i] as usize;
        out[own] = out[own] * margins[i].1;
    });
    let mut rows = vec![T::ZERO; logits.rows.map_or(0, <[T]>::len)];
    for_each_row(&mut rows, 1, |i, out| {
        let (x, shares) = (&x[i * width..][..width], &shares[i * width..][..width]);
        let own = logits.own[i] as usize;
        let class = |j: usize| logits.classes.map_or(1.0, |classes| classes[j].to_f64());
        // The own entry is taken out of the sum and put back as φ.
        let sum: f64 = (0..width)
            .filter(|j| *j != own)
            .map(|j| class(j) * shares[j].to_f64() * x[j].to_f64())
            .sum();
        let own = class(own) * shares[own].to_f64() * margins[i].0.to_f64();
        out[0] = T::from_f64((gradient[i] * logits.scale).to_f64() * (sum + own));
    });
    LogitGradients {
        x: out,
        rows,
        classes: class_gradients(x, width, logits, entropies, gradient),
    }
}

/// `∂/∂b[j] = Σᵢ g[i] scale a[i] share[i][j] x[i][j]`, added up block by block in a fixed order.
fn class_gradients<T: Real>(
    x: &[T],
    width: usize,
    logits: Logits<'_, T>,
    entropies: &CrossEntropies<T>,
    gradient: &[T],
) -> Vec<T> {
    if logits.classes.is_none() || width == 0 {
        return Vec::new();
    }
    let starts: Vec<usize> = (0..logits.own.len()).step_by(BLOCK).collect();
    let blocks: Vec<Vec<f64>> = starts
        .into_par_iter()
        .with_min_len(worth_a_thread(BLOCK * width))
        .map_in_place(|first| {
            let mut sums = vec![0.0; width];
            for i in first..(first + BLOCK).min(logits.own.len()) {
                let factor = (gradient[i] * logits.row_factor(i)).to_f64();
                let own = logits.own[i] as usize;
                let x = &x[i * width..][..width];
                let shares = &entropies.shares[i * width..][..width];
                for ((sum, x), share) in sums.iter_mut().zip(x).zip(shares) {
                    *sum += factor * share.to_f64() * x.to_f64();
                }
                let (phi, _) = entropies.margins[i];
                sums[own] += factor * shares[own].to_f64() * (phi.to_f64() - x[own].to_f64());
            }
            sums
        });
    (0..width)
        .map(|j| T::from_f64(blocks.iter().map(|block| block[j]).sum()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// φ(x) = x² − 1.
    fn margin(x: f64) -> (f64, f64) {
        (x * x - 1.0, 2.0 * x)
    }

    fn plain(x: &[f64], a: &[f64], b: &[f64], own: &[u32]) -> Vec<f64> {
        let width = b.len();
        let row = |(i, x): (usize, &[f64])| {
            let own = own[i] as usize;
            let z: Vec<f64> = (0..width)
                .map(|j| {
                    let x = if j == own { margin(x[j]).0 } else { x[j] };
                    1.5 * a[i] * b[j] * x
                })
                .collect();
            z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[own]
        };
        x.chunks(width).enumerate().map(row).collect()
    }

    #[test]
    fn values_and_every_gradient_agree_with_the_formula() {
        let (rows, width) = (70, 5);
        let x: Vec<f64> = (0..rows * width).map(|i| (i as f64 * 0.7).sin()).collect();
        let a: Vec<f64> = (0..rows).map(|i| 1.0 + (i % 3) as f64 / 4.0).collect();
        let b: Vec<f64> = (0..width).map(|j| 0.5 + j as f64 / 3.0).collect();
        let own: Vec<u32> = (0..rows as u32).map(|i| i % width as u32).collect();
        let g: Vec<f64> = (0..rows).map(|i| (i % 4) as f64 - 1.0).collect();
        let logits = Logits {
            scale: 1.5,
            rows: Some(&a),
            classes: Some(&b),
            own: &own,
        };
        let entropies = cross_entropies(&x, width, logits, margin);
        for (got, want) in entropies.values.iter().zip(plain(&x, &a, &b, &own)) {
            assert!((got - want).abs() < 1e-12);
        }
        let gradients = cross_entropies_backward(&x, width, logits, &entropies, &g);
        let total = |x: &[f64], a: &[f64], b: &[f64]| -> f64 {
            plain(x, a, b, &own)
                .iter()
                .zip(&g)
                .map(|(v, g)| v * g)
                .sum()
        };
        let h = 1e-6;
        let difference = |which: usize, at: usize| {
            let mut sides = [0.0; 2];
            for (side, step) in sides.iter_mut().zip([h, -h]) {
                let (mut x, mut a, mut b) = (x.clone(), a.clone(), b.clone());
                [&mut x, &mut a, &mut b][which][at] += step;
                *side = total(&x, &a, &b);
            }
            (sides[0] - sides[1]) / (2.0 * h)
        };
        for (which, got) in [gradients.x, gradients.rows, gradients.classes]
            .iter()
            .enumerate()
        {
            for (at, got) in got.iter().enumerate() {
                assert!((got - difference(which, at)).abs() < 1e-7, "{which} {at}");
            }
        }
    }

    #[test]
    fn factors_that_are_left_out_are_ones() {
        let x = [0.3f32, -0.2, 0.9, 0.1, 0.5, -0.7];
        let own = [2, 0];
        let ones = [1f32; 3];
        let bare = Logits {
            scale: 2.0,
            rows: None,
            classes: None,
            own: &own,
        };
        let full = Logits {
            rows: Some(&ones[..2]),
            classes: Some(&ones),
            ..bare
        };
        let (one, other) = (
            cross_entropies(&x, 3, bare, margin),
            cross_entropies(&x, 3, full, margin),
        );
        assert_eq!(one.values, other.values);
        let g = [1f32, 2.0];
        let one = cross_entropies_backward(&x, 3, bare, &one, &g);
        let other = cross_entropies_backward(&x, 3, full, &other, &g);
        assert_eq!(one.x, other.x);
        assert!(one.rows.is_empty() && one.classes.is_empty());
        assert_eq!((other.rows.len(), other.classes.len()), (2, 3));
    }

    #[test]
    fn a_certain_row_keeps_the_digits_of_its_loss_and_no_row_is_nothing() {
        let logits = Logits {
            scale: 1.0,
            rows: None,
            classes: None,
            own: &[0],
        };
        let entropies = cross_entropies(&[20f32, 0.0], 2, logits, |x| (x, 1.0));
        assert!((f64::from(entropies.values[0]) / 2.061_153_6e-9 - 1.0).abs() < 1e-6);
        assert!((f64::from(entropies.shares[0]) / -2.061_153_6e-9 - 1.0).abs() < 1e-6);
        let none = Logits { own: &[], ..logits };
        assert!(
            cross_entropies(&[], 2, none, |x| (x, 1.0))
                .values
                .is_empty()
        );
    }
}
