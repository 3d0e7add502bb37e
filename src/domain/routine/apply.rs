//! What routines and their runs are after a fact.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::{
    Looping, Routine, RoutineEvent, RoutineRun, RoutineRunEnded, RoutineRunFacts, RoutineRunStatus,
    RoutineSaved, RoutineStepEnded, Routines, StepRecord, StepStatus, StepWaitsFor, WaitOn, Waiting,
};
use crate::{Entry, RoutineId, RoutineRunId, Time};

/// Most runs of one routine that are kept in the world once they are over; the journal has all of them.
const RUNS_KEPT_MAX: u32 = 1_000;
/// Most of all routines together, and most that they may take.
const OVER_MAX: usize = 10_000;
const OVER_BYTES_MAX: u64 = 64 << 20;
/// What a run takes beside what it was given and yielded, and what the record of a step does.
const RUN_BYTES: usize = 1_024;
const STEP_BYTES: usize = 128;
/// Most of a routine that is deleted.
const OF_DELETED_MAX: usize = 100;

impl Routines {
    pub(crate) fn apply(&mut self, event: &RoutineEvent, entry: &Entry) {
        match event {
            RoutineEvent::RoutineSaved(saved) => self.save(saved, entry),
            RoutineEvent::RoutineStatusChanged(moved) => self.change(&entry.subject, |routine| {
                routine.status = moved.to;
                routine.accepted.clone_from(&moved.accepted);
                (routine.updated_at, routine.changed) = (entry.time, entry.offset);
            }),
            RoutineEvent::RoutineDeleted(deleted) => {
                self.all.remove(&*entry.subject);
                self.slugs.remove(&deleted.slug);
                self.orphan_runs(&(&*entry.subject).into());
            }
            RoutineEvent::RoutineRunStarted(started) => self.begin(&started.run, entry),
            RoutineEvent::RoutineStepWaiting(waiting) => {
                let on = match &waiting.waits_for {
                    StepWaitsFor::Time { at, times_out } => WaitOn::Time { at: *at, times_out: *times_out },
                    StepWaitsFor::Http => WaitOn::Http,
                    StepWaitsFor::Run { run_id } => WaitOn::Run(run_id.clone()),
                };
                let step_id = waiting.step_id.clone();
                self.wait(Waiting { step_id, since: entry.time, fence: entry.offset, on }, entry);
            }
            RoutineEvent::WaitpointCreated(created) => {
                let on = WaitOn::Approval {
                    waitpoint: created.waitpoint.clone(),
                    prompt: created.prompt.clone(),
                    timeout_at: created.timeout_at,
                };
                let step_id = created.step_id.clone();
                self.wait(Waiting { step_id, since: entry.time, fence: entry.offset, on }, entry);
            }
            // The end of the step, or of the run, follows in the same batch.
            RoutineEvent::WaitpointDecided(_) => self.change_run(entry, |_| {}),
            RoutineEvent::RoutineLoopBegun(begun) => self.change_run(entry, |run| {
                let items = Arc::clone(&begun.items);
                run.tree_bytes += items.get().len() as u64;
                run.looping = Some(Looping { since: entry.time, items, outputs: Vector::new(), bytes: 0 });
            }),
            RoutineEvent::RoutineItemEnded(ended) => self.change_run(entry, |run| {
                run.go_on();
                run.taken = run.taken.saturating_add(1);
                run.tree_bytes += ended.output.get().len() as u64;
                if let Some(looping) = &mut run.looping {
                    looping.bytes += ended.output.get().len() as u64;
                    looping.outputs.push_back(Arc::clone(&ended.output));
                }
            }),
            RoutineEvent::RoutineStepEnded(ended) => self.change_run(entry, |run| run.end_step(ended, entry)),
            RoutineEvent::RoutineRunEnded(ended) => self.end(ended, entry),
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Routine)) {
        if let Some(routine) = self.all.get_mut(id) {
            change(Arc::make_mut(routine));
        }
    }

    fn save(&mut self, saved: &RoutineSaved, entry: &Entry) {
        let id = RoutineId::from(&*entry.subject);
        let before = self.all.get(&id).cloned();
        if let Some(before) = &before {
            self.slugs.remove(&before.facts.slug);
        }
        self.slugs.insert(saved.routine.slug.clone(), id.clone());
        let routine = Routine {
            id: id.clone(),
            facts: (*saved.routine).clone(),
            status: saved.status,
            risk_reasons: saved.risk_reasons.clone(),
            accepted: saved.accepted.clone(),
            invocation_count: before.as_ref().map_or(0, |before| before.invocation_count),
            last_invoked_at: before.as_ref().and_then(|before| before.last_invoked_at),
            last_run: before.as_ref().and_then(|before| before.last_run.clone()),
            runs_kept: before.as_ref().map_or(0, |before| before.runs_kept),
            created_at: before.as_ref().map_or(entry.time, |before| before.created_at),
            updated_at: entry.time,
            born: before.as_ref().map_or(entry.offset, |before| before.born),
            changed: entry.offset,
        };
        self.all.insert(id, Arc::new(routine));
    }

