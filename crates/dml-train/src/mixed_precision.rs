//! Half precision for what is computed, single precision for what is learnt.
//!
//! ```text
//! z = f(x; round(w)),   g = ∂(s · L)/∂round(w)         in half precision
//! w ← optimiser(w, g / s)                               in single precision
//! f16:  L, z, g or a running statistic that is not finite: no step, s ← s / 2;   after n steps in a row:  s ← 2 s
//! ```
//!
//! Micikevicius et al. 2018, "Mixed Precision Training" (arXiv 1710.03740). Losses are computed in single precision
//! whatever the embeddings are in. The smallest numbers of f16 are larger than many gradients, which s keeps from
//! becoming 0; bf16 has the range of single precision, and s = 1 does.
//!
//! A skipped step leaves no trace: running statistics, memories of losses, averages and schedules are as before it. Only
//! the data and the random sequences go on. A scale that would fall below its minimum, or a parameter that is not finite
//! itself, is no matter of the scale: the run then ends with an error.

use candle_core::DType;
use dml_core::{Result, check};
use serde::{Deserialize, Serialize};

use crate::config::config;

config! {
    /// Configuration of the scale s of the loss ([rules](self)), by the names and values of PyTorch's `GradScaler`.
    pub struct LossScaleConfig {
        /// s of the first step, in `[1e-30, 1e30]`. Default 65,536.
        pub init_scale: f64 = 65_536.0,
        /// Factor of s after `growth_interval` steps in a row, in `[1, 1e30]`. Default 2.
        pub growth_factor: f64 = 2.0,
        /// Factor of s after a gradient that is not finite, in (0, 1). Default 0.5.
        pub backoff_factor: f64 = 0.5,
        /// Number of steps in a row after which s grows, 1 to 4,294,967,295. Default 2,000.
        pub growth_interval: u64 = 2_000,
        /// Smallest s, a finite number in (0, `init_scale`]. A run that would need a smaller one ends with
        /// [`TrainError::LossScale`](crate::TrainError::LossScale). Default 2⁻¹⁴, the smallest normal number of f16: 30 skipped
        /// steps below the default `init_scale`.
        pub min_scale: f64 = 1.0 / 16_384.0,
    }
}

/// Mixed precision of a run ([formula](self)), for
/// [`with_mixed_precision`](crate::TrainerBuilder::with_mixed_precision).
///
/// The network itself is built in that element type, as by the `dtype` of the layers of dml-nn or of Candle's
/// `VarBuilder`: modules read their parameters as they are. Parts that had better stay in single precision may, if their
/// modules convert what they are given.
///
/// Which operations there are in half precision is Candle's affair and the device's; on the CPU, dml-nn's layers compute in
/// single precision and round. What can't be done is [`TrainError::Precision`](crate::TrainError::Precision).
///
/// ```
/// use candle_core::DType;
/// use dml_train::{LossScaleConfig, MixedPrecision};
///
/// let config = LossScaleConfig { min_scale: 1.0, ..LossScaleConfig::default() };
/// let policy = MixedPrecision::f16().with_loss_scale(config)?;
/// assert_eq!(policy.dtype(), DType::F16);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MixedPrecision {
    pub(crate) dtype: DType,
    pub(crate) loss_scale: Option<LossScaleConfig>,
}

impl MixedPrecision {
    /// bf16: eight bits of precision, the range of single precision, and no scale of the loss.
    #[must_use]
    pub fn bf16() -> Self {
        Self {
            dtype: DType::BF16,
            loss_scale: None,
        }
    }

    /// f16: eleven bits of precision, numbers up to 65,504, and a scale of the loss.
    #[must_use]
    pub fn f16() -> Self {
        Self {
            dtype: DType::F16,
            loss_scale: Some(LossScaleConfig::default()),
        }
    }

    /// Scales the loss by these rules.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range.
    pub fn with_loss_scale(self, config: LossScaleConfig) -> Result<Self> {
        check::positive("init_scale", config.init_scale)?;
        let growth = config.growth_factor;
        let grows = (1.0..=check::LARGEST).contains(&growth);
        check::parameter(grows, "growth_factor", growth, "a number in [1, 1e30]")?;
        let backoff = config.backoff_factor;
        let falls = (check::SMALLEST..1.0).contains(&backoff);
        check::parameter(falls, "backoff_factor", backoff, "a number in [1e-30, 1)")?;
        check::at_least_one("growth_interval", config.growth_interval as usize)?;
        let minimum = config.min_scale;
        let fits = minimum > 0.0 && minimum <= config.init_scale;
        check::parameter(fits, "min_scale", minimum, "a number in (0, init_scale]")?;
        Ok(Self {
            loss_scale: Some(config),
            ..self
        })
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }
}

