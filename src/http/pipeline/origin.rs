//! A browser on another site may not write, whatever credentials it sends (`platform.md` 1.2).

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN, REFERER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};

use crate::http::problem::Problem;

pub(super) fn check(request: &Request) -> Result<(), Problem> {
    let writes = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if writes && request.uri().path().starts_with("/api/") && !is_our_own(request) {
        let detail = "request origin not allowed";
        let problem = Problem::new(StatusCode::FORBIDDEN, "origin_rejected", detail);
        return Err(problem.challenging("origin_rejected"));
    }
    Ok(())
}

/// Programs name no origin; a page must come from where the API itself is.
fn is_our_own(request: &Request) -> bool {
    let Some(origin) = named_origin(request.headers()) else { return true };
    let host = text(request.headers(), HOST.as_str());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    // The listener speaks plain HTTP; a proxy that ends TLS is not configured to be trusted.
    host.is_some_and(|host| origin.eq_ignore_ascii_case(&format!("http://{host}")))
}

/// `Origin`, else scheme and host of `Referer`; one that cannot be read is named all the same.
fn named_origin(headers: &HeaderMap) -> Option<String> {
    if headers.contains_key(ORIGIN) {
        return Some(text(headers, ORIGIN.as_str()).unwrap_or_default().to_owned());
    }
    headers.contains_key(REFERER).then(|| {
        let page = text(headers, REFERER.as_str()).and_then(|text| text.parse::<Uri>().ok());
        let page = page.unwrap_or_default();
        match (page.scheme_str(), page.authority()) {
            (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
            _ => String::new(),
        }
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
