//! Missions (`missions.md` 2.1, 3.1–3.6).

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Value, json};
use taffrail_domain::mission::{Mission, MissionCommand, MissionDraft, MissionPatch, Status, TaskStats};
use taffrail_domain::roster::Roster;
use taffrail_domain::{AgentId, CrewId, MissionId, Text, Workspace, WorkspaceId};
use taffrail_projections::WorkspaceWorld;

use super::body::Sent;
use super::caller::Member;
use super::gate::{ReadMissions, WriteMissions};
use super::problem::Problem;
use super::query::Query;
use super::tasks::TaskView;
use super::time::Seconds;
use super::written::{Written, first_entry};

/// The seed's default for everybody (`DESIGN.md` 7).
const PAGE_DEFAULT: usize = 20;
const PAGE_MAX: usize = 100;

/// How much of a mission an answer shows (`missions.md` 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The mission alone: create and update.
    Bare,
    /// With `task_stats`: lists.
    Stats,
    /// With `task_stats` and `tasks`: one mission, and lists on request.
    Tasks,
}

/// A mission on the wire.
#[derive(Serialize)]
pub(super) struct MissionView {
    id: MissionId,
    workspace_id: WorkspaceId,
    crew_id: CrewId,
    lead_agent_id: AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_agent_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_agent_slug: Option<Text>,
    trace_id: Text,
    title: Text,
    description: Option<Text>,
    status: Status,
    plan: Option<Text>,
    workflow_template: Option<Text>,
    total_token_count: Option<i64>,
    total_estimated_cost: Option<f64>,
    created_at: Seconds,
    updated_at: Seconds,
    completed_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_stats: Option<TaskStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView>>,
}

/// `GET /api/v1/missions`
pub(super) async fn list_missions(member: Member<ReadMissions>, query: Query) -> Json<Vec<MissionView>> {
    let depth = if query.text("include_tasks") == Some("true") { Depth::Tasks } else { Depth::Stats };
    Json(page(&member.world(), None, &query, depth, &member.id))
}

/// `GET /api/v1/crews/{crew}/missions`: an unknown crew has none.
pub(super) async fn list_crew_missions(
    member: Member<ReadMissions>,
    Path(crew): Path<CrewId>,
    query: Query,
) -> Json<Vec<MissionView>> {
    Json(page(&member.world(), Some(&crew), &query, Depth::Stats, &member.id))
}

/// `POST /api/v1/crews/{crew}/missions`
pub(super) async fn create_mission(
    member: Member<WriteMissions>,
    Path(crew): Path<CrewId>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    let draft: MissionDraft = sent.json()?;
    let done = member.execute(MissionCommand::Create { crew: crew.clone(), draft }, &sent).await?;
    let id = MissionId::from(&*first_entry(&done)?.subject);
    let view = MissionView::find(&done.world.state, &crew, &id, Depth::Bare, &member.id)?;
    Ok(Written::created(&done, view))
}

/// `GET /api/v1/crews/{crew}/missions/{mission}`
pub(super) async fn get_mission(
    member: Member<ReadMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
) -> Result<Json<MissionView>, Problem> {
    let world = member.world();
    Ok(Json(MissionView::find(&world.state, &crew, &mission, Depth::Tasks, &member.id)?))
}

/// `PATCH /api/v1/crews/{crew}/missions/{mission}`
pub(super) async fn update_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    let patch: MissionPatch = sent.json()?;
    let command = MissionCommand::Update { crew: crew.clone(), mission: mission.clone(), patch };
    let done = member.execute(command, &sent).await?;
    let view = MissionView::find(&done.world.state, &crew, &mission, Depth::Bare, &member.id)?;
    Ok(Written::ok(&done, view))
}

/// `DELETE /api/v1/crews/{crew}/missions/{mission}`
pub(super) async fn delete_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    let done = member.execute(MissionCommand::Delete { crew, mission }, &sent).await?;
    Ok(Written::gone(&done))
}

/// `POST /api/v1/crews/{crew}/missions/{mission}/start`: a body is not looked at.
pub(super) async fn start_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    // Seen on arrival, decided later: the difference tells a lost race from a late wish (missions.md 3.6).
    let seen = member.world().state.missions.get(&mission).map(|mission| mission.status);
    let command = MissionCommand::Start { crew: crew.clone(), mission: mission.clone(), seen };
    let done = member.execute(command, &sent).await?;
    let view = status_view(done.world.state.mission(&crew, &mission)?);
    Ok(Written::ok(&done, view))
}

/// Exactly these two keys.
fn status_view(mission: &Mission) -> Value {
    json!({ "id": mission.id, "status": mission.status })
}

/// One page, newest first. A status that is none matches nothing.
fn page(
    world: &WorkspaceWorld,
    crew: Option<&CrewId>,
    query: &Query,
    depth: Depth,
    workspace: &WorkspaceId,
) -> Vec<MissionView> {
    let status = match query.text("status").map(Status::parse) {
        None => None,
        Some(Some(status)) => Some(status),
        Some(None) => return vec![],
    };
    let page = query.page(PAGE_DEFAULT, PAGE_MAX);
    let ids = world.board.missions(crew, status).skip(page.offset).take(page.limit);
    ids.filter_map(|id| world.state.missions.get(id))
        .map(|mission| MissionView::of(mission, &world.state.roster, depth, workspace))
        .collect()
}

impl MissionView {
    fn find(
        state: &Workspace,
        crew: &CrewId,
        id: &MissionId,
        depth: Depth,
        workspace: &WorkspaceId,
    ) -> Result<Self, Problem> {
        Ok(Self::of(state.mission(crew, id)?, &state.roster, depth, workspace))
    }

    /// Names come from the roster as it is now, of deleted agents too.
    pub(super) fn of(mission: &Mission, roster: &Roster, depth: Depth, workspace: &WorkspaceId) -> Self {
        let lead = roster.agents.get(&mission.lead_agent_id);
        let tasks = || {
            let tasks = mission.tasks_in_order().into_iter();
            tasks.map(|task| TaskView::of(task, &mission.id, roster)).collect()
        };
        Self {
            id: mission.id.clone(),
            workspace_id: workspace.clone(),
            crew_id: mission.crew_id.clone(),
            lead_agent_id: mission.lead_agent_id.clone(),
            lead_agent_name: lead.map(|lead| lead.facts.name.clone()),
            lead_agent_slug: lead.map(|lead| lead.facts.slug.clone()),
            trace_id: mission.trace_id.clone(),
            title: mission.title.clone(),
            description: mission.description.clone(),
            status: mission.status,
            plan: mission.plan.clone(),
            workflow_template: mission.workflow_template.clone(),
            total_token_count: mission.total_token_count(),
            total_estimated_cost: mission.total_estimated_cost(),
            created_at: Seconds(mission.created_at),
            updated_at: Seconds(mission.updated_at),
            completed_at: mission.completed_at.map(Seconds),
            task_stats: (depth != Depth::Bare).then(|| mission.task_stats()),
            tasks: (depth == Depth::Tasks).then(tasks),
        }
    }
}
