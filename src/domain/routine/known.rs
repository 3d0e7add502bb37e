//! A run as its templates see it: taken apart once, and kept in step while it is worked on.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::RoutineRun;
use super::definition::Definition;
use super::template::Scope;
use crate::Json;

pub(super) struct Known {
    pub(super) definition: Rc<Definition>,
    inputs: Map<String, Value>,
    pub(super) outputs: BTreeMap<String, Value>,
    run: Value,
    /// The items of the `foreach` it is in.
    pub(super) items: Rc<Vec<Value>>,
}

/// What is stored was JSON when it was stored.
pub(super) fn parsed(json: &Json) -> Value {
    serde_json::from_str(json.get()).unwrap_or_default()
}

impl Known {
    /// # Errors
    /// What is wrong with the definition, though it was checked when it was saved.
    pub(super) fn of(run: &RoutineRun) -> Result<Self, String> {
        let definition = Definition::read(&parsed(&run.definition))?;
        let inputs = match parsed(&run.facts.inputs) {
            Value::Object(inputs) => inputs,
            _ => Map::new(),
        };
        let outputs = run.outputs.iter().map(|(step, output)| (step.to_string(), parsed(output)));
        let items = match run.looping.as_ref().map(|looping| parsed(&looping.items)) {
            Some(Value::Array(items)) => items,
            _ => vec![],
        };
        let facts = &run.facts;
        let about = json!({
            "id": run.id, "pipeline_id": facts.routine_id, "pipeline_slug": run.slug,
            "triggered_via": facts.triggered_via, "triggered_by_id": facts.triggered_by_id,
            "issue_id": facts.issue_id, "started_at": run.started_at.to_string(),
            "parent_run_id": facts.called_by.as_ref().map(|caller| &caller.run_id),
        });
        Ok(Self {
            definition: Rc::new(definition),
            inputs,
            outputs: outputs.collect(),
            run: about,
            items: Rc::new(items),
        })
    }

    pub(super) fn scope<'a>(&'a self, item: Option<&'a Value>) -> Scope<'a> {
        Scope { inputs: &self.inputs, steps: &self.outputs, run: &self.run, item }
    }
}
