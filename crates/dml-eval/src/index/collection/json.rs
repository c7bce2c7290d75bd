//! Ids and values as plain scalars of JSON, or of any other format of serde.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::id::{Id, IdRef, Ids};
use super::value::Value;

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

impl Serialize for IdRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        impl Visitor<'_> for Scalar {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a whole number of at least 0, or a text")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
                Ok(Id::Number(number))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
                let fault = |_| E::invalid_value(serde::de::Unexpected::Signed(number), &self);
                u64::try_from(number).map(Id::Number).map_err(fault)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
                Ok(Id::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}

impl Serialize for Ids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids = Vec::<Id>::deserialize(deserializer)?;
        Self::of(ids).map_err(D::Error::custom)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        impl Visitor<'_> for Scalar {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a number (a whole one of 64 bits) or a text")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Integer(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
                // A real number would round it.
                let fault = |_| E::invalid_value(serde::de::Unexpected::Unsigned(value), &self);
                i64::try_from(value).map(Value::Integer).map_err(fault)
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::collection::Attributes;

    #[test]
    fn scalars_stay_what_they_are() {
        let json = r#"{"big":9223372036854775807,"half":0.5,"is_new":true,"name":"größe","one":1,"real":1.0}"#;
        let attributes: Attributes = serde_json::from_str(json).unwrap();
        assert_eq!(attributes.get("one"), Some(&Value::Integer(1)));
        assert_eq!(attributes.get("real"), Some(&Value::Float(1.0)));
        assert_eq!(serde_json::to_string(&attributes).unwrap(), json);
        let ids: Ids = serde_json::from_str("[1,18446744073709551615]").unwrap();
        assert_eq!(ids, Ids::from([1, u64::MAX]));
        assert_eq!(
            serde_json::to_string(&Ids::from(["a"])).unwrap(),
            r#"["a"]"#
        );
    }

    #[test]
    fn what_is_no_id_or_value_is_refused_by_what_is_expected() {
        for (json, expected) in [
            ("-1", "an id: a whole number of at least 0, or a text"),
            ("1.5", "an id: a whole number"),
            ("null", "an id: a whole number"),
        ] {
            let error = serde_json::from_str::<Id>(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for json in ["18446744073709551615", "null", "[1]", "{}"] {
            let error = serde_json::from_str::<Value>(json).unwrap_err().to_string();
            assert!(error.contains("true, false, a number"), "{error}");
        }
        let mixed = serde_json::from_str::<Ids>(r#"[1,"a"]"#)
            .unwrap_err()
            .to_string();
        assert!(mixed.contains("expected ids that are numbers"), "{mixed}");
    }
}
