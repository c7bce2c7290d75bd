//! One request: what is missing of a file, appended to what is there.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::{DownloadConfig, DownloadEvent, Fault};
use crate::DataError;

const CHUNK: usize = 1 << 16;
/// Longest time between two calls of the progress function.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// A progress function whose wish to stop has become an error.
pub(super) type Report<'a> = dyn FnMut(DownloadEvent<'_>) -> crate::Result<()> + 'a;

/// Why a request ended early.
#[derive(Debug)]
pub(super) enum Interrupt {
    /// The server or the network is at fault.
    Remote(Fault),
    /// The file can't be written.
    Local(io::Error),
    /// The caller wished it.
    Stopped(DataError),
}

/// How a request ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything that the server announced is there, and maybe more.
    Announced,
    /// The server announced no length, so only the contents can tell.
    Unannounced,
}

/// A client with the time-outs of `config`.
pub(super) fn agent(config: &DownloadConfig) -> Agent {
    let mut builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(5)
        .timeout_resolve(Some(config.connect_timeout))
        .timeout_connect(Some(config.connect_timeout))
        .timeout_send_request(Some(config.stall_timeout))
        .timeout_recv_response(Some(config.stall_timeout))
        .timeout_per_read(Some(config.stall_timeout))
        .user_agent(concat!("dml-data/", env!("CARGO_PKG_VERSION")));
    if !config.proxy_from_environment {
        builder = builder.proxy(None);
    }
    builder.build().into()
}

/// What is requested.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The file's name, for progress.
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    /// How many bytes are there already; the rest is requested.
    pub(super) have: u64,
    /// Most bytes that the file may have.
    pub(super) limit: u64,
    /// Fewest bytes per second, 0 for no limit.
    pub(super) slowest: u32,
    /// Span of time that the rate is averaged over.
    pub(super) span: Duration,
}

/// What the requesting thread hands over.
#[derive(Debug)]
enum Message {
    /// The server begins to send. `skip` bytes of what it sends are there already; `total` is what the file has.
    Begin { skip: u64, total: Option<u64> },
    /// The next bytes.
    Bytes(Vec<u8>),
    /// All was sent.
    End,
    /// The server says that nothing is left to send.
    Overlong,
    /// It failed.
    Fault(Fault),
}

/// Requests the rest of a file and appends it to `file`. `progress` hears what arrived, or that nothing did
/// for a while; an error of it ends the request.
///
/// The network is read by a thread of its own, because a blocking read can't be interrupted: this thread wakes every
/// [`TICK`] to report and to measure the rate. When it returns early, the other thread ends at its next message or
/// time-out; it holds neither the file nor its lock.
pub(super) fn transfer(
    agent: &Agent,
    request: Request<'_>,
    file: &mut dyn Write,
    progress: &mut Report<'_>,
) -> Result<End, Interrupt> {
    let (sender, receiver) = mpsc::sync_channel(4);
    let (agent, url) = (agent.clone(), request.url.to_owned());
    let (have, limit) = (request.have, request.limit);
    thread::Builder::new()
        .name("dml-download".to_owned())
        .spawn(move || {
            if let Err(fault) = fetch(&agent, &url, have, limit, &sender) {
                // The receiver may have gone: then nobody asks why.
                let _ = sender.send(Message::Fault(fault));
            }
        })
        .map_err(Interrupt::Local)?;
    receive(&receiver, request, file, progress)
}

/// Appends what the requesting thread hands over to `file`, which has `request.have` bytes.
fn receive(
    messages: &Receiver<Message>,
    request: Request<'_>,
    file: &mut dyn Write,
    progress: &mut Report<'_>,
) -> Result<End, Interrupt> {
    let mut received = request.have;
    let (mut skip, mut total) = (0u64, None);
    let mut rate: Option<Rate> = None;
    loop {
        match messages.recv_timeout(TICK) {
            Ok(Message::Begin { skip: s, total: t }) => {
                (skip, total) = (s, t);
                rate = Some(Rate::new(request.slowest, request.span));
            }
            Ok(Message::Bytes(bytes)) => {
                let passed = skip.min(bytes.len() as u64);
                skip -= passed;
                let new = &bytes[passed as usize..];
                if received + new.len() as u64 > request.limit {
                    let limit = request.limit;
                    return Err(Interrupt::Remote(Fault::TooLarge { limit }));
                }
                file.write_all(new).map_err(Interrupt::Local)?;
                received += new.len() as u64;
                let event = DownloadEvent::Received {
                    file: request.name,
                    received,
                    total,
                };
                progress(event).map_err(Interrupt::Stopped)?;
                if let Some(rate) = &mut rate {
                    rate.count(bytes.len()).map_err(Interrupt::Remote)?;
                }
            }
            Ok(Message::End) => {
                return match total {
                    Some(expected) if received < expected => {
                        Err(Interrupt::Remote(Fault::Dropped {
                            expected,
                            found: received,
                        }))
                    }
                    Some(_) => Ok(End::Announced),
                    None => Ok(End::Unannounced),
                };
            }
            Ok(Message::Overlong) => return Ok(End::Announced),
            Ok(Message::Fault(fault)) => return Err(Interrupt::Remote(fault)),
            Err(RecvTimeoutError::Timeout) => {
                let event = DownloadEvent::Waiting { file: request.name };
                progress(event).map_err(Interrupt::Stopped)?;
                if let Some(rate) = &mut rate {
                    rate.count(0).map_err(Interrupt::Remote)?;
                }
            }
            // The thread always ends with a message, unless it panicked.
            Err(RecvTimeoutError::Disconnected) => {
                let error = io::Error::other("the requesting thread ended early");
                return Err(Interrupt::Remote(Fault::Transport(Box::new(error))));
            }
        }
    }
}

