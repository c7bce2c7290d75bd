//! Why a service can't be set up, or can't go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use dml_eval::CollectionError;

/// Why a service can't be set up, or can't go on. Errors of single requests are answers of HTTP.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A limit is out of range.
    #[error("{name}: expected {expected}, got {got}")]
    Limit {
        /// The field of [`Limits`](crate::Limits).
        name: &'static str,
        /// The range.
        expected: String,
        /// The value.
        got: String,
    },
    /// The token can't stand in a header.
    #[error("token: expected 1 to 4,096 visible ASCII characters, got {got}")]
    Token {
        /// What is wrong with it; the token itself is not repeated.
        got: String,
    },
    /// A name of a host can't stand in a header.
    #[error("hosts: expected names such as `search.example.org` or `192.168.0.7`, got `{got}`")]
    Host {
        /// The name.
        got: String,
    },
    /// The address can be reached from the network, and neither a token nor open access is configured.
    #[error(
        "{address}: expected an address of this machine, such as 127.0.0.1, or a token, or open access"
    )]
    OpenToNetwork {
        /// The address.
        address: SocketAddr,
    },
    /// The address can't be listened on.
    #[error("can't listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The answer of the system.
        source: io::Error,
    },
    /// The system refused a thread, a signal handler or a runtime.
    #[error("can't start {what}")]
    Start {
        /// What was to be started.
        what: &'static str,
        /// The answer of the system.
        source: io::Error,
    },
    /// A file or folder can't be read or written.
    #[error("can't {action} {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
    /// A file of hard pairs is of another format or damaged.
    #[error("{}: {reason}", path.display())]
    HardPairs {
        /// The file.
        path: PathBuf,
        /// What was expected and what is there.
        reason: String,
    },
    /// The collection can't be opened.
    #[error(transparent)]
    Collection(#[from] CollectionError),
}
