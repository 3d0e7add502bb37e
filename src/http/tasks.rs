//! Tasks of a mission (`missions.md` 2.2, 3.10, 3.11).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::mission::{MissionCommand, MissionEvent, Task, TaskDraft, TaskPatch, TaskStatus};
use taffrail_domain::roster::Roster;
use taffrail_domain::{
    AgentId, AssignmentId, CrewId, Entry, Event, MissionId, Rejection, TaskId, Text, UserId, Workspace,
};

use super::answer::{Created, Done};
use super::body::{Required, Sent};
use super::caller::Member;
use super::gate::WriteMissions;
use super::problem::Problem;
use super::tag::Unchanged;
use super::time::Seconds;

/// A task on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Task")]
pub(super) struct TaskView {
    id: TaskId,
    mission_id: MissionId,
    assigned_agent_id: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_slug: Option<Text>,
    title: Text,
    description: Option<Text>,
    status: TaskStatus,
    task_order: i64,
    /// A text that holds a JSON array, as the seed has it.
    depends_on: String,
    iteration: u32,
    max_iterations: Option<u32>,
    result_summary: Option<Text>,
    output_path: Option<Text>,
    error_message: Option<Text>,
    assignment_id: Option<AssignmentId>,
    token_count: Option<i64>,
    estimated_cost: Option<f64>,
    started_at: Option<Seconds>,
    completed_at: Option<Seconds>,
    duration_ms: Option<u64>,
    confidence: Option<f64>,
    needs_review: bool,
    handoff_context: Option<Text>,
    evaluation_status: Option<Text>,
    evaluation_notes: Option<Text>,
    approval_required: bool,
    approval_status: Option<Text>,
    approved_by: Option<UserId>,
    approved_at: Option<Seconds>,
    created_at: Seconds,
    updated_at: Seconds,
}

/// `POST /api/v1/crews/{crew}/missions/{mission}/tasks`: the mission is looked at before the body.
pub(super) async fn create_task(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    unchanged: Unchanged,
    sent: Sent<Required<TaskDraft>>,
) -> Result<Created<TaskView>, Problem> {
    let draft = sent.json();
    let command = MissionCommand::AddTask { crew: crew.clone(), mission: mission.clone(), draft };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let task = done.entries.iter().find_map(created_task).ok_or_else(Problem::internal)?;
    Ok(Created::new(&done, &TaskView::find(&done.world.state, &crew, &mission, task)?))
}

/// `PATCH /api/v1/crews/{crew}/missions/{mission}/tasks/{task}`
pub(super) async fn update_task(
    member: Member<WriteMissions>,
    Path((crew, mission, task)): Path<(CrewId, MissionId, TaskId)>,
    unchanged: Unchanged,
    sent: Sent<Required<TaskPatch>>,
) -> Result<Done<TaskView>, Problem> {
    let patch = sent.json()?;
    let command = MissionCommand::UpdateTask {
        crew: crew.clone(),
        mission: mission.clone(),
        task: task.clone(),
        patch,
    };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Done::new(&done, &TaskView::find(&done.world.state, &crew, &mission, &task)?))
}

/// Body of approve.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ApproveDraft {
    /// Whether the result counts; required.
    approved: Option<bool>,
    /// Why.
    notes: Option<String>,
}

/// `POST /api/v1/crews/{crew}/missions/{mission}/tasks/{task}/approve`: additive (`periphery.md` 11).
pub(super) async fn approve_task(
    member: Member<WriteMissions>,
    Path((crew, mission, task)): Path<(CrewId, MissionId, TaskId)>,
    unchanged: Unchanged,
    sent: Sent<Required<ApproveDraft>>,
) -> Result<Done<TaskView>, Problem> {
    let draft = sent.json()?;
    let approved =
        draft.approved.ok_or_else(|| Problem::invalid("task.approved_required", "approved is required"))?;
    let command = MissionCommand::Approve {
        crew: crew.clone(),
        mission: mission.clone(),
        task: task.clone(),
        approved,
        notes: draft.notes.map(Into::into),
    };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Done::new(&done, &TaskView::find(&done.world.state, &crew, &mission, &task)?))
}

fn created_task(entry: &Entry) -> Option<&TaskId> {
    match &entry.event {
        Some(Event::Mission(MissionEvent::TaskCreated(created))) => Some(&created.task_id),
        _ => None,
    }
}

impl TaskView {
    fn find(state: &Workspace, crew: &CrewId, mission: &MissionId, id: &TaskId) -> Result<Self, Problem> {
        let mission = state.mission(crew, mission)?;
        let task = mission.tasks.get(id);
        let task = task.ok_or_else(|| Rejection::not_found("task.not_found", "Task not found"))?;
        Ok(Self::of(task, &mission.id, &state.roster))
    }

    pub(super) fn of(task: &Task, mission: &MissionId, roster: &Roster) -> Self {
        let agent = task.assigned_agent_id.as_ref().and_then(|id| roster.agents.get(id));
        Self {
            id: task.id.clone(),
            mission_id: mission.clone(),
            assigned_agent_id: task.assigned_agent_id.clone(),
            agent_name: agent.map(|agent| agent.facts.name.clone()),
            agent_slug: agent.map(|agent| agent.facts.slug.clone()),
            title: task.title.clone(),
            description: task.description.clone(),
            status: task.status,
            task_order: task.task_order,
            // A list of texts always has a JSON form.
            depends_on: serde_json::to_string(&task.depends_on).unwrap_or_default(),
            iteration: task.iteration,
            max_iterations: task.max_iterations,
            result_summary: task.result_summary.clone(),
            output_path: task.output_path.clone(),
            error_message: task.error_message.clone(),
            assignment_id: task.assignment_id.clone(),
            token_count: task.token_count,
            estimated_cost: task.estimated_cost,
            started_at: task.started_at.map(Seconds),
            completed_at: task.completed_at.map(Seconds),
            duration_ms: task.duration_ms(),
            confidence: task.confidence,
            needs_review: task.needs_review,
            handoff_context: task.handoff_context.clone(),
            evaluation_status: task.evaluation_status.clone(),
            evaluation_notes: task.evaluation_notes.clone(),
            approval_required: task.approval_required,
            approval_status: task.approval_status.clone(),
            approved_by: task.approved_by.clone(),
            approved_at: task.approved_at.map(Seconds),
            created_at: Seconds(task.created_at),
            updated_at: Seconds(task.updated_at),
        }
    }
}
