//! A name for every request: in the answer, in each of its log lines, in its problem.

use std::time::Instant;

use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use ulid::Ulid;

use super::conditional;
use crate::http::page;
use crate::http::problem::Problem;

const REQUEST_ID: &str = "x-request-id";
const REQUEST_ID_BYTES_MAX: usize = 64;
const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// Names the request, runs it in a span of that name, writes its problem out, and logs it once.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let problem_type = if names_problem_json(request.headers()) { PROBLEM_JSON } else { JSON };
    let method = request.method().clone();
    let uri = request.uri().clone();
    let known = request.headers().contains_key(IF_NONE_MATCH).then(|| request.headers().clone());
    let span = tracing::info_span!("request", request.id = %request_id);

    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = problem_of(&mut response) {
        problem.write_into(&mut response, uri.path(), &request_id, problem_type);
    }
    page::write_headers(&mut response, &uri);
    if let Some(known) = known {
        conditional::answer(&method, &known, &mut response);
    }
    // Both sources of an id are visible ASCII.
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        tracing::info!(%method, path = uri.path(), status = response.status().as_u16(), elapsed_ms, "answered");
    });
    response
}

/// The caller's own id if it is one (`platform.md` 9.1, row 12), else a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    given.filter(|id| is_request_id(id)).map_or_else(|| Ulid::generate().to_string(), str::to_owned)
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
