//! Facts about users, tokens and the registry of workspaces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::events;
use crate::{LogTag, Text, Time, UserId};

events! {
    /// Facts of the instance log.
    InstanceEvent {
        /// A person got an account.
        "user.created" => UserCreated,
        /// A CLI token was issued.
        "token.issued" => TokenIssued,
        /// A CLI token was revoked.
        "token.revoked" => TokenRevoked,
        /// A workspace got its log.
        "instance.workspace_registered" => WorkspaceRegistered,
    }
}

/// Subject: the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserCreated {
    /// HMAC(instance key, normalised e-mail).
    pub email_key: Text,
}

/// Subject: the token's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenIssued {
    /// Whose it is.
    pub user_id: UserId,
    /// What the user calls it.
    pub name: Text,
    /// `STANDARD`.
    pub tier: Text,
    /// What it may do; null is everything its user may.
    pub scopes: Option<Vec<Text>>,
    /// When it stops working by itself.
    pub expires_at: Option<Time>,
}

/// Subject: the token's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenRevoked {
    /// Whose it was.
    pub user_id: UserId,
}

/// Subject: the workspace. Carries all that the first batch of the workspace's own log needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceRegistered {
    /// Tag of its log.
    pub tag: LogTag,
    /// What people call it.
    pub name: Text,
    /// Its name in URLs.
    pub slug: Text,
    /// The language its people prefer.
    pub preferred_language: Option<Text>,
    /// Its first member.
    pub owner: UserId,
}
