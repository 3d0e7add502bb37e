//! What came out of an assignment, and what that means for its task (`missions.md` 9.5 to 9.7).

use std::sync::Arc;

use super::decide::{assignment_not_found, claim_lost};
use super::gate::Gate;
use super::handoff::Handoff;
use super::{
    Assignment, AssignmentEnded, AssignmentReportedLate, EndedBy, Purpose, Report, RunEnd, RunStatus,
};
use crate::mission::{Reason, Task, TaskReport, TaskStatus, TaskUpdated};
use crate::undertaking::{Phase, Undertaking};
use crate::unfolding::Unfolding;
use crate::{Actor, AgentId, AssignmentId, Draft, MissionId, Offset, Rejection, TaskId, Text};

/// Longest result kept with a task (`missions.md` 9.5).
const SUMMARY_BYTES_MAX: usize = 8_000;
const TRUNCATED: &str = "\n...(truncated)";

impl Unfolding<'_> {
    /// A result counts once, and only from the worker that still holds the assignment. One that comes late
    /// is noted and changes nothing.
    pub(super) fn report(
        &mut self,
        id: &AssignmentId,
        fence: Offset,
        report: &Report,
    ) -> Result<(), Rejection> {
        let assignment = self.state.work.assignments.get(id).cloned().ok_or_else(assignment_not_found)?;
        if assignment.fence != Some(fence) {
            return Err(claim_lost());
        }
        if self.state.holds(id, fence) {
            match report.status {
                RunStatus::Cancelled => self.report_cancelled(&assignment, report),
                _ => self.take_report(&assignment, report),
            }
        } else if assignment.ended_by != Some(EndedBy::Report) && !assignment.reported_late {
            let late = AssignmentReportedLate { status: report.status.of_assignment() };
            let face = self.state.late_face(&assignment, &run_end(report));
            self.add(Draft::public(id.as_str(), late, face));
        }
        Ok(())
    }

    /// The worker could not go on, through no fault of the agent's.
    fn report_cancelled(&mut self, assignment: &Assignment, report: &Report) {
        self.note_run(assignment, report);
        self.hand_back(&assignment.id);
    }

    fn take_report(&mut self, assignment: &Arc<Assignment>, report: &Report) {
        self.note_run(assignment, report);
        let ended = AssignmentEnded {
            status: report.status.of_assignment(),
            by: EndedBy::Report,
            result_summary: report.result.as_deref().map(cut),
            error_message: report.error_message.clone(),
        };
        let facts = &assignment.facts;
        // Asked before: with the assignment its hold on the task ends.
        let task =
            facts.mission_id.as_ref().and_then(|mission| self.state.worked_task(mission, &assignment.id));
        self.end_assignment(&assignment.id, ended, run_end(report));
        let said = match report.status {
            RunStatus::Completed => Ok(report.result.as_deref().unwrap_or_default()),
            _ => Err(report.error_message.as_deref().unwrap_or("the run failed")),
        };
        self.chat_ended(facts, said);
        let Some(mission) = &facts.mission_id else { return };
        self.tell_issue(facts, report);
        match (facts.purpose, task) {
            (Purpose::Task, Some(task)) => self.task_reported(mission, &task, report),
            (Purpose::Planning, _) => self.planned(mission, report),
            (Purpose::Review, _) => self.reviewed(mission, report),
            (Purpose::Delegation, _) => self.conclude_delegated(mission),
            (Purpose::Task | Purpose::Query | Purpose::Chat | Purpose::Mention, _) => {}
        }
    }

    /// What the run put out at its end, what it cost, and that its process is gone.
    fn note_run(&mut self, assignment: &Assignment, report: &Report) {
        let run = assignment.run_id.as_ref().and_then(|run| self.state.work.runs.get(run)).cloned();
        let Some(run) = run else { return };
        let subject = run.id.as_str();
        if let Some((tail, total)) = &report.tail {
            self.add(Draft::shown(subject, run.output_face(tail, *total, false)));
        }
        for usage in &report.usage {
            let faces = run.usage_faces(usage).into_iter().flatten();
            faces.for_each(|face| self.add(Draft::shown(subject, face)));
        }
        if report.exit_code.is_some() {
            let face = run.exited_face(&run_end(report), report.duration_ms);
            self.add(Draft::shown(subject, face));
        }
    }

    fn task_reported(&mut self, mission: &MissionId, task: &TaskId, report: &Report) {
        let Some(found) = self.state.undertaking(mission).cloned() else { return };
        let Some(task) = found.tasks.get(task) else { return };
        let left = task_report(task, report);
        if report.status == RunStatus::Completed {
            self.attempt_succeeded(&found, task, left);
        } else {
            let message = report.error_message.clone().or_else(|| Some("the run failed".into()));
            self.fail_attempt(mission, &task.id, message, Some(left));
        }
        self.settle(mission);
    }

    fn attempt_succeeded(&mut self, mission: &Undertaking, task: &Task, left: TaskReport) {
        let crew = self.state.roster.crews.get(&mission.crew_id);
        let config = crew.and_then(|crew| crew.facts.escalation_config.clone());
        let gate = match mission.phase {
            Phase::Working => Gate::of(config.as_deref(), left.confidence, task.approval_required),
            // The agent itself has moved the issue on: whoever looks at that looks at the result.
            Phase::Waiting | Phase::Reviewing | Phase::Ended => Gate::Open,
        };
        let (to, reason) = match gate {
            Gate::Open | Gate::OpenNotifying => (TaskStatus::Completed, Reason::Reported),
            Gate::Closed => (TaskStatus::AwaitingApproval, Reason::Held),
        };
        let notifies = gate == Gate::OpenNotifying;
        self.move_task(&mission.id, &task.id, to, reason, |moved| {
            moved.report = Some(TaskReport { notifies, ..left }.into());
        });
    }

    /// The attempt has failed; another one follows where attempts are left (`missions.md` 9.7).
    pub(super) fn fail_attempt(
        &mut self,
        mission: &MissionId,
        task: &TaskId,
        message: Option<Text>,
        left: Option<TaskReport>,
    ) {
        self.move_task(mission, task, TaskStatus::Failed, Reason::Reported, |moved| {
            (moved.error_message, moved.report) = (message, left.map(Box::new));
        });
        let Some(found) = self.state.undertaking(mission).cloned() else { return };
        let Some(task) = found.tasks.get(task) else { return };
        if found.phase != Phase::Working {
            return; // Nothing of it is to be tried again.
        }
        if allows_attempts(task) {
            if has_attempts_left(task) {
                self.begin_again(mission, task, TaskStatus::Pending, Reason::Retry);
            }
            return; // Exhausted: what it needs is not asked again.
        }
        let needs = task.depends_on.iter().filter_map(|id| found.tasks.get(id));
        if let Some(upstream) = needs.into_iter().find(|need| has_attempts_left(need)) {
            let ready = birth_status_of(&found, upstream);
            self.begin_again(mission, upstream, ready, Reason::LoopBack);
            self.move_task(mission, &task.id, TaskStatus::Blocked, Reason::LoopBack, |_| {});
        }
    }

    fn begin_again(&mut self, mission: &MissionId, task: &Task, to: TaskStatus, reason: Reason) {
        let iteration = task.iteration.saturating_add(1);
        self.move_task(mission, &task.id, to, reason, |moved| moved.iteration = iteration);
    }

    /// An agent tells how sure it is about what it works (`platform.md` 8.3).
    pub(super) fn report_confidence(
        &mut self,
        agent: &AgentId,
        confidence: f64,
        reason: &Text,
    ) -> Result<(), Rejection> {
        let none = || Rejection::not_found("task.none_active", "no active task found for agent");
        let own =
            |found: &&Arc<Assignment>| found.facts.assigned_to == *agent && found.facts.task_id.is_some();
        let assignment = self.state.work.live().find(own).cloned().ok_or_else(none)?;
        let mission = assignment.facts.mission_id.as_ref().ok_or_else(none)?;
        let task = self.state.worked_task(mission, &assignment.id).ok_or_else(none)?;
        let found = self.state.undertaking(mission).cloned().ok_or_else(none)?;
        let task = found.tasks.get(&task).ok_or_else(none)?;
        let updated = TaskUpdated { confidence: Some(confidence), ..TaskUpdated::of(task.id.clone()) };
        let face = found.task_updated_face(task, &updated, &Actor::Agent(agent.clone()));
        let face = crate::Face { summary: format!("confidence {confidence}: {reason}").into(), ..face };
        self.add(Draft::public(mission.as_str(), updated, face));
        Ok(())
    }
}

