//! A hub and its storage of large files, each an HTTP server on the loopback interface.
//!
//! Answers have the status and the headers of the real ones: small files come from the hub by way of a redirection to a path
//! of its own, large ones by a redirection to the storage, whose answer to `HEAD` is never needed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// What a server was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// First byte asked for, if not all.
    pub(super) from: Option<usize>,
    pub(super) authorization: Option<String>,
}

/// How a storage misbehaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    /// Not at all.
    No,
    /// Hangs up after the file's byte of that number.
    DropAt(usize),
    /// Sends all of the file, whatever was asked for.
    IgnoreRange,
    /// Sends another range than asked for.
    WrongRange,
    /// Changes a byte.
    Flip,
    /// Sends a byte too many.
    Longer,
    /// Says no length, and hangs up after the file's byte of that number.
    Unannounced(usize),
    /// Says nothing.
    Silence,
    /// Answers with a status and a header.
    Status(u16, &'static str),
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub(super) struct HubFile {
    pub(super) bytes: Vec<u8>,
    /// Whether it is in the storage of large files.
    pub(super) is_large: bool,
}

/// What the hub has, and how it answers.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Repositories, commits and files.
    pub(super) repositories: BTreeMap<String, Repository>,
    pub(super) gated: Vec<String>,
    /// The only token that is valid.
    pub(super) token: Option<String>,
    /// Replaces headers of answers about files.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Answers everything with these, one after the other, before it goes on as usual.
    pub(super) refusals: Vec<(u16, &'static str)>,
    pub(super) requests: Vec<Request>,
    pub(super) storage_requests: Vec<Request>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Repository {
    pub(super) revisions: BTreeMap<String, String>,
    pub(super) commits: BTreeMap<String, BTreeMap<String, HubFile>>,
}

/// A running hub with its storage; both end when it is dropped.
#[derive(Debug)]
pub(super) struct Hub {
    state: Arc<Mutex<State>>,
    hub: Server,
    /// Kept so that it goes on.
    _storage: Server,
}

impl Hub {
    /// A hub whose storage answers its n-th request with `trouble(n)`.
    pub(super) fn start(trouble: impl Fn(usize) -> Trouble + Send + Sync + 'static) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let own = state.clone();
        let storage = Server::start(move |stream, request| {
            let (number, file) = {
                let mut state = own.lock().unwrap();
                state.storage_requests.push(request.clone());
                (
                    state.storage_requests.len() - 1,
                    state.blob(&request.path[1..]),
                )
            };
            let file = file.unwrap_or_default();
            answer(stream, request, &file, trouble(number))
        });
        let (own, address) = (state.clone(), storage.address.clone());
        let hub = Server::start(move |mut stream, request| {
            let head = {
                let mut state = own.lock().unwrap();
                state.requests.push(request.clone());
                state.answer(request, &address)
            };
            stream.write_all(&head)
        });
        Self {
            state,
            hub,
            _storage: storage,
        }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.hub.address)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Adds a commit to `main` of a repository, with weights as large files. Returns its name.
    pub(super) fn push(&self, repository: &str, files: &[(&str, &[u8])]) -> String {
        let mut state = self.state();
        let own = state.repositories.entry(repository.to_owned()).or_default();
        let commit = hex(&Sha256::digest(format!(
            "{repository}{}",
            own.commits.len()
        )))[..40]
            .to_owned();
        let file = |(name, bytes): &(&str, &[u8])| {
            let ends = [".safetensors", ".bin", ".onnx"];
            let is_large = ends.iter().any(|end| name.ends_with(end));
            let bytes = bytes.to_vec();
            ((*name).to_owned(), HubFile { bytes, is_large })
        };
        own.commits
            .insert(commit.clone(), files.iter().map(file).collect());
        own.revisions.insert("main".to_owned(), commit.clone());
        commit
    }

    /// Methods and paths that the hub was asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        let state = self.state();
        let requests = state.requests.iter();
        requests
            .map(|own| format!("{} {}", own.method, own.path))
            .collect()
    }

    /// First bytes that the storage was asked for.
    pub(super) fn starts(&self) -> Vec<Option<usize>> {
        let state = self.state();
        state.storage_requests.iter().map(|own| own.from).collect()
    }
}

impl State {
    fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        let commits = self
            .repositories
            .values()
            .flat_map(|own| own.commits.values());
        let mut files = commits.flat_map(BTreeMap::values);
        let file = files.find(|file| hex(&Sha256::digest(&file.bytes)) == digest);
        file.map(|file| file.bytes.clone())
    }

    fn answer(&mut self, request: &Request, storage: &str) -> Vec<u8> {
        if !self.refusals.is_empty() {
            let (status, headers) = self.refusals.remove(0);
            return head(status, headers, b"", request);
        }
        let path = request.path.split('?').next().unwrap();
        let refuse = |status, code: &str, message: &str, rest: &str| {
            let headers = format!("X-Error-Code: {code}\r\nX-Error-Message: {message}\r\n{rest}");
            head(status, &headers, b"", request)
        };
        // A path that a small file was redirected to.
        let path = path.strip_prefix("/api/resolve-cache").unwrap_or(path);
        let (repository, revision, file) = match path.strip_prefix("/api/models/") {
            Some(rest) => {
                let (repository, revision) = rest.split_once("/revision/").unwrap();
                (repository, revision, None)
            }
            None => {
                let (repository, rest) = path[1..].split_once("/resolve/").unwrap();
                let (revision, file) = rest.split_once('/').unwrap();
                (repository, revision, Some(file))
            }
        };
        let token = request.authorization.as_deref();
        let is_known = token.map(|own| own.strip_prefix("Bearer ") == self.token.as_deref());
        if is_known == Some(false) {
            return refuse(401, "", "Invalid credentials in Authorization header", "");
        }
        let Some(own) = self.repositories.get(repository) else {
            return refuse(401, "RepoNotFound", "Repository not found", "");
        };
        if self.gated.iter().any(|name| name == repository) && is_known.is_none() && file.is_some()
        {
            return refuse(401, "GatedRepo", "Access to model is restricted.", "");
        }
        let revision = revision.replace("%2F", "/");
        let commit = own.revisions.get(&revision).unwrap_or(&revision);
        let Some(files) = own.commits.get(commit) else {
            return refuse(404, "RevisionNotFound", "Invalid rev id", "");
        };
        let commit_header = format!("X-Repo-Commit: {commit}\r\n");
        let Some(name) = file else {
            let body = description(commit, files);
            return head(
                200,
                "Content-Type: application/json\r\n",
                body.as_bytes(),
                request,
            );
        };
        let Some(file) = files.get(&name.replace("%20", " ")) else {
            return refuse(404, "EntryNotFound", "Entry not found", &commit_header);
        };
        let digest = hex(&Sha256::digest(&file.bytes));
        let mut headers: Vec<(&str, String)> = vec![("X-Repo-Commit", commit.clone())];
        let status = if file.is_large {
            headers.extend([
                ("X-Linked-Etag", format!("\"{digest}\"")),
                ("X-Linked-Size", file.bytes.len().to_string()),
                ("ETag", "\"another\"".to_owned()),
                ("Location", format!("http://{storage}/{digest}")),
            ]);
            302
        } else if request.path.starts_with("/api/resolve-cache") {
            headers.push(("ETag", format!("\"{}\"", &digest[..40])));
            200
        } else {
            headers.push((
                "Location",
                format!("/api/resolve-cache/{repository}/resolve/{commit}/{name}?x=1"),
            ));
            307
        };
        for (name, value) in &self.headers {
            headers.retain(|(own, _)| own != name);
            headers.push((name, value.clone()));
        }
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let body: &[u8] = if status == 200 { &file.bytes } else { b"" };
        head(status, &headers, body, request)
    }
}

