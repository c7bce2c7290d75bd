//! One download of a file at a time, among threads and among programs.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::own_file::open_own;
use crate::{DataError, Result};

/// Waits for a lock file at most for `timeout`. `waiting` is called while another one holds it; an error of it ends the
/// wait. The operating system frees the lock when the file is dropped, or when the program ends in whatever way.
pub(super) fn lock(
    path: &Path,
    timeout: Duration,
    waiting: &mut dyn FnMut() -> Result<()>,
) -> Result<File> {
    let file = open_own(path)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < timeout => {
                waiting()?;
                thread::sleep(Duration::from_millis(20).min(timeout));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(DataError::Locked {
                    lock: PathBuf::from(path),
                    waited: timeout,
                });
            }
            Err(TryLockError::Error(source)) => return Err(DataError::io("lock", path)(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_another_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = lock(&path, Duration::ZERO, &mut || Ok(())).unwrap();
        let error = lock(&path, Duration::from_millis(30), &mut || Ok(())).unwrap_err();
        assert!(matches!(error, DataError::Locked { .. }), "{error}");
        let stopped = || DataError::Stopped { file: "x".into() };
        let error = lock(&path, Duration::MAX, &mut || Err(stopped())).unwrap_err();
        assert!(matches!(error, DataError::Stopped { .. }), "{error}");
        drop(held);
        assert!(lock(&path, Duration::ZERO, &mut || Ok(())).is_ok());
        assert!(matches!(
            lock(&path.join("no folder"), Duration::ZERO, &mut || Ok(())),
            Err(DataError::Io {
                action: "create",
                ..
            })
        ));
    }
}
