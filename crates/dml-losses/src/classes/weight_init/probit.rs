//! The normal distribution and its inverse, in double precision.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `P(X ≤ x)` of a standard normal X.
pub(super) fn normal_cdf(x: f64) -> f64 {
    if x.is_infinite() {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let z = x.abs() * FRAC_1_SQRT_2;
    let tail = 0.5 * erfc(z);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// The complement of the error function for `z ≥ 0`: its power series near 0, its continued fraction beyond.
fn erfc(z: f64) -> f64 {
    if z < 2.0 {
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= -z * z / n;
            sum += term / (2.0 * n + 1.0);
        }
        return 1.0 - 2.0 / PI.sqrt() * sum;
    }
    let fraction = (1..=60)
        .rev()
        .fold(z, |below, k| z + f64::from(k) / 2.0 / below);
    (-z * z).exp() / (PI.sqrt() * fraction)
}

/// The x with `normal_cdf(x) = u`, infinite at 0 and 1.
pub(super) fn probit(u: f64) -> f64 {
    if u <= 0.0 || u >= 1.0 {
        return if u <= 0.0 {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
    }
    if u > 0.5 {
        return -probit(1.0 - u);
    }
    // Abramowitz and Stegun, 26.2.23: right to 4.5e-4. Halley's method triples the digits with each step.
    let t = (-2.0 * u.ln()).sqrt();
    let numerator = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let denominator = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut x = numerator / denominator - t;
    for _ in 0..3 {
        let newton = (normal_cdf(x) - u) * (2.0 * PI).sqrt() * (0.5 * x * x).exp();
        let step = newton / (1.0 + 0.5 * x * newton);
        if !step.is_finite() {
            break;
        }
        x -= step;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles() {
        for (x, u) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.959_963_984_540_054, 0.025),
            (3.0, 0.998_650_101_968_369_9),
            (-5.0, 2.866_515_718_791_939e-7),
        ] {
            assert!((normal_cdf(x) - u).abs() < 1e-14, "{x}: {}", normal_cdf(x));
            assert!((probit(u) - x).abs() < 1e-8, "{u}: {}", probit(u));
        }
        // It undoes the distribution, from deep in a tail to the middle, and is symmetric.
        for u in [1e-300, 1e-30, 1e-12, 1e-5, 0.02, 0.2, 0.4, 0.499_999] {
            let back = normal_cdf(probit(u));
            assert!((back / u - 1.0).abs() < 1e-10, "{u}: {back}");
        }
        assert!((probit(0.75) + probit(0.25)).abs() < 1e-14);
        assert_eq!(
            (normal_cdf(f64::INFINITY), probit(0.0)),
            (1.0, f64::NEG_INFINITY)
        );
    }
}
