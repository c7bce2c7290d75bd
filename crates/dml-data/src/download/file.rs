//! One file, from any of its mirrors.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use dml_core::durable;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::backoff;
use super::lock::lock;
use super::own_file::{open_own, own_len};
use super::transfer::{End, Interrupt, Report, Request, TICK, agent, transfer};
use super::{Attempt, DownloadConfig, DownloadEvent, Fault, Progress};
use crate::{DataError, Digest, Idx, MnistFile, Result};

/// An attempt that brings as much does not count as a failure: the file grows, so there is an end to it.
const PROGRESS: u64 = 1 << 16;
/// Compression makes no file larger than this beyond its contents.
const OVERHEAD: u64 = 1 << 20;

/// What is known of a file before it is there.
pub(crate) trait Known: Debug {
    /// The name that it gets.
    fn name(&self) -> String;

    /// Its address at a mirror.
    fn address(&self, mirror: &str) -> String;

    /// Most bytes that it may have.
    fn most_bytes(&self) -> u64;

    /// Whether the file at `path` is the one that is known.
    fn check(&self, path: &Path) -> Result<()>;
}

/// A file to fetch into a folder.
#[derive(Debug)]
pub(crate) struct Download<'a, F> {
    pub(crate) file: F,
    pub(crate) mirrors: &'a [String],
    pub(crate) folder: &'a Path,
    pub(crate) config: &'a DownloadConfig,
}

impl<F: Known> Download<'_, F> {
    /// Makes sure that the file is in its folder, whole and checked.
    pub(crate) fn run(&self, progress: &mut Progress<'_>) -> Result<()> {
        let name = self.file.name();
        let path = self.folder.join(&name);
        let part = self.folder.join(format!("{name}.part"));
        fs::create_dir_all(self.folder).map_err(DataError::io("create", self.folder))?;
        let lock_file = self.folder.join(format!(".{name}.lock"));
        let mut progress = |event: DownloadEvent<'_>| match progress(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(DataError::Stopped { file: name.clone() }),
        };
        let progress: &mut Report<'_> = &mut progress;
        let _lock = lock(&lock_file, self.config.lock_timeout, &mut || {
            progress(DownloadEvent::Waiting { file: &name })
        })?;
        if path.exists() {
            match self.file.check(&path) {
                Ok(()) => return progress(DownloadEvent::Cached { file: &name }),
                Err(error @ DataError::Io { .. }) => return Err(error),
                // Damaged since: fetched anew, and replaced when the new one is whole.
                Err(_) => {}
            }
        }
        self.fetch(&name, &part, progress)?;
        durable::replace(&part, &path).map_err(DataError::io("rename", &part))?;
        progress(DownloadEvent::Done { file: &name })
    }

    /// Fills `part` until its contents are right.
    fn fetch(&self, name: &str, part: &Path, progress: &mut Report<'_>) -> Result<()> {
        let agent = agent(self.config);
        let mut attempts: Vec<Attempt> = Vec::new();
        for (m, mirror) in self.mirrors.iter().enumerate() {
            let url = self.file.address(mirror);
            // A part of unknown origin may spoil what a good mirror adds to it: then that mirror has another try.
            let mut inherited = own_len(part)? > 0;
            let mut failures = 0;
            loop {
                let have = own_len(part)?;
                let fault = match self.request(&agent, &url, have, part, name, progress)? {
                    Ok(()) => return Ok(()),
                    Err(fault) => fault,
                };
                let received = own_len(part)?.saturating_sub(have);
                let wrong = matches!(fault, Fault::Contents(_) | Fault::TooLarge { .. });
                if wrong {
                    fs::remove_file(part).map_err(DataError::io("remove", part))?;
                }
                let wait = if wrong && inherited {
                    inherited = false;
                    Some(Duration::ZERO)
                } else if fault.may_pass() {
                    failures = if received < PROGRESS { failures + 1 } else { 0 };
                    let wish = fault.retry_after();
                    (failures < self.config.attempts.max(1))
                        .then(|| backoff::wait(self.config, failures, wish, backoff::jitter()))
                } else {
                    None
                };
                let attempt = Attempt {
                    url: url.clone(),
                    received,
                    fault,
                };
                if wait.is_some() || m + 1 < self.mirrors.len() {
                    progress(DownloadEvent::Failed {
                        file: name,
                        attempt: &attempt,
                        wait: wait.unwrap_or_default(),
                    })?;
                }
                attempts.push(attempt);
                match wait {
                    Some(wait) => sleep(wait, &mut || {
                        progress(DownloadEvent::Waiting { file: name })
                    })?,
                    None => break,
                }
            }
        }
        Err(DataError::Download {
            file: name.to_owned(),
            attempts,
        })
    }

    /// One request and the check of what is there then. The outer error ends the download, the inner one the attempt.
    fn request(
        &self,
        agent: &ureq::Agent,
        url: &str,
        have: u64,
        part: &Path,
        name: &str,
        progress: &mut Report<'_>,
    ) -> Result<std::result::Result<(), Fault>> {
        let mut file = open_own(part)?;
        let request = Request {
            name,
            url,
            have,
            limit: self.file.most_bytes(),
            slowest: self.config.min_bytes_per_second,
            span: self.config.stall_timeout,
        };
        let end = match transfer(agent, request, &mut file, progress) {
            Ok(end) => end,
            Err(Interrupt::Remote(fault)) => return Ok(Err(fault)),
            Err(Interrupt::Local(source)) => return Err(DataError::io("write", part)(source)),
            Err(Interrupt::Stopped(error)) => return Err(error),
        };
        Ok(match self.file.check(part) {
            Ok(()) => Ok(()),
            Err(error @ DataError::Io { .. }) => return Err(error),
            // Without an announced length, a file that is too short may be one that was cut off.
            Err(DataError::Truncated {
                expected, found, ..
            }) if end == End::Unannounced => Err(Fault::Dropped { expected, found }),
            Err(error) => Err(Fault::Contents(Box::new(error))),
        })
    }
}

