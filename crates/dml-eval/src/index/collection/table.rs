//! The attributes of all slots, by columns.
//!
//! ```text
//! memory a slot   texts 4 bytes, and each different text once; numbers 8 bytes and a bit; truth values 2 bits
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::column::Column;
use super::error::CollectionError;
use super::value::{Attributes, Value, ValueKind};
use crate::index::RowSet;

/// Attributes of a collection at most.
const MOST_ATTRIBUTES: usize = 1024;
/// Number of texts kept beside two for each slot before unused ones are dropped.
const SPARE_TEXTS: usize = 1024;
/// The code of a slot without a text.
const ABSENT: u32 = u32::MAX;

/// All attributes.
#[derive(Clone, Default)]
pub(super) struct Table {
    columns: BTreeMap<String, Stored>,
    slots: usize,
}

/// The values of an attribute by slot.
#[derive(Clone)]
pub(super) enum Stored {
    Bool { values: RowSet, present: RowSet },
    Integer { values: Vec<i64>, present: RowSet },
    Float { values: Vec<f64>, present: RowSet },
    Text(Texts),
}

/// Texts as numbers, each different text once.
#[derive(Clone, Default)]
pub(super) struct Texts {
    /// The number of the text of each slot, or [`ABSENT`].
    pub(super) codes: Vec<u32>,
    pub(super) texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, u32>,
}

impl Texts {
    /// The number of a text, if some slot has had it.
    pub(super) fn code(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    fn push(&mut self, text: Option<&str>) {
        let code = text.map_or(ABSENT, |text| self.code_of(text));
        self.codes.push(code);
    }

    fn code_of(&mut self, text: &str) -> u32 {
        if let Some(code) = self.code(text) {
            return code;
        }
        let code = self.texts.len() as u32;
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.by_text.insert(text, code);
        code
    }

    /// Sets or clears the text of a slot.
    fn set(&mut self, slot: usize, text: Option<&str>) {
        self.codes[slot] = text.map_or(ABSENT, |text| self.code_of(text));
        if self.texts.len() > 2 * self.codes.len() + SPARE_TEXTS {
            self.forget_unused();
        }
    }

    fn forget_unused(&mut self) {
        let before = std::mem::take(self);
        let texts = before.codes.iter();
        texts.for_each(|code| self.push(before.texts.get(*code as usize).map(|text| &**text)));
    }

    /// The text of a slot.
    fn get(&self, slot: usize) -> Option<&str> {
        let code = *self.codes.get(slot)?;
        self.texts.get(code as usize).map(|text| &**text)
    }
}

impl Stored {
    /// No values, of slots that are there already.
    fn none(kind: ValueKind, slots: usize) -> Self {
        let present = RowSet::none(slots);
        match kind {
            ValueKind::Bool => Self::Bool {
                values: RowSet::none(slots),
                present,
            },
            ValueKind::Integer => Self::Integer {
                values: vec![0; slots],
                present,
            },
            ValueKind::Float => Self::Float {
                values: vec![0.0; slots],
                present,
            },
            ValueKind::Text => Self::Text(Texts {
                codes: vec![ABSENT; slots],
                ..Texts::default()
            }),
        }
    }

    pub(super) fn kind(&self) -> ValueKind {
        match self {
            Self::Bool { .. } => ValueKind::Bool,
            Self::Integer { .. } => ValueKind::Integer,
            Self::Float { .. } => ValueKind::Float,
            Self::Text(_) => ValueKind::Text,
        }
    }

    /// Appends slots without a value.
    fn grow(&mut self, more: usize) {
        match self {
            Self::Bool { values, present } => {
                values.grow(more, false);
                present.grow(more, false);
            }
            Self::Integer { values, present } => {
                values.resize(values.len() + more, 0);
                present.grow(more, false);
            }
            Self::Float { values, present } => {
                values.resize(values.len() + more, 0.0);
                present.grow(more, false);
            }
            Self::Text(texts) => texts.codes.resize(texts.codes.len() + more, ABSENT),
        }
    }

    /// Appends the values of new slots, of the same kind.
    fn append(&mut self, column: &Column) {
        fn put<T: Copy + Default>(values: &mut Vec<T>, present: &mut RowSet, column: &[Option<T>]) {
            let first = values.len();
            values.extend(column.iter().map(|value| value.unwrap_or_default()));
            present.grow(column.len(), false);
            for (slot, value) in (first..).zip(column) {
                if value.is_some() {
                    present.put(slot);
                }
            }
        }
        match (self, column) {
            (Self::Integer { values, present }, Column::Integer(column)) => {
                put(values, present, column);
            }
            (Self::Float { values, present }, Column::Float(column)) => {
                put(values, present, column);
            }
            (Self::Text(texts), Column::Text(column)) => {
                column.iter().for_each(|text| texts.push(text.as_deref()));
            }
            (Self::Bool { values, present }, Column::Bool(column)) => {
                let first = present.rows();
                values.grow(column.len(), false);
                present.grow(column.len(), false);
                for (slot, value) in (first..).zip(column) {
                    if value.is_some() {
                        present.put(slot);
                    }
                    if *value == Some(true) {
                        values.put(slot);
                    }
                }
            }
            _ => debug_assert!(false, "columns are of the kind that was checked"),
        }
    }

