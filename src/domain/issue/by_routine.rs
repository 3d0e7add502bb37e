//! What steps of routines do to issues (`periphery.md` 10): on whose behalf is said, not asked.

use std::sync::Arc;

use super::create::Origin;
use super::{Cause, Issue, IssueDraft, IssuePatch, Party, via};
use crate::unfolding::Unfolding;
use crate::{Actor, CommentId, CrewId, MissionId, Rejection, Text};

impl Unfolding<'_> {
    pub(crate) fn create_issue_by_routine(
        &mut self,
        crew: &CrewId,
        draft: &IssueDraft,
        author: Option<Party>,
    ) -> Result<MissionId, Rejection> {
        self.create_issue_for(crew, draft, Origin { author, via: via::ROUTINE })
    }

    /// What is so already is no change, and no reason to fail.
    pub(crate) fn update_issue_by_routine(
        &mut self,
        issue: &Arc<Issue>,
        patch: IssuePatch,
        actor: &Actor,
    ) -> Result<(), Rejection> {
        let is_new = |status: &String| !status.is_empty() && **status != *issue.status.as_str();
        let patch = IssuePatch { status: patch.status.clone().filter(is_new), ..patch };
        if patch != IssuePatch::default() {
            let revision = self.state.revise(issue, &patch, Cause::Routine)?;
            self.apply_revision(issue, revision, actor);
        }
        Ok(())
    }

    pub(crate) fn comment_by_routine(
        &mut self,
        issue: &Arc<Issue>,
        author: Party,
        body: Text,
    ) -> Result<CommentId, Rejection> {
        if body.trim().is_empty() {
            return Err(Rejection::invalid("comment.body_required", "body is required"));
        }
        let comment = self.say(issue, author, body, None);
        self.mention_all(issue, &comment);
        Ok(comment)
    }
}
