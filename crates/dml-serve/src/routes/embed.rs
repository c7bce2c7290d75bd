//! `POST /embed`: the embedding of an image or a text.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::answer;
use crate::app::App;
use crate::problem::Problem;
use crate::reading::{Content, ContentKind};
use crate::wire::{EmbedBody, Input, embed_input, parse};

#[derive(Serialize)]
struct Answer {
    dim: usize,
    vector: Vec<f32>,
}

pub(super) async fn embed(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let content = Content::read(&parts.headers, body, &app.limits, &app.bodies).await?;
    let input = match content.kind {
        ContentKind::Json(bytes) => parse::<EmbedBody>("body", &bytes)?.input(&app.limits)?,
        ContentKind::Form(form) => embed_input(form, &app.limits)?,
        ContentKind::Image(image) => Input::of_image(image)?,
    };
    let vector = app.embed(input).await?;
    Ok(answer(&Answer {
        dim: vector.len(),
        vector,
    }))
}
