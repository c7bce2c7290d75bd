//! The part of Python's pickle format that CIFAR's batches are written in: dictionaries of lists, texts and arrays of bytes.
//!
//! Three calls have a meaning: numpy's construction of an array, `_codecs.encode` to Latin-1, and `bytes()`.

use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use dml_pickle::{Node, NodeId, Pickle, PickleError};

use super::cifar::PIXELS;
use super::list_file::LIMIT;
use crate::error::shortened;
use crate::file_kind::open_regular;
use crate::{DataError, Result};

/// Labels and pixels of some images.
#[derive(Debug)]
pub(super) struct Batch {
    /// List after list: a label for each image.
    pub(super) labels: Vec<Vec<usize>>,
    /// Image after image.
    pub(super) pixels: Vec<u8>,
}

/// The dictionary of a file.
#[derive(Debug)]
pub(super) struct PickledDict {
    path: PathBuf,
    pickle: Pickle,
}

impl PickledDict {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let (file, _) = open_regular(path)?;
        Self::parse(path, BufReader::new(file))
    }

    fn parse(path: &Path, bytes: impl Read) -> Result<Self> {
        let pickle = Pickle::read(bytes, LIMIT).map_err(|error| match error {
            PickleError::Io { source, .. } => DataError::io("read", path)(source),
            other => DataError::Malformed {
                file: path.to_path_buf(),
                place: "the pickle".to_owned(),
                expected: "a dictionary",
                found: other.to_string(),
            },
        })?;
        let path = path.to_path_buf();
        Ok(Self { path, pickle })
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
    fn value(&self, key: &str) -> Result<NodeId> {
        let Node::Dict(pairs) = self.pickle.node(self.pickle.root()) else {
            return Err(self.fault(key, "a dictionary", "something else"));
        };
        let own = pairs
            .iter()
            .rev()
            .find(|(own, _)| self.text(*own).as_deref() == Some(key));
        own.map(|(_, value)| *value)
            .ok_or_else(|| self.fault(key, "a value of that key", "none"))
    }

    fn list(&self, key: &str) -> Result<&[NodeId]> {
        match self.pickle.node(self.value(key)?) {
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
            let label = |id: &NodeId| self.pickle.count(*id).filter(|label| label < count);
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
            [rows, PIXELS] if count == Some(bytes.len()) && rows > 0 => Ok(bytes.into_owned()),
            _ => Err(fault(format!("{} bytes of shape {dims:?}", bytes.len()))),
        }
    }

    /// Shape and bytes of an array of unsigned bytes in the order of C.
    fn array(&self, id: NodeId) -> std::result::Result<(Vec<usize>, Cow<'_, [u8]>), String> {
        let Node::Call {
            callable, state, ..
        } = self.pickle.node(id)
        else {
            return Err("something else".to_owned());
        };
        let (module, name) = self.pickle.class(*callable).ok_or("something else")?;
        let is_numpy = matches!(module, "numpy.core.multiarray" | "numpy._core.multiarray");
        if !(is_numpy && name == "_reconstruct") {
            return Err(format!("a call of {module}.{name}"));
        }
        let state = state
            .and_then(|state| self.pickle.tuple(state))
            .ok_or("an array without contents")?;
        let [_, shape, dtype, is_fortran, bytes] = state[..] else {
            return Err("contents of another form".to_owned());
        };
        let dims = self.pickle.tuple(shape).ok_or("an array without a shape")?;
        let dims = dims.iter().map(|id| self.pickle.count(*id));
        let dims = dims.collect::<Option<Vec<_>>>();
        let dims = dims.ok_or("a shape that is no tuple of sizes")?;
        let kind = match self.pickle.node(dtype) {
            Node::Call { args, .. } => self
                .pickle
                .tuple(*args)
                .and_then(|args| self.text(*args.first()?)),
            _ => None,
        };
        match kind.as_deref() {
            Some("u1" | "|u1") => {}
            other => return Err(format!("an array of {}", other.unwrap_or("unknown type"))),
        }
        if *self.pickle.node(is_fortran) != Node::Bool(false) {
            return Err("an array in the order of Fortran".to_owned());
        }
        let bytes = self.bytes_of(bytes).ok_or("contents that are no bytes")?;
        Ok((dims, bytes))
    }

    /// A text, also one that is to be encoded.
    fn text(&self, id: NodeId) -> Option<String> {
        match self.pickle.node(id) {
            Node::Call { .. } => String::from_utf8(self.bytes_of(id)?.into_owned()).ok(),
            _ => self.pickle.text(id).map(str::to_owned),
        }
    }

    /// Bytes, also as Python 3 writes them in protocol 2: a text that is to be encoded to Latin-1.
    fn bytes_of(&self, id: NodeId) -> Option<Cow<'_, [u8]>> {
        let pickle = &self.pickle;
        let (callable, args) = match pickle.node(id) {
            Node::Bytes(bytes) => return Some(bytes.into()),
            Node::Call { callable, args, .. } => (*callable, *args),
            _ => return None,
        };
        match (pickle.class(callable)?, pickle.tuple(args)?) {
            (("_codecs", "encode"), [text, codec]) => {
                let is_latin = matches!(pickle.text(*codec)?, "latin1" | "latin-1");
                let text = pickle.text(*text).filter(|_| is_latin)?;
                let bytes = text.chars().map(|own| u8::try_from(own).ok());
                bytes.collect::<Option<Vec<u8>>>().map(Cow::Owned)
            }
            (("__builtin__" | "builtins", "bytes"), []) => Some(Cow::Owned(Vec::new())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
