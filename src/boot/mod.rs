//! One running instance: opened from its data directory, drained at its end.

mod account;

use std::path::PathBuf;
use std::sync::Arc;

use taffrail_domain::mission::Mission;
use taffrail_domain::{Entry, LogTag, MissionId, Offset, Time, TokenId, UserId, WorkspaceId};
use taffrail_journal::{Journal, ReadError, Request};
use taffrail_projections::{InstanceWorld, WorkspaceWorld};

pub use account::{Account, AccountError, AuthError, Bootstrapped, IssuedToken, Session, TokenWish};

use crate::vault::Vault;
use crate::writer::{Executed, ExecuteError, Writer};

/// How an instance is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// Start although the clock is more than 24 h behind the last entry.
    pub accept_clock: bool,
}

/// Why an instance did not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {}

/// Everything one running instance has.
pub struct Taffrail {
    journal: Arc<dyn Journal>,
    instance: Writer<InstanceWorld>,
    vault: Vault,
}

#[expect(unused_variables, clippy::unimplemented, reason = "signatures first")]
impl Taffrail {
    /// Opens the data directory, folds what the journal says and starts the writers.
    pub async fn open(options: Options) -> Result<Arc<Self>, BootError> { unimplemented!() }
    /// Takes no more commands, finishes those under way, writes snapshots.
    pub async fn drain(&self) { unimplemented!() }
    /// The writer of the instance log.
    pub fn instance(&self) -> &Writer<InstanceWorld> { &self.instance }
    /// An open workspace's writer.
    pub fn workspace(&self, id: &WorkspaceId) -> Option<Writer<WorkspaceWorld>> { unimplemented!() }
    /// The writer of the workspace with this log.
    pub fn workspace_of_log(&self, log: LogTag) -> Option<Writer<WorkspaceWorld>> { unimplemented!() }
    /// The workspaces a person is a member of.
    pub fn workspaces_of(&self, user: &UserId) -> Vec<(WorkspaceId, Writer<WorkspaceWorld>)> { unimplemented!() }
    /// The side store.
    pub fn vault(&self) -> &Vault { &self.vault }
    /// The journal.
    pub fn journal(&self) -> &Arc<dyn Journal> { &self.journal }
    /// The wall clock.
    pub fn now(&self) -> Time { unimplemented!() }
    /// Reads entries at these offsets of a log, in the order asked.
    pub async fn entries_at(&self, log: LogTag, offsets: Vec<Offset>) -> Result<Vec<Entry>, ReadError> { unimplemented!() }
    /// The mission's state after `point`: the fold of its changes, read from the journal. `None` if it did not exist then.
    pub async fn mission_as_of(&self, world: &WorkspaceWorld, mission: &MissionId, point: Offset) -> Result<Option<Arc<Mission>>, ReadError> { unimplemented!() }
    /// The first user, workspace and token (`platform.md` 5.1).
    pub async fn bootstrap(&self, account: Account, request: Option<Request>) -> Result<Bootstrapped, AccountError> { unimplemented!() }
    /// A further CLI token (`platform.md` 2.2).
    pub async fn issue_token(&self, actor: &UserId, wish: TokenWish, request: Option<Request>) -> Result<IssuedToken, AccountError> { unimplemented!() }
    /// Ends one of the caller's tokens.
    pub async fn revoke_token(&self, actor: &UserId, token: &TokenId, request: Option<Request>) -> Result<Executed<InstanceWorld>, ExecuteError> { unimplemented!() }
    /// The live token and user behind a bearer secret.
    pub fn authenticate(&self, secret: &str) -> Result<Session, AuthError> { unimplemented!() }
}
