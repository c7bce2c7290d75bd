//! Requests to the hub, and what its answers mean.

use std::error::Error;
use std::io::Read;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::{Agent, Body};

use super::cache::MOST_LISTING;
use super::config::HubConfig;
use super::error::{HubError, HubTarget, Result};
use super::listing::Listing;
use super::names;

/// Most redirections of a request.
const MOST_REDIRECTS: usize = 10;
/// Most characters of a server's words in an error.
const MOST_MESSAGE: usize = 300;

/// How a request failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// No connection, one that broke, or a time-out.
    Transport(Box<dyn Error + Send + Sync>),
    /// A status that is no success.
    Status(Refusal),
    /// An answer that no hub gives.
    Answer(String),
}

/// A status that is no success, and what the hub says with it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// `X-Error-Code`, such as `EntryNotFound`.
    code: String,
    /// `X-Error-Message`.
    message: String,
    /// The commit that was looked into.
    pub(super) commit: Option<String>,
    /// Seconds that the server asks to wait.
    retry_after: Option<u64>,
}

/// What the hub says of a file.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    /// Name of its contents in the cache.
    pub(super) etag: String,
    /// Commit of the revision.
    pub(super) commit: String,
    /// Number of bytes.
    pub(super) size: Option<u64>,
    /// Whether `etag` is the SHA-256 of the contents.
    pub(super) is_sha256: bool,
}

impl Fault {
    /// Whether the same request may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Status(refusal) => matches!(refusal.status, 408 | 429 | 500..),
            Self::Answer(_) => false,
        }
    }

    /// Seconds that the server asks to wait.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Status(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

/// Sends requests with a token, and follows redirections.
#[derive(Debug)]
pub(super) struct Client<'a> {
    agent: Agent,
    pub(super) config: &'a HubConfig,
    origin: Origin,
}

/// Scheme, host and port of an address.
type Origin = (String, String);

impl<'a> Client<'a> {
    pub(super) fn new(config: &'a HubConfig) -> Result<Self> {
        let origin = origin(&config.endpoint).ok_or_else(|| HubError::Argument {
            argument: "endpoint",
            expected: "an address such as https://huggingface.co",
            got: config.endpoint.clone(),
        })?;
        let answer = Some(config.answer_timeout);
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            // Redirections are followed here: the token goes to the hub alone.
            .max_redirects(0)
            .https_only(origin.0 == "https")
            .timeout_resolve(answer)
            .timeout_connect(answer)
            .timeout_send_request(answer)
            .timeout_recv_response(answer)
            .timeout_per_read(Some(config.stall_timeout))
            .user_agent(concat!("dml-models/", env!("CARGO_PKG_VERSION")));
        if !config.proxy_from_environment {
            builder = builder.proxy(None);
        }
        let agent = builder.build().into();
        Ok(Self {
            agent,
            config,
            origin,
        })
    }

