//! Vector registers of an element type: the few instructions that hand-tiled kernels are written in.

use pulp::Simd;

use crate::Real;

/// An element type with vector registers: `f32` or `f64`.
///
/// A kernel that is generic over this and over [`pulp::Simd`] is compiled once per instruction set and chosen at run
/// time by [`pulp::Arch::dispatch`]. Where autovectorised loops do as well, [`Real`] is enough.
pub trait SimdReal: Real {
    /// One register of the instruction set `S`.
    type Lanes<S: Simd>: Copy;
    /// One truth value per lane.
    type Mask<S: Simd>: Copy;

    /// The nearest whole number of 0..=255 towards 0.
    fn to_byte(self) -> u8;
    /// How many elements a register holds.
    #[must_use]
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Lanes<S>>() / size_of::<Self>()
    }
    /// Every lane holds `x`.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S>;
    /// `a b + c`, rounded once where the processor can.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
        c: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a − b`.
    fn minus<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// Where `a <= b`; false for NaN.
    fn at_most<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Mask<S>;
    /// Where `a == b`; false for NaN.
    fn equal<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Mask<S>;
    /// `a` where the mask is true, else `b`.
    fn select<S: Simd>(
        simd: S,
        mask: Self::Mask<S>,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// The larger of two, lane by lane; `b` where either is NaN, on x86.
    fn larger<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// The slice as registers, and the elements that do not fill one.
    fn as_lanes<S: Simd>(slice: &[Self]) -> (&[Self::Lanes<S>], &[Self]);
    /// As [`as_lanes`](SimdReal::as_lanes), to write to.
    fn as_lanes_mut<S: Simd>(slice: &mut [Self]) -> (&mut [Self::Lanes<S>], &mut [Self]);
}

macro_rules! simd_real {
    (
        $t:ty, $lanes:ident, $mask:ident, $splat:ident, $mul_add:ident, $add:ident, $sub:ident, $at_most:ident,
        $equal:ident, $select:ident, $max:ident, $split:ident, $split_mut:ident
    ) => {
        impl SimdReal for $t {
            type Lanes<S: Simd> = S::$lanes;
            type Mask<S: Simd> = S::$mask;
            #[inline(always)]
            fn to_byte(self) -> u8 {
                self as u8
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$lanes {
                simd.$splat(x)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn at_most<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$mask {
                simd.$at_most(a, b)
            }
            #[inline(always)]
            fn equal<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$mask {
                simd.$equal(a, b)
            }
            #[inline(always)]
            fn select<S: Simd>(simd: S, mask: S::$mask, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$select(mask, a, b)
            }
            #[inline(always)]
            fn larger<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$max(a, b)
            }
            #[inline(always)]
            fn as_lanes<S: Simd>(slice: &[Self]) -> (&[S::$lanes], &[Self]) {
                S::$split(slice)
            }
            #[inline(always)]
            fn as_lanes_mut<S: Simd>(slice: &mut [Self]) -> (&mut [S::$lanes], &mut [Self]) {
                S::$split_mut(slice)
            }
        }
    };
}
simd_real!(
    f32,
    f32s,
    m32s,
    splat_f32s,
    mul_add_e_f32s,
    add_f32s,
    sub_f32s,
    less_than_or_equal_f32s,
    equal_f32s,
    select_f32s,
    max_f32s,
    as_simd_f32s,
    as_mut_simd_f32s
);
simd_real!(
    f64,
    f64s,
    m64s,
    splat_f64s,
    mul_add_e_f64s,
    add_f64s,
    sub_f64s,
    less_than_or_equal_f64s,
    equal_f64s,
    select_f64s,
    max_f64s,
    as_simd_f64s,
    as_mut_simd_f64s
);
