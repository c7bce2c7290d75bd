//! All distances between the rows of two matrices, and their gradient.
//!
//! ```text
//! d(x, r) = (Σₖ |xₖ − rₖ|ᵖ)^(1/p),  p >= 1;   maxₖ |xₖ − rₖ| for p = ∞
//! ∂d/∂xₖ = sign(xₖ − rₖ) (|xₖ − rₖ| / d)^(p−1),   0 where d = 0;   shared among tied maxima for p = ∞
//! ```
//!
//! The differences are formed one by one. The expansion ‖x‖² + ‖r‖² − 2x·r would be a matrix product, but it
//! loses all digits for near-duplicates, and the gradient, which has no product form that keeps them, costs more
//! than the forward pass anyway.

use crate::{Real, for_each_row};
use pulp::Arch;

/// How many references a block of the forward pass takes at once: their running sums fit in vector registers.
const LANES: usize = 64;
/// How many coordinates of a gradient row are kept in registers while the references pass by.
const COORDINATES: usize = 64;

/// Distances `[queries, references]` between the rows of `x` `[queries, dim]` and `r` `[references, dim]`.
#[must_use]
pub fn pairwise_lp<T: Real>(x: &[T], r: &[T], dim: usize, p: f64) -> Vec<T> {
    let (queries, references) = (x.len() / dim.max(1), r.len() / dim.max(1));
    let packed = pack_columns(r, references, dim);
    let mut out = vec![T::ZERO; queries * references];
    let arch = Arch::new();
    for_each_row(&mut out, references, |i, out| {
        let x = &x[i * dim..][..dim];
        arch.dispatch(|| distances_of_row(x, &packed, dim, p, out));
    });
    out
}

/// References in blocks of [`LANES`] with coordinates outermost, so that one coordinate of a block is contiguous.
fn pack_columns<T: Real>(r: &[T], references: usize, dim: usize) -> Vec<T> {
    let blocks = references.div_ceil(LANES);
    let mut packed = vec![T::ZERO; blocks * dim * LANES];
    for_each_row(&mut packed, dim * LANES, |block, packed| {
        for (lane, row) in r[block * LANES * dim..]
            .chunks_exact(dim)
            .take(LANES)
            .enumerate()
        {
            for (k, value) in row.iter().enumerate() {
                packed[k * LANES + lane] = *value;
            }
        }
    });
    packed
}

#[inline(always)]
fn distances_of_row<T: Real>(x: &[T], packed: &[T], dim: usize, p: f64, out: &mut [T]) {
    for (out, block) in out.chunks_mut(LANES).zip(packed.chunks_exact(dim * LANES)) {
        let sums = if p == 2.0 {
            accumulate(x, block, |sum, d| sum + d * d).map(Real::sqrt)
        } else if p == 1.0 {
            accumulate(x, block, |sum, d| sum + d.abs())
        } else if p.is_infinite() {
            accumulate(x, block, |sum, d| sum.max(d.abs()))
        } else {
            // Scaled by the largest difference, as in `norm`, against overflow and underflow of the powers.
            let top = accumulate(x, block, |sum, d| sum.max(d.abs()));
            let mut sums = [T::ZERO; LANES];
            for (lane, sum) in sums.iter_mut().enumerate().take(out.len()) {
                let scale = top[lane].to_f64();
                if scale > 0.0 {
                    let powers: f64 = x
                        .iter()
                        .zip(block.iter().skip(lane).step_by(LANES))
                        .map(|(x, r)| ((*x - *r).to_f64().abs() / scale).powf(p))
                        .sum();
                    *sum = T::from_f64(scale * powers.powf(1.0 / p));
                }
            }
            sums
        };
        out.copy_from_slice(&sums[..out.len()]);
    }
}

#[inline(always)]
fn accumulate<T: Real>(x: &[T], block: &[T], step: impl Fn(T, T) -> T) -> [T; LANES] {
    let mut sums = [T::ZERO; LANES];
    for (x, column) in x.iter().zip(block.chunks_exact(LANES)) {
        for (sum, r) in sums.iter_mut().zip(column) {
            *sum = step(*sum, *x - *r);
        }
    }
    sums
}

/// The gradient of Σ g·d with respect to `x`, for the distances and their gradient `g`, both `[queries, references]`.
///
/// The gradient with respect to `r` is the same with the sides swapped and both matrices transposed.
#[must_use]
pub fn pairwise_lp_backward<T: Real>(
    x: &[T],
    r: &[T],
    distances: &[T],
    gradient: &[T],
    dim: usize,
    p: f64,
) -> Vec<T> {
    let references = r.len() / dim.max(1);
    let mut out = vec![T::ZERO; x.len()];
    let arch = Arch::new();
    for_each_row(&mut out, dim, |i, out| {
        let x = &x[i * dim..][..dim];
        let (d, g) = (
            &distances[i * references..][..references],
            &gradient[i * references..][..references],
        );
        arch.dispatch(|| gradient_of_row(x, r, d, g, p, out));
    });
    out
}