    fn begin(&mut self, facts: &RoutineRunFacts, entry: &Entry) {
        let id = RoutineRunId::from(&*entry.subject);
        let Some(routine) = self.all.get(&facts.routine_id).cloned() else { return };
        let run = RoutineRun::begin(id.clone(), facts, &routine, entry);
        self.by_birth.insert(entry.offset, id.clone());
        self.by_routine.insert((routine.id.clone(), entry.offset), id.clone());
        self.live_of.insert((routine.id.clone(), id.clone()));
        self.running.insert(id.clone());
        self.runs.insert(id.clone(), Arc::new(run));
        drop(routine);
        self.change(facts.routine_id.as_str(), |routine| {
            routine.invocation_count += 1;
            routine.last_invoked_at = Some(entry.time);
            routine.last_run = Some(id);
            routine.runs_kept += 1;
            routine.changed = entry.offset;
        });
        self.forget_old_runs(&facts.routine_id);
    }

    /// The oldest runs that are over make room for new ones.
    fn forget_old_runs(&mut self, routine: &RoutineId) {
        let kept = self.all.get(routine).map_or(0, |routine| routine.runs_kept);
        if kept <= RUNS_KEPT_MAX {
            return;
        }
        let over = self.runs_of(routine).find(|run| !run.status.is_live());
        let over = over.cloned();
        over.iter().for_each(|run| self.forget(run));
    }

    fn forget(&mut self, run: &RoutineRun) {
        let routine = &run.facts.routine_id;
        self.runs.remove(&run.id);
        self.by_birth.remove(&run.born);
        self.by_routine.remove(&(routine.clone(), run.born));
        if run.ended.is_some_and(|ended| self.over.remove(&ended).is_some()) {
            self.over_bytes -= run.weight();
        }
        self.change(routine.as_str(), |routine| routine.runs_kept -= 1);
    }

    /// A routine is gone: its newest runs are kept for a while, and those that are not over are to end.
    fn orphan_runs(&mut self, routine: &RoutineId) {
        let live: Vec<RoutineRunId> = self.live_runs_of(routine).cloned().collect();
        self.orphans.extend(live);
        let over = self.runs_of(routine).rev().filter(|run| !run.status.is_live());
        let old: Vec<Arc<RoutineRun>> = over.skip(OF_DELETED_MAX).cloned().collect();
        old.iter().for_each(|run| self.forget(run));
    }

    /// Whichever run ended first makes room, whosever it is.
    fn keep(&mut self, run: &RoutineRun, entry: &Entry) {
        self.over.insert(entry.offset, run.id.clone());
        self.over_bytes += run.weight();
        while self.over.len() > OVER_MAX || (self.over_bytes > OVER_BYTES_MAX && self.over.len() > 1) {
            let first = self.over.get_min().and_then(|(_, id)| self.runs.get(id)).cloned();
            let Some(first) = first else { return };
            self.forget(&first);
        }
    }

    /// Changes the run that an entry is about, and where others look for it.
    fn change_run(&mut self, entry: &Entry, change: impl FnOnce(&mut RoutineRun)) {
        let Some(run) = self.runs.get(&*entry.subject).cloned() else { return };
        self.unindex(&run);
        drop(run);
        if let Some(run) = self.runs.get_mut(&*entry.subject) {
            let run = Arc::make_mut(run);
            run.changed = entry.offset;
            change(run);
        }
        if let Some(run) = self.runs.get(&*entry.subject).cloned() {
            self.index(&run);
        }
    }

    fn wait(&mut self, waiting: Waiting, entry: &Entry) {
        self.change_run(entry, |run| {
            run.status = RoutineRunStatus::Waiting;
            run.waiting = Some(waiting);
        });
    }

