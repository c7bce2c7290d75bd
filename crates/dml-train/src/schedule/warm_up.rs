//! The rate rises from a low start before another schedule begins.
//!
//! ```text
//! factor(t) = s + (1 − s) t / W,   t < W;   then(t − W) from there on
//! ```
//!
//! Goyal et al. 2017, "Accurate, Large Minibatch SGD" (arXiv 1706.02677), §2.2: gradual warm-up.

use dml_core::{Result, check};

use super::Schedule;

/// A straight rise, and then another schedule or the base rate ([formula](self)).
///
/// ```
/// use dml_train::schedule::{Schedule, Step, WarmUp};
///
/// let schedule = WarmUp::new(4, 0.2)?.then(Step::new(1, 0.5)?);
/// assert!((schedule.factor(2) - 0.6).abs() < 1e-12);
/// assert_eq!((schedule.factor(4), schedule.factor(5)), (1.0, 0.5));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct WarmUp {
    length: u64,
    start: f64,
    then: Option<Box<dyn Schedule>>,
}

impl WarmUp {
    /// Rises from the share `start` of the base rate over `length` iterations or epochs.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a length of 0 or a start outside of [0, 1].
    pub fn new(length: u64, start: f64) -> Result<Self> {
        check::at_least_one("length", length as usize)?;
        let is_share = (0.0..=1.0).contains(&start);
        check::parameter(is_share, "start", start, "a number in [0, 1]")?;
        Ok(Self {
            length,
            start,
            then: None,
        })
    }

    /// What follows; its count begins when the rise has ended.
    #[must_use]
    pub fn then(mut self, schedule: impl Schedule + 'static) -> Self {
        self.then = Some(Box::new(schedule));
        self
    }
}

impl Schedule for WarmUp {
    fn factor(&self, done: u64) -> f64 {
        if done < self.length {
            let share = done as f64 / self.length as f64;
            return self.start + (1.0 - self.start) * share;
        }
        let then = self.then.as_ref();
        then.map_or(1.0, |then| then.factor(done - self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_successor_the_base_rate_stays() -> Result<()> {
        let warm_up = WarmUp::new(2, 0.0)?;
        let factors: Vec<f64> = (0..4).map(|t| warm_up.factor(t)).collect();
        assert_eq!(factors, [0.0, 0.5, 1.0, 1.0]);
        assert!(WarmUp::new(0, 0.0).is_err() && WarmUp::new(1, 1.5).is_err());
        Ok(())
    }
}
