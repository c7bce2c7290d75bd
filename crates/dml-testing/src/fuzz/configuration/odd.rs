//! Values that nobody means, in place of those of a configuration.

use serde_json::{Value, json};

/// Numbers at the edges of types, numbers that are small or large for a size, text, and values of other types.
#[must_use]
pub fn odd_values() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(1),
        json!(0.5),
        json!(1e-320),
        json!(1e-45),
        json!(1e-30),
        json!(1e30),
        json!(1e308),
        json!(-1e308),
        json!(1_000_000),
        json!(1_000_000_000_000u64),
        json!(1u64 << 32),
        json!(1u64 << 63),
        json!(u64::MAX),
        json!("NaN"),
        json!("inf"),
        json!("-inf"),
        json!(""),
        Value::Null,
        json!(true),
        json!([]),
        json!([0, 1e308]),
        json!({}),
    ]
}

/// The configuration once for each of its fields and each of `values`, with that value in that field. Names stay, fields of
/// collaborators are changed, too.
#[must_use]
pub fn with_odd_values(config: &Value, values: &[Value]) -> Vec<Value> {
    let mut paths = Vec::new();
    collect(config, String::new(), &mut paths);
    let mut all = Vec::new();
    for path in &paths {
        for value in values {
            let mut changed = config.clone();
            if let Some(place) = changed.pointer_mut(path) {
                *place = value.clone();
            }
            all.push(changed);
        }
    }
    all
}

/// JSON pointers to every value but names.
fn collect(value: &Value, path: String, paths: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        for (key, value) in fields.iter().filter(|(key, _)| *key != "name") {
            let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
            paths.push(path.clone());
            collect(value, path, paths);
        }
    }
    if let Value::Array(list) = value {
        for (place, value) in list.iter().enumerate() {
            let path = format!("{path}/{place}");
            paths.push(path.clone());
            collect(value, path, paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_changed_by_itself() {
        let config = json!({"name": "A", "p": 2, "inner": {"name": "B", "q": [3]}});
        let changed = with_odd_values(&config, &[json!(7)]);
        let expected = [
            json!({"name": "A", "p": 2, "inner": 7}),
            json!({"name": "A", "p": 2, "inner": {"name": "B", "q": 7}}),
            json!({"name": "A", "p": 2, "inner": {"name": "B", "q": [7]}}),
            json!({"name": "A", "p": 7, "inner": {"name": "B", "q": [3]}}),
        ];
        assert_eq!(changed, expected);
    }
}
