//! What every request passes before its route, in an order that callers can see (`platform.md` 1.1):
//! security headers, request id and log line, panic guard, path hygiene, origin, announced body size.
//!
//! The problems of everything inside are written out here, where path and request id are known.

mod conditional;
mod headers;
mod identity;
mod origin;
mod panic;
mod path;
mod size;

use axum::Router;
use axum::middleware::from_fn;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

/// Largest request body (seed, API overview): 1 MiB.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// Puts the pipeline around the routes. They become the fallback of an outer router, because a
/// router's own layers run only after it has matched, too late to clean the path.
pub(super) fn around(routes: Router) -> Router {
    let pipeline = ServiceBuilder::new()
        .layer(from_fn(headers::secure))
        .layer(from_fn(identity::identify))
        .layer(CatchPanicLayer::custom(panic::answer))
        .layer(from_fn(path::clean))
        .layer(from_fn(origin::check))
        .layer(from_fn(size::check));
    Router::new().fallback_service(routes).layer(pipeline)
}
