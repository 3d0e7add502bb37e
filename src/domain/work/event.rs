//! Facts about assignments and runs. The subject is the assignment or the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AssignmentFacts, AssignmentStatus, EndedBy, RunEnd, RunFacts};
use crate::event::events;
use crate::{RunId, Text};

events! {
    /// Facts about what agents are given, and what became of it.
    WorkEvent {
        /// Work was handed to an agent.
        "assignment.created" => AssignmentCreated,
        /// Its crew has a place for it.
        "assignment.unqueued" => AssignmentUnqueued,
        /// A worker took it.
        "assignment.running" => AssignmentClaimed,
        /// It ended.
        "assignment.ended" => AssignmentEnded,
        /// Its worker reported although it had ended: noted, and nothing else.
        "assignment.reported_late" => AssignmentReportedLate,
        /// A run began.
        "run.started" => RunStarted,
        /// A run ended.
        "run.ended" => RunEnded,
    }
}

/// Work was handed to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentCreated {
    /// What.
    pub assignment: Box<AssignmentFacts>,
    /// `PENDING`, or `QUEUED` where its crew has no place.
    pub status: AssignmentStatus,
}

/// Its crew has a place for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentUnqueued {}

/// A worker took it; the offset of this entry is its fence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentClaimed {
    /// The run that begins.
    pub run_id: RunId,
    /// What the worker calls itself.
    pub worker: Text,
    /// How long it may be silent; a heartbeat is no entry.
    pub lease_ms: u64,
}

/// It ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentEnded {
    /// How.
    pub status: AssignmentStatus,
    /// By whom.
    pub by: EndedBy,
    /// What came out.
    pub result_summary: Option<Text>,
    /// Why it failed.
    pub error_message: Option<Text>,
}

/// Its worker reported although it had ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentReportedLate {
    /// What it would have been.
    pub status: AssignmentStatus,
}

/// A run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// Why.
    pub run: Box<RunFacts>,
}

/// A run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnded {
    /// How.
    pub end: Box<RunEnd>,
}
