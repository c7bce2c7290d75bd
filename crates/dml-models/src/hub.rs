//! Models by name from the [Hugging Face hub](https://huggingface.co/models).
//!
//! ```text
//! revision → commit and list of files → for each file: in the cache? else ETag, size, SHA-256 → transfer → link
//! ```
//!
//! Files are kept in the cache of `huggingface_hub`, in its layout, so what Python has downloaded is not downloaded again, and
//! the other way round. Endpoint, cache, token and offline mode come from the same variables ([`HubConfig`]). In addition:
//!
//! - A transfer that breaks is resumed where it broke, within the call and by later ones.
//! - A file appears in the cache whole or not at all. Its size is compared with the hub's, and for large files (Git LFS) the
//!   SHA-256.
//! - A branch leads to a commit only after all files of the commit have arrived.
//! - Offline, files that a model takes and the cache lacks are an error. The cache knows them from a list of the
//!   repository's files, which is written beside them.
//! - The token is sent to the hub and to no server that it redirects to.
//!
//! Large files come by HTTPS; the chunked transfers of `hf_xet` are not used.

mod cache;
mod client;
mod config;
mod error;
mod listing;
mod names;
mod transfer;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cache::RepoCache;
use client::{Client, Fault};
use listing::Listing;
use transfer::Transfer;

pub use config::{HubConfig, HubToken};
pub use error::{HubError, HubTarget, Result};

/// What a transfer tells its caller while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubProgress<'a> {
    /// Path of the file in the repository.
    pub file: &'a str,
    /// Number of bytes that are there.
    pub received: u64,
    /// Number of bytes that the file has, if the hub said so.
    pub total: Option<u64>,
}

/// Function that a transfer reports to. [`ControlFlow::Break`] stops it; the next one resumes.
pub type ProgressFn<'a> = dyn FnMut(HubProgress<'_>) -> ControlFlow<()> + 'a;

/// A folder of the cache with the files of a model at a commit.
///
/// [`Weights::open`](crate::Weights::open), [`TextEncoder::read`](crate::TextEncoder::read) and other readers take it as a
/// path. Its files are links into the cache: write to another folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFolder {
    path: PathBuf,
    commit: String,
    is_confirmed: bool,
}

impl HubFolder {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Commit of the files: as a [revision](HubModel::revision) it gives the same files for ever.
    #[must_use]
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether the commit is that of the revision now. If not, it is what the revision was when it was last downloaded: the
    /// hub was not asked, or gave no answer.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }
}

impl AsRef<Path> for HubFolder {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// A model on the hub at a revision.
///
/// ```no_run
/// use candle_core::{DType, Device};
/// use dml_models::hub::HubModel;
/// use dml_models::{Backbone, Names, TextEncoder, Weights, by_name};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let folder = HubModel::new("sentence-transformers/all-MiniLM-L6-v2").download()?;
/// let encoder = TextEncoder::read(&folder, rng, DType::F32, &Device::Cpu)?;
///
/// let file = HubModel::new("timm/vit_small_patch16_224.augreg_in1k").file("model.safetensors")?;
/// let network = by_name("vit_small_patch16_224")?.build(rng, DType::F32, &Device::Cpu)?;
/// network.load(&Weights::open(file)?, &Names::default())?;
/// # Ok::<(), dml_models::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubModel {
    repository: String,
    revision: String,
    config: Option<HubConfig>,
}

impl HubModel {
    /// The model of a repository, such as `timm/resnet18.a1_in1k`, at its branch `main`.
    #[must_use]
    pub fn new(repository: impl Into<String>) -> Self {
        Self {
            repository: repository.into(),
            revision: "main".to_owned(),
            config: None,
        }
    }

