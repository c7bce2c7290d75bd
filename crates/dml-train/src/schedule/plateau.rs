//! The rate falls when validation gets no better.
//!
//! ```text
//! after more than `patience` validations in a row without a better value:   factor ← max(γ · factor, minimum)
//! better: value > best · (1 + ε)   or, where low is good,   value < best · (1 − ε)
//! ```
//!
//! PyTorch's `ReduceLROnPlateau` with a relative threshold.

use dml_core::{Error, Result, check};
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
    /// Whether `value` is better than `best` by more than the share `threshold` of it.
    #[must_use]
    pub fn is_better(self, value: f64, best: f64, threshold: f64) -> bool {
        match self {
            Self::Higher => value > best * (1.0 + threshold),
            Self::Lower => value < best * (1.0 - threshold),
        }
    }
}

/// Knobs of [`Plateau`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlateauConfig {
    /// Which way the value improves, as the run's validation has it. Default: higher.
    pub better: Better,
    /// γ in (0, 1). Default 0.1.
    pub factor: f64,
    /// How many validations without improvement are borne. Default 10.
    pub patience: u64,
    /// ε, the share by which a value must be better to count. In `[0, 1e30]`. Default 1e-4.
    pub threshold: f64,
    /// How many validations after a fall are not counted. Default 0.
    pub cooldown: u64,
    /// The smallest share of the base rate. In `[0, 1e30]`. Default 0.
    pub minimum: f64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        Self {
            better: Better::Higher,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            minimum: 0.0,
        }
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
    config: PlateauConfig,
    state: PlateauState,
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
    /// [`Error::InvalidParameter`] for a factor outside of (0, 1), a negative threshold or minimum.
    pub fn new(config: PlateauConfig) -> Result<Self> {
        if !(config.factor > 0.0 && config.factor < 1.0) {
            return Err(Error::InvalidParameter {
                name: "factor",
                value: config.factor,
                expected: "a number in (0, 1)",
            });
        }
        check::non_negative("threshold", config.threshold)?;
        check::non_negative("minimum", config.minimum)?;
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

    /// Which way the value improves.
    pub(crate) fn better(&self) -> Better {
        self.config.better
    }

    /// Takes note of a validation, and returns the factor from here on.
    pub fn observe(&mut self, value: f64) -> f64 {
        let (config, state) = (&self.config, &mut self.state);
        let better = |best| config.better.is_better(value, best, config.threshold);
        if state.best.is_none_or(better) {
            state.best = Some(value);
            state.bad = 0;
        } else {
            state.bad += 1;
        }
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.bad = 0;
        }
        if state.bad > config.patience {
            state.factor = (state.factor * config.factor).max(config.minimum);
            state.cooldown = config.cooldown;
            state.bad = 0;
        }
        state.factor
    }

    pub(crate) fn state(&self) -> &PlateauState {
        &self.state
    }

    pub(crate) fn set_state(&mut self, state: PlateauState) {
        self.state = state;
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

    #[test]
    fn a_state_that_is_put_back_goes_on() -> Result<()> {
        let config = PlateauConfig {
            patience: 0,
            ..Default::default()
        };
        let mut first = Plateau::new(config.clone())?;
        first.observe(0.5);
        let mut second = Plateau::new(config)?;
        second.set_state(first.state().clone());
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
