//! A filter as the set of slots that it holds for.

use std::cmp::Ordering;

use super::Filter;
use crate::index::RowSet;
use crate::index::collection::error::CollectionError;
use crate::index::collection::slots::Slots;
use crate::index::collection::table::{Stored, Table, Texts};
use crate::index::collection::value::{Value, ValueKind, exact_float, exact_integer};

/// The slots, empty ones included, that the filter holds for.
pub(in crate::index::collection) fn evaluate(
    filter: &Filter,
    slots: &Slots,
    table: &Table,
) -> Result<RowSet, CollectionError> {
    let count = slots.slots();
    let column = |attribute: &str| {
        let stored = table.get(attribute);
        stored.ok_or_else(|| CollectionError::UnknownAttribute {
            attribute: attribute.to_owned(),
            known: table.iter().map(|(name, _)| name.to_owned()).collect(),
        })
    };
    match filter {
        Filter::All => Ok(RowSet::all(count)),
        Filter::Has { attribute } => Ok(column(attribute)?.present()),
        Filter::Eq { attribute, value } => {
            one_of(attribute, column(attribute)?, std::slice::from_ref(value))
        }
        Filter::In { attribute, values } => one_of(attribute, column(attribute)?, values),
        Filter::Range {
            attribute,
            at_least,
            above,
            at_most,
            below,
        } => {
            let bounds = Bounds {
                at_least: at_least.as_ref(),
                above: above.as_ref(),
                at_most: at_most.as_ref(),
                below: below.as_ref(),
            };
            bounds.slots(attribute, column(attribute)?)
        }
        Filter::Ids(ids) => {
            let listed = ids.iter().filter_map(|id| slots.get(id.as_ref()));
            Ok(RowSet::from_rows(count, listed)?)
        }
        Filter::And(filters) => {
            let mut all = RowSet::all(count);
            for filter in filters {
                all.intersect_with(&evaluate(filter, slots, table)?)?;
            }
            Ok(all)
        }
        Filter::Or(filters) => {
            let mut some = RowSet::none(count);
            for filter in filters {
                some.unite_with(&evaluate(filter, slots, table)?)?;
            }
            Ok(some)
        }
        Filter::Not(filter) => {
            let mut rest = evaluate(filter, slots, table)?;
            rest.complement();
            Ok(rest)
        }
    }
}

fn wrong_kind(attribute: &str, expected: ValueKind, got: ValueKind) -> CollectionError {
    CollectionError::AttributeKind {
        attribute: attribute.to_owned(),
        expected,
        got,
    }
}

/// The slots whose value is one of the `values`.
fn one_of(attribute: &str, stored: &Stored, values: &[Value]) -> Result<RowSet, CollectionError> {
    let wrong = |value: &Value| wrong_kind(attribute, stored.kind(), value.kind());
    match stored {
        Stored::Bool {
            values: own,
            present,
        } => {
            let mut wanted = [false; 2];
            for value in values {
                let Value::Bool(value) = value else {
                    return Err(wrong(value));
                };
                wanted[usize::from(*value)] = true;
            }
            let wanted = |slot| present.contains(slot) && wanted[usize::from(own.contains(slot))];
            Ok(RowSet::from_fn(present.rows(), wanted))
        }
        Stored::Integer {
            values: own,
            present,
        } => {
            // A number with a fraction is none of them.
            let mut wanted = Vec::new();
            for value in values {
                match value {
                    Value::Integer(value) => wanted.push(*value),
                    Value::Float(value) => wanted.extend(exact_integer(*value)),
                    value => return Err(wrong(value)),
                }
            }
            wanted.sort_unstable();
            let is_wanted = |value: i64| match &wanted[..] {
                [only] => value == *only,
                some => some.binary_search(&value).is_ok(),
            };
            Ok(of_present(present, |slot| is_wanted(own[slot])))
        }
        Stored::Float {
            values: own,
            present,
        } => {
            let mut wanted = Vec::new();
            for value in values {
                match value {
                    Value::Integer(value) => wanted.extend(exact_float(*value)),
                    Value::Float(value) if value.is_nan() => {}
                    Value::Float(value) => wanted.push(*value),
                    value => return Err(wrong(value)),
                }
            }
            // 0 and −0 are equal, as in every comparison.
            let compare = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or(Ordering::Equal);
            wanted.sort_unstable_by(compare);
            let is_wanted = |value: f64| match &wanted[..] {
                [only] => value == *only,
                some => some.binary_search_by(|own| compare(own, &value)).is_ok(),
            };
            Ok(of_present(present, |slot| is_wanted(own[slot])))
        }
        Stored::Text(texts) => {
            let mut codes = Vec::new();
            for value in values {
                let Value::Text(text) = value else {
                    return Err(wrong(value));
                };
                codes.extend(texts.code(text));
            }
            let own = &texts.codes;
            if let [code] = codes[..] {
                return Ok(RowSet::from_fn(own.len(), |slot| own[slot] == code));
            }
            let mut wanted = vec![false; texts.texts.len()];
            codes.iter().for_each(|code| wanted[*code as usize] = true);
            Ok(of_codes(texts, &wanted))
        }
    }
}

