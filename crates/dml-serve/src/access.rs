//! Who may read, who may change, and under which names the service is reached.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ServeError;
use crate::problem::{Problem, quoted};

/// Who may store and delete items. A collection that is opened read-only is never changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edits {
    /// No request.
    Refused,
    /// Requests with the token of the service; none if the service has no token.
    #[default]
    WithToken,
    /// Every request that may search.
    Allowed,
}

/// The SHA-256 of the token, so that comparing takes the same time whatever its length.
#[derive(Clone, Debug)]
pub(crate) struct Token([u8; 32]);

impl Token {
    /// # Errors
    /// [`ServeError::Token`] if it is empty, too long or has a character that a header can't hold.
    pub(crate) fn new(token: &str) -> Result<Self, ServeError> {
        let refuse = |got: String| Err(ServeError::Token { got });
        if token.is_empty() || token.len() > 4096 {
            return refuse(format!("{} bytes", token.len()));
        }
        match token.bytes().position(|byte| !byte.is_ascii_graphic()) {
            Some(place) => refuse(format!("another character at position {place}")),
            None => Ok(Self(Sha256::digest(token.as_bytes()).into())),
        }
    }

    /// Whether the headers have `Authorization: Bearer` with the token.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return false;
        };
        let value = value.as_bytes();
        let Some((scheme, token)) = value.split_at_checked("Bearer ".len()) else {
            return false;
        };
        let own: [u8; 32] = Sha256::digest(token.trim_ascii()).into();
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(own.ct_eq(&self.0))
    }
}

/// Names under which the service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    Any,
    Only(Vec<String>),
}

impl Hosts {
    /// Those of the machine itself, with the address that it is reached by.
    pub(crate) fn loopback(address: IpAddr) -> Self {
        let own = match address {
            IpAddr::V4(own) => own.to_string(),
            IpAddr::V6(own) => format!("[{own}]"),
        };
        let names = ["localhost", "127.0.0.1", "[::1]", &own];
        Self::Only(names.map(str::to_owned).to_vec())
    }

    /// # Errors
    /// [`ServeError::Host`] for a name with a port, a path or other characters that are not part of a name.
    pub(crate) fn only(names: impl IntoIterator<Item = String>) -> Result<Self, ServeError> {
        let checked = |name: String| {
            let inner = name.strip_prefix('[').and_then(|own| own.strip_suffix(']'));
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let fits = match inner {
                Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
                None => !name.is_empty() && name.bytes().all(is_part),
            };
            match fits {
                true => Ok(name.to_ascii_lowercase()),
                false => Err(ServeError::Host { got: name }),
            }
        };
        Ok(Self::Only(
            names.into_iter().map(checked).collect::<Result<_, _>>()?,
        ))
    }

    fn has(&self, host: &str) -> bool {
        let Self::Only(names) = self else {
            return true;
        };
        // The name in `name:port` and `[::1]:port`.
        let end = match host.strip_prefix('[') {
            Some(inner) => inner.find(']').map_or(host.len(), |at| at + 2),
            None => host.find(':').unwrap_or(host.len()),
        };
        let name = &host[..end.min(host.len())];
        names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// The rules of a service.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) token: Option<Token>,
    pub(crate) edits: Edits,
    pub(crate) hosts: Hosts,
}

impl Access {
    /// Refuses requests under another name, and those that another site makes in a browser.
    ///
    /// A page of another site can have its own name point to this machine, and then read the answers; its requests carry that
    /// name in `Host`.
    ///
    /// # Errors
    /// Status 421 for another name, 403 for another site.
    pub(crate) fn check_origin(
        &self,
        method: &Method,
        host: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let host = host.unwrap_or("");
        if !self.hosts.has(host) {
            return Err(Problem::host(&quoted(host)));
        }
        let site = headers
            .get("sec-fetch-site")
            .map(axum::http::HeaderValue::as_bytes);
        if method != Method::GET && site == Some(b"cross-site") {
            return Err(Problem::forbidden(
                "expected a request of this site, got one of another",
            ));
        }
        Ok(())
    }

