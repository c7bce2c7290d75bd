//! A margin that multiplies an angle.

use std::f64::consts::PI;

use dml_core::{Result, check};

use crate::machinery::expression::Expression;

/// The largest multiple: each one more is a pass over all similarities.
const MOST: f64 = 1_000.0;

/// `φ = (−1)ᵏ cos(m θ) − 2k` with `k = ⌊m θ / π⌋`, of the cosine of θ.
///
/// cos(m θ) is the Chebyshev polynomial `T_m` of the cosine. k is how many of the angles
/// π/m, 2π/m, …, π the angle has reached, which its cosine tells.
#[derive(Clone, Debug)]
pub(crate) struct MultipleAngle {
    times: u32,
    /// cos(π/m), cos(2π/m), …, cos π.
    steps: Vec<f64>,
}

impl MultipleAngle {
    pub(crate) fn new(margin: f64) -> Result<Self> {
        let expected = "a number in [1, 1000], rounded down";
        let within = (1.0..MOST + 1.0).contains(&margin);
        let times = check::parameter(within, "margin", margin, expected)? as u32;
        let step = |j: u32| (f64::from(j) * PI / f64::from(times)).cos();
        Ok(Self {
            times,
            steps: (1..=times).map(step).collect(),
        })
    }
}

impl MultipleAngle {
    #[inline(always)]
    pub(crate) fn own<E: Expression>(&self, x: E) -> E {
        let (mut before, mut t) = (x.constant(1.0), x.clone());
        for _ in 1..self.times {
            (before, t) = (t.clone(), x.clone() * t * 2.0 - before);
        }
        let (mut sign, mut k) = (x.constant(1.0), x.constant(0.0));
        for step in &self.steps {
            let is_reached = x.is_at_most(*step);
            sign = E::select(is_reached.clone(), -sign.clone(), sign);
            k = E::select(is_reached, k.clone() + 1.0, k);
        }
        t * sign - k * 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    use crate::machinery::expression::{Composite, Dual};

    fn at(angle: &MultipleAngle, cosine: f64) -> (f64, f64) {
        let phi = Dual::at(cosine, |x| angle.own(x));
        (phi.value, phi.gradient[0])
    }

    #[test]
    fn it_falls_from_one_to_one_minus_twice_the_margin() -> Result<()> {
        let four = MultipleAngle::new(4.9)?;
        let mut last = f64::INFINITY;
        for degrees in 0..=180 {
            let angle = f64::from(degrees).to_radians();
            let (value, gradient) = at(&four, angle.cos());
            let k = (4.0 * angle / PI + 1e-12).floor();
            let want = (-1f64).powf(k) * (4.0 * angle).cos() - 2.0 * k;
            assert!((value - want).abs() < 1e-9, "{degrees}: {value} {want}");
            assert!(value <= last + 1e-12);
            last = value;
            if degrees % 45 != 0 {
                let h = 1e-6;
                let rise = at(&four, angle.cos() + h).0 - at(&four, angle.cos() - h).0;
                assert!((rise / (2.0 * h) - gradient).abs() < 1e-5, "{degrees}");
            }
        }
        assert!((last + 7.0).abs() < 1e-12);
        let one = MultipleAngle::new(1.0)?;
        assert_eq!((at(&one, 0.3), at(&one, -0.3)), ((0.3, 1.0), (-0.3, 1.0)));
        assert!(MultipleAngle::new(0.9).is_err() && MultipleAngle::new(f64::NAN).is_err());
        Ok(())
    }

    #[test]
    fn the_composite_form_gives_the_same_numbers() -> Result<()> {
        for margin in [1.0, 2.0, 3.0, 4.0, 5.0] {
            let margin = MultipleAngle::new(margin)?;
            let x: Vec<f64> = (-99..=99).map(|i| f64::from(i) / 100.0 + 1e-4).collect();
            let values =
                Composite::of(&Tensor::new(x.as_slice(), &Device::Cpu)?, |x| margin.own(x))?;
            for (x, got) in x.iter().zip(values.to_vec1::<f64>()?) {
                assert!((got - at(&margin, *x).0).abs() < 1e-12);
            }
        }
        Ok(())
    }
}
