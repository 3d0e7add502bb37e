//! Wishes about members, crews and agents. The patches are the request bodies of create and update.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{CapabilitiesDraft, Role};
use crate::{AgentId, ConnectionId, CrewId, MemberId, Rejection, SecretId, Text, UserId, WorkspaceId};

const SLUG_CHARS_MIN: usize = 2;
pub(super) const SLUG_CHARS_MAX: usize = 50;

/// A wish about who is there.
#[derive(Clone, Debug)]
pub enum RosterCommand {
    /// The first batch of a workspace's log: the follow-up of its registration.
    Open {
        /// Which workspace.
        id: WorkspaceId,
        /// What people call it.
        name: Text,
        /// Its name in URLs.
        slug: Text,
        /// The language its people prefer.
        preferred_language: Option<Text>,
        /// Its first member.
        owner: UserId,
    },
    /// A person joins.
    AddMember {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// A person leaves.
    RemoveMember {
        /// Row id.
        member: MemberId,
    },
    /// A person gets another role.
    ChangeRole {
        /// Row id.
        member: MemberId,
        /// As what.
        role: Role,
    },
    /// `PATCH /workspaces/{id}/members/{userId}/capabilities`
    ChangeCapabilities {
        /// Whose.
        user: UserId,
        /// What they are to be; looked at only once the member is found.
        draft: Result<CapabilitiesDraft, Rejection>,
    },
    /// `POST /crews`
    CreateCrew(CrewPatch),
    /// `PATCH`, `PUT /crews/{id}`
    UpdateCrew {
        /// Which.
        crew: CrewId,
        /// What is to change.
        patch: CrewPatch,
    },
    /// `DELETE /crews/{id}`
    DeleteCrew {
        /// Which.
        crew: CrewId,
    },
    /// `POST /agents`
    CreateAgent(AgentPatch),
    /// `PATCH /agents/{id}`
    UpdateAgent {
        /// Which.
        agent: AgentId,
        /// What is to change.
        patch: AgentPatch,
    },
    /// `DELETE /agents/{id}`
    DeleteAgent {
        /// Which.
        agent: AgentId,
    },
    /// `POST /agents/{id}/stop`
    StopAgent {
        /// Which.
        agent: AgentId,
    },
    /// `POST /agents/{id}/webhook-secret/rotate`: the secret is in the vault already.
    RotateWebhookSecret {
        /// Whose.
        agent: AgentId,
        /// The new one.
        secret: SecretId,
    },
    /// `POST /crews/{id}/members`
    AddCrewMember {
        /// Which crew.
        crew: CrewId,
        /// Who, as what.
        draft: CrewMemberDraft,
    },
    /// `PATCH /crews/{id}/members/{memberId}`
    ChangeCrewMemberRole {
        /// Which crew.
        crew: CrewId,
        /// Row id, or the user's.
        member: String,
        /// As what.
        patch: CrewMemberPatch,
    },
    /// `DELETE /crews/{id}/members/{memberId}`
    RemoveCrewMember {
        /// Which crew.
        crew: CrewId,
        /// Row id, or the user's.
        member: String,
    },
    /// `POST /crew-connections`
    Connect(ConnectionDraft),
    /// `PUT /crews/{id}/policy`
    SetPolicy {
        /// Which crew.
        crew: CrewId,
        /// What its policy is to be.
        draft: super::PolicyDraft,
    },
    /// An agent wishes for a crew (`platform.md` 8.3).
    ProposeCrew {
        /// The crew whose policy rules; that of the agent without it.
        by: Option<CrewId>,
        /// What the new one is to be.
        patch: CrewPatch,
    },
    /// An agent wishes for an agent (`platform.md` 8.3).
    ProposeAgent {
        /// The crew that it is to join.
        crew: CrewId,
        /// What it is to be.
        patch: AgentPatch,
    },
    /// `DELETE /crew-connections/{id}`
    Disconnect {
        /// Which.
        connection: ConnectionId,
    },
}

/// Body of add crew member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CrewMemberDraft {
    /// Who; required.
    pub user_id: Option<String>,
    /// A role in this crew, which raises the one in the workspace.
    pub role: Option<String>,
}

