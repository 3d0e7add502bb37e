//! The workspaces of an instance and the second log that follows the first.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use sha2::{Digest, Sha256};
use taffrail_domain::instance::Registration;
use taffrail_domain::roster::RosterCommand;
use taffrail_domain::{Actor, LogTag, Offset, UserId, WorkspaceId};
use taffrail_journal::Request;
use taffrail_projections::{WorkspaceWorld, World};

use super::{BootError, Taffrail, lock};
use crate::engine::{self, Desk};
use crate::search::{self, Search};
use crate::writer::{self, ExecuteError, Wish, Writer};

/// What belongs to one workspace while it is open.
pub(super) struct Office {
    writer: Writer<WorkspaceWorld>,
    desk: Arc<Desk>,
    search: Arc<Search>,
}

impl Taffrail {
    /// Where an open workspace's workers come.
    #[must_use]
    pub fn desk(&self, log: LogTag) -> Option<Arc<Desk>> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        workspaces.get(&log).map(|office| Arc::clone(&office.desk))
    }

    /// An open workspace's index.
    #[must_use]
    pub fn search(&self, log: LogTag) -> Option<Arc<Search>> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        workspaces.get(&log).map(|office| Arc::clone(&office.search))
    }

    /// How many entries, of all workspaces, search does not find yet.
    #[must_use]
    pub fn search_lag_entries(&self) -> u64 {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        let lag = |office: &Office| {
            // Asked in this order, so that it is never below none.
            let followed = office.search.followed();
            office.writer.world().head().0.saturating_sub(followed.0)
        };
        workspaces.values().map(lag).sum()
    }

    /// An open workspace's writer.
    #[must_use]
    pub fn workspace(&self, id: &WorkspaceId) -> Option<Writer<WorkspaceWorld>> {
        let tag = self.instance.world().state.workspaces.get(id)?.tag;
        self.workspace_of_log(tag)
    }

    /// The writer of the open workspace with this log.
    #[must_use]
    pub fn workspace_of_log(&self, log: LogTag) -> Option<Writer<WorkspaceWorld>> {
        self.writer_of(log).filter(|writer| writer.world().state.roster.opened.is_some())
    }

    /// The open workspaces a person is a member of.
    #[must_use]
    pub fn workspaces_of(&self, user: &UserId) -> Vec<(WorkspaceId, Writer<WorkspaceWorld>)> {
        let own = self.overview.workspaces_of(user).into_iter();
        let open = own.filter_map(|(id, log)| Some((id, self.workspace_of_log(log)?)));
        open.filter(|(_, writer)| writer.world().state.roster.role(user).is_some()).collect()
    }

    /// The workspace one of whose runs waits at this waitpoint, or has decided it by this request.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be found out whether the request was heard before.
    pub async fn workspace_of_waitpoint(
        &self,
        waitpoint: &str,
        request: Option<&Request>,
    ) -> Result<Option<Writer<WorkspaceWorld>>, ExecuteError> {
        let writers = self.open_writers();
        let has = |writer: &&Writer<WorkspaceWorld>| {
            writer.world().state.routines.waitpoints.contains_key(waitpoint)
        };
        if let Some(waiting) = writers.iter().find(has) {
            return Ok(Some(waiting.clone()));
        }
        // Decided ones are in no list; the journals know who was answered.
        let Some(request) = request else { return Ok(None) };
        for writer in writers {
            if writer.recorded(request).await?.is_some() {
                return Ok(Some(writer));
            }
        }
        Ok(None)
    }

    /// Starts a writer for every registered workspace, and gives those their first entries that a crash
    /// left without.
    pub(super) async fn start_workspaces(
        &self,
        mut worlds: HashMap<LogTag, WorkspaceWorld>,
    ) -> Result<(), BootError> {
        for registration in self.instance.world().state.workspaces.values() {
            let world = worlds.remove(&registration.tag);
            let is_open = world.as_ref().is_some_and(|world| world.state.roster.opened.is_some());
            let world = world.unwrap_or_else(|| WorkspaceWorld::empty(registration.tag));
            self.start_workspace(&registration.id, world);
            if !is_open {
                self.open_at_start(registration).await?;
            }
        }
        for log in worlds.keys() {
            tracing::warn!(log = log.0, "a log belongs to no registered workspace");
        }
        Ok(())
    }

    /// Gives a workspace its first entries, which a crash left it without. A full disk does not stop the
    /// start: reads go on, and the workspace is opened when there is room, as at run time.
    async fn open_at_start(&self, registration: &Registration) -> Result<(), BootError> {
        let id = &registration.id;
        match self.open_workspace(registration).await {
            Ok(()) => tracing::info!(workspace.id = %id, "a registered workspace is opened late"),
            Err(error @ (ExecuteError::Full | ExecuteError::Busy)) => {
                tracing::warn!(workspace.id = %id, %error, "the registered workspace is opened later");
                self.late.store(true, Ordering::Relaxed);
            }
            Err(source) => return Err(BootError::FollowUp { workspace: id.to_string(), source }),
        }
        Ok(())
    }

    /// Tries again for the workspaces that are registered and not yet open, if there are any.
    pub(super) async fn open_late_ones(&self) {
        if !self.late.swap(false, Ordering::Relaxed) {
            return;
        }
        let world = self.instance.world();
        let is_open =
            |tag| self.writer_of(tag).is_some_and(|open| open.world().state.roster.opened.is_some());
        for registration in world.state.workspaces.values().filter(|found| !is_open(found.tag)) {
            match self.open_workspace(registration).await {
                Ok(()) => {
                    tracing::info!(workspace.id = %registration.id, "a registered workspace is opened late")
                }
                Err(error) => {
                    tracing::debug!(workspace.id = %registration.id, %error, "no room for it yet");
                    self.late.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// The follow-up of a registration: the first batch of the workspace's own log. Asked for by the
    /// registration's place, so that it never happens twice.
    pub(super) async fn open_workspace(&self, registration: &Registration) -> Result<(), ExecuteError> {
        let writer = self.writer_of(registration.tag);
        let start = || self.start_workspace(&registration.id, WorkspaceWorld::empty(registration.tag));
        let writer = writer.unwrap_or_else(start);
        let open = RosterCommand::Open {
            id: registration.id.clone(),
            name: registration.name.clone(),
            slug: registration.slug.clone(),
            preferred_language: registration.preferred_language.clone(),
            owner: registration.owner.clone(),
        };
        let request = Some(follow_up(LogTag::INSTANCE, registration.registered));
        writer.execute(Wish { command: open.into(), actor: Actor::System, request }).await.map(drop)
    }

    /// The one writer of a log: started once, even if two ask at the same time.
    fn start_workspace(&self, id: &WorkspaceId, world: WorkspaceWorld) -> Writer<WorkspaceWorld> {
        let mut workspaces = self.workspaces.write().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let witness = self.overview.of_workspace(id.clone(), &world);
            let (writer, running) = writer::start_witnessed(world.clone(), &self.surroundings, witness);
            lock(&self.running).push(running);
            let (desk, driving) = engine::start(&writer, &self.surroundings.clock, self.reach);
            lock(&self.driving).push(driving);
            let (search, following) = search::start(&writer, self.journal(), &self.searches);
            lock(&self.following).push(following);
            Office { writer, desk, search }
        };
        workspaces.entry(world.log()).or_insert_with(start).writer.clone()
    }

    pub(super) fn writer_of(&self, log: LogTag) -> Option<Writer<WorkspaceWorld>> {
        self.workspaces
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&log)
            .map(|office| office.writer.clone())
    }

    /// Every workspace's writer.
    pub(super) fn open_writers(&self) -> Vec<Writer<WorkspaceWorld>> {
        self.workspaces
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|office| office.writer.clone())
            .collect()
    }
}

/// The request behind a fact that something in another log must follow.
fn follow_up(log: LogTag, offset: Offset) -> Request {
    let digest = Sha256::digest(format!("after:{}:{offset}", log.0));
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Request { id, fingerprint: [0; 8] }
}
