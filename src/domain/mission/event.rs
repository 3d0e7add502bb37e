//! Facts about missions and tasks. The subject is the mission.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Status, Task, TaskStatus};
use crate::entry::words;
use crate::event::events;
use crate::{AgentId, AssignmentId, CheckpointId, CrewId, MissionId, TaskId, Text, UserId};

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
        /// Its mission failed while it was worked.
        MissionFailed = "mission_failed",
        /// Every task has ended and none failed.
        AllTasksDone = "all_tasks_done",
        /// Every task has ended and one failed.
        TaskFailed = "task_failed",
        /// What is left waits for what will never be completed.
        Deadlock = "deadlock",
        /// The mission ran longer than it may.
        Timeout = "timeout",
        /// An agent was given it.
        Dispatched = "dispatched",
        /// Nobody can be given it.
        NotDispatchable = "not_dispatchable",
        /// Its agent reported.
        Reported = "reported",
        /// Its result waits for an approver.
        Held = "held",
        /// An approver said yes.
        Approved = "approved",
        /// An approver said no.
        Rejected = "rejected",
        /// A task that it needs was rejected.
        UpstreamRejected = "upstream_rejected",
        /// It failed and has attempts left.
        Retry = "retry",
        /// A task behind it failed, and it has attempts left.
        LoopBack = "loop_back",
        /// Its worker went silent.
        LeaseExpired = "lease_expired",
        /// Its worker gave it back.
        HandedBack = "handed_back",
        /// Its agent was stopped, or is gone.
        AgentStopped = "agent_stopped",
        /// The LEAD could not plan.
        PlanningFailed = "planning_failed",
        /// The LEAD planned or did the work itself.
        Planned = "planned",
        /// The LEAD found the results good.
        ReviewPassed = "review_passed",
        /// The LEAD sent it back with new tasks.
        SentBack = "sent_back",
        /// The issue was started again.
        IssueStarted = "issue_started",
        /// The issue was stopped, or is over.
        IssueStopped = "issue_stopped",
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
    /// Of a deadlock: what waits, and for what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<Stuck>,
    /// An error text that came with the move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<Text>,
}

impl MissionStatusChanged {
    /// A move that carries nothing but itself.
    #[must_use]
    pub fn new(from: Status, to: Status, reason: Reason) -> Self {
        Self { from, to, reason, stuck: vec![], error_message: None }
    }
}

/// A task that can never begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stuck {
    /// Which.
    pub task_id: TaskId,
    /// The dependencies that will not be completed.
    pub unmet: Vec<TaskId>,
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
    /// Whether its result must be approved.
    #[serde(default, skip_serializing_if = "is_false")]
    pub approval_required: bool,
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
    /// New confidence, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// New verdict of a review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation_status: Option<Text>,
    /// New notes of a review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation_notes: Option<Text>,
}

impl TaskUpdated {
    /// A change of a task that changes nothing yet.
    #[must_use]
    pub fn of(task_id: TaskId) -> Self {
        Self {
            task_id,
            title: None,
            description: None,
            assigned_agent_id: None,
            depends_on: None,
            result_summary: None,
            error_message: None,
            output_path: None,
            token_count: None,
            estimated_cost: None,
            confidence: None,
            evaluation_status: None,
            evaluation_notes: None,
        }
    }
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
    /// The assignment that works it from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_id: Option<AssignmentId>,
    /// What its agent reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Box<TaskReport>>,
    /// What an approver said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Box<TaskApproval>>,
}

/// What an agent's run left on its task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskReport {
    /// What came out.
    pub result_summary: Option<Text>,
    /// Where it lies.
    pub output_path: Option<Text>,
    /// Tokens of all attempts so far.
    pub token_count: Option<i64>,
    /// Cost of all attempts so far in USD.
    pub estimated_cost: Option<f64>,
    /// How sure the agent is, 0 to 1.
    pub confidence: Option<f64>,
    /// Whether the agent is so unsure that somebody should look.
    pub needs_review: bool,
    /// Whether people are told that the agent was unsure (`missions.md` 9.6, rule 5).
    #[serde(default, skip_serializing_if = "is_false")]
    pub notifies: bool,
    /// What the agent hands on to those behind it.
    pub handoff_context: Option<Text>,
}

/// What an approver said about a task's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskApproval {
    /// `APPROVED` or `REJECTED`.
    pub status: Text,
    /// Who.
    pub by: UserId,
    /// Why.
    pub notes: Option<Text>,
}

impl TaskStatusChanged {
    /// A move that carries nothing but itself.
    #[must_use]
    pub fn new(task: &Task, to: TaskStatus, reason: Reason) -> Self {
        Self {
            task_id: task.id.clone(),
            from: task.status,
            to,
            iteration: task.iteration,
            reason,
            error_message: None,
            assignment_id: None,
            report: None,
            approval: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !*value
}
