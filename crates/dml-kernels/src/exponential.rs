//! eˣ without a branch: a loop of them becomes vector instructions.
//!
//! ```text
//! eˣ = 2ⁿ · eʳ,   n = x / ln 2 rounded to a whole number,   |r| <= ln 2 / 2
//! ```
//!
//! `eʳ` is a polynomial. The power of two is multiplied on in two halves, so that results down to the smallest and up
//! to the largest number come out, and 0 and infinity beyond.

macro_rules! exponential {
    ($(#[$doc:meta])* $name:ident, $t:ty, $bits:ty, $low:expr, $high:expr, $mantissa:expr, $bias:expr, $ln2:expr, $coefficients:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(x: $t) -> $t {
            /// A number in whose last place stands 1: what is added to it is rounded to a whole number.
            const ROUND: $t = ((1u64 << $mantissa) + (1u64 << ($mantissa - 1))) as $t;
            // NaN stays NaN in both comparisons.
            let x = if x < $low { $low } else { x };
            let x = if x > $high { $high } else { x };
            let shifted = x * std::f64::consts::LOG2_E as $t + ROUND;
            let n = shifted - ROUND;
            let r = (x - n * $ln2.0) - n * $ln2.1;
            let mut power: $t = 0.0;
            for c in $coefficients {
                power = power * r + c;
            }
            // Raised by 4,096 it is positive: halves can be taken by a logical shift.
            let raised = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(4_096);
            let half = raised >> 1;
            let two_to = |raised: $bits| {
                <$t>::from_bits(raised.wrapping_sub(2_048).wrapping_add($bias) << $mantissa)
            };
            power * two_to(half) * two_to(raised.wrapping_sub(half))
        }
    };
}

exponential!(
    /// eˣ to about one unit in the last place.
    exp_f32,
    f32,
    u32,
    -110.0,
    90.0,
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
    /// eˣ to about one unit in the last place.
    exp_f64,
    f64,
    u64,
    -750.0,
    720.0,
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
