//! Where downloaded files are kept.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{DataError, Result};

/// The folder that downloads are kept in; it need not exist yet.
///
/// The first of these that is set: `$DML_CACHE`, `$XDG_CACHE_HOME/dml`, and what is usual on the system:
/// `~/.cache/dml`, on macOS `~/Library/Caches/dml`, on Windows `%LOCALAPPDATA%\dml`.
///
/// # Errors
/// [`DataError::NoCacheFolder`] if none of the variables is set.
pub fn cache_folder() -> Result<PathBuf> {
    cache_folder_from(|name| std::env::var_os(name))
}

/// The variable that names the folder itself, then those that name its parent, with the way from there.
const PARENTS: &[(&str, &str)] = if cfg!(target_os = "macos") {
    &[("XDG_CACHE_HOME", "dml"), ("HOME", "Library/Caches/dml")]
} else if cfg!(windows) {
    &[
        ("XDG_CACHE_HOME", "dml"),
        ("LOCALAPPDATA", "dml"),
        ("USERPROFILE", "AppData/Local/dml"),
    ]
} else {
    &[("XDG_CACHE_HOME", "dml"), ("HOME", ".cache/dml")]
};

fn cache_folder_from(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    // An empty variable counts as unset, and the XDG standard bids to ignore relative paths.
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set("DML_CACHE") {
        return Ok(folder);
    }
    PARENTS
        .iter()
        .find_map(|(name, way)| Some(set(name).filter(|path| path.is_absolute())?.join(way)))
        .ok_or_else(|| DataError::NoCacheFolder {
            tried: PARENTS.iter().map(|&(name, _)| name).collect(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<PathBuf> {
        cache_folder_from(|name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_first_variable_that_is_set_counts() -> Result<()> {
        let root = std::env::temp_dir(); // absolute on every system
        let absolute = root.to_str().unwrap();
        let all = [("DML_CACHE", "here"), ("XDG_CACHE_HOME", absolute)];
        assert_eq!(with(&all)?, PathBuf::from("here"));
        assert_eq!(with(&all[1..])?, root.join("dml"));
        let (last, way) = PARENTS[PARENTS.len() - 1];
        let odd = [
            ("DML_CACHE", ""),
            ("XDG_CACHE_HOME", "relative"),
            (last, absolute),
        ];
        assert_eq!(with(&odd)?, root.join(way));
        Ok(())
    }

    #[test]
    fn no_variable_is_an_error_that_names_them() {
        let message = with(&[]).unwrap_err().to_string();
        assert!(
            message.contains("DML_CACHE") && message.contains("XDG_CACHE_HOME"),
            "{message}"
        );
    }
}
