//! The parameter groups of a method, in a fixed order: those of its modules, then those of its criteria.

use std::collections::HashSet;

use candle_core::Var;
use dml_core::FrozenVariables;

use super::named_state::average_of_buffer;
use crate::{Criterion, Learns, Method, NamedModule, ParameterGroup};

/// All parameter groups of a method.
pub(super) fn parameter_groups(method: &dyn Method) -> Vec<&ParameterGroup> {
    let modules = method.modules().into_iter();
    let criteria = method.criteria().into_iter();
    modules
        .map(NamedModule::parameter_group)
        .chain(criteria.map(Criterion::parameter_group))
        .collect()
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

/// The variables that no step of this epoch moves: constants of the forward pass. A variable of two groups, such as a frozen
/// module and one that learns, is frozen if it is in both.
pub(super) fn frozen_variables(method: &dyn Method, epoch: u64) -> FrozenVariables {
    let groups = parameter_groups(method);
    let learns = |group: &ParameterGroup, position| {
        let steps = group.learns() && method.trains(group.name(), epoch);
        steps && !group.is_parameter_frozen(position)
    };
    let all = groups.iter().flat_map(|group| {
        let variables = group.variables().enumerate();
        variables.map(|(i, var)| (var, learns(group, i)))
    });
    let (learning, frozen): (Vec<_>, Vec<_>) = all.partition(|(_, learns)| *learns);
    let learning: HashSet<_> = learning.iter().map(|(var, _)| var.id()).collect();
    let frozen = frozen.into_iter().map(|(var, _)| var);
    frozen.filter(|var| !learning.contains(&var.id())).collect()
}

/// The buffers of a module as `module/buffer`.
pub(super) fn named_buffers(module: &NamedModule) -> Vec<(String, Var)> {
    let named = |(name, var): &(String, Var)| (format!("{}/{name}", module.name()), var.clone());
    module.buffers().iter().map(named).collect()
}

/// The parameters of modules that learn, by name, each with the variable that the optimiser moves in its place.
pub(super) fn averaged_parameters(method: &dyn Method) -> Vec<(String, Var, Var)> {
    let groups = method
        .modules()
        .into_iter()
        .map(NamedModule::parameter_group);
    let learning = groups.filter(|group| group.learns());
    let averaged =
        learning.flat_map(|group| named_parameters(group).into_iter().zip(group.moved()));
    averaged
        .map(|((name, var), moved)| (name, var, moved.clone()))
        .collect()
}

/// The buffers of modules that are not frozen for ever, by the names of their averages.
pub(super) fn averaged_buffers(method: &dyn Method) -> Vec<(String, Var)> {
    let modules = method.modules().into_iter();
    let moving = modules.filter(|module| module.group.learns != Learns::Never);
    let buffers = moving.flat_map(named_buffers);
    buffers
        .map(|(name, var)| (average_of_buffer(&name), var))
        .collect()
}
