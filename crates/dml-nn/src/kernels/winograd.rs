//! The linear maps of Winograd's F(2 × 2, 3 × 3), one row or column of a tile at a time.

use dml_core::kernels::SimdReal;
use pulp::Simd;

/// Bᵀ d.
#[inline(always)]
pub(crate) fn inputs<T: SimdReal, S: Simd>(simd: S, d: [T::Lanes<S>; 4]) -> [T::Lanes<S>; 4] {
    [
        T::minus(simd, d[0], d[2]),
        T::plus(simd, d[1], d[2]),
        T::minus(simd, d[2], d[1]),
        T::minus(simd, d[1], d[3]),
    ]
}

/// Aᵀ m.
#[inline(always)]
pub(crate) fn outputs<T: SimdReal, S: Simd>(simd: S, m: [T::Lanes<S>; 4]) -> [T::Lanes<S>; 2] {
    [
        T::plus(simd, T::plus(simd, m[0], m[1]), m[2]),
        T::minus(simd, T::minus(simd, m[1], m[2]), m[3]),
    ]
}
