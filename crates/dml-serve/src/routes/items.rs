//! `/items`: reading, storing and deleting items.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::Uri;
use axum::response::Response;
use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Collection, Filter, Id, IdRef, Ids, Items};
use serde::{Deserialize, Serialize};

use super::search::SHORT;
use super::{answer, arguments};
use crate::app::App;
use crate::live::refused;
use crate::problem::Problem;
use crate::reading::{Content, ContentKind};
use crate::searching::attributes;
use crate::wire::{
    DeleteBody, Input, ItemAnswer, NewItem, UpsertBody, WireId, filter_of_text, item_of_form,
    parse, resolved, unknown_id,
};

/// Items of a list that does not say how many.
const DEFAULT_LIMIT: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
    filter: Option<String>,
}

#[derive(Serialize)]
struct List {
    /// Number of all items that the filter holds for.
    total: usize,
    items: Vec<ItemAnswer>,
}

/// Items in the order in which they came, oldest first.
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query: ListQuery = arguments(&uri)?;
    let most = app.limits.items;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT.min(most));
    if !(1..=most).contains(&limit) {
        return Err(Problem::argument("limit", format!("1 to {most}"), limit));
    }
    let filter = query
        .filter
        .as_deref()
        .map(filter_of_text)
        .transpose()?
        .flatten();
    let version = app.live.current();
    let work = move || page(&*version.read()?, filter.as_ref(), query.offset, limit);
    Ok(answer(&app.blocking.run(work).await?))
}

fn page(
    collection: &Collection,
    filter: Option<&Filter>,
    offset: usize,
    limit: usize,
) -> Result<List, Problem> {
    let item = |id: IdRef<'_>| ItemAnswer {
        id: WireId(id.to_id()),
        distance: None,
        attributes: Some(attributes(collection, id)),
        vector: None,
    };
    let Some(filter) = filter else {
        let ids = collection.ids().skip(offset).take(limit);
        return Ok(List {
            items: ids.map(item).collect(),
            total: collection.len(),
        });
    };
    let chosen = collection.select(filter).map_err(refused)?;
    let all = collection.select_where(|_| true);
    // Ids come in the order of their rows.
    let ids = all.rows().iter().zip(collection.ids());
    let ids = ids.filter(|(row, _)| chosen.rows().contains(*row as usize));
    let ids = ids.skip(offset).take(limit);
    Ok(List {
        items: ids.map(|(_, id)| item(id)).collect(),
        total: chosen.count(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GetQuery {
    #[serde(default)]
    vector: bool,
}

/// One item.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query: GetQuery = arguments(&uri)?;
    let version = app.live.current();
    let work = move || {
        let collection = version.read()?;
        let id = resolved(Id::Text(id), collection.id_kind());
        let item = collection.get(&id).map_err(refused)?;
        let item = item.ok_or_else(|| unknown_id(&id))?;
        Ok(ItemAnswer {
            id: WireId(item.id),
            distance: None,
            attributes: Some(item.attributes),
            vector: query.vector.then_some(item.row),
        })
    };
    Ok(answer(&app.blocking.run(work).await?))
}

#[derive(Serialize)]
struct UpsertAnswer {
    added: usize,
    replaced: usize,
}

/// Stores items, and replaces those that are there.
pub(super) async fn upsert(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let content = Content::read(&parts.headers, body, &app.limits, &app.bodies).await?;
    let limits = app.limits.clone();
    let items = match content.kind {
        ContentKind::Json(bytes) if bytes.len() <= SHORT => {
            parse::<UpsertBody>("body", &bytes)?.items(&limits)?
        }
        ContentKind::Json(bytes) => {
            let read = move || parse::<UpsertBody>("body", &bytes)?.items(&limits);
            app.blocking.run(read).await?
        }
        ContentKind::Form(form) => vec![item_of_form(form, &limits)?],
        ContentKind::Image(_) => {
            let expected = "application/json or multipart/form-data";
            return Err(Problem::media_type(expected, "an image alone"));
        }
    };
    let mut embedded = Vec::with_capacity(items.len());
    // As many at once as the model takes.
    let mut items = items.into_iter();
    loop {
        let some = items.by_ref().take(app.limits.embed_batch);
        let batch: Vec<_> = some.map(|item| embed_item(&app, item)).collect();
        if batch.is_empty() {
            break;
        }
        embedded.extend(futures_util::future::try_join_all(batch).await?);
    }
    let version = app.live.current();
    let work = move || version.change(|collection| store(collection, embedded));
    let stored = app.blocking.run(work).await;
    app.metrics.edited(stored.is_ok());
    Ok(answer(&stored?))
}

/// An item with its vector as the only input.
async fn embed_item(app: &App, item: NewItem) -> Result<NewItem, Problem> {
    let vector = app.embed(item.input).await?;
    Ok(NewItem {
        input: Input::Vector(vector),
        ..item
    })
}

fn store(collection: &mut Collection, items: Vec<NewItem>) -> Result<UpsertAnswer, Problem> {
    let kind = collection.id_kind();
    let mut dim = collection.dim();
    let (mut rows, mut ids, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (place, item) in items.into_iter().enumerate() {
        let Input::Vector(vector) = item.input else {
            return Err(Problem::internal("an item has no vector"));
        };
        let (expected, got) = (*dim.get_or_insert(vector.len()), vector.len());
        if got != expected || got == 0 {
            let expected = expected.max(1);
            return Err(Problem::unusable(format!(
                "items[{place}]: expected a vector of {expected} numbers, got {got}"
            )));
        }
        rows.extend(vector);
        ids.push(resolved(item.id, kind));
        all.push(item.attributes);
    }
    let shape = (ids.len(), dim.unwrap_or(0));
    let rows = Tensor::from_vec(rows, shape, &Device::Cpu);
    let rows = rows.map_err(|error| Problem::internal(error.to_string()))?;
    let done = Ids::of(ids)
        .and_then(|ids| Items::new(ids, &rows))
        .and_then(|items| items.with_attributes(all))
        .and_then(|items| collection.upsert(items))
        .map_err(refused)?;
    Ok(UpsertAnswer {
        added: done.added,
        replaced: done.replaced,
    })
}

#[derive(Serialize)]
struct DeleteAnswer {
    removed: usize,
}

/// Deletes items by a list of ids; unknown ones are skipped.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let content = Content::read(&parts.headers, body, &app.limits, &app.bodies).await?;
    let ContentKind::Json(bytes) = content.kind else {
        return Err(Problem::media_type("application/json", "another type"));
    };
    let ids = parse::<DeleteBody>("body", &bytes)?.ids(&app.limits)?;
    Ok(answer(&remove(&app, ids).await?))
}

/// Deletes one item.
pub(super) async fn delete_one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = Id::Text(id);
    match remove(&app, vec![id.clone()]).await? {
        DeleteAnswer { removed: 0 } => Err(unknown_id(&id)),
        removed => Ok(answer(&removed)),
    }
}

async fn remove(app: &App, ids: Vec<Id>) -> Result<DeleteAnswer, Problem> {
    let version = app.live.current();
    let work = move || {
        version.change(|collection| {
            let kind = collection.id_kind();
            let ids: Vec<Id> = ids.into_iter().map(|id| resolved(id, kind)).collect();
            let removed = Ids::of(ids).and_then(|ids| collection.remove(&ids));
            let removed = removed.map_err(refused)?;
            Ok(DeleteAnswer { removed })
        })
    };
    let removed = app.blocking.run(work).await;
    app.metrics.edited(removed.is_ok());
    removed
}
