//! One task of a mission.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Outcome;
use crate::entry::words;
use crate::{AgentId, AssignmentId, Offset, TaskId, Text, Time, UserId};

words! {
    /// The statuses of a task (seed, Missions page).
    TaskStatus {
        /// Not yet started.
        #[default]
        Pending = "PENDING",
        /// Blocked by unfinished dependency tasks.
        Blocked = "BLOCKED",
        /// An agent is working on it.
        InProgress = "IN_PROGRESS",
        /// Successfully finished.
        Completed = "COMPLETED",
        /// The agent failed it.
        Failed = "FAILED",
        /// Manually skipped.
        Skipped = "SKIPPED",
        /// Waiting for human approval.
        AwaitingApproval = "AWAITING_APPROVAL",
    }
}

impl TaskStatus {
    /// Whether it has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }

    /// Whether title, description and dependencies may still change (`missions.md` 3.11).
    #[must_use]
    pub fn is_editable(self) -> bool {
        matches!(self, Self::Pending | Self::Blocked)
    }

    /// Whether an agent or an approver holds it.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::InProgress | Self::AwaitingApproval)
    }

    /// The transitions a PATCH may ask for (`missions.md` 6.1).
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match self {
            Self::Pending => matches!(to, Self::InProgress | Self::Skipped),
            Self::Blocked => matches!(to, Self::Pending | Self::Skipped),
            Self::InProgress => matches!(to, Self::Completed | Self::Failed | Self::Skipped),
            Self::Completed | Self::Failed | Self::Skipped | Self::AwaitingApproval => false,
        }
    }
}

/// A task as it is after its last entry (`missions.md` 2.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What it is called.
    pub title: Text,
    /// What is to be done.
    pub description: Option<Text>,
    /// Who works it.
    pub assigned_agent_id: Option<AgentId>,
    /// Where it stands.
    pub status: TaskStatus,
    /// Position in the list.
    pub task_order: i64,
    /// Tasks of the same mission that must be `COMPLETED` first.
    pub depends_on: Vec<TaskId>,
    /// Which attempt this is, from 1.
    pub iteration: u32,
    /// Most attempts, if bounded.
    pub max_iterations: Option<u32>,
    /// What came out.
    pub result_summary: Option<Text>,
    /// Where it lies.
    pub output_path: Option<Text>,
    /// Why it failed.
    pub error_message: Option<Text>,
    /// Tokens used.
    pub token_count: Option<i64>,
    /// Cost in USD.
    pub estimated_cost: Option<f64>,
    /// The assignment that works it, or did last.
    pub assignment_id: Option<AssignmentId>,
    /// How sure its agent is, 0 to 1.
    pub confidence: Option<f64>,
    /// Whether its agent is so unsure that somebody should look.
    pub needs_review: bool,
    /// What its agent hands on.
    pub handoff_context: Option<Text>,
    /// A review's verdict: `PASS` or `FAIL`.
    pub evaluation_status: Option<Text>,
    /// A reviewer's or approver's notes.
    pub evaluation_notes: Option<Text>,
    /// Whether its result must be approved.
    pub approval_required: bool,
    /// `APPROVED` or `REJECTED`, once decided.
    pub approval_status: Option<Text>,
    /// Who decided.
    pub approved_by: Option<UserId>,
    /// When.
    pub approved_at: Option<Time>,
    /// How often a worker of this attempt went silent.
    pub lapses: u32,
    /// When the present attempt began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Offset of its creation: breaks ties of order.
    pub born: Offset,
    /// Offset of its last move: what the engine does about it is known by it.
    pub moved: Offset,
}

impl Task {
    /// Length of the attempt in ms, once it has both ends.
    #[must_use]
    pub fn duration_ms(&self) -> Option<u64> {
        Some(self.completed_at?.0.saturating_sub(self.started_at?.0))
    }

    /// What a completed task brings into a fork.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let done = self.status == TaskStatus::Completed;
        done.then(|| Outcome {
            result_summary: self.result_summary.clone(),
            output_path: self.output_path.clone(),
        })
    }

    /// All of it but its position, for the state hash.
    pub(crate) fn facts(&self) -> Value {
        let mut facts = serde_json::json!({
            "id": self.id, "title": self.title, "description": self.description,
            "assigned_agent_id": self.assigned_agent_id, "status": self.status,
            "task_order": self.task_order, "depends_on": self.depends_on,
            "iteration": self.iteration, "max_iterations": self.max_iterations,
            "result_summary": self.result_summary, "output_path": self.output_path,
            "error_message": self.error_message, "token_count": self.token_count,
            "estimated_cost": self.estimated_cost, "started_at": self.started_at,
            "completed_at": self.completed_at, "created_at": self.created_at,
            "updated_at": self.updated_at,
        });
        // What only agents and approvers set is left out while unset: hashes from before it was known hold.
        let set_by_agents = serde_json::json!({
            "assignment_id": self.assignment_id, "confidence": self.confidence,
            "needs_review": self.needs_review.then_some(true), "handoff_context": self.handoff_context,
            "evaluation_status": self.evaluation_status, "evaluation_notes": self.evaluation_notes,
            "approval_required": self.approval_required.then_some(true),
            "approval_status": self.approval_status, "approved_by": self.approved_by,
            "approved_at": self.approved_at, "lapses": Some(self.lapses).filter(|lapses| *lapses > 0),
        });
        if let (Value::Object(facts), Value::Object(more)) = (&mut facts, set_by_agents) {
            facts.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
        facts
    }
}

/// How many tasks stand where (`missions.md` 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStats {
    /// All of them.
    pub total: u32,
    /// `PENDING`.
    pub pending: u32,
    /// `BLOCKED`.
    pub blocked: u32,
    /// `IN_PROGRESS`.
    pub in_progress: u32,
    /// `COMPLETED`.
    pub completed: u32,
    /// `FAILED`.
    pub failed: u32,
    /// `SKIPPED`.
    pub skipped: u32,
    /// `AWAITING_APPROVAL`.
    pub awaiting_approval: u32,
}

impl TaskStats {
    pub(crate) fn count(&mut self, status: TaskStatus) {
        self.total += 1;
        *match status {
            TaskStatus::Pending => &mut self.pending,
            TaskStatus::Blocked => &mut self.blocked,
            TaskStatus::InProgress => &mut self.in_progress,
            TaskStatus::Completed => &mut self.completed,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Skipped => &mut self.skipped,
            TaskStatus::AwaitingApproval => &mut self.awaiting_approval,
        } += 1;
    }
}