    /// Sets or clears the value of a slot, of the same kind.
    fn set(&mut self, slot: usize, value: Option<&Value>) {
        let is_there = value.is_some();
        let mark = |set: &mut RowSet, is_in: bool| {
            if is_in {
                set.put(slot);
            } else {
                set.remove(slot as u32);
            }
        };
        match (self, value) {
            (Self::Bool { values, present }, value) => {
                mark(present, is_there);
                mark(values, value == Some(&Value::Bool(true)));
            }
            (Self::Integer { values, present }, Some(Value::Integer(value))) => {
                mark(present, true);
                values[slot] = *value;
            }
            (Self::Float { values, present }, Some(Value::Float(value))) => {
                mark(present, true);
                values[slot] = *value;
            }
            (Self::Text(texts), Some(Value::Text(value))) => texts.set(slot, Some(value)),
            (Self::Text(texts), _) => texts.set(slot, None),
            (Self::Integer { present, .. } | Self::Float { present, .. }, _) => {
                mark(present, false);
            }
        }
    }

    fn get(&self, slot: usize) -> Option<Value> {
        match self {
            Self::Text(texts) => texts.get(slot).map(Value::from),
            Self::Bool { values, present } => {
                let value = Value::Bool(values.contains(slot));
                present.contains(slot).then_some(value)
            }
            Self::Integer { values, present } => {
                present.contains(slot).then(|| Value::Integer(values[slot]))
            }
            Self::Float { values, present } => {
                present.contains(slot).then(|| Value::Float(values[slot]))
            }
        }
    }

    /// The slots that have a value.
    pub(super) fn present(&self) -> RowSet {
        match self {
            Self::Bool { present, .. }
            | Self::Integer { present, .. }
            | Self::Float { present, .. } => present.clone(),
            Self::Text(texts) => {
                let codes = &texts.codes;
                RowSet::from_fn(codes.len(), |slot| codes[slot] != ABSENT)
            }
        }
    }

    /// The values of some slots.
    pub(super) fn column(&self, slots: &[u32]) -> Column {
        let slots = slots.iter().map(|slot| *slot as usize);
        match self {
            Self::Bool { values, present } => Column::Bool(
                slots
                    .map(|slot| present.contains(slot).then(|| values.contains(slot)))
                    .collect(),
            ),
            Self::Integer { values, present } => Column::Integer(
                slots
                    .map(|slot| present.contains(slot).then(|| values[slot]))
                    .collect(),
            ),
            Self::Float { values, present } => Column::Float(
                slots
                    .map(|slot| present.contains(slot).then(|| values[slot]))
                    .collect(),
            ),
            Self::Text(texts) => Column::Text(
                slots
                    .map(|slot| texts.get(slot).map(str::to_owned))
                    .collect(),
            ),
        }
    }
}

impl Table {
    /// An attribute.
    pub(super) fn get(&self, name: &str) -> Option<&Stored> {
        self.columns.get(name)
    }

    /// The attributes by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Stored)> {
        let columns = self.columns.iter();
        columns.map(|(name, stored)| (name.as_str(), stored))
    }

    /// Columns as they can be appended: of the kinds that attributes have.
    pub(super) fn fitted(
        &self,
        columns: Vec<(String, Column)>,
    ) -> Result<Vec<(String, Column)>, CollectionError> {
        let new = columns.iter().filter(|(name, _)| self.get(name).is_none());
        let got = self.columns.len() + new.count();
        if got > MOST_ATTRIBUTES {
            return Err(CollectionError::TooManyAttributes {
                most: MOST_ATTRIBUTES,
                got,
            });
        }
        let fitted = columns.into_iter().map(|(name, column)| {
            let column = match self.get(&name) {
                Some(stored) => column.of_kind(&name, stored.kind())?,
                None => column,
            };
            Ok((name, column))
        });
        fitted.collect()
    }

    /// Appends slots with columns that are fitted, each of as many values.
    pub(super) fn append(&mut self, slots: usize, columns: &[(String, Column)]) {
        let before = self.slots;
        self.slots += slots;
        for (name, column) in columns {
            let kind = column.kind();
            let stored = self.columns.entry(name.clone());
            stored
                .or_insert_with(|| Stored::none(kind, before))
                .append(column);
        }
        for (name, stored) in &mut self.columns {
            if !columns.iter().any(|(own, _)| own == name) {
                stored.grow(slots);
            }
        }
    }

    /// Replaces all attributes of a slot by columns that are fitted, of one value each.
    pub(super) fn replace(&mut self, slot: usize, columns: &[(String, Column)]) {
        for stored in self.columns.values_mut() {
            stored.set(slot, None);
        }
        for (name, column) in columns {
            let kind = column.kind();
            let stored = self.columns.entry(name.clone());
            let stored = stored.or_insert_with(|| Stored::none(kind, self.slots));
            stored.set(slot, column.get(0).as_ref());
        }
    }

