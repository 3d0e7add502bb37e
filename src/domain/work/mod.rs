//! What agents are given to do, who works it, and what became of it (`missions.md` 9, `platform.md` 8).
//!
//! An assignment waits in line until a worker claims it. The offset of the claim is the fence of all that
//! the worker says about it: whoever comes with another one is too late.

mod apply;
mod assignment;
mod brief;
mod claim;
mod command;
mod decide;
mod delegate;
mod dispatch;
mod due;
mod event;
mod face;
mod gate;
mod handoff;
mod lead;
mod prompt;
mod report;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

pub use assignment::{
    Assignment, AssignmentFacts, AssignmentStatus, Breaker, EndedBy, Output, Purpose, Run, RunEnd, RunFacts,
    RunStatus,
};
pub use brief::{Brief, BriefComment, BriefMission, BriefTask, BriefUpstream};
pub use claim::Claim;
pub use command::{
    Answer, Delegation, Evaluation, NewRun, Note, Report, TaskPlan, TaskRef, Usage, Verdict, WorkCommand,
};
pub use delegate::QUERY_DEPTH_MAX;
pub use due::{Due, MISSION_MS_MAX, QUERY_MS_MAX};
pub use event::{
    AssignmentClaimed, AssignmentCreated, AssignmentEnded, AssignmentReportedLate, AssignmentUnqueued,
    RunEnded, RunStarted, WorkEvent,
};
pub use gate::ConfidenceAction;
pub(crate) use handoff::Handoff;
pub use prompt::PROMPT_BYTES_MAX;

use crate::index::under;
use crate::{AgentId, AssignmentId, CrewId, MissionId, Offset, RunId};

/// Assignments and runs of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Every assignment there ever was.
    pub assignments: OrdMap<AssignmentId, Arc<Assignment>>,
    /// By creation.
    pub by_birth: OrdMap<Offset, AssignmentId>,
    /// Those that wait for a worker, oldest first.
    pub waiting: OrdSet<(Offset, AssignmentId)>,
    /// Those that wait for a place in their crew, oldest first.
    pub queued: OrdSet<(CrewId, Offset, AssignmentId)>,
    /// Those that a worker has.
    pub claimed: OrdSet<AssignmentId>,
    /// All of a mission's.
    pub by_mission: OrdSet<(MissionId, AssignmentId)>,
    /// How many places of a crew are taken.
    pub places: OrdMap<CrewId, u32>,
    /// Agents whose last assignment failed.
    pub breakers: OrdMap<AgentId, Breaker>,
    /// Every run there ever was.
    pub runs: OrdMap<RunId, Arc<Run>>,
    /// By beginning.
    pub runs_by_birth: OrdMap<Offset, RunId>,
    /// Those under way, by agent.
    pub running: OrdSet<(AgentId, RunId)>,
}

impl Work {
    /// All assignments of a mission.
    pub fn of_mission<'a>(
        &'a self,
        mission: &'a MissionId,
    ) -> impl Iterator<Item = &'a Arc<Assignment>> + 'a {
        under(&self.by_mission, mission).filter_map(|id| self.assignments.get(id))
    }

    /// Those that may still be worked.
    pub fn live_of_mission<'a>(
        &'a self,
        mission: &'a MissionId,
    ) -> impl Iterator<Item = &'a Arc<Assignment>> + 'a {
        self.of_mission(mission).filter(|assignment| assignment.status.is_live())
    }

    /// Those that may still be worked, of any purpose.
    pub fn live(&self) -> impl Iterator<Item = &Arc<Assignment>> + '_ {
        let waiting = self.waiting.iter().map(|(_, id)| id);
        let queued = self.queued.iter().map(|(_, _, id)| id);
        waiting.chain(queued).chain(&self.claimed).filter_map(|id| self.assignments.get(id))
    }

    /// Every assignment, newest first.
    pub fn assignments_newest(&self) -> impl Iterator<Item = &Arc<Assignment>> + '_ {
        self.by_birth.values().rev().filter_map(|id| self.assignments.get(id))
    }

    /// Every run, newest first.
    pub fn runs_newest(&self) -> impl Iterator<Item = &Arc<Run>> + '_ {
        self.runs_by_birth.values().rev().filter_map(|id| self.runs.get(id))
    }

    /// The runs of an agent that are under way.
    pub fn running_of<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a RunId> + 'a {
        under(&self.running, agent)
    }
}
