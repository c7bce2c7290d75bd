//! A service: what it serves, by which rules, and how it starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{Semaphore, watch};

use crate::access::{Access, Edits, Hosts, Token};
use crate::app::{App, RequestIds};
use crate::batching::{Batcher, BatcherConfig};
use crate::blocking::Blocking;
use crate::embedding::{embed_images, embed_texts};
use crate::hard_pairs::HardPairs;
use crate::limits::Limits;
use crate::listening::Listening;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::pictures::{PictureFolder, Thumbnails};
use crate::reading::BodyBudget;
use crate::reload::{CollectionSource, Reloader};
use crate::searching::search;
use crate::{EmbedImages, EmbedTexts, ServeError, routes};

/// A service that is ready to listen ([routes](crate#routes)).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, FlatMetric, Items};
/// use dml_serve::Server;
///
/// let mut shop = Collection::new(FlatIndex::new(FlatMetric::Cosine));
/// let rows = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
/// shop.add(Items::new(["a-1", "b-1"], &rows)?)?;
/// let server = Server::builder(shop).title("Shop").distance("cosine similarity").build()?;
///
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let listening = server.bind("127.0.0.1:0".parse()?).await?;
/// println!("http://{}", listening.address());
/// # let stop = async {};
/// listening.serve_until(stop).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    app: App,
    hosts: Option<Hosts>,
    open_to_network: bool,
}

/// The parts of a [`Server`].
pub struct ServerBuilder {
    source: CollectionSource,
    title: String,
    distance: Option<String>,
    limits: Limits,
    token: Option<String>,
    edits: Edits,
    hosts: Option<Vec<String>>,
    open_to_network: bool,
    images: Option<Arc<dyn EmbedImages>>,
    texts: Option<Arc<dyn EmbedTexts>>,
    pictures: Option<PictureFolder>,
    pairs: Option<HardPairs>,
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("source", &self.source)
            .field("title", &self.title)
            .field("limits", &self.limits)
            .field("has_token", &self.token.is_some())
            .field("edits", &self.edits)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A service of a collection: a [`Collection`](dml_eval::Collection), or a folder that is
    /// [watched](CollectionSource::watched).
    pub fn builder(source: impl Into<CollectionSource>) -> ServerBuilder {
        ServerBuilder {
            source: source.into(),
            title: "Search".to_owned(),
            distance: None,
            limits: Limits::default(),
            token: None,
            edits: Edits::default(),
            hosts: None,
            open_to_network: false,
            images: None,
            texts: None,
            pictures: None,
            pairs: None,
        }
    }

    /// Listens on an address; port 0 lets the system choose one. Needs a runtime of tokio with time and sockets.
    ///
    /// # Errors
    /// [`ServeError::OpenToNetwork`] for an address that is not of this machine alone, without a
    /// [token](ServerBuilder::token) or [open access](ServerBuilder::open_to_network); [`ServeError::Listen`] if the system
    /// refuses the address.
    pub async fn bind(mut self, address: SocketAddr) -> Result<Listening, ServeError> {
        let is_loopback = address.ip().is_loopback();
        if !is_loopback && self.app.access.token.is_none() && !self.open_to_network {
            return Err(ServeError::OpenToNetwork { address });
        }
        self.app.access.hosts = match self.hosts.take() {
            Some(hosts) => hosts,
            None if is_loopback => Hosts::loopback(address.ip()),
            None => Hosts::Any,
        };
        let app = Arc::new(self.app);
        let router = routes::router(Arc::clone(&app));
        Listening::new(address, router, app).await
    }

    /// Listens, and answers requests until the process receives Ctrl-C or SIGTERM. Requests in progress are then finished, within
    /// [`Limits::shutdown_time`] or until a second signal. `listening` gets the address.
    ///
    /// Starts a runtime of tokio; call it from a thread that has none.
    ///
    /// # Errors
    /// As [`bind`](Self::bind); [`ServeError::Start`] if the system refuses threads or signal handlers.
    pub fn run(
        self,
        address: SocketAddr,
        listening: impl FnOnce(SocketAddr),
    ) -> Result<(), ServeError> {
        let refused = |what| move |source| ServeError::Start { what, source };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.thread_name("dml-http").enable_all();
        let runtime = builder.build().map_err(refused("a runtime"))?;
        let served = runtime.block_on(async {
            let signals = stop_signals().map_err(refused("a signal handler"))?;
            let server = self.bind(address).await?;
            listening(server.address());
            tokio::select! {
                () = server.serve_until(received(signals.clone(), 1)) => {}
                () = received(signals, 2) => tracing::warn!("requests in progress are dropped"),
            }
            Ok(())
        });
        // Work that blocks and has not ended is not waited for.
        runtime.shutdown_background();
        served
    }
}

