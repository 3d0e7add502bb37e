//! Tasks of a mission (`missions.md` 2.2, 3.10, 3.11).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::mission::{MissionCommand, MissionEvent, Task, TaskDraft, TaskPatch, TaskStatus};
use taffrail_domain::roster::Roster;
use taffrail_domain::{AgentId, CrewId, Entry, Event, MissionId, Rejection, TaskId, Text, Workspace};

use super::answer::{Created, Done};
use super::body::{Required, Sent};
use super::caller::Member;
use super::gate::WriteMissions;
use super::problem::Problem;
use super::tag::Unchanged;
use super::time::Seconds;
use super::unset::Unset;

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
    assignment_id: Unset,
    token_count: Option<i64>,
    estimated_cost: Option<f64>,
    started_at: Option<Seconds>,
    completed_at: Option<Seconds>,
    duration_ms: Option<u64>,
    confidence: Unset,
    needs_review: bool,
    handoff_context: Unset,
    evaluation_status: Unset,
    evaluation_notes: Unset,
    approval_required: bool,
    approval_status: Unset,
    approved_by: Unset,
    approved_at: Unset,
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
            assignment_id: Unset,
            token_count: task.token_count,
            estimated_cost: task.estimated_cost,
            started_at: task.started_at.map(Seconds),
            completed_at: task.completed_at.map(Seconds),
            duration_ms: task.duration_ms(),
            confidence: Unset,
            needs_review: false,
            handoff_context: Unset,
            evaluation_status: Unset,
            evaluation_notes: Unset,
            approval_required: false,
            approval_status: Unset,
            approved_by: Unset,
            approved_at: Unset,
            created_at: Seconds(task.created_at),
            updated_at: Seconds(task.updated_at),
        }
    }
}
