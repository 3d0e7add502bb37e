//! Old stored shapes, one step at a time, on untyped JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{DecodeError, Text};

/// Kinds whose shape has changed, with the version they are written in now; all others are in their
/// first. A word that joins an enum is a change too: an older build would not know it.
const NEWEST: &[(&str, u16)] = &[
    ("agent.created", 2),
    ("agent.updated", 2),
    ("approval.requested", 2),
    ("assignment.created", 2),
    ("checkpoint.created", 2),
    ("instance.workspace_registered", 2),
    ("mission.created", 2),
    ("mission.status_change", 4),
    ("task.created", 2),
    ("task.status_change", 4),
    ("task.updated", 2),
    ("workspace.opened", 2),
];

/// The version in which a known kind is written.
pub(crate) fn newest(kind: &str) -> u16 {
    NEWEST.iter().find(|(name, _)| *name == kind).map_or(1, |(_, version)| *version)
}

/// A body in its stored order. An event is read in one go only if its kind comes first: what it holds
/// unread, like a payload, cannot be put aside until its kind is known.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    event: Lifted,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    face: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
struct Lifted {
    kind: Text,
    data: Value,
}

/// Lifts a body from `version` to `known`, one step per version.
pub(crate) fn upcast(kind: &str, version: u16, known: u16, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let malformed = |reason: String| DecodeError::Malformed { kind: kind.into(), reason };
    let mut body: Body<'_> = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    for from in version..known {
        let data = Some(&mut body.event.data).filter(|data| data.is_object());
        let data = data.ok_or_else(|| malformed("no event".to_owned()))?;
        step(kind, from, data).ok_or_else(|| malformed(format!("no step from version {from}")))?;
    }
    serde_json::to_vec(&body).map_err(|error| malformed(error.to_string()))
}

/// One step on an event's data; `None` where no such version was ever released.
fn step(kind: &str, from: u16, data: &mut Value) -> Option<()> {
    match (kind, from) {
        // Before there were clones nothing was cloned.
        ("mission.created", 1) => data["cloned_from"] = Value::Null,
        // The reasons `restart` and `resume` joined, then those of the engine with what only it says, then
        // those of issues; what was written before has none of them.
        ("mission.status_change" | "task.status_change", 1..=3) => {}
        // Nothing had to be approved, and nobody evaluated.
        ("task.created" | "task.updated", 1) => {}
        // Issues are held, and agents are called by comments; what was held or handed out before was neither.
        ("approval.requested" | "assignment.created", 1) => {}
        // Only missions were bookmarked, whose statuses are words like any other.
        ("checkpoint.created", 1) => {}
        // Nobody was asked for a language before.
        ("instance.workspace_registered" | "workspace.opened", 1) => data["preferred_language"] = Value::Null,
        // What agents have now and had not then, as a new agent has it.
        ("agent.created", 1) => add_to_agent(data.get_mut("agent")?),
        // An update stores only what changed, and of that nothing changed its shape.
        ("agent.updated", 1) => {}
        _ => return None,
    }
    Some(())
}

fn add_to_agent(agent: &mut Value) {
    for unset in ["suggested_prompts", "ask_forms", "schedule_cron", "schedule_prompt"] {
        agent[unset] = Value::Null;
    }
    agent["schedule_enabled"] = json!(false);
    agent["webhook_require_timestamp"] = json!(false);
}
