//! Agents (`platform.md` 6.7).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::roster::{Agent, AgentPatch, AgentRole, AgentStatus, Roster, RosterCommand};
use taffrail_domain::{AgentId, CrewId, Text, UserId, WorkspaceId};

use super::answer::{Created, Done, Listed, Shown, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageAgents, ReadAgents, WriteAgents, WriteAgentsOfACrew};
use super::page::PageQuery;
use super::problem::Problem;
use super::query::{Query, Word};
use super::runs::RunView;
use super::success::Success;
use super::tag::Unchanged;
use super::time::Seconds;
use super::unset::Unset;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 500;

/// An agent on the wire.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "Agent")]
pub(super) struct AgentView {
    id: AgentId,
    crew_id: Option<CrewId>,
    workspace_id: WorkspaceId,
    name: Text,
    slug: Text,
    description: Option<Text>,
    role_title: Option<Text>,
    agent_role: AgentRole,
    lead_mode: Option<Text>,
    status: AgentStatus,
    cli_adapter: Text,
    llm_provider: Option<Text>,
    llm_model: Option<Text>,
    system_prompt: Option<Text>,
    avatar_seed: Option<Text>,
    avatar_style: Option<Text>,
    avatar_url: Option<Text>,
    timeout_seconds: i64,
    tool_profile: Text,
    memory_enabled: bool,
    cli_tools: Unset,
    schedule_cron: Option<Text>,
    schedule_prompt: Option<Text>,
    schedule_enabled: bool,
    schedule_last_run: Unset,
    schedule_next_run: Unset,
    webhook_require_timestamp: bool,
    /// Only when one agent is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret_set: Option<bool>,
    suggested_prompts: Option<Text>,
    ask_forms: Option<Text>,
    created_at: Seconds,
    updated_at: Seconds,
    crew: Option<CrewCard>,
    #[serde(rename = "_count")]
    count: AgentCount,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by_user_id: Option<UserId>,
    ephemeral: bool,
    expires_at: Unset,
    expired_at: Unset,
    parent_lead_id: Unset,
    hire_reason: Unset,
}

/// Its crew, for lists.
#[derive(Clone, Serialize, JsonSchema)]
struct CrewCard {
    name: Text,
    slug: Text,
    color: Option<Text>,
    avatar_style: Option<Text>,
}

/// What belongs to it; each comes with its own feature.
#[derive(Clone, Default, Serialize, JsonSchema)]
struct AgentCount {
    skills: u32,
    credentials: u32,
    chats: u32,
}

/// An agent that does nothing more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StoppedAgent")]
pub(super) struct StoppedView {
    id: AgentId,
    status: AgentStatus,
}

/// A webhook's fresh secret; it is shown this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RotatedWebhookSecret")]
pub(super) struct RotatedView {
    webhook_secret: String,
    rotated_at: Seconds,
}

/// Which agents of a list.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct AgentQuery {
    /// Only those of this crew.
    crew_id: Word,
    #[serde(flatten)]
    page: PageQuery,
}

/// `GET /api/v1/agents`: live ones, newest first, of one crew or of all.
pub(super) async fn list_agents(
    member: Member<ReadAgents>,
    Query(query): Query<AgentQuery>,
) -> Listed<Vec<AgentView>> {
    let world = member.world();
    let roster = &world.state.roster;
    let crew = query.crew_id.get();
    let of_crew = |agent: &&Agent| {
        crew.is_none_or(|crew| agent.facts.crew_id.as_ref().is_some_and(|id| id.as_str() == crew))
    };
    let live = roster.agents.values().filter(|agent| agent.deleted_at.is_none());
    let mut agents: Vec<&Agent> = live.filter(of_crew).collect();
    agents.sort_by_key(|agent| std::cmp::Reverse(agent.born));
    let page = query.page.page(PAGE_DEFAULT, PAGE_MAX);
    let shown = agents.iter().skip(page.offset).take(page.limit);
    let views = shown.map(|agent| AgentView::of(agent, roster, &member.id));
    Listed::page(&views.collect(), agents.len(), page)
}

/// `POST /api/v1/agents`
pub(super) async fn create_agent(
    member: Member<WriteAgentsOfACrew>,
    sent: Sent<Required<AgentPatch>>,
) -> Result<Created<AgentView>, Problem> {
    let done = member.execute(RosterCommand::CreateAgent(sent.json()?), &sent).await?;
    let agent = done.world.state.agent(&first_entry(&done)?.subject)?;
    let view = AgentView::of(agent, &done.world.state.roster, &member.id);
    Ok(Created::tagged_as(&done, &view, agent.changed, &view.clone().read_alone(agent)))
}

/// `GET /api/v1/agents/{agent}`
pub(super) async fn get_agent(
    member: Member<ReadAgents>,
    Path(agent): Path<AgentId>,
) -> Result<Shown<AgentView>, Problem> {
    let world = member.world();
    let agent = world.state.agent(agent.as_str())?;
    let view = AgentView::of(agent, &world.state.roster, &member.id).read_alone(agent);
    Ok(Shown::new(agent.changed, &view))
}

