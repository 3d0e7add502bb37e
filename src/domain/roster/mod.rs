//! Who is there: the workspace itself, its members and their roles, crews and agents (`platform.md` 3, 6).

mod agent;
mod apply;
mod capability;
mod command;
mod connection;
mod crew;
mod crew_member;
mod decide;
mod event;
mod policy;
mod propose;

use std::collections::BTreeSet;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

pub use agent::{Agent, AgentChanges, AgentFacts, AgentRole, AgentStatus};
pub use capability::{CapabilitiesDraft, Capability};
pub use command::{AgentPatch, ConnectionDraft, CrewMemberDraft, CrewMemberPatch, CrewPatch, RosterCommand};
pub(crate) use command::{name, slug, slug_of};
pub use connection::{Connection, Direction};
pub use crew::{Crew, CrewChanges, CrewFacts};
pub use crew_member::CrewMember;
pub(crate) use decide::{agent_moved, audit};
pub use event::{
    AgentCreated, AgentDeleted, AgentStatusChanged, AgentUpdated, CapabilitiesChanged, CrewCreated,
    CrewDeleted, CrewMemberAdded, CrewMemberRemoved, CrewMemberRoleChanged, CrewUpdated, CrewsConnected,
    CrewsDisconnected, MemberAdded, MemberRemoved, MemberRoleChanged, PolicyChanged, RosterEvent,
    WebhookSecretRotated, WorkspaceOpened,
};

pub(crate) use policy::policy_changed;
pub use policy::{Autonomy, BehaviorMode, Policy, PolicyDraft, Ruling, Wished};

use crate::entry::words;
use crate::index::under;
use crate::{
    Actor, AgentId, ConnectionId, CrewId, MemberId, Offset, Rejection, Text, Time, UserId, WorkspaceId,
};

words! {
    /// A member's role (seed, API overview).
    Role {
        /// Read-only access, lowest tier.
        #[default]
        Viewer = "VIEWER",
        /// Read-only access.
        Member = "MEMBER",
        /// Can create and update resources.
        Manager = "MANAGER",
        /// Can create, update and delete resources.
        Admin = "ADMIN",
        /// Full access.
        Owner = "OWNER",
    }
}

/// What a route needs (seed, API overview; `platform.md` 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Any member.
    Read,
    /// `OWNER`, `ADMIN`, `MANAGER`: create and update.
    Create,
    /// `OWNER`, `ADMIN`: delete and configure.
    Manage,
}

impl Role {
    /// Whether this role is enough.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Create => self >= Self::Manager,
            Permission::Manage => self >= Self::Admin,
        }
    }
}

/// Everything a workspace's log says about who is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    /// Set by the first entry of the log.
    pub opened: Option<Opened>,
    /// Members, by user.
    pub members: OrdMap<UserId, Member>,
    /// The user of a membership's row.
    pub member_rows: OrdMap<MemberId, UserId>,
    /// Crews, deleted ones included: history still names them.
    pub crews: OrdMap<CrewId, Crew>,
    /// Slugs of live crews.
    pub crew_slugs: OrdMap<Text, CrewId>,
    /// Agents, deleted ones included.
    pub agents: OrdMap<AgentId, Agent>,
    /// Slugs of live agents: unique per workspace.
    pub agent_slugs: OrdMap<Text, AgentId>,
    /// Live agents, by crew.
    pub agents_by_crew: OrdSet<(CrewId, AgentId)>,
    /// The one live LEAD of a crew.
    pub leads: OrdMap<CrewId, AgentId>,
    /// People in crews, by crew and user.
    pub crew_members: OrdMap<(CrewId, UserId), CrewMember>,
    /// Links between live crews.
    pub connections: OrdMap<ConnectionId, Connection>,
}

/// The workspace itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Its id.
    pub id: WorkspaceId,
    /// What people call it.
    pub name: Text,
    /// Its name in URLs.
    pub slug: Text,
    /// The language its people prefer.
    pub preferred_language: Option<Text>,
    /// When it was opened.
    pub at: Time,
    /// Offset of its last change.
    pub changed: Offset,
}