/// Ends when the process has received so many signals to end.
async fn received(mut signals: watch::Receiver<u32>, count: u32) {
    // The sender lives as long as the runtime.
    if signals.wait_for(|own| *own >= count).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Counts Ctrl-C and SIGTERM.
#[cfg(unix)]
fn stop_signals() -> std::io::Result<watch::Receiver<u32>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            count.send_modify(|own| *own += 1);
        }
    });
    Ok(counted)
}

/// Counts Ctrl-C.
#[cfg(not(unix))]
fn stop_signals() -> std::io::Result<watch::Receiver<u32>> {
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        // Without a handler, Ctrl-C ends the process at once.
        while tokio::signal::ctrl_c().await.is_ok() {
            count.send_modify(|own| *own += 1);
        }
    });
    Ok(counted)
}

impl ServerBuilder {
    /// The title of the web page. Default `Search`.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// What distances are, for people who read them: `cosine similarity`, `squared Euclidean distance`.
    #[must_use]
    pub fn distance(mut self, name: impl Into<String>) -> Self {
        self.distance = Some(name.into());
        self
    }

    /// Bounds on requests.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The model for images; without one, requests with images get status 501.
    #[must_use]
    pub fn images(mut self, model: impl EmbedImages + 'static) -> Self {
        self.images = Some(Arc::new(model));
        self
    }

    /// The model for texts; without one, requests with texts get status 501.
    #[must_use]
    pub fn texts(mut self, model: impl EmbedTexts + 'static) -> Self {
        self.texts = Some(Arc::new(model));
        self
    }

    /// The pictures of items.
    #[must_use]
    pub fn pictures(mut self, pictures: PictureFolder) -> Self {
        self.pictures = Some(pictures);
        self
    }

    /// The pairs that training found hardest.
    #[must_use]
    pub fn hard_pairs(mut self, pairs: HardPairs) -> Self {
        self.pairs = Some(pairs);
        self
    }

    /// The token that every request has to have as `Authorization: Bearer TOKEN`, except for the page itself, its description
    /// and `/health`. 1 to 4,096 visible ASCII characters. Default: none.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Which requests may store and delete items. Default: those with the token, and none if there is no token.
    #[must_use]
    pub fn edits(mut self, edits: Edits) -> Self {
        self.edits = edits;
        self
    }

    /// The names under which the service is reached, as they stand in the header `Host`, without ports. Default: for a
    /// loopback address the names of this machine, which keeps pages of other sites from reading answers by a name of their
    /// own that points here; for other addresses any name.
    #[must_use]
    pub fn hosts<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Allows an address that other machines reach, without a token. Default `false`.
    #[must_use]
    pub fn open_to_network(mut self, is_open: bool) -> Self {
        self.open_to_network = is_open;
        self
    }

    /// Starts the threads that search and embed.
    ///
    /// # Errors
    /// [`ServeError::Limit`], [`ServeError::Token`] and [`ServeError::Host`] for a value out of range, [`ServeError::Start`] if
    /// the system refuses a thread.
    pub fn build(self) -> Result<Server, ServeError> {
        let limits = self.limits;
        limits.check()?;
        let token = self.token.as_deref().map(Token::new).transpose()?;
        let hosts = self.hosts.map(Hosts::only).transpose()?;
        let metrics = Arc::new(Metrics::new());
        let live = Arc::new(Live::new(self.source.collection));
        let stage = |name, threads, most| BatcherConfig {
            name,
            threads,
            most,
            capacity: limits.requests,
            metrics: metrics.stage(name),
        };
        let searched = Arc::clone(&live);
        let searcher = stage("search", limits.search_threads, limits.search_batch);
        let searcher = Batcher::new(searcher, move |jobs: &[_]| search(&searched, jobs))?;
        // A model runs on all cores by itself.
        let images = self.images.map(|model| {
            Batcher::new(
                stage("images", 1, limits.embed_batch),
                move |jobs: &[_]| embed_images(&*model, jobs),
            )
        });
        let texts = self.texts.map(|model| {
            Batcher::new(
                stage("texts", 1, limits.embed_batch),
                move |jobs: &[_]| embed_texts(&*model, jobs),
            )
        });
        let watch = self.source.watch;
        let reloader =
            watch.map(|watch| Reloader::start(watch, Arc::clone(&live), Arc::clone(&metrics)));
        let app = App {
            title: self.title,
            distance: self.distance,
            access: Access {
                token,
                edits: self.edits,
                hosts: Hosts::Any,
            },
            searcher,
            images: images.transpose()?,
            texts: texts.transpose()?,
            pictures: self.pictures,
            thumbnails: Thumbnails::new(limits.thumbnail_bytes),
            pairs: self.pairs,
            blocking: Blocking::new(limits.other_threads),
            bodies: BodyBudget::new(limits.bodies_bytes),
            requests: Semaphore::new(limits.requests),
            is_draining: AtomicBool::new(false),
            request_ids: RequestIds::new(),
            _reloader: reloader.transpose()?,
            live,
            metrics,
            limits,
        };
        Ok(Server {
            app,
            hosts,
            open_to_network: self.open_to_network,
        })
    }
}
