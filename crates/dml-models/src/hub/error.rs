//! Errors of the hub: every message names the repository, the file and what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Result of every function that asks the hub or its cache.
pub type Result<T> = std::result::Result<T, HubError>;

/// A repository at a revision, or one of its files.
///
/// ```
/// use dml_models::hub::{HubError, HubModel};
///
/// let error = HubModel::new("a/b/c").file("model.safetensors").unwrap_err();
/// assert!(matches!(error, HubError::Argument { argument: "repository", .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubTarget {
    /// Name of the repository, such as `sentence-transformers/all-MiniLM-L6-v2`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Path of the file in the repository; `None` for the repository itself.
    pub file: Option<String>,
}

impl fmt::Display for HubTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.repository, self.revision)?;
        match &self.file {
            Some(file) => write!(f, ", {file}"),
            None => Ok(()),
        }
    }
}

/// Errors of downloading from the hub and of reading its cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// An argument or a variable of the environment is none that the hub can take.
    #[error("{argument}: expected {expected}, got {got:?}")]
    Argument {
        /// Name of the argument or of the variable.
        argument: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// There is no folder for the cache.
    #[error("no folder for the cache: set HF_HOME or HF_HUB_CACHE")]
    NoCacheFolder,
    /// The hub is not asked, and the cache lacks something.
    #[error("{target}: offline (HF_HUB_OFFLINE), and the cache {} {problem}; download it once without HF_HUB_OFFLINE", cache.display())]
    NotCached {
        /// What was looked for.
        target: Box<HubTarget>,
        /// Folder of the cache.
        cache: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// The server gave no answer.
    #[error(
        "{target}: no answer from {endpoint} in {attempts} attempts, and no copy in the cache; check the network, the proxy and HF_ENDPOINT"
    )]
    Unreachable {
        /// What was asked for.
        target: Box<HubTarget>,
        /// Address of the hub.
        endpoint: String,
        /// Number of requests.
        attempts: u32,
        /// Why the last request failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A transfer broke too often.
    #[error("{target}: the transfer broke {attempts} times in a row, and {received} bytes of {} are there; the next download resumes", size(*.expected))]
    Interrupted {
        /// The file.
        target: Box<HubTarget>,
        /// Number of bytes that are there.
        received: u64,
        /// Number of bytes that the file has, if the hub said so.
        expected: Option<u64>,
        /// Number of requests in a row that brought next to nothing.
        attempts: u32,
        /// Why the last request failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no repository of that name, or the token may not see it. The hub answers both alike.
    #[error("{target}: no such repository, or a private one (status {status}); check its name{}", token_advice(*.has_token))]
    Repository {
        /// The repository.
        target: Box<HubTarget>,
        /// Status of the answer.
        status: u16,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The repository has no branch, tag or commit of that name.
    #[error("{target}: the repository has no such revision (status {status})")]
    Revision {
        /// The repository and the revision.
        target: Box<HubTarget>,
        /// Status of the answer.
        status: u16,
    },
    /// The repository has no file of that name at the revision.
    #[error("{target}: the repository has no such file at this revision (status {status})")]
    File {
        /// The file.
        target: Box<HubTarget>,
        /// Status of the answer; 404 if the cache remembers it.
        status: u16,
    },
    /// The repository's conditions have to be accepted first.
    #[error("{target}: a gated repository (status {status}); accept its conditions on its page{}", token_advice(*.has_token))]
    Gated {
        /// The repository or a file.
        target: Box<HubTarget>,
        /// Status of the answer.
        status: u16,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The token is refused.
    #[error(
        "{target}: the token is refused (status {status}: {message}); check HF_TOKEN and its permissions"
    )]
    Token {
        /// The repository or a file.
        target: Box<HubTarget>,
        /// Status of the answer.
        status: u16,
        /// The hub's own words.
        message: String,
    },
    /// The server answers with another status that is no success.
    #[error("{target}: {endpoint} answered with status {status} ({message})")]
    Status {
        /// The repository or a file.
        target: Box<HubTarget>,
        /// Address of the hub.
        endpoint: String,
        /// Status of the answer.
        status: u16,
        /// The server's own words; empty for none.
        message: String,
    },
    /// The server's answer is none of a hub.
    #[error("{target}: {problem}; check that HF_ENDPOINT is the address of a hub")]
    Answer {
        /// The repository or a file.
        target: Box<HubTarget>,
        /// What was expected and what came.
        problem: String,
    },
    /// What arrived is not the file. It was removed.
    #[error("{target}: expected {expected}, got {got}; download it again")]
    Contents {
        /// The file.
        target: Box<HubTarget>,
        /// Number of bytes or checksum by the hub.
        expected: String,
        /// That of what arrived.
        got: String,
    },
    /// The repository has no weights that [`Weights`](crate::Weights) looks for.
    #[error("{target}: expected model.safetensors or pytorch_model.bin or an index of one of them, found {}; name the file (`HubModel::file`)", listed(.found))]
    NoWeights {
        /// The repository.
        target: Box<HubTarget>,
        /// Its other files that may be weights.
        found: Vec<String>,
    },
    /// Another process has been downloading the file for too long.
    #[error("{}: held by another download for {waited:?}; end that process, or wait for it", lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The progress function asked to stop. What arrived is kept, and the next download resumes.
    #[error("{target}: stopped")]
    Stopped {
        /// The file.
        target: Box<HubTarget>,
    },
    /// The disk is full. What arrived is kept, and the next download resumes.
    #[error("no room for {}; free some, or set HF_HOME to a folder on another disk", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// The operating system could not do something with a file of the cache.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The answer of the operating system.
        source: io::Error,
    },
}

impl HubError {
    /// For `map_err`: what was tried with which file.
    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| {
            let path = path.to_path_buf();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Self::DiskFull { path, source }
                }
                _ => Self::Io {
                    action,
                    path,
                    source,
                },
            }
        }
    }

    /// Whether the hub gave no answer, or one that says nothing about what was asked for. A copy in the cache is then taken
    /// instead.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }
}

fn size(expected: Option<u64>) -> String {
    expected.map_or("an unknown number".to_owned(), |size| size.to_string())
}

fn token_advice(has_token: bool) -> &'static str {
    if has_token {
        ", and whether the token of HF_TOKEN may read it"
    } else {
        ", or set HF_TOKEN to a token that may read it"
    }
}

fn listed(found: &[String]) -> String {
    if found.is_empty() {
        "no file of weights".to_owned()
    } else {
        crate::error::listed(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let path = Path::new("hub/blobs/1.incomplete");
        let full = HubError::io("write", path)(io::ErrorKind::StorageFull.into());
        assert!(matches!(&full, HubError::DiskFull { .. }), "{full}");
        let text = full.to_string();
        assert!(text.contains("1.incomplete") && text.contains("HF_HOME"));
        let denied = HubError::io("write", path)(io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.to_string(), "can't write hub/blobs/1.incomplete");
    }
}
