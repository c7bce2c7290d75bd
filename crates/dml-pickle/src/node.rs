//! The values of a pickle.

/// Number of a value in its [`Pickle`](crate::Pickle).
///
/// ```
/// use dml_pickle::{NodeId, Pickle};
///
/// let pickle = Pickle::read(&b"K\x05."[..], 1024)?;
/// let root: NodeId = pickle.root();
/// assert_eq!(pickle.count(root), Some(5));
/// # Ok::<(), dml_pickle::PickleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(crate) usize);

/// A value of a pickle.
///
/// ```
/// use dml_pickle::{Node, Pickle};
///
/// let pickle = Pickle::read(&b"\x88."[..], 1024)?;
/// assert_eq!(*pickle.node(pickle.root()), Node::Bool(true));
/// # Ok::<(), dml_pickle::PickleError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Node {
    /// `None`, a real number, a whole number of more than 64 bits, or a set.
    Other,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes, or a text of Python 2.
    Bytes(Vec<u8>),
    /// A tuple.
    Tuple(Vec<NodeId>),
    /// A list.
    List(Vec<NodeId>),
    /// Keys and values of a dictionary, in the order of the file; a later value replaces an earlier one of the same key.
    Dict(Vec<(NodeId, NodeId)>),
    /// The name of a class or function.
    Class {
        /// Module, such as `torch._utils`.
        module: String,
        /// Name within the module.
        name: String,
    },
    /// A call that was not made.
    Call {
        /// What is called.
        callable: NodeId,
        /// The arguments, a tuple.
        args: NodeId,
        /// The state that the object was given afterwards.
        state: Option<NodeId>,
    },
    /// A value that is stored elsewhere, described by another value.
    Persistent(NodeId),
}
