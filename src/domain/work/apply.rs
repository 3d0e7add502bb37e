//! What agents have at hand after a fact.

use std::sync::Arc;

use super::{Assignment, AssignmentStatus, Breaker, EndedBy, Purpose, Run, Work, WorkEvent};
use crate::{AssignmentId, Entry, RunId};

impl Work {
    pub(crate) fn apply(&mut self, event: &WorkEvent, entry: &Entry) {
        match event {
            WorkEvent::AssignmentCreated(created) => {
                let assignment = Assignment {
                    id: (&*entry.subject).into(),
                    facts: (*created.assignment).clone(),
                    status: created.status,
                    run_id: None,
                    fence: None,
                    lease_ms: 0,
                    ended_by: None,
                    reported_late: false,
                    result_summary: None,
                    error_message: None,
                    created_at: entry.time,
                    started_at: None,
                    finished_at: None,
                    born: entry.offset,
                };
                if let Some(mission) = &assignment.facts.mission_id {
                    self.by_mission.insert((mission.clone(), assignment.id.clone()));
                }
                self.by_birth.insert(entry.offset, assignment.id.clone());
                self.put(assignment);
            }
            WorkEvent::AssignmentUnqueued(_) => {
                self.change(entry, |assignment| assignment.status = AssignmentStatus::Pending);
            }
            WorkEvent::AssignmentClaimed(claimed) => self.change(entry, |assignment| {
                assignment.status = AssignmentStatus::Running;
                assignment.run_id = Some(claimed.run_id.clone());
                assignment.lease_ms = claimed.lease_ms;
                (assignment.fence, assignment.started_at) = (Some(entry.offset), Some(entry.time));
            }),
            WorkEvent::AssignmentEnded(ended) => {
                self.change(entry, |assignment| {
                    (assignment.status, assignment.ended_by) = (ended.status, Some(ended.by));
                    assignment.result_summary.clone_from(&ended.result_summary);
                    assignment.error_message.clone_from(&ended.error_message);
                    assignment.finished_at = Some(entry.time);
                });
                if ended.by == EndedBy::Report {
                    self.note_outcome(ended.status, entry);
                }
            }
            WorkEvent::AssignmentReportedLate(_) => {
                self.change(entry, |assignment| assignment.reported_late = true);
            }
            WorkEvent::RunStarted(started) => {
                let run = Run {
                    id: (&*entry.subject).into(),
                    facts: (*started.run).clone(),
                    end: None,
                    started_at: entry.time,
                    finished_at: None,
                    born: entry.offset,
                    changed: entry.offset,
                };
                self.runs_by_birth.insert(entry.offset, run.id.clone());
                self.running.insert((run.facts.agent_id.clone(), run.id.clone()));
                self.runs.insert(run.id.clone(), Arc::new(run));
            }
            WorkEvent::RunEnded(ended) => {
                let Some(run) = self.runs.get_mut(&RunId::from(&*entry.subject)) else { return };
                let run = Arc::make_mut(run);
                self.running.remove(&(run.facts.agent_id.clone(), run.id.clone()));
                if run.end.is_none() {
                    (run.end, run.finished_at) = (Some((*ended.end).clone()), Some(entry.time));
                    run.changed = entry.offset;
                }
            }
        }
    }

    fn change(&mut self, entry: &Entry, change: impl FnOnce(&mut Assignment)) {
        let id = AssignmentId::from(&*entry.subject);
        let Some(mut assignment) = self.assignments.get(&id).map(|found| Assignment::clone(found)) else {
            return;
        };
        self.take_from_lines(&assignment);
        change(&mut assignment);
        self.put(assignment);
    }

    fn put(&mut self, assignment: Assignment) {
        let id = assignment.id.clone();
        match assignment.status {
            AssignmentStatus::Pending => drop(self.waiting.insert((assignment.born, id))),
            AssignmentStatus::Queued => {
                let crew = assignment.facts.crew_id.clone();
                crew.into_iter()
                    .for_each(|crew| drop(self.queued.insert((crew, assignment.born, id.clone()))));
            }
            AssignmentStatus::Running => drop(self.claimed.insert(id)),
            AssignmentStatus::Completed
            | AssignmentStatus::Failed
            | AssignmentStatus::Timeout
            | AssignmentStatus::Cancelled => {}
        }
        self.take_place(&assignment, 1);
        self.assignments.insert(assignment.id.clone(), Arc::new(assignment));
    }

    fn take_from_lines(&mut self, assignment: &Assignment) {
        let id = assignment.id.clone();
        self.waiting.remove(&(assignment.born, id.clone()));
        self.claimed.remove(&id);
        if let Some(crew) = &assignment.facts.crew_id {
            self.queued.remove(&(crew.clone(), assignment.born, id));
        }
        self.take_place(assignment, -1);
    }

    /// Attempts at tasks take a place of their crew while they wait for a worker or run.
    fn take_place(&mut self, assignment: &Assignment, count: i32) {
        let takes = assignment.facts.purpose == Purpose::Task
            && matches!(assignment.status, AssignmentStatus::Pending | AssignmentStatus::Running);
        if takes && let Some(crew) = &assignment.facts.crew_id {
            let places = self.places.entry(crew.clone()).or_default();
            *places = places.saturating_add_signed(count);
        }
    }

    fn note_outcome(&mut self, status: AssignmentStatus, entry: &Entry) {
        let Some(assignment) = self.assignments.get(&AssignmentId::from(&*entry.subject)) else { return };
        let agent = assignment.facts.assigned_to.clone();
        match status {
            AssignmentStatus::Failed | AssignmentStatus::Timeout => {
                let failures = self.breakers.get(&agent).map_or(0, |breaker| breaker.failures);
                let breaker = Breaker { failures: failures.saturating_add(1), failed_at: entry.time };
                self.breakers.insert(agent, breaker);
            }
            AssignmentStatus::Completed => drop(self.breakers.remove(&agent)),
            AssignmentStatus::Pending
            | AssignmentStatus::Queued
            | AssignmentStatus::Running
            | AssignmentStatus::Cancelled => {}
        }
    }
}
