//! Routines (the API calls them pipelines) and their runs (`periphery.md` 10, 11).
//!
//! A run is a machine whose every step is decided here: what is pure happens within the batch of the command
//! that set it going, what is not makes the run wait until a command tells of it.

mod apply;
mod command;
mod decide;
mod definition;
mod due;
mod effort;
mod event;
mod face;
mod governance;
mod known;
mod machine;
mod plan;
mod run;
mod save;
mod steps;
mod template;
mod transform;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};

pub use command::{Fetched, RoutineCommand, RoutineDraft, RunDraft};
pub use due::Fetch;
pub use event::{
    Caller, RoutineDeleted, RoutineEvent, RoutineFacts, RoutineItemEnded, RoutineLoopBegun, RoutineRunEnded,
    RoutineRunFacts, RoutineRunStarted, RoutineSaved, RoutineStatusChanged, RoutineStepEnded,
    RoutineStepWaiting, StepWaitsFor, WaitpointCreated, WaitpointDecided,
};
pub use plan::{Planned, definition_hash};
pub(crate) use run::INPUTS_BYTES_MAX;

use crate::entry::words;
use crate::index::under;
use crate::{Json, Offset, Rejection, RoutineId, RoutineRunId, Text, Time, Workspace};

words! {
    /// Whether a routine may run.
    RoutineStatus {
        /// It may.
        #[default]
        Active = "active",
        /// Somebody has to look at it first.
        Proposed = "proposed",
        /// It may not.
        Disabled = "disabled",
    }
}

words! {
    /// Where a run stands, as its record says it.
    RoutineRunStatus {
        /// It has not begun.
        Queued = "queued",
        /// There is something to do.
        #[default]
        Running = "running",
        /// It waits: for people, a time, a server or a run it called.
        Waiting = "waiting",
        /// All steps are done.
        Completed = "completed",
        /// A step failed.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
        /// The server stopped it.
        Interrupted = "interrupted",
        /// It only said what it would do.
        DryRun = "dry_run",
    }
}

impl RoutineRunStatus {
    /// Whether something may still come of it.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Running | Self::Waiting)
    }
}

words! {
    /// How a step ended.
    StepStatus {
        /// It did what it says.
        #[default]
        Completed = "completed",
        /// It could not.
        Failed = "failed",
        /// Its condition did not hold.
        Skipped = "skipped",
    }
}

words! {
    /// How a waitpoint ended.
    WaitpointOutcome {
        /// Yes.
        #[default]
        Approved = "approved",
        /// No.
        Denied = "denied",
        /// Nobody decided in time.
        TimedOut = "timed_out",
        /// It does not matter any more.
        Cancelled = "cancelled",
    }
}

/// A routine as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Routine {
    /// Its id: a pipeline's, which survives renames.
    pub id: RoutineId,
    /// What its author set.
    pub facts: RoutineFacts,
    /// Whether it may run.
    pub status: RoutineStatus,
    /// Why somebody should look at it.
    pub risk_reasons: Vec<Text>,
    /// What somebody has agreed to.
    pub accepted: Vec<Text>,
    /// How often it was run.
    pub invocation_count: u64,
    /// When it was run last.
    pub last_invoked_at: Option<Time>,
    /// Its newest run.
    pub last_run: Option<RoutineRunId>,
    /// How many of its runs are kept.
    pub runs_kept: u32,
    /// When it was first saved.
    pub created_at: Time,
    /// When it last changed; runs do not count.
    pub updated_at: Time,
    /// Offset of its first entry.
    pub born: Offset,
    /// Offset of its last change, runs included.
    pub changed: Offset,
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which.
    pub id: Text,
    /// How it ended.
    pub status: StepStatus,
    /// Why it failed.
    pub error: Option<Text>,
    /// When it began.
    pub begun_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// Offset of its end.
    pub ended: Offset,
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// At which step.
    pub step_id: Text,
    /// Since when.
    pub since: Time,
    /// Where the wait was written down.
    pub fence: Offset,
    /// For what.
    pub on: WaitOn,
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WaitOn {
    /// People.
    Approval {
        /// Its name. Whoever may decide is given a token that is made of it and of a key.
        waitpoint: Text,
        /// What they are told.
        prompt: Text,
        /// When nobody may decide any more.
        timeout_at: Time,
    },
    /// A time.
    Time {
        /// Which.
        at: Time,
        /// Whether the step fails then.
        times_out: bool,
    },
    /// Another server.
    Http,
    /// A run of another routine.
    Run(RoutineRunId),
}

/// A `foreach` at work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looping {
    /// When it began.
    pub since: Time,
    /// What it goes over.
    pub items: Arc<Json>,
    /// What the first ones yielded.
    pub outputs: Vector<Arc<Json>>,
    /// How much that is.
    pub bytes: u64,
}

