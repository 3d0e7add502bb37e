//! The rules of Taffrail: ids, commands, events, deciders, folds and upcasts.
//!
//! Pure: no I/O, no clock, no randomness. Time, the next offset and fresh ids come in through
//! [`Context`]; a fact from elsewhere comes in through the command. `decide` may refuse, `apply` never.

pub mod approval;
pub mod chat;
pub mod checkpoint;
mod context;
mod entry;
pub mod escalation;
mod event;
mod facts;
mod id;
mod index;
pub mod instance;
pub mod issue;
pub mod marker;
pub mod mission;
mod precondition;
mod rejection;
pub mod roster;
pub mod routine;
pub mod tracker;
pub mod undertaking;
mod unfolding;
mod upcast;
pub mod work;
mod workspace;

pub use context::{Context, Mint};
pub use entry::{Actor, ActorType, Draft, Entry, Face, Json, Priority, Severity};
pub use event::{DecodeError, Event, Stored, current_version, kinds, schema_of};
pub use id::{
    AgentId, ApprovalId, AssignmentId, AttachmentId, ChatId, CheckpointId, CommentId, ConnectionId, CrewId,
    CrewMemberId, EntryId, EscalationId, LabelId, LogTag, MemberId, MilestoneId, MissionId, Offset,
    ProjectId, RecurringId, RelationId, RoutineId, RoutineRunId, RunId, SavedViewId, SecretId, TaskId, Text,
    Time, TokenId, TriageRuleId, UserId, WorkspaceId,
};
pub use precondition::IfMatch;
pub use rejection::{Kind as RejectionKind, Rejection};
pub use workspace::{Command, History, Workspace};
