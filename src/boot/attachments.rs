//! Files at issues: bytes in the store and facts in a workspace's log, which have to agree.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use imbl::ordmap::DiffItem;
use taffrail_domain::issue::{AttachedFile, IssueCommand, IssueEvent, Named};
use taffrail_domain::{Actor, Command, Event, Text, UserId, WorkspaceId};
use taffrail_journal::Request;
use taffrail_projections::{WorkspaceWorld, World};

use super::{BootError, Taffrail, lock};
use crate::attachments::Incoming;
use crate::writer::{ExecuteError, Executed, Wish, Writer};

/// Why a file was not attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The command was not executed.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Taffrail {
    /// Begins a file that arrives for a workspace.
    ///
    /// # Errors
    /// `Full` where the last room is the journal's, `Busy` while too many arrive.
    pub async fn receive_attachment(&self, workspace: &WorkspaceId) -> Result<Incoming, AttachError> {
        if !self.journal().has_room() {
            return Err(ExecuteError::Full.into());
        }
        Ok(self.attachments.receive(workspace).await?.ok_or(ExecuteError::Busy)?)
    }

    /// Puts a file that has arrived at an issue: the bytes first, then the fact.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn attach(
        self: &Arc<Self>,
        (id, workspace): (&WorkspaceId, &Writer<WorkspaceWorld>),
        actor: &UserId,
        (issue, file, incoming): (Named, AttachedFile, Incoming),
        request: Option<Request>,
    ) -> Result<Executed<WorkspaceWorld>, AttachError> {
        let (app, id, workspace) = (Arc::clone(self), id.clone(), workspace.clone());
        let sha256 = file.sha256.clone();
        let command = IssueCommand::Attach { issue, file }.into();
        let wish = Wish { command, actor: Actor::User(actor.clone()), request };
        // Between the store and the log it must not end because the client hung up.
        let attached = self.errand(async move {
            let attached = app.keep_and_name(&id, &workspace, incoming, wish).await;
            // Refused, or said before and taken back since: nothing may name them.
            app.release(&id, &workspace, &[sha256]).await;
            attached
        });
        attached.await.unwrap_or(Err(AttachError::Execute(ExecuteError::Panicked)))
    }

    async fn keep_and_name(
        &self,
        id: &WorkspaceId,
        workspace: &Writer<WorkspaceWorld>,
        incoming: Incoming,
        wish: Wish<Command>,
    ) -> Result<Executed<WorkspaceWorld>, AttachError> {
        // Nobody removes these bytes as nameless between the two steps.
        let _naming = self.naming.read().await;
        self.attachments.keep(id, incoming).await?;
        let done = workspace.execute(wish).await;
        if matches!(done, Err(ExecuteError::Unavailable)) {
            // Others that are refused these same bytes, or that lose them, must not take them from this fact.
            self.may_be_named.store(true, Relaxed);
        }
        let done = done?;
        self.note_attached(&done);
        Ok(done)
    }

    /// Notes a file that is new: it may be gone again before anybody asks what is.
    fn note_attached(&self, done: &Executed<WorkspaceWorld>) {
        let added = done.entries.iter().filter_map(|entry| match &entry.event {
            Some(Event::Issue(IssueEvent::AttachmentAdded(added))) => Some(&added.attachment_id),
            _ => None,
        });
        let attachments = &done.world.state.issues.attachments;
        let mut attached = lock(&self.attached);
        let known = attached.entry(done.world.log()).or_default();
        for attachment in added.filter_map(|id| attachments.get(id)) {
            known.insert(attachment.id.clone(), Arc::clone(attachment));
        }
    }

    /// Removes those of these bytes that nothing names.
    pub(super) async fn release(
        &self,
        id: &WorkspaceId,
        workspace: &Writer<WorkspaceWorld>,
        hashes: &[Text],
    ) {
        let is_named = |sha256: &&Text| workspace.world().state.issues.names_bytes(sha256);
        if hashes.iter().all(|sha256| is_named(&sha256)) {
            return;
        }
        let _alone = self.naming.write().await;
        if self.may_be_named.load(Relaxed) {
            tracing::warn!(workspace.id = %id, "the next start removes files that nothing names");
            return;
        }
        for sha256 in hashes.iter().filter(|sha256| !is_named(sha256)) {
            if let Err(error) = self.attachments.remove(id, sha256).await {
                tracing::warn!(workspace.id = %id, %error, "the next start removes a file that nothing names");
            }
        }
    }

    /// Removes the bytes of files that are gone since this was last asked: taken away, or gone with their
    /// issue or crew.
    pub async fn free_attachments(&self) {
        for (id, workspace) in self.named_writers() {
            let (before, now) = {
                // Looked at under the lock: what is noted after it is in no older world.
                let mut attached = lock(&self.attached);
                let world = workspace.world();
                let now = world.state.issues.attachments.clone();
                (attached.insert(world.log(), now.clone()).unwrap_or_default(), now)
            };
            let gone = before.diff(&now).filter_map(|change| match change {
                DiffItem::Remove(_, attachment) => Some(attachment.file.sha256.clone()),
                DiffItem::Add(..) | DiffItem::Update { .. } => None,
            });
            let gone: Vec<Text> = gone.collect();
            if !gone.is_empty() {
                self.release(&id, &workspace, &gone).await;
            }
        }
    }

    /// Removes what a crash left in the store without a fact.
    pub(super) async fn sweep_attachments(&self) -> Result<(), BootError> {
        let mut swept = 0;
        for (id, workspace) in self.named_writers() {
            let world = workspace.world();
            let named = world.state.issues.attachments.values();
            let named: HashSet<Text> = named.map(|attachment| attachment.file.sha256.clone()).collect();
            lock(&self.attached).insert(world.log(), world.state.issues.attachments.clone());
            let unnamed = self.attachments.sweep(&id, move |sha256| named.contains(sha256));
            swept += unnamed.await.map_err(BootError::io("sweep the attachments"))?;
        }
        if swept > 0 {
            tracing::info!(files = swept, "attachments without a fact were removed");
        }
        Ok(())
    }

    fn named_writers(&self) -> Vec<(WorkspaceId, Writer<WorkspaceWorld>)> {
        let world = self.instance.world();
        let registered = world.state.workspaces.values();
        registered.filter_map(|found| Some((found.id.clone(), self.writer_of(found.tag)?))).collect()
    }
}
