//! One step after the other, as far as one batch reaches.
//!
//! A run goes on until it and all that it leads to wait or are over. What does not fit into one batch is left
//! as it is: a run that has something to do and waits for nothing is gone on with by the engine.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use imbl::Vector;
use serde_json::Value;

use super::definition::{Action, Definition, Step};
use super::effort::{COMMAND_MAX, Effort};
use super::known::{Known, parsed, read};
use super::template::{fits, holds, render_value};
use super::{
    Routine, RoutineItemEnded, RoutineLoopBegun, RoutineRun, RoutineRunEnded, RoutineRunStatus,
    RoutineStepEnded, StepStatus, WaitOn,
};
use crate::unfolding::Unfolding;
use crate::{Draft, Json, RoutineRunId, Text};

/// Most that one step may yield, as JSON.
pub(super) const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Most that the steps of one run may yield together.
const RUN_BYTES_MAX: u64 = 1 << 20;
/// Most that a run and those it leads to may be given and yield together.
const TREE_BYTES_MAX: u64 = 16 << 20;
/// Most items of one `foreach`.
const ITEMS_MAX: usize = 500;
/// Most steps and items of one run and of those it leads to: calls within loops multiply.
const TAKEN_MAX: u32 = 5_000;
/// Past this many frames a command begins no further step: with those of the last one they stay far below
/// what a batch may hold.
const FRAMES_MAX: usize = 1_000;
/// The same for their bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Most frames, and bytes of them, that one step may lead to: what the batch holds already and what ends the
/// run come on top.
const STEP_FRAMES_MAX: usize = 2_000;
const STEP_BYTES_MAX: usize = 16 << 20;
/// Most of one frame, some room below what a journal takes.
const FRAME_BYTES_MAX: usize = 3 << 20;
/// Longest error, in letters.
const ERROR_CHARS_MAX: usize = 1_000;

/// Why a step failed, and what it yielded all the same.
pub(super) struct Failure {
    pub(super) error: String,
    pub(super) output: Option<Value>,
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self { error, output: None }
    }
}

impl From<&str> for Failure {
    fn from(error: &str) -> Self {
        Self::from(error.to_owned())
    }
}

/// What came of a step.
pub(super) type Outcome = Result<Value, Failure>;

/// What a step led to.
pub(super) enum Acted {
    /// It is over.
    Done(Outcome),
    /// It waits, and that is written down.
    Waits,
    /// It called another routine, whose run goes first.
    Calls(RoutineRunId),
}

pub(super) struct Machine<'m, 'c> {
    pub(super) unfolding: &'m mut Unfolding<'c>,
    known: BTreeMap<RoutineRunId, Known>,
    /// Definitions by their hashes: a loop calls the same one over and over.
    definitions: BTreeMap<Text, Rc<Definition>>,
    effort: Rc<Effort>,
    /// How many drafts were measured, and their bytes.
    measured: usize,
    bytes: usize,
}

impl<'m, 'c> Machine<'m, 'c> {
    pub(super) fn of(unfolding: &'m mut Unfolding<'c>) -> Self {
        let effort = Rc::default();
        Self {
            unfolding,
            known: BTreeMap::new(),
            definitions: BTreeMap::new(),
            effort,
            measured: 0,
            bytes: 0,
        }
    }

    /// Goes on with a run as far as it goes.
    pub(super) fn go_on(&mut self, run: RoutineRunId) {
        let mut next = Some(run);
        while let Some(id) = next {
            if self.is_full() {
                return;
            }
            next = self.take_step(&id);
        }
    }

    /// Whether the rest is left to another command.
    pub(super) fn is_full(&mut self) -> bool {
        let new = self.unfolding.since(self.measured);
        self.bytes = new.iter().map(bytes_of).fold(self.bytes, usize::saturating_add);
        self.measured = self.unfolding.len();
        self.measured >= FRAMES_MAX || self.bytes >= BATCH_BYTES_MAX || self.effort.so_far() >= COMMAND_MAX
    }

