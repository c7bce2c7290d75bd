//! The normal distribution without a branch: a loop of it becomes vector instructions.
//!
//! ```text
//! φ(x) = e^(−x²/2) / √(2π)                 the density
//! Φ(x) = (1 + erf(x/√2)) / 2               the distribution
//! Φ(−|x|) = e^(−x²/2) u P(2u − 1),   u = k / (k + |x|)
//! ```
//!
//! P is the polynomial through the Chebyshev points of `e^(x²/2) Φ(−x) / u`; k is chosen so that a low degree does. One
//! exponential serves both functions, and the lower tail keeps its digits, which `1 + erf` loses.

use crate::exponential::{exp_sum_f32, exp_sum_f64};

macro_rules! normal {
    ($name:ident, $exp:ident, $t:ty, $mask:expr, $farthest:expr, $k:expr, $coefficients:expr) => {
        /// Φ and φ, to a few units in the last place.
        #[inline(always)]
        pub(crate) fn $name(x: $t) -> ($t, $t) {
            // Beyond it the tail is 0. NaN stays NaN.
            let far = x.abs();
            let far = if far > $farthest { $farthest } else { far };
            // The square of a number with half of the digits is exact, and the rest of the exponent is small.
            let head = <$t>::from_bits(far.to_bits() & $mask);
            let power = $exp(-0.5 * head * head, -0.5 * (far - head) * (far + head));
            let u = $k / ($k + far);
            let t = 2.0 * u - 1.0;
            let mut ratio: $t = 0.0;
            for c in $coefficients {
                ratio = ratio * t + c;
            }
            let tail = power * u * ratio;
            let value = if x > 0.0 { 1.0 - tail } else { tail };
            const DENSITY_AT_ZERO: $t = 0.398_942_280_401_432_7_f64 as $t;
            (value, power * DENSITY_AT_ZERO)
        }
    };
}

normal!(
    normal_f32,
    exp_sum_f32,
    f32,
    0xFFFF_F000,
    15.0,
    3.5,
    [
        -1.369_244_9e-5,
        -9.933_45e-6,
        1.280_197_3e-4,
        1.194_478_8e-4,
        -9.071_201e-4,
        -1.847_274_5e-3,
        4.972_742_4e-3,
        3.315_688_7e-2,
        9.012_15e-2,
        0.161_589_12,
        0.212_690_31
    ]
);

normal!(
    normal_f64,
    exp_sum_f64,
    f64,
    0xFFFF_FFFF_F800_0000,
    39.0,
    4.0,
    [
        -2.413_356_355_057_126e-10,
        -1.817_386_369_756_672_3e-11,
        3.481_005_998_375_427_3e-9,
        -3.644_648_336_759_115e-9,
        -1.909_520_513_372_612_6e-8,
        3.856_580_134_192_769e-8,
        6.592_062_144_101_906e-8,
        -2.549_512_129_533_793e-7,
        -1.562_830_260_119_67e-7,
        1.479_723_182_940_809e-6,
        1.787_513_989_804_024_7e-7,
        -8.786_045_289_440_243e-6,
        -4.769_666_329_153_394e-7,
        5.777_370_457_984_405e-5,
        3.333_606_350_476_228e-5,
        -0.000_407_704_610_472_589_9,
        -0.000_869_923_090_560_633_3,
        0.001_885_047_241_398_264_8,
        0.015_099_143_722_674_867,
        0.046_630_464_489_923_54,
        0.096_784_350_185_554_72,
        0.151_974_160_492_972_94,
        0.188_821_282_603_937_88
    ]
);

#[cfg(test)]
mod tests {
    use crate::Real;

    /// Φ(−x) by its continued fraction from far out, by its series near 0.
    fn tail(x: f64) -> f64 {
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if x > 2.0 {
            let fraction = (1..=200).rev().fold(x, |rest, i| x + f64::from(i) / rest);
            return density / fraction;
        }
        let (mut term, mut sum) = (x, x);
        for i in 1..200 {
            term *= x * x / f64::from(2 * i + 1);
            sum += term;
        }
        0.5 - density * sum
    }

    /// Largest errors of Φ below 0, of Φ above and of φ, in units of the last place.
    fn worst<T: Real>(low: f64) -> [f64; 3] {
        let steps = 100_000;
        let mut worst = [0f64; 3];
        for i in 0..=steps {
            let x = T::from_f64(low * f64::from(i) / f64::from(steps));
            let far = -x.to_f64();
            let wanted = [
                tail(far),
                1.0 - tail(far),
                (-0.5 * far * far).exp() / (2.0 * std::f64::consts::PI).sqrt(),
            ];
            let (below, density) = x.quick_normal();
            let (above, _) = (-x).quick_normal();
            for (worst, (got, want)) in worst
                .iter_mut()
                .zip([below, above, density].into_iter().zip(wanted))
            {
                *worst = worst.max((got.to_f64() - want).abs() / want / T::EPSILON.to_f64());
            }
        }
        worst
    }

    #[test]
    fn both_are_nearly_as_good_as_the_type() {
        let single = worst::<f32>(-12.5);
        assert!(single.iter().all(|units| *units < 4.0), "{single:?}");
        // The series that it is compared with has lost some digits itself where it meets the fraction, and φ the digits of the
        // rounded square.
        let double = worst::<f64>(-37.0);
        assert!(
            double[0] < 500.0 && double[1] < 8.0 && double[2] < 1e3,
            "{double:?}"
        );
    }

    #[test]
    #[allow(clippy::excessive_precision)] // The digits of the tables.
    fn by_tables() {
        let close = |x: f64, want: f64| {
            let got = x.quick_normal().0;
            assert!((got / want - 1.0).abs() < 2e-15, "{x}: {got}, {want}");
        };
        // Abramowitz & Stegun 1964, tables 26.1 and 26.2, with more digits from mpmath.
        close(0.0, 0.5);
        close(1.0, 0.841_344_746_068_542_9);
        close(-1.0, 0.158_655_253_931_457_05);
        close(-3.0, 1.349_898_031_630_094_6e-3);
        close(-6.0, 9.865_876_450_376_981e-10);
        close(-20.0, 2.753_624_118_606_233_7e-89);
    }

    #[test]
    fn the_ends_are_right() {
        for x in [1e3f32, 1e30, f32::INFINITY] {
            assert_eq!(x.quick_normal(), (1.0, 0.0));
            assert_eq!((-x).quick_normal(), (0.0, 0.0));
        }
        assert_eq!(f64::INFINITY.quick_normal(), (1.0, 0.0));
        assert_eq!((-1e300f64).quick_normal(), (0.0, 0.0));
        assert!(f32::NAN.quick_normal().0.is_nan() && f32::NAN.quick_normal().1.is_nan());
        assert!(f64::NAN.quick_normal().0.is_nan() && f64::NAN.quick_normal().1.is_nan());
    }
}
