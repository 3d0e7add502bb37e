//! The query string: the first value of a name counts, an empty one is none.

use axum::http::Uri;

/// Names and values, decoded.
pub(super) struct Query(Vec<(String, String)>);

/// A page of a list by `limit` and `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Query {
    /// Reads a query leniently: what cannot be decoded is not there.
    pub(super) fn of(uri: &Uri) -> Self {
        let decoded = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        Self(decoded.map(|query| query.0).unwrap_or_default())
    }

    /// A value, unless it is missing or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A comma list: items trimmed, empty ones dropped.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let items = self.text(name).unwrap_or_default().split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// A number, if it is one.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// `limit` and `offset` are never an error: what makes no sense is the default, what is too much
    /// is the most (`missions.md` 1.4, `platform.md` 1.5).
    pub(super) fn page(&self, default: usize, most: usize) -> Page {
        let limit = self.number("limit").filter(|limit| *limit > 0);
        let limit = limit.map_or(default, |limit| usize::try_from(limit).unwrap_or(most).min(most));
        let offset = self.number("offset").and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0);
        Page { limit, offset }
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().expect("a uri"))
    }

    #[test]
    fn a_page_is_never_refused() {
        for text in ["", "limit=0", "limit=-1", "limit=abc", "limit=", "offset=-3", "offset=abc"] {
            assert_eq!(query(text).page(20, 100), Page { limit: 20, offset: 0 }, "{text}");
        }
        assert_eq!(query("limit=100000&offset=7").page(20, 100), Page { limit: 100, offset: 7 });
    }

    #[test]
    fn the_first_value_counts_and_lists_drop_what_is_empty() {
        assert_eq!(query("a=1&a=2").text("a"), Some("1"));
        assert_eq!(query("a=x%2C+y%20,,").list("a"), ["x", "y"]);
        assert_eq!(query("a=").text("a"), None);
    }
}