    /// The commit of a revision, and the files of the repository at it.
    pub(super) fn listing(
        &self,
        repository: &str,
        revision: &str,
    ) -> std::result::Result<(String, Listing), Fault> {
        let (endpoint, revision) = (&self.config.endpoint, names::escaped(revision, b""));
        let url = format!("{endpoint}/api/models/{repository}/revision/{revision}?blobs=true");
        let response = successful(self.send(&url, Ask::All)?)?;
        let mut text = String::new();
        let body = response.into_body().into_reader();
        body.take(MOST_LISTING + 1)
            .read_to_string(&mut text)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => {
                    Fault::Answer("expected a list of files, got no text".into())
                }
                _ => Fault::Transport(Box::new(error)),
            })?;
        if text.len() as u64 > MOST_LISTING {
            return Err(Fault::Answer(format!(
                "expected a list of files of at most {MOST_LISTING} bytes, got more"
            )));
        }
        Listing::of_answer(&text).map_err(Fault::Answer)
    }

    /// Address of a file at a revision.
    pub(super) fn address(&self, repository: &str, revision: &str, file: &str) -> String {
        let endpoint = &self.config.endpoint;
        let (revision, file) = (names::escaped(revision, b""), names::escaped(file, b"/"));
        format!("{endpoint}/{repository}/resolve/{revision}/{file}")
    }

    /// What the hub says of the file at an address.
    ///
    /// The hub itself answers for small files, and redirects to a storage for large ones; the redirection has what is asked
    /// for in its headers, and the storage is not asked.
    pub(super) fn remote(&self, url: &str) -> std::result::Result<Remote, Fault> {
        let response = self.send(url, Ask::Head)?;
        let is_redirection = response.status().is_redirection();
        let response = if is_redirection {
            response
        } else {
            successful(response)?
        };
        let headers = response.headers();
        let commit = text(headers, "x-repo-commit").unwrap_or_default();
        if !names::is_commit(&commit) {
            return Err(Fault::Answer(format!(
                "expected a commit of 40 digits in X-Repo-Commit, got {commit:?}"
            )));
        }
        let linked = text(headers, "x-linked-etag");
        let given = linked.clone().or_else(|| text(headers, "etag"));
        let given = given.unwrap_or_default();
        let Some(etag) = names::etag(&given) else {
            return Err(Fault::Answer(format!(
                "expected letters and digits in ETag, got {given:?}"
            )));
        };
        let length = || number(headers, "content-length").filter(|_| !is_redirection);
        Ok(Remote {
            is_sha256: linked.is_some() && names::is_sha256(&etag),
            etag,
            commit,
            size: number(headers, "x-linked-size").or_else(length),
        })
    }

    /// Requests a file from byte `have` on.
    pub(super) fn body(&self, url: &str, have: u64) -> std::result::Result<Response<Body>, Fault> {
        self.send(url, Ask::From(have))
    }

    fn send(&self, url: &str, ask: Ask) -> std::result::Result<Response<Body>, Fault> {
        let mut url = url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let mut request = match ask {
                Ask::Head => self.agent.head(&url),
                Ask::All | Ask::From(_) => self.agent.get(&url),
            };
            // The length and the ranges are those of the file, not of a compressed one.
            request = request.header(header::ACCEPT_ENCODING, "identity");
            if let Ask::From(have @ 1..) = ask {
                request = request.header(header::RANGE, format!("bytes={have}-"));
            }
            let own = origin(&url);
            if let Some(token) = &self.config.token
                && own.as_ref() == Some(&self.origin)
            {
                let bearer = format!("Bearer {}", token.as_str());
                request = request.header(header::AUTHORIZATION, bearer);
            }
            let response = request
                .call()
                .map_err(|error| Fault::Transport(Box::new(error)))?;
            if !is_followed(response.status()) {
                return Ok(response);
            }
            let location = text(response.headers(), "location").unwrap_or_default();
            let Some(next) = joined(&url, &location) else {
                return Err(Fault::Answer(format!(
                    "expected an address in Location, got {location:?}"
                )));
            };
            // The hub sends for a large file to a storage, and says in the same answer what the file is. A mirror that sends
            // to the hub says nothing, and is left.
            let headers = response.headers();
            let says_all = headers.contains_key("x-repo-commit")
                && (headers.contains_key("x-linked-etag") || headers.contains_key("etag"));
            if ask == Ask::Head && says_all && origin(&next) != own {
                return Ok(response);
            }
            url = next;
        }
        Err(Fault::Answer(format!(
            "expected at most {MOST_REDIRECTS} redirections, got more"
        )))
    }

    /// The first success of some attempts, or the last failure and its number.
    pub(super) fn retrying<T>(
        &self,
        attempts: u32,
        mut attempt: impl FnMut() -> std::result::Result<T, Fault>,
    ) -> std::result::Result<T, (u32, Fault)> {
        let mut failures = 0;
        loop {
            let fault = match attempt() {
                Ok(result) => return Ok(result),
                Err(fault) => fault,
            };
            failures += 1;
            if !fault.may_pass() || failures >= attempts.max(1) {
                return Err((failures, fault));
            }
            std::thread::sleep(self.wait(failures, fault.retry_after()));
        }
    }

    /// The wait after a number of failures in a row. A server's own wish counts, up to the longest wait.
    pub(super) fn wait(&self, failures: u32, wish: Option<u64>) -> Duration {
        let (first, longest) = (self.config.first_wait, self.config.longest_wait);
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        let wish = wish.map_or(Duration::ZERO, Duration::from_secs);
        first.saturating_mul(doubled).max(wish).min(longest)
    }

    /// The error of a request that failed after a number of attempts.
    pub(super) fn error(&self, target: HubTarget, attempts: u32, fault: Fault) -> HubError {
        let (target, endpoint) = (Box::new(target), self.config.endpoint.clone());
        match fault {
            Fault::Transport(source) => HubError::Unreachable {
                target,
                endpoint,
                attempts,
                source,
            },
            Fault::Answer(problem) => HubError::Answer { target, problem },
            Fault::Status(refusal) => self.refusal(target, refusal),
        }
    }

    /// What a status means, by the rules of `huggingface_hub`.
    fn refusal(&self, target: Box<HubTarget>, refusal: Refusal) -> HubError {
        let Refusal {
            status,
            code,
            message,
            ..
        } = refusal;
        let has_token = self.config.token.is_some();
        let is_refused_token = message.starts_with("Invalid ") || message.contains("credentials");
        match (code.as_str(), status) {
            ("RevisionNotFound", _) => HubError::Revision { target, status },
            ("EntryNotFound", _) => HubError::File { target, status },
            ("GatedRepo", _) => HubError::Gated {
                target,
                status,
                has_token,
            },
            ("RepoNotFound", _) => HubError::Repository {
                target,
                status,
                has_token,
            },
            // The hub answers so for a repository that there is not, unless the token itself is wrong.
            (_, 401) if !(has_token && is_refused_token) => HubError::Repository {
                target,
                status,
                has_token,
            },
            (_, 401 | 403) => HubError::Token {
                target,
                status,
                message,
            },
            // Mirrors leave the code out.
            (_, 404 | 410) if target.file.is_some() => HubError::File { target, status },
            (_, 404 | 410) => HubError::Repository {
                target,
                status,
                has_token,
            },
            _ => HubError::Status {
                target,
                endpoint: self.config.endpoint.clone(),
                status,
                message,
            },
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// Headers alone.
    Head,
    /// Everything.
    All,
    /// Everything from a byte on.
    From(u64),
}

/// Whether a status names another address. 304 does not.
fn is_followed(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The answer, if its status is a success.
fn successful(response: Response<Body>) -> std::result::Result<Response<Body>, Fault> {
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(Fault::Status(refusal(&response)))
    }
}

/// What an answer says that is no success.
pub(super) fn refusal(response: &Response<Body>) -> Refusal {
    let headers = response.headers();
    let own = text(headers, "x-error-message");
    let reason = || response.status().canonical_reason().map(str::to_owned);
    let message = own.or_else(reason).unwrap_or_default();
    let commit = text(headers, "x-repo-commit").filter(|commit| names::is_commit(commit));
    Refusal {
        status: response.status().as_u16(),
        code: text(headers, "x-error-code").unwrap_or_default(),
        message: message.chars().take(MOST_MESSAGE).collect(),
        commit,
        retry_after: number(headers, "retry-after"),
    }
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn origin(url: &str) -> Option<Origin> {
    let url: Uri = url.parse().ok()?;
    let scheme = url.scheme_str()?.to_ascii_lowercase();
    let authority = url.authority()?.as_str().to_ascii_lowercase();
    matches!(scheme.as_str(), "http" | "https").then_some((scheme, authority))
}

/// The address that a redirection from `url` leads to: a whole one, or a path on the same server.
fn joined(url: &str, location: &str) -> Option<String> {
    if origin(location).is_some() {
        return Some(location.to_owned());
    }
    let (scheme, authority) = origin(url)?;
    // `//host/path` would lead to another server.
    let is_path = location.starts_with('/') && !location.starts_with("//");
    is_path.then(|| format!("{scheme}://{authority}{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_lead_to_addresses_or_paths() {
        let url = "http://127.0.0.1:80/a/b?c";
        let fine = [
            ("/x?y=1", "http://127.0.0.1:80/x?y=1"),
            ("https://cdn.example/z", "https://cdn.example/z"),
        ];
        for (location, expected) in fine {
            assert_eq!(joined(url, location).as_deref(), Some(expected));
        }
        for location in [
            "",
            "x",
            "//cdn.example/z",
            "file:///etc/passwd",
            "ftp://a/b",
        ] {
            assert_eq!(joined(url, location), None, "{location}");
        }
        assert_ne!(origin("http://a/"), origin("https://a/"));
        assert_ne!(origin("http://a:1/"), origin("http://a:2/"));
    }
}
