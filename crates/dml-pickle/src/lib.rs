//! Python's pickle format as data.
//!
//! A pickle is a program for a machine with a stack (Python, `pickletools`). This crate runs protocols 2 to 5 up to the point
//! where Python would call something: a call becomes a [`Node::Call`] with the name of what is called and its arguments, and the
//! reader decides which of them have a meaning. `collections.OrderedDict` and `defaultdict` are read as dictionaries.
//!
//! The values of a pickle are nodes of one list and refer to each other by [`NodeId`]. Values that contain themselves and deep
//! nesting therefore need no recursion. Memory is bounded by the limit on bytes and by 4,194,304 values.
//!
//! ```
//! use dml_pickle::{Node, Pickle};
//!
//! // A call of os.system is a value like any other.
//! let pickle = Pickle::read(&b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R."[..], 1024)?;
//! let Node::Call { callable, .. } = pickle.node(pickle.root()) else {
//!     panic!("expected a call");
//! };
//! assert_eq!(pickle.class(*callable), Some(("os", "system")));
//! # Ok::<(), dml_pickle::PickleError>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod machine;
mod node;
mod pickle;
#[cfg(test)]
mod tests;

pub use error::PickleError;
pub use node::{Node, NodeId};
pub use pickle::Pickle;
