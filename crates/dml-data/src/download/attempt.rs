//! One request, and how it failed.

use std::error::Error;
use std::time::Duration;

use dml_core::with_causes;

use crate::DataError;

/// A request that failed. Its message names the address; the source says why.
#[derive(Debug, thiserror::Error)]
#[error("the request to {url} failed")]
pub struct Attempt {
    /// The address.
    pub url: String,
    /// How many bytes it brought before it failed.
    pub received: u64,
    /// What went wrong.
    #[source]
    pub fault: Fault,
}

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No connection, a connection that broke, or a time-out.
    #[error("no connection, or one that broke")]
    Transport(#[source] Box<dyn Error + Send + Sync>),
    /// The server sent fewer bytes per second than [`DownloadConfig`](super::DownloadConfig) asks for.
    #[error("expected at least {expected} bytes per second, found {received} bytes in {span:?}")]
    TooSlow {
        /// The lowest rate, in bytes per second.
        expected: u32,
        /// Bytes that arrived in the span.
        received: u64,
        /// The span of time.
        span: Duration,
    },
    /// The server answered with a status that is no success.
    #[error("status {status}")]
    Status {
        /// The status, such as 404.
        status: u16,
        /// How many seconds the server asks to wait.
        retry_after: Option<u64>,
    },
    /// The server sent another part of the file than it was asked for.
    #[error("expected the file from byte {expected} on, found the range {found:?}")]
    Range {
        /// The first byte asked for.
        expected: u64,
        /// What the server says that it sends.
        found: String,
    },
    /// The connection ended before the file did.
    #[error("expected {expected} bytes, found {found}")]
    Dropped {
        /// How many bytes the file has.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The file is larger than it can be.
    #[error("expected at most {limit} bytes, found more")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The file is whole, but not what it should be.
    #[error(transparent)]
    Contents(Box<DataError>),
}

impl Fault {
    /// Whether the same request may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Transport(_)
            | Self::TooSlow { .. }
            | Self::Dropped { .. }
            | Self::Range { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::TooLarge { .. } | Self::Contents(_) => false,
        }
    }

    /// How many seconds the server asks to wait.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Attempt {
    /// The address and the whole chain of causes, for a message that is no link of that chain.
    fn in_full(&self) -> String {
        format!("{}: {}", self.url, with_causes(&self.fault))
    }

    /// All attempts in one line, for an error message; those that went alike one after the other are counted.
    pub(crate) fn list(attempts: &[Self]) -> String {
        let mut lines: Vec<(String, usize)> = Vec::new();
        for line in attempts.iter().map(Self::in_full) {
            match lines.last_mut() {
                Some((last, times)) if *last == line => *times += 1,
                _ => lines.push((line, 1)),
            }
        }
        let counted = lines.into_iter().map(|(line, times)| match times {
            1 => line,
            _ => format!("{line} ({times} times)"),
        });
        counted.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_went_alike_are_said_once() {
        let attempt = |url: &str| Attempt {
            url: url.to_owned(),
            received: 0,
            fault: Fault::Status {
                status: 503,
                retry_after: None,
            },
        };
        let attempts = [attempt("a"), attempt("a"), attempt("b")];
        let expected = "a: status 503 (2 times); b: status 503";
        assert_eq!(Attempt::list(&attempts), expected);
    }
}
