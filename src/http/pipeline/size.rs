//! A body that is announced as too large is refused unread; one that only turns out so, where it is read.

use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::BODY_BYTES_MAX;
use crate::http::problem::Problem;

pub(super) async fn check(request: Request, next: Next) -> Response {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|digits| digits.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        return Problem::too_large().into_response();
    }
    next.run(request).await
}
