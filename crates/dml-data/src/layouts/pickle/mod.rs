//! The part of Python's pickle format that CIFAR's batches are written in: dictionaries of lists, texts and arrays of bytes.
//!
//! Python, `pickletools`, protocols 2 to 4. Calls are recorded and never made: of all functions, numpy's construction of an
//! array, `_codecs.encode` to Latin-1 and `bytes()` have a meaning. Values refer to the bytes of the file, so that a file
//! takes little more memory than it has bytes.

mod machine;

use std::path::{Path, PathBuf};

use self::machine::{Machine, Node};
use super::cifar::PIXELS;
use super::list_file::read_bounded;
use crate::error::shortened;
use crate::{DataError, Result};

/// Number of a value.
type Id = usize;

/// Labels and pixels of some images.
#[derive(Debug)]
pub(super) struct Batch {
    /// List after list: a label for each image.
    pub(super) labels: Vec<Vec<usize>>,
    /// Image after image.
    pub(super) pixels: Vec<u8>,
}

/// A dictionary that was read.
#[derive(Debug)]
pub(super) struct Pickle {
    path: PathBuf,
    bytes: Vec<u8>,
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::parse(path, read_bounded(path)?)
    }

    pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let mut machine = Machine::new(&bytes);
        let result = machine.run();
        let (nodes, at) = machine.finish();
        let root = result.map_err(|found| DataError::Malformed {
            file: path.to_path_buf(),
            place: format!("byte {at}"),
            expected: "a pickle of protocol 2 to 4",
            found,
        })?;
        let path = path.to_path_buf();
        Ok(Self {
            path,
            bytes,
            nodes,
            root,
        })
    }

    fn fault(&self, key: &str, expected: &'static str, found: impl Into<String>) -> DataError {
        DataError::Malformed {
            file: self.path.clone(),
            place: format!("key {key}"),
            expected,
            found: found.into(),
        }
    }

    /// The value of a key of the dictionary.
    fn value(&self, key: &str) -> Result<Id> {
        let Node::Dict(pairs) = &self.nodes[self.root] else {
            return Err(self.fault(key, "a dictionary", "something else"));
        };
        let own = pairs
            .iter()
            .rev()
            .find(|(own, _)| self.text(*own).as_deref() == Some(key));
        own.map(|(_, value)| *value)
            .ok_or_else(|| self.fault(key, "a value of that key", "none"))
    }

    fn list(&self, key: &str) -> Result<&[Id]> {
        match &self.nodes[self.value(key)?] {
            Node::List(items) | Node::Tuple(items) => Ok(items),
            _ => Err(self.fault(key, "a list", "something else")),
        }
    }

    /// A list of texts, with at least one.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>> {
        let items = self.list(key)?;
        let texts = items
            .iter()
            .map(|id| self.text(*id))
            .collect::<Option<Vec<_>>>();
        let texts = texts.filter(|texts| !texts.is_empty());
        texts.ok_or_else(|| self.fault(key, "a list of texts", "something else"))
    }

    /// The images of the dictionary's `data`, with labels from lists, each below a number.
    pub(super) fn batch(&self, lists: &[(&str, usize)]) -> Result<Batch> {
        let pixels = self.pixels("data")?;
        let rows = pixels.len() / PIXELS;
        let labels = lists.iter().map(|(key, count)| {
            let items = self.list(key)?;
            if items.len() != rows {
                let found = format!("{} for {rows} images", items.len());
                return Err(self.fault(key, "a label for each image", found));
            }
            let label = |id: &Id| match &self.nodes[*id] {
                Node::Int(label) => usize::try_from(*label).ok().filter(|label| label < count),
                _ => None,
            };
            let labels = items.iter().map(label).collect::<Option<Vec<_>>>();
            let expected = "labels below the number of classes";
            labels.ok_or_else(|| self.fault(key, expected, "another value"))
        });
        Ok(Batch {
            labels: labels.collect::<Result<_>>()?,
            pixels,
        })
    }

    /// The bytes of an array `[images, 3072]`.
    fn pixels(&self, key: &str) -> Result<Vec<u8>> {
        let expected = "an array of bytes [images, 3072], row after row";
        let fault = |found: String| self.fault(key, expected, shortened(&found));
        let array = self.value(key)?;
        let (dims, bytes) = self.array(array).map_err(fault)?;
        let count = dims
            .iter()
            .try_fold(1usize, |count, dim| count.checked_mul(*dim));
        match dims[..] {
            [rows, PIXELS] if count == Some(bytes.len()) && rows > 0 => Ok(bytes),
            _ => Err(fault(format!("{} bytes of shape {dims:?}", bytes.len()))),
        }
    }

    /// Shape and bytes of an array of unsigned bytes in the order of C.
    fn array(&self, id: Id) -> std::result::Result<(Vec<usize>, Vec<u8>), String> {
        let Node::Call {
            callable, state, ..
        } = &self.nodes[id]
        else {
            return Err("something else".to_owned());
        };
        let (module, name) = self.class(*callable).ok_or("something else")?;
        let is_numpy = matches!(module, "numpy.core.multiarray" | "numpy._core.multiarray");
        if !(is_numpy && name == "_reconstruct") {
            return Err(format!("a call of {module}.{name}"));
        }
        let state = state
            .and_then(|state| self.tuple(state))
            .ok_or("an array without contents")?;
        let [_, shape, dtype, is_fortran, bytes] = state[..] else {
            return Err("contents of another form".to_owned());
        };
        let dims = self.tuple(shape).ok_or("an array without a shape")?;
        let dim = |id: &Id| match self.nodes[*id] {
            Node::Int(dim) => usize::try_from(dim).ok(),
            _ => None,
        };
        let dims = dims.iter().map(dim).collect::<Option<Vec<_>>>();
        let dims = dims.ok_or("a shape that is no tuple of sizes")?;
        let kind = match &self.nodes[dtype] {
            Node::Call { args, .. } => self.tuple(*args).and_then(|args| self.text(*args.first()?)),
            _ => None,
        };
        match kind.as_deref() {
            Some("u1" | "|u1") => {}
            other => return Err(format!("an array of {}", other.unwrap_or("unknown type"))),
        }
        if self.nodes[is_fortran] != Node::Bool(false) {
            return Err("an array in the order of Fortran".to_owned());
        }
        let bytes = self.bytes_of(bytes).ok_or("contents that are no bytes")?;
        Ok((dims, bytes))
    }

    fn tuple(&self, id: Id) -> Option<&[Id]> {
        match &self.nodes[id] {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    fn class(&self, id: Id) -> Option<(&str, &str)> {
        match &self.nodes[id] {
            Node::Class { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// A text, or bytes that are one.
    fn text(&self, id: Id) -> Option<String> {
        match &self.nodes[id] {
            Node::Text(_) | Node::Bytes(_) => self.plain_text(id).map(str::to_owned),
            Node::Call { .. } => String::from_utf8(self.bytes_of(id)?).ok(),
            _ => None,
        }
    }

    /// A text that stands in the file as it is.
    fn plain_text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id] {
            Node::Text(range) | Node::Bytes(range) => {
                std::str::from_utf8(&self.bytes[range.clone()]).ok()
            }
            _ => None,
        }
    }

    /// Bytes, also as Python 3 writes them in protocol 2: a text that is to be encoded to Latin-1.
    fn bytes_of(&self, id: Id) -> Option<Vec<u8>> {
        match &self.nodes[id] {
            Node::Bytes(range) => Some(self.bytes[range.clone()].to_vec()),
            Node::Call { callable, args, .. } => match (self.class(*callable)?, self.tuple(*args)?)
            {
                (("_codecs", "encode"), [text, codec]) => {
                    let Node::Text(range) = &self.nodes[*text] else {
                        return None;
                    };
                    let is_latin = matches!(self.plain_text(*codec)?, "latin1" | "latin-1");
                    let text = std::str::from_utf8(&self.bytes[range.clone()]).ok()?;
                    let bytes = text.chars().map(|own| u8::try_from(own).ok());
                    is_latin.then(|| bytes.collect()).flatten()
                }
                (("__builtin__" | "builtins", "bytes"), []) => Some(Vec::new()),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