/// Body of change crew member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CrewMemberPatch {
    /// A role in this crew; empty clears it.
    pub role: Option<String>,
}

/// Body of connect crews.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionDraft {
    /// The crew that hands work out; required.
    pub from_crew_id: Option<String>,
    /// The crew that takes it; required.
    pub to_crew_id: Option<String>,
    /// `bidirectional` (the default) or `unidirectional`.
    pub direction: Option<String>,
}

/// Tells an explicit null (clear) from an absent member (leave alone).
#[expect(clippy::option_option, reason = "absent, null and a value are three wishes")]
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Body of create and update crew.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CrewPatch {
    /// What people call it; 2-100 characters, required on create.
    pub name: Option<String>,
    /// Its name in URLs; required on create.
    pub slug: Option<String>,
    /// Free text.
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    /// Palette colour.
    #[serde(deserialize_with = "nullable")]
    pub color: Option<Option<String>>,
    /// Icon name.
    #[serde(deserialize_with = "nullable")]
    pub icon: Option<Option<String>>,
    /// Style of its agents' avatars.
    #[serde(deserialize_with = "nullable")]
    pub avatar_style: Option<Option<String>>,
    /// Memory of its container in MB; 0 is the default.
    pub container_memory_mb: Option<i64>,
    /// Processors of its container.
    pub container_cpus: Option<f64>,
    /// Hours its container may live.
    #[serde(deserialize_with = "nullable")]
    pub container_ttl_hours: Option<Option<i64>>,
    /// `free` or `restricted`.
    pub network_mode: Option<String>,
    /// Hosts it may reach when restricted.
    pub allowed_domains: Option<Vec<String>>,
    /// Image of its container.
    #[serde(deserialize_with = "nullable")]
    pub runtime_image: Option<Option<String>>,
    /// Stored as is, up to 100 KB.
    #[serde(deserialize_with = "nullable")]
    pub devcontainer_config: Option<Option<String>>,
    /// Stored as is, up to 10 KB.
    #[serde(deserialize_with = "nullable")]
    pub mise_config: Option<Option<String>>,
    /// Stored as is, up to 64 KB.
    #[serde(deserialize_with = "nullable")]
    pub services_json: Option<Option<String>>,
    /// Prefix of its issues' identifiers; empty takes it from the slug.
    #[serde(deserialize_with = "nullable")]
    pub issue_prefix: Option<Option<String>>,
    /// JSON text with `mcpServers`.
    #[serde(deserialize_with = "nullable")]
    pub mcp_config_json: Option<Option<String>>,
    /// JSON text of approval thresholds.
    #[serde(deserialize_with = "nullable")]
    pub escalation_config: Option<Option<String>>,
    /// Most hired agents at a time.
    pub max_ephemeral_agents: Option<i64>,
}

