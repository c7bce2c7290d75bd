//! The rate falls along half a cosine.
//!
//! ```text
//! factor(t) = f + (1 − f) (1 + cos(π t / T)) / 2,   t ≤ T;   f from then on
//! ```
//!
//! Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts" (arXiv 1608.03983), eq. 5, without
//! restarts.

use dml_core::{Result, check};

use super::Schedule;

/// Half a cosine from 1 to `floor` ([formula](self)).
///
/// ```
/// use dml_train::schedule::{Cosine, Schedule};
///
/// let cosine = Cosine::new(10, 0.2)?;
/// assert_eq!(cosine.factor(0), 1.0);
/// assert!((cosine.factor(5) - 0.6).abs() < 1e-12);
/// assert_eq!((cosine.factor(10), cosine.factor(99)), (0.2, 0.2));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cosine {
    period: u64,
    floor: f64,
}

impl Cosine {
    /// Falls over `period` iterations or epochs to the share `floor` of the base rate.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a period of 0 or a floor outside of
    /// [0, 1].
    pub fn new(period: u64, floor: f64) -> Result<Self> {
        check::at_least_one("period", period as usize)?;
        let is_share = (0.0..=1.0).contains(&floor);
        check::parameter(is_share, "floor", floor, "a number in [0, 1]")?;
        Ok(Self { period, floor })
    }
}

impl Schedule for Cosine {
    fn factor(&self, done: u64) -> f64 {
        if done >= self.period {
            return self.floor;
        }
        let angle = std::f64::consts::PI * done as f64 / self.period as f64;
        self.floor + (1.0 - self.floor) * (1.0 + angle.cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_and_stays() -> Result<()> {
        let cosine = Cosine::new(7, 0.0)?;
        assert!((0..8).all(|t| cosine.factor(t) > cosine.factor(t + 1) || t == 7));
        assert_eq!(cosine.factor(7).to_bits(), 0f64.to_bits());
        assert!(Cosine::new(0, 0.1).is_err() && Cosine::new(3, -0.1).is_err());
        assert!(Cosine::new(3, 1.5).is_err() && Cosine::new(3, f64::NAN).is_err());
        Ok(())
    }
}
