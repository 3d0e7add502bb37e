//! Missions (`missions.md` 2.1, 3.1–3.6).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::mission::{
    CloneDraft, Mission, MissionCommand, MissionDraft, MissionEvent, MissionPatch, Status, TaskStats,
};
use taffrail_domain::roster::Roster;
use taffrail_domain::{AgentId, CrewId, Entry, Event, MissionId, Text, WorkspaceId};

use super::answer::{Created, Done, Gone, Listed, Shown, first_entry};
use super::body::{Ignored, Optional, Required, Sent};
use super::caller::Member;
use super::gate::{ReadMissions, WriteMissions};
use super::page::PageQuery;
use super::problem::Problem;
use super::query::{Query, Word};
use super::rendered::Rendered;
use super::tag::Unchanged;
use super::tasks::TaskView;
use super::time::Seconds;

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
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Mission")]
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

/// A mission after an action: exactly these two keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MissionStatus")]
pub(super) struct StatusView {
    id: MissionId,
    status: Status,
}

/// A mission that goes on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResumedMission")]
pub(super) struct ResumedView {
    #[serde(flatten)]
    mission: StatusView,
    /// How many tasks begin again.
    reset_tasks: usize,
}

/// Which missions of a list.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct MissionQuery {
    /// Only those in this status; a word that is none matches nothing.
    status: Word,
    /// Missions on the page, 1 to 100; 20 without it.
    #[serde(flatten)]
    page: PageQuery,
}

/// Which missions of the workspace, and how much of each.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WorkspaceMissionQuery {
    /// Exactly `true` shows each mission's tasks.
    include_tasks: Word,
    #[serde(flatten)]
    missions: MissionQuery,
}

/// `GET /api/v1/missions`
pub(super) async fn list_missions(
    member: Member<ReadMissions>,
    Query(query): Query<WorkspaceMissionQuery>,
) -> Listed<Vec<Rendered<MissionView>>> {
    let depth = if query.include_tasks.get() == Some("true") { Depth::Tasks } else { Depth::Stats };
    page(&member, None, &query.missions, depth)
}

/// `GET /api/v1/crews/{crew}/missions`: an unknown crew has none.
pub(super) async fn list_crew_missions(
    member: Member<ReadMissions>,
    Path(crew): Path<CrewId>,
    Query(query): Query<MissionQuery>,
) -> Listed<Vec<Rendered<MissionView>>> {
    page(&member, Some(&crew), &query, Depth::Stats)
}

/// `POST /api/v1/crews/{crew}/missions`
pub(super) async fn create_mission(
    member: Member<WriteMissions>,
    Path(crew): Path<CrewId>,
    sent: Sent<Required<MissionDraft>>,
) -> Result<Created<Rendered<MissionView>>, Problem> {
    let draft = sent.json()?;
    let done = member.execute(MissionCommand::Create { crew: crew.clone(), draft }, &sent).await?;
    let id = MissionId::from(&*first_entry(&done)?.subject);
    let mission = done.world.state.mission(&crew, &id)?;
    let show = |depth| member.app.renderings.show(mission, &done.world.state.roster, depth, &member.id);
    Ok(Created::tagged_as(&done, &show(Depth::Bare), mission.changed, &show(Depth::Tasks)))
}

/// `GET /api/v1/crews/{crew}/missions/{mission}`
pub(super) async fn get_mission(
    member: Member<ReadMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
) -> Result<Shown<Rendered<MissionView>>, Problem> {
    let world = member.world();
    let mission = world.state.mission(&crew, &mission)?;
    let view = member.app.renderings.show(mission, &world.state.roster, Depth::Tasks, &member.id);
    Ok(Shown::new(mission.changed, &view))
}

