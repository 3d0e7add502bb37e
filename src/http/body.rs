//! What a write sent: its body, read once, and the name it may be repeated under.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use taffrail_domain::Rejection;
use taffrail_journal::Request;

use super::App;
use super::idempotency::Key;
use super::problem::Problem;

/// The last thing a handler of a write extracts: who may call was settled before.
pub(super) struct Sent {
    body: Bytes,
    key: Option<Key>,
}

impl FromRequest<App> for Sent {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, app: &App) -> Result<Self, Problem> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, app).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
                _ => Problem::invalid("body_unreadable", "Request body could not be read"),
            }
        })?;
        let key = Key::of(&headers, &method, &path, &body)?;
        Ok(Self { body, key })
    }
}

impl Sent {
    /// The name of this request, if its caller gave it one.
    pub(super) fn request(&self, principal: &str) -> Option<Request> {
        self.key.as_ref().map(|key| key.request(principal))
    }

    /// A body that must be there.
    ///
    /// # Errors
    /// 400 `Invalid JSON body` (`missions.md` 1.3).
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        object(&self.body)
            .and_then(read)
            .ok_or_else(|| Rejection::invalid("invalid_json", "Invalid JSON body"))
    }

    /// A body that may be left out: nothing, or only white space, is `{}`.
    ///
    /// # Errors
    /// 400 `invalid JSON body` (`journal.md` 1.3).
    pub(super) fn optional_json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        let blank = self.body.iter().all(u8::is_ascii_whitespace);
        let object = if blank { Some(Map::new()) } else { object(&self.body) };
        object.and_then(read).ok_or_else(|| Rejection::invalid("invalid_json", "invalid JSON body"))
    }
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

    fn sent(body: &'static str) -> Sent {
        Sent { body: Bytes::from_static(body.as_bytes()), key: None }
    }

    #[test]
    fn of_a_key_named_twice_the_last_counts_and_unknown_keys_do_not() {
        let draft: TaskDraft = sent(r#"{"title":"a","colour":{},"title":"b"}"#).json().expect("an object");
        assert_eq!(draft.title.as_deref(), Some("b"));
    }

    #[test]
    fn null_is_an_empty_object_and_nothing_is_not_a_body() {
        assert!(sent("null").json::<TaskDraft>().is_ok());
        assert!(sent("").json::<TaskDraft>().is_err());
        assert!(sent(" \n").optional_json::<TaskDraft>().is_ok());
    }

    #[test]
    fn no_other_value_no_second_value_and_no_wrong_type_is_a_body() {
        for body in ["[]", "1", "\"a\"", "{} {}", "{", r#"{"title":5}"#, r#"{"task_order":1.0}"#] {
            assert!(sent(body).json::<TaskDraft>().is_err(), "{body}");
            assert!(sent(body).optional_json::<TaskDraft>().is_err(), "{body}");
        }
    }
}
