//! `dml serve` as a process, over HTTP.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

#[cfg(unix)]
use std::io::Write;
use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::net::TcpStream;
#[cfg(unix)]
use std::process::Command;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dml::candle_core::{Device, Tensor};
use dml::eval::{Collection, FlatIndex, FlatMetric, Items};
use serde_json::{Value, json};

use crate::program::Folder;

/// A service, which is killed when a test fails.
struct Service {
    child: Child,
    address: String,
    token: &'static str,
}

impl Service {
    fn start(folder: &Folder, args: &[&str], token: &'static str) -> Self {
        let args = [&["serve"], args, &["--address", "127.0.0.1:0"]].concat();
        let mut command = folder.command(&args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            let mut error = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut error)
                .unwrap();
            panic!("{args:?}: {error}");
        }
        Self {
            child,
            address: line.trim().to_owned(),
            token,
        }
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header("authorization", format!("Bearer {}", self.token));
        let answer = match method {
            "POST" => agent.run(request.header("content-type", kind).body(body).unwrap()),
            _ => agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.unwrap();
        let text = answer.body_mut().read_to_vec().unwrap();
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        (answer.status().as_u16(), body)
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(
            "POST",
            path,
            "application/json",
            body.to_string().as_bytes(),
        )
    }

    /// Asks the service to end.
    #[cfg(unix)]
    fn signal(&self) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status();
        assert!(status.unwrap().success());
    }

    /// The exit code of a service that was asked to end.
    #[cfg(unix)]
    fn code(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// A connection, if the service listens.
    #[cfg(unix)]
    fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect(self.address.trim_start_matches("http://"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails if it has ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A trained run with an index of its photos in `run/index.dml`, made from the table of `dml embed`.
fn indexed() -> Folder {
    let folder = Folder::trained();
    folder.done(&["embed", "run", "photos", "-o", "e.csv"]);
    let table = folder.text("e.csv");
    let rows = table.lines().skip(1).map(|line| line.split(','));
    let (mut ids, mut classes, mut values) = (Vec::new(), Vec::new(), Vec::<f32>::new());
    for mut row in rows {
        ids.push(row.next().unwrap().to_owned());
        classes.push(Some(row.next().unwrap().to_owned()));
        values.extend(row.map(|cell| cell.parse::<f32>().unwrap()));
    }
    let shape = (ids.len(), values.len() / ids.len());
    let rows = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    let items = Items::new(ids, &rows)
        .unwrap()
        .with_column("class", classes)
        .unwrap();
    let mut index = Collection::new(FlatIndex::new(FlatMetric::Cosine));
    index.add(items).unwrap();
    index.save(folder.path("run/index.dml")).unwrap();
    folder
}

#[test]
fn photos_are_searched_by_photos_with_their_thumbnails_and_hard_pairs() {
    let folder = indexed();
    folder.write("token.txt", "secret-7\n");
    folder.done(&["mine", "run", "photos", "-o", "t.csv"]);
    let args = [
        "run",
        "--token-file",
        "token.txt",
        "--pictures",
        "photos",
        "--hard-pairs",
        "t.csv",
    ];
    let mut service = Service::start(&folder, &args, "secret-7");
    let (status, described) = service.send("GET", "/collection", "", b"");
    assert_eq!((status, &described["items"]), (200, &json!(20)));
    assert_eq!(described["title"], "run");
    assert_eq!(described["distance"], "similarity");
    assert_eq!(described["reads_images"], true);
    let photo = std::fs::read(folder.path("photos/hat/3.jpg")).unwrap();
    // The model is that of `dml embed`, whose table has the first photo in its second line.
    let first = std::fs::read(folder.path("photos/dress/1.jpg")).unwrap();
    let (status, embedded) = service.send("POST", "/embed", "image/jpeg", &first);
    assert_eq!(status, 200, "{embedded}");
    let table = folder.text("e.csv");
    let cells = table.lines().nth(1).unwrap().split(',').skip(2);
    for (cell, value) in cells.zip(embedded["vector"].as_array().unwrap()) {
        let (cell, value) = (cell.parse::<f64>().unwrap(), value.as_f64().unwrap());
        assert!((cell - value).abs() < 1e-4, "{cell} {value}");
    }
    let (status, found) = service.send("POST", "/search?k=20", "image/jpeg", &photo);
    assert_eq!(status, 200, "{found}");
    let mut hits = found["hits"].as_array().unwrap().iter();
    let own = hits.find(|hit| hit["id"] == "hat/3.jpg").unwrap();
    assert!(own["distance"].as_f64().unwrap() > 0.9999, "{found}");
    let filter = "/search?k=3&filter=class%20%3D%20%22shoes%22";
    let (_, found) = service.send("POST", filter, "image/jpeg", &photo);
    let classes = found["hits"].as_array().unwrap().iter();
    let mut classes = classes.map(|hit| hit["attributes"]["class"].as_str().unwrap());
    assert!(classes.all(|class| class == "shoes"), "{found}");
    let (status, _) = service.send("GET", "/items/hat%2F3.jpg/thumbnail?size=32", "", b"");
    assert_eq!(status, 200);
    let (status, pairs) = service.send("GET", "/pairs?kind=negative", "", b"");
    assert_eq!(status, 200);
    let first = &pairs["pairs"][0];
    assert_ne!(first["a"]["label"], first["b"]["label"], "{pairs}");
    assert_eq!(service.post("/search", &json!({"text": "boots"})).0, 501);
    assert_eq!(
        service.send("POST", "/search", "image/png", b"no image").0,
        422
    );
    // Items can't be changed without --edit.
    assert_eq!(service.send("DELETE", "/items/hat%2F3.jpg", "", b"").0, 403);
    #[cfg(unix)]
    {
        service.signal();
        assert_eq!(service.code(), 0);
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_a_service_whose_requests_go_on() {
    let folder = indexed();
    let mut service = Service::start(&folder, &["run/index.dml"], "");
    let mut stream = service.connect().unwrap();
    // The body does not come, so that the request is in progress for 15 s.
    let head = "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let metrics = || {
        let url = format!("{}/metrics", service.address);
        let mut answer = ureq::get(url).call().unwrap();
        answer.body_mut().read_to_string().unwrap()
    };
    while !metrics().contains("dml_http_requests_in_progress 2") {
        std::thread::sleep(Duration::from_millis(5));
    }
    service.signal();
    let start = Instant::now();
    while service.connect().is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(service.child.try_wait().unwrap().is_none());
    service.signal();
    assert_eq!(service.code(), 0);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn items_are_stored_with_the_token_and_are_there_after_the_end() {
    let folder = indexed();
    folder.write("token.txt", "secret-8");
    let args = ["run", "--edit", "--token-file", "token.txt"];
    let service = Service::start(&folder, &args, "secret-8");
    let item =
        json!({"id": "new", "vector": [1, 0, 0, 0, 0, 0, 0, 0], "attributes": {"class": "x"}});
    let (status, stored) = service.post("/items", &json!({"items": [item]}));
    assert_eq!((status, &stored["added"]), (200, &json!(1)), "{stored}");
    drop(service);
    let index = Collection::open_read_only(folder.path("run/index.dml")).unwrap();
    assert_eq!((index.len(), index.contains("new")), (21, true));
}

#[test]
fn a_service_follows_the_index_of_another_process() {
    let folder = indexed();
    let service = Service::start(&folder, &["run/index.dml", "--map"], "");
    let items = || service.send("GET", "/collection", "", b"").1["items"].clone();
    assert_eq!(items(), 20);
    // Without a model, vectors and items are searched for.
    let photo = std::fs::read(folder.path("photos/hat/3.jpg")).unwrap();
    assert_eq!(service.send("POST", "/search", "image/jpeg", &photo).0, 501);
    let (status, found) = service.post("/search", &json!({"id": "hat/3.jpg", "k": 2}));
    assert_eq!(status, 200, "{found}");
    let mut index = Collection::open(folder.path("run/index.dml")).unwrap();
    index.remove(&["hat/1.jpg"].into()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while items() != 19 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn arguments_that_do_not_fit_are_named_and_nothing_listens() {
    let folder = indexed();
    folder.write("empty.txt", "\n");
    folder.write("odd.txt", "two words");
    let rows = Tensor::new(&[[1f32, 2.]], &Device::Cpu).unwrap();
    let mut other = Collection::new(FlatIndex::default());
    other.add(Items::new(["a"], &rows).unwrap()).unwrap();
    other.save(folder.path("other.dml")).unwrap();
    let table: &[(&[&str], i32, &str)] = &[
        (&["run/model"], 2, "run/model: expected an index"),
        (&["nowhere"], 2, "nowhere: expected an index"),
        (
            &["run", "other.dml"],
            2,
            "other.dml: expected an index of this model, whose embeddings have 8 numbers, got one of 2",
        ),
        (
            &["photos", "other.dml"],
            1,
            "photos: expected the folder of a model",
        ),
        (&["run", "--edit"], 2, "--edit: expected a token"),
        (
            &["run", "--token-file", "empty.txt"],
            2,
            "--token-file empty.txt: expected a token, got none",
        ),
        (
            &["run", "--token-file", "odd.txt"],
            2,
            "token: expected 1 to 4,096 visible ASCII characters",
        ),
        (&["run", "--token-file", "nowhere"], 1, "can't read nowhere"),
        (
            &["run", "--token-env", "DML_NO_SUCH_TOKEN"],
            2,
            "--token-env DML_NO_SUCH_TOKEN: expected a token",
        ),
        (
            &["run", "--address", "0.0.0.0:0"],
            2,
            "--address 0.0.0.0:0: other machines can reach it",
        ),
        (&["run", "--host", "http://a"], 2, "hosts: expected names"),
        (&["run", "--pictures", "nowhere"], 1, "can't read nowhere"),
        (&["run", "--picture-attribute", "path"], 2, "--pictures"),
        (
            &["run", "--hard-pairs", "e.csv"],
            1,
            "e.csv: expected the column anchor",
        ),
        (
            &["run", "--hard-pairs", "run/metrics.json"],
            1,
            "metrics.json: expected hard pairs",
        ),
        (&["run", "--max-k", "0"], 2, "expected a number from 1"),
        (&["run", "--address", "localhost"], 2, "--address"),
        (&["run", "--device", "cuda:x"], 2, "--device"),
    ];
    for (args, code, sentence) in table {
        let ended = folder.run(&[&["serve"], *args].concat());
        assert_eq!(ended.code, *code, "{args:?}: {ended:?}");
        assert!(ended.error.contains(sentence), "{args:?}: {}", ended.error);
        assert!(ended.out.is_empty(), "{args:?}: {}", ended.out);
    }
}
