//! A configuration as a tree in which every value remembers where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line and column of a file, from 1.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// An argument of the command line, as it was given.
    Argument(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Argument(text) => f.write_str(text),
        }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where its key stands.
    pub origin: Origin,
    /// The value.
    pub content: Content,
}

/// A value of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Values by name.
    Table(BTreeMap<String, Node>),
    /// Values in order.
    List(Vec<Node>),
    /// A string, number or truth value.
    Leaf(Value),
}

/// A file and its text, for positions.
struct Source<'a> {
    path: Arc<Path>,
    text: &'a str,
}

impl Source<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Origin::File {
            path: Arc::clone(&self.path),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn table(&self, table: &DeTable<'_>, at: &Origin) -> Result<Node, Problem> {
        let mut nodes = BTreeMap::new();
        for (key, value) in table {
            let origin = self.origin(key.span().start);
            let node = self.value(value, origin)?;
            nodes.insert(key.get_ref().to_string(), node);
        }
        Ok(Node {
            origin: at.clone(),
            content: Content::Table(nodes),
        })
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, origin: Origin) -> Result<Node, Problem> {
        let content = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, &origin),
            DeValue::Array(list) => {
                let own =
                    |item: &Spanned<DeValue<'_>>| self.value(item, self.origin(item.span().start));
                Content::List(list.iter().map(own).collect::<Result<_, _>>()?)
            }
            scalar => match leaf(scalar) {
                Ok(value) => Content::Leaf(value),
                Err(sentence) => return Err(Problem::at(&origin, sentence)),
            },
        };
        Ok(Node { origin, content })
    }
}

/// A scalar as JSON, where infinity is text.
fn leaf(value: &DeValue<'_>) -> Result<Value, String> {
    match value {
        DeValue::String(text) => Ok(Value::from(text.as_ref())),
        DeValue::Boolean(truth) => Ok(Value::from(*truth)),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            let parsed = parsed.ok().and_then(|number| match u64::try_from(number) {
                Ok(number) => Some(Value::from(number)),
                Err(_) => i64::try_from(number).ok().map(Value::from),
            });
            parsed.ok_or_else(|| format!("expected a whole number of 64 bits, got {number}"))
        }
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::from(number)),
            // A number too large is no infinity.
            Ok(infinite) if infinite.is_infinite() && number.as_str().contains("inf") => {
                Ok(Value::from(if infinite > 0.0 { "inf" } else { "-inf" }))
            }
            _ => Err(format!("expected a number, got {number}")),
        },
        other => Err(format!(
            "expected a string, number, truth value, list or table, got a {}",
            other.type_str()
        )),
    }
}

impl Node {
    /// Parses the text of a file.
    ///
    /// # Errors
    /// What is no TOML, with its line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        let source = Source {
            path: path.into(),
            text,
        };
        let parsed = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            Problem::at(&source.origin(start), one_line(error.message()))
        })?;
        source.table(parsed.get_ref(), &source.origin(0))
    }

    /// An empty configuration.
    #[must_use]
    pub fn empty(origin: Origin) -> Self {
        Self {
            origin,
            content: Content::Table(BTreeMap::new()),
        }
    }

    /// A value from the text of an argument: TOML, or else a string.
    #[must_use]
    pub fn from_argument(text: &str, origin: &Origin) -> Self {
        let source = Source {
            path: Path::new("").into(),
            text,
        };
        let parsed = DeValue::parse(text).ok();
        let parsed = parsed.and_then(|value| source.value(&value, origin.clone()).ok());
        let mut node = parsed.unwrap_or_else(|| Self {
            origin: origin.clone(),
            content: Content::Leaf(Value::from(text)),
        });
        node.set_origin(origin);
        node
    }

    fn set_origin(&mut self, origin: &Origin) {
        self.origin = origin.clone();
        match &mut self.content {
            Content::Table(nodes) => nodes.values_mut().for_each(|own| own.set_origin(origin)),
            Content::List(nodes) => nodes.iter_mut().for_each(|own| own.set_origin(origin)),
            Content::Leaf(_) => {}
        }
    }

    /// Puts a value at a path such as `loss.margin`. A component given by its bare name becomes a table first.
    ///
    /// # Errors
    /// A path with an empty name, or through a value that has no parts.
    pub fn set(&mut self, path: &str, value: Self) -> Result<(), Problem> {
        let origin = value.origin.clone();
        let mut node = self;
        for name in path.split('.') {
            if name.is_empty() {
                let sentence = format!("{path:?}: expected a name such as loss.margin");
                return Err(Problem::at(&origin, sentence));
            }
            if let Content::Leaf(Value::String(bare)) = &node.content {
                let named = Self {
                    origin: node.origin.clone(),
                    content: Content::Leaf(Value::from(bare.as_str())),
                };
                node.content = Content::Table(BTreeMap::from([("name".to_owned(), named)]));
            }
            let Content::Table(nodes) = &mut node.content else {
                let sentence = format!("{path}: the value before .{name} is no table");
                return Err(Problem::at(&origin, sentence));
            };
            node = nodes
                .entry(name.to_owned())
                .or_insert_with(|| Self::empty(origin.clone()));
        }
        *node = value;
        Ok(())
    }

    /// The value at a path such as `loss.margin`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |node, name| node.child(name))
    }

    /// The value at a path, to be changed.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut Self> {
        path.split('.')
            .try_fold(self, |node, name| match &mut node.content {
                Content::Table(nodes) => nodes.get_mut(name),
                Content::List(nodes) => nodes.get_mut(name.parse::<usize>().ok()?),
                Content::Leaf(_) => None,
            })
    }

    fn child(&self, name: &str) -> Option<&Self> {
        match &self.content {
            Content::Table(nodes) => nodes.get(name),
            Content::List(nodes) => nodes.get(name.parse::<usize>().ok()?),
            Content::Leaf(_) => None,
        }
    }

    /// The names of the parts of a table, and the places of a list.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match &self.content {
            Content::Table(nodes) => nodes.keys().cloned().collect(),
            Content::List(nodes) => (0..nodes.len()).map(|place| place.to_string()).collect(),
            Content::Leaf(_) => Vec::new(),
        }
    }

    /// The same without the part of a name.
    #[must_use]
    pub fn without(&self, path: &str) -> Self {
        let mut copy = self.clone();
        let (parent, name) = match path.rsplit_once('.') {
            Some((parent, name)) => (copy.get_mut(parent), name),
            None => (Some(&mut copy), path),
        };
        match parent.map(|parent| &mut parent.content) {
            Some(Content::Table(nodes)) => {
                nodes.remove(name);
            }
            Some(Content::List(nodes)) => {
                if let Ok(place) = name.parse::<usize>()
                    && place < nodes.len()
                {
                    nodes.remove(place);
                }
            }
            _ => {}
        }
        copy
    }

    /// The values as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Table(nodes) => {
                let fields = nodes
                    .iter()
                    .map(|(name, own)| (name.clone(), own.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            Content::List(nodes) => Value::Array(nodes.iter().map(Self::to_json).collect()),
            Content::Leaf(value) => value.clone(),
        }
    }
}

/// A message of several lines in one.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ")
}
