//! How far a number that stands for a distance can be off.

use dml_core::kernels::Real;

/// How far a number `‖r‖² − 2q·r` of a matrix product can be off, with `scale` the sum of both squared norms.
pub(crate) fn number_error<T: Real>(dim: usize, scale: f64) -> f64 {
    let dim = dim as f64;
    if scale > T::MAX.to_f64() / 8.0 {
        // A partial sum may have overflowed.
        return f64::INFINITY;
    }
    let unit = T::EPSILON.to_f64() / 2.0;
    // Products may vanish below the smallest normal number.
    3.0 * (dim + 16.0) * unit * scale + 4.0 * dim * T::MIN_POSITIVE.to_f64()
}
