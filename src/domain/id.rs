//! Ids, offsets and times. Received ids are opaque: anything unknown is simply not found.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Shared, immutable text: cloning a state costs a counter, not a copy.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<str>);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// By hand: serde's own impl for `Arc<str>` makes a `String` first, and replay is mostly texts.
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;
        impl Visitor<'_> for AnyText {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(AnyText)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A workspace: the tenant.
    WorkspaceId;
    /// A person with a login.
    UserId;
    /// A CLI token's row; never the secret.
    TokenId;
    /// A membership's row in a workspace.
    MemberId;
    /// A person's place in a crew.
    CrewMemberId;
    /// A link between two crews.
    ConnectionId;
    /// A webhook secret; never the secret itself.
    SecretId;
    /// A crew.
    CrewId;
    /// An agent.
    AgentId;
    /// A mission, or an issue: they share one id space (`issues.md` 20).
    MissionId;
    /// A task of a mission.
    TaskId;
    /// A piece of work handed to one agent.
    AssignmentId;
    /// One try of one agent at something; also the trace id of its entries.
    RunId;
    /// A conversation with an agent; a mission's has the mission's id.
    ChatId;
    /// A question that a person has to decide.
    ApprovalId;
    /// A question that an agent asks people.
    EscalationId;
    /// A checkpoint: `chk_` and 16 hex digits (ruling R2).
    CheckpointId;
    /// A comment on an issue.
    CommentId;
    /// A link between two issues.
    RelationId;
    /// A file at an issue.
    AttachmentId;
    /// A label.
    LabelId;
    /// A project.
    ProjectId;
    /// A milestone of a project.
    MilestoneId;
    /// A saved view.
    SavedViewId;
    /// A triage rule.
    TriageRuleId;
    /// A recurring issue.
    RecurringId;
    /// A routine: the API calls it a pipeline.
    RoutineId;
    /// One run of a routine: `run_` and 16 hex digits.
    RoutineRunId;
}

/// Position in a log: dense, the first entry is 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The position `count` entries further on.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Time(pub u64);

/// RFC 3339, to the second, as times within payloads stand.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second =
            i64::try_from(self.0 / 1_000).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
        write!(f, "{}", second.unwrap_or(jiff::Timestamp::MAX))
    }
}

/// A log's 24-bit tag: 0 is the instance log, every workspace has its own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct LogTag(pub u32);

impl LogTag {
    /// The log of users, tokens and the registry of workspaces.
    pub const INSTANCE: Self = Self(0);
    /// The last tag that fits 24 bits.
    pub const LAST: Self = Self((1 << 24) - 1);
}

const OFFSET_BITS: u32 = 40;

/// A position as clients see it: `j_` and 16 hex digits, 24 bits of log tag and 40 of offset
/// (ruling R3, layout b). Id order is commit order, and no id exists in two workspaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The log it stands in.
    pub log: LogTag,
    /// Its position there.
    pub offset: Offset,
}

impl EntryId {
    /// The public name of an offset.
    #[must_use]
    pub fn new(log: LogTag, offset: Offset) -> Self {
        Self { log, offset }
    }

    /// Reads `j_` and exactly 16 lowercase hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("j_")?;
        let lowercase_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() != 16 || !lowercase_hex {
            return None;
        }
        let raw = u64::from_str_radix(digits, 16).ok()?;
        let log = u32::try_from(raw >> OFFSET_BITS).ok()?;
        Some(Self { log: LogTag(log), offset: Offset(raw & ((1 << OFFSET_BITS) - 1)) })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "j_{:016x}", u64::from(self.log.0) << OFFSET_BITS | self.offset.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an entry id"))
    }
}

impl JsonSchema for EntryId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EntryId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^j_[0-9a-f]{16}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_id_names_log_and_offset_and_sorts_by_offset() {
        let id = EntryId::new(LogTag(1), Offset(42));
        assert_eq!(id.to_string(), "j_000001000000002a");
        assert_eq!(EntryId::parse("j_000001000000002a"), Some(id));
        assert!(id.to_string() < EntryId::new(LogTag(1), Offset(43)).to_string());
    }

    #[test]
    fn only_two_letters_and_sixteen_lowercase_digits_are_an_entry_id() {
        for text in ["", "j_", "j_2a", "j_000001000000002A", "j_+00001000000002a", "k_000001000000002a"] {
            assert_eq!(EntryId::parse(text), None, "{text}");
        }
    }
}
