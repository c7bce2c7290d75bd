//! A row of a table.

use std::path::PathBuf;
use std::sync::Arc;

use super::Role;

/// One line of a [`Manifest`](crate::Manifest).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The image: as the table has it if that is absolute, else below the table's folder.
    pub path: PathBuf,
    /// The name of its class.
    pub label: String,
    /// The split that it belongs to, such as `train`.
    pub split: Option<String>,
    /// What it is for.
    pub role: Option<Role>,
    /// The name of the camera that took it.
    pub camera: Option<String>,
    /// The image file itself, if the table has it. Then the path only names it.
    pub contents: Option<Arc<[u8]>>,
}

impl Entry {
    /// Whether it is of no class: its role is [`Role::Junk`].
    #[must_use]
    pub fn is_junk(&self) -> bool {
        self.role == Some(Role::Junk)
    }

    /// Bytes in memory, apart from those of the list that it stands in.
    pub(super) fn heap(&self) -> u64 {
        let text = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() + OVERHEAD);
        let contents = self
            .contents
            .as_ref()
            .map_or(0, |bytes| bytes.len() + OVERHEAD);
        let path = self.path.as_os_str().len() + OVERHEAD;
        let own = path + self.label.len() + OVERHEAD + contents;
        (own + text(&self.split) + text(&self.camera)) as u64
    }
}

/// Bytes that an allocation takes beyond its contents.
const OVERHEAD: usize = 16;

/// Bytes that a row takes at least: its place in a list that doubles as it grows.
pub(super) const LEAST_BYTES: u64 = 2 * size_of::<Entry>() as u64;
