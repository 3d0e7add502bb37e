//! Facts about who is there.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AgentChanges, AgentFacts, AgentStatus, Autonomy, BehaviorMode, Capability, CrewChanges, CrewFacts,
    Direction, Role,
};
use crate::event::events;
use crate::{CrewId, CrewMemberId, MemberId, SecretId, Text, UserId};

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
        /// A person may do more, or less, beside what their role allows.
        "member.capabilities_changed" => CapabilitiesChanged,
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
        /// An agent does something else now.
        "agent.status_change" => AgentStatusChanged,
        /// An agent's webhook has another secret.
        "agent.webhook_secret_rotated" => WebhookSecretRotated,
        /// A person joined a crew.
        "crew.member_added" => CrewMemberAdded,
        /// A person got another role in a crew.
        "crew.member_role_changed" => CrewMemberRoleChanged,
        /// A person left a crew.
        "crew.member_removed" => CrewMemberRemoved,
        /// Two crews may hand each other work.
        "crew.connected" => CrewsConnected,
        /// They may no longer.
        "crew.disconnected" => CrewsDisconnected,
        /// A crew's agents may do more, or less, without asking.
        "policy.changed" => PolicyChanged,
    }
}

/// Subject: the workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceOpened {
    /// What people call it.
    pub name: Text,
    /// Its name in URLs.
    pub slug: Text,
    /// The language its people prefer.
    pub preferred_language: Option<Text>,
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

/// Subject: the user. Where nothing is set, their role says what they may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilitiesChanged {
    /// Row id.
    pub member_id: MemberId,
    /// All that was set before.
    pub from: Option<BTreeSet<Capability>>,
    /// All that is set now.
    pub to: Option<BTreeSet<Capability>>,
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

/// Subject: the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentStatusChanged {
    /// What it did before.
    pub from: AgentStatus,
    /// What it does now.
    pub to: AgentStatus,
}

/// Subject: the agent. The secret itself is in the vault, under this id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSecretRotated {
    /// The new one.
    pub secret_id: SecretId,
}

/// Subject: the crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewMemberAdded {
    /// Row id.
    pub member_id: CrewMemberId,
    /// Who.
    pub user_id: UserId,
    /// As what, if not as in the workspace.
    pub role: Option<Role>,
}

/// Subject: the crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewMemberRoleChanged {
    /// Row id.
    pub member_id: CrewMemberId,
    /// As what before.
    pub from: Option<Role>,
    /// As what now.
    pub to: Option<Role>,
}

/// Subject: the crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewMemberRemoved {
    /// Row id.
    pub member_id: CrewMemberId,
}

/// Subject: the connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewsConnected {
    /// Who hands work out.
    pub from_crew_id: CrewId,
    /// Who takes it.
    pub to_crew_id: CrewId,
    /// Whether it goes the other way too.
    pub direction: Direction,
}

/// Subject: the connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrewsDisconnected {
    /// Who handed work out.
    pub from_crew_id: CrewId,
    /// Who took it.
    pub to_crew_id: CrewId,
}

/// A crew's policy. Subject: the crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChanged {
    /// How much its agents may do.
    pub autonomy: Autonomy,
    /// What becomes of denied behaviour.
    pub behavior: BehaviorMode,
    /// Why.
    pub reason: Option<Text>,
}