/// Measures how many bytes arrive in each span of time.
#[derive(Debug)]
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
    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.received += bytes as u64;
        let elapsed = self.since.elapsed();
        if elapsed < self.span {
            return Ok(());
        }
        if (self.received as f64) < f64::from(self.slowest) * elapsed.as_secs_f64() {
            return Err(Fault::TooSlow {
                expected: self.slowest,
                received: self.received,
                span: elapsed,
            });
        }
        *self = Self::new(self.slowest, self.span);
        Ok(())
    }
}

/// Requests `url` from byte `have` on, and hands over what comes, until nobody receives it any more.
fn fetch(
    agent: &Agent,
    url: &str,
    have: u64,
    limit: u64,
    sender: &SyncSender<Message>,
) -> Result<(), Fault> {
    // The file is compressed as it is: a second compression would count bytes that the file doesn't have.
    let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    let response = request.call().map_err(transport)?;
    let (skip, total) = match response.status().as_u16() {
        // All of it, though a part was asked for: what is there already is passed over.
        200 => (have, number(&response, header::CONTENT_LENGTH)),
        206 => match content_range(&response) {
            Some((first, total)) if first == have => (0, total),
            _ => {
                return Err(Fault::Range {
                    expected: have,
                    found: text(&response, header::CONTENT_RANGE)
                        .unwrap_or_default()
                        .chars()
                        .take(100)
                        .collect(),
                });
            }
        },
        416 if have > 0 => {
            let _ = sender.send(Message::Overlong);
            return Ok(());
        }
        status => {
            return Err(Fault::Status {
                status,
                retry_after: number(&response, header::RETRY_AFTER),
            });
        }
    };
    if total.is_some_and(|total| total > limit) {
        return Err(Fault::TooLarge { limit });
    }
    if sender.send(Message::Begin { skip, total }).is_err() {
        return Ok(());
    }
    pass_on(&mut response.into_body().into_reader(), sender)
}

/// Hands over what `body` has, piece by piece.
fn pass_on(body: &mut dyn Read, sender: &SyncSender<Message>) -> Result<(), Fault> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let message = match body.read(&mut chunk) {
            Ok(0) => Message::End,
            Ok(count) => Message::Bytes(chunk[..count].to_vec()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Fault::Transport(Box::new(e))),
        };
        let is_end = matches!(message, Message::End);
        if sender.send(message).is_err() || is_end {
            return Ok(());
        }
    }
}

fn transport(error: ureq::Error) -> Fault {
    Fault::Transport(Box::new(error))
}

fn text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

fn number(response: &Response<Body>, name: header::HeaderName) -> Option<u64> {
    text(response, name)?.trim().parse().ok()
}

/// `bytes FIRST-LAST/TOTAL`, where the total may be `*`.
fn content_range(response: &Response<Body>) -> Option<(u64, Option<u64>)> {
    let range = text(response, header::CONTENT_RANGE)?
        .trim()
        .strip_prefix("bytes ")?;
    let (span, total) = range.split_once('/')?;
    let (first, _) = span.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then says that the disk is full.
    struct SmallDisk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for SmallDisk {
        fn write(&mut self, new: &[u8]) -> io::Result<usize> {
            let count = new.len().min(self.room - self.bytes.len());
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&new[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Receives a body as the requesting thread would hand it over.
    fn copy(
        body: &[u8],
        skip: u64,
        request: Request<'_>,
        file: &mut dyn Write,
    ) -> Result<End, Interrupt> {
        let (sender, receiver) = mpsc::sync_channel(8);
        sender.send(Message::Begin { skip, total: None }).unwrap();
        pass_on(&mut &body[..], &sender).unwrap();
        receive(&receiver, request, file, &mut |_| Ok(()))
    }

    fn request(have: u64, limit: u64) -> Request<'static> {
        Request {
            name: "",
            url: "",
            have,
            limit,
            slowest: 0,
            span: Duration::from_secs(60),
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_connection() {
        let mut disk = SmallDisk {
            bytes: Vec::new(),
            room: 60,
        };
        let end = copy(&[7; 100], 0, request(0, 1000), &mut disk);
        assert!(matches!(end, Err(Interrupt::Local(e)) if e.kind() == io::ErrorKind::StorageFull));
        assert_eq!(disk.bytes.len(), 60);
    }

    #[test]
    fn what_is_there_is_passed_over_and_the_limit_holds() {
        let body: Vec<u8> = (0..100).collect();
        let mut file = Vec::new();
        let end = copy(&body, 30, request(30, 100), &mut file);
        assert!(matches!(end, Ok(End::Unannounced)));
        assert_eq!(file, body[30..]);
        let end = copy(&body, 0, request(0, 99), &mut Vec::new());
        assert!(matches!(
            end,
            Err(Interrupt::Remote(Fault::TooLarge { limit: 99 }))
        ));
    }
}
