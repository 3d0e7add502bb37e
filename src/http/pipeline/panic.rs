//! A panic in a handler is a 500, not a dead connection.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;

pub(super) fn answer(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("(no text)"), "a handler panicked");
    Problem::internal().into_response()
}
