//! What every request passes on its way to its handler and back.
//!
//! ```text
//! observe ─▶ headers ─▶ panics ─▶ origin ─▶ token ─▶ places ─▶ time ─▶ handler
//! ```

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;

use crate::app::App;
use crate::problem::Problem;

/// The header with the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, counts it and writes it to the log.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = stated_id(request.headers()).unwrap_or_else(|| app.request_ids.next());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", id, %method, path = request.uri().path());
    let in_progress = InProgress::new(&app);
    let mut response = next.run(request).instrument(span.clone()).await;
    drop(in_progress);
    let (status, time) = (response.status().as_u16(), start.elapsed());
    let counted = counted_method(&method);
    app.metrics.answered(counted, &route, status, time);
    span.in_scope(|| tracing::info!(status, milliseconds = time.as_secs_f64() * 1e3, "answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The name of a method in metrics. Each name is kept for as long as the service runs, and a client may make up names.
fn counted_method(method: &Method) -> &'static str {
    match *method {
        Method::CONNECT => "CONNECT",
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

/// Counts a request for as long as it is in progress, also if its client goes.
struct InProgress<'a>(&'a App);

impl<'a> InProgress<'a> {
    fn new(app: &'a App) -> Self {
        app.metrics.in_progress.inc();
        Self(app)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_progress.dec();
    }
}

/// The id that a proxy has given the request, if it can stand in a log.
fn stated_id(headers: &HeaderMap) -> Option<String> {
    let stated = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let fits = (1..=64).contains(&stated.len()) && stated.bytes().all(is_part);
    fits.then(|| stated.to_owned())
}

/// Tells browsers not to guess media types, not to frame answers and not to keep them where nothing else is said.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::X_FRAME_OPTIONS, "DENY");
    default(header::CACHE_CONTROL, "no-store");
    default(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; sandbox",
    );
    default(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    response
}

/// Answers status 500 where a handler panics.
pub(crate) async fn catch_panics(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Problem::internal("a handler panicked").into_response(),
    }
}

/// Refuses requests under another name, and of other sites.
pub(crate) async fn check_origin(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let stated = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    // A request line may hold the whole address; then that is what counts.
    let authority = request
        .uri()
        .authority()
        .map(axum::http::uri::Authority::as_str);
    let host = authority.or(stated);
    match app
        .access
        .check_origin(request.method(), host, request.headers())
    {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Refuses requests without the token.
pub(crate) async fn check_token(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    match app.access.check_token(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Refuses changes of items where they are not allowed.
pub(crate) async fn check_edits(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    match app.access.check_edits() {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Refuses requests when too many are in progress, and gives up those that take too long.
pub(crate) async fn bound(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Ok(_place) = app.requests.try_acquire() else {
        return Problem::overloaded(app.limits.requests).into_response();
    };
    let time = app.limits.request_time;
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout(time.as_secs_f64()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_proxies_are_kept_if_they_fit_into_a_log() {
        let of = |value: &'static str| {
            stated_id(&HeaderMap::from_iter([(
                REQUEST_ID,
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(of("a1-b2:7.x_").as_deref(), Some("a1-b2:7.x_"));
        for odd in [
            "",
            "a b",
            "a\tb",
            "<x>",
            "0123456789012345678901234567890123456789012345678901234567890123456789",
        ] {
            assert_eq!(of(odd), None);
        }
    }
}