/// `PATCH /api/v1/crews/{crew}/missions/{mission}`
pub(super) async fn update_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    unchanged: Unchanged,
    sent: Sent<Required<MissionPatch>>,
) -> Result<Done<Rendered<MissionView>>, Problem> {
    let patch = sent.json()?;
    let command = MissionCommand::Update { crew: crew.clone(), mission: mission.clone(), patch };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let mission = done.world.state.mission(&crew, &mission)?;
    let show = |depth| member.app.renderings.show(mission, &done.world.state.roster, depth, &member.id);
    Ok(Done::tagged_as(&done, &show(Depth::Bare), mission.changed, &show(Depth::Tasks)))
}

/// `DELETE /api/v1/crews/{crew}/missions/{mission}`
pub(super) async fn delete_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let command = MissionCommand::Delete { crew, mission };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Gone::of(&done))
}

/// `POST /api/v1/crews/{crew}/missions/{mission}/start`: a body is not looked at.
pub(super) async fn start_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<StatusView>, Problem> {
    // Seen on arrival, decided later: the difference tells a lost race from a late wish (missions.md 3.6).
    let seen = member.world().state.missions.get(&mission).map(|mission| mission.status);
    let command = MissionCommand::Start { crew: crew.clone(), mission: mission.clone(), seen };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let view = StatusView::of(done.world.state.mission(&crew, &mission)?);
    Ok(Done::new(&done, &view))
}

/// `POST /api/v1/crews/{crewId}/missions/{missionId}/restart`: a body is not looked at.
pub(super) async fn restart_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<StatusView>, Problem> {
    let command = MissionCommand::Restart { crew: crew.clone(), mission: mission.clone() };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let view = StatusView::of(done.world.state.mission(&crew, &mission)?);
    Ok(Done::new(&done, &view))
}

/// `POST /api/v1/crews/{crewId}/missions/{missionId}/resume`: a body is not looked at.
pub(super) async fn resume_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<ResumedView>, Problem> {
    let command = MissionCommand::Resume { crew: crew.clone(), mission: mission.clone() };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let mission = StatusView::of(done.world.state.mission(&crew, &mission)?);
    let reset_tasks = done.entries.iter().filter(|entry| moves_a_task(entry)).count();
    Ok(Done::new(&done, &ResumedView { mission, reset_tasks }))
}

/// `POST /api/v1/crews/{crewId}/missions/{missionId}/clone`: a body that cannot be read names no title.
pub(super) async fn clone_mission(
    member: Member<WriteMissions>,
    Path((crew, mission)): Path<(CrewId, MissionId)>,
    unchanged: Unchanged,
    sent: Sent<Optional<CloneDraft>>,
) -> Result<Created<StatusView>, Problem> {
    let title = sent.json_if_any().title;
    let command = MissionCommand::Clone { crew: crew.clone(), mission, title };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let id = MissionId::from(&*first_entry(&done)?.subject);
    Ok(Created::new(&done, &StatusView::of(done.world.state.mission(&crew, &id)?)))
}

fn moves_a_task(entry: &Entry) -> bool {
    matches!(&entry.event, Some(Event::Mission(MissionEvent::TaskStatusChanged(_))))
}

/// One page, newest first. A status that is none matches nothing.
fn page(
    member: &Member<ReadMissions>,
    crew: Option<&CrewId>,
    query: &MissionQuery,
    depth: Depth,
) -> Listed<Vec<Rendered<MissionView>>> {
    let world = member.world();
    let page = query.page.page(PAGE_DEFAULT, PAGE_MAX);
    let status = match query.status.get().map(Status::parse) {
        None => None,
        Some(Some(status)) => Some(status),
        Some(None) => return Listed::page(&vec![], 0, page),
    };
    let ids = world.board.page(crew, status, page.offset).take(page.limit);
    let missions = ids.filter_map(|id| world.state.missions.get(id));
    let show = |mission| member.app.renderings.show(mission, &world.state.roster, depth, &member.id);
    let views = missions.map(show);
    Listed::page(&views.collect(), world.board.count(crew, status), page)
}

impl StatusView {
    fn of(mission: &Mission) -> Self {
        Self { id: mission.id.clone(), status: mission.status }
    }
}

impl MissionView {
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
