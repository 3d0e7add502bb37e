//! Issues: what a crew has to do, one by one, and who is on it (`issues.md`; seed, Issues page).
//!
//! An issue is no mission: it has a flow, names and neighbours of its own. What agents do for it is an
//! [`Undertaking`] like a mission's, and the engine works both alike.

mod activity;
mod apply;
mod attachment;
mod bulk;
mod by_agent;
mod by_routine;
mod command;
mod comment;
mod create;
mod decide;
mod event;
mod execute;
mod fields;
mod import;
mod mention;
mod outcome;
mod place;
mod relation;
mod tally;
mod triage;
mod update;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use activity::Action;
pub use attachment::{ATTACHMENT_BYTES_MAX, AttachedFile, Attachment, file_name, media_type};
pub use bulk::Outcome;
pub use command::{
    BulkDraft, BulkFields, CommentDraft, ImportedComment, ImportedIssue, ImportedRelation, IssueCommand,
    IssueDraft, IssuePatch, Named, Place, RelationDraft, ReviewDraft, Verdict,
};
pub(crate) use create::Origin;
pub use event::{
    AttachmentAdded, AttachmentRemoved, Cause, CommentDeleted, CommentEdited, Commented, Detached, Imported,
    IssueChanges, IssueCreated, IssueDeleted, IssueEvent, IssueFacts, IssueNoted, IssueUpdated,
    IssuesBulkUpdated, IssuesDetached, IssuesPlaced, Mentioned, Moved, Placed, Related, Seat, Unrelated,
};
pub(crate) use fields::{LABELS_MAX, date, priority, title};
pub use fields::{is_date, whole};
pub use import::ImportedNames;
pub use mention::MentionState;
pub use place::ordered;
pub use relation::{Relation, RelationType};
pub use tally::{Tallies, Tally};

use crate::entry::words;
use crate::index::under;
use crate::mission::hash;
use crate::undertaking::{Phase, Undertaking};
use crate::{
    AgentId, AttachmentId, CommentId, CrewId, LabelId, MilestoneId, MissionId, Offset, ProjectId, RelationId,
    RoutineId, TaskId, Text, Time, UserId,
};

words! {
    /// The seven statuses of an issue (seed, Issues page).
    IssueStatus {
        /// Not planned yet: every issue begins here.
        #[default]
        Backlog = "BACKLOG",
        /// To be done.
        Todo = "TODO",
        /// Somebody is on it.
        InProgress = "IN_PROGRESS",
        /// Somebody has to look at it.
        Review = "REVIEW",
        /// Done.
        Done = "DONE",
        /// It could not be done.
        Failed = "FAILED",
        /// Not wanted any more.
        Cancelled = "CANCELLED",
    }
}

impl IssueStatus {
    /// The transitions of the seed's table: of PATCH and bulk, and everything else is inside it
    /// (`issues.md` 5).
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match self {
            Self::Backlog => matches!(to, Self::Todo | Self::InProgress | Self::Cancelled),
            Self::Todo => matches!(to, Self::InProgress | Self::Backlog | Self::Cancelled),
            Self::InProgress => {
                matches!(to, Self::Review | Self::Done | Self::Failed | Self::Cancelled | Self::Todo)
            }
            Self::Review => {
                matches!(to, Self::Done | Self::Todo | Self::InProgress | Self::Failed | Self::Cancelled)
            }
            Self::Done => matches!(to, Self::Backlog),
            Self::Failed => matches!(to, Self::Backlog | Self::Todo | Self::InProgress),
            Self::Cancelled => matches!(to, Self::Backlog | Self::Todo),
        }
    }

    /// Whether the issue has come to its end as far as people are concerned: `completed_at` is set exactly
    /// then (`issues.md` 5).
    #[must_use]
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }

    /// What the engine has to do with an issue in it. `IN_PROGRESS` by a person's hand is that person's
    /// (`issues.md` 12.2): only a start makes it `Working`.
    #[must_use]
    pub(crate) fn phase(self, is_started: bool) -> Phase {
        match self {
            Self::InProgress if is_started => Phase::Working,
            Self::Backlog | Self::Todo | Self::InProgress | Self::Review => Phase::Waiting,
            Self::Done | Self::Failed | Self::Cancelled => Phase::Ended,
        }
    }
}

words! {
    /// How much an issue matters, least first (seed, Issues page).
    IssuePriority {
        /// Nobody has said.
        #[default]
        None = "none",
        /// Some day.
        Low = "low",
        /// In its turn.
        Medium = "medium",
        /// Before others.
        High = "high",
        /// Now.
        Urgent = "urgent",
    }
}

words! {
    /// The two sorts of whom an issue can belong to.
    PartyType {
        /// A person.
        #[default]
        User = "user",
        /// An agent.
        Agent = "agent",
    }
}

/// A person or an agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Party {
    /// Of which sort.
    #[serde(rename = "type")]
    pub kind: PartyType,
    /// Who.
    pub id: Text,
}

