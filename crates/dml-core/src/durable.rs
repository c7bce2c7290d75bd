//! Files that are whole or absent, whatever happens to the process or the machine.
//!
//! Every file of this workspace that is written in one go is written by [`write()`] or [`write_with`]: into a temporary file
//! in the same folder, which is brought to the disk and then renamed. A reader sees the old file or the new one. When the
//! disk is full, or the writer fails or panics, the temporary file is removed. When the writer is killed, the next writer
//! in that folder removes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The names of temporary files begin like this.
const TEMPORARY: &str = ".tmp-dml-";
/// Links that are followed before a path counts as a cycle, as on Linux.
const MAX_LINKS: usize = 40;

/// Writes `bytes` to a file that appears at `path` whole or not at all.
///
/// The file gets the permissions that the process gives to new files (the umask on Unix). If `path` is a symbolic link, the
/// file it points to is written and the link stays. A character device such as `/dev/null` is written to directly.
///
/// # Errors
/// Errors of the system; [`ErrorKind::InvalidInput`] if `path` is a folder, a named pipe, a socket or a block device.
///
/// ```
/// let folder = std::env::temp_dir().join(format!("dml-durable-{}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// let path = folder.join("numbers.txt");
/// dml_core::durable::write(&path, b"1 2 3")?;
/// assert_eq!(std::fs::read(&path)?, b"1 2 3");
/// assert_eq!(std::fs::read_dir(&folder)?.count(), 1);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |part| part.write_all(bytes))
}

/// Writes a file as [`write()`] does, with contents that `contents` produces piece by piece.
///
/// # Errors
/// As [`write()`], and the errors of `contents`. After an error the file at `path` is as it was.
///
/// ```
/// use std::io::Write;
///
/// let path = std::env::temp_dir().join(format!("dml-durable-with-{}", std::process::id()));
/// dml_core::durable::write_with(&path, |part| (0..3).try_for_each(|i| writeln!(part, "{i}")))?;
/// assert_eq!(std::fs::read(&path)?, b"0\n1\n2\n");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_with<E: From<Error>>(
    path: &Path,
    contents: impl FnOnce(&mut Part) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let target = followed(path)?;
    if is_device(&target)? {
        let file = OpenOptions::new().write(true).open(&target)?;
        let mut part = Part::new(file, target);
        contents(&mut part)?;
        return Ok(part.buffer.flush()?);
    }
    let folder = folder_of(&target);
    if cfg!(unix) {
        // A folder that can be written to but not listed is no reason to fail.
        remove_abandoned(folder, is_own).ok();
    }
    let (file, temporary) = create_temporary(folder)?;
    let mut part = Part::new(file, temporary);
    let guard = Removed(part.path.clone());
    contents(&mut part)?;
    part.buffer.flush()?;
    // A name that is on the disk before the contents are would outlive them in a power cut.
    part.buffer.get_ref().sync_all()?;
    fs::rename(&part.path, &target)?;
    std::mem::forget(guard);
    // Closed after the renaming only: until then, its lock tells other writers that it is in use.
    drop(part);
    Ok(sync_folder(folder)?)
}

/// A file that is being written, under a temporary name.
///
/// ```
/// use std::io::Write;
///
/// use dml_core::durable::{self, Part};
///
/// let path = std::env::temp_dir().join(format!("dml-durable-part-{}", std::process::id()));
/// durable::write_with(&path, |part: &mut Part| {
///     assert!(part.path().exists() && !path.exists());
///     part.write_all(b"1 2 3")
/// })?;
/// assert_eq!(std::fs::read(&path)?, b"1 2 3");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Part {
    buffer: BufWriter<File>,
    path: PathBuf,
}

impl Part {
    fn new(file: File, path: PathBuf) -> Self {
        let buffer = BufWriter::new(file);
        Self { buffer, path }
    }

    /// The temporary name, for writers that open files themselves.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.buffer.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.buffer.flush()
    }
}

/// Removes a file when it is dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // The error that led here is the one to report.
        fs::remove_file(&self.0).ok();
    }
}

/// Removes the temporary files of writers that were killed from a folder that belongs to the caller alone: those of
/// [`write()`], and those called `.tmp` and six letters or digits, as earlier versions wrote them.
///
/// A temporary file that another process is writing stays.
///
/// # Errors
/// Errors of the system, except that a folder which does not exist has nothing to remove.
pub fn sweep(folder: &Path) -> Result<()> {
    match remove_abandoned(folder, |name| is_own(name) || is_of_tempfile(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        swept => swept,
    }
}

/// Moves a file that was written at leisure, such as a download, to its place: first its contents to the disk, then its
/// name. The file at `part` stays where it is if that fails.
///
/// # Errors
/// Errors of the system.
pub fn replace(part: &Path, path: &Path) -> Result<()> {
    OpenOptions::new().write(true).open(part)?.sync_all()?;
    fs::rename(part, path)?;
    sync_folder(folder_of(path))
}

/// Brings the names in a folder to the disk. Where a folder can't be opened, the system sees to it.
///
/// # Errors
/// Errors of the system.
pub fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|own| !own.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// The path at the end of a chain of symbolic links; it need not exist.
fn followed(path: &Path) -> Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..=MAX_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {
                // A relative link starts from the folder that it lies in.
                target = folder_of(&target).join(fs::read_link(&target)?);
            }
            Ok(_) => return Ok(target),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(target),
            Err(error) => return Err(error),
        }
    }
    let problem = format!("expected at most {MAX_LINKS} symbolic links in a row, got a cycle");
    Err(Error::new(ErrorKind::InvalidInput, problem))
}

/// Whether bytes go to a device rather than into a file. Renaming a file over a device would destroy it.
fn is_device(target: &Path) -> Result<bool> {
    let metadata = match fs::metadata(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        metadata => metadata?,
    };
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_char_device(&metadata.file_type()) {
        return Ok(true);
    }
    if metadata.is_file() {
        return Ok(false);
    }
    let got = if metadata.is_dir() {
        "a folder"
    } else {
        "a named pipe, a socket or a block device"
    };
    let problem = format!("expected a file to write or a new name, got {got}");
    Err(Error::new(ErrorKind::InvalidInput, problem))
}

/// A new file that is locked for as long as it is open, and its name.
fn create_temporary(folder: &Path) -> Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = std::process::id();
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Processes of two machines that share the folder may have the same number.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_nanos());
        let path = folder.join(format!("{TEMPORARY}{process:x}-{count:x}-{now:x}"));
        let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        // Another writer may have taken the file for an abandoned one before it was locked, and removed it. Where a file
        // system knows no locks, nothing is taken for abandoned.
        if cfg!(unix) && file.lock().is_ok() && !fs::exists(&path)? {
            continue;
        }
        return Ok((file, path));
    }
}

fn is_own(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Whether a name is one of the crate `tempfile`.
fn is_of_tempfile(name: &str) -> bool {
    let random = name.strip_prefix(".tmp");
    random.is_some_and(|own| own.len() == 6 && own.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Removes the files of such names that no process holds locked.
fn remove_abandoned(folder: &Path, is_temporary: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_temporary = entry.file_name().to_str().is_some_and(&is_temporary);
        if !is_temporary || !entry.file_type()?.is_file() {
            continue;
        }
        let path = entry.path();
        let file = match OpenOptions::new().write(true).open(&path) {
            // Its writer was quicker, or it belongs to another user.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::PermissionDenied
                ) =>
            {
                continue;
            }
            file => file?,
        };
        match file.try_lock() {
            // The lock is held while the file goes, so that its writer, if there is one after all, sees that it is gone.
            Ok(()) => match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            },
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
