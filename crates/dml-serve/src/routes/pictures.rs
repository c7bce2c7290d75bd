//! The pictures of items and of hard pairs, whole and as thumbnails.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dml_eval::Id;
use serde::Deserialize;

use super::arguments;
use crate::app::App;
use crate::pictures::{Located, thumbnail};
use crate::problem::{Problem, quoted};

/// Longer side of a thumbnail, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 16..=1024;
const DEFAULT_SIDE: u32 = 320;
/// Pictures change seldom; after that time a browser revalidates them.
const CACHED: &str = "private, max-age=60";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThumbnailQuery {
    size: Option<u32>,
}

impl ThumbnailQuery {
    fn side(uri: &Uri) -> Result<u32, Problem> {
        let side = arguments::<Self>(uri)?.size.unwrap_or(DEFAULT_SIDE);
        match SIDES.contains(&side) {
            true => Ok(side),
            false => Err(Problem::argument("size", "16 to 1024", side)),
        }
    }
}

/// The picture of an item, as its file is.
pub(super) async fn of_item(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let work = {
        let app = Arc::clone(&app);
        move || {
            let file = app.picture_of(Id::Text(id))?;
            let tag = file.tag("whole");
            if is_known(&headers, &tag) {
                return Ok(not_modified(&tag));
            }
            let picture = file.read(&app.limits)?;
            Ok(image(picture.media_type, &tag, picture.bytes.into()))
        }
    };
    app.blocking.run(work).await
}

/// The thumbnail of an item's picture.
pub(super) async fn thumbnail_of_item(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let side = ThumbnailQuery::side(&uri)?;
    let work = {
        let app = Arc::clone(&app);
        move || small(&app, app.picture_of(Id::Text(id))?, side, &headers)
    };
    app.blocking.run(work).await
}

/// The thumbnail of one side of a pair: by its path, or by its item.
pub(super) async fn thumbnail_of_pair(
    State(app): State<Arc<App>>,
    Path((number, side_name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let size = ThumbnailQuery::side(&uri)?;
    let missing = || Problem::not_found(format!("pair: no pair {}", quoted(&number)));
    let place: usize = number.parse().map_err(|_| missing())?;
    let pairs = app.pairs.as_ref().ok_or_else(missing)?;
    let pair = pairs.pairs.get(place).ok_or_else(missing)?;
    let side = match side_name.as_str() {
        "a" => pair.a.clone(),
        "b" => pair.b.clone(),
        other => {
            return Err(Problem::not_found(format!(
                "pair: expected the side a or b, got {}",
                quoted(other)
            )));
        }
    };
    let work = {
        let app = Arc::clone(&app);
        move || {
            let file = match (side.picture, side.id) {
                (Some(path), _) => app.pictures()?.locate(&path)?,
                (None, Some(id)) => app.picture_of(id)?,
                (None, None) => {
                    return Err(Problem::not_found(
                        "picture: this side of the pair has none",
                    ));
                }
            };
            small(&app, file, size, &headers)
        }
    };
    app.blocking.run(work).await
}

/// The thumbnail of a file. Blocks.
fn small(app: &App, file: Located, side: u32, headers: &HeaderMap) -> Result<Response, Problem> {
    let tag = file.tag(&side.to_string());
    if is_known(headers, &tag) {
        return Ok(not_modified(&tag));
    }
    if let Some(kept) = app.thumbnails.get(&file, side) {
        return Ok(image("image/jpeg", &tag, kept));
    }
    let picture = file.read(&app.limits)?;
    let small = Bytes::from(thumbnail(&picture.bytes, side, app.limits.picture_memory)?);
    app.thumbnails.put(file, side, small.clone());
    Ok(image("image/jpeg", &tag, small))
}

/// Whether the client has this content already.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known
            .split(',')
            .any(|own| own.trim().trim_start_matches("W/") == tag)
    })
}

fn not_modified(tag: &str) -> Response {
    let headers = [(header::ETAG, tag), (header::CACHE_CONTROL, CACHED)];
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

fn image(media_type: &'static str, tag: &str, bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, CACHED),
    ];
    (headers, bytes).into_response()
}
