//! A component's own arguments and its collaborators share one JSON object; here they are told apart.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The object, from which collaborators are taken before the rest is read as the component's own arguments.
///
/// (Serde's `flatten` would do it, but it can't reject unknown fields.)
pub(super) struct Parts(Map<String, Value>);

impl Parts {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        Ok(Self(Map::deserialize(deserializer)?))
    }

    /// The component that is named, if one is.
    pub(super) fn name(&self) -> &str {
        self.0.get("name").and_then(Value::as_str).unwrap_or("")
    }

    /// Takes a collaborator; `None` if it is absent or `null`.
    pub(super) fn take<T: DeserializeOwned, E: Error>(
        &mut self,
        field: &str,
    ) -> Result<Option<T>, E> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map_err(|error| E::custom(format!("{field}: {error}"))),
        }
    }

    /// Takes a collaborator that the component has; one that it has not is left, to be refused with the rest.
    pub(super) fn take_if<T: DeserializeOwned, E: Error>(
        &mut self,
        has: bool,
        field: &str,
    ) -> Result<Option<T>, E> {
        if has { self.take(field) } else { Ok(None) }
    }

    /// Reads what is left as the component's own arguments.
    pub(super) fn rest<T: DeserializeOwned, E: Error>(self) -> Result<T, E> {
        serde_json::from_value(Value::Object(self.0)).map_err(E::custom)
    }

    /// The object of a component's own arguments.
    pub(super) fn of<T: Serialize, E: serde::ser::Error>(own: &T) -> Result<Self, E> {
        match serde_json::to_value(own).map_err(E::custom)? {
            Value::Object(map) => Ok(Self(map)),
            other => Err(E::custom(format!("expected an object, got {other}"))),
        }
    }

    /// Adds a collaborator, if there is one.
    pub(super) fn put<T: Serialize, E: serde::ser::Error>(
        mut self,
        field: &str,
        part: Option<&T>,
    ) -> Result<Self, E> {
        if let Some(part) = part {
            let value = serde_json::to_value(part).map_err(E::custom)?;
            self.0.insert(field.to_owned(), value);
        }
        Ok(self)
    }

    pub(super) fn serialize<S: serde::Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Reads and writes a configuration `$Config` as one JSON object: the fields named first are collaborators, the last one holds
/// the component's own arguments. A collaborator with `if $has` is read for those components only for whose name the
/// function `$has` holds; for others, its field is unknown.
///
/// ```text
/// read_with_parts! { MinerConfig { distance, .. miner } }
/// ```
macro_rules! read_with_parts {
    ($Config:ident { $($part:ident $(if $has:expr)?,)+ .. $own:ident }) => {
        impl $Config {
            /// The configuration from JSON, or with all defaults from the component's bare name.
            ///
            /// # Errors
            /// As [`from_text`](crate::config::from_text).
            pub fn from_json(text: &str) -> Result<Self, crate::config::ConfigError> {
                crate::config::from_text(text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $Config {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut parts = crate::config::parts::Parts::deserialize(deserializer)?;
                Ok(Self {
                    $($part: {
                        let has = true $(&& $has(parts.name()))?;
                        parts.take_if(has, stringify!($part))?
                    },)+
                    $own: parts.rest()?,
                })
            }
        }

        impl serde::Serialize for $Config {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                crate::config::parts::Parts::of(&self.$own)?
                    $(.put(stringify!($part), self.$part.as_ref())?)+
                    .serialize(serializer)
            }
        }
    };
}
pub(super) use read_with_parts;
