//! A service that runs for a test, and its client.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Attributes, Collection, FlatIndex, FlatMetric, Items};
use dml_serve::{EmbedError, EmbedImages, EmbedTexts, PictureFolder, Server, ServerBuilder};
use serde_json::Value;
use tokio::sync::oneshot;

/// A service on a port of its own.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    agent: ureq::Agent,
    token: Option<&'static str>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON, of an answer with status 200.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Code and sentence of an error.
    pub(crate) fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let part = |name: &str| body[name].as_str().unwrap().to_owned();
        (self.status, part("code"), part("error"))
    }

    /// The ids of hits or items.
    pub(crate) fn ids(&self) -> Vec<String> {
        let body = self.json();
        let list = body
            .get("hits")
            .or(body.get("items"))
            .unwrap()
            .as_array()
            .unwrap()
            .clone();
        let id = |own: &Value| match &own["id"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        list.iter().map(id).collect()
    }
}

impl Service {
    pub(crate) fn start(builder: ServerBuilder) -> Self {
        let server = builder.build().unwrap();
        let (told, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listening = server.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
                told.send(listening.address()).unwrap();
                listening
                    .serve_until(async { stopped.await.unwrap_or(()) })
                    .await;
            });
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self {
            address: address.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
            agent: agent.into(),
            token: None,
        }
    }

    /// The same service; requests have a token.
    pub(crate) fn with_token(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(self.url(path));
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            [] if method != "POST" => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body.to_vec()).unwrap()),
        };
        let mut answer = answer.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body_mut().read_to_vec().unwrap(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &[])
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    pub(crate) fn form(&self, path: &str, fields: &[(&str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in fields {
            let head =
                format!("--frontier\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), value, b"\r\n"].concat());
        }
        body.extend(b"--frontier--\r\n");
        let kind = "multipart/form-data; boundary=frontier";
        self.send("POST", path, &[("content-type", kind)], &body)
    }

    /// Asks the service to stop, and does not wait.
    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the service has stopped.
    pub(crate) fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// The mean colour of an image.
#[derive(Debug)]
pub(crate) struct MeanColor;

impl EmbedImages for MeanColor {
    fn embed_images(&self, images: &[&[u8]]) -> Vec<Result<Vec<f32>, EmbedError>> {
        let mean = |bytes: &&[u8]| {
            let image = image::load_from_memory(bytes)
                .map_err(|error| EmbedError::Input(error.to_string()))?;
            let image = image.into_rgb8();
            let count = image.pixels().len() as f32;
            let channel = |place: usize| {
                image
                    .pixels()
                    .map(|own| f32::from(own.0[place]))
                    .sum::<f32>()
                    / count
                    / 255.0
            };
            Ok(vec![channel(0), channel(1), channel(2)])
        };
        images.iter().map(mean).collect()
    }
}

/// The names of three colours; `fail` is an error of the model, `panic` a panic.
#[derive(Debug)]
pub(crate) struct ColorNames;

impl EmbedTexts for ColorNames {
    fn embed_texts(&self, texts: &[&str]) -> Vec<Result<Vec<f32>, EmbedError>> {
        let of = |text: &&str| match *text {
            "red" => Ok(vec![1.0, 0.0, 0.0]),
            "green" => Ok(vec![0.0, 1.0, 0.0]),
            "blue" => Ok(vec![0.0, 0.0, 1.0]),
            "long" => Ok(vec![1.0; 4]),
            "fail" => Err(EmbedError::Model("the secret of the model".to_owned())),
            "panic" => panic!("on purpose"),
            other => Err(EmbedError::Input(format!("no color {other:?}"))),
        };
        texts.iter().map(of).collect()
    }
}

pub(crate) fn png(color: [u8; 3]) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(40, 20, image::Rgb(color))
        .write_to(&mut out, image::ImageFormat::Png)
        .unwrap();
    out.into_inner()
}

/// The ids of the items of [`colors`], with their vectors.
pub(crate) const COLORS: [(&str, [f32; 3]); 5] = [
    ("red/1", [1.0, 0.0, 0.0]),
    ("red/2", [0.9, 0.1, 0.0]),
    ("green", [0.0, 1.0, 0.0]),
    ("blue <b>", [0.0, 0.0, 1.0]),
    ("orange", [0.8, 0.5, 0.0]),
];

/// Five colours with attributes.
pub(crate) fn colors() -> Collection {
    let mut collection = Collection::new(FlatIndex::new(FlatMetric::Cosine));
    let rows: Vec<Vec<f32>> = COLORS.iter().map(|own| own.1.to_vec()).collect();
    let rows = Tensor::new(rows, &Device::Cpu).unwrap();
    let attributes = COLORS.iter().enumerate().map(|(place, (id, _))| {
        let mut own = Attributes::from([
            ("path", format!("{place}.png").into()),
            ("price", (place as f64 + 0.5).into()),
        ]);
        if id.starts_with("red") {
            own.insert("family", "red");
        }
        own
    });
    let ids = COLORS.map(|own| own.0);
    let items = Items::new(ids, &rows)
        .unwrap()
        .with_attributes(attributes)
        .unwrap();
    collection.add(items).unwrap();
    collection
}

/// A service of [`colors`] with both models.
pub(crate) fn color_server() -> ServerBuilder {
    Server::builder(colors())
        .title("Colors <1>")
        .distance("cosine similarity")
        .images(MeanColor)
        .texts(ColorNames)
}

/// The pictures of [`colors`], but for the last one.
pub(crate) fn color_pictures() -> (tempfile::TempDir, PictureFolder) {
    let folder = tempfile::tempdir().unwrap();
    for (place, (_, color)) in COLORS.iter().enumerate().take(4) {
        let path = folder.path().join(format!("{place}.png"));
        std::fs::write(path, png(color.map(|part| (part * 255.0) as u8))).unwrap();
    }
    let pictures = PictureFolder::by_attribute(folder.path(), "path").unwrap();
    (folder, pictures)
}
