//! What a mission is after a fact. The same fold serves live work, replay, state-at and forks.

use imbl::OrdMap;

use super::{
    Mission, MissionCreated, MissionEvent, Reason, Status, Task, TaskCreated, TaskReport, TaskStatus,
    TaskStatusChanged, TaskUpdated,
};
use crate::undertaking::Undertaking;
use crate::{Actor, Entry, Event, Text};

impl Mission {
    /// One step of the fold over a mission's entries; `None` before it began and after it is gone.
    #[must_use]
    pub fn fold(before: Option<Self>, entry: &Entry) -> Option<Self> {
        let Some(Event::Mission(event)) = &entry.event else { return before };
        match event {
            MissionEvent::MissionCreated(created) => Some(Self::begin(created, entry)),
            MissionEvent::MissionDeleted(_) => None,
            other => before.map(|mut mission| {
                mission.apply(other, entry);
                mission
            }),
        }
    }

    fn begin(created: &MissionCreated, entry: &Entry) -> Self {
        Self {
            undertaking: Undertaking {
                id: (&*entry.subject).into(),
                crew_id: created.crew_id.clone(),
                lead_agent_id: created.lead_agent_id.clone(),
                trace_id: created.trace_id.clone(),
                title: created.title.clone(),
                description: created.description.clone(),
                plan: created.plan.clone(),
                phase: Status::Planning.phase(),
                entered_at: entry.time,
                entered: entry.offset,
                tasks: OrdMap::new(),
            },
            workflow_template: created.workflow_template.clone(),
            by_agent: matches!(entry.actor, Actor::Agent(_)),
            status: Status::Planning,
            created_at: entry.time,
            updated_at: entry.time,
            completed_at: None,
            born: entry.offset,
            changed: entry.offset,
        }
    }

    /// Folds a fact about a living mission in.
    pub(crate) fn apply(&mut self, event: &MissionEvent, entry: &Entry) {
        self.changed = entry.offset;
        match event {
            MissionEvent::MissionUpdated(updated) => {
                self.updated_at = entry.time;
                replace(&mut self.title, updated.title.as_ref());
                replace_some(&mut self.description, updated.description.as_ref());
                replace_some(&mut self.plan, updated.plan.as_ref());
            }
            MissionEvent::MissionStatusChanged(moved) => {
                self.updated_at = entry.time;
                (self.status, self.phase) = (moved.to, moved.to.phase());
                self.completed_at = moved.to.is_terminal().then_some(entry.time);
                (self.entered_at, self.entered) = (entry.time, entry.offset);
            }
            MissionEvent::TaskCreated(_)
            | MissionEvent::TaskUpdated(_)
            | MissionEvent::TaskStatusChanged(_) => self.apply_task(event, entry),
            // Both ends of a life are the caller's: there is no mission to change.
            MissionEvent::MissionCreated(_) | MissionEvent::MissionDeleted(_) => {}
        }
    }
}

impl Task {
    pub(crate) fn begin(created: &TaskCreated, entry: &Entry) -> Self {
        Self {
            id: created.task_id.clone(),
            title: created.title.clone(),
            description: created.description.clone(),
            assigned_agent_id: created.assigned_agent_id.clone(),
            status: created.status,
            task_order: created.task_order,
            depends_on: created.depends_on.clone(),
            iteration: 1,
            max_iterations: created.max_iterations,
            result_summary: created.outcome.as_ref().and_then(|outcome| outcome.result_summary.clone()),
            output_path: created.outcome.as_ref().and_then(|outcome| outcome.output_path.clone()),
            error_message: None,
            token_count: None,
            estimated_cost: None,
            assignment_id: None,
            confidence: None,
            needs_review: false,
            handoff_context: None,
            evaluation_status: None,
            evaluation_notes: None,
            approval_required: created.approval_required,
            approval_status: None,
            approved_by: None,
            approved_at: None,
            lapses: 0,
            started_at: None,
            completed_at: None,
            created_at: entry.time,
            updated_at: entry.time,
            born: entry.offset,
            moved: entry.offset,
        }
    }

