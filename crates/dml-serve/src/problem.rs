//! Refusals and failures of requests, as JSON with one sentence.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The answer to a request that is refused or fails.
///
/// ```text
/// {"code": "not_found", "error": "id: no item \"a-9\""}
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// For the log: what the client has no use for.
    detail: Option<String>,
    /// Name and value of a header beside the body; both are constants, which keeps the type small.
    header: Option<(&'static str, &'static str)>,
}

/// The body of the answer.
#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    error: &'a str,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: None,
            header: None,
        }
    }

    /// An argument is malformed or out of range.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// `name: expected …, got …`.
    pub(crate) fn argument(
        name: &str,
        expected: impl std::fmt::Display,
        got: impl std::fmt::Display,
    ) -> Self {
        Self::invalid(format!("{name}: expected {expected}, got {got}"))
    }

    pub(crate) fn unauthorized() -> Self {
        let message =
            "expected the header `Authorization: Bearer TOKEN` with the token of this service";
        let mut own = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        own.header = Some(("www-authenticate", "Bearer"));
        own
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method(method: &Method, path: &str) -> Self {
        let message = format!("{path}: expected a method of the header `Allow`, got {method}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", message)
    }

    pub(crate) fn slow_body(seconds: f64) -> Self {
        let message = format!("the body of the request did not arrive within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message)
    }

    pub(crate) fn too_large(name: &str, limit: usize) -> Self {
        let message = format!("{name}: expected at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(crate) fn media_type(expected: &str, got: &str) -> Self {
        let message = format!("content-type: expected {expected}, got {got}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message)
    }

    pub(crate) fn host(got: &str) -> Self {
        let message = format!("host: expected a name of this service, got `{got}`");
        Self::new(StatusCode::MISDIRECTED_REQUEST, "host", message)
    }

    /// The input is well-formed and can't be used: an image that can't be decoded, a vector of another length.
    pub(crate) fn unusable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable", message)
    }

    /// The service lacks what the request needs, such as a model for images.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "unavailable", message)
    }

    pub(crate) fn overloaded(limit: usize) -> Self {
        let message = format!("{limit} requests are in progress, which is the limit; try again");
        let mut own = Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message);
        own.header = Some(("retry-after", "1"));
        own
    }

    pub(crate) fn timeout(seconds: f64) -> Self {
        let message = format!("the request was not answered within {seconds} s");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// A fault of the service. The client reads that there was one, and the log has the rest.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let message = "the service failed; its log has the reason under the id of this request";
        let mut own = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
        own.detail = Some(detail.into());
        own
    }

    pub(crate) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            code: self.code,
            error: &self.message,
        };
        if let Some(detail) = self.detail() {
            tracing::error!(status = self.status.as_u16(), "{detail}");
        }
        let mut response = json(self.status, &body);
        if let Some((name, value)) = self.header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// A value as an answer in JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let kind = (header::CONTENT_TYPE, "application/json");
            (status, [kind], bytes).into_response()
        }
        Err(error) => {
            tracing::error!("an answer can't be written as JSON: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The name of a value in a sentence, quoted and cut to a length that fits into one.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_service_keeps_its_reason_to_itself() {
        let problem = Problem::internal("no such file: secret");
        assert_eq!(problem.detail(), Some("no such file: secret"));
        assert!(!problem.message.contains("secret"));
        assert_eq!(problem.into_response().status(), 500);
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(quoted("a\"b"), r#""a\"b""#);
        let long = quoted(&"ä".repeat(200));
        assert_eq!(long.chars().count(), 80 + 2 + 1);
    }
}
