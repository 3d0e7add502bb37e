//! An address that is too long is refused, and so is, unread, a body that is announced as too large; one
//! that only turns out so is refused where it is read. Files have a limit of their own, and are read by a
//! route that says so itself.

use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};

use super::BODY_BYTES_MAX;
use crate::http::problem::Problem;

/// Longest address (`platform.md` 9.1, row 13).
const URI_BYTES_MAX: usize = 8 << 10;

pub(super) fn check(request: &Request) -> Result<(), Problem> {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if address > URI_BYTES_MAX {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", "Request address too long"));
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|digits| digits.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) && !takes_files(request) {
        return Err(Problem::too_large());
    }
    Ok(())
}

/// Whether a request is for the one route that reads more than others.
fn takes_files(request: &Request) -> bool {
    let path = request.uri().path();
    *request.method() == Method::POST && path.contains("/issues/") && path.ends_with("/attachments")
}
