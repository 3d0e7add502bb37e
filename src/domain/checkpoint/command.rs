//! Wishes about checkpoints.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Bookmarked;
use crate::{CheckpointId, MissionId, Offset, Rejection};

/// A wish about one checkpoint. Bodies that must be looked at only after the lookup travel as a result.
#[derive(Clone, Debug)]
pub enum CheckpointCommand {
    /// `POST /missions/{id}/checkpoints`
    Create {
        /// Which mission.
        mission: MissionId,
        /// The body.
        draft: Result<CheckpointDraft, Rejection>,
        /// The past point that `at` names, folded before: the past cannot change.
        at: Option<Result<AsOf, Rejection>>,
    },
    /// `POST /checkpoints/{id}/restore`
    Restore {
        /// Which.
        checkpoint: CheckpointId,
    },
    /// `POST /checkpoints/{id}/fork`
    Fork {
        /// Which.
        checkpoint: CheckpointId,
        /// Label of the new checkpoint.
        label: Option<String>,
        /// The source at the checkpoint's boundary, folded before: the past cannot change.
        source: Option<Bookmarked>,
    },
    /// `DELETE /checkpoints/{id}`
    Delete {
        /// Which.
        checkpoint: CheckpointId,
    },
}

/// A mission, or an issue, as it was.
#[derive(Clone, Debug)]
pub struct AsOf {
    /// After this offset.
    pub offset: Offset,
    /// What it was then.
    pub then: Bookmarked,
}

/// Body of create checkpoint; fork takes its `label`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CheckpointDraft {
    /// Human-readable label for the timeline UI.
    pub label: Option<String>,
    /// Id of a public entry of the mission: bookmark that point instead of now.
    pub at: Option<String>,
}
