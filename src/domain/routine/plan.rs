//! What a routine would do, without doing any of it; and the name of a definition.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Routine;
use super::definition::{Action, Definition, Step, Until};
use crate::unfolding::Unfolding;
use crate::{Draft, Rejection, Workspace};

/// What a run would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What it would be given, defaults filled in.
    pub inputs: Map<String, Value>,
    /// Its steps, in order: what each is, with templates as they were written.
    pub steps: Vec<Value>,
    /// The slugs of the routines it would call.
    pub calls: Vec<String>,
    /// Why somebody should look at it.
    pub risks: Vec<&'static str>,
}

/// SHA-256 over a definition as canonical JSON: members in the order of their names.
#[must_use]
pub fn definition_hash(definition: &Value) -> String {
    let mut text = String::new();
    write_canonical(definition, &mut text);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (position, (name, member)) in members.into_iter().enumerate() {
                text.push_str(if position == 0 { "" } else { "," });
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(member, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                text.push_str(if position == 0 { "" } else { "," });
                write_canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

impl Planned {
    /// Of a definition that is stored nowhere.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(definition: &Value, inputs: &Map<String, Value>) -> Result<Self, String> {
        let read = Definition::read(definition)?;
        Ok(Self {
            inputs: read.with_defaults(inputs),
            steps: read.steps.iter().map(planned).collect(),
            calls: read.calls().into_iter().map(str::to_owned).collect(),
            risks: read.risks(),
        })
    }
}

fn planned(step: &Step) -> Value {
    let what = match &step.action {
        Action::Transform { expression, .. } => json!({ "expression": expression }),
        Action::Wait { until, timeout_seconds, .. } => {
            let kind = match until {
                Until::Approval => "approval",
                Until::Datetime(_) | Until::Seconds(_) => "datetime",
            };
            json!({ "kind": kind, "timeout_seconds": timeout_seconds })
        }
        Action::Notify { title, .. } => json!({ "title": title }),
        Action::CallPipeline { slug, .. } => json!({ "slug": slug }),
        Action::ForEach { step, .. } => json!({ "step": planned(step) }),
        Action::Crewship { verb, .. } => json!({ "action": verb.word() }),
        Action::Http { method, url, .. } => json!({ "method": method, "url": url }),
        Action::AgentRun { agent, .. } => json!({ "agent": agent, "needs_runtime": true }),
        Action::Code | Action::Script => json!({ "needs_runtime": true }),
    };
    let mut planned = json!({ "step_id": step.id, "type": step.action.type_name() });
    if let Some(condition) = &step.condition {
        planned["if"] = json!(condition);
    }
    if let (Value::Object(planned), Value::Object(what)) = (&mut planned, what) {
        planned.extend(what);
    }
    planned
}

impl Unfolding<'_> {
    /// Somebody looked at what a routine would do: a line in the journal, and nothing else.
    pub(super) fn note_dry_run(&mut self, routine: &Arc<Routine>, planned: &Planned) {
        let face = routine.dry_run_face(planned.steps.len(), self.context.actor);
        self.add(Draft::shown(routine.id.as_str(), face));
    }
}

impl Workspace {
    /// What a run of a routine would do.
    ///
    /// # Errors
    /// `pipeline not found`.
    pub fn plan_of(&self, slug: &str, inputs: &Map<String, Value>) -> Result<Planned, Rejection> {
        let routine = self.routine(slug)?;
        let definition: Value = serde_json::from_str(routine.facts.definition.get()).unwrap_or_default();
        let planned = Planned::of(&definition, inputs);
        planned.map_err(|error| Rejection::unprocessable("routine.invalid", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_has_one_name_however_it_is_written() {
        let one: Value = serde_json::from_str("{\"b\":[1,{\"d\":1,\"c\":\"é\"}],\"a\":null}").expect("JSON");
        let other: Value =
            serde_json::from_str("{ \"a\": null, \"b\": [1, {\"c\":\"\\u00e9\", \"d\":1}] }").expect("JSON");
        assert_eq!(definition_hash(&one), definition_hash(&other));
        assert_ne!(definition_hash(&one), definition_hash(&json!({ "a": null, "b": [{ "c": "é" }, 1] })));
        let mut text = String::new();
        write_canonical(&one, &mut text);
        assert_eq!(text, "{\"a\":null,\"b\":[1,{\"c\":\"é\",\"d\":1}]}");
    }
}
