//! Everything with parameters, and whether it can learn together.

use std::collections::HashMap;

use candle_core::Var;

use crate::mixed_precision::is_half;
use crate::{Learner, Method, MixedPrecision, Part, Result, TrainError, Validation};

/// Everything with parameters, in the fixed order of parts and criteria.
pub(super) fn learners(method: &dyn Method) -> Vec<&Learner> {
    let parts = method.parts().into_iter().map(|part| &part.learner);
    let criteria = method.criteria().into_iter().map(|own| &own.learner);
    parts.chain(criteria).collect()
}

/// As [`learners`]; parts and criteria are borrowed one after the other.
pub(super) fn learners_mut(method: &mut dyn Method) -> Vec<&mut Learner> {
    method.learners_mut()
}

/// The variables of the parts that learn, under the names that checkpoints use, and what optimisers move in their place.
pub(super) fn averaged(method: &dyn Method) -> Vec<(String, Var, Var)> {
    let learning = method
        .parts()
        .into_iter()
        .filter(|part| part.learner.learns());
    let weights = |part: &Part| {
        let moved: Vec<Var> = part.learner.moved().cloned().collect();
        let both = named(&part.learner).into_iter().zip(moved);
        both.map(|((name, var), moved)| (name, var, moved))
            .collect::<Vec<_>>()
    };
    learning.flat_map(weights).collect()
}

/// The buffers of the parts that are not frozen, by the names that checkpoints use for their averages.
pub(super) fn changing(method: &dyn Method) -> Vec<(String, Var)> {
    let own = |part: &Part| {
        let name = part.name();
        let named =
            |(own, var): &(String, Var)| (average_of_buffer(&format!("{name}/{own}")), var.clone());
        part.buffers().iter().map(named).collect::<Vec<_>>()
    };
    let parts = method.parts().into_iter();
    parts
        .filter(|part| !part.learner.is_frozen())
        .flat_map(own)
        .collect()
}

/// Name of the average of a buffer, which no parameter has.
pub(super) fn average_of_buffer(buffer: &str) -> String {
    format!("buffers/{buffer}")
}

/// The parameters with the learner's name before theirs.
pub(super) fn named(learner: &Learner) -> Vec<(String, Var)> {
    let name = |(own, var): &(String, Var)| (format!("{}/{own}", learner.name()), var.clone());
    learner.parameters().iter().map(name).collect()
}

/// Whether everything of half precision that learns is of the policy's.
pub(super) fn check_types(learners: &[&Learner], policy: &MixedPrecision) -> Result<()> {
    for learner in learners.iter().filter(|learner| learner.learns()) {
        for (parameter, var) in learner.parameters() {
            if is_half(var.dtype()) && var.dtype() != policy.dtype {
                return Err(TrainError::ParameterType {
                    part: learner.name().to_owned(),
                    parameter: parameter.clone(),
                    expected: policy.dtype,
                    got: var.dtype(),
                });
            }
        }
    }
    Ok(())
}

/// Whether plateau schedules hear of validations, and take them as they are meant.
pub(super) fn check_plateaus(learners: &[&Learner], validation: Option<&Validation>) -> Result<()> {
    for learner in learners {
        let Some(plateau) = learner.plateau() else {
            continue;
        };
        let name = learner.name().to_owned();
        let Some(validation) = validation else {
            return Err(TrainError::PlateauWithoutValidation { learner: name });
        };
        let (expected, got) = (validation.better(), plateau.better());
        if expected != got {
            return Err(TrainError::PlateauDirection {
                learner: name,
                expected,
                got,
            });
        }
    }
    Ok(())
}

/// Whether names are unique, parameters have optimisers, and variables one optimiser each, which has them once.
pub(super) fn check_learners(learners: &[&Learner]) -> Result<()> {
    for (i, learner) in learners.iter().enumerate() {
        let name = learner.name().to_owned();
        if learners[..i].iter().any(|other| other.name() == name) {
            return Err(TrainError::SameName { name });
        }
        let has_parameters = !learner.parameters().is_empty();
        if has_parameters && learner.optimizer().is_none() && !learner.is_frozen() {
            return Err(TrainError::NoOptimizer { learner: name });
        }
        if learner.learns() {
            check_distinct(learner)?;
        }
        for other in learners[..i].iter().filter(|other| other.learns()) {
            for (parameter, var) in learner.parameters() {
                if learner.learns() && other.variables().any(|own| own.id() == var.id()) {
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

/// Whether the optimiser moves every variable once.
fn check_distinct(learner: &Learner) -> Result<()> {
    let mut seen = HashMap::new();
    for (parameter, var) in learner.parameters() {
        if let Some(first) = seen.insert(var.id(), parameter) {
            return Err(TrainError::Twice {
                learner: learner.name().to_owned(),
                first: first.clone(),
                second: parameter.clone(),
            });
        }
    }
    Ok(())
}
