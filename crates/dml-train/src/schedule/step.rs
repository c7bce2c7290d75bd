//! The rate falls by a factor every so often.
//!
//! ```text
//! factor(t) = γ^⌊t / size⌋           (Step)
//! factor(t) = γ^|{m : m ≤ t}|        (MultiStep)
//! ```

use dml_core::{Result, check};

use super::Schedule;

/// A factor γ every `size` iterations or epochs ([formula](self)); PyTorch's `StepLR`.
///
/// ```
/// use dml_train::schedule::{Schedule, Step};
///
/// let step = Step::new(2, 0.1)?;
/// assert_eq!((step.factor(1), step.factor(2), step.factor(3)), (1.0, 0.1, 0.1));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    size: u64,
    gamma: f64,
}

impl Step {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size of 0 or a γ that is not a finite
    /// number > 0.
    pub fn new(size: u64, gamma: f64) -> Result<Self> {
        check::at_least_one("size", size as usize)?;
        let gamma = check::positive("gamma", gamma)?;
        Ok(Self { size, gamma })
    }
}

impl Schedule for Step {
    fn factor(&self, done: u64) -> f64 {
        power(self.gamma, done / self.size)
    }
}

/// A factor γ at each milestone ([formula](self)); PyTorch's `MultiStepLR`.
///
/// ```
/// use dml_train::schedule::{MultiStep, Schedule};
///
/// let schedule = MultiStep::new([2, 5], 0.1)?;
/// assert_eq!((schedule.factor(1), schedule.factor(2)), (1.0, 0.1));
/// assert!((schedule.factor(5) - 0.01).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStep {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStep {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a γ that is not a finite number > 0.
    pub fn new(milestones: impl Into<Vec<u64>>, gamma: f64) -> Result<Self> {
        Ok(Self {
            milestones: milestones.into(),
            gamma: check::positive("gamma", gamma)?,
        })
    }
}

impl Schedule for MultiStep {
    fn factor(&self, done: u64) -> f64 {
        let passed = self.milestones.iter().filter(|m| **m <= done).count();
        power(self.gamma, passed as u64)
    }
}

fn power(gamma: f64, exponent: u64) -> f64 {
    gamma.powf(exponent as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_count_once_each() -> Result<()> {
        let steps = MultiStep::new([3, 5], 0.5)?;
        let factors: Vec<f64> = (2..7).map(|t| steps.factor(t)).collect();
        assert_eq!(factors, [1.0, 0.5, 0.5, 0.25, 0.25]);
        assert!(Step::new(0, 0.5).is_err() && Step::new(1, 0.0).is_err());
        assert!(MultiStep::new([1], f64::NAN).is_err());
        Ok(())
    }
}
