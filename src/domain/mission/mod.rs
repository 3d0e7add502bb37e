//! Missions and their tasks (`missions.md`).

mod apply;
mod command;
mod copy;
mod dag;
mod decide;
mod event;
mod face;
mod lifecycle;
mod propose;
mod settle;
mod task;
mod tasks;

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use command::{CloneDraft, MissionCommand, MissionDraft, MissionPatch, Proposal, TaskDraft, TaskPatch};
pub(crate) use copy::fresh_task_ids;
pub(crate) use decide::birth_status;
pub use event::{
    MissionCreated, MissionDeleted, MissionEvent, MissionStatusChanged, MissionUpdated, Outcome, Reason,
    Stuck, TaskApproval, TaskCreated, TaskReport, TaskStatusChanged, TaskUpdated,
};
pub(crate) use face::mission_face;
pub use task::{Task, TaskStats, TaskStatus};

use crate::entry::words;
use crate::{AgentId, CrewId, MissionId, Offset, TaskId, Text, Time};

words! {
    /// The six statuses of a mission (seed, Missions page).
    Status {
        /// Lead is analyzing and creating the task breakdown.
        #[default]
        Planning = "PLANNING",
        /// Agents are working on tasks.
        InProgress = "IN_PROGRESS",
        /// All tasks done, lead is reviewing results.
        Review = "REVIEW",
        /// Successfully finished.
        Completed = "COMPLETED",
        /// Unresolvable problem encountered.
        Failed = "FAILED",
        /// Cancelled by user or system.
        Cancelled = "CANCELLED",
    }
}

impl Status {
    /// Whether nothing but restart or resume leads out of it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The transitions a PATCH may ask for (`missions.md` 5.1).
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match self {
            Self::Planning => matches!(to, Self::InProgress | Self::Cancelled),
            Self::InProgress => matches!(to, Self::Review | Self::Failed | Self::Cancelled),
            Self::Review => {
                matches!(to, Self::Completed | Self::InProgress | Self::Failed | Self::Cancelled)
            }
            Self::Completed | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// What a fork's title begins with, once per generation (`journal.md` 5.6).
pub(crate) const FORK_PREFIX: &str = "Fork: ";

/// A mission as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mission {
    /// Its id.
    pub id: MissionId,
    /// Its crew.
    pub crew_id: CrewId,
    /// The LEAD at creation.
    pub lead_agent_id: AgentId,
    /// `mission-` and an id of its own.
    pub trace_id: Text,
    /// What it is called.
    pub title: Text,
    /// What it is for.
    pub description: Option<Text>,
    /// The plan, markdown.
    pub plan: Option<Text>,
    /// A label; never expanded into tasks (`missions.md` 16.6).
    pub workflow_template: Option<Text>,
    /// Whether an agent proposed it.
    pub by_agent: bool,
    /// Where it stands.
    pub status: Status,
    /// When it was created.
    pub created_at: Time,
    /// When it itself last changed; its tasks do not count.
    pub updated_at: Time,
    /// When it became terminal.
    pub completed_at: Option<Time>,
    /// When it came into its present status: its deadline runs from there.
    pub entered_at: Time,
    /// Offset of the entry that brought it there.
    pub entered: Offset,
    /// Its tasks, by id.
    pub tasks: OrdMap<TaskId, Arc<Task>>,
    /// Offset of its creation: the order of lists.
    pub born: Offset,
    /// Offset of its last change, tasks included.
    pub changed: Offset,
}

impl Mission {
    /// Its tasks as lists show them: by `task_order`, then creation.
    #[must_use]
    pub fn tasks_in_order(&self) -> Vec<&Arc<Task>> {
        let mut tasks: Vec<_> = self.tasks.values().collect();
        tasks.sort_by_key(|task| (task.task_order, task.born));
        tasks
    }

    /// How many tasks stand where.
    #[must_use]
    pub fn task_stats(&self) -> TaskStats {
        let mut stats = TaskStats::default();
        self.tasks.values().for_each(|task| stats.count(task.status));
        stats
    }

