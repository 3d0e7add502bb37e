//! Answers: what a read shows and what a write made, rendered once.
//!
//! A resource that can be read alone carries a tag (`DESIGN.md` 5); a list says how long it is; a write
//! says from where on what it made can be read.

use std::marker::PhantomData;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::{Entry, EntryId, LogTag, Offset};
use taffrail_projections::World;

use super::contract::{self, Answers, Operation, Schemas};
use super::freshness::TAFFRAIL_CURSOR;
use super::page::{Listing, Page};
use super::problem::Problem;
use super::tag;
use crate::writer::Executed;

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// May be kept, but must be asked for again: the tag tells whether it is still true.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Shown once and never kept.
const NEVER_KEEP: HeaderValue = HeaderValue::from_static("no-store");

/// The entry that a command is known by: its first; the subject is what a create made.
///
/// # Errors
/// 500 if it made none, which no caller of this may be told of.
pub(super) fn first_entry<W>(done: &Executed<W>) -> Result<&Entry, Problem> {
    done.entries.first().ok_or_else(Problem::internal)
}

/// As much as most answers have: growing towards it step by step would copy each several times.
const BODY_BYTES: usize = 8 << 10;

/// A view as JSON. Views are structs of texts and numbers, which always have a JSON form.
fn rendered<T: Serialize>(view: &T) -> Vec<u8> {
    let mut body = Vec::with_capacity(BODY_BYTES);
    let written = serde_json::to_writer(&mut body, view);
    written.map(|()| body).unwrap_or_default()
}

/// An answer of a route that may also refuse in a way that its parts do not tell.
pub(super) struct Refusing<T, const STATUS: u16>(pub(super) T);

impl<T: IntoResponse, const STATUS: u16> IntoResponse for Refusing<T, STATUS> {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl<T: Answers, const STATUS: u16> Answers for Refusing<T, STATUS> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        T::describe(operation, schemas);
        operation.refuses(StatusCode::from_u16(STATUS));
    }
}

/// 200: one resource, with its tag.
pub(super) struct Shown<T> {
    body: Vec<u8>,
    tag: HeaderValue,
    view: PhantomData<T>,
}

impl<T: Serialize> Shown<T> {
    /// `changed` is the offset of the resource's last entry.
    pub(super) fn new(changed: Offset, view: &T) -> Self {
        let body = rendered(view);
        Self { tag: tag::of(changed, &body), body, view: PhantomData }
    }
}

impl<T> Shown<T> {
    /// Something that is JSON already.
    pub(super) fn as_is(changed: Offset, json: &'static str) -> Self {
        Self { tag: tag::of(changed, json.as_bytes()), body: json.into(), view: PhantomData }
    }

    /// The same answer without what its view borrowed.
    pub(super) fn unborrowed<U>(self) -> Shown<U> {
        Shown { body: self.body, tag: self.tag, view: PhantomData }
    }
}

impl<T> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, JSON), (ETAG, self.tag), (CACHE_CONTROL, ASK_AGAIN)], self.body).into_response()
    }
}

impl<T: JsonSchema> Answers for Shown<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        let told = contract::Response::json(schemas.answer::<T>()).header("ETag", tag::DESCRIPTION);
        operation.succeeds(StatusCode::OK, told);
        operation.succeeds(StatusCode::NOT_MODIFIED, contract::Response::default());
        operation.parameter(
            "header",
            "If-None-Match",
            serde_json::json!({ "type": "string" }),
            false,
            "The tag the caller has: 304 if it is still true",
        );
    }
}

/// 200: something that is no resource of its own.
pub(super) struct Told<T> {
    body: Vec<u8>,
    view: PhantomData<T>,
}

impl<T: Serialize> Told<T> {
    pub(super) fn new(view: &T) -> Self {
        Self { body: rendered(view), view: PhantomData }
    }
}

impl<T> Told<T> {
    /// The same answer without what its view borrowed.
    pub(super) fn unborrowed<U>(self) -> Told<U> {
        Told { body: self.body, view: PhantomData }
    }
}

impl<T> IntoResponse for Told<T> {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, JSON)], self.body).into_response()
    }
}

impl<T: JsonSchema> Answers for Told<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.succeeds(StatusCode::OK, contract::Response::json(schemas.answer::<T>()));
    }
}

/// 200: a list or a page of it, and how long all of it is.
pub(super) struct Listed<T> {
    told: Told<T>,
    listing: Listing,
}

impl<T: Serialize> Listed<T> {
    /// A page.
    pub(super) fn page(view: &T, total: usize, page: Page) -> Self {
        Self {
            told: Told::new(view),
            listing: Listing { total, page: Some(page), next: None, by_cursor: false },
        }
    }

