//! Runs begin, are stopped, and hear of what they waited for (`periphery.md` 10, 11).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::definition::Definition;
use super::known::{parsed, read};
use super::machine::{Failure, Machine, OUTPUT_BYTES_MAX, Outcome, ended};
use super::steps::waited;
use super::{
    Fetched, Routine, RoutineRun, RoutineRunFacts, RoutineRunStarted, RoutineRunStatus, RoutineStatus,
    RunDraft, WaitOn, WaitpointDecided, WaitpointOutcome, template,
};
use crate::issue::{Action, Issue, Party};
use crate::unfolding::Unfolding;
use crate::{Actor, Draft, Json, MissionId, Offset, Rejection, RoutineRunId, Text};

/// Most that a run may be given, as JSON.
pub(crate) const INPUTS_BYTES_MAX: usize = 64 << 10;
const METADATA_BYTES_MAX: usize = 16 << 10;
/// Most that a decision may bring along.
const PAYLOAD_BYTES_MAX: usize = 32 << 10;
const COMMENT_CHARS_MAX: usize = 2_000;
const TAGS_MAX: usize = 32;
const TAG_CHARS_MAX: usize = 64;
/// Longest name of what set a run going.
const TRIGGER_CHARS_MAX: usize = 200;
/// Most runs of one routine that are not over.
const LIVE_MAX: usize = 100;
/// The same of a whole workspace: each of them may hold a MiB.
const LIVE_OF_ALL_MAX: usize = 2_000;
/// What of another server's answer is kept, so that it fits what a step may yield.
const BODY_BYTES_MAX: usize = OUTPUT_BYTES_MAX - 1_024;
/// What may set a run going; anything else is a person.
const TRIGGERS: [&str; 5] = ["manual", "schedule", "webhook", "call_pipeline", "issue"];

/// What a run is given, defaults filled in.
pub(super) fn inputs_with_defaults(
    definition: &Definition,
    given: &Map<String, Value>,
) -> Result<Arc<Json>, Rejection> {
    let inputs = Value::Object(definition.with_defaults(given));
    if !template::fits(&inputs) {
        let detail = "inputs are larger than 64 KiB, or too deep";
        return Err(Rejection::too_large("routine.inputs_too_large", detail));
    }
    let stored = Json::from(inputs);
    if stored.get().len() > INPUTS_BYTES_MAX {
        return Err(Rejection::too_large("routine.inputs_too_large", "inputs are larger than 64 KiB"));
    }
    Ok(Arc::new(stored))
}

fn tags(wish: Option<&Value>) -> Vec<Text> {
    let words = wish.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let short = |word: &str| word.chars().take(TAG_CHARS_MAX).collect::<String>().into();
    words.take(TAGS_MAX).map(short).collect()
}

fn metadata(wish: Option<&Map<String, Value>>) -> Result<Arc<Json>, Rejection> {
    let metadata = Value::Object(wish.cloned().unwrap_or_default());
    let is_shallow = template::fits(&metadata);
    let metadata = Json::from(metadata);
    if !is_shallow || metadata.get().len() > METADATA_BYTES_MAX {
        return Err(Rejection::too_large("routine.metadata_too_large", "metadata is larger than 16 KiB"));
    }
    Ok(Arc::new(metadata))
}