    /// Sum of the tasks' tokens; `None` while no task has any (`missions.md` 2.1).
    #[must_use]
    pub fn total_token_count(&self) -> Option<i64> {
        self.tasks.values().filter_map(|task| task.token_count).reduce(i64::saturating_add)
    }

    /// Sum of the tasks' costs in USD; `None` while no task has any.
    #[must_use]
    pub fn total_estimated_cost(&self) -> Option<f64> {
        self.tasks.values().filter_map(|task| task.estimated_cost).reduce(|sum, cost| sum + cost)
    }

    /// Whether every one of these tasks is `COMPLETED`: nothing else satisfies a dependency (`missions.md` 6.3).
    #[must_use]
    pub fn all_completed<'a>(&self, tasks: impl IntoIterator<Item = &'a TaskId>) -> bool {
        tasks
            .into_iter()
            .all(|id| self.tasks.get(id).is_some_and(|task| task.status == TaskStatus::Completed))
    }

    /// `h1:` and SHA-256 over the whole projected state: equal hashes, equal missions. Where its entries
    /// stand in the journal is no part of it.
    #[must_use]
    pub fn state_hash(&self) -> String {
        hash(&json!({
            "id": self.id, "crew_id": self.crew_id, "lead_agent_id": self.lead_agent_id,
            "trace_id": self.trace_id, "title": self.title, "description": self.description,
            "plan": self.plan, "workflow_template": self.workflow_template, "status": self.status,
            "created_at": self.created_at, "updated_at": self.updated_at,
            "completed_at": self.completed_at,
            "tasks": self.tasks_in_order().into_iter().map(|task| task.facts()).collect::<Vec<_>>(),
        }))
    }

    /// `h1:` and SHA-256 over what a fork takes along: equal for a source at its checkpoint and the fork
    /// at its birth (`journal.md` 11.2). Ids, title prefix, mission status, attempts and their times are
    /// no part of it, and a task's status is the one a fork begins with.
    #[must_use]
    pub fn fork_hash(&self) -> String {
        let tasks = self.tasks_in_order();
        let place = |id: &TaskId| tasks.iter().position(|task| task.id == *id);
        let tasks = tasks.iter().map(|task| {
            let outcome = task.outcome();
            json!({
                "title": task.title, "description": task.description,
                "assigned_agent_id": task.assigned_agent_id, "status": self.status_in_a_fork(task),
                "task_order": task.task_order, "max_iterations": task.max_iterations,
                "depends_on": self.dependencies_of(task).map(place).collect::<Vec<_>>(),
                "result_summary": outcome.as_ref().map(|outcome| &outcome.result_summary),
                "output_path": outcome.as_ref().map(|outcome| &outcome.output_path),
            })
        });
        hash(&json!({
            "crew_id": self.crew_id, "lead_agent_id": self.lead_agent_id,
            "title": self.title.trim_start_matches(FORK_PREFIX), "description": self.description,
            "plan": self.plan, "tasks": tasks.collect::<Vec<_>>(),
        }))
    }

    /// Where a task stands when a fork begins: what was in flight is ready, or waits, again (ruling R13).
    #[must_use]
    pub fn status_in_a_fork(&self, task: &Task) -> TaskStatus {
        match task.status {
            // In the midst of a batch a task may wait for one that is yet to come: the fork is without it.
            TaskStatus::InProgress | TaskStatus::AwaitingApproval | TaskStatus::Blocked => {
                birth_status(self.all_completed(self.dependencies_of(task)))
            }
            settled => settled,
        }
    }

    /// The dependencies of a task that exist; a fork drops the others (`journal.md` 5.6).
    pub(crate) fn dependencies_of<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a TaskId> + 'a {
        task.depends_on.iter().filter(|id| self.tasks.contains_key(*id))
    }
}

fn hash(facts: &Value) -> String {
    let digest = Sha256::digest(facts.to_string().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("h1:{hex}")
}
