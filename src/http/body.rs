//! What a write sent: its body, read once, and the name it may be repeated under.

use std::error::Error;
use std::marker::PhantomData;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use http_body_util::LengthLimitError;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use taffrail_domain::Rejection;
use taffrail_journal::Request;

use super::App;
use super::contract::{Asks, Operation, Schemas};
use super::idempotency::Key;
use super::pipeline::BODY_BYTES_MAX;
use super::problem::Problem;

/// How long a body may take to arrive (`platform.md` 9.1, row 13).
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// The last thing a handler of a write extracts: who may call was settled before. `B` says what body
/// the route reads.
pub(super) struct Sent<B> {
    body: Bytes,
    media_type: Option<HeaderValue>,
    key: Option<Key>,
    form: PhantomData<B>,
}

/// What a route reads.
pub(super) trait Form: Send {
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

/// A body that must be there.
pub(super) struct Required<T>(PhantomData<T>);
/// A body that may be left out.
pub(super) struct Optional<T>(PhantomData<T>);
/// Bytes, whatever they are.
pub(super) struct Raw;
/// Whatever is sent is not looked at.
pub(super) struct Ignored;

impl<B> FromRequest<App> for Sent<B> {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, _: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let arrived = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, BODY_BYTES_MAX)).await;
        let body = arrived.map_err(|_| Problem::too_slow())?.map_err(|error| unreadable(&error))?;
        let key = Key::of(&parts, &body)?;
        let media_type = parts.headers.get(CONTENT_TYPE).cloned();
        Ok(Self { body, media_type, key, form: PhantomData })
    }
}

fn unreadable(error: &axum::Error) -> Problem {
    if error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
        return Problem::too_large();
    }
    Problem::invalid("body_unreadable", "Request body could not be read")
}

impl<B> Sent<B> {
    /// The name of this request, if its caller gave it one.
    pub(super) fn request(&self, principal: &str) -> Option<Request> {
        self.key.as_ref().map(|key| key.request(principal))
    }

    /// Whether its caller says that it is of this media type, whatever its parameters.
    pub(super) fn is_of_type(&self, media_type: &str) -> bool {
        let said = self.media_type.as_ref().and_then(|said| said.to_str().ok()).unwrap_or_default();
        said.split(';').next().is_some_and(|said| said.trim().eq_ignore_ascii_case(media_type))
    }
}

impl<T: DeserializeOwned> Sent<Required<T>> {
    /// The body.
    ///
    /// # Errors
    /// 400 `Invalid JSON body` (`missions.md` 1.3).
    pub(super) fn json(&self) -> Result<T, Rejection> {
        self.json_or("Invalid JSON body")
    }

    /// The same, with the text of another page.
    pub(super) fn json_or(&self, detail: &'static str) -> Result<T, Rejection> {
        object(&self.body).and_then(read).ok_or_else(|| Rejection::invalid("invalid_json", detail))
    }
}

impl<T: DeserializeOwned + Default> Sent<Optional<T>> {
    /// The body; nothing, or only white space, is `{}`.
    ///
    /// # Errors
    /// 400 `invalid JSON body` (`journal.md` 1.3).
    pub(super) fn json(&self) -> Result<T, Rejection> {
        let blank = self.body.iter().all(u8::is_ascii_whitespace);
        let object = if blank { Some(Map::new()) } else { object(&self.body) };
        object.and_then(read).ok_or_else(|| Rejection::invalid("invalid_json", "invalid JSON body"))
    }

    /// The body if it can be read, else none: for what must not fail because of it.
    pub(super) fn json_if_any(&self) -> T {
        self.json().unwrap_or_default()
    }
}

impl<T: JsonSchema + Send> Form for Required<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.body(schemas.body::<T>(), true);
        operation.refuses([StatusCode::BAD_REQUEST]);
    }
}

impl<T: JsonSchema + Send> Form for Optional<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.body(schemas.body::<T>(), false);
        operation.refuses([StatusCode::BAD_REQUEST]);
    }
}

impl<B> Sent<B> {
    /// A text that the body names, whatever else is in it.
    pub(super) fn named(&self, member: &str) -> Option<String> {
        object(&self.body)?.get(member)?.as_str().map(str::to_owned)
    }

    /// What was sent.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.body.to_vec()
    }

    /// How many bytes were sent.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }
}

impl Form for Raw {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.bytes(["application/octet-stream"]);
    }
}

impl Form for Ignored {
    fn describe(_: &mut Operation, _: &mut Schemas) {}
}

impl<B: Form> Asks for Sent<B> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        B::describe(operation, schemas);
        describe_write(operation);
    }
}

/// What every write takes and may be refused for.
pub(super) fn describe_write(operation: &mut Operation) {
    let key = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
    let description = "Names the write: sent again under one name it acts once";
    operation.parameter("header", "Idempotency-Key", key, false, description);
    operation.refuses([
        StatusCode::BAD_REQUEST,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ]);
}

/// One JSON object and nothing behind it; of a key named twice the last counts, and `null` is `{}`.
fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body).ok()? {
        Value::Object(object) => Some(object),
        Value::Null => Some(Map::new()),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(object: Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(object)).ok()
}

#[cfg(test)]
mod tests {
    use taffrail_domain::mission::TaskDraft;

    use super::*;

    fn sent<B>(body: &'static str) -> Sent<B> {
        Sent { body: Bytes::from_static(body.as_bytes()), media_type: None, key: None, form: PhantomData }
    }

    fn required(body: &'static str) -> Result<TaskDraft, Rejection> {
        sent::<Required<TaskDraft>>(body).json()
    }

    fn optional(body: &'static str) -> Result<TaskDraft, Rejection> {
        sent::<Optional<TaskDraft>>(body).json()
    }

    #[test]
    fn of_a_key_named_twice_the_last_counts_and_unknown_keys_do_not() {
        let draft = required(r#"{"title":"a","colour":{},"title":"b"}"#).expect("an object");
        assert_eq!(draft.title.as_deref(), Some("b"));
    }

    #[test]
    fn null_is_an_empty_object_and_nothing_is_not_a_body() {
        assert!(required("null").is_ok());
        assert!(required("").is_err());
        assert!(optional(" \n").is_ok());
    }

    #[test]
    fn no_other_value_no_second_value_and_no_wrong_type_is_a_body() {
        for body in ["[]", "1", "\"a\"", "{} {}", "{", r#"{"title":5}"#, r#"{"task_order":1.0}"#] {
            assert!(required(body).is_err(), "{body}");
            assert!(optional(body).is_err(), "{body}");
        }
    }
}
