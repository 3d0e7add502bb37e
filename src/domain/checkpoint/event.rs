//! Facts about checkpoints and forks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::event::events;
use crate::{CheckpointId, CrewId, EntryId, MissionId, Offset, Text, UserId};

events! {
    /// Facts about checkpoints and forks.
    CheckpointEvent {
        /// A point was bookmarked.
        "checkpoint.created" => CheckpointCreated,
        /// A restore was previewed; nothing changed.
        "checkpoint.restored" => CheckpointRestored,
        /// A bookmark is gone.
        "checkpoint.deleted" => CheckpointDeleted,
        /// A mission began from a checkpoint.
        "fork.created" => Forked,
    }
}

/// Subject: the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointCreated {
    /// The mission it bookmarks.
    pub mission_id: MissionId,
    /// That mission's crew.
    pub crew_id: CrewId,
    /// What the user calls it.
    pub label: Option<Text>,
    /// The public name of the point.
    pub cursor: EntryId,
    /// The state it stands for is the mission's after this offset.
    pub boundary: Offset,
    /// Entries after this offset have diverged.
    pub diverges_after: Offset,
    /// Captured with it.
    pub state: Box<Snapshot>,
    /// The checkpoint it was forked from.
    pub fork_of: Option<CheckpointId>,
    /// Who made it.
    pub created_by: Option<UserId>,
}

/// Subject: the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointRestored {
    /// How many of the mission's entries had diverged.
    pub divergence_count: u64,
}

/// Subject: the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointDeleted {
    /// The mission it bookmarked.
    pub mission_id: MissionId,
}

/// Subject: the new mission. Ids only: what the fork holds is in the entries before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forked {
    /// The checkpoint forked from.
    pub fork_of: CheckpointId,
    /// Its mission.
    pub parent_mission: MissionId,
    /// Where the parent was forked.
    pub boundary: Offset,
    /// The checkpoint made with the fork.
    pub new_checkpoint: CheckpointId,
}
