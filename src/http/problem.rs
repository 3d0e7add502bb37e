//! Every 4xx and 5xx of the API, in one shape: the five members of RFC 7807, `error` equal to `detail`
//! for clients that read that, a stable `code`, and the request's id (`platform.md` 1.3).

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use taffrail_domain::{Rejection, RejectionKind};
use taffrail_journal::ReadError;

use crate::boot::{AccountError, AttachError, AuthError};
use crate::search::SearchError;
use crate::writer::ExecuteError;

/// Longest `detail`: some quote what the caller sent, and known clients read only the first 4 KiB of an
/// error, in which `detail` stands twice (`client.md` 2.2).
const DETAIL_BYTES_MAX: usize = 1_024;
/// When to come back while the queue is full.
const BUSY_RETRY_AFTER_S: u32 = 1;
/// When to come back while too much of it is under way.
const TOO_MANY_RETRY_AFTER_S: u32 = 5;
/// When to come back while an index is being made.
const REBUILDING_RETRY_AFTER_S: u32 = 5;
/// When to come back while the disk is full: somebody has to make room first.
const FULL_RETRY_AFTER_S: u32 = 30;

/// Why a request got no success. The pipeline adds what only it knows and writes it out.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    facts: Map<String, Value>,
}

/// As it stands on the wire; `detail` comes early, because clients read only the beginning.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemView<'a> {
    /// `about:blank`: the title says it all.
    r#type: &'static str,
    /// The status in words.
    title: &'a str,
    /// The status.
    status: u16,
    /// What is wrong, for people.
    detail: &'a str,
    /// The same, for clients that read this one.
    error: &'a str,
    /// What is wrong, for programs: stable.
    code: &'a str,
    /// Names the request in the log.
    request_id: &'a str,
    /// The path that was asked for.
    instance: &'a str,
    /// What else a program may want to know of this one problem.
    #[serde(flatten)]
    #[schemars(skip)]
    facts: &'a Map<String, Value>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), headers: vec![], facts: Map::new() }
    }

    /// 400.
    pub(super) fn invalid(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401 of the authentication layer: the reason is the text (shape D of `platform.md` 1.3).
    pub(super) fn unauthenticated(reason: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, reason, reason).challenging(reason)
    }

    /// 403 for want of a role or a scope.
    pub(super) fn forbidden(code: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, "Forbidden")
    }

    /// 413.
    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Request body too large")
    }

    /// 429, and when to come back.
    pub(super) fn too_many(retry_after_s: u32) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests");
        problem.retrying_after(retry_after_s)
    }

    /// 413 of a file.
    pub(super) fn file_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "attachment.too_large", "File larger than 25 MiB")
    }

    /// 408.
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "Request body did not arrive in time")
    }

    /// 503.
    pub(super) fn unavailable(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// 500 with a text that a page names; the cause is in the log all the same.
    pub(super) fn failed(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail)
    }

    /// 500; the cause is in the log, never in the answer.
    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
    }

    /// What an answer that is not ours says: an extractor's or the framework's.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let text = status.canonical_reason().unwrap_or("Error");
        let code = if status.is_server_error() { "internal" } else { "bad_request" };
        Self::new(status, code, text)
    }

    /// With `WWW-Authenticate: Bearer error="…"`.
    pub(super) fn challenging(self, error: &'static str) -> Self {
        let challenge = HeaderValue::from_str(&format!("Bearer error=\"{error}\""));
        match challenge {
            Ok(challenge) => self.with(WWW_AUTHENTICATE, challenge),
            Err(_) => self,
        }
    }

    fn retrying_after(self, seconds: u32) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Writes it into the response that carried it.
    pub(super) fn write_into(
        &self,
        response: &mut Response,
        instance: &str,
        request_id: &str,
        content_type: &'static str,
    ) {
        let detail = cut(&self.detail);
        let wire = ProblemView {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail,
            error: detail,
            code: self.code,
            request_id,
            instance,
            facts: &self.facts,
        };
        // A struct of texts, one number and JSON always has a JSON form.
        *response.body_mut() = Body::from(serde_json::to_vec(&wire).unwrap_or_default());
        response.headers_mut().remove(CONTENT_LENGTH);
        if self.status == StatusCode::NOT_FOUND {
            // What is not there has no methods to hint at.
            response.headers_mut().remove(ALLOW);
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
}

/// The text up to the last character that fits.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(DETAIL_BYTES_MAX.min(text.len()));
    &text[..end]
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match rejection.kind {
            RejectionKind::Invalid => StatusCode::BAD_REQUEST,
            RejectionKind::Forbidden => StatusCode::FORBIDDEN,
            RejectionKind::NotFound => StatusCode::NOT_FOUND,
            RejectionKind::Conflict => StatusCode::CONFLICT,
            RejectionKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            RejectionKind::Gone => StatusCode::GONE,
            RejectionKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RejectionKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            RejectionKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            RejectionKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        };
        let problem = Self { facts: rejection.facts, ..Self::new(status, rejection.code, rejection.detail) };
        match rejection.kind {
            RejectionKind::TooMany => problem.retrying_after(TOO_MANY_RETRY_AFTER_S),
            _ => problem,
        }
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => rejection.into(),
            ExecuteError::Busy => {
                let detail = "Too many commands are waiting, try again";
                Self::unavailable("busy", detail).retrying_after(BUSY_RETRY_AFTER_S)
            }
            ExecuteError::Full => {
                let detail = "No room on the disk, nothing was changed";
                Self::unavailable("disk_full", detail).retrying_after(FULL_RETRY_AFTER_S)
            }
            ExecuteError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency.key_reused",
                "Idempotency-Key was used for another request",
            ),
            ExecuteError::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large", "Too large for one change")
            }
            // The writer said to the log what happened.
            ExecuteError::Unavailable => {
                Self::unavailable("outcome_unknown", "Whether the change was made is unknown")
            }
            ExecuteError::Panicked => Self::internal(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Execute(error) => error.into(),
            AccountError::SecretShown => Self::new(
                StatusCode::CONFLICT,
                "idempotency.secret_shown",
                "The secret was shown once and is not shown again",
            ),
            AccountError::WindowClosed => Self::new(
                StatusCode::GONE,
                "bootstrap.window_closed",
                "Bootstrap window expired — restart the server to open a new one",
            ),
            AccountError::NoAdminKey => {
                Self::unavailable("token.admin_unavailable", "admin key not configured")
            }
            AccountError::Io(_) | AccountError::Password(_) => {
                tracing::error!(%error, "an account or token was not made");
                Self::internal()
            }
        }
    }
}