    pub(crate) fn update(&mut self, updated: &TaskUpdated, entry: &Entry) {
        self.updated_at = entry.time;
        replace(&mut self.title, updated.title.as_ref());
        replace(&mut self.depends_on, updated.depends_on.as_ref());
        replace_some(&mut self.description, updated.description.as_ref());
        replace_some(&mut self.assigned_agent_id, updated.assigned_agent_id.as_ref());
        replace_some(&mut self.result_summary, updated.result_summary.as_ref());
        replace_some(&mut self.error_message, updated.error_message.as_ref());
        replace_some(&mut self.output_path, updated.output_path.as_ref());
        replace_some(&mut self.token_count, updated.token_count.as_ref());
        replace_some(&mut self.estimated_cost, updated.estimated_cost.as_ref());
        replace_some(&mut self.confidence, updated.confidence.as_ref());
        replace_some(&mut self.evaluation_status, updated.evaluation_status.as_ref());
        replace_some(&mut self.evaluation_notes, updated.evaluation_notes.as_ref());
    }

    pub(crate) fn move_on(&mut self, moved: &TaskStatusChanged, entry: &Entry) {
        (self.updated_at, self.moved) = (entry.time, entry.offset);
        self.status = moved.to;
        let lapses = self.lapses;
        // What was worked and waits again begins a new attempt, even under the same number.
        if moved.iteration > self.iteration || (moved.to.is_editable() && !moved.from.is_editable()) {
            self.begin_again();
        }
        self.iteration = moved.iteration;
        if moved.reason == Reason::LeaseExpired {
            self.lapses = lapses.saturating_add(1);
        }
        match moved.to {
            TaskStatus::InProgress => self.started_at = Some(entry.time),
            // A result that waits for an approver is there already (`missions.md` 6.2).
            TaskStatus::AwaitingApproval
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Skipped => self.completed_at = Some(entry.time),
            TaskStatus::Pending | TaskStatus::Blocked => {}
        }
        let message: Option<&Text> = moved.error_message.as_ref();
        replace_some(&mut self.error_message, message);
        replace_some(&mut self.assignment_id, moved.assignment_id.as_ref());
        moved.report.iter().for_each(|report| self.take_report(report));
        if let Some(approval) = &moved.approval {
            self.approval_status = Some(approval.status.clone());
            (self.approved_by, self.approved_at) = (Some(approval.by.clone()), Some(entry.time));
            replace_some(&mut self.evaluation_notes, approval.notes.as_ref());
        }
    }

    fn take_report(&mut self, report: &TaskReport) {
        replace_some(&mut self.result_summary, report.result_summary.as_ref());
        replace_some(&mut self.output_path, report.output_path.as_ref());
        replace_some(&mut self.token_count, report.token_count.as_ref());
        replace_some(&mut self.estimated_cost, report.estimated_cost.as_ref());
        replace_some(&mut self.confidence, report.confidence.as_ref());
        replace_some(&mut self.handoff_context, report.handoff_context.as_ref());
        self.needs_review = report.needs_review;
    }
}

impl Task {
    /// A new attempt: what the last one left is gone, the plan and what it has cost stay (`missions.md` 8.1).
    fn begin_again(&mut self) {
        self.result_summary = None;
        self.error_message = None;
        self.started_at = None;
        self.completed_at = None;
        self.assignment_id = None;
        self.confidence = None;
        self.needs_review = false;
        self.handoff_context = None;
        self.evaluation_status = None;
        self.evaluation_notes = None;
        self.approval_status = None;
        self.approved_by = None;
        self.approved_at = None;
        self.lapses = 0;
    }
}

pub(crate) fn replace<T: Clone>(field: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

pub(crate) fn replace_some<T: Clone>(field: &mut Option<T>, new: Option<&T>) {
    if new.is_some() {
        *field = new.cloned();
    }
}
