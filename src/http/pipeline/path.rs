//! Paths that climb are refused, doubled slashes at the front are one (`platform.md` 1.1; `client.md` 8, trap 21).

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;

pub(super) async fn clean(mut request: Request, next: Next) -> Response {
    if request.uri().path().split('/').any(climbs) {
        return Problem::invalid("path_climbs", "Bad Request").into_response();
    }
    if let Some(uri) = without_doubled_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// `..`, written plainly or percent-encoded.
fn climbs(segment: &str) -> bool {
    segment.to_ascii_lowercase().replace("%2e", ".") == ".."
}

/// A base address that ends in `/` makes `//api/…`. A redirect would turn POST into GET.
fn without_doubled_slash(uri: &Uri) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    if !whole.starts_with("//") {
        return None;
    }
    let single: PathAndQuery = format!("/{}", whole.trim_start_matches('/')).parse().ok()?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(single);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_front_become_one_and_the_query_stays() {
        let uri = Uri::from_static("//api/v1/crews?a=//b");
        assert_eq!(without_doubled_slash(&uri), Some(Uri::from_static("/api/v1/crews?a=//b")));
        assert_eq!(without_doubled_slash(&Uri::from_static("/api//v1")), None);
    }

    #[test]
    fn a_segment_climbs_however_it_is_written() {
        assert!(climbs("..") && climbs("%2e%2E") && climbs(".%2e"));
        assert!(!climbs("...") && !climbs("a..b") && !climbs("."));
    }
}
