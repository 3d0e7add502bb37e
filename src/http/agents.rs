//! Agents (`platform.md` 6.7).

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::json;
use taffrail_domain::roster::{Agent, AgentPatch, AgentRole, Roster, RosterCommand};
use taffrail_domain::{AgentId, CrewId, Text, UserId, Workspace, WorkspaceId};

use super::body::Sent;
use super::caller::Member;
use super::gate::{ManageAgents, ReadAgents, WriteAgents};
use super::problem::Problem;
use super::query::Query;
use super::time::Seconds;
use super::unset::Unset;
use super::written::{Written, first_entry};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 500;

/// An agent on the wire.
#[derive(Serialize)]
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
    /// No agent runs on this instance, so each is where it began.
    status: &'static str,
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
    schedule_cron: Unset,
    schedule_prompt: Unset,
    schedule_enabled: bool,
    schedule_last_run: Unset,
    schedule_next_run: Unset,
    webhook_require_timestamp: bool,
    /// Only when one agent is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret_set: Option<bool>,
    suggested_prompts: Unset,
    ask_forms: Unset,
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
#[derive(Serialize)]
struct CrewCard {
    name: Text,
    slug: Text,
    color: Option<Text>,
    avatar_style: Option<Text>,
}

/// What belongs to it; each comes with its own feature.
#[derive(Default, Serialize)]
struct AgentCount {
    skills: u32,
    credentials: u32,
    chats: u32,
}

/// `GET /api/v1/agents`: live ones, newest first, of one crew or of all.
pub(super) async fn list_agents(member: Member<ReadAgents>, query: Query) -> Json<Vec<AgentView>> {
    let world = member.world();
    let roster = &world.state.roster;
    let crew = query.text("crew_id");
    let of_crew = |agent: &&Agent| {
        crew.is_none_or(|crew| agent.facts.crew_id.as_ref().is_some_and(|id| id.as_str() == crew))
    };
    let live = roster.agents.values().filter(|agent| agent.deleted_at.is_none());
    let mut agents: Vec<&Agent> = live.filter(of_crew).collect();
    agents.sort_by_key(|agent| std::cmp::Reverse(agent.born));
    let page = query.page(PAGE_DEFAULT, PAGE_MAX);
    let page = agents.into_iter().skip(page.offset).take(page.limit);
    Json(page.map(|agent| AgentView::of(agent, roster, &member.id)).collect())
}

/// `POST /api/v1/agents`
pub(super) async fn create_agent(
    member: Member<WriteAgents>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    let patch: AgentPatch = sent.json()?;
    let done = member.execute(RosterCommand::CreateAgent(patch), &sent).await?;
    let view = AgentView::find(&done.world.state, &first_entry(&done)?.subject, &member.id)?;
    Ok(Written::created(&done, view))
}

/// `GET /api/v1/agents/{agent}`
pub(super) async fn get_agent(
    member: Member<ReadAgents>,
    Path(agent): Path<AgentId>,
) -> Result<Json<AgentView>, Problem> {
    let view = AgentView::find(&member.world().state, agent.as_str(), &member.id)?;
    Ok(Json(AgentView { webhook_secret_set: Some(false), ..view }))
}

/// `PATCH /api/v1/agents/{agent}`
pub(super) async fn update_agent(
    member: Member<WriteAgents>,
    Path(agent): Path<AgentId>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    let patch: AgentPatch = sent.json()?;
    let done = member.execute(RosterCommand::UpdateAgent { agent: agent.clone(), patch }, &sent).await?;
    Ok(Written::ok(&done, AgentView::find(&done.world.state, agent.as_str(), &member.id)?))
}

/// `DELETE /api/v1/agents/{agent}`: 200 with a body, which the known client reads.
pub(super) async fn delete_agent(
    member: Member<ManageAgents>,
    Path(agent): Path<AgentId>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    let done = member.execute(RosterCommand::DeleteAgent { agent }, &sent).await?;
    Ok(Written::ok(&done, json!({ "success": true })))
}

impl AgentView {
    fn find(state: &Workspace, id: &str, workspace: &WorkspaceId) -> Result<Self, Problem> {
        Ok(Self::of(state.agent(id)?, &state.roster, workspace))
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
            status: "IDLE",
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
            schedule_cron: Unset,
            schedule_prompt: Unset,
            schedule_enabled: false,
            schedule_last_run: Unset,
            schedule_next_run: Unset,
            webhook_require_timestamp: false,
            webhook_secret_set: None,
            suggested_prompts: Unset,
            ask_forms: Unset,
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