    /// Takes another branch, a tag, or a commit.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = revision.into();
        self
    }

    /// Takes other settings than those of the environment.
    #[must_use]
    pub fn config(mut self, config: HubConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// The folder of the model: its settings, its tokenizer and one set of weights, downloaded where the cache lacks them.
    ///
    /// These are the files that the readers of this crate, of transformers and of sentence-transformers look for, in the
    /// repository's folder and in those of `modules.json`. Of weights, the first is taken that is there of
    /// `model.safetensors`, `model.safetensors.index.json` with its shards, `pytorch_model.bin`, `pytorch_model.bin.index.json`
    /// with its shards. If the hub gives no answer, a complete folder of the cache is returned, which is not
    /// [confirmed](HubFolder::is_confirmed).
    ///
    /// # Errors
    /// [`HubError`]; [`HubError::NoWeights`] if the weights have another name.
    pub fn download(&self) -> Result<HubFolder> {
        self.download_with(&mut |_| ControlFlow::Continue(()))
    }

    /// As [`download`](Self::download), with a function that hears what arrives and may stop it.
    ///
    /// ```no_run
    /// use std::ops::ControlFlow;
    /// use dml_models::hub::HubModel;
    ///
    /// let folder = HubModel::new("sentence-transformers/all-MiniLM-L6-v2").download_with(&mut |event| {
    ///     println!("{}: {} of {:?}", event.file, event.received, event.total);
    ///     ControlFlow::Continue(())
    /// })?;
    /// # Ok::<(), dml_models::hub::HubError>(())
    /// ```
    ///
    /// # Errors
    /// As [`download`](Self::download), and [`HubError::Stopped`].
    pub fn download_with(&self, progress: &mut ProgressFn<'_>) -> Result<HubFolder> {
        self.with_session(|session| session.folder(progress))
    }

    /// The path of one file of the repository, downloaded where the cache lacks it. An index of shards brings its shards.
    ///
    /// If the hub gives no answer, the file that the cache has for the revision is returned.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        self.file_with(name, &mut |_| ControlFlow::Continue(()))
    }

    /// As [`file`](Self::file), with a function that hears what arrives and may stop it.
    ///
    /// # Errors
    /// As [`file`](Self::file), and [`HubError::Stopped`].
    pub fn file_with(&self, name: &str, progress: &mut ProgressFn<'_>) -> Result<PathBuf> {
        names::file(name)?;
        self.with_session(|session| session.file(name, progress))
    }

    fn with_session<T>(&self, run: impl FnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
        names::repository(&self.repository)?;
        names::revision(&self.revision)?;
        let own;
        let config = match &self.config {
            Some(config) => config,
            None => {
                own = HubConfig::from_env()?;
                &own
            }
        };
        run(&Session {
            model: self,
            client: Client::new(config)?,
            cache: RepoCache::new(&config.cache, &self.repository),
        })
    }
}

/// A model with the means to get it.
struct Session<'a> {
    model: &'a HubModel,
    client: Client<'a>,
    cache: RepoCache,
}

