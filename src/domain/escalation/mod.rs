//! What agents ask people while they work (`platform.md` 8.3, `journal.md` 2.4).
//!
//! The agent waits a few minutes and then goes on without an answer; people may answer for a day all the
//! same, and what they say is kept for whoever looks.

mod decide;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::words;
use crate::event::events;
use crate::{
    AgentId, ChatId, CrewId, Entry, EscalationId, Json, MissionId, Offset, SecretId, Text, Time, UserId,
};

/// How long an agent waits for an answer, seconds.
pub const WAIT_SECONDS: u64 = 300;
/// What stands where a credential was told.
pub const REDACTED_CREDENTIAL: &str = "***REDACTED:credential***";

words! {
    /// Where a question stands.
    EscalationStatus {
        /// Nobody has answered.
        #[default]
        Pending = "PENDING",
        /// Somebody has.
        Resolved = "RESOLVED",
        /// Nobody did in time.
        Expired = "EXPIRED",
        /// It does not matter any more.
        Cancelled = "CANCELLED",
    }
}

words! {
    /// What an answer has to be.
    EscalationType {
        /// A text.
        #[default]
        Text = "TEXT",
        /// A secret: it is told to the agent and to nobody else.
        Credential = "CREDENTIAL",
        /// An address.
        Link = "LINK",
    }
}

events! {
    /// Facts about questions of agents. The subject is the question.
    EscalationEvent {
        /// An agent asks.
        "escalation.raised" => EscalationRaised,
        /// It is answered, or does not matter any more.
        "escalation.ended" => EscalationEnded,
    }
}

/// An agent asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EscalationRaised {
    /// Its crew.
    pub crew_id: CrewId,
    /// Who asks.
    pub agent_id: AgentId,
    /// The conversation it comes from; a mission's has the mission's id.
    pub chat_id: ChatId,
    /// The mission it comes from.
    pub mission_id: Option<MissionId>,
    /// What it needs.
    pub reason: Text,
    /// What it was doing.
    pub context: Option<Text>,
    /// What the answer has to be.
    pub escalation_type: EscalationType,
    /// Free facts.
    pub metadata: Json,
    /// Until when the agent waits.
    pub deadline_at: Time,
    /// Until when it may be answered.
    pub answer_deadline_at: Time,
}

/// It is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EscalationEnded {
    /// How; never `PENDING`.
    pub status: EscalationStatus,
    /// By whom, if by a person.
    pub by: Option<UserId>,
    /// What was said; never a credential.
    pub resolution: Option<Text>,
    /// Where in the vault the credential is, while the agent waits for it.
    pub secret_id: Option<SecretId>,
    /// What the agent is to do.
    pub action: Option<Text>,
    /// Slug of the agent that is to go on instead.
    pub redirect_to: Option<Text>,
}

/// A wish about a question of an agent.
#[derive(Clone, Debug)]
pub enum EscalationCommand {
    /// An agent asks.
    Raise(Box<Question>),
    /// A person answers.
    Resolve {
        /// Which.
        escalation: EscalationId,
        /// What.
        answer: Resolution,
    },
    /// A person waves it aside.
    Cancel {
        /// Which.
        escalation: EscalationId,
        /// Why.
        reason: Option<Text>,
    },
    /// Nobody answered in time (the engine's).
    Expire {
        /// Which.
        escalation: EscalationId,
    },
}

/// What an agent asks.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its crew.
    pub crew: CrewId,
    /// Who asks.
    pub agent: AgentId,
    /// The conversation it comes from.
    pub chat: ChatId,
    /// What it needs.
    pub reason: Text,
    /// What it was doing.
    pub context: Option<Text>,
    /// What the answer has to be.
    pub escalation_type: EscalationType,
    /// Free facts.
    pub metadata: Json,
}

/// What a person answers.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// What is said; ignored where a credential is asked for.
    pub text: Text,
    /// Where in the vault the credential is.
    pub secret: Option<SecretId>,
    /// What the agent is to do.
    pub action: Option<Text>,
    /// Slug of the agent that is to go on instead.
    pub redirect_to: Option<Text>,
}

/// A question of an agent as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// Its id.
    pub id: EscalationId,
    /// What was asked.
    pub asked: EscalationRaised,
    /// How it ended.
    pub ended: Option<EscalationEnded>,
    /// When it was asked.
    pub created_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Offset of its beginning: the order of lists.
    pub born: Offset,
    /// Offset of its last change.
    pub changed: Offset,
}

impl Escalation {
    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> EscalationStatus {
        self.ended.as_ref().map_or(EscalationStatus::Pending, |ended| ended.status)
    }

    /// Whether its agent still waited, or waits, at a time.
    #[must_use]
    pub fn is_waited_for(&self, at: Time) -> bool {
        at < self.asked.deadline_at
    }
}

/// Every question of a workspace's agents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Escalations {
    /// By id.
    pub all: OrdMap<EscalationId, Arc<Escalation>>,
    /// By beginning.
    pub by_birth: OrdMap<Offset, EscalationId>,
    /// Those nobody has answered, by when they expire.
    pub open: OrdSet<(Time, EscalationId)>,
}

impl Escalations {
    pub(crate) fn apply(&mut self, event: &EscalationEvent, entry: &Entry) {
        let id = EscalationId::from(&*entry.subject);
        match event {
            EscalationEvent::EscalationRaised(asked) => {
                self.open.insert((asked.answer_deadline_at, id.clone()));
                self.by_birth.insert(entry.offset, id.clone());
                let escalation = Escalation {
                    id: id.clone(),
                    asked: asked.clone(),
                    ended: None,
                    created_at: entry.time,
                    ended_at: None,
                    born: entry.offset,
                    changed: entry.offset,
                };
                self.all.insert(id, Arc::new(escalation));
            }
            EscalationEvent::EscalationEnded(ended) => {
                let Some(escalation) = self.all.get_mut(&id).map(Arc::make_mut) else { return };
                (escalation.ended, escalation.ended_at) = (Some(ended.clone()), Some(entry.time));
                escalation.changed = entry.offset;
                self.open.remove(&(escalation.asked.answer_deadline_at, id));
            }
        }
    }

    /// Every one, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Arc<Escalation>> + '_ {
        self.by_birth.values().rev().filter_map(|id| self.all.get(id))
    }
}
