//! Pages of a list: `limit` and `offset` in, `X-Total-Count` and `Link` out (`platform.md` 1.5).

use axum::http::header::LINK;
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::query::Number;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// `limit` and `offset` as they were sent: never an error, the journal excepted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PageQuery {
    /// Most items on the page; what makes no sense is the default, what is too much is the most.
    limit: Number,
    /// How many items to skip.
    offset: Number,
}

impl PageQuery {
    /// The page that is meant (`missions.md` 1.4).
    pub(super) fn page(&self, default: usize, most: usize) -> Page {
        let limit = self.limit.get().filter(|limit| *limit > 0);
        let limit = limit.map_or(default, |limit| usize::try_from(limit).unwrap_or(most).min(most));
        let offset = self.offset.get().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0);
        Page { limit, offset }
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// What a list's answer tells the pipeline, which knows the address.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) total: usize,
    pub(super) page: Option<Page>,
    /// Where the next page begins, if the list can be read on by a cursor.
    pub(super) next: Option<String>,
    /// Whether this page was read by one.
    pub(super) by_cursor: bool,
}

/// Writes the headers of a list, if the answer is one.
pub(super) fn write_headers(response: &mut Response, uri: &Uri) {
    let Some(Listing { total, page, next, by_cursor }) = response.extensions_mut().remove() else { return };
    response.headers_mut().insert(TOTAL, HeaderValue::from(total));
    if let Some(cursor) = next.as_deref().and_then(|next| HeaderValue::from_str(next).ok()) {
        response.headers_mut().insert(NEXT_CURSOR, cursor);
    }
    let links = match (page, by_cursor) {
        (Some(page), true) => next.map(|next| next_link(uri, page.limit, &next)).unwrap_or_default(),
        (Some(page), false) => links(uri, total, page),
        (None, _) => String::new(),
    };
    if let Ok(links) = HeaderValue::from_str(&links)
        && !links.is_empty()
    {
        response.headers_mut().insert(LINK, links);
    }
}

/// The page behind this one, by its cursor: who reads so does not jump.
fn next_link(uri: &Uri, limit: usize, next: &str) -> String {
    let own = format!("limit={limit}&cursor={next}");
    let query = others(uri).into_iter().chain([&*own]).collect::<Vec<_>>().join("&");
    format!("<{}?{query}>; rel=\"next\"", uri.path())
}

/// What else the query asked for.
fn others(uri: &Uri) -> Vec<&str> {
    let is_other = |pair: &&str| {
        let own = ["limit=", "offset=", "cursor="];
        !pair.is_empty() && !own.iter().any(|name| pair.starts_with(name))
    };
    uri.query().unwrap_or_default().split('&').filter(is_other).collect()
}

/// The pages around this one, each with the rest of the query as it was sent.
fn links(uri: &Uri, total: usize, Page { limit, offset }: Page) -> String {
    let last = total.saturating_sub(1) / limit * limit;
    let mut pages = vec![("first", 0)];
    if offset > 0 {
        pages.push(("prev", offset.min(last + limit).saturating_sub(limit)));
    }
    if offset + limit < total {
        pages.push(("next", offset + limit));
    }
    pages.push(("last", last));
    let others = others(uri);
    let link = |(name, offset): (&str, usize)| {
        let own = format!("limit={limit}&offset={offset}");
        let query = others.iter().copied().chain([&*own]).collect::<Vec<_>>().join("&");
        format!("<{}?{query}>; rel=\"{name}\"", uri.path())
    };
    pages.into_iter().map(link).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(total: usize, limit: usize, offset: usize) -> String {
        let uri = Uri::from_static("/x?status=A&limit=7&workspace_id=w");
        links(&uri, total, Page { limit, offset }).replace("/x?status=A&workspace_id=w&", "")
    }

    #[test]
    fn a_page_names_its_neighbours_and_keeps_the_rest_of_the_query() {
        assert_eq!(
            names(45, 20, 20),
            "<limit=20&offset=0>; rel=\"first\", <limit=20&offset=0>; rel=\"prev\", \
             <limit=20&offset=40>; rel=\"next\", <limit=20&offset=40>; rel=\"last\""
        );
    }

    #[test]
    fn an_empty_list_and_a_page_beyond_the_end_lead_back() {
        assert_eq!(names(0, 20, 0), "<limit=20&offset=0>; rel=\"first\", <limit=20&offset=0>; rel=\"last\"");
        let beyond = names(45, 20, 500);
        assert!(
            beyond.contains("<limit=20&offset=40>; rel=\"prev\"") && !beyond.contains("next"),
            "{beyond}"
        );
    }
}
