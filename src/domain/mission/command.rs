//! Wishes about missions and tasks. The drafts and patches are the request bodies: absent and null
//! mean the same (`missions.md` 1.3).

use schemars::JsonSchema;
use serde::Deserialize;

use super::Status;
use crate::work::TaskPlan;
use crate::{CrewId, MissionId, Rejection, TaskId, Text};

/// A wish about one mission. Bodies that must be looked at only after the lookup travel as a result.
#[derive(Clone, Debug)]
pub enum MissionCommand {
    /// `POST …/missions`
    Create {
        /// Its crew.
        crew: CrewId,
        /// What it is to be.
        draft: MissionDraft,
    },
    /// `PATCH …/missions/{id}`
    Update {
        /// Crew of the path.
        crew: CrewId,
        /// Which.
        mission: MissionId,
        /// What is to change.
        patch: MissionPatch,
    },
    /// `DELETE …/missions/{id}`
    Delete {
        /// Crew of the path.
        crew: CrewId,
        /// Which.
        mission: MissionId,
    },
    /// `POST …/start`
    Start {
        /// Crew of the path.
        crew: CrewId,
        /// Which.
        mission: MissionId,
        /// The status on arrival: tells a lost race (409) from a late wish (400).
        seen: Option<Status>,
    },
    /// `POST …/restart`
    Restart {
        /// Crew of the path.
        crew: CrewId,
        /// Which.
        mission: MissionId,
    },
    /// `POST …/resume`
    Resume {
        /// Crew of the path.
        crew: CrewId,
        /// Which.
        mission: MissionId,
    },
    /// `POST …/clone`
    Clone {
        /// Crew of the path.
        crew: CrewId,
        /// Which.
        mission: MissionId,
        /// Another title than `… (copy)`.
        title: Option<String>,
    },
    /// `POST …/tasks`
    AddTask {
        /// Crew of the path.
        crew: CrewId,
        /// Which mission.
        mission: MissionId,
        /// What it is to be; looked at after the mission's status (`missions.md` 3.10).
        draft: Result<TaskDraft, Rejection>,
    },
    /// `POST …/tasks/{id}/approve`: additive (`periphery.md` 11)
    Approve {
        /// Crew of the path.
        crew: CrewId,
        /// Which mission.
        mission: MissionId,
        /// Which task.
        task: TaskId,
        /// Yes or no.
        approved: bool,
        /// Why.
        notes: Option<Text>,
    },
    /// An agent proposes a mission (`missions.md` 4).
    Propose(Box<Proposal>),
    /// `PATCH …/tasks/{id}`
    UpdateTask {
        /// Crew of the path.
        crew: CrewId,
        /// Which mission.
        mission: MissionId,
        /// Which task.
        task: TaskId,
        /// What is to change.
        patch: TaskPatch,
    },
}

/// A mission that an agent proposes, with its tasks (`missions.md` 4).
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Its crew.
    pub crew: CrewId,
    /// What it is to be; its LEAD is any agent of the crew.
    pub draft: MissionDraft,
    /// The plan.
    pub plan: Option<String>,
    /// Its tasks.
    pub tasks: Vec<TaskPlan>,
    /// Most tasks one call may bring (`mission.max_tasks`).
    pub tasks_max: usize,
    /// Most missions of the crew that agents may have under way (`mission.max_active_per_crew`).
    pub active_max: usize,
}

/// Body of create mission.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MissionDraft {
    /// Mission title; required.
    pub title: Option<String>,
    /// Mission description.
    pub description: Option<String>,
    /// ID of the LEAD agent in the crew; required.
    pub lead_agent_id: Option<String>,
    /// Workflow template ID to use; stored as is.
    pub workflow_template: Option<String>,
}

/// Body of update mission.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MissionPatch {
    /// Mission title.
    pub title: Option<String>,
    /// Mission description.
    pub description: Option<String>,
    /// Mission plan (markdown).
    pub plan: Option<String>,
    /// New status (must be a valid transition).
    pub status: Option<String>,
}

/// Body of clone mission: additive, the API page has none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CloneDraft {
    /// Title of the copy; without it the title and ` (copy)`.
    pub title: Option<String>,
}

/// Body of create task.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TaskDraft {
    /// Task title; required.
    pub title: Option<String>,
    /// Task description.
    pub description: Option<String>,
    /// Agent to assign to.
    pub assigned_agent_id: Option<String>,
    /// Position in task list.
    pub task_order: Option<i64>,
    /// Array of task IDs this depends on.
    pub depends_on: Option<Vec<String>>,
    /// Max retry iterations, 0 to 50.
    pub max_iterations: Option<i64>,
    /// Whether its result must be approved; additive.
    pub approval_required: Option<bool>,
}

/// Body of update task.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TaskPatch {
    /// Task title (PENDING/BLOCKED only).
    pub title: Option<String>,
    /// Task description (PENDING/BLOCKED only).
    pub description: Option<String>,
    /// Reassign to a different agent.
    pub assigned_agent_id: Option<String>,
    /// New status (valid transition required).
    pub status: Option<String>,
    /// JSON-encoded dependency task IDs (PENDING/BLOCKED only).
    pub depends_on: Option<String>,
    /// Result summary text.
    pub result_summary: Option<String>,
    /// Error message text.
    pub error_message: Option<String>,
    /// Output file path.
    pub output_path: Option<String>,
    /// Token usage.
    pub token_count: Option<i64>,
    /// Estimated cost in USD.
    pub estimated_cost: Option<f64>,
}
