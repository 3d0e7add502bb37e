//! Wishes about issues. The drafts and patches are the request bodies: absent and null mean the same, but
//! where they say otherwise (`issues.md` 1).

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{AttachedFile, IssueStatus, whole};
use crate::facts::present;
use crate::{AttachmentId, CommentId, CrewId, Rejection, RelationId, Text, Time};

/// An issue as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The crew that must own it, where the path names one.
    pub crew: Option<CrewId>,
    /// Its identifier, in any case, or its id.
    pub name: Text,
}

/// A wish about issues. Bodies that must be looked at only after the lookup travel as a result.
#[derive(Clone, Debug)]
pub enum IssueCommand {
    /// `POST /crews/{id}/issues`, and what agents, routines and templates create.
    Create {
        /// Its crew.
        crew: CrewId,
        /// What it is to be.
        draft: Box<IssueDraft>,
    },
    /// An agent creates one (`issues.md` 19).
    Propose {
        /// Its crew.
        crew: CrewId,
        /// What it is to be.
        draft: Box<IssueDraft>,
    },
    /// `PATCH I`
    Update {
        /// Which.
        issue: Named,
        /// What is to change.
        patch: Box<IssuePatch>,
    },
    /// `DELETE I`
    Delete {
        /// Which.
        issue: Named,
    },
    /// `PATCH /issues/bulk`
    Bulk(Box<BulkDraft>),
    /// `POST I/start`
    Start {
        /// Which.
        issue: Named,
        /// The status on arrival: tells a lost race (409) from a late wish (400).
        seen: Option<IssueStatus>,
    },
    /// `POST I/retry`: additive (`issues.md` 12.6).
    Retry {
        /// Which.
        issue: Named,
        /// The status on arrival.
        seen: Option<IssueStatus>,
    },
    /// `POST I/stop`
    Stop {
        /// Which.
        issue: Named,
    },
    /// `POST I/review`
    Review {
        /// Which.
        issue: Named,
        /// What was found.
        draft: ReviewDraft,
    },
    /// `POST I/move`: additive (`issues.md` 22).
    Place {
        /// Which.
        issue: Named,
        /// Where to.
        place: Place,
    },
    /// `POST I/comments`
    Comment {
        /// On which.
        issue: Named,
        /// What.
        draft: CommentDraft,
    },
    /// `PATCH I/comments/{id}`: additive (`issues.md` 9).
    EditComment {
        /// On which.
        issue: Named,
        /// Which.
        comment: CommentId,
        /// What it is to say.
        draft: Result<CommentDraft, Rejection>,
    },
    /// `DELETE I/comments/{id}`: additive (`issues.md` 9).
    DeleteComment {
        /// On which.
        issue: Named,
        /// Which.
        comment: CommentId,
    },
    /// `POST I/relations`
    Relate {
        /// From which.
        issue: Named,
        /// To which, and how.
        draft: RelationDraft,
    },
    /// `DELETE /relations/{id}`
    Unrelate {
        /// Which.
        relation: RelationId,
    },
    /// `POST I/attachments`: the bytes lie in the store already.
    Attach {
        /// To which.
        issue: Named,
        /// What.
        file: AttachedFile,
    },
    /// `DELETE I/attachments/{id}`
    TakeAttachment {
        /// From which.
        issue: Named,
        /// Which.
        attachment: AttachmentId,
    },
    /// What an agent changes of an issue, all in one (`issues.md` 19).
    AgentUpdate {
        /// Which.
        issue: Named,
        /// What.
        patch: Box<IssuePatch>,
        /// What it says of it.
        comment: Option<Text>,
    },
    /// Issues from a file.
    Import {
        /// The crew of those that name none.
        crew: CrewId,
        /// The issues.
        issues: Vec<ImportedIssue>,
    },
}

/// Body of create issue.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IssueDraft {
    /// Issue title; required.
    pub title: Option<String>,
    /// Issue description.
    pub description: Option<String>,
    /// Priority: none, low, medium, high, urgent.
    pub priority: Option<String>,
    /// `user` or `agent`.
    pub assignee_type: Option<String>,
    /// Assignee ID.
    pub assignee_id: Option<String>,
    /// Due date (YYYY-MM-DD).
    pub due_date: Option<String>,
    /// Parent project ID.
    pub project_id: Option<String>,
    /// Effort/points estimate.
    #[serde(deserialize_with = "whole_number")]
    pub estimate: Option<i64>,
    /// Parent issue ID for sub-issues.
    pub parent_issue_id: Option<String>,
    /// Milestone ID.
    pub milestone_id: Option<String>,
    /// Label IDs to attach.
    pub labels: Option<Vec<String>>,
    /// Pipeline ID to bind for run-routine.
    pub routine_id: Option<String>,
    /// Routine input values; only with `routine_id`.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub routine_inputs: Option<Value>,
}