/// A run as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoutineRun {
    /// `run_` and 16 hex digits.
    pub id: RoutineRunId,
    /// What was known when it began.
    pub facts: RoutineRunFacts,
    /// The routine's slug then.
    pub slug: Text,
    /// The routine's name then.
    pub name: Text,
    /// What it does; nothing once it is over.
    pub definition: Arc<Json>,
    /// Where it stands.
    pub status: RoutineRunStatus,
    /// What its steps yielded, by id.
    pub outputs: OrdMap<Text, Arc<Json>>,
    /// How much that is.
    pub bytes: u64,
    /// How much it and the runs it called were given and yielded, items of loops too.
    pub tree_bytes: u64,
    /// The steps that are over, in order: there are as many as the next one has before it.
    pub steps: Vector<StepRecord>,
    /// The last step that yielded something: what the run yields.
    pub last: Option<Text>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// The `foreach` it is in.
    pub looping: Option<Looping>,
    /// How many steps, items and steps of runs it called were taken.
    pub taken: u32,
    /// The step that failed.
    pub failed_at_step: Option<Text>,
    /// Why.
    pub error_message: Option<Text>,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Offset of its first entry.
    pub born: Offset,
    /// Offset of its end.
    pub ended: Option<Offset>,
    /// Offset of its last change.
    pub changed: Offset,
}

impl RoutineRun {
    /// What it yields, once something was.
    #[must_use]
    pub fn output(&self) -> Option<&Arc<Json>> {
        self.outputs.get(self.last.as_ref()?)
    }

    /// The waitpoint it waits at.
    #[must_use]
    pub fn waitpoint(&self) -> Option<&Text> {
        match &self.waiting.as_ref()?.on {
            WaitOn::Approval { waitpoint, .. } => Some(waitpoint),
            WaitOn::Time { .. } | WaitOn::Http | WaitOn::Run(_) => None,
        }
    }
}

/// The routines of a workspace, and their runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Routines {
    /// Those that are not deleted.
    pub all: OrdMap<RoutineId, Arc<Routine>>,
    /// The same, by slug.
    pub slugs: OrdMap<Text, RoutineId>,
    /// Runs: of each routine all that are live, and the newest.
    pub runs: OrdMap<RoutineRunId, Arc<RoutineRun>>,
    /// The same, oldest first.
    pub by_birth: OrdMap<Offset, RoutineRunId>,
    /// The same, by routine.
    pub by_routine: OrdMap<(RoutineId, Offset), RoutineRunId>,
    /// Runs that are not over, by routine.
    pub live_of: OrdSet<(RoutineId, RoutineRunId)>,
    /// Runs that have something to do and wait for nothing: in a published world they did not fit into
    /// one batch.
    pub running: OrdSet<RoutineRunId>,
    /// Runs that wait for a time, or for people until one.
    pub waking: OrdSet<(Time, RoutineRunId)>,
    /// Runs that wait for other servers.
    pub fetching: OrdSet<RoutineRunId>,
    /// Runs that wait for people, by waitpoint.
    pub waitpoints: OrdMap<Text, RoutineRunId>,
    /// The same, oldest wait first.
    pub waitpoints_by_birth: OrdMap<Offset, RoutineRunId>,
    /// Runs that are not over though their routine is gone: the engine ends them.
    pub orphans: OrdSet<RoutineRunId>,
    /// Runs that are over, in the order they ended.
    pub over: OrdMap<Offset, RoutineRunId>,
    /// About how much those take.
    pub over_bytes: u64,
}

impl Routines {
    /// One that is not deleted.
    #[must_use]
    pub fn live(&self, id: &str) -> Option<&Arc<Routine>> {
        self.all.get(id)
    }

    /// One that is not deleted, by slug.
    #[must_use]
    pub fn named(&self, slug: &str) -> Option<&Arc<Routine>> {
        self.live(self.slugs.get(slug)?.as_str())
    }

    /// The runs of a routine, oldest first.
    pub fn runs_of<'a>(
        &'a self,
        routine: &'a RoutineId,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<RoutineRun>> + 'a {
        let first = (routine.clone(), Offset(0));
        let last = (routine.clone(), Offset(u64::MAX));
        self.by_routine.range(first..last).filter_map(|(_, id)| self.runs.get(id))
    }

    /// The runs of a routine that are not over.
    pub fn live_runs_of<'a>(&'a self, routine: &'a RoutineId) -> impl Iterator<Item = &'a RoutineRunId> + 'a {
        under(&self.live_of, routine)
    }
}

impl Workspace {
    /// A routine, by slug.
    ///
    /// # Errors
    /// `pipeline not found`.
    pub fn routine(&self, slug: &str) -> Result<&Arc<Routine>, Rejection> {
        let found = self.routines.named(slug);
        found.ok_or_else(|| Rejection::not_found("routine.not_found", "pipeline not found"))
    }

    /// A run of a routine.
    ///
    /// # Errors
    /// `pipeline run not found`.
    pub fn routine_run(&self, id: &str) -> Result<&Arc<RoutineRun>, Rejection> {
        let found = self.routines.runs.get(id);
        found.ok_or_else(|| Rejection::not_found("routine.run_not_found", "pipeline run not found"))
    }
}