impl Unfolding<'_> {
    /// A person, or a program of theirs, runs a routine.
    pub(super) fn run_routine(&mut self, routine: &Arc<Routine>, draft: &RunDraft) -> Result<(), Rejection> {
        let via = draft.triggered_via.as_deref().filter(|via| TRIGGERS.contains(via)).unwrap_or("manual");
        let by = draft.triggered_by_id.as_deref().filter(|by| !by.is_empty());
        let by = by.map(|by| by.chars().take(TRIGGER_CHARS_MAX).collect::<String>());
        let issue = by.as_deref().filter(|_| via == "issue").and_then(|by| self.state.issues.named(by));
        let issue = issue.map(|issue| issue.id.clone());
        let facts = RoutineRunFacts {
            triggered_via: via.into(),
            triggered_by_id: by
                .map(Into::into)
                .or_else(|| self.context.actor.user().map(|user| user.as_str().into())),
            tags: tags(draft.tags.as_ref()),
            metadata: metadata(draft.metadata.as_ref())?,
            ..self.facts_of_run(routine, draft.inputs.as_ref().unwrap_or(&Map::new()), issue)?
        };
        let id = self.fresh_run();
        self.begin_routine_run(&id, facts);
        Machine::of(self).go_on(id);
        Ok(())
    }

    /// An issue's own routine runs, with its own inputs and these in their stead (`issues.md` 14).
    pub(super) fn run_for_issue(
        &mut self,
        issue: &Arc<Issue>,
        inputs: &Map<String, Value>,
    ) -> Result<(), Rejection> {
        let bound = issue.facts.routine_id.as_ref().and_then(|id| self.state.routines.live(id.as_str()));
        let routine = bound
            .cloned()
            .ok_or_else(|| Rejection::invalid("issue.no_routine", "Issue has no routine bound"))?;
        let mut given = match parsed(&issue.facts.routine_inputs) {
            Value::Object(given) => given,
            _ => Map::new(),
        };
        given.extend(inputs.clone());
        let facts = RoutineRunFacts {
            triggered_via: "issue".into(),
            triggered_by_id: Some(issue.identifier.clone()),
            ..self.facts_of_run(&routine, &given, Some(issue.id.clone()))?
        };
        let id = self.fresh_run();
        self.begin_routine_run(&id, facts);
        let actor = self.context.actor.clone();
        self.note_issue(issue, &Action::RoutineStarted(id.as_str().into()), &actor);
        Machine::of(self).go_on(id);
        Ok(())
    }

    fn fresh_run(&self) -> RoutineRunId {
        format!("run_{}", self.context.mint.hex16()).into()
    }

    /// What every run that nobody called has, if it may begin.
    fn facts_of_run(
        &self,
        routine: &Routine,
        given: &Map<String, Value>,
        issue_id: Option<MissionId>,
    ) -> Result<RoutineRunFacts, Rejection> {
        if routine.status != RoutineStatus::Active {
            return Err(routine.refused());
        }
        if self.state.routines.live_runs_of(&routine.id).count() >= LIVE_MAX {
            let detail = format!("at most {LIVE_MAX} runs of a routine may be under way");
            return Err(Rejection::too_many("routine.too_many_runs", detail));
        }
        if self.state.routines.live_of.len() >= LIVE_OF_ALL_MAX {
            let detail = format!("at most {LIVE_OF_ALL_MAX} runs of routines may be under way");
            return Err(Rejection::too_many("routine.too_many_runs", detail));
        }
        let definition = read(&routine.facts.definition);
        let definition = definition.map_err(|error| Rejection::unprocessable("routine.invalid", error))?;
        let started_by = match self.context.actor {
            Actor::User(user) => Some(Party::user(user)),
            Actor::Agent(agent) => Some(Party::agent(agent)),
            Actor::Orchestrator | Actor::System => None,
        };
        Ok(RoutineRunFacts {
            routine_id: routine.id.clone(),
            definition_hash: routine.facts.definition_hash.clone(),
            inputs: inputs_with_defaults(&definition, given)?,
            triggered_via: "manual".into(),
            triggered_by_id: None,
            started_by,
            issue_id,
            tags: vec![],
            metadata: Arc::new(Json::default()),
            called_by: None,
            depth: 0,
        })
    }

    /// Writes down that a run began; nothing of it is done yet.
    pub(super) fn begin_routine_run(&mut self, id: &RoutineRunId, facts: RoutineRunFacts) {
        let Some(routine) = self.state.routines.all.get(&facts.routine_id).cloned() else { return };
        let face = routine.started_face(id, &facts);
        let started = RoutineRunStarted { run: facts.into() };
        self.add(Draft::public(id.as_str(), started, face));
    }

    /// Somebody stops a run. The one that called it goes on.
    pub(super) fn cancel_run(&mut self, run: &Arc<RoutineRun>) -> Result<(), Rejection> {
        if !run.status.is_live() {
            let detail = format!("pipeline run has already ended ({})", run.status);
            return Err(Rejection::conflict("routine.run_over", detail));
        }
        let mut machine = Machine::of(self);
        let next = machine.stop(run);
        next.into_iter().for_each(|next| machine.go_on(next));
        Ok(())
    }

    fn close_waitpoint(
        &mut self,
        run: &RoutineRun,
        outcome: WaitpointOutcome,
        comment: Option<Text>,
        by: &Actor,
    ) {
        let Some(waiting) = &run.waiting else { return };
        let by = by.user().cloned();
        let decided = WaitpointDecided { step_id: waiting.step_id.clone(), outcome, by, comment };
        self.add(Draft::internal(run.id.as_str(), decided));
    }

    fn resume_run(&mut self, run: &RoutineRunId, outcome: Outcome) {
        let mut machine = Machine::of(self);
        let next = machine.resume(run, outcome);
        next.into_iter().for_each(|next| machine.go_on(next));
    }

    /// Somebody decides, once. One that never was, is decided or is over answers alike.
    pub(super) fn decide_waitpoint(
        &mut self,
        waitpoint: &str,
        approved: bool,
        comment: Option<&Text>,
        payload: Option<&Value>,
    ) -> Result<(), Rejection> {
        let routines = &self.state.routines;
        let run = routines.waitpoints.get(waitpoint).and_then(|id| routines.runs.get(id)).cloned();
        let is_open = |run: &Arc<RoutineRun>| match run.waiting.as_ref().map(|waiting| &waiting.on) {
            Some(WaitOn::Approval { timeout_at, .. }) => self.context.now < *timeout_at,
            _ => false,
        };
        let run = run.filter(is_open).ok_or_else(|| {
            Rejection::conflict("waitpoint.not_pending", "waitpoint: already decided or expired")
        })?;
        let is_too_large =
            |payload: &Value| !template::fits(payload) || payload.to_string().len() > PAYLOAD_BYTES_MAX;
        if payload.is_some_and(is_too_large) {
            return Err(Rejection::too_large("waitpoint.payload_too_large", "payload is larger than 32 KiB"));
        }
        let comment = comment.map(|comment| comment.chars().take(COMMENT_CHARS_MAX).collect::<String>());
        let comment: Option<Text> = comment.filter(|comment| !comment.trim().is_empty()).map(Into::into);
        let actor = self.context.actor.clone();
        let outcome = if approved { WaitpointOutcome::Approved } else { WaitpointOutcome::Denied };
        self.close_waitpoint(&run, outcome, comment.clone(), &actor);
        let outcome = match (approved, comment) {
            (true, comment) => Ok(json!({
                "approved": true, "comment": comment, "payload": payload, "decided_by": actor.user(),
            })),
            (false, None) => Err("waitpoint denied".into()),
            (false, Some(comment)) => Err(format!("waitpoint denied: {comment}").into()),
        };
        self.resume_run(&run.id, outcome);
        Ok(())
    }

    /// A time has come, there is more to do, or its routine is gone. What is not so any more is not done.
    pub(super) fn wake_run(&mut self, run: &Arc<RoutineRun>) {
        if self.state.routines.orphans.contains(&run.id) {
            // The one that called it is woken by itself.
            Machine::of(self).stop(run);
            return;
        }
        let now = self.context.now;
        match run.waiting.as_ref().map(|waiting| &waiting.on) {
            None if run.status == RoutineRunStatus::Running => Machine::of(self).go_on(run.id.clone()),
            Some(WaitOn::Approval { timeout_at, .. }) if *timeout_at <= now => {
                let actor = self.context.actor.clone();
                self.close_waitpoint(run, WaitpointOutcome::TimedOut, None, &actor);
                self.resume_run(&run.id, Err("waitpoint timed out".into()));
            }
            Some(WaitOn::Time { at, times_out }) if *at <= now => {
                let outcome = if *times_out { Err("wait timed out".into()) } else { Ok(waited(*at)) };
                self.resume_run(&run.id, outcome);
            }
            None | Some(_) => {}
        }
    }

    /// Another server was asked. Of a wait that is over nothing is heard any more.
    pub(super) fn hear_of_step(
        &mut self,
        run: &Arc<RoutineRun>,
        (step, fence): (&Text, Offset),
        fetched: &Fetched,
    ) {
        let is_open = run.waiting.as_ref().is_some_and(|waiting| {
            waiting.on == WaitOn::Http && waiting.fence == fence && waiting.step_id == *step
        });
        if is_open {
            self.resume_run(&run.id, outcome_of(fetched));
        }
    }
}

