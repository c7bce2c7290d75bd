//! `GET /health/live`, `GET /health/ready` and `GET /metrics`: for what watches the service.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answer;
use crate::app::App;
use crate::metrics::MEDIA_TYPE;
use crate::problem::{Problem, json};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    /// Why the newer version of the collection is not served.
    #[serde(skip_serializing_if = "Option::is_none")]
    reload: Option<&'static str>,
}

/// The process answers.
pub(super) async fn live() -> Response {
    answer(&Health {
        status: "live",
        reload: None,
    })
}

/// Requests can be answered.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    // The reason may name folders: it stands in the log, and this answer needs no token.
    let reload = app
        .live
        .fault()
        .map(|_| "the newer version of the collection can't be opened");
    let (code, status) = match app.is_ready() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    json(code, &Health { status, reload })
}

/// All metrics as text.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    // Waits for a change of the collection, if there is one.
    let work = {
        let app = Arc::clone(&app);
        move || {
            let items = app.live.current().read()?.len();
            let text = app.metrics.text(items);
            text.map_err(|_| Problem::internal("the metrics can't be written"))
        }
    };
    let text = app.blocking.run(work).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}
