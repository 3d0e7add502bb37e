//! What may be done on the instance, and what then is true.

use super::{
    Bootstrap, Instance, InstanceCommand, IssueToken, NewUser, NewWorkspace, Tier, TokenGrant, TokenIssued,
    TokenRevoked, UserCreated, WorkspaceRegistered,
};
use crate::{Draft, LogTag, Rejection, TokenId, UserId};

impl Instance {
    /// Decides a wish against the instance as it is.
    ///
    /// # Errors
    /// The reason why not, with the text of the API page.
    pub fn decide(&self, command: &InstanceCommand) -> Result<Vec<Draft>, Rejection> {
        match command {
            InstanceCommand::Bootstrap(all) => self.bootstrap(all),
            InstanceCommand::CreateUser(user) => Ok(vec![self.create_user(user)?]),
            InstanceCommand::RegisterWorkspace(workspace) => Ok(vec![self.register_workspace(workspace)?]),
            InstanceCommand::IssueToken(token) => Ok(vec![issue_token(token)]),
            InstanceCommand::RevokeToken { token, user } => self.revoke_token(token, user),
        }
    }

    fn bootstrap(&self, all: &Bootstrap) -> Result<Vec<Draft>, Rejection> {
        if !self.users.is_empty() {
            return Err(Rejection::gone(
                "bootstrap.done",
                "Already initialized — please log in at /login instead",
            ));
        }
        Ok(vec![
            self.create_user(&all.user)?,
            self.register_workspace(&all.workspace)?,
            issue_token(&all.token),
        ])
    }

    fn create_user(&self, user: &NewUser) -> Result<Draft, Rejection> {
        if self.emails.contains_key(&user.email_key) {
            return Err(Rejection::conflict("user.email_taken", "Email already registered"));
        }
        let event = UserCreated { email_key: user.email_key.clone() };
        Ok(Draft::internal(user.id.as_str(), event))
    }

    fn register_workspace(&self, workspace: &NewWorkspace) -> Result<Draft, Rejection> {
        if self.slugs.contains_key(&workspace.slug) {
            return Err(Rejection::conflict("workspace.slug_taken", "Workspace slug already taken"));
        }
        let event = WorkspaceRegistered {
            tag: self.next_tag().ok_or_else(no_tag_left)?,
            name: workspace.name.clone(),
            slug: workspace.slug.clone(),
            preferred_language: workspace.preferred_language.clone(),
            owner: workspace.owner.clone(),
        };
        Ok(Draft::internal(workspace.id.as_str(), event))
    }

    fn revoke_token(&self, token: &TokenId, user: &UserId) -> Result<Vec<Draft>, Rejection> {
        let row = self.tokens.get(token).filter(|row| row.user == *user);
        let row = row.ok_or_else(|| Rejection::not_found("token.not_found", "Token not found"))?;
        if row.revoked_at.is_some() {
            return Ok(vec![]); // The first revocation keeps its time (platform.md 2.2).
        }
        Ok(vec![Draft::internal(token.as_str(), TokenRevoked { user_id: user.clone() })])
    }
}

fn no_tag_left() -> Rejection {
    Rejection::conflict("instance.full", format!("An instance holds {} workspaces", LogTag::LAST.0))
}

fn issue_token(token: &IssueToken) -> Draft {
    let TokenGrant { name, scopes, expires_at } = token.grant.clone();
    let tier = Tier::Standard.as_str().into();
    let event = TokenIssued { user_id: token.user.clone(), name, tier, scopes, expires_at };
    Draft::internal(token.id.as_str(), event)
}
