//! Connections: accepted up to a limit, closed when they idle or stall, and finished when the service shuts down.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::ServeError;
use crate::app::App;

/// Time after which connections are accepted again when the system could not give one, for want of files.
const PAUSE: Duration = Duration::from_millis(50);

/// A service that listens. Requests wait until [`serve_until`](Listening::serve_until).
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    app: Arc<App>,
}

impl Listening {
    pub(crate) async fn new(
        address: SocketAddr,
        router: Router,
        app: Arc<App>,
    ) -> Result<Self, ServeError> {
        let fault = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self {
            listener,
            address,
            router,
            app,
        })
    }

    /// The address with the port that the system has chosen, if it was 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is done; then accepts no more connections, and finishes the requests in progress.
    /// Requests that take longer than [`Limits::shutdown_time`](crate::Limits::shutdown_time) are dropped.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) {
        let limits = &self.app.limits;
        let places = Arc::new(Semaphore::new(limits.connections));
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let accepted = async {
                // Never closed.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, self.listener.accept().await)
            };
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                (place, stream) = accepted => match stream {
                    Ok((stream, _)) => {
                        let (app, router) = (Arc::clone(&self.app), self.router.clone());
                        let stopped = stopped.clone();
                        connections.spawn(async move {
                            let _place = place;
                            connection(stream, router, app, stopped).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!("a connection can't be accepted: {error}");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        self.app.is_draining.store(true, Ordering::Release);
        drop(self.listener);
        stopping.send_replace(true);
        tracing::info!(connections = connections.len(), "shutting down");
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(self.app.limits.shutdown_time, finished)
            .await
            .is_err()
        {
            tracing::warn!(
                connections = connections.len(),
                "requests in progress are dropped"
            );
            connections.shutdown().await;
        }
    }
}

/// Answers the requests of one connection.
async fn connection(
    stream: TcpStream,
    router: Router,
    app: Arc<App>,
    mut stopped: watch::Receiver<bool>,
) {
    app.metrics.connections.inc();
    // Answers are written in one piece: waiting for more to send with it would only delay it.
    stream.set_nodelay(true).ok();
    let stream = TokioIo::new(Patient::new(stream, app.limits.write_time));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.limits.head_time)
        .serve_connection(stream, TowerToHyperService::new(router));
    let mut served = pin!(served);
    let stop = async {
        stopped.wait_for(|stopped| *stopped).await.ok();
    };
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stop => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("a connection ended: {error}");
    }
    app.metrics.connections.dec();
}

/// A connection that is given up when its other end takes nothing of what is sent for some time.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
        }
    }

    /// The result of a write, or an error if writes have waited for too long.
    fn within_patience<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = None;
            return result;
        }
        let deadline = Instant::now() + self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_patience(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.within_patience(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.within_patience(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.within_patience(context, result)
    }
}