    /// The attributes of a slot.
    pub(super) fn attributes(&self, slot: usize) -> Attributes {
        let values = self.iter();
        values
            .filter_map(|(name, stored)| Some((name, stored.get(slot)?)))
            .collect()
    }

    /// The value of an attribute of a slot.
    pub(super) fn value(&self, name: &str, slot: usize) -> Option<Value> {
        self.get(name)?.get(slot)
    }

    /// The values of some slots.
    pub(super) fn columns(&self, slots: &[u32]) -> Vec<(String, Column)> {
        let columns = self.columns.iter();
        columns
            .map(|(name, stored)| (name.clone(), stored.column(slots)))
            .collect()
    }

    /// Keeps some slots, in their order. Texts that no slot has any more are forgotten.
    pub(super) fn retain(&mut self, keep: &RowSet) {
        let slots: Vec<u32> = keep.iter().collect();
        let columns = self.columns(&slots);
        self.columns.clear();
        self.slots = 0;
        self.append(slots.len(), &columns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        let first = vec![
            (
                "color".to_owned(),
                Column::from(vec![Some("red"), None, Some("blue")]),
            ),
            (
                "new".to_owned(),
                Column::from(vec![Some(true), Some(false), None]),
            ),
        ];
        table.append(3, &first);
        let second = vec![
            ("color".to_owned(), Column::from(vec!["red", "green"])),
            ("price".to_owned(), Column::from(vec![1.5, 2.5])),
        ];
        let second = table.fitted(second).unwrap();
        table.append(2, &second);
        table
    }

    #[test]
    fn values_are_where_they_were_put() {
        let mut table = table();
        assert_eq!(table.value("color", 3), Some("red".into()));
        assert_eq!(
            (table.value("color", 1), table.value("price", 2)),
            (None, None)
        );
        assert_eq!(table.value("new", 1), Some(false.into()));
        assert_eq!((table.value("new", 2), table.value("new", 4)), (None, None));
        let want = Attributes::from([("color", "green".into()), ("price", 2.5.into())]);
        assert_eq!(table.attributes(4), want);
        // Other values take the place of all that were there.
        let other = vec![
            ("price".to_owned(), Column::from(vec![9.0])),
            ("size".to_owned(), Column::from(vec![42])),
        ];
        table.replace(0, &other);
        let want = Attributes::from([("price", 9.0.into()), ("size", 42.into())]);
        assert_eq!(table.attributes(0), want);
        assert_eq!(table.attributes(9), Attributes::default());
    }

    #[test]
    fn slots_that_are_kept_keep_their_values() {
        let mut table = table();
        table.retain(&RowSet::from_rows(5, [1, 4]).unwrap());
        assert_eq!(
            table.attributes(0),
            Attributes::from([("new", false.into())])
        );
        assert_eq!(table.value("color", 1), Some("green".into()));
        let Some(Stored::Text(texts)) = table.get("color") else {
            panic!("colours are texts");
        };
        assert_eq!((texts.texts.len(), texts.code("red")), (1, None));
        // An attribute without values is still known.
        table.retain(&RowSet::none(2));
        assert_eq!(table.get("price").map(Stored::kind), Some(ValueKind::Float));
    }

    #[test]
    fn texts_that_are_replaced_are_forgotten() {
        let mut table = table();
        for i in 0..10_000 {
            let color = format!("color {i}");
            table.replace(4, &[("color".to_owned(), Column::from(vec![&*color]))]);
            assert_eq!(table.value("color", 4), Some(color.into()));
        }
        assert_eq!(table.value("color", 2), Some("blue".into()));
        assert_eq!(
            (table.value("color", 1), table.value("color", 0)),
            (None, Some("red".into()))
        );
        let Some(Stored::Text(texts)) = table.get("color") else {
            panic!("colours are texts");
        };
        assert!(
            texts.texts.len() <= 2 * 5 + SPARE_TEXTS && texts.by_text.len() == texts.texts.len()
        );
        assert_eq!(
            (texts.code("color 7"), texts.code("red").is_some()),
            (None, true)
        );
    }

    #[test]
    fn kinds_are_kept() {
        let table = table();
        let whole = vec![("price".to_owned(), Column::from(vec![3]))];
        let fitted = table.fitted(whole).unwrap();
        assert_eq!(fitted[0].1, Column::from(vec![3.0]));
        let texts = vec![("price".to_owned(), Column::from(vec!["3"]))];
        assert!(matches!(
            table.fitted(texts),
            Err(CollectionError::AttributeKind {
                expected: ValueKind::Float,
                ..
            })
        ));
        let many = (0..1022).map(|i| (format!("a{i}"), Column::from(vec![i64::from(i)])));
        let error = table.fitted(many.collect()).unwrap_err();
        assert!(matches!(
            error,
            CollectionError::TooManyAttributes { got: 1025, .. }
        ));
    }
}