/// Whether numbers of that type had better be learnt by a master.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// The scale of the loss on its way through a run.
#[derive(Clone, Debug)]
pub(crate) struct LossScale {
    config: LossScaleConfig,
    pub(crate) state: LossScaleState,
}

/// What a checkpoint remembers of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScaleState {
    pub(crate) scale: f64,
    pub(crate) steps_in_a_row: u64,
}

impl LossScale {
    pub(crate) fn new(config: LossScaleConfig) -> Self {
        let state = LossScaleState {
            scale: config.init_scale,
            steps_in_a_row: 0,
        };
        Self { config, state }
    }

    /// What the next loss is multiplied with.
    pub(crate) fn scale(&self) -> f64 {
        self.state.scale
    }

    /// After a step that was made.
    pub(crate) fn grow(&mut self) {
        let state = &mut self.state;
        state.steps_in_a_row = state.steps_in_a_row.saturating_add(1);
        if state.steps_in_a_row >= self.config.growth_interval {
            // Beyond the numbers of single precision nothing would be finite any more.
            state.scale = (state.scale * self.config.growth_factor).min(f64::from(f32::MAX));
            state.steps_in_a_row = 0;
        }
    }

    /// After a step that was skipped. Without room above the minimum the state stays, and the minimum is the error.
    pub(crate) fn back_off(&mut self) -> std::result::Result<(), f64> {
        let smaller = self.state.scale * self.config.backoff_factor;
        if smaller < self.config.min_scale {
            return Err(self.config.min_scale);
        }
        self.state.scale = smaller;
        self.state.steps_in_a_row = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn the_scale_grows_after_steps_in_a_row_and_falls_at_once() {
        let mut scale = LossScale::new(LossScaleConfig {
            init_scale: 8.0,
            growth_interval: 2,
            ..LossScaleConfig::default()
        });
        let mut scales = Vec::new();
        for finite in [true, true, true, false, true, true] {
            match finite {
                true => scale.grow(),
                false => scale.back_off().unwrap(),
            }
            scales.push(scale.scale());
        }
        assert_eq!(scales, [8.0, 16.0, 16.0, 8.0, 8.0, 16.0]);
    }

    #[test]
    fn the_scale_has_a_minimum() {
        let mut scale = LossScale::new(LossScaleConfig {
            init_scale: 8.0,
            min_scale: 3.0,
            ..LossScaleConfig::default()
        });
        assert_eq!(scale.back_off(), Ok(()));
        assert_eq!(scale.back_off(), Err(3.0));
        assert_eq!(scale.scale(), 4.0);
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let default = LossScaleConfig::default;
        let cases = [
            (
                "init_scale",
                LossScaleConfig {
                    init_scale: 0.0,
                    ..default()
                },
            ),
            (
                "growth_factor",
                LossScaleConfig {
                    growth_factor: 0.5,
                    ..default()
                },
            ),
            (
                "backoff_factor",
                LossScaleConfig {
                    backoff_factor: 1.0,
                    ..default()
                },
            ),
            (
                "growth_interval",
                LossScaleConfig {
                    growth_interval: 0,
                    ..default()
                },
            ),
            (
                "min_scale",
                LossScaleConfig {
                    min_scale: 0.0,
                    ..default()
                },
            ),
            (
                "min_scale",
                LossScaleConfig {
                    init_scale: 1.0,
                    min_scale: 2.0,
                    ..default()
                },
            ),
        ];
        for (expected, config) in cases {
            let error = MixedPrecision::f16().with_loss_scale(config).unwrap_err();
            assert!(matches!(error, Error::InvalidParameter { name, .. } if name == expected));
        }
    }

    #[test]
    fn scales_of_any_value_are_refused_or_stay_numbers() {
        let odd = [
            0.0,
            -1.0,
            1.0,
            0.5,
            1e-320,
            1e-45,
            1e30,
            1e308,
            f64::NAN,
            f64::INFINITY,
        ];
        for number in odd {
            for field in 0..3 {
                let mut config = LossScaleConfig::default();
                match field {
                    0 => config.init_scale = number,
                    1 => config.growth_factor = number,
                    _ => config.backoff_factor = number,
                }
                config.growth_interval = 1;
                if MixedPrecision::f16()
                    .with_loss_scale(config.clone())
                    .is_err()
                {
                    continue;
                }
                let mut scale = LossScale::new(config);
                for finite in [true, true, false, true] {
                    match finite {
                        true => scale.grow(),
                        // Refused below the minimum, where the scale stays.
                        false => scale.back_off().unwrap_or_default(),
                    }
                    assert!(scale.scale().is_finite(), "{number} {field}");
                }
            }
        }
        for growth_interval in [0, u64::MAX] {
            let config = LossScaleConfig {
                growth_interval,
                ..LossScaleConfig::default()
            };
            assert!(MixedPrecision::f16().with_loss_scale(config).is_err());
        }
    }
}
