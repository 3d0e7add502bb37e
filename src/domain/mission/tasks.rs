//! Tasks: added, changed and moved by people (`missions.md` 3.10, 3.11).

use super::decide::{birth_status, changed, required, text};
use super::{
    Mission, Reason, Status, Task, TaskCreated, TaskDraft, TaskPatch, TaskStatus, TaskStatusChanged,
    TaskUpdated,
};
use crate::{Actor, AgentId, Context, Draft, Rejection, TaskId, Workspace};

/// Most attempts a task may be given (`missions.md` 3.10).
const MAX_ITERATIONS: std::ops::RangeInclusive<i64> = 0..=50;

impl Workspace {
    pub(super) fn add_task(
        &self,
        mission: &Mission,
        draft: &Result<TaskDraft, Rejection>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        if !matches!(mission.status, Status::Planning | Status::InProgress) {
            return Err(Rejection::invalid(
                "mission.closed_for_tasks",
                "Tasks can only be added to PLANNING or IN_PROGRESS missions",
            ));
        }
        let draft = draft.as_ref().map_err(Clone::clone)?;
        let title = required(draft.title.as_deref(), "task.title_required", "title is required")?;
        let max_iterations = max_iterations(draft.max_iterations)?;
        let depends_on: Vec<TaskId> =
            draft.depends_on.iter().flatten().map(|id| TaskId::from(id.as_str())).collect();
        if let Some(missing) = depends_on.iter().find(|id| !mission.tasks.contains_key(*id)) {
            let detail = format!("dependency task not found: {missing}");
            return Err(Rejection::invalid("task.dependency_not_found", detail));
        }
        let created = TaskCreated {
            task_id: context.mint.cuid().into(),
            title,
            description: text(draft.description.as_deref()),
            assigned_agent_id: self.assignee(draft.assigned_agent_id.as_deref())?,
            status: birth_status(mission.all_completed(&depends_on)),
            task_order: draft.task_order.unwrap_or(0),
            depends_on,
            max_iterations,
            approval_required: draft.approval_required.unwrap_or_default(),
            outcome: None,
        };
        let face = created.face(&mission.crew_id, &mission.id, context.actor);
        Ok(vec![Draft::public(mission.id.as_str(), created, face)])
    }

    pub(super) fn update_task(
        &self,
        mission: &Mission,
        task: &Task,
        patch: &TaskPatch,
        actor: &Actor,
    ) -> Result<Vec<Draft>, Rejection> {
        if patch.status.is_some() && patch.depends_on.is_some() {
            return Err(Rejection::invalid(
                "task.status_and_depends_on",
                "Cannot update status and depends_on in the same request",
            ));
        }
        let to = patch.status.as_deref().map(|word| task_target(task, word)).transpose()?;
        let edits = patch.title.is_some() || patch.description.is_some() || patch.depends_on.is_some();
        if edits && !task.status.is_editable() {
            return Err(Rejection::invalid(
                "task.not_editable",
                "Can only edit title/description/depends_on for PENDING or BLOCKED tasks",
            ));
        }
        let depends_on =
            patch.depends_on.as_deref().map(|list| dependencies(mission, task, list)).transpose()?;
        // Decided anew also by a list that is the present one (missions.md 3.11).
        let reblocked = depends_on.as_ref().map(|needs| birth_status(mission.all_completed(needs)));
        let assignee = self.assignee(patch.assigned_agent_id.as_deref())?;
        let updated = TaskUpdated {
            title: changed(patch.title.as_deref(), Some(&task.title)),
            description: changed(patch.description.as_deref(), task.description.as_ref()),
            assigned_agent_id: assignee.filter(|new| task.assigned_agent_id.as_ref() != Some(new)),
            depends_on: depends_on.filter(|new| *new != task.depends_on),
            result_summary: changed(patch.result_summary.as_deref(), task.result_summary.as_ref()),
            error_message: changed(patch.error_message.as_deref(), task.error_message.as_ref()),
            output_path: changed(patch.output_path.as_deref(), task.output_path.as_ref()),
            token_count: patch.token_count.filter(|new| task.token_count != Some(*new)),
            estimated_cost: patch.estimated_cost.filter(|new| task.estimated_cost != Some(*new)),
            ..TaskUpdated::of(task.id.clone())
        };
        let mut drafts = vec![];
        let agent = updated.assigned_agent_id.clone().or_else(|| task.assigned_agent_id.clone());
        if !updated.fields().is_empty() {
            let face = mission.task_updated_face(task, &updated, actor);
            drafts.push(Draft::public(mission.id.as_str(), updated, face));
        }
        if let Some(to) = to {
            drafts.push(task_moved(mission, task, to, Reason::Patch, agent, actor));
            if to == TaskStatus::Completed {
                drafts.extend(unblocked_by(mission, task, actor));
            }
        } else if let Some(to) = reblocked.filter(|to| *to != task.status) {
            drafts.push(task_moved(mission, task, to, Reason::DependenciesChanged, agent, actor));
        }
        Ok(drafts)
    }

