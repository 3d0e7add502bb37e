//! Fields of the contract that no feature sets yet.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

/// A field that is always null until the feature that sets it comes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Unset;

impl JsonSchema for Unset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Unset".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "null" })
    }
}
