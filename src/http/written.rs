//! The answer to a write: what it made, and from where on it can be read.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use taffrail_domain::{Entry, EntryId, LogTag, Offset};
use taffrail_projections::World;

use super::freshness::TAFFRAIL_CURSOR;
use super::problem::Problem;
use crate::writer::Executed;

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The entry that a command is known by: its first; the subject is what a create made.
///
/// # Errors
/// 500 if it made none, which no caller of this may be told of.
pub(super) fn first_entry<W>(done: &Executed<W>) -> Result<&Entry, Problem> {
    done.entries.first().ok_or_else(Problem::internal)
}

/// An answer with the cursor of the write it tells of.
pub(super) struct Written<T> {
    status: StatusCode,
    view: Option<T>,
    cursor: EntryId,
    replayed: bool,
}

impl<T> Written<T> {
    /// 200.
    pub(super) fn ok<W: World>(done: &Executed<W>, view: T) -> Self {
        Self::new(StatusCode::OK, done, Some(view))
    }

    /// 201.
    pub(super) fn created<W: World>(done: &Executed<W>, view: T) -> Self {
        Self::new(StatusCode::CREATED, done, Some(view))
    }

    /// An answer to what the accounts made outside the writers' hands.
    pub(super) fn at(status: StatusCode, log: LogTag, offset: Offset, view: T) -> Self {
        Self { status, view: Some(view), cursor: EntryId::new(log, offset), replayed: false }
    }

    fn new<W: World>(status: StatusCode, done: &Executed<W>, view: Option<T>) -> Self {
        // Without a new fact the world decided on is where it stands.
        let last = done.entries.last().map_or(done.world.head(), |entry| entry.offset);
        Self { status, view, cursor: EntryId::new(done.world.log(), last), replayed: done.replayed }
    }
}

impl Written<()> {
    /// 204.
    pub(super) fn gone<W: World>(done: &Executed<W>) -> Self {
        Self::new(StatusCode::NO_CONTENT, done, None)
    }
}

impl<T: Serialize> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        // `j_` and hex digits are a header value.
        if let Ok(cursor) = HeaderValue::from_str(&self.cursor.to_string()) {
            headers.insert(TAFFRAIL_CURSOR, cursor);
        }
        if self.replayed {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        match self.view {
            Some(view) => (self.status, headers, Json(view)).into_response(),
            None => (self.status, headers).into_response(),
        }
    }
}
