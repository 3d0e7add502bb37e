//! One set of changes for many issues, each on its own (`issues.md` 7).

use std::collections::BTreeSet;

use super::{BulkDraft, BulkFields, Cause, Issue, IssuePatch, IssuesBulkUpdated};
use crate::unfolding::Unfolding;
use crate::{Draft, MissionId, Rejection, Workspace};

/// Most issues of one bulk update.
const BULK_MAX: usize = 100;

/// What became of one issue of a bulk update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// As it was named.
    pub named: String,
    /// Which it is, if it is one.
    pub issue: Option<MissionId>,
    /// Why nothing was done, if so.
    pub refused: Option<Rejection>,
}

impl BulkFields {
    /// The same wish for one issue. Labels that are not here are none: a foreign one must not be told
    /// from one that never was.
    fn patch(&self, state: &Workspace) -> IssuePatch {
        let known = |ids: &Vec<String>| -> Vec<String> {
            ids.iter().filter(|id| state.tracker.labels.contains_key(id.as_str())).cloned().collect()
        };
        IssuePatch {
            status: self.status.clone(),
            priority: self.priority.clone(),
            assignee_type: self.assignee_type.clone(),
            assignee_id: self.assignee_id.clone(),
            project_id: self.project_id.clone(),
            labels: self.labels.as_ref().map(known),
            ..IssuePatch::default()
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl BulkDraft {
    /// The issues named, each once, in the order of the request.
    ///
    /// # Errors
    /// `ids is required`, `Maximum 100 issues per bulk update`.
    pub fn named(&self) -> Result<Vec<&str>, Rejection> {
        let ids = self.ids.as_deref().unwrap_or_default();
        if ids.is_empty() {
            return Err(Rejection::invalid("issue.ids_required", "ids is required"));
        }
        if ids.len() > BULK_MAX {
            return Err(Rejection::invalid("issue.too_many", "Maximum 100 issues per bulk update"));
        }
        let mut seen = BTreeSet::new();
        Ok(ids.iter().map(String::as_str).filter(|id| seen.insert(*id)).collect())
    }
}

impl Workspace {
    /// What a bulk update would do with each issue as it is now, in the order of the request.
    ///
    /// # Errors
    /// As [`BulkDraft::named`].
    pub fn bulk_outcomes(&self, draft: &BulkDraft) -> Result<Vec<Outcome>, Rejection> {
        let named = draft.named()?;
        let fields = draft.updates.clone().unwrap_or_default();
        let patch = fields.patch(self);
        let outcome = |name: &str| {
            let found = self.issues.named(name);
            let refused = match found {
                None => Some(Rejection::not_found("issue.not_found", "Issue not found")),
                Some(issue) => self.refused_in_bulk(issue, &patch),
            };
            Outcome { named: name.to_owned(), issue: found.map(|issue| issue.id.clone()), refused }
        };
        Ok(named.into_iter().map(outcome).collect())
    }

    fn refused_in_bulk(&self, issue: &Issue, patch: &IssuePatch) -> Option<Rejection> {
        match self.revise(issue, patch, Cause::Bulk) {
            Ok(revision) if revision.is_empty() => {
                Some(Rejection::invalid("issue.unchanged", "Nothing would change"))
            }
            Ok(_) => None,
            Err(refused) => Some(refused),
        }
    }
}

impl Unfolding<'_> {
    /// Partial success is success: what may not be done to one issue is not done to that one.
    pub(super) fn bulk_update(&mut self, draft: &BulkDraft) -> Result<(), Rejection> {
        let named = draft.named()?;
        let fields = draft.updates.clone().unwrap_or_default();
        if fields.is_empty() {
            return Ok(());
        }
        let patch = fields.patch(&self.state);
        let actor = self.context.actor.clone();
        let mut done = BTreeSet::new();
        for name in named {
            let Some(issue) = self.state.issues.named(name).cloned() else { continue };
            // An identifier and an id may name the same one.
            if done.contains(&issue.id) {
                continue;
            }
            let Ok(revision) = self.state.revise(&issue, &patch, Cause::Bulk) else { continue };
            if !revision.is_empty() {
                self.apply_revision(&issue, revision, &actor);
                done.insert(issue.id.clone());
            }
        }
        let workspace = self.state.roster.opened.as_ref().map(|opened| opened.id.clone());
        if let (Some(workspace), Ok(count)) = (workspace, u32::try_from(done.len()))
            && count > 0
        {
            self.add(Draft::internal(workspace.as_str(), IssuesBulkUpdated { count }));
        }
        Ok(())
    }
}
