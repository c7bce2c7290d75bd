//! What all requests of a service share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dml_eval::{Attributes, Id};
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::batching::Batcher;
use crate::blocking::Blocking;
use crate::hard_pairs::HardPairs;
use crate::limits::Limits;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::pictures::{Located, PictureFolder, Thumbnails};
use crate::problem::Problem;
use crate::reading::BodyBudget;
use crate::reload::Reloader;
use crate::searching::{Found, SearchJob, Target, attributes};
use crate::wire::{Input, SearchArguments, resolved, unknown_id};

/// A model as a queue of inputs.
pub(crate) type Embedder<Input> = Batcher<Input, Vec<f32>>;

/// What all requests of a service share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) title: String,
    /// What distances are, such as `cosine similarity`.
    pub(crate) distance: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    pub(crate) live: Arc<Live>,
    pub(crate) searcher: Batcher<SearchJob, Found>,
    pub(crate) images: Option<Embedder<Bytes>>,
    pub(crate) texts: Option<Embedder<String>>,
    pub(crate) pictures: Option<PictureFolder>,
    pub(crate) thumbnails: Thumbnails,
    pub(crate) pairs: Option<HardPairs>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) blocking: Blocking,
    pub(crate) bodies: BodyBudget,
    /// Places of requests in progress.
    pub(crate) requests: Semaphore,
    /// Whether the service is shutting down.
    pub(crate) is_draining: AtomicBool,
    pub(crate) request_ids: RequestIds,
    pub(crate) _reloader: Option<Reloader>,
}

impl App {
    /// The embedding of an image.
    pub(crate) async fn embed_image(&self, image: Bytes) -> Result<Vec<f32>, Problem> {
        let missing = || Problem::unavailable("image: this service has no model for images");
        self.images.as_ref().ok_or_else(missing)?.run(image).await
    }

    /// The embedding of a text.
    pub(crate) async fn embed_text(&self, text: String) -> Result<Vec<f32>, Problem> {
        let missing = || Problem::unavailable("text: this service has no model for texts");
        self.texts.as_ref().ok_or_else(missing)?.run(text).await
    }

    /// The vector of an input that is no item.
    pub(crate) async fn embed(&self, input: Input) -> Result<Vec<f32>, Problem> {
        match input {
            Input::Vector(vector) => Ok(vector),
            Input::Image(image) => self.embed_image(image).await,
            Input::Text(text) => self.embed_text(text).await,
            Input::Item(_) => Err(Problem::invalid(
                "expected an image, a text or a vector, got an id",
            )),
        }
    }

    /// The neighbours of any input.
    pub(crate) async fn search(&self, arguments: SearchArguments) -> Result<Found, Problem> {
        let target = match arguments.input {
            Input::Item(id) => Target::Item(id),
            input => Target::Vector(self.embed(input).await?),
        };
        let job = SearchJob {
            target,
            k: arguments.k,
            within: arguments.within,
            filter: arguments.filter,
            with_attributes: arguments.with_attributes,
        };
        self.searcher.run(job).await
    }

    /// Where the picture of an item is. Blocks.
    pub(crate) fn picture_of(&self, id: Id) -> Result<Located, Problem> {
        let pictures = self.pictures()?;
        let version = self.live.current();
        let collection = version.read()?;
        let id = resolved(id, collection.id_kind());
        if !collection.contains(&id) {
            return Err(unknown_id(&id));
        }
        let attributes = match pictures.attribute() {
            Some(_) => attributes(&collection, id.as_ref()),
            None => Attributes::default(),
        };
        drop(collection);
        let missing = || Problem::not_found("picture: the item has none");
        pictures.locate(&pictures.stated(&id, &attributes).ok_or_else(missing)?)
    }

    pub(crate) fn pictures(&self) -> Result<&PictureFolder, Problem> {
        let missing = || Problem::not_found("picture: this service has no pictures");
        self.pictures.as_ref().ok_or_else(missing)
    }

    /// Whether requests can be answered: not while shutting down, and not after a fault that needs a restart.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_draining.load(Ordering::Acquire) && !self.live.current().is_broken()
    }
}

/// Numbers requests, differently in each run of the service.
#[derive(Debug)]
pub(crate) struct RequestIds {
    run: u32,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            run: (now.as_secs() as u32) ^ now.subsec_nanos() ^ std::process::id().rotate_left(16),
            count: AtomicU64::new(0),
        }
    }

    pub(crate) fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{count:x}", self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_requests_differ() {
        let ids = RequestIds::new();
        let (a, b) = (ids.next(), ids.next());
        assert!(a != b && a.len() >= 10, "{a} {b}");
    }
}
