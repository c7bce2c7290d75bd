//! Schedules of the learning rate by name.

use dml_core::check;
use dml_train::schedule::{
    Cosine, Linear, MultiStep, Pace, Plateau, PlateauConfig, Schedule, Step, WarmUp,
};
use dml_train::{Criterion, NamedModule};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::parts::read_with_parts;
use super::{ConfigError, NoArguments, registry};

registry! {
    /// A schedule and its own arguments.
    pub enum ScheduleKind {
        Constant(NoArguments),
        Cosine(DecayConfig) { examples: |_| json!([{}, {"period": 10, "floor": 0.1}]) },
        Linear(DecayConfig) { examples: |_| json!([{}, {"period": 10, "floor": 0.1}]) },
        Step(StepConfig) { required: |_| json!({"size": 10}) },
        MultiStep(MultiStepConfig) { required: |_| json!({"milestones": [10, 20]}) },
        Plateau(PlateauSpec),
    }
}

dml_core::config! {
    serde always:
    /// Arguments of a fall along a line or half a cosine.
    pub struct DecayConfig {
        /// Iterations or epochs, by the pace, after which the floor is reached. Default: the whole run.
        pub period: Option<u64> = None,
        /// Share of the learning rate at the end, in [0, 1]. Default 0.
        pub floor: f64 = 0.0,
    }
}

dml_core::config! {
    serde always:
    /// Arguments of a fall in equal steps.
    pub struct StepConfig {
        /// Iterations or epochs, by the pace, from one step to the next; at least 1.
        pub size: u64;
        /// Factor of each step. Default 0.1.
        pub gamma: f64 = 0.1,
    }
}

dml_core::config! {
    serde always:
    /// Arguments of a fall at given times.
    pub struct MultiStepConfig {
        /// Iterations or epochs, by the pace, at which the rate falls.
        pub milestones: Vec<u64>;
        /// Factor of each step. Default 0.1.
        pub gamma: f64 = 0.1,
    }
}

dml_core::config! {
    serde always:
    /// Arguments of a fall when validation does not improve. The value of the validation is better when it is higher.
    pub struct PlateauSpec {
        /// Factor of each fall. Default 0.1.
        pub factor: f64 = 0.1,
        /// Number of validations without an improvement before the rate falls. Default 10.
        pub patience: u64 = 10,
        /// Share of the best value by which another has to be better. Default 1e-4.
        pub threshold: f64 = 1e-4,
        /// Number of validations after a fall that do not count. Default 0.
        pub cooldown: u64 = 0,
        /// Smallest factor of the base rate. Default 0.
        pub minimum: f64 = 0.0,
    }
}

/// Unit in which a schedule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleUnit {
    /// Iterations.
    #[default]
    Iteration,
    /// Epochs.
    Epoch,
}

/// A schedule with its unit and a warm-up before it.
///
/// ```
/// use dml::config::ScheduleConfig;
///
/// let config = ScheduleConfig::from_json(r#"{"name": "Cosine", "warm_up": 10}"#)?;
/// // A run of 110 iterations in 11 epochs.
/// let schedule = config.build([110, 11])?.ok_or("no schedule")?;
/// assert_eq!(schedule.factor(5), 0.5);
/// assert_eq!((schedule.factor(10), schedule.factor(110)), (1.0, 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// The schedule and its own arguments.
    pub schedule: ScheduleKind,
    /// Unit of all numbers; `None` is iterations.
    pub unit: Option<ScheduleUnit>,
    /// Number of iterations or epochs over which the rate rises from 0 before the schedule begins; `None` is 0.
    pub warm_up: Option<u64>,
}

impl Default for ScheduleConfig {
    /// A constant learning rate.
    fn default() -> Self {
        Self {
            schedule: ScheduleKind::Constant(NoArguments {}),
            unit: None,
            warm_up: None,
        }
    }
}

impl ScheduleConfig {
    /// The unit in the terms of dml-train.
    #[must_use]
    pub fn pace(&self) -> Pace {
        match self.unit.unwrap_or_default() {
            ScheduleUnit::Iteration => Pace::Iteration,
            ScheduleUnit::Epoch => Pace::Epoch,
        }
    }

    /// The schedule of a run of that many iterations and epochs; `None` for one whose factor is always 1, and for a plateau
    /// without warm-up.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range, and for a warm-up that leaves no time for a schedule
    /// that lasts for the whole run.
    pub fn build(
        &self,
        [iterations, epochs]: [u64; 2],
    ) -> Result<Option<Box<dyn Schedule>>, ConfigError> {
        let warm_up = self.warm_up.unwrap_or(0);
        let total = match self.unit.unwrap_or_default() {
            ScheduleUnit::Iteration => iterations,
            ScheduleUnit::Epoch => epochs,
        };
        let period = |own: Option<u64>| {
            let rest = total.saturating_sub(warm_up);
            let expected = "a warm-up that is shorter than the run";
            match own {
                Some(period) => Ok(period),
                None if total == 0 => Ok(1),
                None => check::whole(rest > 0, "warm_up", warm_up as usize, expected).map(|_| rest),
            }
        };
        let schedule: Option<Box<dyn Schedule>> = match &self.schedule {
            ScheduleKind::Constant(_) | ScheduleKind::Plateau(_) => None,
            ScheduleKind::Cosine(own) => {
                Some(Box::new(Cosine::new(period(own.period)?, own.floor)?))
            }
            ScheduleKind::Linear(own) => {
                Some(Box::new(Linear::new(period(own.period)?, own.floor)?))
            }
            ScheduleKind::Step(own) => Some(Box::new(Step::new(own.size, own.gamma)?)),
            ScheduleKind::MultiStep(own) => {
                Some(Box::new(MultiStep::new(own.milestones.clone(), own.gamma)?))
            }
        };
        if warm_up == 0 {
            return Ok(schedule);
        }
        let warm_up = WarmUp::new(warm_up, 0.0)?;
        Ok(Some(match schedule {
            None => Box::new(warm_up),
            Some(schedule) => Box::new(warm_up.then(schedule)),
        }))
    }

