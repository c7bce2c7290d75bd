//! eˣ and tanh x without a branch: a loop of them becomes vector instructions.
//!
//! ```text
//! eˣ = 2ⁿ · eʳ,   n = x / ln 2 rounded to a whole number,   |r| <= ln 2 / 2
//! ```
//!
//! `eʳ` is a polynomial. The power of two is multiplied on in two halves, so that results down to the smallest and up
//! to the largest number come out, and 0 and infinity beyond.

macro_rules! exponential {
    (
        $name:ident, $sum:ident, $tanh:ident, $t:ty, $bits:ty, $low:expr, $high:expr, $least:expr, $mantissa:expr,
        $bias:expr, $ln2:expr, $coefficients:expr
    ) => {
        /// eˣ to about one unit in the last place.
        #[inline(always)]
        pub(crate) fn $name(x: $t) -> $t {
            $sum(x, -0.0)
        }

        /// e to the power of `x + rest`, where the rest is what the rounding of `x` has left: at most a few thousandths of it.
        #[inline(always)]
        pub(crate) fn $sum(x: $t, rest: $t) -> $t {
            /// A number in whose last place stands 1: what is added to it is rounded to a whole number.
            const ROUND: $t = ((1u64 << $mantissa) + (1u64 << ($mantissa - 1))) as $t;
            // NaN stays NaN in both comparisons.
            let x = if x < $low { $low } else { x };
            let x = if x > $high { $high } else { x };
            let shifted = (x + rest) * std::f64::consts::LOG2_E as $t + ROUND;
            let n = shifted - ROUND;
            let r = (x - n * $ln2.0) - n * $ln2.1 + rest;
            let mut power: $t = 0.0;
            for c in $coefficients {
                power = power * r + c;
            }
            // Raised by 4,096 it is positive: halves can be taken by a logical shift.
            let raised = shifted
                .to_bits()
                .wrapping_sub(ROUND.to_bits())
                .wrapping_add(4_096);
            let half = raised >> 1;
            let two_to = |raised: $bits| {
                <$t>::from_bits(raised.wrapping_sub(2_048).wrapping_add($bias) << $mantissa)
            };
            power * two_to(half) * two_to(raised.wrapping_sub(half))
        }

        /// The hyperbolic tangent to a few units in the last place, and its derivative.
        ///
        /// `tanh |x| = −m / (2 + m)` and `tanh' x = 4 (1 + m) / (2 + m)²` with `m = e^(−2|x|) − 1`, whose digits are kept
        /// near 0: there the power of two is 1, and the polynomial has no constant.
        #[inline(always)]
        pub(crate) fn $tanh(x: $t) -> ($t, $t) {
            const ROUND: $t = ((1u64 << $mantissa) + (1u64 << ($mantissa - 1))) as $t;
            let y = -2.0 * x.abs();
            // From here on the result is 1.
            let y = if y < $least { $least } else { y };
            let shifted = y * std::f64::consts::LOG2_E as $t + ROUND;
            let n = shifted - ROUND;
            let r = (y - n * $ln2.0) - n * $ln2.1;
            let mut power: $t = 0.0;
            // All but the last coefficient, which is the constant.
            let coefficients: &[$t] = &$coefficients;
            for c in &coefficients[..coefficients.len() - 1] {
                power = power * r + c;
            }
            let power = power * r;
            let exponent = shifted
                .to_bits()
                .wrapping_sub(ROUND.to_bits())
                .wrapping_add($bias);
            let scale = <$t>::from_bits(exponent << $mantissa);
            let m = power * scale + (scale - 1.0);
            let inverse = 1.0 / (2.0 + m);
            let value = -m * inverse;
            let value = if x < 0.0 { -value } else { value };
            (value, 4.0 * (scale + scale * power) * inverse * inverse)
        }
    };
}

exponential!(
    exp_f32,
    exp_sum_f32,
    tanh_f32,
    f32,
    u32,
    -110.0,
    90.0,
    -80.0,
    23,
    127,
    (0.693_359_4_f32, -2.121_944_4e-4_f32),
    [
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0
    ]
);

