//! The contents of one file into the cache.
//!
//! ```text
//! lock → there already? → request what is missing → append to ETAG.incomplete → check size and SHA-256 → sync → rename
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use dml_core::durable;
use sha2::{Digest as _, Sha256};
use ureq::Body;
use ureq::http::Response;

use super::cache::{RepoCache, create_folder_of};
use super::client::{Client, Fault, Remote, number, refusal, text};
use super::error::{HubError, HubTarget, Result};
use super::{HubProgress, ProgressFn};

const CHUNK: usize = 1 << 16;
/// A request that brings as much does not count as a failure: the file grows, so there is an end to it.
const PROGRESS: u64 = 1 << 16;
/// Largest number of bytes accepted for a file without an announced size.
const MOST_UNANNOUNCED: u64 = 1 << 30;
/// Time between two looks at a lock.
const TICK: Duration = Duration::from_millis(20);

/// A file to fetch.
#[derive(Debug)]
pub(super) struct Transfer<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) cache: &'a RepoCache,
    pub(super) target: &'a HubTarget,
    pub(super) remote: &'a Remote,
    /// Address of the file at its commit.
    pub(super) url: String,
}

/// How a request ended early.
enum Interrupt {
    /// The server or the network is at fault.
    Remote(Fault),
    /// It ends the transfer.
    End(HubError),
}

impl Transfer<'_> {
    /// Makes sure that the contents are in the cache, whole and checked.
    pub(super) fn run(&self, progress: &mut ProgressFn<'_>) -> Result<()> {
        let etag = &self.remote.etag;
        let (blob, part, lock_file) = (
            self.cache.blob(etag),
            self.cache.part(etag),
            self.cache.lock(etag),
        );
        create_folder_of(&blob)?;
        create_folder_of(&lock_file)?;
        let _lock = lock(&lock_file, self.client.config.lock_timeout)?;
        if blob.is_file() {
            return Ok(());
        }
        // What an earlier transfer left may be damaged: then everything is fetched once more.
        let mut is_inherited = own_len(&part)? > 0;
        loop {
            self.fetch(&part, progress)?;
            let problem = match self.check(&part)? {
                None => break,
                Some(problem) => problem,
            };
            fs::remove_file(&part).map_err(HubError::io("remove", &part))?;
            if !std::mem::take(&mut is_inherited) {
                return Err(problem);
            }
        }
        durable::replace(&part, &blob).map_err(HubError::io("rename", &part))
    }

    /// Requests what is missing until all is there.
    fn fetch(&self, part: &Path, progress: &mut ProgressFn<'_>) -> Result<()> {
        let (config, mut failures) = (self.client.config, 0);
        loop {
            let mut file = open_own(part)?;
            let mut have = own_len(part)?;
            if self.remote.size.is_some_and(|size| have > size) {
                file.set_len(0).map_err(HubError::io("write", part))?;
                have = 0;
            }
            if have > 0 && Some(have) == self.remote.size {
                return Ok(());
            }
            let fault = match self.request(have, &mut file, part, progress) {
                Ok(()) => return Ok(()),
                Err(Interrupt::End(error)) => return Err(error),
                Err(Interrupt::Remote(fault)) => fault,
            };
            let received = own_len(part)?;
            let is_growing = received >= have.saturating_add(PROGRESS);
            failures = if is_growing { 0 } else { failures + 1 };
            if fault.may_pass() && failures < config.attempts.max(1) {
                std::thread::sleep(self.client.wait(failures, fault.retry_after()));
                continue;
            }
            return Err(match fault {
                Fault::Transport(source) => HubError::Interrupted {
                    target: Box::new(self.target.clone()),
                    received,
                    expected: self.remote.size,
                    attempts: failures,
                    source,
                },
                other => self.client.error(self.target.clone(), failures, other),
            });
        }
    }

    /// One request, whose bytes are appended to `file`.
    fn request(
        &self,
        have: u64,
        file: &mut File,
        part: &Path,
        progress: &mut ProgressFn<'_>,
    ) -> std::result::Result<(), Interrupt> {
        let response = self
            .client
            .body(&self.url, have)
            .map_err(Interrupt::Remote)?;
        let failed = |error| Interrupt::End(HubError::io("write", part)(error));
        let broken = |error| Interrupt::Remote(Fault::Transport(Box::new(error)));
        let (mut received, total) = match response.status().as_u16() {
            // All of it, though a part was asked for.
            200 => {
                if have > 0 {
                    file.set_len(0).map_err(failed)?;
                }
                (0, number(response.headers(), "content-length"))
            }
            206 => match content_range(&response) {
                Some((first, total)) if first == have => (have, total),
                // The next request is for all of it.
                _ => {
                    file.set_len(0).map_err(failed)?;
                    let got = text(response.headers(), "content-range").unwrap_or_default();
                    let got: String = got.chars().take(100).collect();
                    let problem =
                        format!("expected the file from byte {have} on, got the range {got:?}");
                    return Err(broken(io::Error::other(problem)));
                }
            },
            416 => {
                // What is there is no beginning of the file.
                file.set_len(0).map_err(failed)?;
                let problem = format!("the server has no bytes from {have} on");
                return Err(broken(io::Error::other(problem)));
            }
            _ => return Err(Interrupt::Remote(Fault::Status(refusal(&response)))),
        };
        let expected = self.remote.size.or(total);
        let config = self.client.config;
        let mut rate = Rate::new(config.min_bytes_per_second, config.stall_timeout);
        let (mut body, mut chunk) = (response.into_body().into_reader(), vec![0; CHUNK]);
        loop {
            let event = HubProgress {
                file: self.target.file.as_deref().unwrap_or_default(),
                received,
                total: expected,
            };
            if progress(event) == ControlFlow::Break(()) {
                let target = Box::new(self.target.clone());
                return Err(Interrupt::End(HubError::Stopped { target }));
            }
            let count = match body.read(&mut chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error)),
            };
            if count == 0 {
                break;
            }
            file.write_all(&chunk[..count]).map_err(failed)?;
            received += count as u64;
            match expected {
                // More than there should be: the check of the contents refuses it.
                Some(size) if received > size => return Ok(()),
                None if received > MOST_UNANNOUNCED => {
                    let problem = format!(
                        "expected a size in X-Linked-Size or Content-Length, got {received} bytes without one"
                    );
                    return Err(Interrupt::Remote(Fault::Answer(problem)));
                }
                _ => {}
            }
            rate.count(count).map_err(broken)?;
        }
        match expected {
            Some(size) if received < size => {
                let problem = format!("expected {size} bytes, got {received}");
                Err(broken(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    problem,
                )))
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with the contents; `None` if nothing is.
    fn check(&self, part: &Path) -> Result<Option<HubError>> {
        let wrong = |expected: String, got: String| HubError::Contents {
            target: Box::new(self.target.clone()),
            expected,
            got,
        };
        let length = own_len(part)?;
        if let Some(size) = self.remote.size.filter(|size| *size != length) {
            return Ok(Some(wrong(
                format!("{size} bytes"),
                format!("{length} bytes"),
            )));
        }
        if !self.remote.is_sha256 {
            return Ok(None);
        }
        let read = HubError::io("read", part);
        let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
        let hashed = File::open(part).and_then(|mut file| {
            loop {
                match file.read(&mut chunk)? {
                    0 => return Ok(()),
                    count => hash.update(&chunk[..count]),
                }
            }
        });
        hashed.map_err(read)?;
        let got: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let expected = self.remote.etag.to_ascii_lowercase();
        Ok((got != expected)
            .then(|| wrong(format!("SHA-256 {expected}"), format!("SHA-256 {got}"))))
    }
}