/// Body of create and update agent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AgentPatch {
    /// What people call it; 2-100 characters, required on create.
    pub name: Option<String>,
    /// Its name in URLs; required on create.
    pub slug: Option<String>,
    /// Its crew; null detaches.
    #[serde(deserialize_with = "nullable")]
    pub crew_id: Option<Option<String>>,
    /// Free text.
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    /// What it does, for people.
    #[serde(deserialize_with = "nullable")]
    pub role_title: Option<Option<String>>,
    /// `AGENT` or `LEAD`.
    pub agent_role: Option<String>,
    /// `active` or `passive`, for a LEAD.
    #[serde(deserialize_with = "nullable")]
    pub lead_mode: Option<Option<String>>,
    /// Which command line runs it.
    pub cli_adapter: Option<String>,
    /// Whose model.
    #[serde(deserialize_with = "nullable")]
    pub llm_provider: Option<Option<String>>,
    /// Which model.
    #[serde(deserialize_with = "nullable")]
    pub llm_model: Option<Option<String>>,
    /// Its standing instructions.
    #[serde(deserialize_with = "nullable")]
    pub system_prompt: Option<Option<String>>,
    /// Seed of its avatar.
    #[serde(deserialize_with = "nullable")]
    pub avatar_seed: Option<Option<String>>,
    /// Style of its avatar.
    #[serde(deserialize_with = "nullable")]
    pub avatar_style: Option<Option<String>>,
    /// Address of its avatar.
    #[serde(deserialize_with = "nullable")]
    pub avatar_url: Option<Option<String>>,
    /// Longest run in seconds; 0 is the default.
    pub timeout_seconds: Option<i64>,
    /// `MINIMAL`, `CODING` or `FULL`.
    pub tool_profile: Option<String>,
    /// Whether it keeps a memory.
    pub memory_enabled: Option<bool>,
    /// What to ask it, a suggestion a line; empty clears it.
    #[serde(deserialize_with = "nullable")]
    pub suggested_prompts: Option<Option<String>>,
    /// Forms to ask it by, JSON text; empty clears them.
    #[serde(deserialize_with = "nullable")]
    pub ask_forms: Option<Option<String>>,
    /// When it is to run by itself: a cron expression of five fields; empty clears it.
    #[serde(deserialize_with = "nullable")]
    pub schedule_cron: Option<Option<String>>,
    /// What it is to do then; empty clears it.
    #[serde(deserialize_with = "nullable")]
    pub schedule_prompt: Option<Option<String>>,
    /// Whether it is to.
    pub schedule_enabled: Option<bool>,
    /// Whether its webhook refuses calls without a time.
    pub webhook_require_timestamp: Option<bool>,
}

pub(super) fn set(field: &mut Text, new: Option<&str>) {
    if let Some(new) = new {
        *field = new.into();
    }
}

#[expect(clippy::option_option, clippy::ref_option, reason = "absent, null and a value are three wishes")]
pub(super) fn set_some(field: &mut Option<Text>, new: &Option<Option<String>>) {
    if let Some(new) = new {
        *field = new.as_deref().map(Into::into);
    }
}

/// An empty text clears some fields, as null does.
#[expect(clippy::option_option, clippy::ref_option, reason = "absent, null and a value are three wishes")]
pub(super) fn clearing(field: &Option<Option<String>>) -> Option<Option<String>> {
    field.as_ref().map(|value| value.clone().filter(|text| !text.is_empty()))
}

/// A slug made of a name, for those who give none (`client.md` 5.3); `spare` if no letter is left.
pub(crate) fn slug_of(name: &str, spare: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        match letter {
            'a'..='z' | '0'..='9' => slug.push(letter),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(SLUG_CHARS_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.len() < SLUG_CHARS_MIN { spare.to_owned() } else { slug.to_owned() }
}

/// The rule of every name (`platform.md` 6.2, 6.6, 6.7).
pub(crate) fn name(code: &'static str, name: &str) -> Result<(), Rejection> {
    if (2..=100).contains(&name.chars().count()) {
        return Ok(());
    }
    Err(Rejection::invalid(code, "name must be 2-100 characters"))
}

/// The rule of every slug (seed, API overview): `^[a-z0-9][a-z0-9_-]*$`, 2-50 characters.
pub(crate) fn slug(code: &'static str, slug: &str, alphabet: &'static str) -> Result<(), Rejection> {
    if !(SLUG_CHARS_MIN..=SLUG_CHARS_MAX).contains(&slug.chars().count()) {
        return Err(Rejection::invalid(code, "slug must be 2-50 characters"));
    }
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let other = |byte: u8| first(byte) || byte == b'_' || byte == b'-';
    if slug.bytes().next().is_some_and(first) && slug.bytes().all(other) {
        return Ok(());
    }
    Err(Rejection::invalid(code, alphabet))
}
