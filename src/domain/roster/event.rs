//! Facts about who is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentChanges, AgentFacts, CrewChanges, CrewFacts, Role};
use crate::event::events;
use crate::{MemberId, Text, UserId};

events! {
    /// Facts about the workspace, members, crews and agents.
    RosterEvent {
        /// The workspace's log begins.
        "workspace.opened" => WorkspaceOpened,
        /// A person joined.
        "member.added" => MemberAdded,
        /// A person left.
        "member.removed" => MemberRemoved,
        /// A person got another role.
        "member.role_changed" => MemberRoleChanged,
        /// A crew began.
        "crew.created" => CrewCreated,
        /// A crew changed.
        "crew.updated" => CrewUpdated,
        /// A crew is gone, and with it its agents, missions and their checkpoints.
        "crew.deleted" => CrewDeleted,
        /// An agent began.
        "agent.created" => AgentCreated,
        /// An agent changed.
        "agent.updated" => AgentUpdated,
        /// An agent is gone.
        "agent.deleted" => AgentDeleted,
    }
}

/// Subject: the workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceOpened {
    /// What people call it.
    pub name: Text,
    /// Its name in URLs.
    pub slug: Text,
}

/// Subject: the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberAdded {
    /// Row id.
    pub member_id: MemberId,
    /// As what.
    pub role: Role,
}

/// Subject: the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRemoved {
    /// Row id.
    pub member_id: MemberId,
}

/// Subject: the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRoleChanged {
    /// Row id.
    pub member_id: MemberId,
    /// As what before.
    pub from: Role,
    /// As what now.
    pub to: Role,
}

/// Subject: the crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewCreated {
    /// All about it.
    pub crew: Box<CrewFacts>,
}

/// Subject: the crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewUpdated {
    /// What changed.
    pub changes: Box<CrewChanges>,
}

/// Subject: the crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewDeleted {
    /// Its slug, free again.
    pub slug: Text,
}

/// Subject: the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentCreated {
    /// All about it.
    pub agent: Box<AgentFacts>,
    /// Who created it.
    pub created_by: Option<UserId>,
}

/// Subject: the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentUpdated {
    /// What changed.
    pub changes: Box<AgentChanges>,
}

/// Subject: the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentDeleted {
    /// Its slug, free again.
    pub slug: Text,
}