/// A person's place in the workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Row id; most routes name members by it.
    pub id: MemberId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// What they may do beside that; without it, what their role says.
    pub capabilities: Option<BTreeSet<Capability>>,
    /// Since when.
    pub created_at: Time,
    /// Last change of role or capabilities.
    pub updated_at: Time,
    /// Offset of joining: the order of lists.
    pub born: Offset,
}

impl Roster {
    /// The role of a user here; `None` is not a member.
    #[must_use]
    pub fn role(&self, user: &UserId) -> Option<Role> {
        self.members.get(user).map(|member| member.role)
    }

    /// Whether a person may do something that their role alone need not allow (`periphery.md` 0). What is
    /// no person has no capabilities.
    #[must_use]
    pub fn is_capable(&self, actor: &Actor, capability: Capability) -> bool {
        let member = actor.user().and_then(|user| self.members.get(user));
        member.is_some_and(|member| member.is_capable(capability))
    }

    /// Checks again, at the moment of decision, that the actor's role is enough.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, actor: &Actor, permission: Permission) -> Result<(), Rejection> {
        let allowed = match actor {
            // What an agent may wish is settled at its door, by its binding and its crew's policy.
            Actor::Agent(_) | Actor::Orchestrator | Actor::System => true,
            Actor::User(user) => self.role(user).is_some_and(|role| role.allows(permission)),
        };
        if allowed { Ok(()) } else { Err(Rejection::forbidden()) }
    }

    /// The role of a user in a crew: the higher of those here and there (`platform.md` 3.2).
    #[must_use]
    pub fn effective_role(&self, user: &UserId, crew: Option<&CrewId>) -> Option<Role> {
        let here = self.role(user)?;
        let there = crew.and_then(|crew| self.crew_members.get(&(crew.clone(), user.clone())));
        Some(there.and_then(|member| member.role).map_or(here, |there| here.max(there)))
    }

    /// How high an actor ranks, in a crew or in the workspace; `None` for what is no person, which no
    /// ranking binds. Who is no member has been refused before.
    pub(crate) fn rank(&self, actor: &Actor, crew: Option<&CrewId>) -> Option<Role> {
        self.effective_role(actor.user()?, crew)
    }

    /// Whoever is above somebody is out of their reach (`platform.md` 6.3).
    ///
    /// # Errors
    /// `You cannot modify a member ranked above your own role`.
    pub(crate) fn modifies_none_above(
        &self,
        rank: Role,
        crew: Option<&CrewId>,
        actor: &Actor,
    ) -> Result<(), Rejection> {
        if self.rank(actor, crew).is_some_and(|own| own < rank) {
            let detail = "You cannot modify a member ranked above your own role";
            return Err(Rejection::forbidden_because("member.ranked_above", detail));
        }
        Ok(())
    }

    /// As [`Roster::require`], with the role in a crew.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require_in(
        &self,
        actor: &Actor,
        crew: Option<&CrewId>,
        permission: Permission,
    ) -> Result<(), Rejection> {
        let allowed = match actor {
            // What an agent may wish is settled at its door, by its binding and its crew's policy.
            Actor::Agent(_) | Actor::Orchestrator | Actor::System => true,
            Actor::User(user) => self.effective_role(user, crew).is_some_and(|role| role.allows(permission)),
        };
        if allowed { Ok(()) } else { Err(Rejection::forbidden()) }
    }

    /// The people in a crew, in no order.
    pub fn members_of<'a>(&'a self, crew: &CrewId) -> impl Iterator<Item = &'a CrewMember> + 'a {
        let first = (crew.clone(), UserId::from(""));
        let crew = crew.clone();
        self.crew_members.range(first..).take_while(move |((of, _), _)| *of == crew).map(|(_, member)| member)
    }

    /// A crew that is not deleted.
    #[must_use]
    pub fn live_crew(&self, id: &str) -> Option<&Crew> {
        self.crews.get(id).filter(|crew| crew.deleted_at.is_none())
    }

    /// An agent that is not deleted.
    #[must_use]
    pub fn live_agent(&self, id: &str) -> Option<&Agent> {
        self.agents.get(id).filter(|agent| agent.deleted_at.is_none())
    }

    /// The live agents of a crew.
    pub fn agents_in<'a>(&'a self, crew: &'a CrewId) -> impl Iterator<Item = &'a AgentId> + 'a {
        under(&self.agents_by_crew, crew)
    }
}
