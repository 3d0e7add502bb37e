//! The answer of deletions that known clients read.

use schemars::JsonSchema;
use serde::Serialize;

/// `{"success": true}`
#[derive(Serialize, JsonSchema)]
pub(super) struct Success {
    success: bool,
}

impl Success {
    pub(super) const YES: Self = Self { success: true };
}
