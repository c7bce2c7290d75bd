//! Fetching MNIST and Fashion-MNIST over HTTP into a cache folder.
//!
//! ```text
//! for each file: lock → already there and intact? → for each mirror: request what is missing → append to FILE.part
//!                → check the contents → fsync → rename to FILE
//! ```
//!
//! What was received is kept: a dropped connection, a slow server or a stopped program leaves `FILE.part`, and the next
//! request asks for the rest of it. The caller stops a download by returning [`ControlFlow::Break`] from its progress
//! function, which is called at least every 50 milliseconds. A server must send
//! [`min_bytes_per_second`](DownloadConfig::min_bytes_per_second) on average, so every request ends. Failures that may pass (no connection, a time-out, status 408, 429 or
//! 5xx) are tried again after a wait that doubles each time; others, wrong contents among them, move on to the next
//! mirror. A file under its final name is always whole and checked. `FILE.part` must be a regular file: a symbolic link
//! in its place is refused, because writing would change the file that it leads to. Any number of threads and programs may download
//! the same file at once: one does, the others wait for it.

mod attempt;
mod backoff;
pub(crate) mod file;
mod lock;
mod own_file;
mod transfer;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use crate::{MnistVariant, Result, cache_folder};

pub use attempt::{Attempt, Fault};

dml_core::config! {
    /// How patiently to download, from where and to where.
    ///
    /// ```
    /// use dml_data::download::DownloadConfig;
    ///
    /// let config = DownloadConfig { folder: Some("datasets/mnist".into()), ..Default::default() };
    /// assert_eq!(config.attempts, 4);
    /// ```
    pub struct DownloadConfig {
        /// Addresses of folders with the files, tried in order. Default: none, which means the data set's own mirrors.
        pub mirrors: Vec<String> = Vec::new(),
        /// The folder to keep the files in. Default: one of the data set's name in [`cache_folder`].
        pub folder: Option<PathBuf> = None,
        /// Attempts at one mirror, at least 1; those that bring 64 KiB or more do not count. Default 4.
        pub attempts: u32 = 4,
        /// The wait after the first failed attempt; it doubles with each. Default half a second.
        pub first_wait: Duration = Duration::from_millis(500),
        /// The longest wait. Default 8 seconds.
        pub longest_wait: Duration = Duration::from_secs(8),
        /// How long to wait for a connection. Default 10 seconds.
        pub connect_timeout: Duration = Duration::from_secs(10),
        /// How long to wait for the next byte. Default 20 seconds.
        pub stall_timeout: Duration = Duration::from_secs(20),
        /// Fewest bytes per second, averaged over each span of `stall_timeout`; a slower request fails and is tried again.
        /// 0 sets no limit. Default 1000.
        pub min_bytes_per_second: u32 = 1000,
        /// How long to wait for another download of the same file. Default 10 minutes.
        pub lock_timeout: Duration = Duration::from_secs(600),
        /// Whether the environment's `HTTPS_PROXY` and the like are heeded. Default `true`.
        pub proxy_from_environment: bool = true,
    }
}

/// What a download tells its caller while it goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum DownloadEvent<'a> {
    /// The file was there already, and its contents are right.
    Cached {
        /// The file's name.
        file: &'a str,
    },
    /// Bytes arrived.
    Received {
        /// The file's name.
        file: &'a str,
        /// How many bytes of it are there.
        received: u64,
        /// How many it has, if the server said so.
        total: Option<u64>,
    },
    /// An attempt failed; there will be another one, at this mirror or the next, after a wait.
    Failed {
        /// The file's name.
        file: &'a str,
        /// The attempt.
        attempt: &'a Attempt,
        /// How long the wait is.
        wait: Duration,
    },
    /// Nothing arrived in the last 50 milliseconds: the download waits for a server, for another download of the same
    /// file, or for its next attempt.
    Waiting {
        /// The file's name.
        file: &'a str,
    },
    /// The file is whole, its contents are right, and it has its final name.
    Done {
        /// The file's name.
        file: &'a str,
    },
}

/// Function that a download reports to. [`ControlFlow::Break`] stops the download; the bytes that arrived stay in
/// `FILE.part`, and the next download continues from there.
pub type Progress<'a> = dyn FnMut(DownloadEvent<'_>) -> ControlFlow<()> + 'a;

impl MnistVariant {
    /// The addresses of the folders that the files are downloaded from.
    #[must_use]
    pub fn mirrors(self) -> [&'static str; 2] {
        match self {
            Self::Mnist => [
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
            Self::FashionMnist => [
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            ],
        }
    }

    /// Downloads what is missing of the four files, and returns their folder for [`MnistVariant::load`].
    ///
    /// ```no_run
    /// use std::ops::ControlFlow;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// use dml_data::{MnistVariant, download::DownloadConfig};
    ///
    /// static STOP: AtomicBool = AtomicBool::new(false); // set by a signal handler, say
    /// let folder = MnistVariant::Mnist.download(&DownloadConfig::default(), &mut |event| {
    ///     println!("{event:?}");
    ///     if STOP.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// })?;
    /// let mnist = MnistVariant::Mnist.load(folder)?;
    /// assert_eq!(mnist.train.len(), 60_000);
    /// # Ok::<(), dml_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Download`](crate::DataError::Download) with every attempt if no mirror has the file, or there is no
    /// network; [`DataError::Io`](crate::DataError::Io) if the folder can't be written or the disk is full;
    /// [`DataError::Locked`](crate::DataError::Locked) if another download of the file takes too long;
    /// [`DataError::Stopped`](crate::DataError::Stopped) if `progress` returned [`ControlFlow::Break`];
    /// [`DataError::FileKind`](crate::DataError::FileKind) if `FILE.part` is no regular file;
    /// [`DataError::NoCacheFolder`](crate::DataError::NoCacheFolder) if no folder is given and none is known.
    pub fn download(self, config: &DownloadConfig, progress: &mut Progress<'_>) -> Result<PathBuf> {
        let folder = match &config.folder {
            Some(folder) => folder.clone(),
            None => cache_folder()?.join(self.folder_name()),
        };
        let own = self.mirrors().map(str::to_owned);
        let mirrors = if config.mirrors.is_empty() {
            &own[..]
        } else {
            &config.mirrors
        };
        for file in self.files() {
            file::Download {
                file,
                mirrors,
                folder: &folder,
                config,
            }
            .run(progress)?;
        }
        Ok(folder)
    }
}

#[cfg(test)]
mod tests;
