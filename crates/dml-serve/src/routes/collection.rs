//! `GET /collection`: what is served, and what there is to filter by.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dml_eval::IdKind;
use serde::Serialize;

use super::answer;
use crate::app::App;
use crate::facets::{Facets, facets};
use crate::problem::Problem;

#[derive(Serialize)]
struct Description<'a> {
    title: &'a str,
    /// Number of items.
    items: usize,
    /// Length of vectors; absent while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    dim: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_kind: Option<IdKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<&'a str>,
    /// Whether there are models for images and texts.
    reads_images: bool,
    reads_texts: bool,
    has_pictures: bool,
    /// The attribute with the paths of pictures, which is no use as a filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture_attribute: Option<&'a str>,
    /// Number of hard pairs.
    pairs: usize,
    largest_k: usize,
    /// The largest `limit` of a list.
    largest_list: usize,
    attributes: &'a Facets,
}

pub(super) async fn describe(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let work = {
        let app = Arc::clone(&app);
        move || {
            let version = app.live.current();
            let facets = facets(&version)?;
            let collection = version.read()?;
            Ok(answer(&Description {
                title: &app.title,
                items: collection.len(),
                dim: collection.dim(),
                id_kind: collection.id_kind(),
                distance: app.distance.as_deref(),
                reads_images: app.images.is_some(),
                reads_texts: app.texts.is_some(),
                has_pictures: app.pictures.is_some(),
                picture_attribute: app.pictures.as_ref().and_then(|own| own.attribute()),
                pairs: app.pairs.as_ref().map_or(0, |own| own.pairs.len()),
                largest_k: app.limits.k,
                largest_list: app.limits.items,
                attributes: &facets,
            }))
        }
    };
    app.blocking.run(work).await
}
