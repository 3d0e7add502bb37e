//! What stands at one offset: an event, its public face, or both.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::{AgentId, CrewId, Event, MissionId, Offset, Text, Time, UserId};

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person, or a program with that person's token.
    User(UserId),
    /// An agent, through the door of its own.
    Agent(AgentId),
    /// The engine.
    Orchestrator,
    /// Taffrail itself, e.g. a follow-up at boot.
    System,
}

impl Actor {
    /// Reads what [`fmt::Display`] wrote; an unknown sort is the system.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("user", id)) => Self::User(id.into()),
            Some(("agent", id)) => Self::Agent(id.into()),
            _ if text == "orchestrator" => Self::Orchestrator,
            _ => Self::System,
        }
    }

    /// The acting person, if it is one.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Agent(_) | Self::Orchestrator | Self::System => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Agent(id) => write!(f, "agent:{id}"),
            Self::Orchestrator => f.write_str("orchestrator"),
            Self::System => f.write_str("system"),
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, in the order of the API page.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word on the wire, exactly.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How much an entry matters (`journal.md` 2.1).
    Severity {
        /// The normal course of things.
        #[default]
        Info = "info",
        /// Worth a look.
        Notice = "notice",
        /// Something went wrong and was dealt with.
        Warn = "warn",
        /// Something went wrong.
        Error = "error",
    }
}

words! {
    /// The operator's marker, the only field of an entry that can change (`journal.md` 2.1).
    Priority {
        /// No marker.
        #[default]
        Normal = "normal",
        /// More weight on recall.
        High = "high",
        /// In each agent's pinned notes.
        Pin = "pin",
        /// Exempt from any thinning.
        Permanent = "permanent",
    }
}

words! {
    /// The sort of actor an entry names (`journal.md` 2.1).
    ActorType {
        /// An agent.
        Agent = "agent",
        /// A person.
        User = "user",
        /// Taffrail.
        #[default]
        System = "system",
        /// The keeper of credentials.
        Keeper = "keeper",
        /// An agent's sidecar.
        Sidecar = "sidecar",
        /// The mission engine.
        Orchestrator = "orchestrator",
    }
}

/// A JSON object kept as text: stored, shown and compared without being taken apart.
#[derive(Clone, Debug)]
pub struct Json(Box<RawValue>);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Snapshots are no JSON: there it is a text like any other.
        match serializer.is_human_readable() {
            true => self.0.serialize(serializer),
            false => self.get().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => Box::<RawValue>::deserialize(deserializer).map(Self),
            false => {
                let text = String::deserialize(deserializer)?;
                RawValue::from_string(text).map(Self).map_err(serde::de::Error::custom)
            }
        }
    }
}

impl Json {
    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.get() == "{}"
    }

    /// The object with one member more.
    #[must_use]
    pub fn with(&self, name: &str, value: Value) -> Self {
        let mut members: Map<String, Value> = serde_json::from_str(self.get()).unwrap_or_default();
        members.insert(name.to_owned(), value);
        Value::Object(members).into()
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::from(Value::Object(Map::new()))
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        // A `Value` always has a JSON form.
        Self(to_raw_value(&value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl JsonSchema for Json {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

/// The public face of an entry: what `/journal` lists (`journal.md` 2.1). Ids, workspace, time and
/// priority come from its place in the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Face {
    /// Public type name: never renamed, only added to.
    pub entry_type: Text,
    /// How much it matters.
    #[serde(default, skip_serializing_if = "is_info")]
    pub severity: Severity,
    /// Sort of actor.
    pub actor_type: ActorType,
    /// Who, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<Text>,
    /// One line for people, never empty.
    pub summary: Text,
    /// Crew it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crew_id: Option<CrewId>,
    /// Agent it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Mission it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mission_id: Option<MissionId>,
    /// Run or trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Text>,
    /// Free facts by type.
    #[serde(default, skip_serializing_if = "Json::is_empty")]
    pub payload: Json,
    /// Cross links.
    #[serde(default, skip_serializing_if = "Json::is_empty")]
    pub refs: Json,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_info(severity: &Severity) -> bool {
    *severity == Severity::Info
}

/// Longest summary text behind its action (`journal.md` 2.4).
const SUMMARY_CHARS_MAX: usize = 120;

impl Face {
    /// A face of this type, by this actor, with the summary `action: details` cut as the API does.
    #[must_use]
    pub fn new(entry_type: &str, actor: &Actor, action: &str, details: &str) -> Self {
        let (actor_type, actor_id) = match actor {
            Actor::User(id) => (ActorType::User, Some(id.as_str().into())),
            Actor::Agent(id) => (ActorType::Agent, Some(id.as_str().into())),
            Actor::Orchestrator => (ActorType::Orchestrator, None),
            Actor::System => (ActorType::System, None),
        };
        let printable = |char: char| if char.is_control() { ' ' } else { char };
        let cut: String = details.chars().take(SUMMARY_CHARS_MAX).map(printable).collect();
        let summary = if cut.is_empty() { action.to_owned() } else { format!("{action}: {cut}") };
        Self {
            entry_type: entry_type.into(),
            actor_type,
            actor_id,
            summary: summary.into(),
            ..Self::default()
        }
    }
}

/// What `decide` wants to stand at the next offset.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it is about.
    pub subject: Text,
    /// The fact.
    pub event: Option<Event>,
    /// What the public sees of it.
    pub face: Option<Face>,
}

impl Draft {
    /// A fact that the public sees.
    pub fn public(subject: impl AsRef<str>, event: impl Into<Event>, face: Face) -> Self {
        Self { subject: subject.as_ref().into(), event: Some(event.into()), face: Some(face) }
    }

    /// Something the public sees that changes no state.
    pub fn shown(subject: impl AsRef<str>, face: Face) -> Self {
        Self { subject: subject.as_ref().into(), event: None, face: Some(face) }
    }

    /// A fact of our own.
    pub fn internal(subject: impl AsRef<str>, event: impl Into<Event>) -> Self {
        Self { subject: subject.as_ref().into(), event: Some(event.into()), face: None }
    }
}

/// What stands at one offset.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where.
    pub offset: Offset,
    /// When; never decreasing within a log.
    pub time: Time,
    /// What it is about.
    pub subject: Text,
    /// Who did it.
    pub actor: Actor,
    /// The fact.
    pub event: Option<Event>,
    /// What the public sees of it.
    pub face: Option<Face>,
}