    /// What a run waited for has come: its step is over. The run to go on with.
    pub(super) fn resume(&mut self, id: &RoutineRunId, outcome: Outcome) -> Option<RoutineRunId> {
        let run = self.run(id).filter(|run| run.waiting.is_some())?;
        let definition = match self.know(&run) {
            Ok(definition) => definition,
            Err(error) => return self.fail(id, None, error),
        };
        let step = definition.steps.get(run.steps.len())?;
        match &step.action {
            Action::ForEach { step: inner, .. } if run.looping.is_some() => {
                self.end_item(&run, step, inner, outcome)
            }
            _ => self.end_step(id, step, outcome),
        }
    }

    pub(super) fn run(&self, id: &RoutineRunId) -> Option<Arc<RoutineRun>> {
        self.unfolding.state.routines.runs.get(id).cloned()
    }

    /// What the templates of a run see; there since its first step here.
    pub(super) fn known(&self, id: &RoutineRunId) -> &Known {
        &self.known[id]
    }

    fn know(&mut self, run: &RoutineRun) -> Result<Rc<Definition>, String> {
        if !self.known.contains_key(&run.id) {
            let definition = self.definition(&run.facts.definition_hash, &run.definition)?;
            let known = Known::of(run, definition, Rc::clone(&self.effort));
            self.known.insert(run.id.clone(), known);
        }
        Ok(Rc::clone(&self.known(&run.id).definition))
    }

    fn definition(&mut self, hash: &Text, definition: &Json) -> Result<Rc<Definition>, String> {
        if let Some(found) = self.definitions.get(hash) {
            return Ok(Rc::clone(found));
        }
        self.effort.add(definition.get().len());
        let definition = read(definition)?;
        self.definitions.insert(hash.clone(), Rc::clone(&definition));
        Ok(definition)
    }

    /// What a routine does, read once for all that call it.
    pub(super) fn definition_of(&mut self, routine: &Routine) -> Result<Rc<Definition>, String> {
        self.definition(&routine.facts.definition_hash, &routine.facts.definition)
    }

    /// How many steps were taken by a run, those it called and those that called it.
    fn taken(&self, run: &RoutineRun) -> u32 {
        let caller = run.facts.called_by.as_ref().and_then(|caller| self.run(&caller.run_id));
        run.taken.saturating_add(caller.map_or(0, |caller| self.taken(&caller)))
    }

    /// How much was given to and yielded by a run, those it called and those that called it.
    fn tree_bytes(&self, run: &RoutineRun) -> u64 {
        let caller = run.facts.called_by.as_ref().and_then(|caller| self.run(&caller.run_id));
        run.tree_bytes.saturating_add(caller.map_or(0, |caller| self.tree_bytes(&caller)))
    }

    fn take_step(&mut self, id: &RoutineRunId) -> Option<RoutineRunId> {
        let run = self.run(id).filter(|run| run.status == RoutineRunStatus::Running)?;
        let definition = match self.know(&run) {
            Ok(definition) => definition,
            Err(error) => return self.fail(id, None, error),
        };
        let Some(step) = definition.steps.get(run.steps.len()) else {
            return self.end_run(id, ended(RoutineRunStatus::Completed));
        };
        if self.taken(&run) >= TAKEN_MAX {
            return self.fail(id, Some(&step.id), format!("a run may take at most {TAKEN_MAX} steps"));
        }
        if self.tree_bytes(&run) >= TREE_BYTES_MAX {
            let error = "what a run and those it calls are given and yield is larger than 16 MiB".to_owned();
            return self.fail(id, Some(&step.id), error);
        }
        match &step.action {
            Action::ForEach { step: inner, .. } if run.looping.is_some() => self.take_item(&run, step, inner),
            _ => self.begin_step(&run, step),
        }
    }

    fn begin_step(&mut self, run: &RoutineRun, step: &Step) -> Option<RoutineRunId> {
        let scope = self.known(&run.id).scope(None);
        if step.condition.as_ref().is_some_and(|condition| !holds(condition, &scope)) {
            self.close_step(run, step, StepStatus::Skipped, None, None);
            return Some(run.id.clone());
        }
        let face = run.step_started_face(&(&*step.id).into(), step.action.type_name());
        self.unfolding.add(Draft::shown(run.id.as_str(), face));
        let acted = match &step.action {
            Action::ForEach { items, .. } => match self.begin_loop(run, step, items) {
                Ok(()) => return Some(run.id.clone()),
                Err(error) => Acted::Done(Err(error.into())),
            },
            _ => self.act_within_bounds(run, step, None),
        };
        match acted {
            Acted::Done(outcome) => self.end_step(&run.id, step, outcome),
            Acted::Waits => None,
            Acted::Calls(called) => Some(called),
        }
    }

