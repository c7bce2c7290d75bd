//! The rate falls along a straight line.
//!
//! ```text
//! factor(t) = f + (1 − f) (T − t) / T,   t ≤ T;   f from then on
//! ```

use dml_core::{Result, check};

use super::Schedule;

/// A straight line from 1 to `floor` ([formula](self)); with [`WarmUp`](super::WarmUp) the usual schedule of transformers.
///
/// ```
/// use dml_train::schedule::{Linear, Schedule};
///
/// let linear = Linear::new(4, 0.0)?;
/// assert_eq!([0, 1, 4, 9].map(|t| linear.factor(t)), [1.0, 0.75, 0.0, 0.0]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    period: u64,
    floor: f64,
}

impl Linear {
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

impl Schedule for Linear {
    fn factor(&self, done: u64) -> f64 {
        let left = self.period.saturating_sub(done);
        self.floor + (1.0 - self.floor) * (left as f64 / self.period as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_to_the_floor_and_stays() -> Result<()> {
        let linear = Linear::new(2, 0.5)?;
        assert_eq!(
            [0, 1, 2, 3].map(|t| linear.factor(t)),
            [1.0, 0.75, 0.5, 0.5]
        );
        assert!(Linear::new(0, 0.1).is_err() && Linear::new(3, f64::NAN).is_err());
        Ok(())
    }
}