    /// The plateau, if the schedule is one. The run needs a validation then.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn plateau(&self) -> Result<Option<Plateau>, ConfigError> {
        let ScheduleKind::Plateau(own) = &self.schedule else {
            return Ok(None);
        };
        let config = PlateauConfig {
            factor: own.factor,
            patience: own.patience,
            threshold: own.threshold,
            cooldown: own.cooldown,
            minimum: own.minimum,
            ..PlateauConfig::default()
        };
        Ok(Some(Plateau::new(config)?))
    }

    /// A module under this schedule, in a run of that many iterations and epochs.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn module(&self, module: NamedModule, run: [u64; 2]) -> Result<NamedModule, ConfigError> {
        let mut module = module;
        if let Some(schedule) = self.build(run)? {
            module = module.with_schedule(self.pace(), schedule);
        }
        Ok(match self.plateau()? {
            None => module,
            Some(plateau) => module.with_plateau(plateau),
        })
    }

    /// A criterion under this schedule, in a run of that many iterations and epochs.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn criterion(&self, criterion: Criterion, run: [u64; 2]) -> Result<Criterion, ConfigError> {
        let mut criterion = criterion;
        if let Some(schedule) = self.build(run)? {
            criterion = criterion.with_schedule(self.pace(), schedule);
        }
        Ok(match self.plateau()? {
            None => criterion,
            Some(plateau) => criterion.with_plateau(plateau),
        })
    }
}

read_with_parts! { ScheduleConfig { unit, warm_up, .. schedule } }

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(json: &str, times: &[u64]) -> Result<Vec<f64>, ConfigError> {
        let schedule = ScheduleConfig::from_json(json)?.build([20, 4])?;
        let factor = |t: &u64| schedule.as_ref().map_or(1.0, |own| own.factor(*t));
        Ok(times.iter().map(factor).collect())
    }

    #[test]
    fn schedules_by_name_last_as_long_as_the_run() -> Result<(), ConfigError> {
        assert_eq!(factors("Constant", &[0, 20])?, [1.0, 1.0]);
        assert_eq!(factors("Linear", &[0, 10, 20])?, [1.0, 0.5, 0.0]);
        let by_epoch = r#"{"name": "Linear", "unit": "epoch", "floor": 0.5}"#;
        assert_eq!(factors(by_epoch, &[0, 2, 4])?, [1.0, 0.75, 0.5]);
        let warm = r#"{"name": "Linear", "warm_up": 10}"#;
        assert_eq!(factors(warm, &[5, 10, 15, 20])?, [0.5, 1.0, 0.5, 0.0]);
        let warm = r#"{"name": "Constant", "warm_up": 4}"#;
        assert_eq!(factors(warm, &[1, 4, 20])?, [0.25, 1.0, 1.0]);
        let step = r#"{"name": "Step", "size": 5, "gamma": 0.5}"#;
        assert_eq!(factors(step, &[4, 5, 10])?, [1.0, 0.5, 0.25]);
        let steps = r#"{"name": "MultiStep", "milestones": [3], "gamma": 0.5}"#;
        assert_eq!(factors(steps, &[2, 3])?, [1.0, 0.5]);
        Ok(())
    }

    #[test]
    fn what_makes_no_schedule_is_refused() -> Result<(), ConfigError> {
        let too_long = factors(r#"{"name": "Cosine", "warm_up": 20}"#, &[]).unwrap_err();
        assert!(
            too_long.to_string().contains("shorter than the run"),
            "{too_long}"
        );
        assert!(factors(r#"{"name": "Cosine", "period": 0}"#, &[]).is_err());
        assert!(factors(r#"{"name": "Cosine", "floor": 2}"#, &[]).is_err());
        assert!(factors(r#"{"name": "Step"}"#, &[]).is_err());
        assert!(factors(r#"{"name": "Constant", "floor": 0}"#, &[]).is_err());
        let plateau = ScheduleConfig::from_json(r#"{"name": "Plateau", "patience": 2}"#)?;
        assert!(plateau.plateau()?.is_some() && plateau.build([1, 1])?.is_none());
        let json = r#"{"name":"Cosine","floor":0.0,"period":null,"unit":"epoch","warm_up":3}"#;
        let config = ScheduleConfig::from_json(json)?;
        let back = serde_json::to_value(&config).unwrap();
        assert_eq!(ScheduleConfig::from_json(&back.to_string())?, config);
        Ok(())
    }
}
