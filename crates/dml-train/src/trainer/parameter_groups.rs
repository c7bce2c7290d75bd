//! The parameter groups of a method, in a fixed order: those of its modules, then those of its criteria.

use candle_core::Var;

use super::named_state::average_of_buffer;
use crate::{Criterion, Method, NamedModule, ParameterGroup};

/// All parameter groups of a method.
pub(super) fn parameter_groups(method: &dyn Method) -> Vec<&ParameterGroup> {
    let modules = method.modules().into_iter();
    let criteria = method.criteria().into_iter();
    modules
        .map(NamedModule::parameter_group)
        .chain(criteria.map(Criterion::parameter_group))
        .collect()
}

/// As [`parameter_groups`], to be changed.
pub(super) fn parameter_groups_mut(method: &mut dyn Method) -> Vec<&mut ParameterGroup> {
    method.parameter_groups_mut()
}

/// The parameters of a group as `group/parameter`.
pub(super) fn named_parameters(group: &ParameterGroup) -> Vec<(String, Var)> {
    let named = |(name, var): &(String, Var)| (format!("{}/{name}", group.name()), var.clone());
    group.parameters().iter().map(named).collect()
}

/// The variables that the optimiser of a group moves, under the names of group and parameter.
pub(super) fn moved_by_name(group: &ParameterGroup) -> impl Iterator<Item = ((&str, &str), &Var)> {
    let names = group.parameters().iter();
    let names = names.map(|(name, _)| (group.name(), name.as_str()));
    names.zip(group.moved())
}

/// The parameters of modules that learn, by name, each with the variable that the optimiser moves in its place.
pub(super) fn averaged_parameters(method: &dyn Method) -> Vec<(String, Var, Var)> {
    let mut averaged = Vec::new();
    for module in method.modules() {
        let group = module.parameter_group();
        if group.learns() {
            let named = named_parameters(group).into_iter().zip(group.moved());
            averaged.extend(named.map(|((name, var), moved)| (name, var, moved.clone())));
        }
    }
    averaged
}

/// The buffers of modules that are not frozen, by the names of their averages.
pub(super) fn averaged_buffers(method: &dyn Method) -> Vec<(String, Var)> {
    let mut averaged = Vec::new();
    for module in method.modules() {
        if !module.parameter_group().is_frozen() {
            let buffers = module.buffers().iter();
            averaged.extend(buffers.map(|(name, var)| {
                let name = average_of_buffer(&format!("{}/{name}", module.name()));
                (name, var.clone())
            }));
        }
    }
    averaged
}
