//! Optimisers by name.

use candle_core::Var;
use dml_core::Optimizer;
use dml_nn::{Adam, AdamConfig, AdamW, AdamWConfig, Sgd, SgdConfig};

use super::registry;

registry! {
    /// An optimiser and its arguments, with the names of `torch.optim`.
    pub enum OptimizerConfig {
        Adam(AdamConfig),
        AdamW(AdamWConfig),
        SGD(SgdConfig),
    }
}

impl Default for OptimizerConfig {
    /// `AdamW` with its defaults.
    fn default() -> Self {
        Self::AdamW(AdamWConfig::default())
    }
}

/// Writes a match over all optimisers.
macro_rules! each {
    ($own:expr, $config:ident => $result:expr) => {
        match $own {
            OptimizerConfig::Adam($config) => $result,
            OptimizerConfig::AdamW($config) => $result,
            OptimizerConfig::SGD($config) => $result,
        }
    };
}

impl OptimizerConfig {
    /// The optimiser of these parameters.
    ///
    /// ```
    /// use dml::candle_core::{Device, Var};
    /// use dml::config::OptimizerConfig;
    ///
    /// let weight = Var::new(&[1f32, 2.], &Device::Cpu)?;
    /// let config = OptimizerConfig::from_json(r#"{"name": "SGD", "lr": 0.1, "momentum": 0.9}"#)?;
    /// let optimizer = config.build(vec![("weight".to_owned(), weight)])?;
    /// assert_eq!(optimizer.learning_rate(), 0.1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for arguments outside of their range.
    pub fn build(&self, parameters: Vec<(String, Var)>) -> dml_core::Result<Box<dyn Optimizer>> {
        Ok(match self.clone() {
            Self::Adam(config) => Box::new(Adam::new(parameters, config)?),
            Self::AdamW(config) => Box::new(AdamW::new(parameters, config)?),
            Self::SGD(config) => Box::new(Sgd::new(parameters, config)?),
        })
    }

    /// The learning rate.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        each!(self, config => config.lr)
    }

    /// The same optimiser with another learning rate.
    #[must_use]
    pub fn with_learning_rate(mut self, lr: f64) -> Self {
        each!(&mut self, config => config.lr = lr);
        self
    }

    /// The same optimiser with another weight decay.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        each!(&mut self, config => config.weight_decay = weight_decay);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    #[test]
    fn optimizers_by_name_have_torchs_defaults() -> Result<(), ConfigError> {
        assert_eq!(OptimizerConfig::NAMES, ["Adam", "AdamW", "SGD"]);
        for name in OptimizerConfig::NAMES {
            let config = OptimizerConfig::from_json(name)?;
            assert_eq!(config.learning_rate(), 0.001, "{name}");
            let other = config.with_learning_rate(0.5).with_weight_decay(0.25);
            assert_eq!(other.learning_rate(), 0.5);
            let json = serde_json::to_value(&other).unwrap();
            assert_eq!(json["weight_decay"], 0.25, "{name}");
            assert_eq!(json["name"], *name);
        }
        assert!(OptimizerConfig::from_json(r#"{"name": "Adam", "rate": 1}"#).is_err());
        let negative = OptimizerConfig::from_json(r#"{"name": "Adam", "lr": -1}"#)?;
        assert!(negative.build(Vec::new()).is_err());
        Ok(())
    }
}
