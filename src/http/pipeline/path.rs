//! Paths that climb are refused, doubled slashes at the front are one, and what is no text names nothing
//! (`platform.md` 1.1; `client.md` 8, traps 6 and 21).

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

use crate::http::problem::Problem;

/// The replacement character. No id or slug holds it, so the route gives its own answer to an unknown one.
const UNREADABLE: &str = "%EF%BF%BD";

pub(super) fn clean(mut request: Request) -> Result<Request, Problem> {
    if request.uri().path().split('/').any(climbs) {
        return Err(Problem::invalid("path_climbs", "Bad Request"));
    }
    if let Some(uri) = tidied(request.uri()) {
        *request.uri_mut() = uri;
    }
    Ok(request)
}

/// `..`, written plainly or percent-encoded.
fn climbs(segment: &str) -> bool {
    // The shortest and the longest way to write it.
    (2..=6).contains(&segment.len()) && segment.to_ascii_lowercase().replace("%2e", ".") == ".."
}

/// The path without doubled slashes at its front (a base address that ends in `/` makes `//api/…`, and a
/// redirect would turn POST into GET) and with readable segments only; `None` if it is so already.
fn tidied(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.starts_with("//") && path.split('/').all(is_text) {
        return None;
    }
    let segments = path.trim_start_matches('/').split('/');
    let segments = segments.map(|segment| if is_text(segment) { segment } else { UNREADABLE });
    let mut whole = format!("/{}", segments.collect::<Vec<_>>().join("/"));
    if let Some(query) = uri.query() {
        whole.push('?');
        whole.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(whole.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// Whether a segment is UTF-8 once it is decoded.
fn is_text(segment: &str) -> bool {
    !segment.contains('%') || String::from_utf8(decoded(segment)).is_ok()
}

/// A `%` that two hex digits do not follow stands for itself, as in the router.
fn decoded(segment: &str) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut rest = segment.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((first, behind)) = rest.split_first() {
        let pair = hex(behind.first()).zip(hex(behind.get(1))).filter(|_| *first == b'%');
        let byte = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_front_become_one_and_the_query_stays() {
        let uri = Uri::from_static("//api/v1/crews?a=//b");
        assert_eq!(tidied(&uri), Some(Uri::from_static("/api/v1/crews?a=//b")));
        assert_eq!(tidied(&Uri::from_static("/api//v1")), None);
    }

    #[test]
    fn what_is_no_text_becomes_a_name_that_nothing_has() {
        let cleaned = |path: &str| tidied(&path.parse().expect("a uri")).map(|uri| uri.to_string());
        assert_eq!(cleaned("/crews/%ff/x?a=%ff").as_deref(), Some("/crews/%EF%BF%BD/x?a=%ff"));
        assert_eq!(cleaned("/crews/%c3%28").as_deref(), Some("/crews/%EF%BF%BD"));
        for text in ["/crews/%C3%A9", "/crews/%zz", "/crews/100%", "/crews/%2", "/"] {
            assert_eq!(cleaned(text), None, "{text}");
        }
    }

    #[test]
    fn a_segment_climbs_however_it_is_written() {
        assert!(climbs("..") && climbs("%2e%2E") && climbs(".%2e"));
        assert!(!climbs("...") && !climbs("a..b") && !climbs("."));
    }
}
