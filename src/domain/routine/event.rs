//! Facts about routines and their runs. The subject is the routine, or the run.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RoutineRunStatus, RoutineStatus, StepStatus, WaitpointOutcome};
use crate::event::events;
use crate::issue::Party;
use crate::{AgentId, CrewId, Json, MissionId, RoutineId, RoutineRunId, Text, Time, UserId};

events! {
    /// Facts about routines and their runs.
    RoutineEvent {
        /// A routine is there, or is another one from now on.
        "routine.saved" => RoutineSaved,
        /// It may run, or may not.
        "routine.status_changed" => RoutineStatusChanged,
        /// A routine is gone; its runs stay.
        "routine.deleted" => RoutineDeleted,
        /// A run began. The subject is the run, as of all that follow.
        "routine.run_started" => RoutineRunStarted,
        /// A step waits for something other than people.
        "routine.step_waiting" => RoutineStepWaiting,
        /// A `foreach` has its items.
        "routine.loop_begun" => RoutineLoopBegun,
        /// One of them is done.
        "routine.item_ended" => RoutineItemEnded,
        /// A step is over.
        "routine.step_ended" => RoutineStepEnded,
        /// A run is over.
        "routine.run_ended" => RoutineRunEnded,
        /// A step waits for people.
        "waitpoint.created" => WaitpointCreated,
        /// They have decided, or nobody will.
        "waitpoint.decided" => WaitpointDecided,
    }
}

/// What a routine's author set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineFacts {
    /// Its name in paths: unique among those that are there.
    pub slug: Text,
    /// What people call it.
    pub name: Text,
    /// What it is for.
    pub description: Option<Text>,
    /// What it does, as it was written; checked before it was stored.
    pub definition: Arc<Json>,
    /// SHA-256 of the definition as canonical JSON.
    pub definition_hash: Text,
    /// The crew it is of.
    pub author_crew_id: Option<CrewId>,
    /// The agent it is of.
    pub author_agent_id: Option<AgentId>,
    /// Who saved it last.
    pub author_user_id: Option<UserId>,
    /// How.
    pub authored_via: Text,
}

/// A routine is there, or is another one from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineSaved {
    /// All of it.
    pub routine: Box<RoutineFacts>,
    /// Whether it may run.
    pub status: RoutineStatus,
    /// Why somebody should look at it before it does.
    pub risk_reasons: Vec<Text>,
    /// What of that somebody has agreed to, one by one.
    pub accepted: Vec<Text>,
    /// What its author says of the change.
    pub change_summary: Option<Text>,
}

/// It may run, or may not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineStatusChanged {
    /// What it was.
    pub from: RoutineStatus,
    /// What it is.
    pub to: RoutineStatus,
    /// What somebody has agreed to, all of it.
    pub accepted: Vec<Text>,
}

/// A routine is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineDeleted {
    /// What it was called.
    pub slug: Text,
}

/// The run and the step that called this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Caller {
    /// Which run.
    pub run_id: RoutineRunId,
    /// Which step.
    pub step_id: Text,
}

/// What is known of a run when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineRunFacts {
    /// Of which routine.
    pub routine_id: RoutineId,
    /// Which definition it keeps to, whatever becomes of the routine.
    pub definition_hash: Text,
    /// What it is given, defaults filled in.
    pub inputs: Arc<Json>,
    /// `manual`, `schedule`, `webhook`, `call_pipeline` or `issue`.
    pub triggered_via: Text,
    /// By what.
    pub triggered_by_id: Option<Text>,
    /// On whose behalf.
    pub started_by: Option<Party>,
    /// The issue it is about.
    pub issue_id: Option<MissionId>,
    /// Words to find it by.
    pub tags: Vec<Text>,
    /// Free facts.
    pub metadata: Arc<Json>,
    /// The run that called it.
    pub called_by: Option<Caller>,
    /// How many calls led to it.
    pub depth: u32,
}

/// A run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineRunStarted {
    /// What is known of it.
    pub run: Box<RoutineRunFacts>,
}

/// What a step waits for, other than people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepWaitsFor {
    /// A time.
    Time {
        /// Which.
        at: Time,
        /// Whether the step fails then, because what it waits for is later still.
        times_out: bool,
    },
    /// The answer of another server, which Taffrail asks.
    Http,
    /// A run of another routine.
    Run {
        /// Which.
        run_id: RoutineRunId,
    },
}

/// A step waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineStepWaiting {
    /// Which.
    pub step_id: Text,
    /// For what.
    pub waits_for: StepWaitsFor,
}

/// A `foreach` has its items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineLoopBegun {
    /// Which step.
    pub step_id: Text,
    /// A list.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub items: Arc<Json>,
}

/// One item of a `foreach` is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineItemEnded {
    /// Which step.
    pub step_id: Text,
    /// What it yielded: any JSON.
    #[schemars(with = "serde_json::Value")]
    pub output: Arc<Json>,
    /// Why it failed, where the loop goes on all the same.
    pub error: Option<Text>,
}

/// A step is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineStepEnded {
    /// Which.
    pub step_id: Text,
    /// How it ended.
    pub status: StepStatus,
    /// What it yielded: any JSON.
    #[schemars(with = "Option<serde_json::Value>")]
    pub output: Option<Arc<Json>>,
    /// Why it failed.
    pub error: Option<Text>,
    /// When it began.
    pub begun_at: Time,
}

/// A run is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineRunEnded {
    /// How.
    pub status: RoutineRunStatus,
    /// The step that failed.
    pub failed_at_step: Option<Text>,
    /// Why.
    pub error_message: Option<Text>,
}

/// A step waits for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitpointCreated {
    /// Which step.
    pub step_id: Text,
    /// Its name. The token of whoever may decide is made of it and of a key that no journal holds.
    pub waitpoint: Text,
    /// What people are told.
    pub prompt: Text,
    /// When nobody may decide any more.
    pub timeout_at: Time,
}

/// A waitpoint is decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitpointDecided {
    /// Which step waited.
    pub step_id: Text,
    /// How.
    pub outcome: WaitpointOutcome,
    /// By whom, if by a member.
    pub by: Option<UserId>,
    /// Why.
    pub comment: Option<Text>,
}
