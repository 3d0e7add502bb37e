//! What agents change of issues, through the door of their own (`issues.md` 19).

use std::sync::Arc;

use super::{Cause, Issue, IssuePatch, Party};
use crate::unfolding::Unfolding;
use crate::{Actor, Rejection, Text};

impl Unfolding<'_> {
    /// All in one: nothing of it is done if a part of it may not be. What is so already is no change, and
    /// no reason to refuse.
    pub(super) fn update_by_agent(
        &mut self,
        issue: &Arc<Issue>,
        patch: &IssuePatch,
        comment: Option<&Text>,
    ) -> Result<(), Rejection> {
        let patch = self.agents_patch(issue, patch);
        if patch != IssuePatch::default() {
            let revision = self.state.revise(issue, &patch, Cause::Agent)?;
            let actor = self.context.actor.clone();
            self.apply_revision(issue, revision, &actor);
        }
        let Some(said) = comment.filter(|said| !said.trim().is_empty()) else { return Ok(()) };
        let Actor::Agent(agent) = self.context.actor else {
            let detail = "agent_id is required when adding a comment";
            return Err(Rejection::invalid("comment.agent_required", detail));
        };
        let agent = agent.clone();
        let comment = self.say(issue, Party::agent(&agent), said.clone(), None);
        self.mention_all(issue, &comment);
        Ok(())
    }

    /// The wish without what is none here: the status it has, an empty word, labels that are not of this
    /// workspace.
    fn agents_patch(&self, issue: &Issue, patch: &IssuePatch) -> IssuePatch {
        let is_new = |status: &String| !status.is_empty() && **status != *issue.status.as_str();
        let known = |ids: &Vec<String>| -> Vec<String> {
            ids.iter().filter(|id| self.state.tracker.labels.contains_key(id.as_str())).cloned().collect()
        };
        IssuePatch {
            status: patch.status.clone().filter(is_new),
            priority: patch.priority.clone().filter(|word| !word.is_empty()),
            assignee_type: patch.assignee_type.clone(),
            assignee_id: patch.assignee_id.clone(),
            labels: patch.labels.as_ref().map(known),
            estimate: patch.estimate.clone(),
            due_date: patch.due_date.clone(),
            ..IssuePatch::default()
        }
    }
}