impl Machine<'_, '_> {
    /// A run ends with all that it called, the last one first; for the one that called it, a step has failed.
    /// That one may go on.
    pub(super) fn stop(&mut self, run: &Arc<RoutineRun>) -> Option<RoutineRunId> {
        let mut chain = vec![Arc::clone(run)];
        while let Some(WaitOn::Run(called)) =
            chain.last().and_then(|run| run.waiting.as_ref()).map(|waiting| &waiting.on)
            && let Some(called) = self.run(called)
        {
            chain.push(called);
        }
        let by = self.unfolding.context.actor.clone();
        let mut next = None;
        for (depth, run) in chain.iter().enumerate().rev() {
            if run.waitpoint().is_some() {
                self.unfolding.close_waitpoint(run, WaitpointOutcome::Cancelled, None, &by);
            }
            let over = ended(RoutineRunStatus::Cancelled);
            if depth > 0 {
                // The one that called it ends as well, and hears of nothing.
                let face = run.ended_face(&over, self.unfolding.context.now.0);
                self.unfolding.add(Draft::public(run.id.as_str(), over, face));
                continue;
            }
            next = self.end_run(&run.id, over);
        }
        next
    }
}

/// An answer that says no fails the step; what it said is there all the same.
fn outcome_of(fetched: &Fetched) -> Outcome {
    match fetched {
        Fetched::Failed(error) => Err(error.as_str().into()),
        Fetched::Answer { status, body } => {
            let (body, truncated) = body_of(body);
            let output = json!({ "status": status, "body": body, "truncated": truncated });
            if *status >= 400 {
                return Err(Failure { error: format!("the server answered {status}"), output: Some(output) });
            }
            Ok(output)
        }
    }
}

/// The body as JSON if it is some that may be kept, else as text, as much of it as may.
fn body_of(body: &str) -> (Value, bool) {
    if body.len() <= BODY_BYTES_MAX
        && let Ok(value) = serde_json::from_str::<Value>(body)
        && template::fits(&value)
        && value.to_string().len() <= BODY_BYTES_MAX
    {
        return (value, false);
    }
    let mut kept = &body[..body.floor_char_boundary(BODY_BYTES_MAX)];
    // Escapes may take several times their room.
    while Value::from(kept).to_string().len() > BODY_BYTES_MAX {
        kept = &kept[..kept.floor_char_boundary(kept.len() / 2)];
    }
    (Value::from(kept), kept.len() < body.len())
}