impl MnistFile {
    /// How many bytes the file has, uncompressed.
    fn plain_len(&self) -> u64 {
        let dims = self.dims;
        4 + 4 * dims.len() as u64 + dims.iter().map(|&dim| dim as u64).product::<u64>()
    }
}

impl Known for MnistFile {
    fn name(&self) -> String {
        format!("{}.gz", self.name)
    }

    fn address(&self, mirror: &str) -> String {
        format!("{}/{}.gz", mirror.trim_end_matches('/'), self.name)
    }

    fn most_bytes(&self) -> u64 {
        self.plain_len() + OVERHEAD
    }

    fn check(&self, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let array = Idx::read(path, file, self.plain_len())?;
        if array.dims() != self.dims {
            return Err(DataError::Dimensions {
                file: path.to_path_buf(),
                expected: format!("{:?}", self.dims),
                found: array.dims().to_vec(),
            });
        }
        if let Digest::Sha256(known) = self.digest {
            let mut hash = Sha256::new();
            hash.update(array.header());
            hash.update(array.data());
            return same(path, self.digest, known, hex(&hash.finalize()));
        }
        check_digest(path, self.digest)
    }
}

/// Whether a file has a digest of its own bytes.
pub(crate) fn check_digest(path: &Path, digest: Digest) -> Result<()> {
    let mut file = File::open(path).map_err(DataError::io("open", path))?;
    let (known, found) = match digest {
        Digest::Sha256(known) | Digest::Sha256OfFile(known) => {
            (known, hash::<Sha256>(&mut file, path)?)
        }
        Digest::Md5OfCompressed(known) | Digest::Md5OfFile(known) => {
            (known, hash::<Md5>(&mut file, path)?)
        }
    };
    same(path, digest, known, found)
}

fn hash<D: sha2::Digest>(file: &mut File, path: &Path) -> Result<String> {
    let mut hash = D::new();
    io::copy(file, &mut HashWriter(&mut hash)).map_err(DataError::io("read", path))?;
    Ok(hex(&hash.finalize()))
}

fn same(path: &Path, expected: Digest, known: &str, found: String) -> Result<()> {
    if known == found {
        return Ok(());
    }
    Err(DataError::Digest {
        file: path.to_path_buf(),
        expected,
        found,
    })
}

struct HashWriter<'a, D>(&'a mut D);

impl<D: sha2::Digest> io::Write for HashWriter<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sleeps in short pieces, between which `waiting` may end the wait with an error.
fn sleep(wait: Duration, waiting: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    loop {
        let left = wait.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        waiting()?;
        thread::sleep(left.min(TICK));
    }
}