/// `PATCH /api/v1/agents/{agent}`
pub(super) async fn update_agent(
    member: Member<WriteAgentsOfACrew>,
    Path(agent): Path<AgentId>,
    unchanged: Unchanged,
    sent: Sent<Required<AgentPatch>>,
) -> Result<Done<AgentView>, Problem> {
    let command = RosterCommand::UpdateAgent { agent: agent.clone(), patch: sent.json()? };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let agent = done.world.state.agent(agent.as_str())?;
    let view = AgentView::of(agent, &done.world.state.roster, &member.id);
    Ok(Done::tagged_as(&done, &view, agent.changed, &view.clone().read_alone(agent)))
}

/// `DELETE /api/v1/agents/{agent}`: 200 with a body, which the known client reads.
pub(super) async fn delete_agent(
    member: Member<WriteAgentsOfACrew>,
    Path(agent): Path<AgentId>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<Success>, Problem> {
    let command = RosterCommand::DeleteAgent { agent };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Done::new(&done, &Success::YES))
}

/// `POST /api/v1/agents/{agentId}/stop`
pub(super) async fn stop_agent(
    member: Member<WriteAgents>,
    Path(agent): Path<AgentId>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<StoppedView>, Problem> {
    let command = RosterCommand::StopAgent { agent: agent.clone() };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let status = done.world.state.agent(agent.as_str())?.status;
    Ok(Done::new(&done, &StoppedView { id: agent, status }))
}

/// `POST /api/v1/agents/{agentId}/webhook-secret/rotate`: the old secret opens nothing from here on.
pub(super) async fn rotate_webhook_secret(
    member: Member<ManageAgents>,
    Path(agent): Path<AgentId>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<RotatedView>, Problem> {
    let request = sent.request(member.user().as_str());
    let seen = (&agent, unchanged.tags());
    let rotated = member.app.rotate_webhook_secret(member.writer(), member.user(), seen, request).await?;
    let view =
        RotatedView { webhook_secret: rotated.secret.reveal().to_owned(), rotated_at: Seconds(rotated.at) };
    Ok(Done::secret(member.writer().log(), rotated.offset, &view))
}

/// `GET /api/v1/agents/{agentId}/runs`: a bare list, newest first.
pub(super) async fn list_agent_runs(
    member: Member<ReadAgents>,
    Path(agent): Path<AgentId>,
    Query(page): Query<PageQuery>,
) -> Result<Listed<Vec<RunView>>, Problem> {
    let world = member.world();
    world.state.agent(agent.as_str())?;
    let page = page.page(PAGE_DEFAULT, PAGE_MAX);
    let own: Vec<_> = world.state.work.runs_newest().filter(|run| run.facts.agent_id == agent).collect();
    let shown = own.iter().skip(page.offset).take(page.limit);
    let views = shown.map(|run| RunView::of(run, &world.state.roster, &member.id)).collect();
    Ok(Listed::page(&views, own.len(), page))
}

impl AgentView {
    /// What is told only of an agent that is read alone.
    fn read_alone(self, agent: &Agent) -> Self {
        Self { webhook_secret_set: Some(agent.webhook_secret.is_some()), ..self }
    }

    fn of(agent: &Agent, roster: &Roster, workspace: &WorkspaceId) -> Self {
        let facts = agent.facts.clone();
        let crew = facts.crew_id.as_ref().and_then(|id| roster.crews.get(id)).map(|crew| CrewCard {
            name: crew.facts.name.clone(),
            slug: crew.facts.slug.clone(),
            color: crew.facts.color.clone(),
            avatar_style: crew.facts.avatar_style.clone(),
        });
        Self {
            id: agent.id.clone(),
            crew_id: facts.crew_id,
            workspace_id: workspace.clone(),
            name: facts.name,
            slug: facts.slug,
            description: facts.description,
            role_title: facts.role_title,
            agent_role: facts.agent_role,
            lead_mode: facts.lead_mode,
            status: agent.status,
            cli_adapter: facts.cli_adapter,
            llm_provider: facts.llm_provider,
            llm_model: facts.llm_model,
            system_prompt: facts.system_prompt,
            avatar_seed: facts.avatar_seed,
            avatar_style: facts.avatar_style,
            avatar_url: facts.avatar_url,
            timeout_seconds: facts.timeout_seconds,
            tool_profile: facts.tool_profile,
            memory_enabled: facts.memory_enabled,
            cli_tools: Unset,
            schedule_cron: facts.schedule_cron,
            schedule_prompt: facts.schedule_prompt,
            schedule_enabled: facts.schedule_enabled,
            schedule_last_run: Unset,
            schedule_next_run: Unset,
            webhook_require_timestamp: facts.webhook_require_timestamp,
            webhook_secret_set: None,
            suggested_prompts: facts.suggested_prompts,
            ask_forms: facts.ask_forms,
            created_at: Seconds(agent.created_at),
            updated_at: Seconds(agent.updated_at),
            crew,
            count: AgentCount::default(),
            created_by_user_id: agent.created_by.clone(),
            ephemeral: false,
            expires_at: Unset,
            expired_at: Unset,
            parent_lead_id: Unset,
            hire_reason: Unset,
        }
    }
}
