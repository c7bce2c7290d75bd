//! The folder of one repository in the cache, laid out as `huggingface_hub` lays it out.
//!
//! ```text
//! CACHE/models--OWNER--NAME/refs/REVISION             the commit of a branch or tag
//!                          /blobs/ETAG                the contents of a file
//!                          /blobs/ETAG.incomplete     what has arrived of them
//!                          /snapshots/COMMIT/FILE     a link to its contents
//!                          /trees/COMMIT.json         all files of the repository at a commit
//!                          /.no_exist/COMMIT/FILE     a file that the repository does not have
//! CACHE/.locks/models--OWNER--NAME/ETAG.lock          held during a download
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dml_core::durable;

use super::error::{HubError, Result};
use super::listing::Listing;
use super::names;

/// Most bytes of a reference.
const MOST_REF: u64 = 1 << 12;
/// Most bytes of a list of files.
pub(super) const MOST_LISTING: u64 = 1 << 26;
/// Version of the lists of files that this module reads and writes.
const TREE_VERSION: u32 = 1;

/// A repository's folder in the cache, and that of its locks.
#[derive(Debug)]
pub(super) struct RepoCache {
    folder: PathBuf,
    locks: PathBuf,
}

/// `trees/COMMIT.json`.
#[derive(serde::Serialize, serde::Deserialize)]
struct TreeFile {
    format_version: u32,
    files: BTreeMap<String, TreeEntry>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct TreeEntry {
    size: u64,
    blob_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xet_hash: Option<String>,
}

impl RepoCache {
    /// The folder of a repository whose name has been checked.
    pub(super) fn new(cache: &Path, repository: &str) -> Self {
        let name = format!("models--{}", repository.replace('/', "--"));
        Self {
            folder: cache.join(&name),
            locks: cache.join(".locks").join(name),
        }
    }

    /// The commit of a revision, by what the hub said last.
    pub(super) fn commit(&self, revision: &str) -> Result<Option<String>> {
        if names::is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        let path = self.folder.join("refs").join(revision);
        let text = match read(&path, MOST_REF) {
            Err(error) if is_absent(&error) => return Ok(None),
            text => text.map_err(HubError::io("read", &path))?,
        };
        let commit = text.trim();
        Ok(names::is_commit(commit).then(|| commit.to_owned()))
    }

    /// Writes down the commit of a revision.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if names::is_commit(revision) || self.commit(revision)?.as_deref() == Some(commit) {
            return Ok(());
        }
        write(&self.folder.join("refs").join(revision), commit.as_bytes())
    }

    /// Folder with the files of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// A file of a commit, if it is there.
    pub(super) fn file(&self, commit: &str, name: &str) -> Option<PathBuf> {
        let path = self.snapshot(commit).join(name);
        path.is_file().then_some(path)
    }

    /// Whether the hub has said that a commit has no file of that name.
    pub(super) fn is_known_absent(&self, commit: &str, name: &str) -> bool {
        self.absent(commit, name).is_file()
    }

    /// Writes down that a commit has no file of that name.
    pub(super) fn set_absent(&self, commit: &str, name: &str) -> Result<()> {
        write(&self.absent(commit, name), b"")
    }

    fn absent(&self, commit: &str, name: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(name)
    }

    /// The files that the repository has at a commit, if that is known. A list that can't be read counts as none.
    pub(super) fn listing(&self, commit: &str) -> Option<Listing> {
        let text = read(&self.tree(commit), MOST_LISTING).ok()?;
        let tree: TreeFile = serde_json::from_str(&text).ok()?;
        (tree.format_version == TREE_VERSION).then(|| Listing::new(tree.files.into_keys()))
    }

    /// The files of a commit that are in the cache.
    pub(super) fn present(&self, commit: &str) -> Listing {
        let (root, mut names, mut folders) = (self.snapshot(commit), Vec::new(), vec![None]);
        while let Some(folder) = folders.pop() {
            let path = folder.as_ref().map_or(root.clone(), |own| root.join(own));
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let name = folder
                    .as_ref()
                    .map_or(name.clone(), |own| format!("{own}/{name}"));
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(Some(name)),
                    _ => names.push(name),
                }
            }
            if names.len() > super::listing::MOST_FILES {
                break;
            }
        }
        Listing::new(names)
    }

    /// Writes down the files that the repository has at a commit, unless the hub left out their sizes and checksums.
    pub(super) fn set_listing(&self, commit: &str, listing: &Listing) -> Result<()> {
        let path = self.tree(commit);
        if path.is_file() {
            return Ok(());
        }
        let mut files = BTreeMap::new();
        for (name, details) in listing.iter() {
            let Some(details) = details else {
                return Ok(());
            };
            let entry = TreeEntry {
                size: details.size,
                blob_id: details.blob_id.clone(),
                lfs_sha256: details.sha256.clone(),
                lfs_size: details.sha256.is_some().then_some(details.size),
                xet_hash: None,
            };
            files.insert(name.to_owned(), entry);
        }
        let tree = TreeFile {
            format_version: TREE_VERSION,
            files,
        };
        let text = serde_json::to_vec_pretty(&tree)
            .map_err(|error| HubError::io("write", &path)(error.into()))?;
        write(&path, &text)
    }

    fn tree(&self, commit: &str) -> PathBuf {
        self.folder.join("trees").join(format!("{commit}.json"))
    }

    /// The contents of a file with that `ETag`.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// What has arrived of them.
    pub(super) fn part(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// Held during their download.
    pub(super) fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Makes the contents with that `ETag` a file of a commit, and returns its path.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit).join(name);
        if path.is_file() {
            return Ok(path);
        }
        create_folder_of(&path)?;
        // A link to contents that are gone.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HubError::io("remove", &path)(error));
            }
            _ => {}
        }
        let linked = link(&self.blob(etag), &path, name.split('/').count() + 1, etag);
        match linked {
            // Another process was quicker.
            Err(_) if path.is_file() => {}
            linked => linked.map_err(HubError::io("link", &path))?,
        }
        Ok(path)
    }
}

