//! Serving connections: who is slow is not waited for (`platform.md` 9.1, row 13).
//!
//! A request's head must arrive within ten seconds of its first byte; a connection may idle for two
//! minutes between requests. hyper has one clock for both, so the waiting is watched here, where the
//! bytes come in. How long a body may take is [`super::body`]'s to say.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tower::Service;

use super::Pipeline;

const HEAD_PATIENCE: Duration = Duration::from_secs(10);
const IDLE_PATIENCE: Duration = Duration::from_secs(120);
const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 32 << 10;
/// When the process has no file left for a further connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves connections until `stop`, then lets requests under way end.
pub async fn serve(listener: TcpListener, service: Pipeline, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, service.clone(), stopped.clone()));
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    stopping.send_replace(true);
    while connections.join_next().await.is_some() {}
}

fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(stream: TcpStream, service: Pipeline, mut stopped: watch::Receiver<bool>) {
    // Answers are written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let busy = Arc::new(AtomicBool::new(false));
    let watched = Watched::new(stream, Arc::clone(&busy));
    let answer = service_fn(move |request: Request<Incoming>| {
        busy.store(true, Ordering::Relaxed);
        let (answer, busy) = (service.clone().call(request.map(Body::new)), Arc::clone(&busy));
        async move {
            let response = answer.await;
            busy.store(false, Ordering::Relaxed);
            response.map_err(|never: Infallible| never)
        }
    });
    let mut http = http1::Builder::new();
    http.max_headers(HEADERS_MAX).max_header_size(HEAD_BYTES_MAX).header_read_timeout(None);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(watched), answer).with_upgrades());
    let stop = async move {
        // A sender that is gone says the same.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let served = tokio::select! {
        served = &mut serving => served,
        () = stop => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A stream that is not waited for longer than it deserves.
struct Watched {
    stream: TcpStream,
    /// Whether a request is being answered: its peer may take its time.
    busy: Arc<AtomicBool>,
    waiting: Waiting,
    deadline: Pin<Box<Sleep>>,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Nothing: a request is being answered.
    Nothing,
    /// The first byte of a request.
    Request,
    /// The rest of its head.
    Head,
}

impl Watched {
    fn new(stream: TcpStream, busy: Arc<AtomicBool>) -> Self {
        let deadline = Box::pin(tokio::time::sleep(HEAD_PATIENCE));
        Self { stream, busy, waiting: Waiting::Head, deadline }
    }

    fn wait_for(&mut self, what: Waiting, patience: Duration) {
        if self.waiting != what {
            self.waiting = what;
            self.deadline.as_mut().reset(Instant::now() + patience);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_busy = self.busy.load(Ordering::Relaxed);
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                if is_busy {
                    self.waiting = Waiting::Nothing;
                } else if self.waiting != Waiting::Head {
                    self.wait_for(Waiting::Head, HEAD_PATIENCE);
                }
                Poll::Ready(read)
            }
            Poll::Pending if is_busy => {
                self.waiting = Waiting::Nothing;
                Poll::Pending
            }
            Poll::Pending => {
                if self.waiting == Waiting::Nothing {
                    self.wait_for(Waiting::Request, IDLE_PATIENCE);
                }
                ready!(self.deadline.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
