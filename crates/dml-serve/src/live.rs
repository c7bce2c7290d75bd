//! The collection that is served, which may be replaced while it is searched.
//!
//! A request takes the current version and keeps it until it is answered. A new version replaces the current one in one step;
//! the old one is freed when its last request is answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use dml_eval::{Collection, CollectionError};

use crate::facets::Facets;
use crate::problem::Problem;

/// The current version of the collection.
#[derive(Debug)]
pub(crate) struct Live {
    current: RwLock<Arc<Version>>,
    fault: Mutex<Option<String>>,
}

/// A collection as it was opened, with the changes of this service.
#[derive(Debug)]
pub(crate) struct Version {
    collection: RwLock<Collection>,
    changes: AtomicU64,
    facets: Mutex<Option<CountedFacets>>,
}

/// Facets, and the moment for which they hold.
#[derive(Clone, Debug)]
pub(crate) struct CountedFacets {
    pub(crate) changes: u64,
    pub(crate) since: Instant,
    pub(crate) facets: Arc<Facets>,
}

impl Live {
    pub(crate) fn new(collection: Collection) -> Self {
        Self {
            current: RwLock::new(Arc::new(Version::new(collection))),
            fault: Mutex::new(None),
        }
    }

    /// The current version.
    pub(crate) fn current(&self) -> Arc<Version> {
        // Replacing a pointer leaves nothing half-done.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves another version from now on.
    pub(crate) fn replace(&self, collection: Collection) {
        let new = Arc::new(Version::new(collection));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, new);
        drop(current);
        // Freeing it may take a while, and nothing waits for that.
        drop(old);
    }

    /// Why the last attempt to open a newer version failed, if it did.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Version {
    fn new(collection: Collection) -> Self {
        Self {
            collection: RwLock::new(collection),
            changes: AtomicU64::new(0),
            facets: Mutex::new(None),
        }
    }

    /// The collection for reading. Any number of threads read at once.
    ///
    /// # Errors
    /// Status 500 after a change that panicked: what is in memory may differ from what is on disk.
    pub(crate) fn read(&self) -> Result<RwLockReadGuard<'_, Collection>, Problem> {
        let broken =
            |_| Problem::internal("a change of the collection panicked; restart the service");
        self.collection.read().map_err(broken)
    }

    /// Changes the collection while no thread reads it.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Collection) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let broken =
            |_| Problem::internal("a change of the collection panicked; restart the service");
        let mut collection = self.collection.write().map_err(broken)?;
        let result = change(&mut collection);
        if result.is_ok() {
            self.changes.fetch_add(1, Ordering::Release);
        }
        result
    }

    /// Whether a change has panicked. Does not wait for one in progress.
    pub(crate) fn is_broken(&self) -> bool {
        self.collection.is_poisoned()
    }

    /// Number of changes since it was opened.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The place where facets are kept. The thread that counts them holds the lock, so that they are counted once.
    pub(crate) fn facets(&self) -> &Mutex<Option<CountedFacets>> {
        &self.facets
    }
}

/// An error of the collection as an answer.
pub(crate) fn refused(error: CollectionError) -> Problem {
    use CollectionError as E;
    let message = dml_core::with_causes(&error).to_string();
    match error {
        E::UnknownId { .. } => Problem::not_found(message),
        E::ReadOnly { .. } => {
            Problem::forbidden("items can't be changed: the collection is opened for reading only")
        }
        // Rows or queries that the index refuses.
        E::Index(_) => Problem::unusable(message),
        E::DuplicateId { .. }
        | E::RepeatedId { .. }
        | E::IdKind { .. }
        | E::IdLength { .. }
        | E::AttributeName { .. }
        | E::RepeatedAttribute { .. }
        | E::AttributeKind { .. }
        | E::AttributeValue { .. }
        | E::TooManyAttributes { .. }
        | E::UnknownAttribute { .. } => Problem::invalid(message),
        // Files, and what this service itself did wrong.
        _ => Problem::internal(message),
    }
}
