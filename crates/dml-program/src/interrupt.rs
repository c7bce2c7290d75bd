//! Ctrl-C, a request to end, and a closed terminal: the first one ends the run in order, the second one at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use signal_hook::consts::SIGINT;

use crate::eprintln;

/// Added to the number of a signal, as shells do for a process that it has ended.
const ENDED_BY: i32 = 128;
/// Exit code of a program that Ctrl-C has ended.
pub const INTERRUPTED: u8 = 130;

/// Whether the user has asked for the end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    downloading: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts to listen.
    ///
    /// # Errors
    /// If the system refuses a handler or a thread.
    #[cfg(unix)]
    pub fn listen() -> anyhow::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGTERM};
        use signal_hook::iterator::Signals;

        let own = Self::default();
        let mut signals = vec![SIGINT, SIGTERM];
        if !are_hangups_ignored() {
            signals.push(SIGHUP);
        }
        let mut signals = Signals::new(signals)?;
        let listener = own.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                signals
                    .forever()
                    .for_each(|signal| listener.receive(signal));
            })?;
        Ok(own)
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// If the system refuses a handler.
    #[cfg(not(unix))]
    pub fn listen() -> anyhow::Result<Self> {
        use signal_hook::flag;

        let own = Self::default();
        // In this order: the first signal finds the flag unset, and sets it; the second one ends the process.
        flag::register_conditional_shutdown(SIGINT, ENDED_BY + SIGINT, own.asked.clone())?;
        flag::register(SIGINT, own.asked.clone())?;
        Ok(own)
    }

    #[cfg(unix)]
    fn receive(&self, signal: i32) {
        let is_second = self.asked.swap(true, Ordering::SeqCst);
        if self.downloading.load(Ordering::SeqCst) {
            end_download(signal);
        }
        if is_second {
            process::exit(ENDED_BY + signal);
        }
    }

    /// What is set by the first signal.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.asked.clone()
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Nothing if the run may go on.
    ///
    /// # Errors
    /// A sentence with what is kept, if a signal has come.
    pub fn check(&self, what_is_kept: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.is_asked() {
            bail!("interrupted: {}", what_is_kept());
        }
        Ok(())
    }

    /// Runs a download, which any signal ends at once: it may be waiting for a server, and what has arrived is on the disk.
    pub fn while_downloading<T>(&self, download: impl FnOnce() -> T) -> T {
        self.downloading.store(true, Ordering::SeqCst);
        if self.is_asked() {
            end_download(SIGINT);
        }
        let done = download();
        self.downloading.store(false, Ordering::SeqCst);
        done
    }
}

fn end_download(signal: i32) -> ! {
    eprintln!("interrupted: what has arrived is kept, and the next download goes on from there");
    process::exit(ENDED_BY + signal)
}

/// Whether the program was started to outlive its terminal, as by `nohup`.
#[cfg(unix)]
fn are_hangups_ignored() -> bool {
    // SAFETY: a zeroed `sigaction` is a valid value, the call only writes to it, and no handler is changed.
    #[allow(unsafe_code)]
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}
