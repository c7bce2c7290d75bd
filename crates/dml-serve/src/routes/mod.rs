//! The routes of a service.

mod collection;
mod embed;
mod health;
mod items;
mod page;
mod pairs;
mod pictures;
mod search;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request};
#[cfg(test)]
use axum::http::Method;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::guard;
use crate::problem::{Problem, quoted};

/// All routes with what every request passes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let with = |app: &Arc<App>| Arc::clone(app);
    let edits = Router::new()
        .route("/items", post(items::upsert).delete(items::delete))
        .route("/items/{id}", delete(items::delete_one))
        .route_layer(from_fn_with_state(with(&app), guard::check_edits));
    let guarded = Router::new()
        .route("/collection", get(collection::describe))
        .route("/search", post(search::search))
        .route("/embed", post(embed::embed))
        .route("/items", get(items::list))
        .route("/items/{id}", get(items::get))
        .route("/items/{id}/picture", get(pictures::of_item))
        .route("/items/{id}/thumbnail", get(pictures::thumbnail_of_item))
        .route("/pairs", get(pairs::list))
        .route(
            "/pairs/{number}/{side}/thumbnail",
            get(pictures::thumbnail_of_pair),
        )
        .merge(edits)
        .route_layer(from_fn_with_state(with(&app), guard::bound));
    let secret = guarded
        // Has no place to wait for: what is measured has to be seen most of all when places are taken.
        .route("/metrics", get(health::metrics))
        .route_layer(from_fn_with_state(with(&app), guard::check_token));
    secret
        .route("/", get(page::page))
        .route("/openapi.json", get(page::openapi))
        .route("/health", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(with(&app), guard::check_origin))
        .layer(from_fn(guard::catch_panics))
        .layer(from_fn(guard::harden))
        .layer(from_fn_with_state(with(&app), guard::observe))
        .with_state(app)
}

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "no route {}; `/openapi.json` lists them",
        quoted(uri.path())
    ))
}

async fn not_allowed(request: Request) -> Response {
    // The router adds the header `Allow`.
    Problem::method(request.method(), &quoted(request.uri().path())).into_response()
}

/// The arguments in the address.
fn arguments<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let read = Query::<T>::try_from_uri(uri);
    read.map(|Query(own)| own).map_err(|error| {
        let causes = dml_core::with_causes(&error).to_string();
        let reason = causes.strip_prefix("Failed to deserialize query string: ");
        Problem::invalid(format!("query: {}", reason.unwrap_or(&causes)))
    })
}

/// An answer in JSON with status 200.
fn answer(body: &impl serde::Serialize) -> Response {
    crate::problem::json(StatusCode::OK, body)
}

/// All routes with their methods, for the description to be held to.
#[cfg(test)]
pub(crate) const ALL: &[(&str, Method)] = &[
    ("/", Method::GET),
    ("/openapi.json", Method::GET),
    ("/health", Method::GET),
    ("/health/live", Method::GET),
    ("/health/ready", Method::GET),
    ("/metrics", Method::GET),
    ("/collection", Method::GET),
    ("/search", Method::POST),
    ("/embed", Method::POST),
    ("/items", Method::GET),
    ("/items", Method::POST),
    ("/items", Method::DELETE),
    ("/items/{id}", Method::GET),
    ("/items/{id}", Method::DELETE),
    ("/items/{id}/picture", Method::GET),
    ("/items/{id}/thumbnail", Method::GET),
    ("/pairs", Method::GET),
    ("/pairs/{number}/{side}/thumbnail", Method::GET),
];
