//! Which parameter is in which group.

use std::fmt;

use super::{Learns, ParameterSetting};

/// A parameter and what holds for it.
///
/// ```
/// use dml_train::{ParameterSetting, PlannedParameter};
///
/// let setting = ParameterSetting::default();
/// let bias = PlannedParameter { name: "fc.bias".into(), shape: vec![10], depth: 1, setting };
/// assert_eq!(bias.setting.weight_decay, None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedParameter {
    /// Name.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Depth: 0 for stem and embeddings, the highest for the head.
    pub depth: usize,
    /// Learning rate, weight decay and freezing.
    pub setting: ParameterSetting,
}

/// The parameters of a module in groups of equal settings. `Display` lists every group with its parameters.
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use dml_train::{ParameterRules, ParameterRulesConfig};
///
/// let config = ParameterRulesConfig { no_weight_decay_1d: true, ..Default::default() };
/// let weight = ("fc.weight".to_owned(), Var::zeros((3, 2), DType::F32, &Device::Cpu)?);
/// let bias = ("fc.bias".to_owned(), Var::zeros(3, DType::F32, &Device::Cpu)?);
/// let plan = ParameterRules::new(config)?.plan(&[weight, bias])?;
/// assert_eq!(plan.groups().len(), 2);
/// assert!(plan.to_string().contains("group 1: rate × 1, weight decay 0, learns always\n  fc.bias [3]\n"));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterPlan {
    parameters: Vec<PlannedParameter>,
    groups: Vec<(ParameterSetting, Vec<usize>)>,
}

impl ParameterPlan {
    pub(super) fn new(parameters: Vec<PlannedParameter>) -> Self {
        let mut groups: Vec<(ParameterSetting, Vec<usize>)> = Vec::new();
        for (i, parameter) in parameters.iter().enumerate() {
            let same = |(own, _): &&mut (ParameterSetting, _)| *own == parameter.setting;
            match groups.iter_mut().find(same) {
                Some((_, members)) => members.push(i),
                None => groups.push((parameter.setting, vec![i])),
            }
        }
        Self { parameters, groups }
    }

    /// Every parameter in order.
    #[must_use]
    pub fn parameters(&self) -> &[PlannedParameter] {
        &self.parameters
    }

    /// Every group: its setting and the positions of its parameters. Groups are in the order of their first parameter.
    #[must_use]
    pub fn groups(&self) -> &[(ParameterSetting, Vec<usize>)] {
        &self.groups
    }
}

impl fmt::Display for ParameterPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (setting, members)) in self.groups.iter().enumerate() {
            let decay = match setting.weight_decay {
                None => "of the optimiser".to_owned(),
                Some(decay) => decay.to_string(),
            };
            let learns = match setting.learns {
                Learns::Always => "always".to_owned(),
                Learns::FromEpoch(epoch) => format!("from epoch {epoch}"),
                Learns::Never => "never".to_owned(),
            };
            let rate = setting.rate_factor;
            writeln!(
                f,
                "group {i}: rate × {rate}, weight decay {decay}, learns {learns}"
            )?;
            for parameter in members.iter().filter_map(|i| self.parameters.get(*i)) {
                writeln!(f, "  {} {:?}", parameter.name, parameter.shape)?;
            }
        }
        Ok(())
    }
}