    /// # Errors
    /// Status 401 if the service has a token and the request has not.
    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match &self.token {
            Some(token) if !token.is_in(headers) => Err(Problem::unauthorized()),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// Status 403 if this service changes no items. The token itself is checked before.
    pub(crate) fn check_edits(&self) -> Result<(), Problem> {
        match (self.edits, &self.token) {
            (Edits::Allowed, _) | (Edits::WithToken, Some(_)) => Ok(()),
            (Edits::WithToken, None) => Err(Problem::forbidden(
                "items can't be changed: the service has no token, and changes without one are not allowed",
            )),
            (Edits::Refused, _) => {
                Err(Problem::forbidden("items can't be changed in this service"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_token_is_compared_as_a_whole() {
        let token = Token::new("secret-7").unwrap();
        for right in ["Bearer secret-7", "bearer secret-7", "Bearer  secret-7"] {
            assert!(token.is_in(&with(right)), "{right}");
        }
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer secret-",
            "Bearer secret-78",
            "Basic secret-7",
            "secret-7",
            "Bearer secret-7 x",
            "Bearer SECRET-7",
        ] {
            assert!(!token.is_in(&with(wrong)), "{wrong}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn tokens_that_no_header_holds_are_refused_without_being_repeated() {
        for (token, got) in [
            ("", "0 bytes"),
            ("top secret", "another character at position 3"),
            ("geheimnß", "another character at position 7"),
        ] {
            let error = Token::new(token).unwrap_err().to_string();
            assert!(error.ends_with(got) && !error.contains("secret"), "{error}");
        }
        assert!(Token::new(&"x".repeat(5000)).is_err());
    }

    #[test]
    fn hosts_are_compared_without_their_port() {
        let hosts = Hosts::loopback([127, 0, 0, 5].into());
        for right in [
            "localhost",
            "LocalHost:80",
            "127.0.0.1:8080",
            "127.0.0.5:1",
            "[::1]",
            "[::1]:9",
        ] {
            assert!(hosts.has(right), "{right}");
        }
        for wrong in [
            "",
            "localhost.evil.example",
            "evil.example:80",
            "127.0.0.6",
            "127.0.0.1.evil",
            "[::2]:9",
            "[",
            "[::1",
        ] {
            assert!(!hosts.has(wrong), "{wrong}");
        }
        assert!(Hosts::Any.has("evil.example"));
        let own = Hosts::only(["Search.Example.org".to_owned(), "[fe80::1]".to_owned()]).unwrap();
        assert!(own.has("search.example.ORG:443") && own.has("[fe80::1]:1"));
        for wrong in ["", "a b", "a:80", "http://a", "[x]"] {
            assert!(Hosts::only([wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_site_may_look_and_not_send() {
        let access = Access {
            token: None,
            edits: Edits::Allowed,
            hosts: Hosts::Any,
        };
        let site = |value: &'static str| {
            HeaderMap::from_iter([(
                header::HeaderName::from_static("sec-fetch-site"),
                HeaderValue::from_static(value),
            )])
        };
        let check = |method: Method, site: &HeaderMap| {
            access.check_origin(&method, Some("a"), site).is_ok()
        };
        assert!(check(Method::POST, &HeaderMap::new()));
        assert!(check(Method::POST, &site("same-origin")));
        assert!(check(Method::GET, &site("cross-site")));
        assert!(!check(Method::POST, &site("cross-site")));
        assert!(!check(Method::DELETE, &site("cross-site")));
    }

    #[test]
    fn edits_need_a_token_or_leave() {
        let token = || Some(Token::new("t").unwrap());
        let table = [
            (Edits::Refused, None, false),
            (Edits::Refused, token(), false),
            (Edits::WithToken, None, false),
            (Edits::WithToken, token(), true),
            (Edits::Allowed, None, true),
            (Edits::Allowed, token(), true),
        ];
        for (edits, token, expected) in table {
            let access = Access {
                token,
                edits,
                hosts: Hosts::Any,
            };
            assert_eq!(access.check_edits().is_ok(), expected, "{edits:?}");
        }
    }
}
