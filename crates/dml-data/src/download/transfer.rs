//! One request: what is missing of a file, appended to what is there.

use std::io::{self, Read, Write};

use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::{DownloadConfig, Fault};

const CHUNK: usize = 1 << 16;

/// Why a request ended early.
#[derive(Debug)]
pub(super) enum Interrupt {
    /// The server or the network is at fault.
    Remote(Fault),
    /// The file can't be written.
    Local(io::Error),
}

/// How a request ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything that the server announced is there.
    Complete,
    /// The server announced no length, so only the contents can tell.
    Unannounced,
    /// The server says that the file is shorter than what is there.
    Overlong,
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

/// Requests `url` from byte `have` on and appends it to `file`; `progress(received, total)` counts all bytes that are
/// there. At most `limit` bytes are accepted.
pub(super) fn transfer(
    agent: &Agent,
    url: &str,
    have: u64,
    limit: u64,
    file: &mut dyn Write,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<End, Interrupt> {
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
                return Err(Interrupt::Remote(Fault::Range {
                    expected: have,
                    found: text(&response, header::CONTENT_RANGE)
                        .unwrap_or_default()
                        .to_owned(),
                }));
            }
        },
        // Nothing is left to send.
        416 if have > 0 => return Ok(End::Overlong),
        status => {
            return Err(Interrupt::Remote(Fault::Status {
                status,
                retry_after: number(&response, header::RETRY_AFTER),
            }));
        }
    };
    if total.is_some_and(|total| total > limit) {
        return Err(Interrupt::Remote(Fault::TooLarge { limit }));
    }
    let mut body = response.into_body().into_reader();
    let mut count = |received| progress(received, total);
    let received = copy(&mut body, skip, have, limit, file, &mut count)?;
    match total {
        Some(expected) if received < expected => Err(Interrupt::Remote(Fault::Dropped {
            expected,
            found: received,
        })),
        Some(expected) if received > expected => Ok(End::Overlong),
        Some(_) => Ok(End::Complete),
        None => Ok(End::Unannounced),
    }
}

/// Appends `body` without its first `skip` bytes to `file`, which has `have` bytes. Returns how many it has then.
fn copy(
    body: &mut dyn Read,
    mut skip: u64,
    have: u64,
    limit: u64,
    file: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, Interrupt> {
    let mut received = have;
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match body.read(&mut chunk) {
            Ok(0) => return Ok(received),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Interrupt::Remote(Fault::Transport(Box::new(e)))),
        };
        let passed = skip.min(count as u64);
        skip -= passed;
        let new = &chunk[passed as usize..count];
        if received + new.len() as u64 > limit {
            return Err(Interrupt::Remote(Fault::TooLarge { limit }));
        }
        file.write_all(new).map_err(Interrupt::Local)?;
        received += new.len() as u64;
        progress(received);
    }
}

fn transport(error: ureq::Error) -> Interrupt {
    Interrupt::Remote(Fault::Transport(Box::new(error)))
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

    #[test]
    fn a_full_disk_is_told_from_a_broken_connection() {
        let body = [7; 100];
        let mut disk = SmallDisk {
            bytes: Vec::new(),
            room: 60,
        };
        let end = copy(&mut &body[..], 0, 0, 1000, &mut disk, &mut |_| {});
        assert!(matches!(end, Err(Interrupt::Local(e)) if e.kind() == io::ErrorKind::StorageFull));
        assert_eq!(disk.bytes.len(), 60);
    }

    #[test]
    fn what_is_there_is_passed_over_and_the_limit_holds() {
        let body: Vec<u8> = (0..100).collect();
        let mut file = Vec::new();
        let end = copy(&mut &body[..], 30, 30, 100, &mut file, &mut |_| {});
        assert!(matches!(end, Ok(100)));
        assert_eq!(file, body[30..]);
        let end = copy(&mut &body[..], 0, 0, 99, &mut Vec::new(), &mut |_| {});
        assert!(matches!(
            end,
            Err(Interrupt::Remote(Fault::TooLarge { limit: 99 }))
        ));
    }
}