/// `bytes FIRST-LAST/TOTAL`, where the total may be `*`.
fn content_range(response: &Response<Body>) -> Option<(u64, Option<u64>)> {
    let range = text(response.headers(), "content-range")?;
    let (span, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = span.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

/// Measures how many bytes arrive in each span of time.
struct Rate {
    slowest: u32,
    span: Duration,
    since: Instant,
    received: u64,
}

impl Rate {
    fn new(slowest: u32, span: Duration) -> Self {
        Self {
            slowest,
            span,
            since: Instant::now(),
            received: 0,
        }
    }

    /// Counts bytes; at the end of each span, fails if there were too few.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.received += bytes as u64;
        let elapsed = self.since.elapsed();
        if elapsed < self.span {
            return Ok(());
        }
        if (self.received as f64) < f64::from(self.slowest) * elapsed.as_secs_f64() {
            let (slowest, received) = (self.slowest, self.received);
            let problem =
                format!("expected {slowest} bytes per second, got {received} in {elapsed:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
        }
        *self = Self::new(self.slowest, self.span);
        Ok(())
    }
}

/// Waits for a lock file at most for `timeout`. The operating system frees it when the file is dropped.
fn lock(path: &Path, timeout: Duration) -> Result<File> {
    let (file, start) = (open_own(path)?, Instant::now());
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if start.elapsed() < timeout => {
                std::thread::sleep(TICK.min(timeout));
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(HubError::Locked {
                    lock: path.to_path_buf(),
                    waited: timeout,
                });
            }
            // On a file system without locks two downloads may disturb each other: the check of the contents sees it.
            Err(fs::TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(file);
            }
            Err(fs::TryLockError::Error(error)) => return Err(HubError::io("lock", path)(error)),
        }
    }
}

/// Opens a regular file for appending, and makes it where there is none.
///
/// A symbolic link is refused: others may write to the folder of a cache, and what a link there leads to would be
/// overwritten.
fn open_own(path: &Path) -> Result<File> {
    match File::options().create_new(true).append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        file => return file.map_err(HubError::io("create", path)),
    }
    own_len(path)?;
    File::options()
        .append(true)
        .open(path)
        .map_err(HubError::io("open", path))
}

/// Length of a regular file, 0 where there is none.
fn own_len(path: &Path) -> Result<u64> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => {
            let problem = "expected a regular file, found a link, a folder or a device";
            Err(HubError::io("use", path)(io::Error::other(problem)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(HubError::io("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_transfers_fail_at_the_end_of_a_span() {
        let mut rate = Rate::new(1000, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        let error = rate.count(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(Rate::new(1000, Duration::from_secs(600)).count(1).is_ok());
        assert!(Rate::new(0, Duration::ZERO).count(0).is_ok());
    }

    #[test]
    fn a_lock_excludes_another_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = lock(&path, Duration::ZERO).unwrap();
        let error = lock(&path, Duration::from_millis(30)).unwrap_err();
        assert!(matches!(error, HubError::Locked { .. }), "{error}");
        drop(held);
        assert!(lock(&path, Duration::ZERO).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_and_what_they_lead_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        fs::write(&target, "precious").unwrap();
        assert!(open_own(&link).is_err() && own_len(&link).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }
}
