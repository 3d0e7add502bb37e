//! A piece of work handed to one agent, and one try at it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::words;
use crate::{AgentId, AssignmentId, ChatId, CrewId, Json, MissionId, Offset, RunId, TaskId, Text, Time};

words! {
    /// What an assignment is for.
    Purpose {
        /// One attempt at a task.
        #[default]
        Task = "TASK",
        /// The LEAD breaks a mission down (`missions.md` 9.3).
        Planning = "PLANNING",
        /// The LEAD looks at the results (`DESIGN.md` 7).
        Review = "REVIEW",
        /// An agent hands work to another one (`platform.md` 8.3).
        Delegation = "DELEGATION",
        /// An agent asks another one, and waits for the answer (`platform.md` 8.3).
        Query = "QUERY",
        /// A person talks to an agent (`journal.md` 9.2).
        Chat = "CHAT",
        /// A comment on an issue calls an agent (`issues.md` 13).
        Mention = "MENTION",
    }
}

words! {
    /// Where an assignment stands (`platform.md` 8.3).
    AssignmentStatus {
        /// Waits for a worker.
        #[default]
        Pending = "PENDING",
        /// Waits for a place in its crew.
        Queued = "QUEUED",
        /// A worker has it.
        Running = "RUNNING",
        /// Done.
        Completed = "COMPLETED",
        /// Failed.
        Failed = "FAILED",
        /// Took too long.
        Timeout = "TIMEOUT",
        /// Not wanted any more.
        Cancelled = "CANCELLED",
    }
}

impl AssignmentStatus {
    /// Whether it may still be worked.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Queued | Self::Running)
    }
}

words! {
    /// Where a run stands (`journal.md` 6).
    RunStatus {
        /// Under way.
        #[default]
        Running = "RUNNING",
        /// Done.
        Completed = "COMPLETED",
        /// Failed.
        Failed = "FAILED",
        /// Not wanted any more.
        Cancelled = "CANCELLED",
        /// Took too long.
        Timeout = "TIMEOUT",
    }
}

impl RunStatus {
    /// The type of the entry that ends a run so.
    #[must_use]
    pub fn entry_type(self) -> &'static str {
        match self {
            Self::Running => "run.started",
            Self::Completed => "run.completed",
            Self::Failed => "run.failed",
            Self::Cancelled => "run.cancelled",
            Self::Timeout => "run.timeout",
        }
    }

    /// How an assignment ends whose run ends so.
    #[must_use]
    pub fn of_assignment(self) -> AssignmentStatus {
        match self {
            Self::Running => AssignmentStatus::Running,
            Self::Completed => AssignmentStatus::Completed,
            Self::Failed => AssignmentStatus::Failed,
            Self::Cancelled => AssignmentStatus::Cancelled,
            Self::Timeout => AssignmentStatus::Timeout,
        }
    }
}

words! {
    /// Who ended an assignment.
    EndedBy {
        /// Its worker, with a result.
        #[default]
        Report = "report",
        /// Nobody wanted it any more.
        Cancel = "cancel",
        /// The clock: its worker went silent.
        Lease = "lease",
        /// Its worker, which could not go on.
        HandBack = "hand_back",
    }
}

/// What is handed over. Set once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentFacts {
    /// What it is for.
    pub purpose: Purpose,
    /// The conversation it belongs to: a mission's has the mission's id.
    pub chat_id: ChatId,
    /// The crew whose places it takes; an agent without one may still be talked to.
    pub crew_id: Option<CrewId>,
    /// The mission it is work of.
    pub mission_id: Option<MissionId>,
    /// The task it is an attempt at.
    pub task_id: Option<TaskId>,
    /// Which attempt.
    pub iteration: u32,
    /// Who hands over; a person's wish has none.
    pub assigned_by: Option<AgentId>,
    /// Who works.
    pub assigned_to: AgentId,
    /// What it is called.
    pub task: Text,
    /// What is asked, where no task or mission says it.
    #[serde(default)]
    pub prompt: Option<Text>,
}

/// An assignment as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// What is handed over.
    pub facts: AssignmentFacts,
    /// Where it stands.
    pub status: AssignmentStatus,
    /// The run of the worker that has it, or had it last.
    pub run_id: Option<RunId>,
    /// Offset of the entry that gave it to a worker: the fence of everything that worker says.
    pub fence: Option<Offset>,
    /// How long its worker may be silent.
    pub lease_ms: u64,
    /// Who ended it, once it has ended.
    pub ended_by: Option<EndedBy>,
    /// Whether its worker reported although it had ended.
    pub reported_late: bool,
    /// What came out.
    pub result_summary: Option<Text>,
    /// Why it failed.
    pub error_message: Option<Text>,
    /// When it was made.
    pub created_at: Time,
    /// When a worker took it.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Offset of its creation: its place in the line.
    pub born: Offset,
}

/// Why a run began. Set once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFacts {
    /// Who works.
    pub agent_id: AgentId,
    /// The crew of the agent then.
    pub crew_id: Option<CrewId>,
    /// The mission it is work of.
    pub mission_id: Option<MissionId>,
    /// The conversation it belongs to.
    pub chat_id: Option<ChatId>,
    /// The assignment it is a try at.
    pub assignment_id: Option<AssignmentId>,
    /// Who or what began it.
    pub triggered_by: Option<Text>,
    /// `ASSIGNMENT`, `USER`, …: an open set (`journal.md` 6).
    pub trigger_type: Text,
    /// Free facts.
    #[serde(default)]
    pub metadata: Json,
}

/// How a run ended. Set once: the first end counts (ruling R14).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnd {
    /// How.
    pub status: RunStatus,
    /// What its process said at its end.
    pub exit_code: Option<i64>,
    /// Why it failed.
    pub error_message: Option<Text>,
    /// Its whole output, which lies beside the journal.
    pub output: Option<Output>,
    /// Free facts.
    #[serde(default)]
    pub metadata: Json,
}

/// What a run put out, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// How much.
    pub bytes: u64,
    /// SHA-256 of it, as hex digits.
    pub sha256: Text,
}

impl Assignment {
    /// Whether its worker went away over it: nothing is known of what came out.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.ended_by, Some(EndedBy::HandBack | EndedBy::Lease))
    }
}

/// A run as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id; the trace id of its entries.
    pub id: RunId,
    /// Why it began.
    pub facts: RunFacts,
    /// How it ended, once it has.
    pub end: Option<RunEnd>,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Offset of its beginning: the order of lists.
    pub born: Offset,
    /// Offset of its last change.
    pub changed: Offset,
}

impl Run {
    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.end.as_ref().map_or(RunStatus::Running, |end| end.status)
    }
}

/// How often an agent failed in a row, and when last (`missions.md` 9.4, 15.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Failures since the last success.
    pub failures: u32,
    /// The last of them.
    pub failed_at: Time,
}
