//! Whether the parameter groups of a method can learn together in a run.

use std::collections::HashMap;

use crate::mixed_precision::is_half;
use crate::{Learns, MixedPrecision, ParameterGroup, Result, TrainError, Validation};

/// Checks names, optimisers, plateau schedules and element types of parameter groups.
pub(super) fn check_groups(
    groups: &[&ParameterGroup],
    validation: Option<&Validation>,
    policy: Option<&MixedPrecision>,
) -> Result<()> {
    check_ownership(groups)?;
    check_plateaus(groups, validation)?;
    policy.map_or(Ok(()), |policy| check_types(groups, policy))
}

/// Checks that names are unique, that parameters have an optimiser, and that every variable has one, once.
fn check_ownership(groups: &[&ParameterGroup]) -> Result<()> {
    for (i, group) in groups.iter().enumerate() {
        let name = group.name().to_owned();
        if groups[..i].iter().any(|other| other.name() == name) {
            return Err(TrainError::SameName { name });
        }
        let has_parameters = !group.parameters().is_empty();
        if has_parameters && group.optimizer().is_none() && group.learns != Learns::Never {
            return Err(TrainError::NoOptimizer { group: name });
        }
        if !group.learns() {
            continue;
        }
        check_distinct(group)?;
        for other in groups[..i].iter().filter(|other| other.learns()) {
            for (parameter, var) in group.parameters() {
                if other.variables().any(|own| own.id() == var.id()) {
                    return Err(TrainError::Shared {
                        parameter: parameter.clone(),
                        first: other.name().to_owned(),
                        second: name,
                    });
                }
            }
        }
    }
    Ok(())
}

/// Checks that a group has every variable once.
fn check_distinct(group: &ParameterGroup) -> Result<()> {
    let mut seen = HashMap::new();
    for (parameter, var) in group.parameters() {
        if let Some(first) = seen.insert(var.id(), parameter) {
            return Err(TrainError::Twice {
                group: group.name().to_owned(),
                first: first.clone(),
                second: parameter.clone(),
            });
        }
    }
    Ok(())
}

/// Checks that plateau schedules get validations, and expect the direction in which these improve.
fn check_plateaus(groups: &[&ParameterGroup], validation: Option<&Validation>) -> Result<()> {
    for group in groups {
        let Some(plateau) = &group.plateau else {
            continue;
        };
        let group = group.name().to_owned();
        let Some(validation) = validation else {
            return Err(TrainError::PlateauWithoutValidation { group });
        };
        let (expected, got) = (validation.config.better, plateau.config.better);
        if expected != got {
            return Err(TrainError::PlateauDirection {
                group,
                expected,
                got,
            });
        }
    }
    Ok(())
}

/// Checks that parameters of half precision that learn have the element type of mixed precision.
fn check_types(groups: &[&ParameterGroup], policy: &MixedPrecision) -> Result<()> {
    for group in groups.iter().filter(|group| group.learns()) {
        for (parameter, var) in group.parameters() {
            if is_half(var.dtype()) && var.dtype() != policy.dtype {
                return Err(TrainError::ParameterType {
                    group: group.name().to_owned(),
                    parameter: parameter.clone(),
                    expected: policy.dtype,
                    got: var.dtype(),
                });
            }
        }
    }
    Ok(())
}
