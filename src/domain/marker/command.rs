//! Wishes about markers.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{AgentId, CrewId, MissionId, Offset, Text};

/// A wish about one entry's marker.
#[derive(Clone, Debug)]
pub enum MarkerCommand {
    /// `POST /journal/{id}/priority`
    SetPriority {
        /// The entry, read before the queue: it cannot change. `None` if there is none the public sees.
        entry: Option<MarkedEntry>,
        /// The body.
        draft: MarkerDraft,
    },
}

/// What the fact of a marker repeats of its entry.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkedEntry {
    /// Where it stands.
    pub offset: Offset,
    /// Its public type.
    pub entry_type: Text,
    /// Its crew.
    pub crew_id: Option<CrewId>,
    /// Its agent.
    pub agent_id: Option<AgentId>,
    /// Its mission.
    pub mission_id: Option<MissionId>,
}

/// Body of set priority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MarkerDraft {
    /// `normal`, `high`, `pin` or `permanent`; required.
    pub priority: Option<String>,
    /// Why.
    pub reason: Option<String>,
}
