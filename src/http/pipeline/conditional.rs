//! `If-None-Match`: what the caller has and is still true is not sent again.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use crate::http::tag;

/// Turns a read's answer into 304 if its tag is known.
pub(super) fn answer(method: &Method, asked: &HeaderMap, response: &mut Response) {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let tag = response.headers().get(ETAG).filter(|_| reads && response.status() == StatusCode::OK);
    if tag.is_some_and(|tag| tag::is_known(asked, tag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().remove(CONTENT_TYPE);
    }
}
