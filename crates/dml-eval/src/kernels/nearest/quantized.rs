//! A row as small integers times a step, and how far that is from the row.
//!
//! ```text
//! step(x) = maxₖ |xₖ| / B,   Xₖ = xₖ / step(x), rounded,   residual(x) = ‖x − step(x) X‖
//! ```
//!
//! `B` is the largest integer of which `dim` products of two add up to less than 2³¹: sums of 32 bits are exact.

use dml_core::kernels::Real;
use dml_core::kernels::lanes::by_halves;

/// Coordinates side by side, in the vector registers.
const LANES: usize = 16;
/// From fewer steps than this on each side of 0 the integers say too little.
const FEWEST: i16 = 256;
/// The largest coordinate of a row must lie in here, and then no product of steps and integers leaves the range of
/// normal numbers in single precision.
const RANGE: std::ops::RangeInclusive<f64> = 1.0 / (1u64 << 40) as f64..=(1u64 << 40) as f64;
/// Added to a number of less than 2²², it leaves the nearest integer in the low bits: a cast would not become vector
/// instructions, since it has to look for what does not fit.
const ROUNDING: f32 = (3 << 22) as f32;

/// What the integers of a row stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Quantized {
    /// How much 1 stands for; 0 for a row of zeros.
    pub(super) step: f32,
    /// At least the length of what rounding takes from the row.
    pub(super) residual: f64,
}

/// The largest integer for rows of `dim` coordinates; `None` where it would be too small to be of use.
pub(super) fn largest_integer(dim: usize) -> Option<i16> {
    let largest = (i32::MAX as usize / dim.max(1)).isqrt();
    let largest = i16::try_from(largest).unwrap_or(i16::MAX);
    (largest >= FEWEST).then_some(largest)
}

/// Writes the row's integers; `None`, with zeros, for a row whose numbers are too large or too small.
#[inline(always)]
pub(super) fn quantize<T: Real>(
    row: &[T],
    largest: i16,
    integers: &mut [i16],
) -> Option<Quantized> {
    let most = largest_coordinate(row);
    if !RANGE.contains(&most) {
        integers.fill(0);
        return (most == 0.0).then(Quantized::default);
    }
    let largest = f32::from(largest);
    let step = (most / f64::from(largest)) as f32;
    let inverse = 1.0 / step;
    let mut squares = [0.0; LANES];
    let one = |x: T, square: &mut f64| {
        let steps = x.to_f64() as f32 * inverse;
        // Rounding may have made the step a little too small.
        let steps = if steps > largest { largest } else { steps };
        let steps = if steps < -largest { -largest } else { steps };
        let shifted = steps + ROUNDING;
        let left = x.to_f64() - f64::from(step) * f64::from(shifted - ROUNDING);
        *square += left * left;
        shifted.to_bits() as i16
    };
    let (chunks, rest) = row.as_chunks::<LANES>();
    let (out, out_rest) = integers.as_chunks_mut::<LANES>();
    for (x, out) in chunks.iter().zip(out) {
        for lane in 0..LANES {
            out[lane] = one(x[lane], &mut squares[lane]);
        }
    }
    for ((x, out), square) in rest.iter().zip(out_rest).zip(&mut squares) {
        *out = one(*x, square);
    }
    // The sum of squares is rounded `dim` times at most, by 2⁻⁵³ of it.
    let residual = by_halves(squares, |a, b| a + b).sqrt() * (1.0 + f64::from(f32::EPSILON));
    Some(Quantized { step, residual })
}

#[inline(always)]
fn largest_coordinate<T: Real>(row: &[T]) -> f64 {
    let larger = |a: T, b: T| if b > a { b } else { a };
    let mut most = [T::ZERO; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for x in chunks {
        for lane in 0..LANES {
            most[lane] = larger(most[lane], x[lane].abs());
        }
    }
    for (most, x) in most.iter_mut().zip(rest) {
        *most = larger(*most, x.abs());
    }
    by_halves(most, larger).to_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_by_hand() {
        let mut integers = [9; 3];
        // Step 1/4: 0.3 is 1.2 steps, off by 0.05.
        let row = quantize(&[1f64, 0.3, -0.75], 4, &mut integers).unwrap();
        assert_eq!((integers, row.step), ([4, 1, -3], 0.25));
        assert!((row.residual - 0.05).abs() < 1e-7 && row.residual >= 0.3 - 0.25);
    }

    #[test]
    fn zeros_are_exact_and_extremes_are_refused() {
        let mut integers = [9; 2];
        let zeros = Some(Quantized::default());
        assert_eq!(quantize(&[0f32, -0.0], 100, &mut integers), zeros);
        assert_eq!(integers, [0, 0]);
        for x in [1e-40f32, 1e-20, 1e20, f32::MAX, f32::INFINITY] {
            assert_eq!(quantize(&[x, 0.0], 100, &mut integers), None);
            assert_eq!(integers, [0, 0]);
        }
    }

    #[test]
    fn sums_of_the_largest_integers_fit() {
        for dim in [1, 2, 3, 128, 300, 2000, 32_000] {
            let largest = i64::from(largest_integer(dim).unwrap());
            assert!(dim as i64 * largest * largest <= i64::from(i32::MAX));
        }
        assert_eq!(largest_integer(128), Some(4095));
        assert_eq!(largest_integer(1 << 16), None);
        assert!(largest_integer(0).is_some());
    }
}
