//! A pickle with its values.

use std::io::Read;

use crate::machine::Machine;
use crate::{Node, NodeId, PickleError};

/// A pickle that has been read.
///
/// ```
/// use dml_pickle::Pickle;
///
/// // pickle.dumps(("a", 1), protocol=2)
/// let pickle = Pickle::read(&b"\x80\x02X\x01\x00\x00\x00aK\x01\x86."[..], 1024)?;
/// let items = pickle.tuple(pickle.root()).expect("a tuple");
/// assert_eq!(pickle.text(items[0]), Some("a"));
/// assert_eq!(pickle.count(items[1]), Some(1));
/// # Ok::<(), dml_pickle::PickleError>(())
/// ```
#[derive(Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    root: NodeId,
}

impl Pickle {
    /// Reads one pickle and no byte behind it.
    ///
    /// `limit` is the largest number of bytes that are read. The bytes are read one operation at a time: pass a buffered reader.
    ///
    /// # Errors
    /// [`PickleError`] if the pickle ends early, is longer than `limit`, has operations of other protocols or more than 4,194,304
    /// values, or can't be read.
    pub fn read(bytes: impl Read, limit: u64) -> Result<Self, PickleError> {
        let (nodes, root) = Machine::new(bytes, limit).run()?;
        Ok(Self { nodes, root })
    }

    /// The value that the pickle is for.
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// A value by its number.
    ///
    /// # Panics
    /// If the number is of another pickle with more values.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All values, those that the root does not refer to included.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The text of a value; `None` if it is no text. Bytes in UTF-8 are a text, because Python 2 writes texts as bytes.
    #[must_use]
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// A whole number that is not negative; `None` for any other value.
    #[must_use]
    pub fn count(&self, id: NodeId) -> Option<usize> {
        match self.node(id) {
            Node::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The items of a tuple; `None` for any other value.
    #[must_use]
    pub fn tuple(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Module and name of a class or function; `None` for any other value.
    #[must_use]
    pub fn class(&self, id: NodeId) -> Option<(&str, &str)> {
        match self.node(id) {
            Node::Class { module, name } => Some((module, name)),
            _ => None,
        }
    }
}