/// The slots with a value for which `holds`.
fn of_present(present: &RowSet, holds: impl Fn(usize) -> bool) -> RowSet {
    // Every slot is tested first; slots without a value are masked out afterwards, 64 at a time.
    let mut set = RowSet::from_fn(present.rows(), holds);
    for (own, present) in set.words_mut().iter_mut().zip(present.words()) {
        *own &= present;
    }
    set
}

/// The slots whose text is wanted.
fn of_codes(texts: &Texts, wanted: &[bool]) -> RowSet {
    let codes = &texts.codes;
    let is_wanted = |slot: usize| wanted.get(codes[slot] as usize) == Some(&true);
    RowSet::from_fn(codes.len(), is_wanted)
}

/// The bounds of a range.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    at_least: Option<&'a Value>,
    above: Option<&'a Value>,
    at_most: Option<&'a Value>,
    below: Option<&'a Value>,
}

impl Bounds<'_> {
    /// Whether a value lies within; `compare` says how it compares with a bound.
    #[inline(always)]
    fn hold(&self, compare: impl Fn(&Value) -> Option<Ordering>) -> bool {
        use Ordering::{Equal, Greater, Less};
        let is = |bound: Option<&Value>, wanted: [Ordering; 2]| {
            bound.is_none_or(|bound| {
                let found = compare(bound);
                found.is_some_and(|found| wanted.contains(&found))
            })
        };
        is(self.at_least, [Greater, Equal])
            && is(self.above, [Greater, Greater])
            && is(self.at_most, [Less, Equal])
            && is(self.below, [Less, Less])
    }

    fn slots(self, attribute: &str, stored: &Stored) -> Result<RowSet, CollectionError> {
        let bounds = [self.at_least, self.above, self.at_most, self.below];
        for bound in bounds.into_iter().flatten() {
            let is_text = bound.kind() == ValueKind::Text;
            let fits = match stored.kind() {
                ValueKind::Text => is_text,
                ValueKind::Bool => false,
                _ => !is_text && bound.kind() != ValueKind::Bool,
            };
            if !fits {
                return Err(wrong_kind(attribute, stored.kind(), bound.kind()));
            }
        }
        Ok(match stored {
            // Without bounds, all that have a value.
            Stored::Bool { present, .. } => present.clone(),
            Stored::Integer { values, present } => {
                let holds = |slot: usize| self.hold(|bound| compare_integer(values[slot], bound));
                of_present(present, holds)
            }
            Stored::Float { values, present } => {
                let holds = |slot: usize| self.hold(|bound| compare_float(values[slot], bound));
                of_present(present, holds)
            }
            Stored::Text(texts) => {
                let compare = |text: &str, bound: &Value| match bound {
                    Value::Text(bound) => Some(text.cmp(bound)),
                    _ => None,
                };
                let wanted = texts.texts.iter();
                let wanted = wanted.map(|text| self.hold(|bound| compare(text, bound)));
                of_codes(texts, &wanted.collect::<Vec<bool>>())
            }
        })
    }
}

#[inline(always)]
fn compare_integer(value: i64, bound: &Value) -> Option<Ordering> {
    match bound {
        Value::Integer(bound) => Some(value.cmp(bound)),
        Value::Float(bound) => compare_exactly(value, *bound),
        _ => None,
    }
}

#[inline(always)]
fn compare_float(value: f64, bound: &Value) -> Option<Ordering> {
    match bound {
        Value::Float(bound) => value.partial_cmp(bound),
        Value::Integer(bound) => compare_exactly(*bound, value).map(Ordering::reverse),
        _ => None,
    }
}

/// A whole number beside a real one, without rounding either.
fn compare_exactly(whole: i64, real: f64) -> Option<Ordering> {
    if real.is_nan() {
        return None;
    }
    match exact_integer(real.floor()) {
        None => Some(0.0.partial_cmp(&real)?),
        Some(floor) => Some(whole.cmp(&floor).then(if real > real.floor() {
            Ordering::Less
        } else {
            Ordering::Equal
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_and_real_numbers_are_compared_without_rounding() {
        use Ordering::{Equal, Greater, Less};
        let large = (1i64 << 53) + 1;
        for (whole, real, want) in [
            (3, 3.0, Equal),
            (3, 3.5, Less),
            (4, 3.5, Greater),
            (-3, -3.5, Greater),
            (-4, -3.5, Less),
            // Rounded, they would be equal.
            (large, 9_007_199_254_740_992.0, Greater),
            (i64::MAX, 9_223_372_036_854_775_808.0, Less),
            (i64::MIN, f64::NEG_INFINITY, Greater),
            (i64::MAX, f64::INFINITY, Less),
        ] {
            assert_eq!(compare_exactly(whole, real), Some(want), "{whole} {real}");
        }
        assert_eq!(compare_exactly(0, f64::NAN), None);
    }
}