    /// A page of a list that can also be read on from where one ended (`issues.md` 22).
    pub(super) fn page_from(
        view: &T,
        total: usize,
        page: Page,
        by_cursor: bool,
        next: Option<impl ToString>,
    ) -> Self {
        let next = next.map(|next| next.to_string());
        Self { told: Told::new(view), listing: Listing { total, page: Some(page), next, by_cursor } }
    }

    /// All of it, or a part that has no next one.
    pub(super) fn whole(view: &T, total: usize) -> Self {
        Self { told: Told::new(view), listing: Listing { total, page: None, next: None, by_cursor: false } }
    }
}

impl<T> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let mut response = self.told.into_response();
        response.extensions_mut().insert(self.listing);
        response
    }
}

impl<T: JsonSchema> Answers for Listed<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        let told = contract::Response::json(schemas.answer::<T>())
            .header("X-Total-Count", "How many there are, on all pages")
            .header("X-Next-Cursor", "Where the next page begins, of lists that take a `cursor`")
            .header("Link", "The first, previous, next and last page (RFC 8288)");
        operation.succeeds(StatusCode::OK, told);
    }
}

/// The answer to a write, with the cursor of what it wrote.
pub(super) struct Written<T, const STATUS: u16> {
    body: Option<Vec<u8>>,
    cursor: EntryId,
    replayed: bool,
    tag: Option<HeaderValue>,
    holds_secret: bool,
    view: PhantomData<T>,
}

/// 200: done.
pub(super) type Done<T> = Written<T, 200>;
/// 201: made.
pub(super) type Created<T> = Written<T, 201>;
/// 204: gone.
pub(super) type Gone = Written<(), 204>;

impl<T: Serialize, const STATUS: u16> Written<T, STATUS> {
    /// What a command made or changed.
    pub(super) fn new<W: World>(done: &Executed<W>, view: &T) -> Self {
        Self { body: Some(rendered(view)), ..Self::empty(done) }
    }

    /// The same, of a resource that can be read alone: with the tag that a read would give it.
    pub(super) fn tagged<W: World>(done: &Executed<W>, view: &T, changed: Offset) -> Self {
        Self::tagged_as(done, view, changed, view)
    }

    /// The same, where a read shows more than this answer.
    pub(super) fn tagged_as<W: World, R: Serialize>(
        done: &Executed<W>,
        view: &T,
        changed: Offset,
        read: &R,
    ) -> Self {
        Self { tag: Some(tag::of(changed, &rendered(read))), ..Self::new(done, view) }
    }

    /// What the accounts made outside the writers' hands; it holds a secret that is shown this once.
    pub(super) fn secret(log: LogTag, offset: Offset, view: &T) -> Self {
        Self {
            body: Some(rendered(view)),
            cursor: EntryId::new(log, offset),
            replayed: false,
            tag: None,
            holds_secret: true,
            view: PhantomData,
        }
    }
}

impl<T, const STATUS: u16> Written<T, STATUS> {
    fn empty<W: World>(done: &Executed<W>) -> Self {
        // Without a new fact the world decided on is where it stands.
        let last = done.entries.last().map_or(done.world.head(), |entry| entry.offset);
        Self {
            body: None,
            cursor: EntryId::new(done.world.log(), last),
            replayed: done.replayed,
            tag: None,
            holds_secret: false,
            view: PhantomData,
        }
    }
}

impl Gone {
    pub(super) fn of<W: World>(done: &Executed<W>) -> Self {
        Self::empty(done)
    }
}

impl<T, const STATUS: u16> IntoResponse for Written<T, STATUS> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        let mut headers = HeaderMap::new();
        // `j_` and hex digits are a header value.
        if let Ok(cursor) = HeaderValue::from_str(&self.cursor.to_string()) {
            headers.insert(TAFFRAIL_CURSOR, cursor);
        }
        if self.replayed {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        if self.holds_secret {
            headers.insert(CACHE_CONTROL, NEVER_KEEP);
        }
        if let Some(tag) = self.tag {
            headers.insert(ETAG, tag);
        }
        match self.body {
            Some(body) => {
                headers.insert(CONTENT_TYPE, JSON);
                (status, headers, body).into_response()
            }
            None => (status, headers).into_response(),
        }
    }
}

impl<T: JsonSchema, const STATUS: u16> Answers for Written<T, STATUS> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        let told = match status {
            StatusCode::NO_CONTENT => contract::Response::default(),
            _ => contract::Response::json(schemas.answer::<T>()),
        };
        let told = told
            .header("Taffrail-Cursor", "The write's last entry; a read that sends it back sees the write")
            .header("Idempotency-Replayed", "true if this repeats the answer of a first request");
        operation.succeeds(status, told);
    }
}
