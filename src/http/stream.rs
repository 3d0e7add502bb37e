//! `GET /api/v1/journal/stream` (`journal.md` 3.4).

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use taffrail_domain::{EntryId, Offset};
use taffrail_projections::World;

use super::caller::Member;
use super::contract::{self, Answers, Asks, Operation, Schemas};
use super::gate::ReadJournal;
use super::journal::{self, EntryQuery};
use super::problem::Problem;
use super::query::Query;
use crate::live::{self, Access, Start};

const LAST_EVENT_ID: &str = "last-event-id";
/// What a fresh client is shown of the past.
const SEED: usize = 50;
/// Kept proxies from collecting a stream before they hand it on.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The last entry that a client has, from before its connection broke.
pub(super) struct LastEventId(Option<String>);

impl<S: Sync> axum::extract::FromRequestParts<S> for LastEventId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, std::convert::Infallible> {
        let value = parts.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        Ok(Self(value.map(str::to_owned)))
    }
}

impl Asks for LastEventId {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let text = json!({ "type": "string" });
        let description = "The last entry the client has; what follows it is replayed, however much it is";
        operation.parameter("header", "Last-Event-ID", text, false, description);
    }
}

/// A stream of server-sent events.
pub(super) struct Events(Body);

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
        ];
        (headers, self.0).into_response()
    }
}

impl Answers for Events {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.succeeds(StatusCode::OK, contract::Response::of("text/event-stream"));
    }
}

/// `GET /api/v1/journal/stream`: with the last entry the client has, everything behind it, else the newest
/// that match; then what comes.
pub(super) async fn follow_journal(
    member: Member<ReadJournal>,
    LastEventId(last): LastEventId,
    Query(query): Query<EntryQuery>,
) -> Result<Events, Problem> {
    let world = member.world();
    let (filter, phrase) = journal::filter(&query.filter, &world)?;
    journal::limit(&query)?;
    // Checked with the filter; where both are named, a reconnect knows better than the address.
    let named = last.as_deref().and_then(|id| journal::place(id, &world)).or(filter.after);
    let head = world.head();
    let (start, reset) = match named {
        None => (Start::Newest(SEED), None),
        // It has entries that are not here: the journal is an older one, and nothing it has can be trusted.
        Some(after) if after > head => (Start::After(Offset(0)), Some(EntryId::new(world.log(), Offset(1)))),
        Some(after) => (Start::After(after), None),
    };
    let filter = taffrail_projections::Filter { after: None, ..filter };
    let follow = member.app.live.follow(world.log(), filter, phrase, start).await?;
    let follow = follow.ok_or_else(Problem::internal)?;
    let access = Access::new(&member.app, member.session().clone());
    Ok(Events(Body::from_stream(live::stream(follow, access, reset))))
}