/// A relative link, so that the cache can be moved. `depth` is the number of folders between the file and the repository's.
#[cfg(unix)]
fn link(_: &Path, path: &Path, depth: usize, etag: &str) -> io::Result<()> {
    let target = format!("{}blobs/{etag}", "../".repeat(depth));
    std::os::unix::fs::symlink(target, path)
}

/// Where links take rights that users lack: a second name, or a copy.
#[cfg(not(unix))]
fn link(blob: &Path, path: &Path, _: usize, _: &str) -> io::Result<()> {
    fs::hard_link(blob, path).or_else(|_| {
        let mut source = File::open(blob)?;
        durable::write_with(path, |part| io::copy(&mut source, part).map(|_| ()))
    })
}

/// The text of a small file.
pub(super) fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let problem = format!("expected at most {most} bytes, found more");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(text)
}

pub(super) fn create_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(HubError::io("create", folder))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    create_folder_of(path)?;
    durable::write(path, bytes).map_err(HubError::io("write", path))
}

fn is_absent(error: &io::Error) -> bool {
    // A folder: `refs/a` beside `refs/a/b`.
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn references_and_links_are_those_of_huggingface_hub() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let cache = RepoCache::new(folder.path(), "owner/name");
        assert_eq!(cache.commit("main")?, None);
        cache.set_commit("refs/pr/1", COMMIT)?;
        let root = folder.path().join("models--owner--name");
        let text = fs::read_to_string(root.join("refs/refs/pr/1")).unwrap();
        assert_eq!(text, COMMIT);
        assert_eq!(cache.commit("refs/pr/1")?.as_deref(), Some(COMMIT));
        assert_eq!(cache.commit("refs/pr")?, None);
        fs::write(root.join("refs/damaged"), "../../etc").unwrap();
        assert_eq!(cache.commit("damaged")?, None);

        fs::create_dir_all(root.join("blobs")).unwrap();
        fs::write(cache.blob("e1"), "1").unwrap();
        let path = cache.link(COMMIT, "1_Pooling/config.json", "e1")?;
        assert_eq!(fs::read(&path).unwrap(), b"1");
        assert_eq!(
            path,
            root.join("snapshots")
                .join(COMMIT)
                .join("1_Pooling/config.json")
        );
        #[cfg(unix)]
        assert_eq!(
            fs::read_link(&path).unwrap(),
            Path::new("../../../blobs/e1")
        );
        // A second time, and where the contents are gone.
        cache.link(COMMIT, "1_Pooling/config.json", "e1")?;
        fs::remove_file(cache.blob("e1")).unwrap();
        fs::write(cache.blob("e2"), "2").unwrap();
        cache.link(COMMIT, "1_Pooling/config.json", "e2")?;
        cache.link(COMMIT, "a.json", "e2")?;
        let present = cache.present(COMMIT);
        let names: Vec<&str> = present.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["1_Pooling/config.json", "a.json"]);
        Ok(())
    }

    #[test]
    fn a_list_of_files_that_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = RepoCache::new(folder.path(), "name");
        let path = cache.tree(COMMIT);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let own = r#"{"format_version": 1, "files": {"config.json": {"size": 1, "blob_id": "b"},
            "m": {"size": 130, "blob_id": "c", "lfs_sha256": "d", "lfs_size": 9, "xet_hash": "e"}}}"#;
        fs::write(&path, own).unwrap();
        assert_eq!(cache.listing(COMMIT).unwrap().iter().count(), 2);
        for text in ["", "{}", &own.replace(": 1,", ": 2,"), &own[..40]] {
            fs::write(&path, text).unwrap();
            assert!(cache.listing(COMMIT).is_none(), "{text}");
        }
    }
}
