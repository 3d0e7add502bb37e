//! Checkpoints, restores and forks (`journal.md` 5; seed, Checkpoints page).

mod apply;
mod command;
mod decide;
mod event;
mod fork;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use command::{AsOf, CheckpointCommand, CheckpointDraft};
pub use event::{CheckpointCreated, CheckpointDeleted, CheckpointEvent, CheckpointRestored, Forked};

use crate::issue::Issue;
use crate::mission::{Mission, TaskStats, TaskStatus};
use crate::undertaking::Undertaking;
use crate::work::Work;
use crate::{AssignmentId, CheckpointId, CrewId, EntryId, MissionId, Offset, TaskId, Text, Time, UserId};

/// A user's named cursor on a mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// `chk_` and 16 hex digits.
    pub id: CheckpointId,
    /// The mission it bookmarks.
    pub mission_id: MissionId,
    /// That mission's crew.
    pub crew_id: CrewId,
    /// What the user calls it.
    pub label: Option<Text>,
    /// The public name of the point; a fork's checkpoint keeps its source's.
    pub cursor: EntryId,
    /// The state it stands for is the mission's after this offset.
    pub boundary: Offset,
    /// Entries after this offset have diverged (ruling R11).
    pub diverges_after: Offset,
    /// Captured with it, shown as captured.
    pub state: Snapshot,
    /// The checkpoint it was forked from, while that exists.
    pub fork_of: Option<CheckpointId>,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Time,
    /// Where: the order of lists.
    pub born: Offset,
}

/// What a checkpoint says of its mission: ids and digests, no contents (`journal.md` 5.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Digest of each agent's memory, by slug.
    pub agent_memory: BTreeMap<String, String>,
    /// Tasks not completed, by id.
    pub pending_tasks: Vec<TaskId>,
    /// Running assignments of the mission's tasks, by id.
    pub open_assignments: Vec<String>,
    /// Additive facts.
    pub meta: SnapshotMeta,
}

/// Additive facts of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotMeta {
    /// Offset the state stands at.
    pub offset: Offset,
    /// `h1:` and the hash of the mission's projected state there.
    pub state_hash: String,
    /// `h1:` and the hash of what a fork from there takes along; its fork begins with the same.
    pub fork_hash: String,
    /// The status there.
    pub mission_status: Text,
    /// How many tasks stood where.
    pub task_counts: TaskStats,
}

/// What a checkpoint can stand on, as it is or was (`issues.md` 20).
#[derive(Clone, Debug, PartialEq)]
pub enum Bookmarked {
    /// A mission.
    Mission(Arc<Mission>),
    /// An issue.
    Issue(Arc<Issue>),
}

impl Bookmarked {
    /// What a fork takes along.
    #[must_use]
    pub fn undertaking(&self) -> &Undertaking {
        match self {
            Self::Mission(mission) => &mission.undertaking,
            Self::Issue(issue) => &issue.undertaking,
        }
    }

    /// Where it stands, in its own words.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Mission(mission) => mission.status.as_str(),
            Self::Issue(issue) => issue.status.as_str(),
        }
    }

    /// `h1:` and the hash of its projected state.
    #[must_use]
    pub fn state_hash(&self) -> String {
        match self {
            Self::Mission(mission) => mission.state_hash(),
            Self::Issue(issue) => issue.state_hash(),
        }
    }
}

impl Snapshot {
    /// Captures a mission, or an issue, as it is or was at `offset`. Agents have no memory here.
    #[must_use]
    pub fn of(bookmarked: &Bookmarked, offset: Offset, work: &Work) -> Self {
        let mission = bookmarked.undertaking();
        // A worker has claimed it by then, and the task has not moved on: it runs.
        let is_claimed = |id: &&AssignmentId| {
            work.assignments.get(*id).is_some_and(|found| found.fence.is_some_and(|fence| fence <= offset))
        };
        let worked = mission.tasks.values().filter(|task| task.status == TaskStatus::InProgress);
        let running = worked.filter_map(|task| task.assignment_id.as_ref()).filter(is_claimed);
        let running: BTreeSet<&AssignmentId> = running.collect();
        let open = mission.tasks.values().filter(|task| task.status != TaskStatus::Completed);
        Self {
            agent_memory: BTreeMap::new(),
            pending_tasks: open.map(|task| task.id.clone()).collect(),
            open_assignments: running.into_iter().map(ToString::to_string).collect(),
            meta: SnapshotMeta {
                offset,
                state_hash: bookmarked.state_hash(),
                fork_hash: mission.fork_hash(),
                mission_status: bookmarked.status().into(),
                task_counts: mission.task_stats(),
            },
        }
    }
}
