//! A name for every request: in the answer, in each of its log lines, in its problem.

use std::time::Instant;

use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::response::Response;
use tracing::Span;
use ulid::Ulid;

use super::conditional;
use crate::http::page;
use crate::http::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;
const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// What must be known of a request when its answer is there.
pub(super) struct Named {
    started: Instant,
    method: Method,
    uri: Uri,
    request_id: HeaderValue,
    problem_type: &'static str,
    /// The headers of a read that has something already.
    known: Option<HeaderMap>,
    span: Span,
}

impl Named {
    pub(super) fn of(request: &Request) -> Self {
        let headers = request.headers();
        let request_id = request_id(headers);
        let span = tracing::info_span!("request", request.id = text(&request_id));
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            request_id,
            problem_type: if names_problem_json(headers) { PROBLEM_JSON } else { JSON },
            known: headers.contains_key(IF_NONE_MATCH).then(|| headers.clone()),
            span,
        }
    }

    /// The span of its log lines.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Writes its problem out, and what else only the outside knows, and logs it once.
    pub(super) fn finish(self, response: &mut Response) {
        let path = self.uri.path();
        if let Some(problem) = problem_of(response) {
            problem.write_into(response, path, text(&self.request_id), self.problem_type);
        }
        page::write_headers(response, &self.uri);
        if let Some(known) = &self.known {
            conditional::answer(&self.method, known, response);
        }
        let elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.span.in_scope(|| {
            let (method, status) = (self.method.as_str(), response.status());
            let is_done = status.is_success() || status.is_redirection();
            let is_routine = is_done && (self.method.is_safe() || is_of_a_worker(path));
            let status = status.as_u16();
            if is_routine {
                // Most requests are these; they change little, and saying so costs a seventh of one.
                tracing::debug!(method, path, status, elapsed_ms, "answered");
            } else {
                tracing::info!(method, path, status, elapsed_ms, "answered");
            }
        });
        response.headers_mut().insert(REQUEST_ID, self.request_id);
    }
}

/// What a worker does all the time: what comes of it is in the journal.
fn is_of_a_worker(path: &str) -> bool {
    path.contains("/tasks/") && ["/claim", "/heartbeat", "/output"].iter().any(|end| path.ends_with(end))
}

/// Ids are visible ASCII.
fn text(request_id: &HeaderValue) -> &str {
    request_id.to_str().unwrap_or_default()
}

/// The caller's own id if it is one (`platform.md` 9.1, row 12), else a fresh one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|value| value.to_str().is_ok_and(is_request_id));
    given.cloned().unwrap_or_else(|| {
        let mut letters = [0; ulid::ULID_LEN];
        let fresh = Ulid::generate().array_to_str(&mut letters);
        HeaderValue::from_str(fresh).unwrap_or(HeaderValue::from_static("none"))
    })
}

fn is_request_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

fn names_problem_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|list| list.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|media_type| media_type.trim().eq_ignore_ascii_case(PROBLEM_JSON))
}

/// The problem a handler answered with, or one made of a refusal in another shape: an extractor's text.
fn problem_of(response: &mut Response) -> Option<Problem> {
    let told = response.extensions_mut().remove::<Problem>();
    told.or_else(|| {
        let status = response.status();
        let is_failure = status.is_client_error() || status.is_server_error();
        let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == JSON);
        (is_failure && !is_json).then(|| Problem::of_status(status))
    })
}
