//! The rate falls when validation gets no better.
//!
//! ```text
//! after more than `patience` validations in a row without a better value:   factor ← max(γ · factor, minimum)
//! better:  value > best + δ   or, where low is good,   value < best − δ
//! δ = ε · |best|  (relative)   or   ε  (absolute)
//! ```
//!
//! PyTorch's `ReduceLROnPlateau`. Its relative threshold is `best · (1 ± ε)`, which is the same for positive values; for
//! negative ones it lies on the wrong side of the best value, so that every repetition counts as an improvement.

use dml_core::{Result, check};
use serde::{Deserialize, Serialize};

/// Which way a value improves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Better {
    /// Larger values are better, as of accuracies.
    #[default]
    Higher,
    /// Smaller values are better, as of losses.
    Lower,
}

impl Better {
    /// Whether `value` is better than `best` by more than `threshold · |best|`. NaN is never better.
    #[must_use]
    pub fn is_better(self, value: f64, best: f64, threshold: f64) -> bool {
        self.exceeds(value, best, threshold * best.abs())
    }

    /// Whether `value` is better than `best` by more than `margin`.
    fn exceeds(self, value: f64, best: f64, margin: f64) -> bool {
        // Beside an infinite best value no margin is left to compare with.
        let margin = if best.is_finite() { margin } else { 0.0 };
        match self {
            Self::Higher => value > best + margin,
            Self::Lower => value < best - margin,
        }
    }

    /// The value that every other one is better than.
    fn worst(self) -> f64 {
        match self {
            Self::Higher => f64::NEG_INFINITY,
            Self::Lower => f64::INFINITY,
        }
    }
}

/// Meaning of [`PlateauConfig::threshold`]; PyTorch's `threshold_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThresholdMode {
    /// A share of the best value so far.
    #[default]
    Relative,
    /// A difference from the best value so far.
    Absolute,
}

dml_core::config! {
    serde always:
    /// Configuration of [`Plateau`].
    pub struct PlateauConfig {
        /// Which way the value improves, as the run's validation has it. Default: higher.
        pub better: Better = Better::Higher,
        /// γ in (0, 1). Default 0.1.
        pub factor: f64 = 0.1,
        /// How many validations without improvement are borne. Default 10.
        pub patience: u64 = 10,
        /// ε, by which a value must be better to count. In `[0, 1e30]`. Default 1e-4.
        pub threshold: f64 = 1e-4,
        /// Whether ε is a share of the best value or a difference from it. Default: a share.
        pub threshold_mode: ThresholdMode = ThresholdMode::Relative,
        /// How many validations after a fall are not counted. Default 0.
        pub cooldown: u64 = 0,
        /// Smallest share of the base learning rate, in [0, 1]. Default 0.
        pub minimum: f64 = 0.0,
    }
}

/// A factor that falls on plateaus ([rule](self)).
///
/// ```
/// use dml_train::schedule::{Plateau, PlateauConfig};
///
/// let mut plateau = Plateau::new(PlateauConfig { patience: 1, factor: 0.5, ..Default::default() })?;
/// let factors: Vec<f64> = [0.7, 0.7, 0.7, 0.9].map(|value| plateau.observe(value)).into();
/// assert_eq!(factors, [1.0, 1.0, 0.5, 0.5]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    pub(crate) config: PlateauConfig,
    pub(crate) state: PlateauState,
}

/// What a [`Plateau`] remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlateauState {
    best: Option<f64>,
    bad: u64,
    cooldown: u64,
    factor: f64,
}

impl Plateau {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a factor outside of (0, 1), a negative threshold, or a minimum outside of [0, 1].
    pub fn new(config: PlateauConfig) -> Result<Self> {
        let (factor, expected) = (config.factor, "a number in (0, 1)");
        check::parameter(factor > 0.0 && factor < 1.0, "factor", factor, expected)?;
        check::non_negative("threshold", config.threshold)?;
        let (name, minimum) = ("minimum", config.minimum);
        let is_share = (0.0..=1.0).contains(&minimum);
        check::parameter(is_share, name, minimum, "a number in [0, 1]")?;
        Ok(Self {
            config,
            state: PlateauState {
                best: None,
                bad: 0,
                cooldown: 0,
                factor: 1.0,
            },
        })
    }

