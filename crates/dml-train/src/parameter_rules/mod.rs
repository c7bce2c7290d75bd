//! Learning rate, weight decay and freezing of parameters by name, type and depth.
//!
//! ```text
//! rate factor = factor of the first rule that matches · γ^(top − depth)
//! ```
//!
//! | what | decided by |
//! |---|---|
//! | rate factor, weight decay, when it learns | the first [`ParameterRule`] whose pattern matches the name |
//! | layer-wise rate decay γ (Bao et al. 2021, "`BEiT`", arXiv 2106.08254) | the [depth](ParameterRulesConfig::layer_decay) |
//! | no weight decay for norms and biases | [`no_weight_decay_1d`](ParameterRulesConfig::no_weight_decay_1d) |
//! | freezing up to some depth | [`freeze_below`](ParameterRulesConfig::freeze_below) |

mod depth;
mod grouped_optimizer;
mod plan;

use candle_core::Var;
use dml_core::{NamePattern, Result, check};
use serde::{Deserialize, Serialize};

use crate::config::config;
use depth::depths;

pub(crate) use grouped_optimizer::GroupedOptimizer;
pub use plan::{ParameterPlan, PlannedParameter};

/// When parameters learn.
///
/// ```
/// use dml_train::Learns;
///
/// assert!(Learns::Always.in_epoch(1) && !Learns::Never.in_epoch(9));
/// assert!(!Learns::FromEpoch(3).in_epoch(2) && Learns::FromEpoch(3).in_epoch(3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Learns {
    /// In every epoch.
    #[default]
    Always,
    /// From the beginning of this epoch on; epochs count from 1. The state of the optimiser begins then.
    FromEpoch(u64),
    /// Never: they are frozen, and no optimiser gets them.
    Never,
}

impl Learns {
    /// Whether the parameters learn in an epoch.
    #[must_use]
    pub fn in_epoch(self, epoch: u64) -> bool {
        match self {
            Self::Always => true,
            Self::FromEpoch(first) => epoch >= first,
            Self::Never => false,
        }
    }
}

/// What holds for the parameters whose names match a pattern.
///
/// ```
/// use dml_train::{Learns, ParameterRule};
///
/// let stem = ParameterRule { learns: Learns::Never, ..ParameterRule::new("stem.*") };
/// assert_eq!(stem.rate_factor, 1.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterRule {
    /// Pattern on the whole name: `*` stands for any characters, `?` for one.
    pub pattern: String,
    /// Factor of the learning rate, in `[0, 1e30]`. Default 1.
    #[serde(default = "one")]
    pub rate_factor: f64,
    /// Weight decay, in `[0, 1e30]`. Default: that of the optimiser.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// When the parameters learn. Default: always.
    #[serde(default)]
    pub learns: Learns,
}

fn one() -> f64 {
    1.0
}

impl ParameterRule {
    /// A rule that changes nothing yet.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            rate_factor: one(),
            weight_decay: None,
            learns: Learns::Always,
        }
    }
}

dml_core::config! {
    serde always:
    /// Configuration of [`ParameterRules`].
    pub struct ParameterRulesConfig {
        /// Rules in order; the first that matches a name holds for it. Default none.
        pub rules: Vec<ParameterRule> = Vec::new(),
        /// Whether norms and biases have no weight decay: parameters of at most one dimension, and those whose name ends with
        /// `bias`, unless a rule states another. Default false.
        pub no_weight_decay_1d: bool = false,
        /// γ, the layer-wise decay of the learning rate, in (0, 1]. The depth of a parameter comes from its name: 0 for stem
        /// and embeddings, then one for each numbered block, the final normalisation with the last block, and the head one
        /// higher. Default 1.
        pub layer_decay: f64 = 1.0,
        /// Number of layers above the module, which count for the layer-wise decay: 1 for a trunk whose head is a module of
        /// its own. Default 0.
        pub layers_above: usize = 0,
        /// Parameters of a smaller depth are frozen, unless their rule states otherwise than always: 1 freezes the stem, 3 the
        /// stem and two blocks. Default 0.
        pub freeze_below: usize = 0,
        /// First epoch, from 1, in which the parameters that `freeze_below` freezes learn. Default: they never do.
        pub unfreeze_at: Option<u64> = None,
    }
}

config! {
    /// What holds for one parameter.
    ///
    /// ```
    /// assert_eq!(dml_train::ParameterSetting::default().rate_factor, 1.0);
    /// ```
    #[derive(Copy)]
    pub struct ParameterSetting {
        /// Factor of the learning rate of the module. Default 1.
        pub rate_factor: f64 = 1.0,
        /// Weight decay. Default: that of the optimiser.
        pub weight_decay: Option<f64> = None,
        /// When it learns. Default: always.
        pub learns: Learns = Learns::Always,
    }
}