    /// An agent of this workspace, of whichever crew: links are judged at dispatch (`missions.md` 3.10).
    fn assignee(&self, id: Option<&str>) -> Result<Option<AgentId>, Rejection> {
        let Some(id) = id else { return Ok(None) };
        let agent = self.roster.live_agent(id);
        let agent =
            agent.ok_or_else(|| Rejection::invalid("task.agent_not_found", "assigned agent not found"))?;
        Ok(Some(agent.id.clone()))
    }
}

fn task_moved(
    mission: &Mission,
    task: &Task,
    to: TaskStatus,
    reason: Reason,
    agent: Option<AgentId>,
    actor: &Actor,
) -> Draft {
    let event = TaskStatusChanged::new(task, to, reason);
    let face = mission.task_moved_face(&event, agent, actor);
    Draft::public(mission.id.as_str(), event, face)
}

/// The tasks that waited for `done` alone: they become `PENDING` in the same batch.
fn unblocked_by<'a>(
    mission: &'a Mission,
    done: &'a Task,
    actor: &'a Actor,
) -> impl Iterator<Item = Draft> + 'a {
    let waiting = mission.tasks_in_order().into_iter().filter(move |task| {
        task.status == TaskStatus::Blocked
            && task.depends_on.contains(&done.id)
            && mission.all_completed(task.depends_on.iter().filter(|id| **id != done.id))
    });
    waiting.map(move |task| {
        let agent = task.assigned_agent_id.clone();
        task_moved(mission, task, TaskStatus::Pending, Reason::Unblocked, agent, actor)
    })
}

fn task_target(task: &Task, word: &str) -> Result<TaskStatus, Rejection> {
    let to = TaskStatus::parse(word).filter(|to| task.status.may_become(*to));
    to.ok_or_else(|| {
        let detail = format!("Invalid status transition from {} to {word}", task.status);
        Rejection::invalid("task.invalid_transition", detail)
    })
}

/// Reads the string form of `depends_on` (`missions.md` 3.11).
fn dependencies(mission: &Mission, task: &Task, list: &str) -> Result<Vec<TaskId>, Rejection> {
    let ids: Vec<TaskId> = serde_json::from_str(list).map_err(|_| {
        Rejection::invalid("task.depends_on_malformed", "depends_on must be a JSON array of task IDs")
    })?;
    if ids.contains(&task.id) {
        return Err(Rejection::invalid("task.depends_on_itself", "Task cannot depend on itself"));
    }
    if let Some(missing) = ids.iter().find(|id| !mission.tasks.contains_key(*id)) {
        let detail = format!("Dependency task {missing} not found in this mission");
        return Err(Rejection::invalid("task.dependency_not_found", detail));
    }
    // While PLANNING a cycle may stand: start refuses it (DESIGN.md 7, missions 16.4).
    if mission.status == Status::InProgress {
        mission.validate_dag_with(Some((&task.id, &ids)))?;
    }
    Ok(ids)
}

fn max_iterations(wish: Option<i64>) -> Result<Option<u32>, Rejection> {
    let Some(wish) = wish else { return Ok(None) };
    let bound = || Rejection::invalid("task.max_iterations", "max_iterations must be between 0 and 50");
    let fits = Some(wish).filter(|count| MAX_ITERATIONS.contains(count));
    fits.and_then(|count| u32::try_from(count).ok()).map(Some).ok_or_else(bound)
}
