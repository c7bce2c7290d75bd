//! `GET /pairs`: the pairs that training found hardest.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use dml_eval::Collection;
use serde::{Deserialize, Serialize};

use super::{answer, arguments};
use crate::app::App;
use crate::hard_pairs::{HardPair, PairKind, PairSide};
use crate::problem::Problem;
use crate::wire::{WireId, resolved};

/// Pairs of a list that does not say how many.
const DEFAULT_LIMIT: usize = 30;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PairsQuery {
    kind: Option<PairKind>,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct List<'a> {
    /// Number of pairs of the kind.
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<&'a str>,
    pairs: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Pair<'a> {
    /// Position among all pairs.
    number: usize,
    kind: PairKind,
    distance: f64,
    a: Side<'a>,
    b: Side<'a>,
}

#[derive(Serialize)]
struct Side<'a> {
    /// The item, if the collection has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<WireId>,
    /// The id in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// Whether there may be a thumbnail.
    has_picture: bool,
}

/// Pairs, hardest first.
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query: PairsQuery = arguments(&uri)?;
    let most = app.limits.items;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT.min(most));
    if !(1..=most).contains(&limit) {
        return Err(Problem::argument("limit", format!("1 to {most}"), limit));
    }
    let work = {
        let app = Arc::clone(&app);
        move || page(&app, &query, limit)
    };
    app.blocking.run(work).await
}

fn page(app: &App, query: &PairsQuery, limit: usize) -> Result<Response, Problem> {
    let missing = || Problem::not_found("pairs: this service has no hard pairs");
    let pairs = app.pairs.as_ref().ok_or_else(missing)?;
    let version = app.live.current();
    let collection = version.read()?;
    let asked = |pair: &HardPair| query.kind.is_none_or(|kind| kind == pair.kind);
    let all = pairs.pairs.iter().enumerate();
    let mut all = all.filter(|(_, pair)| asked(pair));
    let skipped = all.by_ref().take(query.offset).count();
    let shown: Vec<Pair<'_>> = all
        .by_ref()
        .take(limit)
        .map(|(number, pair)| Pair {
            number,
            kind: pair.kind,
            distance: pair.distance,
            a: side(app, &collection, &pair.a),
            b: side(app, &collection, &pair.b),
        })
        .collect();
    Ok(answer(&List {
        total: skipped + shown.len() + all.count(),
        distance: pairs.distance.as_deref(),
        pairs: shown,
    }))
}

fn side<'a>(app: &App, collection: &Collection, own: &'a PairSide) -> Side<'a> {
    let id = own.id.clone().map(|id| resolved(id, collection.id_kind()));
    let item = id.clone().filter(|id| collection.contains(id));
    Side {
        has_picture: app.pictures.is_some() && (own.picture.is_some() || item.is_some()),
        id: item.map(WireId),
        name: id.map(|id| id.to_string()),
        label: own.label.as_deref(),
        text: own.text.as_deref(),
    }
}