    fn end(&mut self, ended: &RoutineRunEnded, entry: &Entry) {
        self.change_run(entry, |run| {
            run.status = ended.status;
            (run.waiting, run.looping) = (None, None);
            run.failed_at_step.clone_from(&ended.failed_at_step);
            run.error_message.clone_from(&ended.error_message);
            (run.ended_at, run.ended) = (Some(entry.time), Some(entry.offset));
            // It does nothing any more; the hash says what it did.
            run.definition = Arc::default();
        });
        let Some(run) = self.runs.get(&*entry.subject).cloned() else { return };
        let caller = run.facts.called_by.as_ref().and_then(|caller| self.runs.get_mut(&caller.run_id));
        if let Some(caller) = caller {
            let caller = Arc::make_mut(caller);
            caller.taken = caller.taken.saturating_add(run.taken);
            caller.tree_bytes = caller.tree_bytes.saturating_add(run.tree_bytes);
        }
        self.change(run.facts.routine_id.as_str(), |routine| routine.changed = entry.offset);
        self.keep(&run, entry);
    }

    fn index(&mut self, run: &RoutineRun) {
        let id = || run.id.clone();
        if run.status.is_live() {
            self.live_of.insert((run.facts.routine_id.clone(), id()));
            if !self.all.contains_key(&run.facts.routine_id) {
                self.orphans.insert(id());
            }
        }
        match &run.waiting {
            Some(waiting) => {
                wake_of(waiting).into_iter().for_each(|at| drop(self.waking.insert((at, id()))));
                match &waiting.on {
                    WaitOn::Approval { waitpoint, .. } => {
                        self.waitpoints.insert(waitpoint.clone(), id());
                        self.waitpoints_by_birth.insert(waiting.fence, id());
                    }
                    WaitOn::Http => drop(self.fetching.insert(id())),
                    WaitOn::Time { .. } | WaitOn::Run(_) => {}
                }
            }
            None if run.status == RoutineRunStatus::Running => drop(self.running.insert(id())),
            None => {}
        }
    }

    fn unindex(&mut self, run: &RoutineRun) {
        self.live_of.remove(&(run.facts.routine_id.clone(), run.id.clone()));
        self.running.remove(&run.id);
        self.fetching.remove(&run.id);
        self.orphans.remove(&run.id);
        let Some(waiting) = &run.waiting else { return };
        wake_of(waiting).into_iter().for_each(|at| drop(self.waking.remove(&(at, run.id.clone()))));
        if let WaitOn::Approval { waitpoint, .. } = &waiting.on {
            self.waitpoints.remove(waitpoint);
            self.waitpoints_by_birth.remove(&waiting.fence);
        }
    }
}

/// When a wait is over by itself.
fn wake_of(waiting: &Waiting) -> Option<Time> {
    match waiting.on {
        WaitOn::Approval { timeout_at: at, .. } | WaitOn::Time { at, .. } => Some(at),
        WaitOn::Http | WaitOn::Run(_) => None,
    }
}

impl RoutineRun {
    fn begin(id: RoutineRunId, facts: &RoutineRunFacts, routine: &Routine, entry: &Entry) -> Self {
        Self {
            id,
            facts: facts.clone(),
            slug: routine.facts.slug.clone(),
            name: routine.facts.name.clone(),
            definition: Arc::clone(&routine.facts.definition),
            status: RoutineRunStatus::Running,
            outputs: OrdMap::new(),
            bytes: 0,
            tree_bytes: (facts.inputs.get().len() + facts.metadata.get().len()) as u64,
            steps: Vector::new(),
            last: None,
            waiting: None,
            looping: None,
            taken: 0,
            failed_at_step: None,
            error_message: None,
            started_at: entry.time,
            ended_at: None,
            born: entry.offset,
            ended: None,
            changed: entry.offset,
        }
    }

    /// About what it takes once it is over.
    fn weight(&self) -> u64 {
        let given = self.facts.inputs.get().len() + self.facts.metadata.get().len();
        self.bytes + (given + STEP_BYTES * self.steps.len() + RUN_BYTES) as u64
    }

    /// It waits no more.
    fn go_on(&mut self) {
        (self.waiting, self.status) = (None, RoutineRunStatus::Running);
    }

    fn end_step(&mut self, ended: &RoutineStepEnded, entry: &Entry) {
        self.go_on();
        self.looping = None;
        self.taken = self.taken.saturating_add(1);
        if let Some(output) = &ended.output {
            self.bytes += output.get().len() as u64;
            self.tree_bytes += output.get().len() as u64;
            self.outputs.insert(ended.step_id.clone(), Arc::clone(output));
            if ended.status == StepStatus::Completed {
                self.last = Some(ended.step_id.clone());
            }
        }
        self.steps.push_back(StepRecord {
            id: ended.step_id.clone(),
            status: ended.status,
            error: ended.error.clone(),
            begun_at: ended.begun_at,
            ended_at: entry.time,
            ended: entry.offset,
        });
    }
}
