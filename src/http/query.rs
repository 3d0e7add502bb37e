//! The query string: the first value of a name counts, an empty one is none, and what cannot be read is
//! not there.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

use super::contract::{Asks, Operation, Schemas};

/// The parameters of a route. Their types never refuse a text, so reading them cannot fail; what a route
/// does refuse, it refuses itself, in its own order.
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: for<'de> Deserialize<'de> + Default> FromRequestParts<S> for Query<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let pairs = pairs(&parts.uri);
        let texts = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let read = T::deserialize(MapDeserializer::<_, de::value::Error>::new(texts));
        Ok(Self(read.unwrap_or_default()))
    }
}

impl<T: JsonSchema> Asks for Query<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.query::<T>(schemas);
    }
}

/// The value of one parameter.
pub(super) fn text(uri: &Uri, name: &str) -> Option<String> {
    // Nearly every request has a short query or none: looking at it is cheaper than taking it apart.
    uri.query().filter(|query| query.contains(name))?;
    pairs(uri).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Names and values, decoded; the first of a name, unless it is empty.
fn pairs(uri: &Uri) -> Vec<(String, String)> {
    if uri.query().is_none_or(str::is_empty) {
        return vec![];
    }
    let decoded = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let mut pairs = decoded.map(|query| query.0).unwrap_or_default();
    let mut seen = HashSet::new();
    pairs.retain(|(name, _)| seen.insert(name.clone()));
    pairs.retain(|(_, value)| !value.is_empty());
    pairs
}

/// A number, if it is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Number(Sent);

/// Whether something was sent, and whether it was a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sent {
    #[default]
    Nothing,
    Nonsense,
    Number(i64),
}

impl Number {
    pub(super) fn get(self) -> Option<i64> {
        match self.0 {
            Sent::Number(number) => Some(number),
            Sent::Nothing | Sent::Nonsense => None,
        }
    }

    /// Whether it was sent at all.
    pub(super) fn is_sent(self) -> bool {
        self.0 != Sent::Nothing
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = read_text(deserializer)?;
        Ok(Self(text.parse().map_or(Sent::Nonsense, Sent::Number)))
    }
}

/// A text, if it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(Option<String>);

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl Word {
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(super) fn cloned(&self) -> Option<String> {
        self.0.clone()
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer).map(|text| Self(Some(text)))
    }
}

/// A comma list: items trimmed, empty ones dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Csv(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Csv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = read_text(deserializer)?;
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(Self(items.map(str::to_owned).collect()))
    }
}

macro_rules! parameter_types {
    ($($name:ident = $sort:literal,)*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $sort })
            }
        }
    )*};
}
parameter_types! { Number = "integer", Word = "string", Csv = "string", }

fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_str(Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page::{Page, PageQuery};

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Wanted {
        a: Word,
        list: Csv,
        #[serde(flatten)]
        page: PageQuery,
    }

    fn wanted(query: &str) -> Wanted {
        let uri: Uri = format!("/x?{query}").parse().expect("a uri");
        let (mut parts, ()) =
            axum::http::Request::builder().uri(uri).body(()).expect("a request").into_parts();
        let read = Query::<Wanted>::from_request_parts(&mut parts, &());
        let Ok(Query(wanted)) = tokio_test(read);
        wanted
    }

    fn tokio_test<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn a_page_is_never_refused() {
        for text in ["", "limit=0", "limit=-1", "limit=abc", "limit=", "offset=-3", "offset=abc"] {
            assert_eq!(wanted(text).page.page(20, 100), Page { limit: 20, offset: 0 }, "{text}");
        }
        let page = wanted("limit=100000&offset=7").page.page(20, 100);
        assert_eq!(page, Page { limit: 100, offset: 7 });
    }

    #[test]
    fn the_first_value_counts_and_lists_drop_what_is_empty() {
        assert_eq!(wanted("a=1&a=2&b=3").a.get(), Some("1"));
        assert_eq!(wanted("list=x%2C+y%20,,").list.0, ["x", "y"]);
        assert_eq!(wanted("a=").a.get(), None);
    }
}
