//! Searches of several requests as one search of the collection.
//!
//! Queries with the same filter and the same bound are searched together for the largest of their `k`; each takes its own part
//! of what is found. A query that can't be searched fails alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Attributes, Collection, CollectionError, Filter, Hit, Id, IdRef, Ids, Search};

use crate::live::{Live, refused};
use crate::problem::Problem;
use crate::wire::{ItemAnswer, WireId, resolved, unknown_id};

/// A query.
#[derive(Clone, Debug)]
pub(crate) struct SearchJob {
    pub(crate) target: Target,
    pub(crate) k: usize,
    pub(crate) within: Option<f64>,
    pub(crate) filter: Option<Filter>,
    pub(crate) with_attributes: bool,
}

/// What neighbours are looked for.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Those of a vector.
    Vector(Vec<f32>),
    /// Those of an item, without itself.
    Item(Id),
}

/// Neighbours, closest first.
pub(crate) type Found = Vec<ItemAnswer>;

/// What queries have to have in common to be searched together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    is_item: bool,
    within: Option<u64>,
    filter: Option<String>,
}

impl Group {
    fn of(job: &SearchJob) -> Self {
        Self {
            is_item: matches!(job.target, Target::Item(_)),
            within: job.within.map(f64::to_bits),
            filter: job.filter.as_ref().map(ToString::to_string),
        }
    }
}

/// Searches the current version of the collection.
pub(crate) fn search(live: &Arc<Live>, jobs: &[SearchJob]) -> Vec<Result<Found, Problem>> {
    let version = live.current();
    match version.read() {
        Ok(collection) => search_in(&collection, jobs),
        Err(problem) => vec![Err(problem); jobs.len()],
    }
}

fn search_in(collection: &Collection, jobs: &[SearchJob]) -> Vec<Result<Found, Problem>> {
    let mut answers: Vec<Option<Result<Found, Problem>>> = vec![None; jobs.len()];
    let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
    for (place, job) in jobs.iter().enumerate() {
        match check(collection, job) {
            Err(problem) => answers[place] = Some(Err(problem)),
            // An index without rows has no length of vectors.
            Ok(()) if collection.is_empty() => answers[place] = Some(Ok(Vec::new())),
            Ok(()) => groups.entry(Group::of(job)).or_default().push(place),
        }
    }
    for places in groups.values() {
        let of_group: Vec<&SearchJob> = places.iter().map(|&place| &jobs[place]).collect();
        for (place, answer) in places.iter().zip(search_group(collection, &of_group)) {
            answers[*place] = Some(answer);
        }
    }
    let missing = || Err(Problem::internal("a search has no answer"));
    answers
        .into_iter()
        .map(|own| own.unwrap_or_else(missing))
        .collect()
}

/// What would fail the queries beside it.
fn check(collection: &Collection, job: &SearchJob) -> Result<(), Problem> {
    match &job.target {
        Target::Vector(vector) => match collection.dim() {
            Some(dim) if dim != vector.len() => Err(Problem::unusable(format!(
                "query: expected a vector of {dim} numbers, got {}",
                vector.len()
            ))),
            _ => Ok(()),
        },
        Target::Item(id) => {
            let id = resolved(id.clone(), collection.id_kind());
            match collection.contains(&id) {
                true => Ok(()),
                false => Err(unknown_id(&id)),
            }
        }
    }
}

/// Searches for queries of one group; should that fail, for each of them alone.
fn search_group(collection: &Collection, jobs: &[&SearchJob]) -> Vec<Result<Found, Problem>> {
    match together(collection, jobs) {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) if jobs.len() == 1 => vec![Err(refused(error))],
        Err(_) => {
            let alone = |job: &&SearchJob| {
                let mut found = together(collection, &[job]).map_err(refused)?;
                found
                    .pop()
                    .ok_or_else(|| Problem::internal("a search has no answer"))
            };
            jobs.iter().map(alone).collect()
        }
    }
}

fn together(collection: &Collection, jobs: &[&SearchJob]) -> Result<Vec<Found>, CollectionError> {
    let k = jobs.iter().map(|job| job.k).max().unwrap_or(1);
    let mut search = match jobs[0].within {
        Some(bound) => Search::within(bound).at_most(k),
        None => Search::nearest(k),
    };
    if let Some(filter) = &jobs[0].filter {
        search = search.with_filter(filter);
    }
    let answer = |job: &SearchJob, hits: &[Hit<'_>]| {
        let hits = hits.iter().take(job.k);
        hits.map(|hit| found(collection, hit, job.with_attributes))
            .collect()
    };
    if let Target::Vector(first) = &jobs[0].target {
        let dim = first.len();
        let mut all = Vec::with_capacity(jobs.len() * dim);
        for job in jobs {
            if let Target::Vector(vector) = &job.target {
                all.extend_from_slice(vector);
            }
        }
        let queries = Tensor::from_vec(all, (jobs.len(), dim), &Device::Cpu);
        let queries = queries.map_err(dml_core::Error::from)?;
        let hits = collection.search_with(&queries, &search)?;
        return Ok(jobs
            .iter()
            .zip(&hits)
            .map(|(job, hits)| answer(job, hits))
            .collect());
    }
    // One item may be looked for by several requests.
    let mut rows: BTreeMap<Id, usize> = BTreeMap::new();
    let mut ids = Vec::new();
    let mut places = Vec::with_capacity(jobs.len());
    for job in jobs {
        if let Target::Item(id) = &job.target {
            let id = resolved(id.clone(), collection.id_kind());
            let place = *rows.entry(id).or_insert_with_key(|id| {
                ids.push(id.clone());
                ids.len() - 1
            });
            places.push(place);
        }
    }
    let hits = collection.neighbors_of(&Ids::of(ids)?, &search)?;
    let of_place = |(job, place): (&&SearchJob, &usize)| answer(job, &hits[*place]);
    Ok(jobs.iter().zip(&places).map(of_place).collect())
}

fn found(collection: &Collection, hit: &Hit<'_>, with_attributes: bool) -> ItemAnswer {
    ItemAnswer {
        id: WireId(hit.id.to_id()),
        distance: Some(hit.distance),
        attributes: with_attributes.then(|| attributes(collection, hit.id)),
        vector: None,
    }
}

/// The attributes of an item that is there.
pub(crate) fn attributes(collection: &Collection, id: IdRef<'_>) -> Attributes {
    collection.attributes(id).unwrap_or_default()
}
