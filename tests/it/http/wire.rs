//! A port that a server listens on, for journeys that begin at a socket.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use taffrail::boot::Taffrail;
use taffrail::http;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listener and a client that keeps its connections to it.
pub(super) struct Wire {
    pub(super) address: String,
    client: reqwest::Client,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Wire {
    pub(super) async fn stretch(app: &Arc<Taffrail>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, mut stopped) = watch::channel(false);
        let until = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let service = http::service(Arc::clone(app));
        let serving = tokio::spawn(http::serve(listener, service, until));
        Self { address, client: reqwest::Client::new(), stop, serving }
    }

    /// There and back again.
    pub(super) async fn carry(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let url = format!("http://{}{}", self.address, parts.uri);
        let asking = self.client.request(parts.method, url).headers(parts.headers);
        let answer = asking.body(to_bytes(body, usize::MAX).await.unwrap()).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }

    /// Stops to listen, and waits until nothing of the server is held any more.
    pub(super) async fn cut(self) {
        let Self { client, stop, serving, .. } = self;
        drop((client, stop));
        serving.await.unwrap();
    }
}
