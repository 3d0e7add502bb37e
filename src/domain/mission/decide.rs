//! What may be done with missions and tasks, and what then is true (`missions.md` 3, 5–7).

use std::sync::Arc;

use super::copy::copy;
use super::lifecycle::{restart, resume, start};
use super::{
    Mission, MissionCommand, MissionCreated, MissionDeleted, MissionDraft, MissionPatch,
    MissionStatusChanged, MissionUpdated, Reason, Status, Task, TaskCreated, TaskDraft, TaskPatch,
    TaskStatus, TaskStatusChanged, TaskUpdated,
};
use crate::roster::{AgentRole, Permission};
use crate::{Actor, AgentId, Context, CrewId, Draft, MissionId, Rejection, TaskId, Text, Workspace};

/// Most attempts a task may be given (`missions.md` 3.10).
const MAX_ITERATIONS: std::ops::RangeInclusive<i64> = 0..=50;

impl Workspace {
    pub(crate) fn decide_mission(
        &self,
        command: &MissionCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Create)?;
        match command {
            MissionCommand::Create { crew, draft } => self.create_mission(crew, draft, context),
            MissionCommand::Update { crew, mission, patch } => {
                update(self.mission(crew, mission)?, patch, context.actor)
            }
            MissionCommand::Delete { crew, mission } => delete(self.mission(crew, mission)?, context.actor),
            MissionCommand::Start { crew, mission, seen } => {
                start(self.mission(crew, mission)?, *seen, context.actor)
            }
            MissionCommand::Restart { crew, mission } => restart(self.mission(crew, mission)?, context.actor),
            MissionCommand::Resume { crew, mission } => resume(self.mission(crew, mission)?, context.actor),
            MissionCommand::Clone { crew, mission, title } => {
                Ok(copy(self.mission(crew, mission)?, title.as_deref(), context))
            }
            MissionCommand::AddTask { crew, mission, draft } => {
                self.add_task(self.mission(crew, mission)?, draft, context)
            }
            MissionCommand::UpdateTask { crew, mission, task, patch } => {
                let found = self.mission(crew, mission).ok();
                let pair = found.and_then(|mission| Some((mission, &**mission.tasks.get(task)?)));
                let (mission, task) =
                    pair.ok_or_else(|| Rejection::not_found("task.not_found", "Task not found"))?;
                self.update_task(mission, task, patch, context.actor)
            }
        }
    }

    /// A live mission of a live crew; anything else is the same 404.
    ///
    /// # Errors
    /// `Mission not found`.
    pub fn mission(&self, crew: &CrewId, id: &MissionId) -> Result<&Arc<Mission>, Rejection> {
        let found = self.missions.get(id).filter(|mission| mission.crew_id == *crew);
        found.ok_or_else(not_found)
    }

    fn create_mission(
        &self,
        crew: &CrewId,
        draft: &MissionDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let title = required(draft.title.as_deref(), "mission.title_required", "title is required")?;
        let lead = draft.lead_agent_id.as_deref();
        let lead = required(lead, "mission.lead_required", "lead_agent_id is required")?;
        let lead = self.roster.live_agent(&lead).filter(|agent| agent.facts.crew_id.as_ref() == Some(crew));
        let lead = lead
            .filter(|_| self.roster.live_crew(crew.as_str()).is_some())
            .ok_or_else(|| Rejection::invalid("mission.lead_not_in_crew", "lead agent not found in crew"))?;
        if lead.facts.agent_role != AgentRole::Lead {
            return Err(Rejection::invalid("mission.not_lead", "agent must have LEAD role"));
        }
        let id = MissionId::from(context.mint.cuid());
        let created = MissionCreated {
            crew_id: crew.clone(),
            lead_agent_id: lead.id.clone(),
            trace_id: format!("mission-{}", context.mint.cuid()).into(),
            title,
            description: text(draft.description.as_deref()),
            plan: None,
            workflow_template: text(draft.workflow_template.as_deref()),
            fork_of: None,
            cloned_from: None,
        };
        let face = created.face(&id, context.actor);
        Ok(vec![Draft::public(id.as_str(), created, face)])
    }

    fn add_task(
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
            outcome: None,
        };
        let face = created.face(&mission.crew_id, &mission.id, context.actor);
        Ok(vec![Draft::public(mission.id.as_str(), created, face)])
    }

    fn update_task(
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
            task_id: task.id.clone(),
            title: changed(patch.title.as_deref(), Some(&task.title)),
            description: changed(patch.description.as_deref(), task.description.as_ref()),
            assigned_agent_id: assignee.filter(|new| task.assigned_agent_id.as_ref() != Some(new)),
            depends_on: depends_on.filter(|new| *new != task.depends_on),
            result_summary: changed(patch.result_summary.as_deref(), task.result_summary.as_ref()),
            error_message: changed(patch.error_message.as_deref(), task.error_message.as_ref()),
            output_path: changed(patch.output_path.as_deref(), task.output_path.as_ref()),
            token_count: patch.token_count.filter(|new| task.token_count != Some(*new)),
            estimated_cost: patch.estimated_cost.filter(|new| task.estimated_cost != Some(*new)),
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

fn update(mission: &Mission, patch: &MissionPatch, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
    let to = patch.status.as_deref().map(|word| mission_target(mission, word)).transpose()?;
    if to == Some(Status::InProgress) && mission.status == Status::Planning {
        mission.validate_dag()?; // A PATCH to IN_PROGRESS is a start (missions.md 15, row 6).
    }
    let updated = MissionUpdated {
        title: changed(patch.title.as_deref(), Some(&mission.title)),
        description: changed(patch.description.as_deref(), mission.description.as_ref()),
        plan: changed(patch.plan.as_deref(), mission.plan.as_ref()),
    };
    let mut drafts = vec![];
    if updated != MissionUpdated::default() {
        let face = mission.updated_face(&updated, actor);
        drafts.push(Draft::public(mission.id.as_str(), updated, face));
    }
    if let Some(to) = to {
        drafts.push(moved(mission, to, Reason::Patch, actor));
        if to == Status::Cancelled {
            drafts.extend(stopped(mission, actor));
        }
    }
    Ok(drafts)
}

fn delete(mission: &Mission, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
    if !matches!(mission.status, Status::Planning | Status::Cancelled) {
        return Err(Rejection::invalid(
            "mission.not_deletable",
            "Only PLANNING or CANCELLED missions can be deleted",
        ));
    }
    let deleted = MissionDeleted { status: mission.status, crew_id: mission.crew_id.clone() };
    let face = mission.deleted_face(&deleted, actor);
    Ok(vec![Draft::public(mission.id.as_str(), deleted, face)])
}

pub(super) fn moved(mission: &Mission, to: Status, reason: Reason, actor: &Actor) -> Draft {
    let event = MissionStatusChanged { from: mission.status, to, reason };
    let face = mission.moved_face(&event, actor);
    Draft::public(mission.id.as_str(), event, face)
}

/// Cancel means stop: what is in flight is skipped (`DESIGN.md` 7, missions 16.3).
fn stopped<'a>(mission: &'a Mission, actor: &'a Actor) -> impl Iterator<Item = Draft> + 'a {
    let in_flight = mission.tasks_in_order().into_iter().filter(|task| task.status.is_in_flight());
    in_flight.map(move |task| {
        let event = TaskStatusChanged {
            task_id: task.id.clone(),
            from: task.status,
            to: TaskStatus::Skipped,
            iteration: task.iteration,
            reason: Reason::MissionCancelled,
            error_message: Some("mission cancelled".into()),
        };
        let face = mission.task_moved_face(&event, task.assigned_agent_id.clone(), actor);
        Draft::public(mission.id.as_str(), event, face)
    })
}

pub(super) fn task_moved(
    mission: &Mission,
    task: &Task,
    to: TaskStatus,
    reason: Reason,
    agent: Option<AgentId>,
    actor: &Actor,
) -> Draft {
    let event = TaskStatusChanged {
        task_id: task.id.clone(),
        from: task.status,
        to,
        iteration: task.iteration,
        reason,
        error_message: None,
    };
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

pub(crate) fn birth_status(dependencies_completed: bool) -> TaskStatus {
    if dependencies_completed { TaskStatus::Pending } else { TaskStatus::Blocked }
}

fn mission_target(mission: &Mission, word: &str) -> Result<Status, Rejection> {
    let to = Status::parse(word).filter(|to| mission.status.may_become(*to));
    to.ok_or_else(|| {
        let detail = format!("Invalid status transition from {} to {word}", mission.status);
        Rejection::invalid("mission.invalid_transition", detail)
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

fn required(value: Option<&str>, code: &'static str, detail: &'static str) -> Result<Text, Rejection> {
    value.filter(|text| !text.is_empty()).map(Into::into).ok_or_else(|| Rejection::invalid(code, detail))
}

fn text(value: Option<&str>) -> Option<Text> {
    value.map(Into::into)
}

/// The new value, if it is one: no new fact, no event.
fn changed(new: Option<&str>, old: Option<&Text>) -> Option<Text> {
    new.filter(|new| old.map(|old| &**old) != Some(*new)).map(Into::into)
}

fn not_found() -> Rejection {
    Rejection::not_found("mission.not_found", "Mission not found")
}
