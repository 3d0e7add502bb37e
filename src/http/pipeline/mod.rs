//! What every request passes around its route, in an order that callers can see (`platform.md` 1.1):
//! security headers, request id and log line, panic guard, path hygiene, origin, announced body size.
//!
//! One service with one future per request: a stack of layers would box a future for each. What only the
//! outside knows of an answer is written here too: problems, the headers of lists, and 304.

mod conditional;
mod headers;
mod identity;
mod origin;
mod panic;
mod path;
mod size;

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::Service;
use tracing::Instrument;

use super::problem::Problem;
use identity::Named;

/// Largest request body (seed, API overview): 1 MiB.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// The API: its routes with the pipeline around them; cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    routes: Router,
}

/// Puts the pipeline around the routes. It is no layer of theirs: those run only after a route has
/// matched, too late to clean the path.
pub(super) fn around(routes: Router) -> Pipeline {
    Pipeline { routes }
}

impl Service<Request> for Pipeline {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let routes = self.routes.clone();
        Box::pin(async move { Ok(pass(routes, request).await) })
    }
}

async fn pass(routes: Router, request: Request) -> Response {
    let named = Named::of(&request);
    let answering = AssertUnwindSafe(answer(routes, request)).catch_unwind().instrument(named.span());
    let mut response = answering.await.unwrap_or_else(panic::answer);
    named.finish(&mut response);
    headers::secure(&mut response);
    response
}

async fn answer(mut routes: Router, request: Request) -> Response {
    match admitted(request) {
        Ok(request) => routes.call(request).await.unwrap_or_else(|never| match never {}),
        Err(problem) => problem.into_response(),
    }
}

/// The request as the routes get it, or why they do not.
fn admitted(request: Request) -> Result<Request, Problem> {
    let request = path::clean(request)?;
    origin::check(&request)?;
    size::check(&request)?;
    Ok(request)
}