#[inline(always)]
fn gradient_of_row<T: Real>(x: &[T], r: &[T], d: &[T], g: &[T], p: f64, out: &mut [T]) {
    let dim = x.len();
    if p.is_infinite() {
        return gradient_of_row_max(x, r, d, g, out);
    }
    for (start, out) in (0..dim)
        .step_by(COORDINATES)
        .zip(out.chunks_mut(COORDINATES))
    {
        let width = out.len();
        let x = &x[start..start + width];
        let mut sums = [T::ZERO; COORDINATES];
        for (j, r) in r.chunks_exact(dim).enumerate() {
            if g[j] == T::ZERO || d[j] == T::ZERO {
                continue;
            }
            let r = &r[start..start + width];
            if p == 2.0 {
                let c = g[j] / d[j];
                for ((sum, x), r) in sums.iter_mut().zip(x).zip(r) {
                    *sum += c * (*x - *r);
                }
            } else {
                let exponent = T::from_f64(p - 1.0);
                for ((sum, x), r) in sums.iter_mut().zip(x).zip(r) {
                    let difference = *x - *r;
                    let slope = if p == 1.0 {
                        T::ONE
                    } else {
                        (difference.abs() / d[j]).powf(exponent)
                    };
                    *sum += g[j] * sign(difference) * slope;
                }
            }
        }
        out.copy_from_slice(&sums[..width]);
    }
}

fn gradient_of_row_max<T: Real>(x: &[T], r: &[T], d: &[T], g: &[T], out: &mut [T]) {
    for ((r, d), g) in r.chunks_exact(x.len()).zip(d).zip(g) {
        if *g == T::ZERO || *d == T::ZERO {
            continue;
        }
        let attains = |x: &T, r: &T| (*x - *r).abs() == *d;
        let ties = x.iter().zip(r).filter(|(x, r)| attains(x, r)).count();
        let share = *g / T::from_f64(ties as f64);
        for ((out, x), r) in out.iter_mut().zip(x).zip(r) {
            if attains(x, r) {
                *out += sign(*x - *r) * share;
            }
        }
    }
}

#[inline(always)]
fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        T::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn three_four_five() {
        let x = [0f32, 0.];
        let r = [3f32, -4., 0., 0.];
        assert_eq!(pairwise_lp(&x, &r, 2, 2.0), [5., 0.]);
        assert_eq!(pairwise_lp(&x, &r, 2, 1.0), [7., 0.]);
        assert_eq!(pairwise_lp(&x, &r, 2, f64::INFINITY), [4., 0.]);
    }

    #[test]
    fn near_duplicates_keep_their_digits() {
        let x = [1000f32, 1000.];
        let r = [1000.0625f32, 1000.];
        assert_eq!(pairwise_lp(&x, &r, 2, 2.0), [0.0625]);
    }

    #[test]
    fn duplicates_have_distance_zero_and_no_gradient() {
        let x = [0.1f32, 0.2, 0.3];
        for p in [1.0, 2.0, 3.0, f64::INFINITY] {
            let d = pairwise_lp(&x, &x, 3, p);
            assert_eq!(d, [0.]);
            assert_eq!(pairwise_lp_backward(&x, &x, &d, &[1.], 3, p), [0.; 3]);
        }
    }

    #[test]
    fn gradient_agrees_with_central_differences() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        // 70 coordinates and 130 references: neither is a multiple of a block.
        let (queries, references, dim) = (3, 130, 70);
        let mut draw =
            |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (x, r, g) = (
            draw(queries * dim),
            draw(references * dim),
            draw(queries * references),
        );
        for p in [1.0, 1.5, 2.0, 4.0, f64::INFINITY] {
            let d = pairwise_lp(&x, &r, dim, p);
            let gradient = pairwise_lp_backward(&x, &r, &d, &g, dim, p);
            let value = |x: &[f64]| -> f64 {
                pairwise_lp(x, &r, dim, p)
                    .iter()
                    .zip(&g)
                    .map(|(d, g)| d * g)
                    .sum()
            };
            for k in [0, 63, 64, 69, 100, 209] {
                let (mut up, mut down) = (x.clone(), x.clone());
                up[k] += 1e-6;
                down[k] -= 1e-6;
                let slope = (value(&up) - value(&down)) / 2e-6;
                assert!(
                    (slope - gradient[k]).abs() < 1e-6,
                    "p {p}, entry {k}: {slope} {}",
                    gradient[k]
                );
            }
        }
    }
}
