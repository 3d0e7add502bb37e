//! What may be done with issues, and what then is true.

use std::sync::Arc;

use serde_json::json;

use super::create::{Door, Origin};
use super::{Cause, Detached, Issue, IssueCommand, IssueDeleted, IssueStatus, Named};
use crate::mission::mission_face;
use crate::roster::{Capability, Permission};
use crate::unfolding::Unfolding;
use crate::{Actor, Context, CrewId, Draft, Face, Rejection, Workspace};

impl Workspace {
    pub(crate) fn decide_issue(
        &self,
        command: &IssueCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.require_for_issue(command, context.actor)?;
        let mut unfolding = Unfolding::of(self, context);
        match command {
            IssueCommand::Create { crew, draft } => {
                unfolding.create_issue(crew, draft, Door::Public, Origin::of(context.actor))?;
            }
            IssueCommand::Propose { crew, draft } => unfolding.propose_issue(crew, draft)?,
            IssueCommand::Update { issue, patch } => {
                let issue = self.issue(issue)?;
                let revision = self.revise(issue, patch, Cause::Patch)?;
                unfolding.apply_revision(issue, revision, context.actor);
            }
            IssueCommand::Delete { issue } => unfolding.delete_issue(self.issue(issue)?)?,
            IssueCommand::Bulk(draft) => unfolding.bulk_update(draft)?,
            IssueCommand::Start { issue, seen } => unfolding.start_issue(self.issue(issue)?, *seen)?,
            IssueCommand::Retry { issue, seen } => unfolding.retry_issue(self.issue(issue)?, *seen)?,
            IssueCommand::Stop { issue } => unfolding.stop_issue(self.issue(issue)?)?,
            IssueCommand::Review { issue, draft } => unfolding.review_issue(issue, draft)?,
            IssueCommand::Place { issue, place } => unfolding.place_issue(self.issue(issue)?, place)?,
            IssueCommand::Comment { issue, draft } => unfolding.comment_on(issue, draft)?,
            IssueCommand::EditComment { issue, comment, draft } => {
                unfolding.edit_comment(self.issue(issue)?, comment, draft)?;
            }
            IssueCommand::DeleteComment { issue, comment } => {
                unfolding.delete_comment(self.issue(issue)?, comment)?;
            }
            IssueCommand::Relate { issue, draft } => unfolding.relate(issue, draft)?,
            IssueCommand::Unrelate { relation } => unfolding.unrelate(relation)?,
            IssueCommand::Attach { issue, file } => unfolding.attach(self.issue(issue)?, file)?,
            IssueCommand::TakeAttachment { issue, attachment } => {
                unfolding.take_attachment(self.issue(issue)?, attachment)?;
            }
            IssueCommand::AgentUpdate { issue, patch, comment } => {
                unfolding.update_by_agent(self.issue(issue)?, patch, comment.as_ref())?;
            }
            IssueCommand::Import { crew, issues } => unfolding.import_issues(crew, issues)?,
        }
        Ok(unfolding.finish())
    }

    /// Whose role is enough: a member's for an issue where a capability says so (`issues.md` 2).
    fn require_for_issue(&self, command: &IssueCommand, actor: &Actor) -> Result<(), Rejection> {
        let refused = match self.roster.require(actor, Permission::Create) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let may_create = || self.roster.is_capable(actor, Capability::IssueCreate);
        if matches!(command, IssueCommand::Create { .. }) && may_create() { Ok(()) } else { Err(refused) }
    }

    /// An issue as a path names it; the crew in the path must own it.
    ///
    /// # Errors
    /// `Issue not found`.
    pub fn issue(&self, named: &Named) -> Result<&Arc<Issue>, Rejection> {
        let found = self.issues.named(&named.name);
        let is_own = |found: &&Arc<Issue>| named.crew.as_ref().is_none_or(|crew| found.crew_id == *crew);
        found.filter(is_own).ok_or_else(issue_not_found)
    }
}

pub(super) fn issue_not_found() -> Rejection {
    Rejection::not_found("issue.not_found", "Issue not found")
}

impl Unfolding<'_> {
    /// An issue goes, and its sub-issues live on without it (`issues.md` 6.5).
    fn delete_issue(&mut self, issue: &Arc<Issue>) -> Result<(), Rejection> {
        if !matches!(issue.status, IssueStatus::Backlog | IssueStatus::Cancelled) {
            let detail = "Only BACKLOG or CANCELLED issues can be deleted";
            return Err(Rejection::invalid("issue.not_deletable", detail));
        }
        let children = self.state.issues.children_of(&issue.id).map(|child| child.id.clone()).collect();
        self.detach(&Detached::Parent(issue.id.clone()), children);
        let actor = self.context.actor.clone();
        self.cancel_work_of(&issue.id, "the issue was deleted");
        let deleted = IssueDeleted { identifier: issue.identifier.clone(), crew_id: issue.crew_id.clone() };
        let payload = json!({ "action": "deleted", "title": issue.title, "identifier": issue.identifier });
        let face = Face {
            payload: payload.into(),
            ..mission_face("mission.deleted", &actor, &issue.crew_id, &issue.id, "deleted", &issue.title)
        };
        self.add(Draft::public(issue.id.as_str(), deleted, face));
        self.withdraw_hold(issue.id.as_str());
        self.withdraw_idle_approvals(&issue.id);
        self.withdraw_idle_escalations(&issue.id);
        Ok(())
    }

    /// A crew takes its issues along; their sub-issues in other crews live on alone (`issues.md` 6.5).
    pub(crate) fn leave_parents_of(&mut self, crew: &CrewId) {
        let own = self.state.issues.of_crew(crew);
        let children = own.flat_map(|id| self.state.issues.children_of(id));
        let elsewhere = children.filter(|child| child.crew_id != *crew);
        let elsewhere = elsewhere.map(|child| child.id.clone()).collect();
        self.detach(&Detached::Crew(crew.clone()), elsewhere);
    }
}
