//! Crews (`platform.md` 6.6).

use std::collections::HashMap;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::roster::{Crew, CrewPatch, Roster, RosterCommand};
use taffrail_domain::{CrewId, Text, Workspace, WorkspaceId};

use super::answer::{Created, Done, Listed, Shown, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageCrews, ReadCrews, WriteCrews};
use super::page::PageQuery;
use super::problem::Problem;
use super::query::Query;
use super::tag::Unchanged;
use super::time::Seconds;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 500;
/// Why a crew's network mode is stored and not enforced.
const NO_CONTAINERS: &str = "this instance runs no containers";

/// A crew on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Crew")]
pub(super) struct CrewView {
    id: CrewId,
    workspace_id: WorkspaceId,
    name: Text,
    slug: Text,
    description: Option<Text>,
    color: Option<Text>,
    icon: Option<Text>,
    avatar_style: Option<Text>,
    container_memory_mb: i64,
    container_cpus: f64,
    container_ttl_hours: Option<i64>,
    network_mode: Text,
    network_mode_enforced: bool,
    network_mode_unenforced_reason: &'static str,
    allowed_domains: Vec<Text>,
    allow_private_endpoints: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_config_json: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    escalation_config: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_image: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devcontainer_config: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mise_config: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    services_json: Option<Text>,
    issue_prefix: Text,
    max_ephemeral_agents: i64,
    created_at: Seconds,
    updated_at: Seconds,
    #[serde(rename = "_count")]
    count: CrewCount,
}

/// How many belong to it.
#[derive(Serialize, JsonSchema)]
struct CrewCount {
    agents: usize,
    members: usize,
}

/// What a deletion tells.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CrewDeleted")]
pub(super) struct DeletedView {
    success: bool,
    sidecar_teardown: Teardown,
}

/// What became of the crew's sidecar.
#[derive(Serialize, JsonSchema)]
struct Teardown {
    status: &'static str,
    reason: &'static str,
}

/// `GET /api/v1/crews`: live ones, newest first.
pub(super) async fn list_crews(
    member: Member<ReadCrews>,
    Query(query): Query<PageQuery>,
) -> Listed<Vec<CrewView>> {
    let world = member.world();
    let roster = &world.state.roster;
    let page = query.page(PAGE_DEFAULT, PAGE_MAX);
    let mut crews: Vec<&Crew> = roster.crews.values().filter(|crew| crew.deleted_at.is_none()).collect();
    crews.sort_by_key(|crew| std::cmp::Reverse(crew.born));
    let agents = agents_by_crew(roster);
    let shown = crews.iter().skip(page.offset).take(page.limit);
    let view = |crew: &&Crew| {
        let agents = agents.get(&crew.id).copied().unwrap_or(0);
        CrewView::of(crew, &member.id, agents, roster.members_of(&crew.id).count())
    };
    Listed::page(&shown.map(view).collect(), crews.len(), page)
}

/// `POST /api/v1/crews`
pub(super) async fn create_crew(
    member: Member<WriteCrews>,
    sent: Sent<Required<CrewPatch>>,
) -> Result<Created<CrewView>, Problem> {
    let done = member.execute(RosterCommand::CreateCrew(sent.json()?), &sent).await?;
    let crew = done.world.state.crew(&first_entry(&done)?.subject)?;
    Ok(Created::tagged(&done, &CrewView::find(&done.world.state, crew, &member.id), crew.changed))
}

/// `GET /api/v1/crews/{crew}`
pub(super) async fn get_crew(
    member: Member<ReadCrews>,
    Path(crew): Path<CrewId>,
) -> Result<Shown<CrewView>, Problem> {
    let world = member.world();
    let crew = world.state.crew(crew.as_str())?;
    Ok(Shown::new(crew.changed, &CrewView::find(&world.state, crew, &member.id)))
}

/// `PATCH` and `PUT /api/v1/crews/{crew}`: both change only what they name.
pub(super) async fn update_crew(
    member: Member<WriteCrews>,
    Path(crew): Path<CrewId>,
    unchanged: Unchanged,
    sent: Sent<Required<CrewPatch>>,
) -> Result<Done<CrewView>, Problem> {
    let command = RosterCommand::UpdateCrew { crew: crew.clone(), patch: sent.json()? };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let crew = done.world.state.crew(crew.as_str())?;
    Ok(Done::tagged(&done, &CrewView::find(&done.world.state, crew, &member.id), crew.changed))
}

/// `DELETE /api/v1/crews/{crew}`: 200 with a body, which the known client reads.
pub(super) async fn delete_crew(
    member: Member<ManageCrews>,
    Path(crew): Path<CrewId>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<DeletedView>, Problem> {
    let command = RosterCommand::DeleteCrew { crew };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let sidecar_teardown = Teardown { status: "skipped", reason: NO_CONTAINERS };
    Ok(Done::new(&done, &DeletedView { success: true, sidecar_teardown }))
}

impl CrewView {
    fn find(state: &Workspace, crew: &Crew, workspace: &WorkspaceId) -> Self {
        let roster = &state.roster;
        Self::of(crew, workspace, roster.agents_in(&crew.id).count(), roster.members_of(&crew.id).count())
    }

    fn of(crew: &Crew, workspace: &WorkspaceId, agents: usize, members: usize) -> Self {
        let facts = crew.facts.clone();
        Self {
            id: crew.id.clone(),
            workspace_id: workspace.clone(),
            issue_prefix: facts.effective_issue_prefix(),
            name: facts.name,
            slug: facts.slug,
            description: facts.description,
            color: facts.color,
            icon: facts.icon,
            avatar_style: facts.avatar_style,
            container_memory_mb: facts.container_memory_mb,
            container_cpus: facts.container_cpus,
            container_ttl_hours: facts.container_ttl_hours,
            network_mode: facts.network_mode,
            network_mode_enforced: false,
            network_mode_unenforced_reason: NO_CONTAINERS,
            allowed_domains: facts.allowed_domains,
            allow_private_endpoints: false,
            mcp_config_json: facts.mcp_config_json,
            escalation_config: facts.escalation_config,
            runtime_image: facts.runtime_image,
            devcontainer_config: facts.devcontainer_config,
            mise_config: facts.mise_config,
            services_json: facts.services_json,
            max_ephemeral_agents: facts.max_ephemeral_agents,
            created_at: Seconds(crew.created_at),
            updated_at: Seconds(crew.updated_at),
            count: CrewCount { agents, members },
        }
    }
}

/// Live agents of every crew, counted in one pass.
fn agents_by_crew(roster: &Roster) -> HashMap<&CrewId, usize> {
    let mut counts = HashMap::new();
    let live = roster.agents.values().filter(|agent| agent.deleted_at.is_none());
    live.filter_map(|agent| agent.facts.crew_id.as_ref())
        .for_each(|crew| *counts.entry(crew).or_default() += 1);
    counts
}
