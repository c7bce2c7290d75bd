//! Files that are on the disk before they have their names: whole, whatever happens to process or machine.

use std::fs::{self, File, OpenOptions};
use std::io::Result;
use std::path::Path;

/// Moves a file that is written to its place, its contents first to the disk and then its name.
///
/// # Errors
/// Those of the system.
///
/// ```
/// let name = format!("dml-durable-{}", std::process::id());
/// let path = std::env::temp_dir().join(name);
/// let part = path.with_extension("part");
/// std::fs::write(&part, "all of it")?;
/// dml_core::durable::replace(&part, &path)?;
/// assert_eq!(std::fs::read(&path)?, b"all of it");
/// assert!(!part.exists());
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn replace(part: &Path, path: &Path) -> Result<()> {
    // A name that is on the disk before the contents are would outlive them in a power cut.
    OpenOptions::new().write(true).open(part)?.sync_all()?;
    fs::rename(part, path)?;
    let folder = path.parent().filter(|own| !own.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}

/// Brings the names in a folder to the disk. Where a folder can't be opened, the system sees to it.
///
/// # Errors
/// Those of the system.
pub fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
