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

use std::ops::{Deref, DerefMut};

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
use crate::undertaking::{Phase, Undertaking};
use crate::{Offset, Text, Time};

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

    /// What the engine has to do with a mission in it.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            Self::Planning => Phase::Waiting,
            Self::InProgress => Phase::Working,
            Self::Review => Phase::Reviewing,
            Self::Completed | Self::Failed | Self::Cancelled => Phase::Ended,
        }
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

/// A mission as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mission {
    /// Identity, plan and tasks: what agents work on.
    pub undertaking: Undertaking,
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
    /// Offset of its creation: the order of lists.
    pub born: Offset,
    /// Offset of its last change, tasks included.
    pub changed: Offset,
}

impl Deref for Mission {
    type Target = Undertaking;

    fn deref(&self) -> &Undertaking {
        &self.undertaking
    }
}

impl DerefMut for Mission {
    fn deref_mut(&mut self) -> &mut Undertaking {
        &mut self.undertaking
    }
}

impl Mission {
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
}

pub(crate) fn hash(facts: &Value) -> String {
    let digest = Sha256::digest(facts.to_string().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("h1:{hex}")
}