impl Party {
    /// A person.
    #[must_use]
    pub fn user(id: &UserId) -> Self {
        Self { kind: PartyType::User, id: id.as_str().into() }
    }

    /// An agent.
    #[must_use]
    pub fn agent(id: &AgentId) -> Self {
        Self { kind: PartyType::Agent, id: id.as_str().into() }
    }

    /// The agent, if it is one.
    #[must_use]
    pub fn as_agent(&self) -> Option<AgentId> {
        (self.kind == PartyType::Agent).then(|| (&*self.id).into())
    }

    /// The person, if it is one.
    #[must_use]
    pub fn as_user(&self) -> Option<UserId> {
        (self.kind == PartyType::User).then(|| (&*self.id).into())
    }
}

/// How an issue came to be (`issues.md` 3).
pub mod via {
    /// Through the API, by a person.
    pub const USER_API: &str = "user_api";
    /// By an agent at work.
    pub const AGENT_TOOL_CALL: &str = "agent_tool_call";
    /// From a file.
    pub const IMPORTED: &str = "imported";
    /// By a routine's step.
    pub const ROUTINE: &str = "routine";
    /// From a template, at its time.
    pub const RECURRING: &str = "recurring";
}

/// An issue as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    /// Identity, and what agents do for it.
    pub undertaking: Undertaking,
    /// What its people may change.
    pub facts: IssueFacts,
    /// Where it stands.
    pub status: IssueStatus,
    /// `ENG-42`.
    pub identifier: Text,
    /// `42`.
    pub number: u64,
    /// Who created it.
    pub author: Option<Party>,
    /// How.
    pub authored_via: Text,
    /// What the system it was imported from calls it.
    pub external_id: Option<Text>,
    /// The last word of a review that sent it back; what the next attempt is told.
    pub review_note: Option<Text>,
    /// The task that is the issue itself: it is worked as the issue stands, by who is on it.
    pub own_task: Option<TaskId>,
    /// The agent that moved it to where it is, if one did: the run it did that from goes on to its end.
    pub moved_by: Option<AgentId>,
    /// How many comments it has.
    pub comment_count: u32,
    /// How often it came up for review: who is told is told once each time.
    pub reviews: u32,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed; tasks and comments do not count.
    pub updated_at: Time,
    /// When it first came into `IN_PROGRESS`.
    pub started_at: Option<Time>,
    /// When it was done or cancelled, while it is.
    pub completed_at: Option<Time>,
    /// Offset of its creation: the order of lists.
    pub born: Offset,
    /// Offset of its last change, tasks included.
    pub changed: Offset,
}

impl Deref for Issue {
    type Target = Undertaking;

    fn deref(&self) -> &Undertaking {
        &self.undertaking
    }
}

impl DerefMut for Issue {
    fn deref_mut(&mut self) -> &mut Undertaking {
        &mut self.undertaking
    }
}

impl Issue {
    /// `h1:` and SHA-256 over the whole projected state: equal hashes, equal issues. Comments and
    /// neighbours have a life of their own.
    #[must_use]
    pub fn state_hash(&self) -> String {
        hash(&json!({
            "id": self.id, "crew_id": self.crew_id, "lead_agent_id": self.lead_agent_id,
            "trace_id": self.trace_id, "title": self.title, "description": self.description,
            "plan": self.plan, "status": self.status, "identifier": self.identifier, "facts": self.facts,
            "author": self.author, "authored_via": self.authored_via, "external_id": self.external_id,
            "created_at": self.created_at, "updated_at": self.updated_at, "started_at": self.started_at,
            "completed_at": self.completed_at,
            "tasks": self.tasks_in_order().into_iter().map(|task| task.facts()).collect::<Vec<_>>(),
        }))
    }
}

/// A comment as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// The issue it is about.
    pub issue: MissionId,
    /// Who said it.
    pub author: Party,
    /// What.
    pub body: Text,
    /// When.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Offset of its first entry.
    pub born: Offset,
    /// Who imported it, if it is from a file.
    pub importer: Option<UserId>,
}

impl Comment {
    /// Where it stands among those on its issue.
    fn place(&self) -> (MissionId, Time, Offset, CommentId) {
        (self.issue.clone(), self.created_at, self.born, self.id.clone())
    }
}

