//! Distances from the differences themselves, for every p.

use std::ops::Range;

use rayon::prelude::*;

use super::exponent::{Exponent, raise};
use crate::euclidean::Form;
use crate::in_place::InPlace;
use crate::normalize::norm;
use crate::row_panels::RowPanels;
use crate::symmetric_tiles::symmetric_tiles;
use crate::{Real, vectorized, zeros};

/// How many references are measured at once: their running sums stay in vector registers.
const LANES: usize = 32;
/// How many queries share a coordinate of the references once it is loaded.
const QUERIES: usize = 4;
/// Height and width of a tile of distances among rows.
const TILE: usize = 64;

/// What is measured between two rows.
#[derive(Clone, Copy)]
enum Measure {
    Norm(Exponent),
    Euclidean(Form),
}

pub(crate) fn distances<T: Real>(x: &[T], r: &[T], dim: usize, p: Exponent) -> Vec<T> {
    measure(x, r, dim, Measure::Norm(p))
}

pub(crate) fn distances_among<T: Real>(x: &[T], dim: usize, p: Exponent) -> Vec<T> {
    measure_among(x, dim, Measure::Norm(p))
}

pub(crate) fn euclidean<T: Real>(x: &[T], r: &[T], dim: usize, form: Form) -> Vec<T> {
    measure(x, r, dim, Measure::Euclidean(form))
}

pub(crate) fn euclidean_among<T: Real>(x: &[T], dim: usize, form: Form) -> Vec<T> {
    measure_among(x, dim, Measure::Euclidean(form))
}

fn measure<T: Real>(x: &[T], r: &[T], dim: usize, measure: Measure) -> Vec<T> {
    if dim == 0 || x.is_empty() || r.is_empty() {
        return Vec::new();
    }
    let references = r.len() / dim;
    let panels = RowPanels::new(r, dim, LANES);
    let mut out = zeros(x.len() / dim * references);
    out.par_chunks_mut(4 * QUERIES * references)
        .zip(x.par_chunks(4 * QUERIES * dim))
        .for_each_in_place(|(out, x)| {
            for panel in 0..panels.count() {
                let columns = panels.rows(panel);
                let out = &mut out[columns.start..];
                let (panel, count) = (panels.panel(panel), columns.len());
                vectorized!(tile(x, panel, dim, measure, out, references, count));
            }
        });
    out
}

fn measure_among<T: Real>(x: &[T], dim: usize, measure: Measure) -> Vec<T> {
    if dim == 0 || x.is_empty() {
        return Vec::new();
    }
    let panels = RowPanels::new(x, dim, LANES);
    symmetric_tiles(x.len() / dim, TILE, |above, left: Range<usize>, out| {
        for panel in left.start / LANES..left.end.div_ceil(LANES) {
            let columns = panels.rows(panel);
            let x = &x[above.start * dim..above.end * dim];
            let out = &mut out[columns.start - left.start..];
            let (panel, count) = (panels.panel(panel), columns.len());
            vectorized!(tile(x, panel, dim, measure, out, left.len(), count));
        }
    })
}

/// The distances of the rows of `x` `[_, dim]` to the first `count` rows of a panel, written to rows of `out` that lie
/// `stride` apart.
#[inline(always)]
fn tile<T: Real>(
    x: &[T],
    panel: &[T],
    dim: usize,
    measure: Measure,
    out: &mut [T],
    stride: usize,
    count: usize,
) {
    let last = x.len() / dim - 1;
    for start in (0..=last).step_by(QUERIES) {
        // Where there are fewer rows the last one is measured again.
        let mut rows = [x; QUERIES];
        for (k, row) in rows.iter_mut().enumerate() {
            *row = &x[(start + k).min(last) * dim..][..dim];
        }
        let values = match measure {
            Measure::Norm(p) => norms(rows, panel, p),
            Measure::Euclidean(form) => euclidean_norms(rows, panel, form),
        };
        for (k, values) in values.iter().enumerate().take(last + 1 - start) {
            out[(start + k) * stride..][..count].copy_from_slice(&values[..count]);
        }
    }
}

type Sums<T> = [[T; LANES]; QUERIES];

#[inline(always)]
fn accumulate<T: Real>(
    rows: [&[T]; QUERIES],
    panel: &[T],
    step: impl Fn(T, T) -> T + Copy,
) -> Sums<T> {
    let mut sums = [[T::ZERO; LANES]; QUERIES];
    for (k, column) in panel.chunks_exact(LANES).enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let x = row[k];
            for (sum, r) in sums.iter_mut().zip(column) {
                *sum = step(*sum, x - *r);
            }
        }
    }
    sums
}

