//! What is said about an issue (`issues.md` 9). Comments leave no line in the activity log.

use std::sync::Arc;

use serde_json::json;

use super::{
    Comment, CommentDeleted, CommentDraft, CommentEdited, Commented, ImportedComment, Issue, Named, Party,
};
use crate::mission::mission_face;
use crate::roster::Permission;
use crate::unfolding::Unfolding;
use crate::{Actor, CommentId, Draft, Face, Rejection, Text};

/// How much of a comment its journal entry shows.
const SHOWN_CHARS_MAX: usize = 200;

/// What is said: something.
pub(super) fn body(draft: &CommentDraft) -> Result<Text, Rejection> {
    let body = draft.body.as_deref().filter(|body| !body.trim().is_empty());
    body.map(Into::into).ok_or_else(|| Rejection::invalid("comment.body_required", "body is required"))
}

impl Unfolding<'_> {
    pub(super) fn comment_on(&mut self, named: &Named, draft: &CommentDraft) -> Result<(), Rejection> {
        let body = body(draft)?;
        let issue = self.state.issue(named)?.clone();
        let author = match self.context.actor {
            Actor::User(user) => Party::user(user),
            Actor::Agent(agent) => Party::agent(agent),
            Actor::Orchestrator | Actor::System => return Err(Rejection::forbidden()),
        };
        let comment = self.say(&issue, author, body, None);
        self.mention_all(&issue, &comment);
        Ok(())
    }

    /// Somebody says something; or a file says that they did, which is the word of whoever imports it.
    pub(super) fn say(
        &mut self,
        issue: &Issue,
        author: Party,
        body: Text,
        imported: Option<&ImportedComment>,
    ) -> CommentId {
        let id = CommentId::from(self.context.mint.cuid());
        let actor = if imported.is_some() { self.context.actor.clone() } else { author.as_actor() };
        let name = author.as_agent().and_then(|agent| self.state.roster.agents.get(&agent).cloned());
        let shown: String = body.chars().take(SHOWN_CHARS_MAX).collect();
        let mut payload = json!({
            "comment_id": id, "mission_id": issue.id, "body": shown,
            // The names of people are not the journal's to keep (`DESIGN.md` 3, the vault).
            "author_name": name.map(|agent| agent.facts.name.clone()),
        });
        if imported.is_some() {
            payload["imported"] = true.into();
            payload["author"] = json!(author);
        }
        let face = Face {
            payload: payload.into(),
            refs: json!({ "mission_id": issue.id, "comment_id": id }).into(),
            ..mission_face("mission.comment", &actor, &issue.crew_id, &issue.id, "commented", &shown)
        };
        let said_at = imported.and_then(|comment| comment.created_at);
        let commented =
            Commented { comment_id: id.clone(), author, body, said_at, imported: imported.is_some() };
        self.add(Draft::public(issue.id.as_str(), commented, face));
        id
    }

    fn comment_of(&self, issue: &Issue, id: &CommentId) -> Result<Arc<Comment>, Rejection> {
        let found = self.state.issues.comments.get(id).filter(|comment| comment.issue == issue.id);
        found.cloned().ok_or_else(|| Rejection::not_found("comment.not_found", "Comment not found"))
    }

    /// Only who said it says it better; nobody is called a second time by it.
    pub(super) fn edit_comment(
        &mut self,
        issue: &Issue,
        id: &CommentId,
        draft: &Result<CommentDraft, Rejection>,
    ) -> Result<(), Rejection> {
        let comment = self.comment_of(issue, id)?;
        if comment.author.as_actor() != *self.context.actor {
            let detail = "Only the author can edit a comment";
            return Err(Rejection::forbidden_because("comment.not_author", detail));
        }
        let body = body(draft.as_ref().map_err(Clone::clone)?)?;
        if body != comment.body {
            let edited = CommentEdited { comment_id: id.clone(), body };
            self.add(Draft::internal(issue.id.as_str(), edited));
        }
        Ok(())
    }

    /// Who said it takes it back, who imported it, or somebody who manages; what agents say stands until then.
    pub(super) fn delete_comment(&mut self, issue: &Issue, id: &CommentId) -> Result<(), Rejection> {
        let comment = self.comment_of(issue, id)?;
        let is_author =
            |user| comment.author.as_user().as_ref() == Some(user) || comment.importer.as_ref() == Some(user);
        let may = match self.context.actor {
            Actor::User(user) if is_author(user) => true,
            Actor::User(_) => self.state.roster.require(self.context.actor, Permission::Manage).is_ok(),
            Actor::Agent(_) | Actor::Orchestrator | Actor::System => false,
        };
        if !may {
            let detail = "Only the author or an admin can delete a comment";
            return Err(Rejection::forbidden_because("comment.not_author", detail));
        }
        self.add(Draft::internal(issue.id.as_str(), CommentDeleted { comment_id: id.clone() }));
        Ok(())
    }
}
