//! Facts about issues. The subject is the issue, except where it says otherwise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AttachedFile, IssuePriority, IssueStatus, MentionState, Party, RelationType};
use crate::entry::words;
use crate::event::events;
use crate::facts::{facts, present};
use crate::{
    AgentId, AssignmentId, AttachmentId, CommentId, CrewId, Json, LabelId, MilestoneId, MissionId, ProjectId,
    RelationId, RoutineId, TaskId, Text, Time,
};

events! {
    /// Facts about issues.
    IssueEvent {
        /// An issue began.
        "issue.created" => IssueCreated,
        /// Something of it changed.
        "issue.updated" => IssueUpdated,
        /// A line of its activity log.
        "issue.noted" => IssueNoted,
        /// It is gone; the journal stays.
        "issue.deleted" => IssueDeleted,
        /// Somebody said something about it.
        "issue.commented" => Commented,
        /// They said it better.
        "issue.comment_edited" => CommentEdited,
        /// They take it back.
        "issue.comment_deleted" => CommentDeleted,
        /// A comment named an agent.
        "issue.mentioned" => Mentioned,
        /// It was linked to another one.
        "issue.related" => Related,
        /// A link is gone.
        "issue.unrelated" => Unrelated,
        /// A file was put at it.
        "issue.attachment_added" => AttachmentAdded,
        /// A file was taken from it.
        "issue.attachment_removed" => AttachmentRemoved,
        /// What several issues pointed to is gone. The subject is that.
        "issue.detached" => IssuesDetached,
        /// Several made room on a board. The subject is the one they made it for.
        "issue.placed" => IssuesPlaced,
        /// Several were changed in one go. The subject is the workspace.
        "issue.bulk_updated" => IssuesBulkUpdated,
    }
}

facts! {
    /// What an issue's people set, beside title and description.
    IssueFacts,
    /// What changed of it, with its new value.
    IssueChanges {
        /// How much it matters.
        priority: IssuePriority,
        /// Who is on it.
        assignee: Option<Party>,
        /// When it should be done, as it was sent.
        due_date: Option<Text>,
        /// Its place on boards.
        sort_order: f64,
        /// The project it is part of.
        project_id: Option<ProjectId>,
        /// The milestone it is part of.
        milestone_id: Option<MilestoneId>,
        /// The issue it is a part of.
        parent_issue_id: Option<MissionId>,
        /// Effort, in points.
        estimate: Option<i64>,
        /// Its labels, each once.
        labels: Vec<LabelId>,
        /// The routine it is bound to.
        routine_id: Option<RoutineId>,
        /// What that routine is given.
        routine_inputs: Json,
    }
}

impl Default for IssueFacts {
    fn default() -> Self {
        Self {
            priority: IssuePriority::None,
            assignee: None,
            due_date: None,
            sort_order: 0.0,
            project_id: None,
            milestone_id: None,
            parent_issue_id: None,
            estimate: None,
            labels: vec![],
            routine_id: None,
            routine_inputs: Json::default(),
        }
    }
}

/// An issue began, in `BACKLOG` unless it was imported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssueCreated {
    /// `ENG-42`: unique in its workspace, and never given again.
    pub identifier: Text,
    /// `42`.
    pub number: u64,
    /// Its crew.
    pub crew_id: CrewId,
    /// Its crew's LEAD then.
    pub lead_agent_id: AgentId,
    /// `issue-` and an id of its own.
    pub trace_id: Text,
    /// What it is called.
    pub title: Text,
    /// What it is about.
    pub description: Option<Text>,
    /// The rest.
    pub facts: Box<IssueFacts>,
    /// Who created it.
    pub author: Option<Party>,
    /// How.
    pub authored_via: Text,
    /// What another system calls it, and where it stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Box<Imported>>,
}

/// What an imported issue brings along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// What the other system calls it.
    pub external_id: Option<Text>,
    /// Where it stands.
    pub status: IssueStatus,
    /// When it was created there.
    pub created_at: Option<Time>,
    /// When it was begun there.
    pub started_at: Option<Time>,
    /// When it was completed there.
    pub completed_at: Option<Time>,
}

words! {
    /// What made an issue change.
    Cause {
        /// A PATCH.
        #[default]
        Patch = "patch",
        /// A bulk update.
        Bulk = "bulk",
        /// Its start.
        Start = "start",
        /// Its stop.
        Stop = "stop",
        /// A review that found it good.
        Approved = "approved",
        /// A review that sent it back.
        ChangesRequested = "changes_requested",
        /// The engine: its work is over, or cannot go on.
        Engine = "engine",
        /// A LEAD that handed it on.
        Delegation = "delegation",
        /// A triage rule.
        Triage = "triage",
        /// An agent at work.
        Agent = "agent",
        /// A file.
        Import = "import",
        /// A place on a board.
        Move = "move",
        /// A step of a routine.
        Routine = "routine",
    }
}

