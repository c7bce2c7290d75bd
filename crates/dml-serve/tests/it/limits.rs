//! Each limit, reached.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use dml_serve::{EmbedError, EmbedImages, EmbedTexts, Limits, Server};
use serde_json::json;

use crate::service::{Service, color_server, colors};

/// A model that waits until it is released, so that a test decides how long a request takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<(Mutex<HeldState>, Condvar)>);

#[derive(Debug, Default)]
struct HeldState {
    entered: usize,
    is_released: bool,
}

impl Held {
    /// Waits until that many texts have come.
    pub(crate) fn wait_for(&self, texts: usize) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        drop(
            changed
                .wait_while(state, |own| own.entered < texts)
                .unwrap(),
        );
    }

    pub(crate) fn release(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().is_released = true;
        changed.notify_all();
    }
}

impl Held {
    /// Waits for the release, and then returns the same embedding for each input.
    fn hold(&self, inputs: usize) -> Vec<Result<Vec<f32>, EmbedError>> {
        let (state, changed) = &*self.0;
        let mut own = state.lock().unwrap();
        own.entered += inputs;
        changed.notify_all();
        drop(changed.wait_while(own, |own| !own.is_released).unwrap());
        vec![Ok(vec![1.0, 0.0, 0.0]); inputs]
    }
}

impl EmbedTexts for Held {
    fn embed_texts(&self, texts: &[&str]) -> Vec<Result<Vec<f32>, EmbedError>> {
        self.hold(texts.len())
    }
}

impl EmbedImages for Held {
    fn embed_images(&self, images: &[&[u8]]) -> Vec<Result<Vec<f32>, EmbedError>> {
        self.hold(images.len())
    }
}

