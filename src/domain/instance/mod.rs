//! The instance: users, CLI tokens and the registry of workspaces. One log, tag 0.
//!
//! What may have to be forgotten alone (people's names, e-mails, hashes) is in the vault, not here; a
//! workspace's name and slug are facts of the workspace, even where bootstrap made them from a person's.

mod account;
mod apply;
mod command;
mod decide;
mod event;
pub mod scope;
mod token;
mod workspace;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

pub use account::{Account, AccountDraft};
pub use command::{Bootstrap, InstanceCommand, IssueToken, NewUser, NewWorkspace};
pub use event::{InstanceEvent, TokenIssued, TokenRevoked, UserCreated, WorkspaceRegistered};
pub use token::{Issuer, Tier, TokenDraft, TokenGrant};
pub use workspace::{WorkspaceDraft, WorkspaceGrant};

use crate::{LogTag, Offset, Text, Time, TokenId, UserId, WorkspaceId};

/// Everything the instance log says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// People, by id.
    pub users: OrdMap<UserId, User>,
    /// Keyed hash of an e-mail to its user: unique without being readable.
    pub emails: OrdMap<Text, UserId>,
    /// CLI tokens, by row id; revoked ones stay listed.
    pub tokens: OrdMap<TokenId, Token>,
    /// Workspaces, by id.
    pub workspaces: OrdMap<WorkspaceId, Registration>,
    /// The tag allotted last.
    pub last_tag: LogTag,
    /// Workspace slugs; those of deleted workspaces stay reserved (`platform.md` 6.2).
    pub slugs: OrdMap<Text, WorkspaceId>,
}

/// A person with a login.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// When the account was made.
    pub created_at: Time,
}

/// A CLI token's public facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its row id.
    pub id: TokenId,
    /// Whose it is.
    pub user: UserId,
    /// What the user calls it.
    pub name: Text,
    /// `STANDARD`; the admin tier comes with the platform.
    pub tier: Text,
    /// What it may do; `None` is everything its user may.
    pub scopes: Option<Vec<Text>>,
    /// When it was issued.
    pub created_at: Time,
    /// When it stops working by itself.
    pub expires_at: Option<Time>,
    /// When it was revoked; the first revocation counts.
    pub revoked_at: Option<Time>,
    /// Offset of its issue: the order of the list.
    pub born: Offset,
}

impl Token {
    /// Whether it opens anything at `now`.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A workspace in the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Its id.
    pub id: WorkspaceId,
    /// Tag of its log: allotted once, never reused.
    pub tag: LogTag,
    /// What people call it.
    pub name: Text,
    /// Its name in URLs.
    pub slug: Text,
    /// The language its people prefer.
    pub preferred_language: Option<Text>,
    /// Who opened it.
    pub owner: UserId,
    /// Where it was registered: the follow-up in its own log is asked for by this offset.
    pub registered: Offset,
}

impl Instance {
    /// The tag of the next workspace; `None` once 24 bits are used up.
    #[must_use]
    pub fn next_tag(&self) -> Option<LogTag> {
        (self.last_tag < LogTag::LAST).then(|| LogTag(self.last_tag.0 + 1))
    }

    /// A workspace by id or slug (`platform.md` 6.1).
    #[must_use]
    pub fn workspace(&self, id_or_slug: &str) -> Option<&Registration> {
        let by_slug = || self.slugs.get(id_or_slug).and_then(|id| self.workspaces.get(id));
        self.workspaces.get(id_or_slug).or_else(by_slug)
    }
}