exponential!(
    exp_f64,
    exp_sum_f64,
    tanh_f64,
    f64,
    u64,
    -750.0,
    720.0,
    -700.0,
    52,
    1_023,
    (0.693_145_751_953_125_f64, 1.428_606_820_309_417_3e-6_f64),
    [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0
    ]
);

#[cfg(test)]
mod tests {
    use crate::Real;

    fn worst<T: Real>(low: f64, high: f64) -> f64 {
        let steps = 200_000;
        (0..=steps)
            .map(|i| {
                let x = T::from_f64(low + (high - low) * f64::from(i) / f64::from(steps));
                let want = x.to_f64().exp();
                (x.quick_exp().to_f64() - want).abs() / want
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn it_is_as_good_as_the_type() {
        let units = worst::<f32>(-87.0, 88.7) / f64::from(f32::EPSILON);
        assert!(units < 1.5, "{units}");
        let units = worst::<f64>(-708.0, 709.7) / f64::EPSILON;
        assert!(units < 2.0, "{units}");
    }

    fn worst_tanh<T: Real>(high: f64) -> [f64; 2] {
        let steps = 200_000;
        let mut worst = [0f64; 2];
        for i in 1..=steps {
            // Evenly spread over the powers of ten.
            let x = high * 10f64.powf(-12.0 * (1.0 - f64::from(i) / f64::from(steps)));
            for x in [T::from_f64(x), T::from_f64(-x)] {
                let (want, slope) = (x.to_f64().tanh(), x.to_f64().cosh().powi(-2));
                let (value, derivative) = x.quick_tanh();
                let errors = [
                    (value.to_f64() - want).abs() / want.abs(),
                    (derivative.to_f64() - slope).abs() / slope,
                ];
                worst = [worst[0].max(errors[0]), worst[1].max(errors[1])];
            }
        }
        worst
    }

    #[test]
    fn the_tangent_is_nearly_as_good_as_the_type() {
        let [value, derivative] = worst_tanh::<f32>(20.0).map(|e| e / f64::from(f32::EPSILON));
        assert!(value < 2.5 && derivative < 4.0, "{value} {derivative}");
        let [value, derivative] = worst_tanh::<f64>(200.0).map(|e| e / f64::EPSILON);
        assert!(value < 3.0 && derivative < 6.0, "{value} {derivative}");
    }

    #[test]
    fn the_tangent_ends_at_one() {
        for x in [100f32, 1e30, f32::INFINITY] {
            assert_eq!((x.quick_tanh().0, (-x).quick_tanh().0), (1.0, -1.0));
            assert!(x.quick_tanh().1 < 1e-30);
        }
        assert_eq!(f64::INFINITY.quick_tanh().0, 1.0);
        assert_eq!(0f32.quick_tanh(), (0.0, 1.0));
        assert_eq!(0f64.quick_tanh(), (0.0, 1.0));
        let (value, derivative) = f32::NAN.quick_tanh();
        assert!(value.is_nan() && derivative.is_nan());
        assert!(f64::NAN.quick_tanh().0.is_nan());
    }

    #[test]
    fn the_ends_are_right() {
        assert_eq!(0f32.quick_exp(), 1.0);
        assert_eq!(0f64.quick_exp(), 1.0);
        for x in [-1e4, f64::NEG_INFINITY] {
            assert_eq!((x as f32).quick_exp(), 0.0);
            assert_eq!(x.quick_exp(), 0.0);
        }
        for x in [1e4, f64::INFINITY] {
            assert_eq!((x as f32).quick_exp(), f32::INFINITY);
            assert_eq!(x.quick_exp(), f64::INFINITY);
        }
        assert!(f32::NAN.quick_exp().is_nan() && f64::NAN.quick_exp().is_nan());
        // Denormal numbers: few digits, but no jump to 0.
        assert!(((-100f32).quick_exp() - 3.8e-44).abs() < 3e-45);
        assert!((-740f64).quick_exp() > 0.0);
    }
}
