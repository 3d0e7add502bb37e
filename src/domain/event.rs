//! Every fact a journal can hold, and its stored form.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::approval::ApprovalEvent;
use crate::chat::ChatEvent;
use crate::checkpoint::CheckpointEvent;
use crate::escalation::EscalationEvent;
use crate::instance::InstanceEvent;
use crate::issue::IssueEvent;
use crate::marker::MarkerEvent;
use crate::mission::MissionEvent;
use crate::roster::RosterEvent;
use crate::routine::RoutineEvent;
use crate::tracker::TrackerEvent;
use crate::upcast::{newest, upcast};
use crate::work::WorkEvent;
use crate::{Actor, Draft, Entry, Face, Offset, Time};

/// Declares one aggregate's events: each kind once, as it is stored and as Rust names it.
/// A released kind is never renamed or removed: old journals still hold it.
macro_rules! events {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $kind:literal => $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "kind", content = "data")]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $kind)] $variant($variant),)* }

        impl $name {
            /// Every stored kind of this aggregate, with the schema of its data.
            pub(crate) const KINDS: &'static [(&'static str, $crate::event::SchemaOf)] =
                &[$(($kind, $crate::event::subschema::<$variant>),)*];

            /// The stored kind.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind,)* }
            }
        }

        $(impl From<$variant> for $crate::Event {
            fn from(event: $variant) -> Self {
                $name::$variant(event).into()
            }
        })*
    };
}
pub(crate) use events;

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

pub(crate) fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// A fact, by the aggregate it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Users, tokens, the registry of workspaces: the instance log.
    Instance(InstanceEvent),
    /// The workspace, its members, crews and agents.
    Roster(RosterEvent),
    /// One mission and its tasks.
    Mission(MissionEvent),
    /// Checkpoints and forks.
    Checkpoint(CheckpointEvent),
    /// Operators' markers on entries.
    Marker(MarkerEvent),
    /// Assignments and runs.
    Work(WorkEvent),
    /// Questions that a person has to decide.
    Approval(ApprovalEvent),
    /// Conversations.
    Chat(ChatEvent),
    /// Questions of agents.
    Escalation(EscalationEvent),
    /// Issues and what is said of them.
    Issue(IssueEvent),
    /// What issues are sorted by.
    Tracker(TrackerEvent),
    /// Routines and their runs.
    Routine(RoutineEvent),
}

impl From<TrackerEvent> for Event {
    fn from(event: TrackerEvent) -> Self {
        Self::Tracker(event)
    }
}

impl From<RoutineEvent> for Event {
    fn from(event: RoutineEvent) -> Self {
        Self::Routine(event)
    }
}

impl From<IssueEvent> for Event {
    fn from(event: IssueEvent) -> Self {
        Self::Issue(event)
    }
}

impl From<WorkEvent> for Event {
    fn from(event: WorkEvent) -> Self {
        Self::Work(event)
    }
}

impl From<ApprovalEvent> for Event {
    fn from(event: ApprovalEvent) -> Self {
        Self::Approval(event)
    }
}

impl From<EscalationEvent> for Event {
    fn from(event: EscalationEvent) -> Self {
        Self::Escalation(event)
    }
}

impl From<ChatEvent> for Event {
    fn from(event: ChatEvent) -> Self {
        Self::Chat(event)
    }
}

impl From<MarkerEvent> for Event {
    fn from(event: MarkerEvent) -> Self {
        Self::Marker(event)
    }
}

impl From<InstanceEvent> for Event {
    fn from(event: InstanceEvent) -> Self {
        Self::Instance(event)
    }
}

impl From<RosterEvent> for Event {
    fn from(event: RosterEvent) -> Self {
        Self::Roster(event)
    }
}

impl From<MissionEvent> for Event {
    fn from(event: MissionEvent) -> Self {
        Self::Mission(event)
    }
}

impl From<CheckpointEvent> for Event {
    fn from(event: CheckpointEvent) -> Self {
        Self::Checkpoint(event)
    }
}

