//! Workspaces: list, make, show (`platform.md` 6.2).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::instance::WorkspaceDraft;
use taffrail_domain::instance::scope::{Area, Verb};
use taffrail_domain::roster::{Capability, Member as Row, Opened, Role, Roster};
use taffrail_domain::{Text, UserId, WorkspaceId};
use taffrail_projections::WorkspaceWorld;

use super::answer::{Created, Listed, Shown, first_entry};
use super::body::{Required, Sent};
use super::caller::{Caller, Member};
use super::gate::ReadWorkspace;
use super::problem::Problem;
use super::time::Seconds;
use super::unset::Unset;
use crate::writer::Writer;

/// A workspace on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Workspace")]
pub(super) struct WorkspaceView {
    id: WorkspaceId,
    name: Text,
    slug: Text,
    logo_url: Unset,
    preferred_language: Option<Text>,
    created_at: Seconds,
    updated_at: Seconds,
    #[serde(rename = "currentUserRole", skip_serializing_if = "Option::is_none")]
    current_user_role: Option<Role>,
    /// What the caller may do beside what their role allows, by name.
    #[serde(rename = "currentUserCapabilities", skip_serializing_if = "Option::is_none")]
    current_user_capabilities: Option<BTreeSet<Capability>>,
    allow_privileged_credentials: bool,
    /// Days; 0 keeps them for ever, as the journal does.
    run_retention_days: u32,
    credential_audit_retention_days: u32,
    audit_log_retention_days: u32,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    counts: Option<CountsView>,
}

/// What belongs to it, nested and flat: clients of both eras read it.
#[derive(Serialize, JsonSchema)]
struct CountsView {
    #[serde(rename = "_count")]
    nested: Counts,
    #[serde(rename = "_count_crews")]
    crews: usize,
    #[serde(rename = "_count_agents")]
    agents: usize,
    #[serde(rename = "_count_members")]
    members: usize,
}

/// How many live ones.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WorkspaceCount")]
struct Counts {
    crews: usize,
    agents: usize,
    members: usize,
}

/// `GET /api/v1/workspaces`: the caller's own, newest first. A bare list: the known client finds
/// workspaces by slug in it (`client.md` 8, trap 9).
pub(super) async fn list_workspaces(caller: Caller) -> Listed<Vec<WorkspaceView>> {
    let mut own = caller.app.workspaces_of(caller.user());
    // Logs are numbered as workspaces are made.
    own.sort_by_key(|(_, writer)| std::cmp::Reverse(writer.log()));
    let worlds = own.iter().map(|(_, writer)| writer.world());
    let views: Vec<_> =
        worlds.filter_map(|world| WorkspaceView::of(&world.state.roster, caller.user())).collect();
    Listed::whole(&views, views.len())
}

/// `POST /api/v1/workspaces`: who makes it owns it.
pub(super) async fn create_workspace(
    caller: Caller,
    sent: Sent<Required<WorkspaceDraft>>,
) -> Result<Created<WorkspaceView>, Problem> {
    if !caller.powers().allow(Area::Workspace, Verb::Write) {
        return Err(Problem::forbidden("forbidden.scope"));
    }
    let grant = sent.json()?.grant()?;
    let request = sent.request(caller.user().as_str());
    let done = caller.app.create_workspace(caller.user(), grant, request).await?;
    let entry = first_entry(&done)?;
    let id = WorkspaceId::from(&*entry.subject);
    let registered = done.world.state.workspaces.get(&id).ok_or_else(Problem::internal)?;
    // What was registered, should the workspace's own log have found no room yet.
    let opened = Opened {
        id: id.clone(),
        name: registered.name.clone(),
        slug: registered.slug.clone(),
        preferred_language: registered.preferred_language.clone(),
        at: entry.time,
        changed: entry.offset,
    };
    let world = caller.app.workspace(&id).map(|writer: Writer<WorkspaceWorld>| writer.world());
    let opened = world.and_then(|world| world.state.roster.opened.clone()).unwrap_or(opened);
    Ok(Created::new(&done, &WorkspaceView::bare(&opened)))
}

/// `GET /api/v1/workspaces/{workspaceId}`: by id or slug.
pub(super) async fn get_workspace(member: Member<ReadWorkspace>) -> Result<Shown<WorkspaceView>, Problem> {
    let world = member.world();
    let roster = &world.state.roster;
    let opened = roster.opened.as_ref().ok_or_else(Problem::internal)?;
    let view = WorkspaceView::of(roster, member.user()).ok_or_else(Problem::internal)?;
    Ok(Shown::new(opened.changed, &view))
}

impl WorkspaceView {
    /// All of it, as one of its members sees it; `None` before its log has begun.
    fn of(roster: &Roster, user: &UserId) -> Option<Self> {
        let (crews, agents) = (roster.crew_slugs.len(), roster.agent_slugs.len());
        let members = roster.members.len();
        let counts = CountsView { nested: Counts { crews, agents, members }, crews, agents, members };
        let bare = Self::bare(roster.opened.as_ref()?);
        let row = roster.members.get(user);
        Some(Self {
            current_user_role: row.map(|row| row.role),
            current_user_capabilities: row.map(Row::effective_capabilities),
            counts: Some(counts),
            ..bare
        })
    }

    /// Without role, capabilities and counts, as its maker is told of it.
    fn bare(opened: &Opened) -> Self {
        Self {
            id: opened.id.clone(),
            name: opened.name.clone(),
            slug: opened.slug.clone(),
            logo_url: Unset,
            preferred_language: opened.preferred_language.clone(),
            created_at: Seconds(opened.at),
            updated_at: Seconds(opened.at),
            current_user_role: None,
            current_user_capabilities: None,
            allow_privileged_credentials: false,
            run_retention_days: 0,
            credential_audit_retention_days: 0,
            audit_log_retention_days: 0,
            counts: None,
        }
    }
}
