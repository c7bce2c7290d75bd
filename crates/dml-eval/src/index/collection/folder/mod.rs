//! A collection on the disk: a base, and the changes since.
//!
//! ```text
//! collection   which generation is the collection: manifest
//! index-g      the index, as KnnIndex::save writes it
//! items-g      ids and attributes of its rows
//! log-g        changes since, each synced before the call that makes it returns
//! .lock        held by the writer
//! ```
//!
//! No file is changed in its place but the log, which only grows. A new generation is written beside the old one and synced,
//! then the manifest is replaced, then the old files go: whenever a process or the machine stops, the folder holds the state
//! after the last change that has returned, or after the one that was being made. Readers need no lock; what they have open
//! stays as it is.

mod encoding;
mod frames;
mod items_file;
mod log;
mod manifest;
mod open_options;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use dml_core::durable;
use dml_core::folder_lock::FolderLock;

use super::error::CollectionError;
use super::state::State;
use crate::index::KnnIndex;
use log::{End, Log};
use manifest::{Manifest, index_path, items_path, log_path};

pub(super) use log::Change;
pub use log::{DamagedLog, Durability};
pub use open_options::{OpenOptions, Storage};

/// A log is taken into a new generation when it is larger than the generation, and than this.
const LEAST_LOG: u64 = 1 << 26;
/// How often a reader looks for the files of a generation that a writer has replaced meanwhile.
const ATTEMPTS: usize = 10;

/// An open folder.
pub(super) struct Folder {
    path: PathBuf,
    options: OpenOptions,
    manifest: Manifest,
    /// Where the log ended when it was read.
    end: End,
    /// `None` for reading only.
    writer: Option<Writer>,
}

struct Writer {
    _lock: FolderLock,
    log: Log,
    /// The log was that long when it could not be taken into a new generation.
    refused_at: Option<u64>,
    /// Why it could not.
    refusal: Option<String>,
}

/// Whether the folder has a manifest of a collection.
pub(super) fn is_collection(path: &Path) -> bool {
    Manifest::read(path).is_ok()
}

