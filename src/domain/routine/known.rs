//! A run as its templates see it: taken apart once, and kept in step while it is worked on.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::RoutineRun;
use super::definition::Definition;
use super::effort::Effort;
use super::template::Scope;
use crate::Json;

pub(super) struct Known {
    pub(super) definition: Rc<Definition>,
    inputs: Map<String, Value>,
    pub(super) outputs: BTreeMap<String, Value>,
    run: Value,
    /// The items of the `foreach` it is in.
    pub(super) items: Rc<Vec<Value>>,
    effort: Rc<Effort>,
}

/// What is stored was JSON when it was stored.
pub(super) fn parsed(json: &Json) -> Value {
    serde_json::from_str(json.get()).unwrap_or_default()
}

/// The definition of a run, or of a routine, typed.
///
/// # Errors
/// What is wrong with it, though it was checked when it was saved.
pub(super) fn read(definition: &Json) -> Result<Rc<Definition>, String> {
    Definition::read(&parsed(definition)).map(Rc::new)
}

impl Known {
    pub(super) fn of(run: &RoutineRun, definition: Rc<Definition>, effort: Rc<Effort>) -> Self {
        effort.add(usize::try_from(run.bytes).unwrap_or(usize::MAX));
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
        Self { definition, inputs, outputs: outputs.collect(), run: about, items: Rc::new(items), effort }
    }

    pub(super) fn scope<'a>(&'a self, item: Option<&'a Value>) -> Scope<'a> {
        Scope { inputs: &self.inputs, steps: &self.outputs, run: &self.run, item, effort: &self.effort }
    }
}