    /// The factor as of now.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.state.factor
    }

    /// Takes note of a validation, and returns the factor from here on. NaN is no improvement.
    pub fn observe(&mut self, value: f64) -> f64 {
        let (config, state) = (&self.config, &mut self.state);
        let best = state.best.unwrap_or(config.better.worst());
        let margin = match config.threshold_mode {
            ThresholdMode::Relative => config.threshold * best.abs(),
            ThresholdMode::Absolute => config.threshold,
        };
        if config.better.exceeds(value, best, margin) {
            state.best = Some(value);
            state.bad = 0;
        } else {
            state.bad = state.bad.saturating_add(1);
        }
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.bad = 0;
        }
        if state.bad > config.patience {
            // A factor that is below the minimum already, as a checkpoint of other settings has it, does not rise.
            let lower = (state.factor * config.factor).max(config.minimum);
            state.factor = lower.min(state.factor);
            state.cooldown = config.cooldown;
            state.bad = 0;
        }
        state.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same values through `torch.optim.lr_scheduler.ReduceLROnPlateau(mode="min", factor=0.5, patience=1,
    /// cooldown=2, min_lr=0.2)` with a rate of 1 (PyTorch 2).
    #[test]
    fn it_falls_where_pytorch_does() -> Result<()> {
        let mut plateau = Plateau::new(PlateauConfig {
            better: Better::Lower,
            factor: 0.5,
            patience: 1,
            cooldown: 2,
            minimum: 0.2,
            ..Default::default()
        })?;
        let values = [
            1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
        ];
        let factors = values.map(|value| plateau.observe(value));
        let torch = [
            1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2,
        ];
        assert_eq!(factors, torch);
        Ok(())
    }

    fn factors(config: PlateauConfig, values: &[f64]) -> Vec<f64> {
        let mut plateau = Plateau::new(config).unwrap();
        values.iter().map(|value| plateau.observe(*value)).collect()
    }

    #[test]
    fn negative_values_repeat_without_being_better() {
        for better in [Better::Higher, Better::Lower] {
            let config = |threshold_mode| PlateauConfig {
                better,
                threshold_mode,
                factor: 0.5,
                patience: 1,
                ..Default::default()
            };
            for mode in [ThresholdMode::Relative, ThresholdMode::Absolute] {
                let falls = [1.0, 1.0, 0.5, 0.5, 0.25, 0.25];
                assert_eq!(factors(config(mode), &[-1.0; 6]), falls);
                assert_eq!(factors(config(mode), &[0.0; 6]), falls);
            }
            // From −2 to −1, then by less than the threshold, then back.
            let (from, to) = match better {
                Better::Higher => (-2.0, -1.0),
                Better::Lower => (-1.0, -2.0),
            };
            let values = [from, to, to * (1.0 + 5e-5), to * (1.0 - 5e-5), from];
            let expected = [1.0, 1.0, 1.0, 0.5, 0.5];
            assert_eq!(factors(config(ThresholdMode::Relative), &values), expected);
        }
    }

    #[test]
    fn thresholds_are_shares_or_differences() {
        for (threshold_mode, expected) in [
            // 100 → 100.5 is less than 1 %, 1 → 1.5 is more.
            (ThresholdMode::Relative, [[1.0, 0.5], [1.0, 1.0]]),
            (ThresholdMode::Absolute, [[1.0, 1.0], [1.0, 1.0]]),
        ] {
            let config = PlateauConfig {
                threshold_mode,
                threshold: 0.01,
                factor: 0.5,
                patience: 0,
                ..Default::default()
            };
            let seen = [[100.0, 100.5], [1.0, 1.5]].map(|values| factors(config.clone(), &values));
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn no_number_is_better_than_all_but_nan() {
        let config = PlateauConfig {
            better: Better::Lower,
            factor: 0.5,
            patience: 1,
            ..Default::default()
        };
        // As PyTorch: NaN and the worst value of all count against the patience and are never the best.
        let values = [
            f64::NAN,
            1.0,
            f64::NAN,
            f64::INFINITY,
            0.5,
            f64::NEG_INFINITY,
            -1e300,
        ];
        let expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5];
        assert_eq!(factors(config.clone(), &values), expected);
        let never = PlateauConfig {
            patience: u64::MAX,
            cooldown: u64::MAX,
            ..config
        };
        assert_eq!(factors(never, &[1.0; 9]), [1.0; 9]);
    }

    #[test]
    fn a_factor_never_rises() {
        for minimum in [1.5, -0.1, f64::NAN] {
            let config = PlateauConfig {
                minimum,
                ..Default::default()
            };
            assert!(Plateau::new(config).is_err(), "{minimum}");
        }
        let config = PlateauConfig {
            patience: 0,
            minimum: 1.0,
            ..Default::default()
        };
        assert_eq!(factors(config, &[1.0; 4]), [1.0; 4]);
    }

    #[test]
    fn a_state_that_is_put_back_goes_on() -> Result<()> {
        let config = PlateauConfig {
            patience: 0,
            ..Default::default()
        };
        let mut first = Plateau::new(config.clone())?;
        first.observe(0.5);
        let mut second = Plateau::new(config)?;
        second.state = first.state.clone();
        assert_eq!(second.observe(0.4), first.observe(0.4));
        assert!(second.factor() < 1.0);
        Ok(())
    }

    #[test]
    fn factors_that_do_not_fall_are_refused() {
        for factor in [0.0, 1.0, f64::NAN] {
            let config = PlateauConfig {
                factor,
                ..Default::default()
            };
            assert!(Plateau::new(config).is_err());
        }
    }
}