impl Session<'_> {
    fn target(&self, file: Option<&str>) -> HubTarget {
        HubTarget {
            repository: self.model.repository.clone(),
            revision: self.model.revision.clone(),
            file: file.map(str::to_owned),
        }
    }

    fn not_cached(&self, file: Option<&str>, problem: impl Into<String>) -> HubError {
        HubError::NotCached {
            target: Box::new(self.target(file)),
            cache: self.client.config.cache.clone(),
            problem: problem.into(),
        }
    }

    /// Number of attempts at the first request: one, if the cache can answer as well.
    fn attempts(&self, is_cached: bool) -> u32 {
        if is_cached {
            1
        } else {
            self.client.config.attempts
        }
    }

    fn folder(&self, progress: &mut ProgressFn<'_>) -> Result<HubFolder> {
        let (model, cached) = (self.model, self.cached_folder());
        if self.client.config.offline {
            return cached;
        }
        // Nothing changes at a commit.
        if names::is_commit(&model.revision) && cached.is_ok() {
            return cached;
        }
        let attempts = self.attempts(cached.is_ok());
        let asked = self.client.retrying(attempts, || {
            self.client.listing(&model.repository, &model.revision)
        });
        let (commit, listing) = match asked {
            Ok(answer) => answer,
            Err((attempts, fault)) => {
                let error = self.client.error(self.target(None), attempts, fault);
                return match cached {
                    Ok(folder) if error.is_outage() => Ok(folder),
                    _ => Err(error),
                };
            }
        };
        let has_weights = listing.get(
            &mut |name| self.file_of(&commit, name, progress),
            &|name, problem| HubError::Answer {
                target: Box::new(self.target(Some(name))),
                problem,
            },
        )?;
        if !has_weights {
            return Err(HubError::NoWeights {
                target: Box::new(self.target(None)),
                found: listing.other_weights(),
            });
        }
        noted(self.cache.set_listing(&commit, &listing))?;
        noted(self.cache.set_commit(&model.revision, &commit))?;
        Ok(HubFolder {
            path: self.cache.snapshot(&commit),
            commit,
            is_confirmed: true,
        })
    }

    /// The folder that the cache has for the revision, if nothing is missing in it.
    fn cached_folder(&self) -> Result<HubFolder> {
        let revision = &self.model.revision;
        let commit = self.cache.commit(revision)?;
        let commit =
            commit.ok_or_else(|| self.not_cached(None, "has no commit of the revision"))?;
        let listing = match self.cache.listing(&commit) {
            Some(listing) => listing,
            None => self.present(&commit)?,
        };
        let has_weights = listing.get(
            &mut |name| {
                let path = self.cache.file(&commit, name);
                path.ok_or_else(|| self.not_cached(Some(name), "lacks the file"))
            },
            &|name, problem| self.not_cached(Some(name), format!("has a damaged file: {problem}")),
        )?;
        if !has_weights {
            return Err(self.not_cached(None, "has no weights of it"));
        }
        Ok(HubFolder {
            path: self.cache.snapshot(&commit),
            is_confirmed: names::is_commit(revision),
            commit,
        })
    }

    /// The files of a commit that are there, where no list says which there should be. Without `modules.json` an encoder
    /// would get another pooling, so it has to be there, or known not to be in the repository.
    fn present(&self, commit: &str) -> Result<Listing> {
        let modules = "modules.json";
        let is_known = self.cache.file(commit, modules).is_some()
            || self.cache.is_known_absent(commit, modules);
        if is_known {
            Ok(self.cache.present(commit))
        } else {
            let problem = "does not know whether the repository has this file";
            Err(self.not_cached(Some(modules), problem))
        }
    }

    fn file(&self, name: &str, progress: &mut ProgressFn<'_>) -> Result<PathBuf> {
        let path = self.single(name, progress)?;
        if listing::is_index(name) {
            let shards = listing::shards(&path).map_err(|problem| HubError::Answer {
                target: Box::new(self.target(Some(name))),
                problem,
            })?;
            let folder = name.rsplit_once('/').map(|(folder, _)| folder);
            for shard in shards {
                let shard = folder.map_or(shard.clone(), |folder| format!("{folder}/{shard}"));
                self.single(&shard, progress)?;
            }
        }
        Ok(path)
    }

    fn single(&self, name: &str, progress: &mut ProgressFn<'_>) -> Result<PathBuf> {
        let revision = &self.model.revision;
        let cached = self.cached_file(name);
        if self.client.config.offline || (names::is_commit(revision) && cached.is_ok()) {
            return cached;
        }
        let asked = self.remote(revision, name, self.attempts(cached.is_ok()));
        match (asked, cached) {
            (Ok(remote), _) => {
                let path = self.arrived(name, &remote, progress)?;
                noted(self.cache.set_commit(revision, &remote.commit))?;
                Ok(path)
            }
            (Err(error), Ok(path)) if error.is_outage() => Ok(path),
            (Err(error), _) => Err(error),
        }
    }

    /// The file that the cache has for the revision.
    fn cached_file(&self, name: &str) -> Result<PathBuf> {
        let commit = self.cache.commit(&self.model.revision)?;
        let commit =
            commit.ok_or_else(|| self.not_cached(Some(name), "has no commit of the revision"))?;
        if let Some(path) = self.cache.file(&commit, name) {
            return Ok(path);
        }
        if self.cache.is_known_absent(&commit, name) {
            let target = Box::new(self.target(Some(name)));
            return Err(HubError::File {
                target,
                status: 404,
            });
        }
        Err(self.not_cached(Some(name), "lacks the file"))
    }

    /// A file of a commit that the hub has just named.
    fn file_of(&self, commit: &str, name: &str, progress: &mut ProgressFn<'_>) -> Result<PathBuf> {
        if let Some(path) = self.cache.file(commit, name) {
            return Ok(path);
        }
        let mut remote = self.remote(commit, name, self.client.config.attempts)?;
        // The answer for a commit is about this commit, whatever else a server says.
        commit.clone_into(&mut remote.commit);
        self.arrived(name, &remote, progress)
    }

    /// What the hub says of a file.
    fn remote(&self, revision: &str, name: &str, attempts: u32) -> Result<client::Remote> {
        let repository = &self.model.repository;
        let url = self.client.address(repository, revision, name);
        let asked = self.client.retrying(attempts, || self.client.remote(&url));
        asked.map_err(|(attempts, fault)| {
            let commit = match &fault {
                Fault::Status(refusal) => refusal.commit.clone(),
                _ => None,
            };
            let error = self.client.error(self.target(Some(name)), attempts, fault);
            if let (HubError::File { .. }, Some(commit)) = (&error, commit) {
                // The answer counts, whether or not it could be written down.
                let _ = self.cache.set_absent(&commit, name);
            }
            error
        })
    }

    /// The file with the contents that the hub named, downloaded if they are not there.
    fn arrived(
        &self,
        name: &str,
        remote: &client::Remote,
        progress: &mut ProgressFn<'_>,
    ) -> Result<PathBuf> {
        if let Some(path) = self.cache.file(&remote.commit, name) {
            return Ok(path);
        }
        let target = self.target(Some(name));
        // At the commit: a branch may move during the transfer.
        let repository = &self.model.repository;
        let transfer = Transfer {
            client: &self.client,
            cache: &self.cache,
            target: &target,
            remote,
            url: self.client.address(repository, &remote.commit, name),
        };
        transfer.run(progress)?;
        self.cache.link(&remote.commit, name, &remote.etag)
    }
}

/// A note about files that are there. A cache that may not be written to, such as one that many users share, has none.
fn noted(written: Result<()>) -> Result<()> {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match written {
        Err(HubError::Io { source, .. })
            if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem) =>
        {
            Ok(())
        }
        written => written,
    }
}
