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
        -4.221_644_241_696_761_3e-10,
        3.193_087_858_239_541e-10,
        4.016_846_739_332_386_5e-9,
        -4.892_402_234_993_567e-9,
        -1.969_590_085_673_416_2e-8,
        4.055_790_802_133_929_6e-8,
        6.618_343_204_949_676e-8,
        -2.567_460_175_357_984e-7,
        -1.562_387_769_391_294_7e-7,
        1.480_723_444_385_482_1e-6,
        1.786_505_382_816_865_4e-7,
        -8.786_406_007_891_13e-6,
        -4.769_190_076_797_745e-7,
        5.777_378_444_682_233_6e-5,
        3.333_605_229_003_694_5e-5,
        -4.077_046_213_683_964e-4,
        -8.699_230_891_628_756e-4,
        1.885_047_242_222_904_6e-3,
        1.509_914_372_259_023e-2,
        4.663_046_448_989_468e-2,
        9.678_435_018_555_664e-2,
        0.151_974_160_492_973_24,
        0.188_821_282_603_937_85
    ]
);

#[cfg(test)]
mod tests {
    use crate::Real;

    /// Φ(−x) by its continued fraction from far out, by its series near 0.
    fn tail(x: f64) -> f64 {
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if x > 3.0 {
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
        // The series that it is compared with has lost some digits itself where it meets the fraction.
        let double = worst::<f64>(-37.0);
        assert!(
            double[0] < 500.0 && double[1] < 2.0 && double[2] < 1e3,
            "{double:?}"
        );
    }

    #[test]
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
