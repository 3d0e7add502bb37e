//! Facts about missions and tasks. The subject is the mission.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Status, TaskStatus};
use crate::entry::words;
use crate::event::events;
use crate::{AgentId, CheckpointId, CrewId, MissionId, TaskId, Text};

events! {
    /// Facts about one mission.
    MissionEvent {
        /// A mission began.
        "mission.created" => MissionCreated,
        /// Its title, description or plan changed.
        "mission.updated" => MissionUpdated,
        /// It moved to another status.
        "mission.status_change" => MissionStatusChanged,
        /// It is gone; the journal stays.
        "mission.deleted" => MissionDeleted,
        /// A task joined it.
        "task.created" => TaskCreated,
        /// Fields of a task changed.
        "task.updated" => TaskUpdated,
        /// A task moved to another status.
        "task.status_change" => TaskStatusChanged,
    }
}

words! {
    /// Why a status changed (`missions.md` 11.2).
    Reason {
        /// The start action.
        Start = "start",
        /// The restart action.
        Restart = "restart",
        /// The resume action.
        Resume = "resume",
        /// A PATCH asked for it.
        #[default]
        Patch = "patch",
        /// All its dependencies are completed.
        Unblocked = "unblocked",
        /// Its dependencies changed.
        DependenciesChanged = "dependencies_changed",
        /// Its mission was cancelled.
        MissionCancelled = "mission_cancelled",
    }
}

/// A mission began, in `PLANNING`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MissionCreated {
    /// Its crew.
    pub crew_id: CrewId,
    /// Its LEAD.
    pub lead_agent_id: AgentId,
    /// `mission-` and an id of its own.
    pub trace_id: Text,
    /// What it is called.
    pub title: Text,
    /// What it is for.
    pub description: Option<Text>,
    /// The plan; set at birth only by a fork.
    pub plan: Option<Text>,
    /// A label.
    pub workflow_template: Option<Text>,
    /// The checkpoint it was forked from.
    pub fork_of: Option<CheckpointId>,
    /// The mission it was cloned from.
    pub cloned_from: Option<MissionId>,
}

/// Only what changed, with its new value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MissionUpdated {
    /// New title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// New plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Text>,
}

/// It moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MissionStatusChanged {
    /// Where it was.
    pub from: Status,
    /// Where it is.
    pub to: Status,
    /// Why.
    pub reason: Reason,
}

/// It is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MissionDeleted {
    /// Where it was.
    pub status: Status,
    /// Its crew.
    pub crew_id: CrewId,
}

/// A task joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCreated {
    /// Its id.
    pub task_id: TaskId,
    /// What it is called.
    pub title: Text,
    /// What is to be done.
    pub description: Option<Text>,
    /// Who works it.
    pub assigned_agent_id: Option<AgentId>,
    /// Where it stands at birth.
    pub status: TaskStatus,
    /// Position in the list.
    pub task_order: i64,
    /// What must be completed first.
    pub depends_on: Vec<TaskId>,
    /// Most attempts.
    pub max_iterations: Option<u32>,
    /// What a completed task brought into a fork (ruling R13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// The result of a completed task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// What came out.
    pub result_summary: Option<Text>,
    /// Where it lies.
    pub output_path: Option<Text>,
}

/// Only what changed, with its new value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskUpdated {
    /// Which.
    pub task_id: TaskId,
    /// New title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// New agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_agent_id: Option<AgentId>,
    /// New dependencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<TaskId>>,
    /// New result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_summary: Option<Text>,
    /// New error text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<Text>,
    /// New output path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_path: Option<Text>,
    /// New token count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_count: Option<i64>,
    /// New cost in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost: Option<f64>,
}

/// It moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStatusChanged {
    /// Which.
    pub task_id: TaskId,
    /// Where it was.
    pub from: TaskStatus,
    /// Where it is.
    pub to: TaskStatus,
    /// Which attempt.
    pub iteration: u32,
    /// Why.
    pub reason: Reason,
    /// An error text that came with the move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<Text>,
}
