//! Fields of the contract that no feature sets yet.

use serde::Serialize;

/// A field that is always null until the feature that sets it comes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Unset;