impl Folder {
    /// Writes a state as the first generation of a new folder.
    pub(super) fn create(
        path: &Path,
        state: &State,
        options: OpenOptions,
    ) -> Result<Self, CollectionError> {
        let failed = CollectionError::io(path);
        match fs::create_dir(path) {
            Ok(()) => {
                let parent = path.parent().filter(|own| !own.as_os_str().is_empty());
                durable::sync_folder(parent.unwrap_or(Path::new("."))).map_err(&failed)?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        let is_empty = || {
            for entry in fs::read_dir(path)? {
                let name = entry?.file_name();
                if !name.to_str().is_some_and(manifest::is_left_behind) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        if !is_empty().map_err(&failed)? {
            return Err(CollectionError::NotEmpty {
                path: path.to_owned(),
            });
        }
        let lock = FolderLock::acquire(path)?;
        let manifest = write_generation(path, 1, state)?;
        let (log, end) = new_log(path, 1, &options)?;
        manifest.write(path)?;
        Ok(Self {
            path: path.to_owned(),
            options,
            manifest,
            end,
            writer: Some(Writer::new(lock, log)),
        })
    }

    /// Reads the state of a folder.
    pub(super) fn open(
        path: &Path,
        options: OpenOptions,
    ) -> Result<(Self, State), CollectionError> {
        let lock = if options.is_read_only() {
            None
        } else {
            // A lock file in a folder of something else would be in the way of that.
            Manifest::read(path)?;
            Some(FolderLock::acquire(path)?)
        };
        let mut attempts = 1..ATTEMPTS;
        let (manifest, state, end) = loop {
            let manifest = Manifest::read(path)?;
            match read_generation(path, manifest, &options) {
                Ok((state, end)) => break (manifest, state, end),
                // A writer may have replaced the generation while it was read.
                Err(error) => {
                    let is_replaced = Manifest::read(path).is_ok_and(|new| new != manifest);
                    if lock.is_some() || !is_replaced || attempts.next().is_none() {
                        return Err(error);
                    }
                }
            }
        };
        let writer = match lock {
            None => None,
            Some(lock) => {
                manifest
                    .remove_others(path)
                    .map_err(CollectionError::io(path))?;
                let log = log_path(path, manifest.generation);
                let log = Log::open(&log, end, options.get_durability())?;
                Some(Writer::new(lock, log))
            }
        };
        let folder = Self {
            path: path.to_owned(),
            options,
            manifest,
            end,
            writer,
        };
        Ok((folder, state))
    }

    /// Whether rows stay in the file.
    pub(super) fn is_mapped(&self) -> bool {
        self.options.get_storage() == Storage::Mapped
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn generation(&self) -> u64 {
        self.manifest.generation
    }

    /// Bytes of index, items and log.
    pub(super) fn bytes(&self) -> [u64; 3] {
        let log = self.writer.as_ref();
        let log = log.map_or(self.end.bytes, |writer| writer.log.bytes());
        [self.manifest.index, self.manifest.items, log]
    }

    /// Why the log could not be taken into a new generation the last time.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.writer.as_ref()?.refusal.as_deref()
    }

    fn writer(&mut self) -> Result<&mut Writer, CollectionError> {
        self.writer
            .as_mut()
            .ok_or_else(|| CollectionError::ReadOnly {
                path: self.path.clone(),
            })
    }

    /// Whether changes can be written.
    pub(super) fn check_writable(&mut self) -> Result<(), CollectionError> {
        self.writer().map(drop)
    }

    /// Appends a change to the log.
    pub(super) fn append(&mut self, change: &Change) -> Result<(), CollectionError> {
        self.writer()?.log.append(change)
    }

    pub(super) fn flush(&mut self) -> Result<(), CollectionError> {
        self.writer()?.log.flush()
    }

    /// Whether somebody else has changed the folder since it was read.
    pub(super) fn is_stale(&self) -> Result<bool, CollectionError> {
        if self.writer.is_some() {
            return Ok(false);
        }
        if Manifest::read(&self.path)? != self.manifest {
            return Ok(true);
        }
        let log = log_path(&self.path, self.manifest.generation);
        match fs::metadata(&log) {
            Ok(metadata) => Ok(metadata.len() != self.end.bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(CollectionError::io(&log)(error)),
        }
    }

    /// Takes the log into a new generation if it has grown large, or `is_sparse`. A failure takes nothing from the changes that
    /// were made: it is kept for the summary, and the next attempt comes when the log has doubled.
    pub(super) fn compact_if_due(&mut self, state: &mut State, is_sparse: bool) {
        let [index, items, log] = self.bytes();
        let is_automatic = self.options.compacts_automatically();
        let Some(writer) = &self.writer else { return };
        let is_large = log > LEAST_LOG.max(index + items);
        let is_due = writer.refused_at.is_none_or(|refused| log >= 2 * refused);
        if !is_automatic || !is_due || !(is_large || is_sparse) {
            return;
        }
        if let Err(error) = self.compact(state)
            && let Some(writer) = &mut self.writer
        {
            writer.refused_at = Some(log);
            writer.refusal = Some(dml_core::with_causes(&error).to_string());
        }
    }

    /// Writes the state as a new generation.
    pub(super) fn compact(&mut self, state: &mut State) -> Result<(), CollectionError> {
        self.check_writable()?;
        let generation = self.manifest.generation + 1;
        if !self.is_mapped() {
            state.compact()?;
        }
        let written = write_generation(&self.path, generation, state).and_then(|manifest| {
            let (log, end) = new_log(&self.path, generation, &self.options)?;
            manifest.write(&self.path)?;
            Ok((manifest, log, end))
        });
        let (manifest, log, end) = match written {
            Ok(written) => written,
            Err(error) => {
                // The error that led here is the one to report. Where the manifest could be replaced after all, its files
                // stay.
                if Manifest::read(&self.path).is_ok_and(|own| own == self.manifest) {
                    self.manifest.remove_others(&self.path).ok();
                }
                return Err(error);
            }
        };
        (self.manifest, self.end) = (manifest, end);
        let writer = self.writer()?;
        (writer.log, writer.refused_at, writer.refusal) = (log, None, None);
        // Files that stay are removed when the folder is opened next.
        self.manifest.remove_others(&self.path).ok();
        if self.is_mapped() {
            let index = read_index(&self.path, manifest, &self.options)?;
            state.replace_index(index);
        }
        Ok(())
    }
}

impl Writer {
    fn new(lock: FolderLock, log: Log) -> Self {
        Self {
            _lock: lock,
            log,
            refused_at: None,
            refusal: None,
        }
    }
}

/// Writes index and items of a generation.
fn write_generation(
    path: &Path,
    generation: u64,
    state: &State,
) -> Result<Manifest, CollectionError> {
    let index = index_path(path, generation);
    if state.slots.len() == state.slots.slots() {
        state.index.save(&index)?;
    } else {
        state.index.save_rows(&index, state.slots.live())?;
    }
    let length = fs::metadata(&index).map_err(CollectionError::io(&index))?;
    let slots: Vec<u32> = state.slots.live().iter().collect();
    let items = items_file::write(
        &items_path(path, generation),
        generation,
        &state.slots.ids(),
        &state.table.columns(&slots),
    )?;
    Ok(Manifest {
        generation,
        index: length.len(),
        items,
    })
}

/// An empty log of a generation, open.
fn new_log(
    path: &Path,
    generation: u64,
    options: &OpenOptions,
) -> Result<(Log, End), CollectionError> {
    let path = log_path(path, generation);
    let end = log::create(&path, generation)?;
    Ok((Log::open(&path, end, options.get_durability())?, end))
}

fn read_index(
    path: &Path,
    manifest: Manifest,
    options: &OpenOptions,
) -> Result<Box<dyn KnnIndex>, CollectionError> {
    let path = index_path(path, manifest.generation);
    let metadata = fs::metadata(&path).map_err(CollectionError::io(&path))?;
    if metadata.len() != manifest.index {
        let fault = "it has another length than the manifest says";
        return Err(CollectionError::damaged(&path, fault));
    }
    Ok(options.load(&path)?)
}

/// Reads a generation and its log.
fn read_generation(
    path: &Path,
    manifest: Manifest,
    options: &OpenOptions,
) -> Result<(State, End), CollectionError> {
    let generation = manifest.generation;
    let index = read_index(path, manifest, options)?;
    let items = items_path(path, generation);
    let (ids, columns) = items_file::read(&items, generation, manifest.items)?;
    if ids.len() != index.len() {
        let fault = "it has another number of ids than the index has rows";
        return Err(CollectionError::damaged(&items, fault));
    }
    let mut state = State::new(index);
    let columns = state.table.fitted(columns)?;
    state.put_items(&ids, &columns);
    let mut replay = super::state::Replay::new(&mut state);
    let log = log_path(path, generation);
    let end = log::read(&log, generation, options.get_damaged_log(), |change| {
        replay.take(change)
    })?;
    replay.finish()?;
    Ok((state, end))
}

#[cfg(test)]
mod tests;
