//! `ETag`, `If-None-Match` and `If-Match` (`DESIGN.md` 5): `"<offset>-<8 hex of the body>"`.
//!
//! The offset is that of the resource's last entry, so it tells whether somebody changed it; the digest
//! also tells when what is shown beside it (a name, a count) has changed. `If-Match` compares the
//! offset, inside the decision; `If-None-Match` compares all of it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use taffrail_domain::{Command, IfMatch, Offset};

use super::contract::{Asks, Operation, Schemas};

pub(super) const DESCRIPTION: &str = "The offset of the last change and a digest of what is shown";

/// The tag of a resource as it is shown.
pub(super) fn of(changed: Offset, body: &[u8]) -> HeaderValue {
    let tag = format!("\"{changed}-{:08x}\"", crc32c::crc32c(body));
    // Digits, a hyphen and quotes are a header value.
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether a caller has what this tag stands for. `W/` makes no difference here (RFC 9110, 13.1.2).
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    listed(headers, &IF_NONE_MATCH).any(|known| known == "*" || known.trim_start_matches("W/") == *tag)
}

/// `If-Match`: the change is wished only of what the caller has seen.
pub(super) struct Unchanged(Option<IfMatch>);

impl Unchanged {
    /// The command, to be refused if what it is about has changed.
    pub(super) fn guard(self, command: impl Into<Command>) -> Command {
        match self.0 {
            Some(tags) => Command::IfMatch { tags, command: Box::new(command.into()) },
            None => command.into(),
        }
    }
}

impl Unchanged {
    /// What the caller has seen, if they say so.
    pub(super) fn tags(self) -> Option<IfMatch> {
        self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Unchanged {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        if !parts.headers.contains_key(IF_MATCH) {
            return Ok(Self(None));
        }
        let mut tags = listed(&parts.headers, &IF_MATCH);
        if tags.any(|tag| tag == "*") {
            return Ok(Self(Some(IfMatch::Any)));
        }
        // What is no tag of ours, or a weak one, matches nothing.
        let offsets = listed(&parts.headers, &IF_MATCH).filter_map(offset).collect();
        Ok(Self(Some(IfMatch::Offsets(offsets))))
    }
}

impl Asks for Unchanged {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let description = "A tag, or several: refused with 412 if the resource has changed since";
        operation.parameter("header", "If-Match", json!({ "type": "string" }), false, description);
        operation.refuses([StatusCode::PRECONDITION_FAILED]);
    }
}

/// The tags of a header, each with its quotes. Ours hold no comma.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn offset(tag: &str) -> Option<Offset> {
    let (offset, _) = tag.strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
    offset.parse().ok().map(Offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_whole_and_matches_by_its_offset() {
        let tag = of(Offset(42), b"{}");
        let mut headers = HeaderMap::new();
        for (value, known) in [
            (tag.to_str().unwrap_or_default(), true),
            ("W/\"42-00000000\"", false),
            ("\"42-00000000\"", false),
            ("*", true),
            ("\"1-0\", *", true),
            ("", false),
        ] {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(value).expect("a value"));
            assert_eq!(is_known(&headers, &tag), known, "{value}");
        }
        assert_eq!(offset("\"42-00000000\""), Some(Offset(42)));
        for none in ["W/\"42-00000000\"", "42-0", "\"42\"", "\"-\"", "\"\"", ""] {
            assert_eq!(offset(none), None, "{none}");
        }
    }
}
