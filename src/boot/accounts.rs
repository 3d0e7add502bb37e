//! Users and tokens: the vault first, then the fact, then the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use taffrail_domain::instance::{
    Account, Bootstrap, InstanceCommand, IssueToken, Issuer, NewUser, NewWorkspace, Tier, TokenDraft,
    TokenGrant,
};
use taffrail_domain::{Actor, Mint, TokenId, UserId, WorkspaceId};
use taffrail_journal::Request;
use taffrail_projections::{InstanceWorld, World};

use super::{AccountError, AuthError, Bootstrapped, IssuedToken, Session, Taffrail};
use crate::mint::FreshIds;
use crate::vault::{Profile, TokenSecret, normal_email};
use crate::writer::{ExecuteError, Executed, Wish, Writer};

/// Longest part of a slug that comes from an e-mail: with a hyphen and eight characters it is 50.
const SLUG_STEM_MAX: usize = 41;
const SLUG_ID_CHARS: usize = 8;

impl Taffrail {
    /// The first user, workspace and token of an empty instance (`platform.md` 5.1). Writes the vault,
    /// one instance batch, then the workspace's first batch, before it answers.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn bootstrap(
        self: &Arc<Self>,
        account: Account,
        request: Option<Request>,
    ) -> Result<Bootstrapped, AccountError> {
        let app = Arc::clone(self);
        // Between its two logs it must not end because the client hung up.
        let done = self.errand(async move { app.bootstrap_all(account, request).await }).await;
        done.unwrap_or(Err(AccountError::Execute(ExecuteError::Panicked)))
    }

    async fn bootstrap_all(
        &self,
        account: Account,
        request: Option<Request>,
    ) -> Result<Bootstrapped, AccountError> {
        refuse_repeat(&self.instance, request).await?;
        let email = normal_email(account.email());
        let command = self.bootstrap_command(account.full_name(), &email);
        // Refused before the costly hash, by the rule that decides it again in the log.
        self.instance
            .world()
            .state
            .decide(&InstanceCommand::Bootstrap(command.clone()))
            .map_err(ExecuteError::Rejected)?;
        if self.bootstrap_until.is_some_and(|end| Instant::now() >= end) {
            return Err(AccountError::WindowClosed);
        }
        let (user, token, workspace) = (&command.user.id, &command.token.id, &command.workspace.id);
        let secret = TokenSecret::fresh()?;
        let full_name = account.full_name().to_owned();
        let password_hash = self.vault().passwords().hash(account.into_password().into()).await?;
        let profile = Profile { email: email.clone(), full_name, password_hash };
        let fact = Wish {
            command: InstanceCommand::Bootstrap(command.clone()),
            actor: Actor::User(user.clone()),
            request,
        };
        self.register(Some((user, profile)), (token, &secret), fact).await?;
        // The account is durable and its secret is told only here: from now on nothing may fail.
        self.open_now_or_later(workspace).await;
        Ok(Bootstrapped { user_id: user.clone(), email, workspace_id: workspace.clone(), cli_token: secret })
    }

    fn bootstrap_command(&self, full_name: &str, email: &str) -> Bootstrap {
        let user = UserId::from(FreshIds.cuid());
        let workspace = WorkspaceId::from(FreshIds.cuid());
        Bootstrap {
            user: NewUser { id: user.clone(), email_key: self.vault().email_key(email) },
            workspace: NewWorkspace {
                slug: workspace_slug(email, &workspace).into(),
                id: workspace,
                name: format!("{full_name}'s Workspace").into(),
                preferred_language: None,
                owner: user.clone(),
            },
            token: IssueToken {
                id: TokenId::from(FreshIds.cuid()),
                user,
                grant: TokenGrant::unrestricted("bootstrap"),
            },
        }
    }

    /// The fact is durable: what finds no room yet is followed up later, at the latest by the next start.
    pub(super) async fn open_now_or_later(&self, workspace: &WorkspaceId) {
        if let Err(error) = self.open_registered(workspace).await {
            tracing::warn!(workspace.id = %workspace, %error, "the new workspace is opened later");
            self.late.store(true, Ordering::Relaxed);
        }
    }

    async fn open_registered(&self, workspace: &WorkspaceId) -> Result<(), ExecuteError> {
        let world = self.instance.world();
        match world.state.workspaces.get(workspace) {
            Some(registration) => self.open_workspace(registration).await,
            None => Ok(()),
        }
    }

    /// A further CLI token (`platform.md` 2.2).
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn issue_token(
        self: &Arc<Self>,
        issuer: &Session,
        draft: &TokenDraft,
        request: Option<Request>,
    ) -> Result<IssuedToken, AccountError> {
        let (app, issuer, draft) = (Arc::clone(self), issuer.clone(), draft.clone());
        // Between the vault and the log it must not end because the client hung up.
        let done = self.errand(async move { app.issue_whole_token(&issuer, &draft, request).await }).await;
        done.unwrap_or(Err(AccountError::Execute(ExecuteError::Panicked)))
    }

    async fn issue_whole_token(
        &self,
        issuer: &Session,
        draft: &TokenDraft,
        request: Option<Request>,
    ) -> Result<IssuedToken, AccountError> {
        refuse_repeat(&self.instance, request).await?;
        if draft.tier()? == Tier::Admin {
            return Err(AccountError::NoAdminKey);
        }
        let grant = TokenGrant::new(draft, &self.issuer(issuer), self.now())?;
        let id = TokenId::from(FreshIds.cuid());
        let secret = TokenSecret::fresh()?;
        let user = issuer.user.clone();
        let command = InstanceCommand::IssueToken(IssueToken { id: id.clone(), user: user.clone(), grant });
        let fact = Wish { command, actor: Actor::User(user), request };
        let executed = self.register(None, (&id, &secret), fact).await?;
        let token = executed.world.state.tokens.get(&id).cloned();
        // The world that is answered with holds the entry.
        let token = token.ok_or(ExecuteError::Unavailable)?;
        Ok(IssuedToken { secret, entry_head: token.born, token })
    }

    /// The vault first, then the fact. If either is known to have failed, the vault holds nothing of it.
    async fn register(
        &self,
        user: Option<(&UserId, Profile)>,
        token: (&TokenId, &TokenSecret),
        fact: Wish<InstanceCommand>,
    ) -> Result<Executed<InstanceWorld>, AccountError> {
        let user_id = user.as_ref().map(|(id, _)| *id);
        let registered = self.put_and_execute(user, token, fact).await;
        if let Err(error) = &registered {
            self.take_back(error, user_id, token.0).await;
        }
        registered
    }

    async fn put_and_execute(
        &self,
        user: Option<(&UserId, Profile)>,
        (token, secret): (&TokenId, &TokenSecret),
        fact: Wish<InstanceCommand>,
    ) -> Result<Executed<InstanceWorld>, AccountError> {
        if let Some((user, profile)) = user {
            self.vault().put_user(user, profile).await?;
        }
        self.vault().put_token(token, secret).await?;
        accepted(self.instance.execute(fact).await)
    }

    /// What a session may hand on.
    fn issuer(&self, session: &Session) -> Issuer {
        let workspaces = self.workspaces_of(&session.user).into_iter();
        let roles = workspaces.filter_map(|(_, writer)| writer.world().state.roster.role(&session.user));
        Issuer { scopes: session.scopes.clone(), expires_at: session.expires_at, best_role: roles.max() }
    }

    /// Ends one of the caller's tokens; a second time changes nothing.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn revoke_token(
        &self,
        actor: &UserId,
        token: &TokenId,
        request: Option<Request>,
    ) -> Result<Executed<InstanceWorld>, ExecuteError> {
        let command = InstanceCommand::RevokeToken { token: token.clone(), user: actor.clone() };
        self.instance.execute(Wish { command, actor: Actor::User(actor.clone()), request }).await
    }

    /// The live token and user behind a bearer secret. The digest opens nothing by itself: the fact
    /// must stand in the instance log.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub fn authenticate(&self, secret: &str) -> Result<Session, AuthError> {
        let id = self.vault().token_by_secret(secret).ok_or(AuthError::Invalid)?;
        let world = self.instance.world();
        let token = world.state.tokens.get(&id).ok_or(AuthError::Invalid)?;
        if !world.state.users.contains_key(&token.user) {
            return Err(AuthError::Invalid);
        }
        if token.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        let now = self.now();
        if !token.is_live(now) {
            return Err(AuthError::Expired);
        }
        self.vault().note_use(&id, now);
        Ok(Session {
            user: token.user.clone(),
            token: id,
            scopes: token.scopes.clone(),
            expires_at: token.expires_at,
        })
    }

    /// Removes what was put into the vault for a fact that is not there. Where nobody knows whether it
    /// is, the next start decides.
    async fn take_back(&self, error: &AccountError, user: Option<&UserId>, token: &TokenId) {
        if matches!(error, AccountError::Execute(ExecuteError::Unavailable)) {
            return;
        }
        let mut removed = self.vault().forget_token(token).await;
        if let Some(user) = user {
            removed = removed.and(self.vault().forget_user(user).await);
        }
        if let Err(error) = removed {
            tracing::warn!(%error, "the next start removes a file from the vault");
        }
    }
}