/// Sends bytes and reads until the service closes the connection.
fn exchange(service: &Service, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream.write_all(bytes).unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn bodies_and_texts_have_a_size() {
    let limits = Limits {
        body_bytes: 1000,
        bodies_bytes: 2000,
        text_bytes: 10,
        ..Limits::default()
    };
    let service = Service::start(color_server().limits(limits));
    let (status, code, message) = service
        .post("/search", &json!({"text": "x".repeat(2000)}))
        .problem();
    assert_eq!((status, code.as_str()), (413, "too_large"));
    assert_eq!(message, "body: expected at most 1000 bytes");
    let (status, _, message) = service
        .post("/embed", &json!({"text": "x".repeat(11)}))
        .problem();
    assert_eq!(
        (status, message.as_str()),
        (413, "text: expected at most 10 bytes")
    );
    assert_eq!(service.post("/embed", &json!({"text": "red"})).status, 200);

    // A body that does not say how long it is.
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let request = format!(
        "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}"
    );
    assert!(exchange(&service, request.as_bytes()).starts_with("HTTP/1.1 413 "));
}

#[test]
fn numbers_of_neighbours_and_items_have_a_bound() {
    let limits = Limits {
        k: 2,
        items: 3,
        ..Limits::default()
    };
    let service = Service::start(
        color_server()
            .limits(limits)
            .edits(dml_serve::Edits::Allowed),
    );
    let (_, _, message) = service
        .post("/search", &json!({"text": "red", "k": 3}))
        .problem();
    assert_eq!(message, "k: expected 1 to 2, got 3");
    assert_eq!(
        service.post("/search", &json!({"text": "red"})).ids().len(),
        2
    );
    assert_eq!(service.get("/items").ids().len(), 3);
    assert_eq!(
        service.get("/items?limit=4").problem().2,
        "limit: expected 1 to 3, got 4"
    );
    let items: Vec<_> = (0..4)
        .map(|place| json!({"id": place.to_string(), "text": "red"}))
        .collect();
    assert_eq!(
        service.post("/items", &json!({"items": items})).problem().2,
        "items: expected 1 to 3, got 4"
    );
}

#[test]
fn a_request_that_takes_too_long_is_given_up() {
    let held = Held::default();
    let limits = Limits {
        request_time: Duration::from_millis(50),
        ..Limits::default()
    };
    let service = Service::start(Server::builder(colors()).texts(held.clone()).limits(limits));
    let (status, code, message) = service.post("/search", &json!({"text": "red"})).problem();
    assert_eq!((status, code.as_str()), (504, "timeout"));
    assert_eq!(message, "the request was not answered within 0.05 s");
    held.release();
    // The queue goes on.
    while service.post("/embed", &json!({"text": "red"})).status != 200 {}
}

#[test]
fn requests_beyond_the_limit_are_refused_and_health_is_not() {
    let (texts, images) = (Held::default(), Held::default());
    let limits = Limits {
        requests: 2,
        ..Limits::default()
    };
    let server = Server::builder(colors()).texts(texts.clone());
    let service = Service::start(server.images(images.clone()).limits(limits));
    std::thread::scope(|scope| {
        let text = || {
            let body = json!({"text": "red", "k": 1});
            service.post("/search", &body).ids()
        };
        let image = || {
            let kind = [("content-type", "image/png")];
            service.send("POST", "/search?k=1", &kind, b"x").ids()
        };
        let waiting = [scope.spawn(text), scope.spawn(image)];
        // Both have reached their models, so that each has its place.
        texts.wait_for(1);
        images.wait_for(1);
        let answer = service.get("/items");
        let (status, code, _) = answer.problem();
        assert_eq!((status, code.as_str()), (503, "overloaded"));
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(service.get("/health/ready").status, 200);
        assert!(
            service
                .get("/metrics")
                .text()
                .contains("dml_http_requests_in_progress 3")
        );
        texts.release();
        images.release();
        for own in waiting {
            assert_eq!(own.join().unwrap(), ["red/1"]);
        }
    });
    assert_eq!(service.get("/items").status, 200);
}

#[test]
fn slow_heads_and_slow_bodies_are_given_up() {
    let limits = Limits {
        head_time: Duration::from_millis(100),
        body_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let service = Service::start(color_server().limits(limits));
    // The rest of the head never comes: the connection is closed.
    let answer = exchange(&service, b"GET /items HTTP/1.1\r\nhost: local");
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    let head = "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 10\r\n\r\nab";
    let answer = exchange(&service, head.as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"slow_body\""),
        "{answer}"
    );
    assert_eq!(service.get("/items").status, 200);
}

#[test]
fn connections_beyond_the_limit_wait() {
    let limits = Limits {
        connections: 1,
        head_time: Duration::from_millis(200),
        ..Limits::default()
    };
    let service = Service::start(color_server().limits(limits));
    let idle = TcpStream::connect(service.address).unwrap();
    // Answered once the idle connection has been closed.
    assert_eq!(service.get("/items").status, 200);
    drop(idle);
}

#[test]
fn garbage_is_no_request_and_does_no_harm() {
    let service = Service::start(color_server());
    for garbage in [
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /items HTTP/1.1\r\n\r\n",
        b"POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
        b"POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut out = Vec::new();
        // The connection may be reset.
        stream.read_to_end(&mut out).ok();
        assert!(!String::from_utf8_lossy(&out).starts_with("HTTP/1.1 2"));
    }
    assert_eq!(service.get("/items").status, 200);
}

#[test]
fn addresses_of_the_network_take_a_token_or_leave() {
    let bind = |builder: dml_serve::ServerBuilder| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            builder
                .build()
                .unwrap()
                .bind(([0, 0, 0, 0], 0).into())
                .await
                .map(drop)
        })
    };
    let refused = bind(color_server()).unwrap_err().to_string();
    assert!(
        refused.starts_with("0.0.0.0:0: expected an address of this machine"),
        "{refused}"
    );
    assert!(bind(color_server().token("t")).is_ok());
    assert!(bind(color_server().open_to_network(true)).is_ok());
    let wrong = color_server()
        .limits(Limits {
            k: 0,
            ..Limits::default()
        })
        .build();
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "k: expected 1 to 536870911, got 0"
    );
    assert!(color_server().token("two words").build().is_err());
    assert!(color_server().hosts(["a b"]).build().is_err());
}