    /// A step that leads to more than can be written down in one go is undone, and has failed: it would fail
    /// alike whenever it were tried.
    fn act_within_bounds(&mut self, run: &RoutineRun, step: &Step, item: Option<&Value>) -> Acted {
        // Whatever else a step may do is small by itself.
        if !matches!(step.action, Action::Crewship { .. }) {
            return self.act(run, step, item);
        }
        let (mark, first) = (self.unfolding.mark(), self.unfolding.len());
        let acted = self.act(run, step, item);
        let sizes = self.unfolding.since(first).iter().map(bytes_of);
        let (frames, largest) = (self.unfolding.len() - first, sizes.clone().max().unwrap_or_default());
        let bytes = sizes.fold(0, usize::saturating_add);
        if frames <= STEP_FRAMES_MAX && largest <= FRAME_BYTES_MAX && bytes <= STEP_BYTES_MAX {
            return acted;
        }
        self.unfolding.go_back(mark);
        Acted::Done(Err("what the step does is too much to be written down in one go".into()))
    }

    fn begin_loop(&mut self, run: &RoutineRun, step: &Step, items: &Value) -> Result<(), String> {
        let Value::Array(items) = render_value(items, &self.known(&run.id).scope(None)) else {
            return Err("items is no list".to_owned());
        };
        if items.len() > ITEMS_MAX {
            return Err(format!("items are more than {ITEMS_MAX}"));
        }
        let stored = Json::from(Value::Array(items.clone()));
        if stored.get().len() > OUTPUT_BYTES_MAX {
            return Err("items are larger than 64 KiB".to_owned());
        }
        if let Some(known) = self.known.get_mut(&run.id) {
            known.items = Rc::new(items);
        }
        let begun = RoutineLoopBegun { step_id: (&*step.id).into(), items: Arc::new(stored) };
        self.unfolding.add(Draft::internal(run.id.as_str(), begun));
        Ok(())
    }

    fn take_item(&mut self, run: &RoutineRun, step: &Step, inner: &Step) -> Option<RoutineRunId> {
        let done = run.looping.as_ref().map(|looping| &looping.outputs);
        let items = Rc::clone(&self.known(&run.id).items);
        let Some(item) = items.get(done.map_or(0, Vector::len)) else {
            let outputs = done.into_iter().flatten().map(|output| parsed(output)).collect();
            return self.end_step(&run.id, step, Ok(outputs));
        };
        let scope = self.known(&run.id).scope(Some(item));
        if inner.condition.as_ref().is_some_and(|condition| !holds(condition, &scope)) {
            return self.end_item(run, step, inner, Ok(Value::Null));
        }
        match self.act_within_bounds(run, inner, Some(item)) {
            Acted::Done(outcome) => self.end_item(run, step, inner, outcome),
            Acted::Calls(called) => Some(called),
            // A definition with a wait in a loop is refused.
            Acted::Waits => None,
        }
    }

    fn end_item(
        &mut self,
        run: &RoutineRun,
        step: &Step,
        inner: &Step,
        outcome: Outcome,
    ) -> Option<RoutineRunId> {
        let (output, error) = match outcome {
            Ok(output) => (output, None),
            Err(failure) if inner.continues_on_error => (Value::Null, Some(cut(&failure.error))),
            Err(failure) => return self.end_step(&run.id, step, Err(failure)),
        };
        if !fits(&output) {
            return self.end_step(&run.id, step, Err("output of an item is too large or too deep".into()));
        }
        let output = Json::from(output);
        let before = run.looping.as_ref().map_or(0, |looping| looping.bytes);
        if before + output.get().len() as u64 > OUTPUT_BYTES_MAX as u64 {
            return self.end_step(&run.id, step, Err("outputs of the items are larger than 64 KiB".into()));
        }
        let ended = RoutineItemEnded { step_id: (&*step.id).into(), output: Arc::new(output), error };
        self.unfolding.add(Draft::internal(run.id.as_str(), ended));
        Some(run.id.clone())
    }

