//! Operators' markers: how much an entry matters, the only thing about it that can change
//! (`journal.md` 2.1, 3.5).

mod apply;
mod command;
mod decide;
mod event;

use serde::{Deserialize, Serialize};

pub use command::{MarkedEntry, MarkerCommand, MarkerDraft};
pub use event::{MarkerEvent, PriorityChanged};

use crate::Priority;

/// What an entry's marker is after its last change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The marker.
    pub priority: Priority,
    /// How often it was set.
    pub changes: u32,
}
