//! An HTTP server on the loopback interface that behaves as badly as it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What the server was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    /// The first byte asked for, if not all.
    pub(super) from: Option<usize>,
}

/// What the server does with a request for a file.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Sends the range asked for.
    Send(Arc<[u8]>),
    /// Announces all that was asked for, and hangs up after so many bytes of the file.
    DropAt(Arc<[u8]>, usize),
    /// Sends all of the file, whatever was asked for.
    IgnoreRange(Arc<[u8]>),
    /// Sends all up to a byte of the file, without announcing its length.
    Unannounced(Arc<[u8]>, usize),
    /// Sends a range that nobody asked for.
    WrongRange(Arc<[u8]>),
    /// Says nothing, for so long.
    Stall(Duration),
    /// Sends the file up to a byte, and then nothing for so long.
    StallAt(Arc<[u8]>, usize, Duration),
    /// Sends the range asked for, one byte after each of these times.
    Drip(Arc<[u8]>, Duration),
    /// A status, with a header line.
    Status(u16, &'static str),
}

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Replies to the n-th request with `reply(n, request)`.
    pub(super) fn start(reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let reply = Arc::new(reply);
        let (log, stopped) = (requests.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (log, reply) = (log.clone(), reply.clone());
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    if let Some(request) = read_request(&stream) {
                        let n = {
                            let mut log = log.lock().unwrap();
                            log.push(request.clone());
                            log.len() - 1
                        };
                        // The client may have hung up: its right.
                        let _ = answer(&stream, &request, reply(n, &request));
                    }
                });
            }
        });
        Self {
            address,
            requests,
            stop,
            thread: Some(thread),
        }
    }

    /// The address of its only folder.
    pub(super) fn url(&self) -> String {
        format!("http://{}/files/", self.address)
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The first byte that each request asked for, `None` where it asked for all.
    pub(super) fn starts(&self) -> Vec<Option<usize>> {
        self.requests().into_iter().map(|r| r.from).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address); // wakes the thread
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut from = None;
    for line in lines {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    Some(Request { path, from })
}

fn answer(mut stream: &TcpStream, request: &Request, reply: Reply) -> std::io::Result<()> {
    let from = request.from.unwrap_or(0);
    let head = |file: &[u8]| {
        if request.from.is_none() {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", file.len())
        } else if from < file.len() {
            format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\n",
                file.len() - from,
                file.len() - 1,
                file.len()
            )
        } else {
            format!(
                "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nContent-Range: bytes */{}\r\n",
                file.len()
            )
        }
    };
    let mut send = |head: &str, body: &[u8]| {
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        stream.write_all(body)?;
        stream.flush()
    };
    let rest = |file: &Arc<[u8]>, to: usize| file[from.min(to)..to].to_vec();
    match &reply {
        Reply::Send(file) => send(&head(file), &rest(file, file.len()))?,
        Reply::DropAt(file, at) => send(&head(file), &rest(file, *at))?,
        Reply::IgnoreRange(file) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", file.len());
            send(&head, file)?;
        }
        Reply::Unannounced(file, at) => {
            let head = if request.from.is_none() {
                "HTTP/1.1 200 OK\r\n".to_owned()
            } else {
                format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/*\r\n",
                    file.len() - 1
                )
            };
            send(&head, &rest(file, *at))?;
        }
        Reply::WrongRange(file) => {
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {0}\r\nContent-Range: bytes 0-{1}/{0}\r\n",
                file.len(),
                file.len() - 1
            );
            send(&head, file)?;
        }
        Reply::Stall(time) => thread::sleep(*time),
        Reply::StallAt(file, at, time) => {
            send(&head(file), &rest(file, *at))?;
            thread::sleep(*time);
        }
        Reply::Drip(file, time) => {
            send(&head(file), &[])?;
            for byte in rest(file, file.len()) {
                thread::sleep(*time);
                stream.write_all(&[byte])?;
            }
        }
        Reply::Status(status, line) => {
            send(
                &format!("HTTP/1.1 {status} Told so\r\nContent-Length: 0\r\n{line}"),
                &[],
            )?;
        }
    }
    stream.shutdown(Shutdown::Write)?;
    // Reading to the end lets the client have everything before the connection is reset.
    let mut rest = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.read_to_end(&mut rest)?;
    Ok(())
}
