//! `GET /`: the web page. `GET /openapi.json`: the description of all routes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::page;

pub(super) async fn page(State(app): State<Arc<App>>) -> Response {
    let page = page::html(&app.title);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, page::policy()),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, page).into_response()
}

pub(super) async fn openapi() -> Response {
    let kind = (header::CONTENT_TYPE, "application/json");
    ([kind], page::OPENAPI).into_response()
}
