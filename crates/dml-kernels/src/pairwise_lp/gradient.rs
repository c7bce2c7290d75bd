//! Gradients from the differences themselves, for every p.

use std::borrow::Cow;

use super::direct::least_divisor;
use super::exponent::{Exponent, raise};
use crate::euclidean::Form;
use crate::{MatrixGradient, Real, Side, for_each_row, vectorized};

/// How many coordinates of a gradient row are kept in registers while the other rows pass by.
const LANES: usize = 64;

pub(crate) fn backward<T: Real>(
    rows: &[T],
    others: &[T],
    distances: &[T],
    gradient: &MatrixGradient<'_, T>,
    dim: usize,
    p: Exponent,
    side: Side,
) -> Vec<T> {
    let passed = Passed::new(rows, others, distances, gradient, dim, side);
    match p {
        Exponent::One => passed.sum_up(Signs),
        Exponent::Infinite => passed.of_largest(),
        _ => passed.sum_up(Powers(Exponent::new(p.value() - 1.0))),
    }
}

pub(crate) fn euclidean_backward<T: Real>(
    rows: &[T],
    others: &[T],
    values: &[T],
    gradient: &MatrixGradient<'_, T>,
    dim: usize,
    form: Form,
    side: Side,
) -> Vec<T> {
    let passed = Passed::new(rows, others, values, gradient, dim, side);
    passed.sum_up(Differences(form))
}

/// Adds the gradient of one pair to `out`.
pub(crate) fn add_euclidean<T: Real>(
    x: &[T],
    r: &[T],
    form: Form,
    value: T,
    gradient: T,
    out: &mut [T],
) {
    let (value, gradient) = (value.to_f64(), gradient.to_f64());
    let rows = out.iter_mut().zip(x).zip(r);
    // A weight alone overflows where the distance is all but 0: the quotient first.
    if form == Form::Distance && value < 1e-290 {
        for ((out, x), r) in rows {
            *out += T::from_f64((*x - *r).to_f64() / value * gradient);
        }
        return;
    }
    let weight = form.weight(value, gradient);
    for ((out, x), r) in rows {
        *out += T::from_f64((*x - *r).to_f64() * weight);
    }
}

/// Everything a backward pass reads, seen from one side.
struct Passed<'a, T: Real> {
    rows: &'a [T],
    others: &'a [T],
    distances: Cow<'a, [T]>,
    gradient: Vec<T>,
    dim: usize,
}

impl<'a, T: Real> Passed<'a, T> {
    fn new(
        rows: &'a [T],
        others: &'a [T],
        distances: &'a [T],
        gradient: &MatrixGradient<'_, T>,
        dim: usize,
        side: Side,
    ) -> Self {
        // Distances of rows among themselves are symmetric; only their gradients add up.
        let distances = if side == Side::Reference {
            let stored = MatrixGradient::written_out(distances, gradient.width());
            Cow::Owned(side.whole(&stored))
        } else {
            Cow::Borrowed(distances)
        };
        Self {
            rows,
            others,
            distances,
            gradient: side.whole(gradient),
            dim,
        }
    }

    fn sum_up(&self, slopes: impl Slopes<T>) -> Vec<T> {
        self.each_row(
            #[inline(always)]
            |x, d, g, out| sum_up(x, self.others, d, g, slopes, out),
        )
    }

    fn of_largest(&self) -> Vec<T> {
        self.each_row(
            #[inline(always)]
            |x, d, g, out| of_largest(x, self.others, d, g, out),
        )
    }

    /// `f(x, d, g, out)` for each row x, its distances and their gradient.
    fn each_row(&self, f: impl Fn(&[T], &[T], &[T], &mut [T]) + Sync) -> Vec<T> {
        let mut out = vec![T::ZERO; self.rows.len()];
        let count = self.others.len() / self.dim;
        for_each_row(&mut out, self.dim, |i, out| {
            let x = &self.rows[i * self.dim..][..self.dim];
            let d = &self.distances[i * count..][..count];
            let g = &self.gradient[i * count..][..count];
            vectorized!(f(x, d, g, out));
        });
        out
    }
}

/// What becomes of the differences of two rows in their gradient.
trait Slopes<T>: Copy + Sync {
    /// From differences to gradients, for a distance and its gradient.
    fn turn(self, differences: &mut [T; LANES], distance: T, gradient: T);
}

/// For p = 1.
#[derive(Clone, Copy)]
struct Signs;

