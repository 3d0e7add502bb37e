//! Questions that a person has to decide (`periphery.md` 11, `missions.md` 9.6).

mod decide;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::words;
use crate::event::events;
use crate::roster::{Autonomy, BehaviorMode};
use crate::work::AssignmentFacts;
use crate::{
    AgentId, ApprovalId, AssignmentId, CrewId, Entry, Json, MissionId, Offset, TaskId, Text, Time, UserId,
};

words! {
    /// Where a question stands.
    ApprovalStatus {
        /// Nobody has decided.
        #[default]
        Pending = "pending",
        /// Yes.
        Approved = "approved",
        /// No.
        Denied = "denied",
        /// Nobody decided in time.
        Timeout = "timeout",
        /// It does not matter any more.
        Cancelled = "cancelled",
    }
}

words! {
    /// What a question is about (`periphery.md` 11).
    ApprovalKind {
        /// Anything else: a task's result.
        #[default]
        Custom = "custom",
        /// An agent's wish that its crew's policy holds.
        AutonomyGate = "autonomy_gate",
    }
}

events! {
    /// Facts about questions. The subject is the question.
    ApprovalEvent {
        /// Somebody has to decide.
        "approval.requested" => ApprovalRequested,
        /// It is decided, or does not matter any more.
        "approval.decided" => ApprovalDecided,
    }
}

/// Somebody has to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequested {
    /// What about.
    pub kind: ApprovalKind,
    /// Why.
    pub reason: Text,
    /// Crew it concerns.
    pub crew_id: Option<CrewId>,
    /// Agent it concerns.
    pub agent_id: Option<AgentId>,
    /// Mission it concerns.
    pub mission_id: Option<MissionId>,
    /// Task whose result it is about.
    pub task_id: Option<TaskId>,
    /// Who asks.
    pub requested_by: Text,
    /// Free facts.
    pub payload: Json,
    /// When it lapses.
    pub timeout_at: Option<Time>,
    /// What is inert until somebody has said yes.
    #[serde(default)]
    pub held: Option<Held>,
}

/// What an agent made, and its crew's policy holds (`periphery.md` 7). A yes releases it; whatever else
/// becomes of the question leaves it inert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A mission, which may not start.
    Mission {
        /// Which.
        mission_id: MissionId,
    },
    /// An issue, which may not start.
    Issue {
        /// Which.
        issue_id: MissionId,
    },
    /// A crew, which is pinned to `strict`.
    Crew {
        /// Which.
        crew_id: CrewId,
        /// What it is to be then.
        autonomy: Autonomy,
        /// What it is to be then.
        behavior: BehaviorMode,
    },
    /// An agent, which is `PENDING_REVIEW`.
    Agent {
        /// Which.
        agent_id: AgentId,
    },
    /// Work for another agent, which nobody is given yet.
    Assignment {
        /// What it will be called.
        assignment_id: AssignmentId,
        /// What it will be.
        assignment: Box<AssignmentFacts>,
    },
}

impl Held {
    /// The id of what is held.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Mission { mission_id } => mission_id.as_str(),
            Self::Issue { issue_id } => issue_id.as_str(),
            Self::Crew { crew_id, .. } => crew_id.as_str(),
            Self::Agent { agent_id } => agent_id.as_str(),
            Self::Assignment { assignment_id, .. } => assignment_id.as_str(),
        }
    }

    /// What it is.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Mission { .. } => "mission",
            Self::Issue { .. } => "issue",
            Self::Crew { .. } => "crew",
            Self::Agent { .. } => "agent",
            Self::Assignment { .. } => "assignment",
        }
    }
}

/// It is decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDecided {
    /// How; never `pending`.
    pub status: ApprovalStatus,
    /// By whom, if by a person.
    pub by: Option<UserId>,
    /// Why.
    pub comment: Option<Text>,
}

/// A wish about a question.
#[derive(Clone, Debug)]
pub enum ApprovalCommand {
    /// `POST /approvals/{id}/decide`
    Decide {
        /// Which.
        approval: ApprovalId,
        /// Yes or no.
        approved: bool,
        /// Why.
        comment: Option<Text>,
    },
    /// `POST /approvals/{id}/cancel`
    Cancel {
        /// Which.
        approval: ApprovalId,
        /// Why.
        reason: Option<Text>,
    },
    /// Nobody decided in time (the engine's).
    Lapse {
        /// Which.
        approval: ApprovalId,
    },
}

/// A question as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What was asked.
    pub request: ApprovalRequested,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who decided.
    pub decided_by: Option<UserId>,
    /// Why.
    pub comment: Option<Text>,
    /// When it was asked.
    pub created_at: Time,
    /// When it was decided.
    pub decided_at: Option<Time>,
    /// Offset of its beginning: the order of lists.
    pub born: Offset,
    /// Offset of its last change.
    pub changed: Offset,
}

/// Every question of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Approvals {
    /// By id.
    pub all: OrdMap<ApprovalId, Arc<Approval>>,
    /// By beginning.
    pub by_birth: OrdMap<Offset, ApprovalId>,
    /// Those nobody has decided, by mission.
    pub pending_of: OrdSet<(MissionId, ApprovalId)>,
    /// Those nobody has decided and that lapse by themselves, by when. A held result is the mission's: its
    /// deadline is that of the question too.
    pub lapsing: OrdSet<(Time, ApprovalId)>,
    /// The question about what is or was held, by its id.
    pub holds: OrdMap<Text, ApprovalId>,
}

impl Approvals {
    pub(crate) fn apply(&mut self, event: &ApprovalEvent, entry: &Entry) {
        let id = ApprovalId::from(&*entry.subject);
        match event {
            ApprovalEvent::ApprovalRequested(request) => {
                if let Some(mission) = &request.mission_id {
                    self.pending_of.insert((mission.clone(), id.clone()));
                }
                self.lapsing.extend(lapse_of(&id, request));
                if let Some(held) = &request.held {
                    self.holds.insert(held.id().into(), id.clone());
                }
                let approval = Approval {
                    id: id.clone(),
                    request: request.clone(),
                    status: ApprovalStatus::Pending,
                    decided_by: None,
                    comment: None,
                    created_at: entry.time,
                    decided_at: None,
                    born: entry.offset,
                    changed: entry.offset,
                };
                self.by_birth.insert(entry.offset, id.clone());
                self.all.insert(id, Arc::new(approval));
            }
            ApprovalEvent::ApprovalDecided(decided) => {
                let Some(approval) = self.all.get_mut(&id) else { return };
                let approval = Arc::make_mut(approval);
                (approval.status, approval.decided_at) = (decided.status, Some(entry.time));
                approval.changed = entry.offset;
                approval.decided_by.clone_from(&decided.by);
                approval.comment.clone_from(&decided.comment);
                lapse_of(&id, &approval.request).iter().for_each(|lapse| drop(self.lapsing.remove(lapse)));
                if let Some(mission) = &approval.request.mission_id {
                    self.pending_of.remove(&(mission.clone(), id));
                }
            }
        }
    }

    /// The question about something that a policy holds, or held.
    #[must_use]
    pub fn hold_on(&self, id: &str) -> Option<&Arc<Approval>> {
        self.all.get(self.holds.get(id)?)
    }
}

fn lapse_of(id: &ApprovalId, request: &ApprovalRequested) -> Option<(Time, ApprovalId)> {
    request.timeout_at.filter(|_| request.task_id.is_none()).map(|at| (at, id.clone()))
}