impl Event {
    /// The stored kind, e.g. `mission.created`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Instance(event) => event.kind(),
            Self::Roster(event) => event.kind(),
            Self::Mission(event) => event.kind(),
            Self::Checkpoint(event) => event.kind(),
            Self::Marker(event) => event.kind(),
            Self::Work(event) => event.kind(),
            Self::Approval(event) => event.kind(),
            Self::Chat(event) => event.kind(),
            Self::Escalation(event) => event.kind(),
            Self::Issue(event) => event.kind(),
            Self::Tracker(event) => event.kind(),
            Self::Routine(event) => event.kind(),
        }
    }
}

/// An entry as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Kind of the event, or the type of a face without one.
    pub kind: Box<str>,
    /// Version of the body's shape.
    pub version: u16,
    /// JSON: `{"event": {"kind", "data"}, "face": {…}}`, either left out when absent.
    pub body: Vec<u8>,
}

/// Why a stored entry could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer Taffrail: start that one.
    #[error("entry kind {kind} has version {version}, newer than this build knows ({known})")]
    Newer {
        /// Its kind.
        kind: Box<str>,
        /// Its version.
        version: u16,
        /// The newest version known here.
        known: u16,
    },
    /// A kind that this build does not know.
    #[error("unknown entry kind {0}")]
    Unknown(Box<str>),
    /// The body is not of its kind's shape.
    #[error("entry kind {kind}: {reason}")]
    Malformed {
        /// Its kind.
        kind: Box<str>,
        /// What does not fit.
        reason: String,
    },
}

#[derive(Serialize)]
struct BodyOut<'a, E> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a E>,
    #[serde(skip_serializing_if = "Option::is_none")]
    face: Option<&'a Face>,
}

#[derive(Deserialize)]
#[serde(bound = "E: Deserialize<'de>")]
struct BodyIn<E> {
    #[serde(default = "none")]
    event: Option<E>,
    #[serde(default)]
    face: Option<Face>,
}

fn none<E>() -> Option<E> {
    None
}

/// Every kind a journal can hold, in the order of the code.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    all_kinds().map(|(kind, _)| *kind)
}

fn all_kinds() -> impl Iterator<Item = &'static (&'static str, SchemaOf)> {
    let kinds = [
        InstanceEvent::KINDS,
        RosterEvent::KINDS,
        MissionEvent::KINDS,
        CheckpointEvent::KINDS,
        MarkerEvent::KINDS,
        WorkEvent::KINDS,
        ApprovalEvent::KINDS,
        ChatEvent::KINDS,
        EscalationEvent::KINDS,
        IssueEvent::KINDS,
        TrackerEvent::KINDS,
        RoutineEvent::KINDS,
    ];
    kinds.into_iter().flatten()
}

/// The JSON Schema of a kind's data at its current version.
#[must_use]
pub fn schema_of(kind: &str) -> Option<Schema> {
    let (_, schema) = all_kinds().find(|(name, _)| *name == kind)?;
    let mut generator = SchemaGenerator::default();
    let mut root = schema(&mut generator);
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        root.insert("$defs".to_owned(), definitions.into());
    }
    Some(root)
}

/// The version in which this build writes a kind; `None` if it does not know the kind.
#[must_use]
pub fn current_version(kind: &str) -> Option<u16> {
    all_kinds().any(|(name, _)| *name == kind).then(|| newest(kind))
}