/// The issues of a workspace, what is said of them and what binds them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Issues {
    /// Those that are not deleted.
    pub all: OrdMap<MissionId, Arc<Issue>>,
    /// By identifier, in capitals: `eng-42` finds `ENG-42`.
    pub identifiers: OrdMap<Text, MissionId>,
    /// The highest number of each prefix, of deleted issues and crews too: no number is given twice.
    pub counters: OrdMap<Text, u64>,
    /// What other systems call them.
    pub external: OrdMap<Text, MissionId>,
    /// Sub-issues, by parent.
    pub children: OrdSet<(MissionId, MissionId)>,
    /// By crew.
    pub by_crew: OrdSet<(CrewId, MissionId)>,
    /// By label.
    pub by_label: OrdSet<(LabelId, MissionId)>,
    /// By project.
    pub by_project: OrdSet<(ProjectId, MissionId)>,
    /// By milestone.
    pub by_milestone: OrdSet<(MilestoneId, MissionId)>,
    /// By the routine they are bound to.
    pub by_routine: OrdSet<(RoutineId, MissionId)>,
    /// How those of a project or milestone stand.
    pub tallies: Tallies,
    /// As boards show them: by status, then by place and age.
    pub columns: OrdSet<BoardPlace>,
    /// By creation.
    pub by_birth: OrdSet<(Offset, MissionId)>,
    /// Those that agents work on now.
    pub working: OrdSet<MissionId>,
    /// Comments on them.
    pub comments: OrdMap<CommentId, Arc<Comment>>,
    /// Comments, by issue and time. Ids of one moment are in no order.
    pub comments_of: OrdSet<(MissionId, Time, Offset, CommentId)>,
    /// Links between them.
    pub relations: OrdMap<RelationId, Arc<Relation>>,
    /// Links, by either end and birth.
    pub relations_of: OrdSet<(MissionId, Offset, RelationId)>,
    /// Files at them.
    pub attachments: OrdMap<AttachmentId, Arc<Attachment>>,
    /// Files, by issue and birth.
    pub attachments_of: OrdSet<(MissionId, Offset, AttachmentId)>,
    /// Files, by the hash of their bytes.
    pub attachments_by_hash: OrdSet<(Text, AttachmentId)>,
}

/// Where an issue stands on a board.
pub type BoardPlace = (IssueStatus, u64, Offset, MissionId);

impl Issues {
    /// The issues of a workspace, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Arc<Issue>> + '_ {
        self.by_birth.iter().rev().filter_map(|(_, id)| self.all.get(id))
    }

    /// An issue by identifier, in any case, or by id.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Issue>> {
        let id = self.identifiers.get(name.to_uppercase().as_str());
        self.all.get(id.map_or(name, |id| id.as_str()))
    }

    /// The sub-issues of an issue.
    pub fn children_of<'a>(&'a self, parent: &'a MissionId) -> impl Iterator<Item = &'a Arc<Issue>> + 'a {
        under(&self.children, parent).filter_map(|id| self.all.get(id))
    }

    /// The comments on an issue, oldest first.
    pub fn comments_on<'a>(
        &'a self,
        issue: &'a MissionId,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Comment>> + 'a {
        let first = (issue.clone(), Time(0), Offset(0), CommentId::from(""));
        let last = (issue.clone(), Time(u64::MAX), Offset(u64::MAX), CommentId::from(""));
        self.comments_of.range(first..last).filter_map(|(.., id)| self.comments.get(id))
    }

    /// The links of an issue, to either side, oldest first.
    pub fn relations_on<'a>(&'a self, issue: &'a MissionId) -> impl Iterator<Item = &'a Arc<Relation>> + 'a {
        let first = (issue.clone(), Offset(0), RelationId::from(""));
        let last = (issue.clone(), Offset(u64::MAX), RelationId::from(""));
        self.relations_of.range(first..last).filter_map(|(.., id)| self.relations.get(id))
    }

    /// The files at an issue, oldest first.
    pub fn attachments_at<'a>(
        &'a self,
        issue: &'a MissionId,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Attachment>> + 'a {
        let first = (issue.clone(), Offset(0), AttachmentId::from(""));
        let last = (issue.clone(), Offset(u64::MAX), AttachmentId::from(""));
        self.attachments_of.range(first..last).filter_map(|(.., id)| self.attachments.get(id))
    }

    /// Whether any file has these bytes.
    #[must_use]
    pub fn names_bytes(&self, sha256: &Text) -> bool {
        under(&self.attachments_by_hash, sha256).next().is_some()
    }

    /// The issues of a crew.
    pub fn of_crew<'a>(&'a self, crew: &'a CrewId) -> impl Iterator<Item = &'a MissionId> + 'a {
        under(&self.by_crew, crew)
    }

    /// The issues with a label.
    pub fn of_label<'a>(&'a self, label: &'a LabelId) -> impl Iterator<Item = &'a MissionId> + 'a {
        under(&self.by_label, label)
    }

    /// The issues in a project.
    pub fn of_project<'a>(&'a self, project: &'a ProjectId) -> impl Iterator<Item = &'a Arc<Issue>> + 'a {
        under(&self.by_project, project).filter_map(|id| self.all.get(id))
    }

    /// The issues in a milestone.
    pub fn of_milestone<'a>(
        &'a self,
        milestone: &'a MilestoneId,
    ) -> impl Iterator<Item = &'a Arc<Issue>> + 'a {
        under(&self.by_milestone, milestone).filter_map(|id| self.all.get(id))
    }
}
