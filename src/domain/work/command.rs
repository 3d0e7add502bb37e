//! Wishes about work: the engine's, the workers', and those of people and agents who hand work over.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Claim, Output, RunStatus};
use crate::{AgentId, AssignmentId, ChatId, CrewId, Face, Json, MissionId, Offset, RunId, TaskId, Text};

/// A wish about work.
#[derive(Clone, Debug)]
pub enum WorkCommand {
    /// The engine hands ready tasks to agents, in this order.
    Dispatch {
        /// Of which mission.
        mission: MissionId,
        /// Which tasks, each with the agent that has a worker, where the task names none.
        tasks: Vec<(TaskId, Option<AgentId>)>,
    },
    /// The engine asks the LEAD to plan.
    Plan {
        /// Which mission.
        mission: MissionId,
    },
    /// The engine asks the LEAD to look at the results.
    Review {
        /// Which mission.
        mission: MissionId,
    },
    /// The engine ends a mission that ran too long.
    TimeOut {
        /// Which mission.
        mission: MissionId,
    },
    /// The engine takes an assignment from a worker that went silent.
    Lapse {
        /// Which.
        assignment: AssignmentId,
        /// The claim it lapses for.
        fence: Offset,
    },
    /// A worker asks for work.
    Claim(Claim),
    /// A worker tells what it does.
    Note {
        /// About which assignment.
        assignment: AssignmentId,
        /// Its claim.
        fence: Offset,
        /// What.
        notes: Vec<Note>,
    },
    /// A worker tells what came out.
    Report {
        /// Of which assignment.
        assignment: AssignmentId,
        /// Its claim.
        fence: Offset,
        /// What.
        report: Box<Report>,
    },
    /// A worker that must end gives back what it has.
    HandBack {
        /// Which assignment.
        assignment: AssignmentId,
        /// Its claim.
        fence: Offset,
    },
    /// An agent hands work to another one (`platform.md` 8.3).
    Delegate(Box<Delegation>),
    /// Nobody waits for the answer to a question any more.
    Withdraw {
        /// Which.
        assignment: AssignmentId,
    },
    /// A run without an assignment begins (`platform.md` 8.3).
    BeginRun(Box<NewRun>),
    /// A run without an assignment ends.
    EndRun {
        /// Which.
        run: RunId,
        /// How.
        status: RunStatus,
        /// What its process said.
        exit_code: Option<i64>,
        /// Why it failed.
        error_message: Option<Text>,
        /// Free facts.
        metadata: Json,
    },
    /// An agent says how sure it is about the task it works (`platform.md` 8.3).
    ReportConfidence {
        /// Whose task.
        agent: AgentId,
        /// 0 to 1.
        confidence: f64,
        /// Why.
        reason: Text,
    },
    /// Something an agent's surroundings saw: an entry and nothing else.
    Witness(Box<Face>),
}

/// Something that happened while a run was under way.
#[derive(Clone, Debug)]
pub enum Note {
    /// A process began.
    Began {
        /// Its command line, without secrets.
        cmd: Text,
        /// The operator's name of it.
        adapter: Text,
    },
    /// A piece of output.
    Output {
        /// The text.
        output: Text,
        /// Bytes of output so far, this piece included.
        total_bytes: u64,
        /// Whether what follows is left out of the journal.
        truncated: bool,
    },
}

/// What came out of an assignment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How it ended; never [`RunStatus::Running`].
    pub status: RunStatus,
    /// What came out, as text.
    pub result: Option<Text>,
    /// What came out, as data.
    pub answer: Answer,
    /// Where more of it lies.
    pub output_path: Option<Text>,
    /// Why it failed.
    pub error_message: Option<Text>,
    /// What the process said at its end.
    pub exit_code: Option<i64>,
    /// Tokens used.
    pub token_count: Option<i64>,
    /// Cost in USD.
    pub estimated_cost: Option<f64>,
    /// How sure the agent is, 0 to 1.
    pub confidence: Option<f64>,
    /// Calls of models, if they were told apart.
    pub usage: Vec<Usage>,
    /// The end of the output, for the journal.
    pub tail: Option<(Text, u64)>,
    /// The whole output, which lies beside the journal.
    pub output: Option<Output>,
    /// How long the process ran, ms.
    pub duration_ms: Option<u64>,
    /// Free facts.
    pub metadata: Json,
}

/// What a LEAD answers: read from the agent's last JSON line. What is no part of it is ignored.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Answer {
    /// The plan, markdown.
    pub plan: Option<String>,
    /// Tasks to add.
    pub tasks: Option<Vec<TaskPlan>>,
    /// `complete` or `send_back`, of a review.
    pub verdict: Option<Verdict>,
    /// What is to be said of single tasks.
    pub evaluations: Option<Vec<Evaluation>>,
}

/// What a review found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The mission is done.
    #[serde(alias = "approve", alias = "approved", alias = "completed", alias = "PASS")]
    Complete,
    /// There is more to do.
    #[serde(alias = "reject", alias = "rejected", alias = "changes_requested", alias = "FAIL")]
    SendBack,
}

/// A task that a LEAD plans.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TaskPlan {
    /// What it is called; required.
    pub title: Option<String>,
    /// What is to be done.
    pub description: Option<String>,
    /// Who works it: an agent's id or slug.
    #[serde(alias = "assigned_agent_id", alias = "assigned_to_id")]
    pub assigned_to: Option<String>,
    /// Position in the list; its place among these without it.
    pub task_order: Option<i64>,
    /// What must be completed first: `task_order` of these, or ids of tasks that exist.
    pub depends_on: Option<Vec<TaskRef>>,
    /// Most attempts, 0 to 50.
    pub max_iterations: Option<i64>,
    /// Whether its result must be approved.
    pub approval_required: Option<bool>,
}

/// A task as a plan names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TaskRef {
    /// By `task_order`.
    Order(i64),
    /// By id, or by `task_order` as text.
    Id(String),
}

/// What a review says of one task.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Evaluation {
    /// Which: id or `task_order`.
    pub task: Option<TaskRef>,
    /// `PASS` or `FAIL`.
    pub status: Option<String>,
    /// Why.
    pub notes: Option<String>,
}

/// A call of a model (`journal.md` 2.4, `llm.call`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Whose model.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// Tokens in.
    pub input_tokens: i64,
    /// Tokens out.
    pub output_tokens: i64,
    /// Tokens in that were cached.
    pub cached_input_tokens: i64,
    /// Tokens that were put into the cache.
    pub cache_creation_tokens: i64,
    /// What it cost in USD.
    pub cost_usd: f64,
    /// `metered` or `flat_rate`.
    pub billing_mode: Option<String>,
}

/// What an agent hands to another one.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// Slug of the agent that is to work.
    pub target_slug: Text,
    /// What is asked.
    pub task: Text,
    /// Crew it is asked in.
    pub crew: CrewId,
    /// Conversation it belongs to.
    pub chat: ChatId,
    /// Mission it is work of.
    pub mission: Option<MissionId>,
    /// Who asks, if not the LEAD.
    pub actor: Option<AgentId>,
    /// Whether it is a question, whose answer somebody waits for.
    pub is_question: bool,
}

/// A run that begins without an assignment.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id, if it has one already.
    pub id: Option<RunId>,
    /// Who works.
    pub agent: AgentId,
    /// Conversation it belongs to.
    pub chat: Option<ChatId>,
    /// `USER`, `WEBHOOK`, …
    pub trigger_type: Text,
    /// Free facts.
    pub metadata: Json,
}