#[inline(always)]
fn norms<T: Real>(rows: [&[T]; QUERIES], panel: &[T], p: Exponent) -> Sums<T> {
    let largest = || {
        accumulate(rows, panel, |sum, d| {
            let d = d.abs();
            if d > sum || d.is_nan() { d } else { sum }
        })
    };
    match p {
        Exponent::One => accumulate(rows, panel, |sum, d| sum + d.abs()),
        Exponent::Infinite => largest(),
        // Powers of differences as shares of the largest one, against overflow and underflow.
        _ => {
            let top = largest();
            let scale = top.map(|top| top.map(|t| if t > T::ZERO { T::ONE / t } else { T::ZERO }));
            let mut sums = [[T::ZERO; LANES]; QUERIES];
            for (k, column) in panel.chunks_exact(LANES).enumerate() {
                for ((sums, row), scale) in sums.iter_mut().zip(rows).zip(&scale) {
                    let mut shares = [T::ZERO; LANES];
                    for ((share, r), scale) in shares.iter_mut().zip(column).zip(scale) {
                        *share = (row[k] - *r).abs() * *scale;
                    }
                    raise(&mut shares, p);
                    for (sum, power) in sums.iter_mut().zip(shares) {
                        *sum += power;
                    }
                }
            }
            let root = T::from_f64(1.0 / p.value());
            for ((sums, top), row) in sums.iter_mut().zip(top).zip(rows) {
                for (lane, (sum, top)) in sums.iter_mut().zip(top).enumerate() {
                    *sum = if top >= least_divisor() && top <= T::MAX {
                        top * sum.powf(root)
                    } else if top > T::ZERO && top <= T::MAX {
                        let column = row.iter().zip(panel.iter().skip(lane).step_by(LANES));
                        norm_of_small(column, p)
                    } else {
                        top
                    };
                }
            }
            sums
        }
    }
}

/// A difference below which its inverse overflows, or lacks digits.
#[inline(always)]
pub(super) fn least_divisor<T: Real>() -> T {
    T::from_f64(16.0 * T::MIN_POSITIVE.to_f64())
}

/// The norm of differences so small that their inverses overflow.
#[cold]
#[inline(never)]
fn norm_of_small<'a, T: Real>(row: impl Iterator<Item = (&'a T, &'a T)>, p: Exponent) -> T {
    let differences: Vec<f64> = row.map(|(x, r)| (*x - *r).to_f64()).collect();
    T::from_f64(norm(&differences, p.value()))
}

#[inline(always)]
fn euclidean_norms<T: Real>(rows: [&[T]; QUERIES], panel: &[T], form: Form) -> Sums<T> {
    let mut sums = accumulate(rows, panel, |sum, d| sum + d * d);
    for (sums, row) in sums.iter_mut().zip(rows) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let column = row.iter().zip(panel.iter().skip(lane).step_by(LANES));
            *sum = settle(*sum, form, column);
        }
    }
    sums
}

/// The value of a sum of squares, added up again where squares may have under- or overflowed: in double precision, or as
/// shares of the largest difference.
#[inline(always)]
fn settle<'a, T: Real>(sum: T, form: Form, row: impl Iterator<Item = (&'a T, &'a T)> + Clone) -> T {
    let (least, most) = if size_of::<T>() == 4 {
        (1e-30, 1e30)
    } else {
        (1e-290, 1e300)
    };
    if sum > T::from_f64(least) && sum < T::from_f64(most) {
        return form.of_square(sum);
    }
    settle_extreme(form, row)
}

#[inline(never)]
fn settle_extreme<'a, T: Real>(form: Form, row: impl Iterator<Item = (&'a T, &'a T)> + Clone) -> T {
    let differences = row.map(|(x, r)| x.to_f64() - r.to_f64());
    let square: f64 = differences.clone().map(|d| d * d).sum();
    T::from_f64(match form {
        Form::Squared => square,
        // Squares of single precision always fit.
        Form::Distance if size_of::<T>() == 4 || (square > 1e-290 && square < 1e300) => {
            square.sqrt()
        }
        Form::Distance if differences.clone().all(|d| d == 0.0) => 0.0,
        Form::Distance => norm(&differences.collect::<Vec<f64>>(), 2.0),
    })
}

/// ‖x − r‖² or its root from the differences.
#[inline(always)]
pub(crate) fn euclidean_of_pair<T: Real>(x: &[T], r: &[T], form: Form) -> T {
    const LANES: usize = 16;
    let (mut xs, mut rs) = (x.chunks_exact(LANES), r.chunks_exact(LANES));
    let mut lanes = [T::ZERO; LANES];
    for (x, r) in (&mut xs).zip(&mut rs) {
        for ((lane, x), r) in lanes.iter_mut().zip(x).zip(r) {
            let d = *x - *r;
            *lane += d * d;
        }
    }
    for ((lane, x), r) in lanes.iter_mut().zip(xs.remainder()).zip(rs.remainder()) {
        let d = *x - *r;
        *lane += d * d;
    }
    settle(lanes.into_iter().sum(), form, x.iter().zip(r))
}