/// The answer to a question about a repository.
fn description(commit: &str, files: &BTreeMap<String, HubFile>) -> String {
    let siblings = files.iter().map(|(name, file)| {
        let digest = hex(&Sha256::digest(&file.bytes));
        let size = file.bytes.len();
        let mut own = serde_json::json!({"rfilename": name, "size": size, "blobId": digest[..40]});
        if file.is_large {
            own["lfs"] = serde_json::json!({"sha256": digest, "size": size, "pointerSize": 134});
        }
        own
    });
    let siblings: Vec<_> = siblings.collect();
    serde_json::json!({"sha": commit, "siblings": siblings}).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A whole answer; that to `HEAD` has no body.
fn head(status: u16, headers: &str, body: &[u8], request: &Request) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Told so\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let body: &[u8] = if request.method == "HEAD" { b"" } else { body };
    [head.as_bytes(), body].concat()
}

/// The answer of a storage.
fn answer(
    mut stream: &TcpStream,
    request: &Request,
    file: &[u8],
    trouble: Trouble,
) -> std::io::Result<()> {
    let (from, size) = (request.from.unwrap_or(0), file.len());
    let range = |from: usize| format!("Content-Range: bytes {from}-{}/{size}\r\n", size - 1);
    let mut send = |status: u16, headers: &str, length: Option<usize>, body: &[u8]| {
        let length = length.map_or(String::new(), |length| {
            format!("Content-Length: {length}\r\n")
        });
        let head =
            format!("HTTP/1.1 {status} Told so\r\n{headers}{length}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    };
    let (status, headers) = match request.from {
        None => (200, String::new()),
        Some(from) if from < size => (206, range(from)),
        Some(_) => return send(416, "", Some(0), b""),
    };
    let rest = &file[from..];
    match trouble {
        Trouble::No => send(status, &headers, Some(rest.len()), rest),
        Trouble::DropAt(at) => send(status, &headers, Some(rest.len()), &file[from.min(at)..at]),
        Trouble::IgnoreRange => send(200, "", Some(size), file),
        Trouble::WrongRange if from == 0 => send(status, &headers, Some(size), file),
        Trouble::WrongRange => send(206, &range(0), Some(size), file),
        Trouble::Flip => {
            let mut changed = rest.to_vec();
            changed[0] ^= 1;
            send(status, &headers, Some(rest.len()), &changed)
        }
        Trouble::Longer => {
            let longer = [rest, b"!"].concat();
            send(status, &headers, Some(longer.len()), &longer)
        }
        Trouble::Unannounced(at) => send(status, &headers, None, &file[from.min(at)..at]),
        Trouble::Silence => {
            thread::sleep(Duration::from_secs(8));
            Ok(())
        }
        Trouble::Status(status, headers) => send(status, headers, Some(0), b""),
    }
}

/// A server of one connection for each request.
#[derive(Debug)]
struct Server {
    address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(
        reply: impl Fn(&TcpStream, &Request) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, reply) = (Arc::new(AtomicBool::new(false)), Arc::new(reply));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let reply = reply.clone();
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    if let Some(request) = read_request(&stream) {
                        // The client may have hung up: its right.
                        let _ = reply(&stream, &request).and_then(|()| finish(&stream));
                    }
                });
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
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

/// Reading to the end lets the client have everything before the connection is reset.
fn finish(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next()?.ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut from, mut authorization) = (None, None);
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                from = value
                    .strip_prefix("bytes=")?
                    .trim_end_matches('-')
                    .parse()
                    .ok();
            }
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(Request {
        method,
        path,
        from,
        authorization,
    })
}