/// Body of update issue.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IssuePatch {
    /// Issue title.
    pub title: Option<String>,
    /// Issue description.
    pub description: Option<String>,
    /// New status (must be a valid transition).
    pub status: Option<String>,
    /// Priority.
    pub priority: Option<String>,
    /// `user` or `agent`.
    pub assignee_type: Option<String>,
    /// Assignee ID; null and empty unassign.
    #[serde(deserialize_with = "present")]
    pub assignee_id: Option<Option<String>>,
    /// Due date; empty clears.
    pub due_date: Option<String>,
    /// Project ID; empty unlinks.
    pub project_id: Option<String>,
    /// Milestone ID; empty unlinks.
    pub milestone_id: Option<String>,
    /// Parent issue ID; empty unlinks.
    pub parent_issue_id: Option<String>,
    /// Estimate; null clears.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "Option<i64>")]
    pub estimate: Option<Option<Value>>,
    /// Manual sort order for board views.
    pub sort_order: Option<f64>,
    /// Label IDs, all of them.
    pub labels: Option<Vec<String>>,
    /// Pipeline ID to bind; empty clears the binding and its inputs.
    pub routine_id: Option<String>,
    /// Routine inputs, all of them.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub routine_inputs: Option<Value>,
}

/// Body of bulk update.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BulkDraft {
    /// 1-100 issue ids.
    pub ids: Option<Vec<String>>,
    /// What is to change, the same for all.
    pub updates: Option<BulkFields>,
}

/// What a bulk update may change.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BulkFields {
    /// New status; an issue that may not move there is skipped.
    pub status: Option<String>,
    /// Priority.
    pub priority: Option<String>,
    /// `user` or `agent`.
    pub assignee_type: Option<String>,
    /// Assignee ID; null and empty unassign.
    #[serde(deserialize_with = "present")]
    pub assignee_id: Option<Option<String>>,
    /// Project ID; empty unlinks.
    pub project_id: Option<String>,
    /// Label IDs, all of them.
    pub labels: Option<Vec<String>>,
}

/// Body of review.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReviewDraft {
    /// `approve` or `request_changes`; required.
    pub action: Option<String>,
    /// What is to be said of it.
    pub comment: Option<String>,
    /// Slug of the agent that is to go on with it.
    pub reassign_to: Option<String>,
}

/// What a review found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Approve,
    /// There is more to do.
    RequestChanges,
}

/// Body of move: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Place {
    /// The issue that it is to stand before.
    pub before: Option<String>,
    /// The issue that it is to stand after.
    pub after: Option<String>,
}

/// Body of a comment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CommentDraft {
    /// What is said, Markdown; required.
    pub body: Option<String>,
}

/// Body of a relation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RelationDraft {
    /// Identifier of the other issue; required.
    pub target_identifier: Option<String>,
    /// `blocks`, `blocked_by`, `relates_to` or `duplicate_of`; required.
    pub relation_type: Option<String>,
}

/// One issue of a file. Who is on it and which routine it is bound to are those of this workspace; labels,
/// projects and milestones that are not there yet are made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportedIssue {
    /// Its crew, if not the file's.
    pub crew: Option<CrewId>,
    /// The identifier it had; kept when it is free.
    pub identifier: Option<Text>,
    /// What the other system calls it: imported again it is not made again.
    pub external_id: Option<Text>,
    /// What it is to be.
    pub draft: IssueDraft,
    /// Its labels, by name.
    pub labels: Vec<Text>,
    /// Its project, by slug or name.
    pub project: Option<Text>,
    /// Its milestone in that project, by name.
    pub milestone: Option<Text>,
    /// Its parent: the identifier or external id of another issue of the file, else the external id of one that
    /// is here. What is neither is left out.
    pub parent: Option<Text>,
    /// Its links to others, which are named like parents.
    pub relations: Vec<ImportedRelation>,
    /// Where it stood.
    pub status: IssueStatus,
    /// Its place on boards.
    pub sort_order: f64,
    /// When it was created.
    pub created_at: Option<Time>,
    /// When it was begun.
    pub started_at: Option<Time>,
    /// When it was completed.
    pub completed_at: Option<Time>,
    /// What was said of it.
    pub comments: Vec<ImportedComment>,
}

/// One link of a file, as its source has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedRelation {
    /// How.
    pub how: super::RelationType,
    /// The other end.
    pub target: Text,
}

/// One comment of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportedComment {
    /// Its author, if known here.
    pub author: Option<super::Party>,
    /// What.
    pub body: Text,
    /// When.
    pub created_at: Option<Time>,
}

/// A whole number, however it is written.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(value) => whole(&value).map(Some).ok_or_else(|| D::Error::custom("not a whole number")),
    }
}
