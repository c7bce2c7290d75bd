//! `POST /search`: the nearest neighbours of an image, a text, a vector or an item.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::{answer, arguments};
use crate::app::App;
use crate::problem::Problem;
use crate::reading::{Content, ContentKind};
use crate::searching::Found;
use crate::wire::{SearchArguments, SearchBody, SearchQuery, parse};

/// Length of a body that is read by the thread that serves connections, in bytes. Longer ones take noticeable time.
pub(super) const SHORT: usize = 32 << 10;

#[derive(Serialize)]
struct Answer<'a> {
    hits: Found,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<&'a str>,
    milliseconds: f64,
}

pub(super) async fn search(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let start = Instant::now();
    let (parts, body) = request.into_parts();
    let content = Content::read(&parts.headers, body, &app.limits, &app.bodies).await?;
    let limits = app.limits.clone();
    let arguments: SearchArguments = match content.kind {
        ContentKind::Json(bytes) if bytes.len() <= SHORT => {
            parse::<SearchBody>("body", &bytes)?.arguments(&limits)?
        }
        ContentKind::Json(bytes) => {
            let read = move || parse::<SearchBody>("body", &bytes)?.arguments(&limits);
            app.blocking.run(read).await?
        }
        ContentKind::Form(form) => SearchArguments::of_form(form, &limits)?,
        ContentKind::Image(image) => {
            arguments::<SearchQuery>(&parts.uri)?.arguments(image, &limits)?
        }
    };
    let hits = app.search(arguments).await?;
    Ok(answer(&Answer {
        hits,
        distance: app.distance.as_deref(),
        milliseconds: start.elapsed().as_secs_f64() * 1e3,
    }))
}
