//! What account routes ask for and get.

use taffrail_domain::instance::Token;
use taffrail_domain::{Offset, Rejection, Text, Time, TokenId, UserId, WorkspaceId};

use crate::vault::{PasswordError, TokenSecret};
use crate::writer::ExecuteError;

/// What bootstrap made.
#[derive(Clone, Debug)]
pub struct Bootstrapped {
    /// The first person.
    pub user_id: UserId,
    /// Their e-mail, as stored.
    pub email: String,
    /// Their workspace.
    pub workspace_id: WorkspaceId,
    /// The secret of their first token; it is shown this once.
    pub cli_token: TokenSecret,
}

/// A fresh CLI token.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// Its secret; it is shown this once.
    pub secret: TokenSecret,
    /// Its public facts.
    pub token: Token,
    /// Offset of its entry in the instance log.
    pub entry_head: Offset,
}

/// Who stands behind a bearer secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The person.
    pub user: UserId,
    /// The token's row.
    pub token: TokenId,
    /// What the token may do; `None` is everything its user may.
    pub scopes: Option<Vec<Text>>,
    /// When it stops working by itself.
    pub expires_at: Option<Time>,
}

/// Why a bearer secret opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nobody was ever given it.
    #[error("unknown token")]
    Invalid,
    /// Its time is over.
    #[error("expired token")]
    Expired,
    /// Its user revoked it.
    #[error("revoked token")]
    Revoked,
}

/// Why an account or a token was not made.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The writer's answer.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// A repeat of a request whose answer held a secret: it is not shown again.
    #[error("the secret was shown once and is not shown again")]
    SecretShown,
    /// An `ADMIN` token was asked for, and this instance has no admin key.
    #[error("no admin key is configured")]
    NoAdminKey,
    /// The time for bootstrap is over (`platform.md` 0.1).
    #[error("the bootstrap window is closed")]
    WindowClosed,
    /// The vault could not be written.
    #[error("the vault: {0}")]
    Io(#[from] std::io::Error),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl From<Rejection> for AccountError {
    fn from(rejection: Rejection) -> Self {
        Self::Execute(ExecuteError::Rejected(rejection))
    }
}
