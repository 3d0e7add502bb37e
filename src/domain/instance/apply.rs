//! What the instance is after a fact.

use super::{Instance, InstanceEvent, Registration, Token, User};
use crate::{Entry, Event};

impl Instance {
    /// Folds one entry in. Total: the fact already happened.
    pub fn apply(&mut self, entry: &Entry) {
        let Some(Event::Instance(event)) = &entry.event else { return };
        let subject = &*entry.subject;
        match event {
            InstanceEvent::UserCreated(user) => {
                self.emails.insert(user.email_key.clone(), subject.into());
                self.users.insert(subject.into(), User { created_at: entry.time });
            }
            InstanceEvent::TokenIssued(token) => {
                let row = Token {
                    id: subject.into(),
                    user: token.user_id.clone(),
                    name: token.name.clone(),
                    tier: token.tier.clone(),
                    scopes: token.scopes.clone(),
                    created_at: entry.time,
                    expires_at: token.expires_at,
                    revoked_at: None,
                    born: entry.offset,
                };
                self.tokens.insert(subject.into(), row);
            }
            InstanceEvent::TokenRevoked(_) => {
                if let Some(row) = self.tokens.get_mut(subject) {
                    row.revoked_at.get_or_insert(entry.time);
                }
            }
            InstanceEvent::WorkspaceRegistered(workspace) => {
                let row = Registration {
                    id: subject.into(),
                    tag: workspace.tag,
                    name: workspace.name.clone(),
                    slug: workspace.slug.clone(),
                    preferred_language: workspace.preferred_language.clone(),
                    owner: workspace.owner.clone(),
                    registered: entry.offset,
                };
                self.last_tag = workspace.tag;
                self.slugs.insert(workspace.slug.clone(), subject.into());
                self.workspaces.insert(subject.into(), row);
            }
        }
    }
}