/// What an attempt leaves on its task. Tokens and cost are those of all attempts; what the output says of
/// confidence counts, unless the report says it itself.
fn task_report(task: &Task, report: &Report) -> TaskReport {
    let handoff = report.result.as_deref().and_then(Handoff::read);
    let tokens: i64 = report.usage.iter().map(|usage| usage.input_tokens + usage.output_tokens).sum();
    let cost: f64 = report.usage.iter().map(|usage| usage.cost_usd).sum();
    let tokens = report.token_count.or_else(|| (tokens > 0).then_some(tokens));
    let cost = report.estimated_cost.or_else(|| (cost > 0.0).then_some(cost));
    let plus = |sum: Option<i64>, more: Option<i64>| match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (sum, more) => sum.or(more),
    };
    TaskReport {
        result_summary: report.result.as_deref().map(cut),
        output_path: report.output_path.clone(),
        token_count: plus(task.token_count, tokens),
        estimated_cost: match (task.estimated_cost, cost) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        },
        confidence: report.confidence.or_else(|| handoff.as_ref()?.confidence).or(task.confidence),
        needs_review: handoff.as_ref().is_some_and(|handoff| handoff.needs_review),
        handoff_context: handoff.map(|handoff| handoff.summary),
        notifies: false,
    }
}

fn run_end(report: &Report) -> RunEnd {
    RunEnd {
        status: report.status,
        exit_code: report.exit_code,
        error_message: report.error_message.clone(),
        output: report.output.clone(),
        metadata: report.metadata.clone(),
    }
}

fn allows_attempts(task: &Task) -> bool {
    task.max_iterations.is_some_and(|most| most > 1)
}

fn has_attempts_left(task: &Task) -> bool {
    task.max_iterations.is_some_and(|most| most > 1 && task.iteration < most)
}

fn birth_status_of(mission: &Undertaking, task: &Task) -> TaskStatus {
    if mission.is_ready(task) { TaskStatus::Pending } else { TaskStatus::Blocked }
}

/// A text that is not too long, cut between letters (`missions.md` 15, row 16).
fn cut(text: &str) -> Text {
    if text.len() <= SUMMARY_BYTES_MAX {
        return text.into();
    }
    let end = text.floor_char_boundary(SUMMARY_BYTES_MAX);
    format!("{}{TRUNCATED}", &text[..end]).into()
}