impl From<AttachError> for Problem {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Execute(error) => error.into(),
            AttachError::Io(error) => error.into(),
        }
    }
}

/// What the disk says of a file: that it is full is worth telling.
impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
            return ExecuteError::Full.into();
        }
        tracing::error!(%error, "a file could not be written or read");
        Self::internal()
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        Self::unauthenticated(match error {
            AuthError::Invalid => "session_invalid",
            AuthError::Expired => "session_expired",
            AuthError::Revoked => "session_revoked",
        })
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Rebuilding => {
                let detail = "The search index is being rebuilt, try again";
                Self::unavailable("search.rebuilding", detail).retrying_after(REBUILDING_RETRY_AFTER_S)
            }
            // The follower said to the log why.
            SearchError::Unavailable => Self::unavailable("search.unavailable", "Search is not available"),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "the journal could not be read");
        Self::internal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: ExecuteError) -> (u16, &'static str, Option<String>) {
        let problem = Problem::from(error);
        let code = problem.code;
        let response = problem.into_response();
        let retry = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        (response.status().as_u16(), code, retry.map(str::to_owned))
    }

    #[test]
    fn what_may_be_tried_again_says_when_and_what_is_unknown_does_not() {
        assert_eq!(told(ExecuteError::Busy), (503, "busy", Some("1".into())));
        assert_eq!(told(ExecuteError::Full), (503, "disk_full", Some("30".into())));
        assert_eq!(told(ExecuteError::Unavailable), (503, "outcome_unknown", None));
        assert_eq!(told(ExecuteError::KeyReused), (422, "idempotency.key_reused", None));
        assert_eq!(told(ExecuteError::TooLarge), (413, "batch_too_large", None));
        assert_eq!(told(ExecuteError::Panicked), (500, "internal", None));
    }

    #[test]
    fn a_long_detail_ends_at_a_whole_character() {
        let text = "é".repeat(DETAIL_BYTES_MAX);
        assert_eq!(cut(&text).len(), DETAIL_BYTES_MAX);
        assert_eq!(cut(&format!("x{text}")).len(), DETAIL_BYTES_MAX - 1);
        assert_eq!(cut("short"), "short");
    }
}
