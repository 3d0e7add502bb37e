//! Wishes about users, tokens and workspaces.

use super::TokenGrant;
use crate::{Text, TokenId, UserId, WorkspaceId};

/// A wish; its ids are minted before, because the vault is written first.
#[derive(Clone, Debug)]
pub enum InstanceCommand {
    /// The first user, workspace and token of an empty instance (`platform.md` 5.1).
    Bootstrap(Bootstrap),
    /// A further user.
    CreateUser(NewUser),
    /// A further workspace.
    RegisterWorkspace(NewWorkspace),
    /// A CLI token (`platform.md` 2.2).
    IssueToken(IssueToken),
    /// The end of one of the caller's tokens.
    RevokeToken {
        /// Which.
        token: TokenId,
        /// Whose it must be.
        user: UserId,
    },
}

/// All that bootstrap makes in the instance log.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The first person.
    pub user: NewUser,
    /// Their workspace.
    pub workspace: NewWorkspace,
    /// Their first token.
    pub token: IssueToken,
}

/// A person whose name, e-mail and password are in the vault already.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Fresh id, the vault's file name.
    pub id: UserId,
    /// Keyed hash of the normalised e-mail.
    pub email_key: Text,
}

/// A workspace to be.
#[derive(Clone, Debug)]
pub struct NewWorkspace {
    /// Fresh id.
    pub id: WorkspaceId,
    /// What people call it.
    pub name: Text,
    /// Its name in URLs.
    pub slug: Text,
    /// The language its people prefer.
    pub preferred_language: Option<Text>,
    /// Its first member.
    pub owner: UserId,
}

/// A token whose hash is in the vault already.
#[derive(Clone, Debug)]
pub struct IssueToken {
    /// Fresh id, the vault's file name.
    pub id: TokenId,
    /// Whose it is.
    pub user: UserId,
    /// What it may do, and for how long.
    pub grant: TokenGrant,
}
