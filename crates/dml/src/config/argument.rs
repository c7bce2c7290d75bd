//! The arguments of a component by name, with their defaults.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    BatchSizes, DistanceConfig, KnnConfig, LossConfig, LossKind, MinerConfig, MinerKind,
    OptimizerConfig, Profile, ReducerConfig, RegularizerConfig, RegularizerKind, SamplerConfig,
    ScheduleConfig, ScheduleKind,
};

/// An argument of a component.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its default as JSON, `null` for one that is derived or absent; `None` for an argument without a default.
    pub default: Option<Value>,
}

/// Sizes of which nothing but required arguments depends.
const SIZES: BatchSizes = BatchSizes {
    rows: 64,
    num_classes: 8,
    embedding_size: 16,
};

/// The arguments of the loss, miner, distance, reducer, regularizer, sampler, index, optimiser or schedule of that name, those
/// without a default first; `None` if there is none of that name.
///
/// ```
/// use dml::config::arguments;
///
/// let arguments = arguments("TripletMarginLoss").ok_or("no such component")?;
/// let margin = arguments.iter().find(|own| own.name == "margin").ok_or("no such argument")?;
/// assert_eq!(margin.default, Some(0.05.into()));
/// assert!(arguments.iter().any(|own| own.name == "distance"));
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn arguments(name: &str) -> Option<Vec<Argument>> {
    let of = [
        |name| of_role::<LossConfig>(name, LossKind::profile),
        |name| of_role::<MinerConfig>(name, MinerKind::profile),
        |name| of_role::<DistanceConfig>(name, DistanceConfig::profile),
        |name| of_role::<ReducerConfig>(name, ReducerConfig::profile),
        |name| of_role::<RegularizerConfig>(name, RegularizerKind::profile),
        |name| of_role::<SamplerConfig>(name, SamplerConfig::profile),
        |name| of_role::<KnnConfig>(name, KnnConfig::profile),
        |name| of_role::<OptimizerConfig>(name, OptimizerConfig::profile),
        |name| of_role::<ScheduleConfig>(name, ScheduleKind::profile),
    ];
    let mut arguments = of.iter().find_map(|of| of(name))?;
    for parts in PARTS.iter().filter(|parts| (parts.takes)(name)) {
        for part in parts.names {
            if !arguments.iter().any(|own| own.name == *part) {
                arguments.push(Argument {
                    name: (*part).to_owned(),
                    default: Some(Value::Null),
                });
            }
        }
    }
    Some(arguments)
}

/// Collaborators, which a configuration without them does not show.
struct Parts {
    takes: fn(&str) -> bool,
    names: &'static [&'static str],
}

const PARTS: [Parts; 6] = [
    Parts {
        takes: |name| LossKind::profile(name).is_some(),
        names: &["reducer"],
    },
    Parts {
        takes: |name| LossKind::profile(name).is_some() && super::loss::takes_distance(name),
        names: &["distance", "embedding_regularizer", "embedding_reg_weight"],
    },
    Parts {
        takes: |name| LossKind::profile(name).is_some() && super::loss::takes_weights(name),
        names: &["weight_regularizer", "weight_reg_weight"],
    },
    Parts {
        takes: |name| MinerKind::profile(name).is_some(),
        names: &["distance"],
    },
    Parts {
        takes: |name| RegularizerKind::profile(name).is_some(),
        names: &["reducer"],
    },
    Parts {
        takes: |name| ScheduleKind::profile(name).is_some(),
        names: &["unit", "warm_up"],
    },
];

fn of_role<T: DeserializeOwned + Serialize>(
    name: &str,
    profile: fn(&str) -> Option<Profile>,
) -> Option<Vec<Argument>> {
    let required = profile(name)?.required(SIZES);
    let mut given = required.clone();
    given.insert("name".to_owned(), name.into());
    let component: T = serde_json::from_value(given.into()).ok()?;
    let Ok(Value::Object(all)) = serde_json::to_value(component) else {
        return None;
    };
    let (with, without): (Map<_, _>, Map<_, _>) = all
        .into_iter()
        .filter(|(own, _)| own != "name")
        .partition(|(own, _)| !required.contains_key(own));
    let without = without.into_iter().map(|(name, _)| Argument {
        name,
        default: None,
    });
    let with = with.into_iter().map(|(name, default)| Argument {
        name,
        default: Some(default),
    });
    Some(without.chain(with).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_of_these_roles_has_its_arguments() {
        let roles: [&[&str]; 9] = [
            LossKind::NAMES,
            MinerKind::NAMES,
            DistanceConfig::NAMES,
            ReducerConfig::NAMES,
            RegularizerKind::NAMES,
            SamplerConfig::NAMES,
            KnnConfig::NAMES,
            OptimizerConfig::NAMES,
            ScheduleKind::NAMES,
        ];
        for name in roles.concat() {
            let arguments = arguments(name);
            let arguments = arguments.unwrap_or_else(|| panic!("{name} has none"));
            assert!(arguments.iter().all(|own| own.name != "name"), "{name}");
        }
        assert_eq!(arguments("TripletLoss"), None);
    }

    #[test]
    fn required_arguments_come_first_and_collaborators_last() {
        let arc_face = arguments("ArcFaceLoss").unwrap();
        let required: Vec<&str> = arc_face
            .iter()
            .take_while(|own| own.default.is_none())
            .map(|own| own.name.as_str())
            .collect();
        assert_eq!(required, ["embedding_size", "num_classes"]);
        let names: Vec<&str> = arc_face.iter().map(|own| own.name.as_str()).collect();
        assert!(names.contains(&"weight_regularizer") && names.contains(&"margin"));
        let vicreg = arguments("VICRegLoss").unwrap();
        assert!(!vicreg.iter().any(|own| own.name == "distance"));
    }
}