/// A repeat of a request that showed a secret is refused before anything is made for it.
pub(super) async fn refuse_repeat<W: World>(
    writer: &Writer<W>,
    request: Option<Request>,
) -> Result<(), AccountError> {
    let Some(request) = request else { return Ok(()) };
    match writer.recorded(&request).await? {
        None => Ok(()),
        Some(recorded) if recorded.fingerprint == request.fingerprint => Err(AccountError::SecretShown),
        Some(_) => Err(ExecuteError::KeyReused.into()),
    }
}

/// A repeat that came while the first was under way made nothing of its own: its secret is nobody's.
fn accepted(
    executed: Result<Executed<InstanceWorld>, ExecuteError>,
) -> Result<Executed<InstanceWorld>, AccountError> {
    match executed {
        Ok(executed) if executed.replayed => Err(AccountError::SecretShown),
        Ok(executed) => Ok(executed),
        Err(error) => Err(error.into()),
    }
}

/// The e-mail's local part in the letters of a slug, and eight characters that make it the
/// workspace's own (`platform.md` 5.1).
fn workspace_slug(email: &str, workspace: &WorkspaceId) -> String {
    let local = email.split('@').next().unwrap_or_default();
    let letter = |char: char| match char.to_ascii_lowercase() {
        char @ ('a'..='z' | '0'..='9' | '_') => char,
        _ => '-',
    };
    let stem: String = local.chars().map(letter).take(SLUG_STEM_MAX).collect();
    let stem = stem.trim_matches(['-', '_']);
    let stem = if stem.is_empty() { "workspace" } else { stem };
    let id: String = workspace.as_str().chars().take(SLUG_ID_CHARS).collect();
    format!("{stem}-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_slug_keeps_the_rule_of_slugs() {
        let id = WorkspaceId::from("c0123456789");
        let long = format!("{}@x.org", "a".repeat(80));
        for (email, slug) in [
            ("ada.lovelace+x@example.com", "ada-lovelace-x-c0123456"),
            ("__@example.com", "workspace-c0123456"),
            ("", "workspace-c0123456"),
            (&long, &format!("{}-c0123456", "a".repeat(41))),
        ] {
            assert_eq!(workspace_slug(email, &id), slug);
            assert!(slug.len() <= 50);
        }
    }
}
