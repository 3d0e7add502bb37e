//! What may be done with members, crews and agents, and what then is true.

use serde_json::json;

use super::command::{SLUG_CHARS_MAX, slug_of};
use super::{
    Agent, AgentChanges, AgentCreated, AgentDeleted, AgentFacts, AgentPatch, AgentRole, AgentStatus,
    AgentStatusChanged, AgentUpdated, Crew, CrewCreated, CrewDeleted, CrewFacts, CrewPatch, CrewUpdated,
    Member, MemberAdded, MemberRemoved, MemberRoleChanged, Permission, Role, RosterCommand,
    WebhookSecretRotated, WorkspaceOpened,
};
use crate::unfolding::Unfolding;
use crate::{Actor, AgentId, Context, CrewId, Draft, Face, MemberId, Rejection, Severity, UserId, Workspace};

impl Workspace {
    pub(crate) fn decide_roster(
        &self,
        command: &RosterCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, needs(command))?;
        match command {
            RosterCommand::Open { id, name, slug, preferred_language, owner } => {
                if self.roster.opened.is_some() {
                    return Ok(vec![]); // The follow-up was there before.
                }
                let opened = WorkspaceOpened {
                    name: name.clone(),
                    slug: slug.clone(),
                    preferred_language: preferred_language.clone(),
                };
                let member = member_added(owner, Role::Owner, context);
                Ok(vec![Draft::internal(id.as_str(), opened), member])
            }
            RosterCommand::AddMember { user, role } => self.add_member(user, *role, context),
            RosterCommand::RemoveMember { member } => self.remove_member(member, context.actor),
            RosterCommand::ChangeRole { member, role } => self.change_role(member, *role, context.actor),
            RosterCommand::ChangeCapabilities { user, draft } => {
                self.change_capabilities(user, draft, context.actor)
            }
            RosterCommand::CreateCrew(patch) => self.create_crew(patch, context),
            RosterCommand::UpdateCrew { crew, patch } => self.update_crew(crew, patch, context.actor),
            RosterCommand::DeleteCrew { crew } => {
                let crew = self.crew(crew.as_str())?;
                let face = audit("deleted", "CREW", crew.id.as_str(), &crew.facts.name, context.actor);
                let face = Face { crew_id: Some(crew.id.clone()), ..face };
                let deleted = CrewDeleted { slug: crew.facts.slug.clone() };
                let mut unfolding = Unfolding::of(self, context);
                unfolding.stop_crew_work(&crew.id);
                unfolding.leave_parents_of(&crew.id);
                unfolding.add(Draft::public(crew.id.as_str(), deleted, face));
                unfolding.withdraw_hold(crew.id.as_str());
                unfolding.withdraw_approvals_of_crew(&crew.id);
                unfolding.withdraw_escalations_of_crew(&crew.id);
                Ok(unfolding.finish())
            }
            RosterCommand::CreateAgent(patch) => self.create_agent(patch, context),
            RosterCommand::UpdateAgent { agent, patch } => {
                self.update_agent(self.agent(agent.as_str())?, patch, context.actor)
            }
            RosterCommand::StopAgent { agent } => {
                let mut unfolding = Unfolding::of(self, context);
                let agent = self.agent(agent.as_str())?;
                unfolding.extend(stop(agent, context.actor));
                unfolding.stop_agent_work(&agent.id, "agent stopped");
                Ok(unfolding.finish())
            }
            RosterCommand::RotateWebhookSecret { agent, secret } => {
                let agent = self.agent(agent.as_str())?;
                let face = agent_face("updated", &agent.id, &agent.facts, context.actor);
                let rotated = WebhookSecretRotated { secret_id: secret.clone() };
                Ok(vec![Draft::public(agent.id.as_str(), rotated, face)])
            }
            RosterCommand::AddCrewMember { crew, draft } => self.add_crew_member(crew, draft, context),
            RosterCommand::ChangeCrewMemberRole { crew, member, patch } => {
                self.change_crew_member(crew, member, patch, context.actor)
            }
            RosterCommand::RemoveCrewMember { crew, member } => {
                self.remove_crew_member(crew, member, context.actor)
            }
            RosterCommand::ProposeCrew { by, patch } => self.propose_crew(by.as_ref(), patch, context),
            RosterCommand::ProposeAgent { crew, patch } => self.propose_agent(crew, patch, context),
            RosterCommand::Connect(draft) => self.connect(draft, context),
            RosterCommand::SetPolicy { crew, draft } => self.set_policy(crew, draft, context.actor),
            RosterCommand::Disconnect { connection } => self.disconnect(connection, context.actor),
            RosterCommand::DeleteAgent { agent } => {
                let agent = self.agent(agent.as_str())?;
                let crew = agent.facts.crew_id.as_ref();
                self.roster.require_in(context.actor, crew, Permission::Manage)?;
                let face = agent_face("deleted", &agent.id, &agent.facts, context.actor);
                let deleted = AgentDeleted { slug: agent.facts.slug.clone() };
                let mut unfolding = Unfolding::of(self, context);
                unfolding.add(Draft::public(agent.id.as_str(), deleted, face));
                unfolding.stop_agent_work(&agent.id, "the agent was deleted");
                unfolding.withdraw_hold(agent.id.as_str());
                Ok(unfolding.finish())
            }
        }
    }

    /// A live crew.
    ///
    /// # Errors
    /// `Crew not found`.
    pub fn crew(&self, id: &str) -> Result<&Crew, Rejection> {
        self.roster.live_crew(id).ok_or_else(|| Rejection::not_found("crew.not_found", "Crew not found"))
    }

    /// A live agent.
    ///
    /// # Errors
    /// `Agent not found`.
    pub fn agent(&self, id: &str) -> Result<&Agent, Rejection> {
        self.roster.live_agent(id).ok_or_else(|| Rejection::not_found("agent.not_found", "Agent not found"))
    }

    fn add_member(&self, user: &UserId, role: Role, context: &Context<'_>) -> Result<Vec<Draft>, Rejection> {
        if role == Role::Owner {
            let detail = "role must be ADMIN, MANAGER, MEMBER, or VIEWER";
            return Err(Rejection::invalid("member.role", detail));
        }
        self.only_owner_grants_admin(role, context.actor)?;
        if self.roster.members.contains_key(user) {
            let detail = "User is already a member of this workspace";
            return Err(Rejection::conflict("member.exists", detail));
        }
        Ok(vec![member_added(user, role, context)])
    }

    fn remove_member(&self, id: &MemberId, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
        let member = self.member(id)?;
        if member.role == Role::Owner {
            return Err(Rejection::forbidden_because("member.is_owner", "Cannot remove workspace owner"));
        }
        if self.roster.rank(actor, None).is_some_and(|own| own < Role::Owner && own <= member.role) {
            let detail = "Cannot remove a member ranked at or above your own role";
            return Err(Rejection::forbidden_because("member.ranked_above", detail));
        }
        let removed = MemberRemoved { member_id: id.clone() };
        let face = audit("deleted", "WORKSPACE_MEMBER", id.as_str(), member.role.as_str(), actor);
        Ok(vec![Draft::public(member.user.as_str(), removed, face)])
    }

    fn change_role(&self, id: &MemberId, role: Role, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
        let member = self.member(id)?;
        self.roster.modifies_none_above(member.role, None, actor)?;
        if self.roster.rank(actor, None).is_some_and(|own| own < Role::Owner && own <= role) {
            let detail = "You cannot grant a role at or above your own";
            return Err(Rejection::forbidden_because("member.role_above_own", detail));
        }
        if member.role == role {
            return Ok(vec![]);
        }
        let owners = self.roster.members.values().filter(|member| member.role == Role::Owner).count();
        if member.role == Role::Owner && owners == 1 {
            let detail = "Cannot demote the last owner of the workspace";
            return Err(Rejection::conflict("member.last_owner", detail));
        }
        let changed = MemberRoleChanged { member_id: id.clone(), from: member.role, to: role };
        let details = format!("{} → {role}", member.role);
        let face = audit("updated", "WORKSPACE_MEMBER", id.as_str(), &details, actor);
        Ok(vec![Draft::public(member.user.as_str(), changed, face)])
    }

    fn member(&self, id: &MemberId) -> Result<&Member, Rejection> {
        let user = self.roster.member_rows.get(id);
        let found = user.and_then(|user| self.roster.members.get(user));
        found.ok_or_else(|| Rejection::not_found("member.not_found", "Member not found"))
    }

    fn only_owner_grants_admin(&self, role: Role, actor: &Actor) -> Result<(), Rejection> {
        let is_owner = actor.user().is_none_or(|user| self.roster.role(user) == Some(Role::Owner));
        if role >= Role::Admin && !is_owner {
            let detail = "Only workspace owner can assign ADMIN role";
            return Err(Rejection::forbidden_because("member.admin_by_owner", detail));
        }
        Ok(())
    }

    pub(super) fn create_crew(
        &self,
        patch: &CrewPatch,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        // What only an update may set is no part of a create (platform.md 6.6).
        let patch = CrewPatch {
            avatar_style: None,
            mcp_config_json: None,
            escalation_config: None,
            max_ephemeral_agents: None,
            ..patch.clone()
        };
        let facts = CrewFacts::default().with(&patch)?;
        self.crew_slug_is_free(&facts, None)?;
        let id = CrewId::from(context.mint.cuid());
        let face = crew_face("created", &id, &facts, context.actor);
        Ok(vec![Draft::public(id.as_str(), CrewCreated { crew: facts.into() }, face)])
    }

    fn update_crew(&self, id: &CrewId, patch: &CrewPatch, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
        let crew = self.crew(id.as_str())?;
        let facts = crew.facts.with(patch)?;
        let Some(changes) = crew.facts.changes_to(&facts) else { return Ok(vec![]) };
        self.crew_slug_is_free(&facts, Some(id))?;
        let face = crew_face("updated", id, &facts, actor);
        Ok(vec![Draft::public(id.as_str(), CrewUpdated { changes: changes.into() }, face)])
    }

    fn crew_slug_is_free(&self, facts: &CrewFacts, own: Option<&CrewId>) -> Result<(), Rejection> {
        match self.roster.crew_slugs.get(&facts.slug) {
            Some(holder) if Some(holder) != own => {
                Err(Rejection::conflict("crew.slug_taken", "Crew slug already taken in this workspace"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn create_agent(
        &self,
        patch: &AgentPatch,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let crew = patch.crew_id.clone().flatten().map(CrewId::from);
        self.roster.require_in(context.actor, crew.as_ref(), Permission::Create)?;
        let patch = AgentPatch { slug: Some(self.agent_slug(patch)), ..patch.clone() };
        let facts = AgentFacts::default().with(&patch, |crew| self.is_live_crew(crew))?;
        if let Some(crew) = facts.crew_id.as_ref().filter(|_| facts.agent_role == AgentRole::Lead) {
            self.crew_has_no_lead(crew)?;
        }
        self.agent_slug_is_free(&facts, None)?;
        let id = AgentId::from(context.mint.cuid());
        let face = agent_face("created", &id, &facts, context.actor);
        let created = AgentCreated { agent: facts.into(), created_by: context.actor.user().cloned() };
        Ok(vec![Draft::public(id.as_str(), created, face)])
    }

    /// PATCH to LEAD within a crew swaps with the present one, in one batch; moving a LEAD into a crew
    /// that has one is refused (`platform.md` 6.7).
    fn update_agent(
        &self,
        agent: &Agent,
        patch: &AgentPatch,
        actor: &Actor,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require_in(actor, agent.facts.crew_id.as_ref(), Permission::Create)?;
        if *patch == AgentPatch::default() {
            return Err(Rejection::invalid("agent.no_fields", "No fields to update"));
        }
        let facts = agent.facts.with(patch, |crew| self.is_live_crew(crew))?;
        // Who is elevated only in the crew it leaves may not put it into another.
        self.roster.require_in(actor, facts.crew_id.as_ref(), Permission::Create)?;
        let Some(changes) = agent.facts.changes_to(&facts) else { return Ok(vec![]) };
        let mut drafts = vec![];
        if let Some(crew) = facts.crew_id.as_ref().filter(|_| facts.agent_role == AgentRole::Lead) {
            if agent.facts.crew_id.as_ref() != Some(crew) {
                self.crew_has_no_lead(crew)?;
            }
            let present = self.roster.leads.get(crew).filter(|lead| **lead != agent.id);
            if let Some(lead) = present.and_then(|lead| self.roster.agents.get(lead)) {
                let demoted =
                    AgentFacts { agent_role: AgentRole::Agent, lead_mode: None, ..lead.facts.clone() };
                let demotion = lead.facts.changes_to(&demoted);
                drafts.extend(demotion.map(|changes| agent_updated(&lead.id, &demoted, changes, actor)));
            }
        }
        self.agent_slug_is_free(&facts, Some(&agent.id))?;
        drafts.push(agent_updated(&agent.id, &facts, changes, actor));
        Ok(drafts)
    }

    /// The slug that is given, or a free one made of the name (`client.md` 5.3).
    fn agent_slug(&self, patch: &AgentPatch) -> String {
        if let Some(slug) = patch.slug.as_ref().filter(|slug| !slug.is_empty()) {
            return slug.clone();
        }
        let stem = slug_of(patch.name.as_deref().unwrap_or_default(), "agent");
        let is_free = |slug: &String| !self.roster.agent_slugs.contains_key(slug.as_str());
        let numbered = (2_u32..).map(|number| {
            let number = format!("-{number}");
            let room = SLUG_CHARS_MAX - number.len();
            format!("{}{number}", stem.chars().take(room).collect::<String>())
        });
        std::iter::once(stem.clone()).chain(numbered).find(is_free).unwrap_or(stem)
    }

    fn is_live_crew(&self, crew: &CrewId) -> bool {
        self.roster.live_crew(crew.as_str()).is_some()
    }

    fn crew_has_no_lead(&self, crew: &CrewId) -> Result<(), Rejection> {
        if self.roster.leads.contains_key(crew) {
            return Err(Rejection::conflict("agent.lead_taken", "Crew already has a lead agent"));
        }
        Ok(())
    }

    fn agent_slug_is_free(&self, facts: &AgentFacts, own: Option<&AgentId>) -> Result<(), Rejection> {
        match self.roster.agent_slugs.get(&facts.slug) {
            Some(holder) if Some(holder) != own => {
                Err(Rejection::conflict("agent.slug_taken", "Agent slug already taken in this workspace"))
            }
            _ => Ok(()),
        }
    }
}

/// What a command asks of the role in the workspace. What may also come from a role in a crew is asked
/// for where that crew is known.
fn needs(command: &RosterCommand) -> Permission {
    match command {
        RosterCommand::CreateAgent(_)
        | RosterCommand::UpdateAgent { .. }
        | RosterCommand::DeleteAgent { .. } => Permission::Read,
        RosterCommand::CreateCrew(_)
        | RosterCommand::UpdateCrew { .. }
        | RosterCommand::StopAgent { .. }
        | RosterCommand::ChangeRole { .. }
        | RosterCommand::AddCrewMember { .. }
        | RosterCommand::SetPolicy { .. }
        | RosterCommand::ProposeCrew { .. }
        | RosterCommand::ProposeAgent { .. }
        | RosterCommand::Connect(_) => Permission::Create,
        RosterCommand::Open { .. }
        | RosterCommand::AddMember { .. }
        | RosterCommand::RemoveMember { .. }
        | RosterCommand::ChangeCapabilities { .. }
        | RosterCommand::DeleteCrew { .. }
        | RosterCommand::RotateWebhookSecret { .. }
        | RosterCommand::ChangeCrewMemberRole { .. }
        | RosterCommand::RemoveCrewMember { .. }
        | RosterCommand::Disconnect { .. } => Permission::Manage,
    }
}

/// Nothing new where it is stopped already, or may not begin before somebody has said yes.
fn stop(agent: &Agent, actor: &Actor) -> Vec<Draft> {
    if matches!(agent.status, AgentStatus::Stopped | AgentStatus::PendingReview) {
        return vec![];
    }
    vec![agent_moved(agent, AgentStatus::Stopped, actor)]
}

/// An agent does something else now.
pub(crate) fn agent_moved(agent: &Agent, to: AgentStatus, actor: &Actor) -> Draft {
    let moved = AgentStatusChanged { from: agent.status, to };
    let details = format!("{} → {}", moved.from, moved.to);
    let face = Face {
        crew_id: agent.facts.crew_id.clone(),
        agent_id: Some(agent.id.clone()),
        payload: json!({ "status": moved.to, "prev": moved.from, "details": details }).into(),
        ..Face::new("agent.status_change", actor, "status_changed", &details)
    };
    Draft::public(agent.id.as_str(), moved, face)
}

fn member_added(user: &UserId, role: Role, context: &Context<'_>) -> Draft {
    let member_id = MemberId::from(context.mint.cuid());
    let face = audit("created", "WORKSPACE_MEMBER", member_id.as_str(), role.as_str(), context.actor);
    Draft::public(user.as_str(), MemberAdded { member_id, role }, face)
}

fn agent_updated(id: &AgentId, facts: &AgentFacts, changes: AgentChanges, actor: &Actor) -> Draft {
    let face = agent_face("updated", id, facts, actor);
    Draft::public(id.as_str(), AgentUpdated { changes: changes.into() }, face)
}

fn crew_face(verb: &str, id: &CrewId, facts: &CrewFacts, actor: &Actor) -> Face {
    Face { crew_id: Some(id.clone()), ..audit(verb, "CREW", id.as_str(), &facts.name, actor) }
}

fn agent_face(verb: &str, id: &AgentId, facts: &AgentFacts, actor: &Actor) -> Face {
    let face = audit(verb, "AGENT", id.as_str(), &facts.name, actor);
    Face { crew_id: facts.crew_id.clone(), agent_id: Some(id.clone()), ..face }
}

/// `audit.entity_created`, `_updated` or `_deleted` (`journal.md` 2.4): the audit list is a projection
/// of the same entries (ruling R16).
pub(crate) fn audit(verb: &str, entity_type: &str, entity_id: &str, details: &str, actor: &Actor) -> Face {
    let action = format!("{}.{verb}", entity_type.to_lowercase());
    let face = Face::new(&format!("audit.entity_{verb}"), actor, &action, details);
    Face {
        severity: Severity::Notice,
        payload: json!({ "action": action, "entity_type": entity_type, "entity_id": entity_id }).into(),
        refs: json!({ "entity_type": entity_type, "entity_id": entity_id }).into(),
        ..face
    }
}
