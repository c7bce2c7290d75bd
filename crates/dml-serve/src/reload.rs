//! A folder that other processes write to: its newer version is opened beside the one that is served, and replaces it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dml_eval::{Collection, CollectionError};

use crate::ServeError;
use crate::live::Live;
use crate::metrics::Metrics;

/// Time between two looks at the folder.
const EVERY: Duration = Duration::from_secs(1);

type Open = Box<dyn Fn() -> Result<Collection, CollectionError> + Send>;

/// The collection that a [`Server`](crate::Server) serves.
///
/// From a [`Collection`], it is served as it is, with the changes that requests make. With
/// [`watched`](CollectionSource::watched), the service follows the changes that another process makes in its folder.
pub struct CollectionSource {
    pub(crate) collection: Collection,
    pub(crate) watch: Option<Watch>,
}

/// How a newer version is found and opened.
pub(crate) struct Watch {
    open: Open,
    every: Duration,
}

impl CollectionSource {
    /// A folder, opened for reading only and looked at every second. When it has changed, the collection is opened again in
    /// the background, while requests are answered by the old version; then the new version replaces the old one. Both are in
    /// memory until the last request to the old one is answered.
    ///
    /// A version that can't be opened is reported in the log, in the metrics and by `/health/ready`, and the old one stays.
    ///
    /// # Errors
    /// [`ServeError::Collection`] if the folder can't be opened now.
    pub fn watched(folder: impl AsRef<Path>) -> Result<Self, ServeError> {
        let folder = folder.as_ref().to_path_buf();
        Self::watched_with(EVERY, move || Collection::open_read_only(&folder))
    }

    /// The same with another function to open it, such as [`Collection::open_with`] for rows that stay on disk, and another
    /// time between two looks.
    ///
    /// # Errors
    /// [`ServeError::Collection`] if `open` fails now.
    pub fn watched_with(
        every: Duration,
        open: impl Fn() -> Result<Collection, CollectionError> + Send + 'static,
    ) -> Result<Self, ServeError> {
        let collection = open()?;
        let open: Open = Box::new(open);
        let watch = Some(Watch { open, every });
        Ok(Self { collection, watch })
    }

    /// The collection as it is now.
    #[must_use]
    pub fn collection(&self) -> &Collection {
        &self.collection
    }
}

impl From<Collection> for CollectionSource {
    fn from(collection: Collection) -> Self {
        Self {
            collection,
            watch: None,
        }
    }
}

impl std::fmt::Debug for CollectionSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CollectionSource")
            .field("collection", &self.collection)
            .field("is_watched", &self.watch.is_some())
            .finish()
    }
}

/// A thread that looks at the folder, until this is dropped.
#[derive(Debug)]
pub(crate) struct Reloader {
    _stop: mpsc::Sender<()>,
}

impl Reloader {
    /// # Errors
    /// [`ServeError::Start`] if the system refuses a thread.
    pub(crate) fn start(
        watch: Watch,
        live: Arc<Live>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServeError> {
        let (stop, stopped) = mpsc::channel();
        let look = move || {
            while stopped.recv_timeout(watch.every) == Err(RecvTimeoutError::Timeout) {
                reload(&watch.open, &live, &metrics);
            }
        };
        let started = thread::Builder::new()
            .name("dml-reload".to_owned())
            .spawn(look);
        started.map_err(|source| ServeError::Start {
            what: "a thread",
            source,
        })?;
        Ok(Self { _stop: stop })
    }
}

/// Replaces the collection if its folder has moved on.
fn reload(open: &Open, live: &Live, metrics: &Metrics) {
    let is_stale = match live.current().read() {
        Ok(collection) => collection.is_stale(),
        Err(problem) => return live.set_fault(problem.detail().map(str::to_owned)),
    };
    let opened = match is_stale {
        Ok(false) => return live.set_fault(None),
        Ok(true) => open(),
        Err(error) => Err(error),
    };
    metrics.reloaded(opened.is_ok());
    match opened {
        Ok(collection) => {
            tracing::info!(
                items = collection.len(),
                "the collection is replaced by its newer version"
            );
            live.replace(collection);
            live.set_fault(None);
        }
        Err(error) => {
            let reason = dml_core::with_causes(&error).to_string();
            tracing::warn!("the newer version of the collection can't be opened: {reason}");
            live.set_fault(Some(reason));
        }
    }
}
