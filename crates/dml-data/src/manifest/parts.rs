//! Parts of a table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Entry, Manifest, Role};
use crate::{DataError, Result};

impl Manifest {
    /// The names of the splits of these lines, sorted.
    #[must_use]
    pub fn splits(&self) -> Vec<&str> {
        let splits = self.entries.iter().filter_map(|own| own.split.as_deref());
        splits.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The lines of a split.
    ///
    /// # Errors
    /// [`DataError::NoSuchLines`] if there is none.
    pub fn split(&self, name: &str) -> Result<Self> {
        let keep = |entry: &Entry| entry.split.as_deref() == Some(name);
        self.filtered(keep, || {
            ("split", format!("{name:?}"), self.splits().join(", "))
        })
    }

    /// The lines of a part: of [`Role::Query`], those that are queries or both; of [`Role::Gallery`], those that are in
    /// the gallery, both, or junk.
    ///
    /// # Errors
    /// [`DataError::NoSuchLines`] if there is none.
    pub fn role(&self, role: Role) -> Result<Self> {
        let keep = |entry: &Entry| entry.role.is_some_and(|own| own.is_part_of(role));
        let roles = || {
            let named = Role::NAMED.iter();
            let named = named.filter(|(r, _)| self.entries.iter().any(|e| e.role == Some(*r)));
            named.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
        };
        let wanted = || ("role", format!("{:?}", role.name()), roles());
        self.filtered(keep, wanted)
    }

    fn filtered(
        &self,
        keep: impl Fn(&Entry) -> bool,
        what: impl FnOnce() -> (&'static str, String, String),
    ) -> Result<Self> {
        let entries = self.entries.iter().filter(|entry| keep(entry));
        let entries: Arc<[Entry]> = entries.cloned().collect();
        if entries.is_empty() {
            let (column, wanted, found) = what();
            return Err(DataError::NoSuchLines {
                file: self.path.to_path_buf(),
                column,
                wanted,
                found: if found.is_empty() {
                    "none".to_owned()
                } else {
                    found
                },
            });
        }
        Ok(Self {
            entries,
            ..self.clone()
        })
    }
}
