//! The configuration of a run: a TOML file, arguments over it, defaults below it.
//!
//! Every value remembers the line, or the argument, that it comes from, so that errors name it. Components (loss, miner,
//! sampler, optimiser, schedule, index) are those of [`dml::config`], by the same names and arguments.

mod choices;
mod conflicts;
mod data_conflicts;
mod document;
mod fields;
mod loading;
mod nearest;
mod problem;
mod reading;
mod sections;
mod sizes;
mod writing;

use dml::config::{MinerConfig, OptimizerConfig, ScheduleConfig};
use serde_json::{Map, Value};

pub use choices::{DataKind, MethodName};
pub(crate) use data_conflicts::has_ending;
pub use data_conflicts::is_table;
pub use document::{Content, Node, Origin};
pub use fields::{FIELDS, Field, SECTIONS, help};
pub use loading::{Override, in_utf8, load};
pub use nearest::nearest;
pub use problem::Problem;
pub use sections::{
    BackboneSettings, DataSettings, EvaluateSettings, HeadSettings, HeldOut, SearchSettings,
    TrainSettings,
};
pub use sizes::Sizes;

/// The configuration of a run. Loss and sampler are complete once the [sizes](Sizes) of data and network are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[data]`.
    pub data: DataSettings,
    /// `[backbone]`.
    pub backbone: BackboneSettings,
    /// `[head]`.
    pub head: HeadSettings,
    /// `[loss]`: name and arguments.
    pub loss: Map<String, Value>,
    /// `[miner]`.
    pub miner: Option<MinerConfig>,
    /// `[sampler]`: name and arguments.
    pub sampler: Map<String, Value>,
    /// `[optimizer]`.
    pub optimizer: OptimizerConfig,
    /// `[schedule]`.
    pub schedule: ScheduleConfig,
    /// `[train]`.
    pub train: TrainSettings,
    /// `[evaluate]`.
    pub evaluate: EvaluateSettings,
    /// `[search]`.
    pub search: SearchSettings,
    /// The values that were given, with their places.
    given: Node,
}

impl Settings {
    /// Where the value of a field comes from; `None` for a default.
    #[must_use]
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        self.given.get(path).map(|node| &node.origin)
    }

    /// A problem with a field, at the place of its value.
    pub fn problem(&self, path: &str, sentence: impl std::fmt::Display) -> Problem {
        Problem::of(self.origin(path), path, sentence)
    }

    /// The problem of a component that refuses its arguments, at the argument that its message names if that is given.
    pub fn refused(&self, section: &str, error: &(dyn std::error::Error + 'static)) -> Problem {
        let sentence = dml_core::with_causes(error).to_string();
        if let Some((argument, rest)) = sentence.split_once(": ") {
            let path = format!("{section}.{argument}");
            if self.is_given(&path) {
                return self.problem(&path, rest);
            }
        }
        self.problem(section, sentence)
    }

    /// A field with its place, for sentences about several.
    #[must_use]
    pub fn cite(&self, path: &str) -> String {
        match self.origin(path) {
            Some(origin) => format!("{path} ({origin})"),
            None => format!("{path} (default)"),
        }
    }

    /// How the network is trained: as configured, else by the data.
    #[must_use]
    pub fn method(&self) -> MethodName {
        let of_data = match self.data.pairs {
            Some(_) => MethodName::TwoStreamMetricLoss,
            None => MethodName::MetricLossOnly,
        };
        self.train.method.unwrap_or(of_data)
    }

    /// Refuses fields that data of this kind has no use for.
    pub(crate) fn refuse_set(&self, paths: &[&str], reason: &str) -> Result<(), Problem> {
        match paths.iter().find(|path| self.is_set(path)) {
            Some(path) => Err(self.problem(path, reason)),
            None => Ok(()),
        }
    }

    /// Whether a field is given and has another value than its default. A resolved configuration gives all fields.
    #[must_use]
    pub(crate) fn is_set(&self, path: &str) -> bool {
        let Some((section, name)) = path.split_once('.') else {
            return self.is_given(path);
        };
        let default = writing::default_of(section, name);
        self.is_given(path) && self.fields_of(section).get(name) != default.as_ref()
    }

    /// Whether a field has a value of the file or the command line.
    #[must_use]
    pub fn is_given(&self, path: &str) -> bool {
        self.given.get(path).is_some()
    }
}

#[cfg(test)]
mod tests;
