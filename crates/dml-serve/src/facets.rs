//! What there is to filter by: the attributes of a collection with their most frequent values or their range.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use dml_eval::{Collection, Value, ValueKind};
use serde::Serialize;

use crate::live::{CountedFacets, Version};
use crate::problem::Problem;

/// Values of an attribute that are listed.
const LISTED: usize = 50;
/// Different values of an attribute that are counted. Further ones count as others.
const COUNTED: usize = 10_000;
/// Length of a text that is counted as a value, in bytes. Longer ones are no choices.
const LONGEST: usize = 200;
/// Time for which facets are good enough, though the collection has changed: counting reads every item.
const FRESH: Duration = Duration::from_secs(10);

/// All attributes, by name.
pub(crate) type Facets = Vec<Facet>;

/// An attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Facet {
    pub(crate) name: String,
    pub(crate) kind: ValueKind,
    /// Number of items that have it.
    pub(crate) count: usize,
    /// The most frequent values; ties in the order of the values.
    pub(crate) values: Vec<FacetValue>,
    /// Whether `values` are all that there are.
    pub(crate) is_complete: bool,
    /// The smallest and the largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) range: Option<[f64; 2]>,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FacetValue {
    pub(crate) value: Value,
    pub(crate) count: usize,
}

/// The facets of a version, counted anew when it has changed and the last count is ten seconds old.
pub(crate) fn facets(version: &Version) -> Result<Arc<Facets>, Problem> {
    // Waiting for another thread's count is as good as counting.
    let mut kept = version
        .facets()
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let changes = version.changes();
    if let Some(own) = &*kept
        && (own.changes == changes || own.since.elapsed() < FRESH)
    {
        return Ok(Arc::clone(&own.facets));
    }
    let facets = Arc::new(count(&*version.read()?));
    *kept = Some(CountedFacets {
        changes,
        since: Instant::now(),
        facets: Arc::clone(&facets),
    });
    Ok(facets)
}

/// Reads the attributes of all items once.
fn count(collection: &Collection) -> Facets {
    let schema = collection.schema();
    let mut counts: Vec<Counts> = schema.iter().map(|_| Counts::default()).collect();
    collection.select_where(|item| {
        for (attribute, counts) in schema.iter().zip(&mut counts) {
            if let Some(value) = item.value(&attribute.name) {
                counts.add(value);
            }
        }
        false
    });
    let facets = schema.into_iter().zip(counts);
    facets
        .map(|(attribute, counts)| {
            let (values, is_complete) = counts.most_frequent();
            Facet {
                name: attribute.name,
                kind: attribute.kind,
                count: counts.items,
                values,
                is_complete,
                range: counts.range,
            }
        })
        .collect()
}

/// The values of one attribute.
#[derive(Default)]
struct Counts {
    items: usize,
    others: usize,
    values: HashMap<Key, usize>,
    range: Option<[f64; 2]>,
}

/// A value that can be looked up; real numbers are ranges, and not counted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    Bool(bool),
    Integer(i64),
    Text(String),
}

impl Counts {
    fn add(&mut self, value: Value) {
        self.items += 1;
        let number = match &value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        };
        if let Some(number) = number {
            let [low, high] = self.range.unwrap_or([number, number]);
            self.range = Some([low.min(number), high.max(number)]);
        }
        let key = match value {
            Value::Bool(value) => Key::Bool(value),
            Value::Integer(value) => Key::Integer(value),
            Value::Text(value) if value.len() <= LONGEST => Key::Text(value),
            _ => {
                self.others += 1;
                return;
            }
        };
        if let Some(count) = self.values.get_mut(&key) {
            *count += 1;
        } else if self.values.len() < COUNTED {
            self.values.insert(key, 1);
        } else {
            self.others += 1;
        }
    }

    /// The values that are listed, and whether they are all.
    fn most_frequent(&self) -> (Vec<FacetValue>, bool) {
        let mut values: Vec<(&Key, usize)> = self
            .values
            .iter()
            .map(|(key, count)| (key, *count))
            .collect();
        values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let is_complete = values.len() <= LISTED && self.others == 0;
        let listed = values.into_iter().take(LISTED).map(|(key, count)| {
            let value = match key.clone() {
                Key::Bool(value) => Value::from(value),
                Key::Integer(value) => Value::from(value),
                Key::Text(value) => Value::from(value),
            };
            FacetValue { value, count }
        });
        (listed.collect(), is_complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: impl IntoIterator<Item = Value>) -> Counts {
        let mut counts = Counts::default();
        values.into_iter().for_each(|value| counts.add(value));
        counts
    }

    #[test]
    fn frequent_values_come_first_and_ties_in_order() {
        let (values, is_complete) = counts(["b", "a", "c", "c"].map(Value::from)).most_frequent();
        let listed: Vec<(String, usize)> = values
            .iter()
            .map(|own| (own.value.to_string(), own.count))
            .collect();
        assert_eq!(
            listed,
            [
                ("\"c\"".to_owned(), 2),
                ("\"a\"".to_owned(), 1),
                ("\"b\"".to_owned(), 1)
            ]
        );
        assert!(is_complete);
    }

    #[test]
    fn many_long_and_real_values_are_not_listed() {
        let many = counts((0..60i64).map(Value::from));
        assert_eq!(many.range, Some([0.0, 59.0]));
        let (values, is_complete) = many.most_frequent();
        assert_eq!((values.len(), is_complete), (LISTED, false));
        let more = counts((0..COUNTED as i64 + 5).map(Value::from));
        assert_eq!(
            (more.values.len(), more.others, more.items),
            (COUNTED, 5, COUNTED + 5)
        );
        let (values, is_complete) = counts([Value::from("x".repeat(201))]).most_frequent();
        assert!(values.is_empty() && !is_complete);
        let real = counts([2.5, -1.0].map(Value::from));
        assert_eq!(real.range, Some([-1.0, 2.5]));
        assert!(real.values.is_empty());
    }
}
