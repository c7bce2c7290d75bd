//! Sums of long slices over a few running results at once, which a compiler turns into vector instructions.

use pulp::Arch;

use crate::Real;

/// How many running results there are.
const LANES: usize = 16;

/// The sum in double precision, in an order that depends on the length alone.
///
/// ```
/// assert_eq!(dml_kernels::sum(&[0.5f32; 1000]), 500.0);
/// ```
#[must_use]
pub fn sum<T: Real>(x: &[T]) -> f64 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut lanes = [0f64; LANES];
            let chunks = x.chunks_exact(LANES);
            let rest = chunks.remainder();
            for chunk in chunks {
                for (lane, x) in lanes.iter_mut().zip(chunk) {
                    *lane += x.to_f64();
                }
            }
            lanes.iter().sum::<f64>() + rest.iter().map(|x| x.to_f64()).sum::<f64>()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_counts_once() {
        for length in [0, 1, 15, 16, 17, 100] {
            let x: Vec<f32> = (1..=length).map(|i| i as f32).collect();
            assert_eq!(sum(&x), f64::from(length * (length + 1) / 2));
        }
    }
}
