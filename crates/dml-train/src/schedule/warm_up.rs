//! The rate rises from a low start before another schedule begins.
//!
//! ```text
//! factor(t) = s + (1 − s) t / W,   t < W;   then(t − W) from there on
//! ```
//!
//! Goyal et al. 2017, "Accurate, Large Minibatch SGD" (arXiv 1706.02677), §2.2: gradual warm-up.

use dml_core::{Result, check};

use super::{Cosine, Linear, Schedule};

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

    /// Rises from 0 over `warm_up` iterations or epochs and falls along half a cosine to 0 at `total`: transformers'
    /// `get_cosine_schedule_with_warmup`.
    ///
    /// ```
    /// use dml_train::schedule::{Schedule, WarmUp};
    ///
    /// let schedule = WarmUp::then_cosine(2, 6)?;
    /// assert_eq!([0, 1, 2].map(|t| schedule.factor(t)), [0.0, 0.5, 1.0]);
    /// assert!((schedule.factor(4) - 0.5).abs() < 1e-12 && schedule.factor(6) == 0.0);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `total` is larger than `warm_up`.
    pub fn then_cosine(warm_up: u64, total: u64) -> Result<Self> {
        Ok(Self::from_zero(warm_up).then(Cosine::new(rest(warm_up, total)?, 0.0)?))
    }

    /// Rises from 0 over `warm_up` iterations or epochs and falls along a straight line to 0 at `total`: transformers'
    /// `get_linear_schedule_with_warmup`.
    ///
    /// # Errors
    /// As [`then_cosine`](Self::then_cosine).
    pub fn then_linear(warm_up: u64, total: u64) -> Result<Self> {
        Ok(Self::from_zero(warm_up).then(Linear::new(rest(warm_up, total)?, 0.0)?))
    }

    /// A rise from 0, which may be of length 0.
    fn from_zero(length: u64) -> Self {
        Self {
            length,
            start: 0.0,
            then: None,
        }
    }

    dml_core::setters! {
        /// What follows; its count begins when the rise has ended.
        pub fn then(self, schedule: impl Schedule + 'static) { self.then = Some(Box::new(schedule)) }
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

/// Length of the fall after a rise.
fn rest(warm_up: u64, total: u64) -> Result<u64> {
    let expected = "more iterations or epochs than the warm-up has";
    check::parameter(total > warm_up, "total", total as f64, expected)?;
    Ok(total - warm_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        kind: String,
        warm_up: u64,
        steps: u64,
        factors: Vec<f64>,
    }

    #[test]
    fn factors_are_those_of_transformers() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let text = include_str!("../../tests/golden/schedules.json");
        let golden: Golden = serde_json::from_str(text)?;
        assert_eq!(golden.cases.len(), 6);
        for case in golden.cases {
            let schedule = match case.kind.as_str() {
                "cosine" => WarmUp::then_cosine(case.warm_up, case.steps)?,
                _ => WarmUp::then_linear(case.warm_up, case.steps)?,
            };
            for (t, factor) in case.factors.iter().enumerate() {
                let own = schedule.factor(t as u64);
                assert!((own - factor).abs() < 1e-12, "{} {t}", case.kind);
            }
        }
        for total in [0, 3] {
            assert!(
                WarmUp::then_cosine(3, total).is_err() && WarmUp::then_linear(3, total).is_err()
            );
        }
        Ok(())
    }

    #[test]
    fn without_a_successor_the_base_rate_stays() -> Result<()> {
        let warm_up = WarmUp::new(2, 0.0)?;
        let factors: Vec<f64> = (0..4).map(|t| warm_up.factor(t)).collect();
        assert_eq!(factors, [0.0, 0.5, 1.0, 1.0]);
        assert!(WarmUp::new(0, 0.0).is_err() && WarmUp::new(1, 1.5).is_err());
        Ok(())
    }
}
