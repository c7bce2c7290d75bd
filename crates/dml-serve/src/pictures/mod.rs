//! The pictures of items: files within one folder.

mod cache;
mod kind;
mod thumbnail;

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use dml_eval::{Attributes, Id, Value};

use crate::ServeError;
use crate::limits::Limits;
use crate::problem::{Problem, quoted};

pub(crate) use cache::Thumbnails;
pub(crate) use kind::media_type;
pub(crate) use thumbnail::thumbnail;

/// A folder with the pictures of items. A file is only served if it lies in the folder, symbolic links followed, and is an
/// image.
///
/// ```
/// use dml_serve::PictureFolder;
///
/// let folder = tempfile::tempdir()?;
/// // The attribute `path` of an item is `boots/1.jpg`, or an absolute path into the folder.
/// let by_attribute = PictureFolder::by_attribute(folder.path(), "path")?;
/// // The id of an item is `boots/1.jpg`.
/// let by_id = PictureFolder::by_id(folder.path())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PictureFolder {
    /// The folder without symbolic links.
    root: PathBuf,
    /// The folder as it was given, which absolute paths may begin with.
    given: PathBuf,
    attribute: Option<String>,
}

/// A picture as it is in its file.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: &'static str,
}

/// A file within the folder, and what identifies its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Located {
    path: PathBuf,
    bytes: u64,
    modified: u128,
}

impl PictureFolder {
    /// Pictures whose path is an attribute of their item, relative to `folder` or absolute.
    ///
    /// # Errors
    /// [`ServeError::Io`] if `folder` is no folder.
    pub fn by_attribute(
        folder: impl AsRef<Path>,
        attribute: impl Into<String>,
    ) -> Result<Self, ServeError> {
        Self::new(folder.as_ref(), Some(attribute.into()))
    }

    /// Pictures whose path is the id of their item, relative to `folder` or absolute.
    ///
    /// # Errors
    /// [`ServeError::Io`] if `folder` is no folder.
    pub fn by_id(folder: impl AsRef<Path>) -> Result<Self, ServeError> {
        Self::new(folder.as_ref(), None)
    }

    fn new(folder: &Path, attribute: Option<String>) -> Result<Self, ServeError> {
        let fault = |source| ServeError::Io {
            action: "read",
            path: folder.to_path_buf(),
            source,
        };
        let root = folder.canonicalize().map_err(fault)?;
        // Fails for a file, too.
        root.read_dir().map_err(fault)?;
        Ok(Self {
            root,
            given: folder.to_path_buf(),
            attribute,
        })
    }

    /// The name of the attribute that holds paths.
    pub(crate) fn attribute(&self) -> Option<&str> {
        self.attribute.as_deref()
    }

    /// The path that an item states.
    pub(crate) fn stated(&self, id: &Id, attributes: &Attributes) -> Option<String> {
        match &self.attribute {
            None => Some(id.to_string()),
            Some(name) => match attributes.get(name) {
                Some(Value::Text(path)) => Some(path.clone()),
                _ => None,
            },
        }
    }

    /// The file at a path that an item or a pair states.
    ///
    /// # Errors
    /// Status 404 for a path that leads out of the folder, or to no regular file. Both have the same message, which
    /// reveals nothing about files outside of the folder.
    pub(crate) fn locate(&self, stated: &str) -> Result<Located, Problem> {
        let missing = || Problem::not_found(format!("picture: no file {}", quoted(stated)));
        let stated = Path::new(stated);
        let mut relative = stated;
        if stated.is_absolute() {
            let inside = stated
                .strip_prefix(&self.root)
                .or_else(|_| stated.strip_prefix(&self.given));
            relative = inside.map_err(|_| missing())?;
        }
        let is_plain =
            |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !relative.components().all(is_plain) {
            return Err(missing());
        }
        let path = self
            .root
            .join(relative)
            .canonicalize()
            .map_err(|_| missing())?;
        let metadata = path.metadata().map_err(|_| missing())?;
        if !path.starts_with(&self.root) || !metadata.is_file() {
            return Err(missing());
        }
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Located {
            path,
            bytes: metadata.len(),
            modified: modified.map_or(0, |time| time.as_nanos()),
        })
    }
}

impl Located {
    /// A tag of the content for caches, with what else the answer depends on.
    pub(crate) fn tag(&self, of: &str) -> String {
        format!("\"{:x}-{:x}-{of}\"", self.bytes, self.modified)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Status 422 if it is too large or no image, 404 if it has gone.
    pub(crate) fn read(&self, limits: &Limits) -> Result<Picture, Problem> {
        let name = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = quoted(&name);
        let most = limits.picture_bytes;
        let too_large =
            || Problem::unusable(format!("picture {name}: expected at most {most} bytes"));
        if self.bytes > most {
            return Err(too_large());
        }
        let gone = |_| Problem::not_found(format!("picture: no file {name}"));
        let mut bytes = Vec::with_capacity(self.bytes as usize);
        let file = File::open(&self.path).map_err(gone)?;
        file.take(most + 1).read_to_end(&mut bytes).map_err(gone)?;
        if bytes.len() as u64 > most {
            return Err(too_large());
        }
        let Some(media_type) = media_type(&bytes) else {
            return Err(Problem::unusable(format!(
                "picture {name}: the file is no image"
            )));
        };
        Ok(Picture { bytes, media_type })
    }
}

#[cfg(test)]
mod tests;