impl Draft {
    /// The stored form.
    ///
    /// # Errors
    /// If there is neither event nor face, or the event cannot be written as JSON.
    pub fn encode(&self) -> Result<Stored, DecodeError> {
        let kind: Box<str> = match (&self.event, &self.face) {
            (Some(event), _) => event.kind().into(),
            (None, Some(face)) => (&*face.entry_type).into(),
            (None, None) => {
                let reason = "neither an event nor a face".to_owned();
                return Err(DecodeError::Malformed { kind: "".into(), reason });
            }
        };
        let face = self.face.as_ref();
        let body = match &self.event {
            None => serde_json::to_vec(&BodyOut::<()> { event: None, face }),
            Some(Event::Instance(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Roster(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Mission(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Checkpoint(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Marker(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Work(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Approval(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Chat(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Escalation(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Issue(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Tracker(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
            Some(Event::Routine(event)) => serde_json::to_vec(&BodyOut { event: Some(event), face }),
        };
        match body {
            Ok(body) => Ok(Stored { version: current_version(&kind).unwrap_or(1), kind, body }),
            Err(error) => Err(DecodeError::Malformed { kind, reason: error.to_string() }),
        }
    }

    /// The entry this draft becomes.
    #[must_use]
    pub fn at(self, offset: Offset, time: Time, actor: Actor) -> Entry {
        Entry { offset, time, subject: self.subject, actor, event: self.event, face: self.face }
    }
}

impl Entry {
    /// Reads a stored entry, upcasting an old shape first.
    ///
    /// # Errors
    /// See [`DecodeError`]: all of them stop a start-up, by name.
    pub fn decode(
        offset: Offset,
        time: Time,
        subject: &str,
        actor: &str,
        kind: &str,
        version: u16,
        body: &[u8],
    ) -> Result<Self, DecodeError> {
        let Some(known) = current_version(kind) else {
            let face = read_face(kind, version, body)?;
            let (subject, actor) = (subject.into(), Actor::parse(actor));
            return Ok(Self { offset, time, subject, actor, event: None, face: Some(face) });
        };
        if version > known {
            return Err(DecodeError::Newer { kind: kind.into(), version, known });
        }
        let upcasted = (version < known).then(|| upcast(kind, version, known, body)).transpose()?;
        let (event, face) = read_body(kind, upcasted.as_deref().unwrap_or(body))?;
        let named = event.as_ref().map(Event::kind);
        if named != Some(kind) {
            let reason = format!("the body holds {}", named.unwrap_or("no event"));
            return Err(DecodeError::Malformed { kind: kind.into(), reason });
        }
        Ok(Self { offset, time, subject: subject.into(), actor: Actor::parse(actor), event, face })
    }
}

/// An entry that is nothing but what the public sees changes no state, so its type may be any (the
/// set is open, `journal.md` 2.1). Anything else under an unknown kind stops the start.
fn read_face(kind: &str, version: u16, body: &[u8]) -> Result<Face, DecodeError> {
    let unknown = || DecodeError::Unknown(kind.into());
    let body: BodyIn<serde::de::IgnoredAny> = serde_json::from_slice(body).map_err(|_| unknown())?;
    let face = body.face.filter(|face| body.event.is_none() && version == 1 && &*face.entry_type == kind);
    face.ok_or_else(unknown)
}

fn read_body(kind: &str, body: &[u8]) -> Result<(Option<Event>, Option<Face>), DecodeError> {
    fn read<'a, E: Deserialize<'a> + Into<Event>>(
        kind: &str,
        body: &'a [u8],
    ) -> Result<(Option<Event>, Option<Face>), DecodeError> {
        let body: BodyIn<E> = serde_json::from_slice(body)
            .map_err(|error| DecodeError::Malformed { kind: kind.into(), reason: error.to_string() })?;
        Ok((body.event.map(Into::into), body.face))
    }
    // The prefix names the aggregate; what is left belongs to the roster.
    match kind.split_once('.').map_or(kind, |(room, _)| room) {
        "instance" | "user" | "token" => read::<InstanceEvent>(kind, body),
        "mission" | "task" => read::<MissionEvent>(kind, body),
        "checkpoint" | "fork" => read::<CheckpointEvent>(kind, body),
        "memory" => read::<MarkerEvent>(kind, body),
        "assignment" | "run" => read::<WorkEvent>(kind, body),
        "approval" => read::<ApprovalEvent>(kind, body),
        "chat" => read::<ChatEvent>(kind, body),
        "escalation" => read::<EscalationEvent>(kind, body),
        "issue" => read::<IssueEvent>(kind, body),
        "label" | "project" | "milestone" | "saved_view" | "triage_rule" | "triage" | "recurring_issue" => {
            read::<TrackerEvent>(kind, body)
        }
        "routine" | "waitpoint" => read::<RoutineEvent>(kind, body),
        _ => read::<RosterEvent>(kind, body),
    }
}
