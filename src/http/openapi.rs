//! `GET /api/v1/openapi.json`: the contract of this very program.

use std::sync::LazyLock;

use serde_json::{Map, Value};
use taffrail_domain::Offset;

use super::answer::Shown;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| super::api().finish().1);

/// The OpenAPI document, as it is served and as `schemas/openapi.json` holds it.
pub fn document() -> &'static str {
    &DOCUMENT
}

/// `GET /api/v1/openapi.json`: for everybody.
pub(super) async fn get_openapi() -> Shown<Map<String, Value>> {
    Shown::as_is(Offset(0), document())
}
