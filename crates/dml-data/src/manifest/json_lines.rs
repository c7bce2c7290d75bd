//! Tables as JSON Lines: an object a line.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::cells::{Cells, MOST_ELEMENTS};
use super::numbers::real;
use super::schema::{Column, Schema, Sink};
use crate::error::shortened;
use crate::{DataError, Result};

/// Hands the lines of a file over, one by one, each with its number. Lines without anything are passed over.
pub(super) fn read(path: &Path, bytes: &[u8], lines: &mut dyn Sink) -> Result<()> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let cells = object(line, lines.schema(), lines.separator());
        let cells = cells.map_err(|error| {
            let found = shortened(&error.to_string());
            let column = error.column().max(1).to_string();
            DataError::table(path, number, column, "a JSON object on one line", found)
        })?;
        lines.take(number, cells)?;
    }
    Ok(())
}

/// The cells of one object.
pub(super) fn object(text: &[u8], schema: &Schema, separator: char) -> serde_json::Result<Cells> {
    let row = Row { schema, separator };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let cells = row.deserialize(&mut reader)?;
    reader.end()?;
    Ok(cells)
}

/// Reads an object as the cells of a line.
struct Row<'a> {
    schema: &'a Schema,
    separator: char,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = Cells;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Cells, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Cells;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Cells, A::Error> {
        let mut cells = Cells::default();
        let mut seen = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let Some((column, is_alias)) = self.schema.column_or_alias(&name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.contains(&(column, is_alias)) {
                return Err(A::Error::custom(format_args!(
                    "{:?} twice",
                    shortened(&name)
                )));
            }
            seen.push((column, is_alias));
            match map.next_value_seed(Value(column))? {
                // A column of the name itself counts more.
                Cell::Text(_) if is_alias && cells.has(column) => {}
                Cell::Text(text) => cells.set(column, text, self.separator),
                Cell::List(elements) => {
                    if !cells.set_list(column, elements) {
                        let name = shortened(&name);
                        return Err(A::Error::custom(format_args!("a list for {name:?}")));
                    }
                }
            }
        }
        Ok(cells)
    }
}

/// A value as text; nothing as an empty one.
enum Cell {
    Text(String),
    List(Vec<String>),
}

/// Reads the value of a column.
#[derive(Clone, Copy)]
struct Value(Column);

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Cell;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Cell, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, nothing, or a list of these")
    }

    fn visit_unit<E: Error>(self) -> std::result::Result<Cell, E> {
        Ok(Cell::Text(String::new()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> std::result::Result<Cell, E> {
        Ok(Cell::Text(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> std::result::Result<Cell, E> {
        Ok(Cell::Text(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> std::result::Result<Cell, E> {
        Ok(Cell::Text(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> std::result::Result<Cell, E> {
        let text = real(value, self.0);
        text.map(Cell::Text)
            .ok_or_else(|| E::custom(format_args!("the number {value}, which is not whole")))
    }

    fn visit_str<E: Error>(self, value: &str) -> std::result::Result<Cell, E> {
        Ok(Cell::Text(value.trim().to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Cell, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element_seed(self)? {
            let Cell::Text(text) = element else {
                return Err(A::Error::custom("a list in a list"));
            };
            if text.is_empty() {
                return Err(A::Error::custom("nothing in a list"));
            }
            if elements.len() == MOST_ELEMENTS {
                return Err(A::Error::custom("a list of more than 65536 elements"));
            }
            elements.push(text);
        }
        Ok(Cell::List(elements))
    }
}
