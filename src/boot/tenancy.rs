//! Workspaces made by their owners, webhook secrets, and credentials told to agents: what needs two logs, or
//! the vault and a log.

use std::collections::HashSet;
use std::sync::Arc;

use taffrail_domain::escalation::{EscalationCommand, EscalationType, Resolution};
use taffrail_domain::instance::{InstanceCommand, NewWorkspace, WorkspaceGrant};
use taffrail_domain::roster::RosterCommand;
use taffrail_domain::{
    Actor, AgentId, Command, EscalationId, IfMatch, Mint, Offset, SecretId, Time, UserId, WorkspaceId,
};
use taffrail_journal::Request;
use taffrail_projections::{InstanceWorld, WorkspaceWorld};

use super::accounts::refuse_repeat;
use super::{AccountError, Taffrail};
use crate::mint::FreshIds;
use crate::vault::WebhookSecret;
use crate::writer::{ExecuteError, Executed, Wish, Writer};

/// A webhook's fresh secret.
#[derive(Clone, Debug)]
pub struct RotatedSecret {
    /// The secret; it is shown this once.
    pub secret: WebhookSecret,
    /// Offset of its entry in the workspace's log.
    pub offset: Offset,
    /// When.
    pub at: Time,
}

impl Taffrail {
    /// A further workspace; who makes it owns it (`platform.md` 6.2). One instance batch, then the
    /// workspace's first batch, before it answers. A repeat answers with the same workspace.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn create_workspace(
        self: &Arc<Self>,
        owner: &UserId,
        grant: WorkspaceGrant,
        request: Option<Request>,
    ) -> Result<Executed<InstanceWorld>, ExecuteError> {
        let (app, owner) = (Arc::clone(self), owner.clone());
        // Between its two logs it must not end because the client hung up.
        let done = self.errand(async move { app.create_whole_workspace(owner, grant, request).await }).await;
        done.unwrap_or(Err(ExecuteError::Panicked))
    }

    async fn create_whole_workspace(
        &self,
        owner: UserId,
        grant: WorkspaceGrant,
        request: Option<Request>,
    ) -> Result<Executed<InstanceWorld>, ExecuteError> {
        let WorkspaceGrant { name, slug, preferred_language } = grant;
        let id = WorkspaceId::from(FreshIds.cuid());
        let new = NewWorkspace { id, name, slug, preferred_language, owner: owner.clone() };
        let command = InstanceCommand::RegisterWorkspace(new);
        let done = self.instance.execute(Wish { command, actor: Actor::User(owner), request }).await?;
        if let Some(entry) = done.entries.first() {
            self.open_now_or_later(&WorkspaceId::from(&*entry.subject)).await;
        }
        Ok(done)
    }

    /// Gives an agent's webhook another secret; the old one opens nothing any more (`platform.md` 7).
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn rotate_webhook_secret(
        self: &Arc<Self>,
        workspace: &Writer<WorkspaceWorld>,
        actor: &UserId,
        (agent, seen): (&AgentId, Option<IfMatch>),
        request: Option<Request>,
    ) -> Result<RotatedSecret, AccountError> {
        let (app, workspace) = (Arc::clone(self), workspace.clone());
        let (actor, agent) = (Actor::User(actor.clone()), agent.clone());
        // Between the vault and the log it must not end because the client hung up.
        let rotate = async move { app.rotate_whole_secret(&workspace, actor, agent, seen, request).await };
        self.errand(rotate).await.unwrap_or(Err(AccountError::Execute(ExecuteError::Panicked)))
    }

    async fn rotate_whole_secret(
        &self,
        workspace: &Writer<WorkspaceWorld>,
        actor: Actor,
        agent: AgentId,
        seen: Option<IfMatch>,
        request: Option<Request>,
    ) -> Result<RotatedSecret, AccountError> {
        refuse_repeat(workspace, request).await?;
        let world = workspace.world();
        let old =
            world.state.roster.live_agent(agent.as_str()).and_then(|agent| agent.webhook_secret.clone());
        let (id, secret) = (SecretId::from(FreshIds.cuid()), WebhookSecret::fresh()?);
        self.vault.put_webhook_secret(&id, &secret).await?;
        let command: Command = RosterCommand::RotateWebhookSecret { agent, secret: id.clone() }.into();
        let command = match seen {
            Some(tags) => Command::IfMatch { tags, command: Box::new(command) },
            None => command,
        };
        let done = workspace.execute(Wish { command, actor, request }).await;
        let made = done.map_err(AccountError::from).and_then(|done| {
            let entry = done.entries.first().filter(|_| !done.replayed).ok_or(AccountError::SecretShown)?;
            Ok((entry.offset, entry.time))
        });
        // Where nobody knows whether the fact is there, the next start decides.
        let stale = match &made {
            Ok(_) => old,
            Err(AccountError::Execute(ExecuteError::Unavailable)) => None,
            Err(_) => Some(id),
        };
        if let Some(stale) = stale
            && let Err(error) = self.vault.forget_webhook_secret(&stale).await
        {
            tracing::warn!(%error, "the next start removes a file from the vault");
        }
        let (offset, at) = made?;
        Ok(RotatedSecret { secret, offset, at })
    }

    /// Answers an agent's question. A credential goes through the vault, and only while the agent waits
    /// for it: the journal says that it was told, not what.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn answer_escalation(
        self: &Arc<Self>,
        workspace: &Writer<WorkspaceWorld>,
        actor: &UserId,
        (escalation, answer): (EscalationId, Resolution),
        request: Option<Request>,
    ) -> Result<Executed<WorkspaceWorld>, AccountError> {
        let (app, workspace, actor) = (Arc::clone(self), workspace.clone(), Actor::User(actor.clone()));
        // Between the vault and the log it must not end because the client hung up.
        let answered = async move {
            let answer = app.keep_credential(&workspace, &escalation, answer).await?;
            let command = EscalationCommand::Resolve { escalation, answer }.into();
            Ok(workspace.execute(Wish { command, actor, request }).await?)
        };
        self.errand(answered).await.unwrap_or(Err(AccountError::Execute(ExecuteError::Panicked)))
    }

    async fn keep_credential(
        &self,
        workspace: &Writer<WorkspaceWorld>,
        escalation: &EscalationId,
        mut answer: Resolution,
    ) -> Result<Resolution, AccountError> {
        let world = workspace.world();
        let found = world.state.escalations.all.get(escalation);
        let asked = found.filter(|found| found.ended.is_none()).map(|found| &found.asked);
        let Some(asked) = asked.filter(|asked| asked.escalation_type == EscalationType::Credential) else {
            return Ok(answer);
        };
        let credential = std::mem::take(&mut answer.text);
        if !credential.is_empty() && self.now() < asked.deadline_at {
            let id = SecretId::from(FreshIds.cuid());
            self.vault.put_answer(&id, &credential, asked.deadline_at).await?;
            answer.secret = Some(id);
        }
        Ok(answer)
    }

    /// The webhook secrets that facts name, of all workspaces.
    pub(super) fn webhook_secrets(&self) -> HashSet<SecretId> {
        let worlds = self.open_writers().into_iter().map(|writer| writer.world());
        worlds
            .flat_map(|world| {
                let live = world.state.roster.agents.values().filter(|agent| agent.deleted_at.is_none());
                live.filter_map(|agent| agent.webhook_secret.clone()).collect::<Vec<_>>()
            })
            .collect()
    }
}
