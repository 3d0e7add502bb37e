//! What a mission is after a fact. The same fold serves live work, replay, state-at and forks.

use std::sync::Arc;

use imbl::OrdMap;

use super::{
    Mission, MissionCreated, MissionEvent, Status, Task, TaskCreated, TaskStatus, TaskStatusChanged,
    TaskUpdated,
};
use crate::{Entry, Event, Text};

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
            id: (&*entry.subject).into(),
            crew_id: created.crew_id.clone(),
            lead_agent_id: created.lead_agent_id.clone(),
            trace_id: created.trace_id.clone(),
            title: created.title.clone(),
            description: created.description.clone(),
            plan: created.plan.clone(),
            workflow_template: created.workflow_template.clone(),
            status: Status::Planning,
            created_at: entry.time,
            updated_at: entry.time,
            completed_at: None,
            tasks: OrdMap::new(),
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
                self.status = moved.to;
                self.completed_at = moved.to.is_terminal().then_some(entry.time);
            }
            MissionEvent::TaskCreated(created) => {
                let task = Task::begin(created, entry);
                self.tasks.insert(task.id.clone(), Arc::new(task));
            }
            MissionEvent::TaskUpdated(updated) => {
                if let Some(task) = self.tasks.get_mut(&updated.task_id) {
                    Arc::make_mut(task).update(updated, entry);
                }
            }
            MissionEvent::TaskStatusChanged(moved) => {
                if let Some(task) = self.tasks.get_mut(&moved.task_id) {
                    Arc::make_mut(task).move_on(moved, entry);
                }
            }
            // Both ends of a life are the caller's: there is no mission to change.
            MissionEvent::MissionCreated(_) | MissionEvent::MissionDeleted(_) => {}
        }
    }
}

impl Task {
    fn begin(created: &TaskCreated, entry: &Entry) -> Self {
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
            started_at: None,
            completed_at: None,
            created_at: entry.time,
            updated_at: entry.time,
            born: entry.offset,
        }
    }

    fn update(&mut self, updated: &TaskUpdated, entry: &Entry) {
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
    }

    fn move_on(&mut self, moved: &TaskStatusChanged, entry: &Entry) {
        self.updated_at = entry.time;
        self.status = moved.to;
        if moved.iteration > self.iteration {
            self.begin_again();
        }
        self.iteration = moved.iteration;
        if moved.to == TaskStatus::InProgress {
            self.started_at = Some(entry.time);
        }
        if moved.to.is_terminal() {
            self.completed_at = Some(entry.time);
        }
        let message: Option<&Text> = moved.error_message.as_ref();
        replace_some(&mut self.error_message, message);
    }
}

impl Task {
    /// A new attempt: what the last one left is gone, the plan and what it has cost stay (`missions.md` 8.1).
    fn begin_again(&mut self) {
        self.result_summary = None;
        self.error_message = None;
        self.started_at = None;
        self.completed_at = None;
    }
}

fn replace<T: Clone>(field: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

fn replace_some<T: Clone>(field: &mut Option<T>, new: Option<&T>) {
    if new.is_some() {
        *field = new.cloned();
    }
}
