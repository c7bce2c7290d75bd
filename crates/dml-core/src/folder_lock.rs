//! One writer at a time in a folder, among threads and among processes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A folder that is locked for as long as this value lives.
///
/// The lock is one of the operating system on the file `.lock` in the folder. It ends with the process in whatever way that
/// ends, so a killed process leaves nothing that has to be cleared away. On file systems without locks, such as some network
/// file systems, every attempt succeeds.
///
/// ```
/// use dml_core::folder_lock::{FolderLock, FolderLockError};
///
/// let folder = std::env::temp_dir().join(format!("dml-folder-lock-{}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// let first = FolderLock::acquire(&folder)?;
/// assert!(matches!(FolderLock::acquire(&folder), Err(FolderLockError::Held { .. })));
/// drop(first);
/// FolderLock::acquire(&folder)?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    /// Locked until it is closed.
    _file: File,
}

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderLockError {
    /// Another process or thread holds the lock.
    #[error(
        "{}: another run is writing here{}; wait for it to end, or choose another folder",
        folder.display(),
        process.map_or_else(String::new, |process| format!(" (process {process})"))
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The process that holds the lock, if it can be told.
        process: Option<u32>,
    },
    /// The lock file can't be created or locked.
    #[error("can't lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl FolderLock {
    /// Name of the lock file.
    pub const FILE_NAME: &str = ".lock";

    /// Locks a folder that exists, or fails at once if it is locked.
    ///
    /// # Errors
    /// [`FolderLockError::Held`] if another process or thread holds the lock; [`FolderLockError::Io`] if the lock file can't
    /// be created.
    pub fn acquire(folder: &Path) -> Result<Self, FolderLockError> {
        let path = folder.join(Self::FILE_NAME);
        let failed = |source| FolderLockError::Io {
            path: path.clone(),
            source,
        };
        loop {
            let file = open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(FolderLockError::Held {
                        folder: folder.to_owned(),
                        process: holder(&path),
                    });
                }
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // The holder before this one removes the file while it holds the lock: one that was opened earlier and locked
            // later excludes nobody.
            if is_at(&file, &path).map_err(failed)? {
                note_holder(&file).map_err(failed)?;
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A lock file that stays is as good as none.
        fs::remove_file(&self.path).ok();
    }
}

fn open(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let problem = "expected a lock file or none, got a folder, a link or something special";
            return Err(io::Error::new(ErrorKind::InvalidInput, problem));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).open(path)
}

fn is_unsupported(error: &io::Error) -> bool {
    /// "No locks available", which a network file system without a lock service answers.
    const ENOLCK: i32 = 37;
    error.kind() == ErrorKind::Unsupported
        || (cfg!(target_os = "linux") && error.raw_os_error() == Some(ENOLCK))
}

/// Whether the open file is the one of that name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let named = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let open = file.metadata()?;
        Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, named);
        Ok(true)
    }
}

/// Writes down who holds the lock, for the message that others get.
fn note_holder(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::acquire(folder.path()).unwrap();
        let error = FolderLock::acquire(folder.path()).unwrap_err();
        let text = error.to_string();
        let own = std::process::id();
        assert!(
            matches!(error, FolderLockError::Held { process: Some(process), .. } if process == own)
        );
        assert!(text.contains(&format!("process {own}")), "{text}");
        assert!(
            text.contains(&folder.path().display().to_string()),
            "{text}"
        );
        drop(held);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // What a killed process leaves is no lock.
        fs::write(folder.path().join(FolderLock::FILE_NAME), "999999\n").unwrap();
        drop(FolderLock::acquire(folder.path()).unwrap());
        let none = folder.path().join("none");
        let error = FolderLock::acquire(&none).unwrap_err();
        assert!(matches!(error, FolderLockError::Io { .. }), "{error}");
    }

    #[test]
    fn of_many_threads_one_at_a_time_holds_the_lock() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let (inside, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        match FolderLock::acquire(folder.path()) {
                            Ok(lock) => {
                                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                                taken.fetch_add(1, Ordering::SeqCst);
                                inside.fetch_sub(1, Ordering::SeqCst);
                                drop(lock);
                            }
                            Err(FolderLockError::Held { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_lock_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("precious");
        fs::write(&other, "text").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join(FolderLock::FILE_NAME)).unwrap();
        let error = FolderLock::acquire(folder.path()).unwrap_err();
        assert!(matches!(error, FolderLockError::Io { .. }), "{error}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "text");
    }
}