impl<T: Real> Slopes<T> for Signs {
    #[inline(always)]
    fn turn(self, differences: &mut [T; LANES], _: T, gradient: T) {
        for x in differences {
            *x = signed(*x, gradient);
        }
    }
}

/// For any p, by p − 1.
#[derive(Clone, Copy)]
struct Powers(Exponent);

impl<T: Real> Slopes<T> for Powers {
    #[inline(always)]
    fn turn(self, differences: &mut [T; LANES], distance: T, gradient: T) {
        let mut powers = [T::ZERO; LANES];
        let pairs = powers.iter_mut().zip(differences.iter());
        if distance < least_divisor() {
            // The inverse of the distance overflows; the quotients are ordinary numbers.
            pairs.for_each(|(power, x)| *power = x.abs() / distance);
        } else {
            let scale = T::ONE / distance;
            pairs.for_each(|(power, x)| *power = x.abs() * scale);
        }
        raise(&mut powers, self.0);
        for (x, power) in differences.iter_mut().zip(powers) {
            *x = signed(*x, gradient * power);
        }
    }
}

/// For p = 2, squared or not.
#[derive(Clone, Copy)]
struct Differences(Form);

impl<T: Real> Slopes<T> for Differences {
    #[inline(always)]
    fn turn(self, differences: &mut [T; LANES], distance: T, gradient: T) {
        // A weight alone overflows where the distance is all but 0: the quotient first.
        if self.0 == Form::Distance && distance < T::from_f64(1e-30) {
            for x in differences {
                *x = *x / distance * gradient;
            }
            return;
        }
        let weight = self.0.weight(distance, gradient);
        for x in differences {
            *x = weight * *x;
        }
    }
}

/// The sum of the gradients of the differences of the row `x` to each of `others`, given their distances and the gradient
/// of these.
#[inline(always)]
fn sum_up<T: Real>(x: &[T], others: &[T], d: &[T], g: &[T], slopes: impl Slopes<T>, out: &mut [T]) {
    let dim = x.len();
    for start in (0..dim).step_by(LANES) {
        let width = LANES.min(dim - start);
        let x = &x[start..start + width];
        let mut sums = [T::ZERO; LANES];
        for ((r, d), g) in others.chunks_exact(dim).zip(d).zip(g) {
            if *g == T::ZERO || *d == T::ZERO {
                continue;
            }
            // What is beyond the last coordinate stays a difference of 0.
            let mut differences = [T::ZERO; LANES];
            for ((difference, x), r) in differences.iter_mut().zip(x).zip(&r[start..]) {
                *difference = *x - *r;
            }
            slopes.turn(&mut differences, *d, *g);
            for (sum, slope) in sums.iter_mut().zip(&differences) {
                *sum += *slope;
            }
        }
        out[start..start + width].copy_from_slice(&sums[..width]);
    }
}

/// `g` with the sign of `d`; `d` itself where that is 0 or NaN.
#[inline(always)]
fn signed<T: Real>(d: T, g: T) -> T {
    if d > T::ZERO {
        g
    } else if d < T::ZERO {
        -g
    } else {
        d
    }
}

/// How many coordinates are searched for a maximum at a time.
const PIECE: usize = 16;

/// For p = ∞: the gradient goes to the coordinates that attain the maximum.
#[inline(always)]
fn of_largest<T: Real>(x: &[T], others: &[T], d: &[T], g: &[T], out: &mut [T]) {
    let mut ties = Vec::with_capacity(4);
    let rows = others.chunks_exact(x.len());
    for ((r, d), g) in rows.zip(d).zip(g) {
        if *g == T::ZERO || *d == T::ZERO {
            continue;
        }
        if d.is_nan() {
            out.fill(*d);
            continue;
        }
        ties.clear();
        let attains = |x: &T, r: &T| (*x - *r).abs() == *d;
        // Most pieces have no maximum in them, and are passed over at the speed of vectors.
        for (k, (x, r)) in x.chunks(PIECE).zip(r.chunks(PIECE)).enumerate() {
            let mut any = 0;
            for (x, r) in x.iter().zip(r) {
                any |= u32::from(attains(x, r));
            }
            if any != 0 {
                let here = x.iter().zip(r).enumerate();
                let here = here.filter(|(_, (x, r))| attains(x, r));
                ties.extend(here.map(|(l, _)| k * PIECE + l));
            }
        }
        let share = *g / T::from_f64(ties.len() as f64);
        for &k in &ties {
            out[k] += signed(x[k] - r[k], share);
        }
    }
}
