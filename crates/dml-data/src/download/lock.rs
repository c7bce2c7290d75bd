//! One download of a file at a time, among threads and among programs.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::own_file::open_own;
use crate::{DataError, Result};

/// A lock file held; the operating system frees it when it is dropped, or when the program ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock at most for `timeout`. `waiting` is called while another one holds it; an error of it ends
    /// the wait.
    pub(super) fn acquire(
        path: &Path,
        timeout: Duration,
        waiting: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let file = open_own(path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
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
                Err(TryLockError::Error(source)) => {
                    return Err(DataError::io("lock", path)(source));
                }
            }
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
        let held = Lock::acquire(&path, Duration::ZERO, &mut || Ok(())).unwrap();
        let error = Lock::acquire(&path, Duration::from_millis(30), &mut || Ok(())).unwrap_err();
        assert!(matches!(error, DataError::Locked { .. }), "{error}");
        let stopped = || DataError::Stopped { file: "x".into() };
        let error = Lock::acquire(&path, Duration::MAX, &mut || Err(stopped())).unwrap_err();
        assert!(matches!(error, DataError::Stopped { .. }), "{error}");
        drop(held);
        assert!(Lock::acquire(&path, Duration::ZERO, &mut || Ok(())).is_ok());
        assert!(matches!(
            Lock::acquire(&path.join("no folder"), Duration::ZERO, &mut || Ok(())),
            Err(DataError::Io {
                action: "create",
                ..
            })
        ));
    }
}