    /// A step is over; what it yields may be too much.
    fn end_step(&mut self, id: &RoutineRunId, step: &Step, outcome: Outcome) -> Option<RoutineRunId> {
        let run = self.run(id)?;
        let (output, error) = match outcome {
            Ok(output) => (Some(output), None),
            Err(failure) => (failure.output, Some(failure.error)),
        };
        let size = output.as_ref().map_or(0, |output| output.to_string().len());
        let too_large = if size > OUTPUT_BYTES_MAX {
            Some("output is larger than 64 KiB")
        } else if !output.as_ref().is_none_or(fits) {
            Some("output is too deep")
        } else if run.bytes + size as u64 > RUN_BYTES_MAX {
            Some("outputs of the run are larger than 1 MiB")
        } else {
            None
        };
        let output = output.filter(|_| too_large.is_none());
        let error = error.or(too_large.map(str::to_owned));
        let status = if error.is_some() { StepStatus::Failed } else { StepStatus::Completed };
        self.close_step(&run, step, status, output, error.clone());
        match error {
            Some(error) if !step.continues_on_error => self.fail(id, Some(&step.id), error),
            _ => Some(id.clone()),
        }
    }

    fn close_step(
        &mut self,
        run: &RoutineRun,
        step: &Step,
        status: StepStatus,
        output: Option<Value>,
        error: Option<String>,
    ) {
        let looping = run.looping.as_ref().map(|looping| looping.since);
        let waiting = run.waiting.as_ref().map(|waiting| waiting.since);
        let now = self.unfolding.context.now;
        let stored = output.as_ref().map(|output| Arc::new(Json::from(output.clone())));
        let ended = RoutineStepEnded {
            step_id: (&*step.id).into(),
            status,
            output: stored,
            error: error.as_deref().map(cut),
            begun_at: looping.or(waiting).unwrap_or(now),
        };
        let face = run.step_ended_face(&ended, now.0);
        self.unfolding.add(Draft::public(run.id.as_str(), ended, face));
        if let (Some(output), Some(known)) = (output, self.known.get_mut(&run.id)) {
            known.outputs.insert(step.id.clone(), output);
        }
    }

    fn fail(&mut self, id: &RoutineRunId, step: Option<&str>, error: String) -> Option<RoutineRunId> {
        let ended = RoutineRunEnded {
            failed_at_step: step.map(Into::into),
            error_message: Some(cut(&error)),
            ..ended(RoutineRunStatus::Failed)
        };
        self.end_run(id, ended)
    }

    /// A run is over; the one that called it goes on.
    pub(super) fn end_run(&mut self, id: &RoutineRunId, ended: RoutineRunEnded) -> Option<RoutineRunId> {
        let run = self.run(id)?;
        let face = run.ended_face(&ended, self.unfolding.context.now.0);
        let outcome = match (ended.status, &ended.error_message) {
            (RoutineRunStatus::Completed, _) => Ok(run.output().map_or(Value::Null, |output| parsed(output))),
            (status, None) => Err(format!("{}: {status}", run.slug).into()),
            (_, Some(error)) => Err(format!("{}: {error}", run.slug).into()),
        };
        self.unfolding.add(Draft::public(id.as_str(), ended, face));
        self.known.remove(id);
        let caller = run.facts.called_by.as_ref()?;
        let waits = self.run(&caller.run_id)?.waiting.as_ref().map(|waiting| waiting.on.clone());
        if waits != Some(WaitOn::Run(id.clone())) {
            return None;
        }
        self.resume(&caller.run_id, outcome)
    }
}

/// What a draft takes in a journal, without its header. What cannot be written down is too much.
fn bytes_of(draft: &Draft) -> usize {
    draft.encode().map_or(usize::MAX, |stored| stored.body.len())
}

/// A run that is over, with nothing to say about it.
pub(super) fn ended(status: RoutineRunStatus) -> RoutineRunEnded {
    RoutineRunEnded { status, failed_at_step: None, error_message: None }
}

fn cut(error: &str) -> Text {
    error.chars().take(ERROR_CHARS_MAX).collect::<String>().into()
}
