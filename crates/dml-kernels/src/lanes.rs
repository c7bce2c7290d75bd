//! Sums of long slices over a few running results at once, which a compiler turns into vector instructions.

use crate::{Real, vectorized};

/// How many running results there are.
const LANES: usize = 16;

/// The sum in double precision, in an order that depends on the length alone.
///
/// ```
/// assert_eq!(dml_kernels::sum(&[0.5f32; 1000]), 500.0);
/// ```
#[must_use]
pub fn sum<T: Real>(x: &[T]) -> f64 {
    vectorized!({
        let mut lanes = [0f64; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += x.to_f64();
            }
        }
        lanes.iter().sum::<f64>() + rest.iter().map(|x| x.to_f64()).sum::<f64>()
    })
}

/// All lanes in one, half of them with the other half again and again: steps that don't wait for each other, as those of
/// a chain would. There are a power of two.
#[inline(always)]
pub fn by_halves<T: Copy, const N: usize>(mut lanes: [T; N], both: impl Fn(T, T) -> T) -> T {
    const { assert!(N.is_power_of_two()) };
    let mut half = N / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = both(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_come_together_in_a_fixed_order() {
        // 0 with 2 and 1 with 3, and then 2 with 13.
        assert_eq!(by_halves([0, 1, 2, 3], |a, b| 10 * a + b), 33);
        assert_eq!(by_halves([7], |a, b| a + b), 7);
    }

    #[test]
    fn every_number_counts_once() {
        for length in [0, 1, 15, 16, 17, 100] {
            let x: Vec<f32> = (1..=length).map(|i| i as f32).collect();
            assert_eq!(sum(&x), f64::from(length * (length + 1) / 2));
        }
    }
}