/// A status left for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// Where it was.
    pub from: IssueStatus,
    /// Where it is.
    pub to: IssueStatus,
}

impl Moved {
    /// Whether what was begun is to be begun again.
    pub(super) fn is_back(self) -> bool {
        let is_ahead = |status| matches!(status, IssueStatus::Backlog | IssueStatus::Todo);
        is_ahead(self.to) && !is_ahead(self.from)
    }
}

/// A crew, and who leads an issue there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seat {
    /// Which crew.
    pub crew_id: CrewId,
    /// Its LEAD.
    pub lead_agent_id: AgentId,
}

/// Only what changed, with its new value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssueUpdated {
    /// Why.
    pub cause: Cause,
    /// New title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// New description; null clears it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<Text>>,
    /// The status it left, and the one it came into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
    /// Another crew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<Seat>,
    /// What a review that sends it back says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_note: Option<Text>,
    /// The task that is the issue itself, where nobody planned any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_task: Option<TaskId>,
    /// Everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Box<IssueChanges>>,
}

/// A line of an issue's activity log (`issues.md` 10).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssueNoted {
    /// What was done.
    pub action: Text,
    /// How; the wording is the API's.
    pub details: Option<Text>,
}

/// It is gone, with its comments, links and activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssueDeleted {
    /// What it was called.
    pub identifier: Text,
    /// Its crew.
    pub crew_id: CrewId,
}

/// Somebody said something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Commented {
    /// Its id.
    pub comment_id: CommentId,
    /// Who.
    pub author: Party,
    /// What.
    pub body: Text,
    /// When it was said where it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<Time>,
    /// Whether a file says so: who brought it is the actor of the entry, who said it is what the file claims.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
}

/// They said it better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentEdited {
    /// Which.
    pub comment_id: CommentId,
    /// What it says now.
    pub body: Text,
}

/// They take it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentDeleted {
    /// Which.
    pub comment_id: CommentId,
}

/// A comment named an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mentioned {
    /// Which comment.
    pub comment_id: CommentId,
    /// Whom.
    pub agent_id: AgentId,
    /// What became of it.
    pub dispatch_state: MentionState,
    /// The work it was handed as.
    pub assignment_id: Option<AssignmentId>,
}

/// Two issues were linked. The subject is the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Related {
    /// Its id.
    pub relation_id: RelationId,
    /// From which.
    pub source_id: MissionId,
    /// To which.
    pub target_id: MissionId,
    /// How.
    pub relation_type: RelationType,
}

/// A link is gone. The subject is the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unrelated {
    /// Which.
    pub relation_id: RelationId,
    /// From which.
    pub source_id: MissionId,
    /// To which.
    pub target_id: MissionId,
}

/// A file was put at an issue. Its bytes lie beside the journal, under their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachmentAdded {
    /// Its id.
    pub attachment_id: AttachmentId,
    /// What it is.
    pub file: AttachedFile,
    /// Who put it there.
    pub uploaded_by: Party,
}

/// A file was taken from an issue; its bytes go when nothing else names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachmentRemoved {
    /// Which.
    pub attachment_id: AttachmentId,
}

/// What is gone that issues pointed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Detached {
    /// A project, with its milestones.
    #[serde(rename = "project")]
    Project(ProjectId),
    /// A milestone.
    #[serde(rename = "milestone")]
    Milestone(MilestoneId),
    /// A label.
    #[serde(rename = "label")]
    Label(LabelId),
    /// A routine.
    #[serde(rename = "routine")]
    Routine(RoutineId),
    /// The issue they were parts of.
    #[serde(rename = "parent")]
    Parent(MissionId),
    /// A crew, with the issues that those of other crews were parts of.
    #[serde(rename = "crew")]
    Crew(CrewId),
}

impl Detached {
    /// Whether they were parts of what is gone: a line of the log of each says so.
    #[must_use]
    pub fn is_parent(&self) -> bool {
        match self {
            Self::Parent(_) | Self::Crew(_) => true,
            Self::Project(_) | Self::Milestone(_) | Self::Label(_) | Self::Routine(_) => false,
        }
    }

    /// The id of what is gone.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Project(id) => id.as_str(),
            Self::Milestone(id) => id.as_str(),
            Self::Label(id) => id.as_str(),
            Self::Routine(id) => id.as_str(),
            Self::Parent(id) => id.as_str(),
            Self::Crew(id) => id.as_str(),
        }
    }
}

/// Each of these issues has lost what it pointed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssuesDetached {
    /// What is gone.
    pub from: Detached,
    /// Whose it was.
    pub issues: Vec<MissionId>,
}

/// Where an issue stands on its board now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// Which.
    pub issue_id: MissionId,
    /// Its place.
    pub sort_order: f64,
}

/// Several made room on a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssuesPlaced {
    /// Each with its place now, in that order.
    pub places: Vec<Placed>,
}

/// Several were changed in one go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssuesBulkUpdated {
    /// How many.
    pub count: u32,
}