/// Rules by which the parameters of a module are put into groups.
///
/// The first [`ParameterRule`] whose pattern matches a name decides rate factor, weight decay and when the parameter learns. The
/// [configuration](ParameterRulesConfig) has the decay of rates with depth γ, by which the factor is multiplied:
/// `γ^(top − depth)`.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer `fc1`.
/// use dml_nn::{AdamW, AdamWConfig};
/// use dml_train::{ParameterRule, ParameterRules, ParameterRulesConfig};
///
/// let rules = ParameterRules::new(ParameterRulesConfig {
///     rules: vec![ParameterRule { rate_factor: 0.1, ..ParameterRule::new("fc1.weight") }],
///     no_weight_decay_1d: true,
///     ..Default::default()
/// })?;
/// let trunk = module("trunk", 4, 2)?;
/// // The report, without an optimiser.
/// println!("{}", rules.plan(trunk.parameter_group().parameters())?);
/// let trunk = trunk.with_parameter_rules(&rules, |parameters, setting| {
///     let default = AdamWConfig::default();
///     let weight_decay = setting.weight_decay.unwrap_or(default.weight_decay);
///     AdamW::new(parameters, AdamWConfig { weight_decay, ..default })
/// })?;
/// assert_eq!(trunk.parameter_group().learning_rate(), Some(0.001));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterRules {
    config: ParameterRulesConfig,
}

impl ParameterRules {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range.
    pub fn new(config: ParameterRulesConfig) -> Result<Self> {
        for rule in &config.rules {
            check::non_negative("rate_factor", rule.rate_factor)?;
            if let Some(decay) = rule.weight_decay {
                check::non_negative("weight_decay", decay)?;
            }
        }
        let (decay, expected) = (config.layer_decay, "a number in (0, 1]");
        let is_share = decay > 0.0 && decay <= 1.0;
        check::parameter(is_share, "layer_decay", decay, expected)?;
        Ok(Self { config })
    }

    /// The setting of every parameter, in order.
    ///
    /// # Errors
    /// [`Error::NoMatch`](dml_core::Error::NoMatch) for a pattern that matches no name, with the closest names;
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a decay or freezing by depth if no name has the number of a
    /// block.
    pub fn plan(&self, parameters: &[(String, Var)]) -> Result<ParameterPlan> {
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        let patterns = self.config.rules.iter();
        let patterns: Vec<NamePattern> = patterns
            .map(|rule| NamePattern::new(&*rule.pattern))
            .collect();
        for pattern in &patterns {
            pattern.check(names.iter().copied())?;
        }
        let (depths, has_blocks) = depths(&names);
        let reads_depth = self.config.layer_decay < 1.0 || self.config.freeze_below > 0;
        let reason = "depth comes from numbered blocks such as blocks.3 or layer2.0, and no name has one: select by \
                      patterns instead";
        check::supported(has_blocks || !reads_depth, "ParameterRules", reason)?;
        let top = depths.iter().max().copied().unwrap_or(0) + self.config.layers_above;
        let planned = parameters.iter().zip(depths).map(|((name, var), depth)| {
            let rule = patterns.iter().position(|pattern| pattern.matches(name));
            PlannedParameter {
                name: name.clone(),
                shape: var.dims().to_vec(),
                depth,
                setting: self.setting(rule, name, var, [depth, top]),
            }
        });
        Ok(ParameterPlan::new(planned.collect()))
    }

    fn setting(
        &self,
        rule: Option<usize>,
        name: &str,
        var: &Var,
        [depth, top]: [usize; 2],
    ) -> ParameterSetting {
        let config = &self.config;
        let mut setting = ParameterSetting::default();
        if let Some(rule) = rule.and_then(|rule| config.rules.get(rule)) {
            setting = ParameterSetting {
                rate_factor: rule.rate_factor,
                weight_decay: rule.weight_decay,
                learns: rule.learns,
            };
        }
        if config.no_weight_decay_1d && (var.rank() <= 1 || name.ends_with("bias")) {
            setting.weight_decay = setting.weight_decay.or(Some(0.0));
        }
        setting.rate_factor *= config.layer_decay.powf((top - depth) as f64);
        if depth < config.freeze_below && setting.learns == Learns::Always {
            setting.learns = config.unfreeze_at.map_or(Learns::Never, Learns::FromEpoch);
        }
        setting
    }
}

#[cfg(test)]
mod tests;
