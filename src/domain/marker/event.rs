//! Facts about markers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::events;
use crate::{Offset, Priority, Text};

events! {
    /// Facts about operators' markers on entries.
    MarkerEvent {
        /// An entry got a marker.
        "memory.priority_changed" => PriorityChanged,
    }
}

/// Subject: the marked entry. One line of the ledger of its markers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriorityChanged {
    /// Where the marked entry stands.
    pub target: Offset,
    /// Its marker before.
    pub previous: Priority,
    /// Its marker now; may be the same.
    pub new: Priority,
    /// Why.
    pub reason: Text,
    /// Which change of this entry's marker it is, from 1.
    pub change: u32,
}
