//! Serving connections: who is slow is not waited for (`platform.md` 9.1, row 13).
//!
//! A request's head must arrive within ten seconds of its first byte; a connection may idle for two
//! minutes between requests; of an answer, something must be taken every half minute. hyper has one clock
//! for the first two and none for the last, so [`patience`] watches. How long a body may take is
//! [`super::body`]'s to say.

mod listen;
mod patience;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::Service;

use super::Pipeline;
pub use listen::Listen;
use patience::{Answer, Patience, Progress, Watched};

const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 32 << 10;
/// When the process has no file left for a further connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves connections until `stop`, then lets requests under way end.
pub async fn serve(listener: impl Listen, service: Pipeline, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
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

async fn connection<S>(stream: S, service: Pipeline, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let progress = Progress::new();
    let mut patience = Patience::with(Arc::clone(&progress));
    let watched = Watched { stream, progress: Arc::clone(&progress) };
    let answer = service_fn(move |request: Request<Incoming>| {
        let (answer, answering) = (service.clone().call(request.map(Body::new)), progress.answering());
        async move {
            let response = answer.await.unwrap_or_else(|never| match never {});
            Ok::<_, Infallible>(response.map(|body| Answer { body, _answering: answering }))
        }
    });
    let mut http = http1::Builder::new();
    http.max_headers(HEADERS_MAX).max_header_size(HEAD_BYTES_MAX).header_read_timeout(None);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(watched), answer).with_upgrades());
    let mut stop = std::pin::pin!(stopped.wait_for(|stopped| *stopped));
    let mut is_stopping = false;
    let served = poll_fn(|context| {
        // A sender that is gone says the same.
        if !is_stopping && stop.as_mut().poll(context).is_ready() {
            is_stopping = true;
            serving.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(served) = serving.as_mut().poll(context) {
            return Poll::Ready(served.map_err(|error| error.to_string()));
        }
        patience.poll_over(context).map(|()| Err("its peer took too long".to_owned()))
    });
    if let Err(error) = served.await {
        tracing::debug!(error, "a connection ended early");
    }
}
