//! The network of a run: from the sections `backbone` and `head` to modules that learn and a model that is written.

mod image;
mod text;
mod vector;

use std::fmt::Debug;
use std::path::Path;

use dml::candle_core::Device;
use dml::config::OptimizerConfig;
use dml::nn::Layer;
use dml::train::{NamedModule, ParameterRules, ParameterRulesConfig};

use crate::settings::Settings;

pub use image::ImageNetwork;
pub use text::TextNetwork;
pub use vector::VectorNetwork;

/// Learning rate of a backbone beside a head, as a share of the head's.
const BACKBONE_RATE: f64 = 0.1;

/// What a run does with its network besides training it.
pub trait Network: Debug {
    /// The whole network: from inputs to embeddings as they are searched.
    fn layer(&self) -> &dyn Layer;

    /// `images`, `texts` or `vectors`.
    fn things(&self) -> &'static str;

    /// Whether embeddings are scaled to length 1 after the modules that learn.
    fn is_normalized_last(&self) -> bool;

    /// Writes the model.
    ///
    /// # Errors
    /// A disk that is full.
    fn write(&self, folder: &Path) -> anyhow::Result<()>;

    /// The network with the weights of a model that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// A model that is damaged.
    fn read(&self, folder: &Path, device: &Device) -> anyhow::Result<Box<dyn Network>>;

    /// The same network, which shares its variables.
    fn shared(&self) -> Box<dyn Network>;
}

/// A backbone as a module that learns by the settings; `has_head` if another module follows it.
pub(crate) fn trunk(
    settings: &Settings,
    trunk: NamedModule,
    has_head: bool,
) -> anyhow::Result<NamedModule> {
    let own = &settings.backbone;
    if own.freeze && own.unfreeze_at.is_none() {
        return Ok(trunk.frozen());
    }
    let lr = settings.optimizer.learning_rate();
    let share = if has_head { BACKBONE_RATE } else { 1.0 };
    let optimizer = settings.optimizer.clone();
    let optimizer = optimizer.with_learning_rate(own.lr.unwrap_or(lr * share));
    let rules = ParameterRules::new(ParameterRulesConfig {
        layer_decay: own.layer_decay,
        layers_above: usize::from(has_head),
        freeze_below: own.freeze_below,
        unfreeze_at: own.unfreeze_at,
        ..ParameterRulesConfig::default()
    })?;
    let trunk = with_rules(trunk, &optimizer, &rules).map_err(|error| {
        let field = match own.freeze_below {
            0 => "backbone.layer_decay",
            _ => "backbone.freeze_below",
        };
        settings.problem(field, dml_core::with_causes(&error))
    })?;
    Ok(match own.unfreeze_at {
        Some(epoch) if own.freeze => trunk.frozen_until(epoch),
        _ => trunk,
    })
}

/// A module whose parameters learn by the optimiser and the rules.
pub(crate) fn with_rules(
    module: NamedModule,
    optimizer: &OptimizerConfig,
    rules: &ParameterRules,
) -> dml::Result<NamedModule> {
    module.with_parameter_rules(rules, |parameters, setting| {
        let own = optimizer.clone();
        match setting.weight_decay {
            None => own.build(parameters),
            Some(decay) => own.with_weight_decay(decay).build(parameters),
        }
    })
}
