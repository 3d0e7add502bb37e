//! What may be done with assignments and runs, and what then is true.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lead::ASKED_MAX;
use super::{
    Assignment, AssignmentEnded, AssignmentStatus, EndedBy, Purpose, RunEnd, RunEnded, RunStatus, WorkCommand,
};
use crate::mission::{Reason, Status, TaskStatus};
use crate::roster::{AgentStatus, Permission, agent_moved};
use crate::undertaking::{Phase, Undertaking};
use crate::unfolding::Unfolding;
use crate::{
    Actor, AgentId, AssignmentId, Context, CrewId, Draft, MissionId, Offset, Rejection, Text, Workspace,
};

/// Memory that one agent of a crew is given (`missions.md` 9.4).
const AGENT_MEMORY_MB: i64 = 2_048;
/// How often a worker may go silent over one attempt before the attempt has failed.
const LAPSES_MAX: u32 = 3;
pub(super) const LEASE_EXPIRED: &str = "the worker went silent";

impl Workspace {
    pub(crate) fn decide_work(
        &self,
        command: &WorkCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Create)?;
        let mut unfolding = Unfolding::of(self, context);
        match command {
            WorkCommand::Dispatch { mission, tasks } => {
                tasks.iter().for_each(|(task, agent)| unfolding.dispatch(mission, task, agent.as_ref()));
            }
            WorkCommand::Plan { mission } => unfolding.ask_lead(mission, Purpose::Planning),
            WorkCommand::Review { mission } => unfolding.ask_lead(mission, Purpose::Review),
            WorkCommand::TimeOut { mission } => unfolding.time_out(mission),
            WorkCommand::Lapse { assignment, fence } => {
                if self.holds(assignment, *fence) {
                    unfolding.lapse(assignment);
                }
            }
            WorkCommand::Claim(claim) => unfolding.claim(claim),
            WorkCommand::Note { assignment, fence, notes } => {
                self.require_claim(assignment, *fence)?;
                unfolding.note(assignment, notes);
            }
            WorkCommand::Report { assignment, fence, report } => {
                unfolding.report(assignment, *fence, report)?;
            }
            WorkCommand::HandBack { assignment, fence } => {
                self.require_claim(assignment, *fence)?;
                unfolding.hand_back(assignment);
            }
            WorkCommand::Delegate(delegation) => unfolding.delegate(delegation)?,
            WorkCommand::Withdraw { assignment } => {
                let found = self.work.assignments.get(assignment).ok_or_else(assignment_not_found)?;
                if found.status.is_live() && found.facts.purpose == Purpose::Query {
                    unfolding.cancel_assignment(assignment, "nobody waits for the answer any more");
                }
            }
            WorkCommand::BeginRun(new) => unfolding.begin_run(new)?,
            WorkCommand::EndRun { run, status, exit_code, error_message, metadata } => {
                let end = RunEnd {
                    status: *status,
                    exit_code: *exit_code,
                    error_message: error_message.clone(),
                    output: None,
                    metadata: metadata.clone(),
                };
                unfolding.end_run_alone(run, end)?;
            }
            WorkCommand::ReportConfidence { agent, confidence, reason } => {
                unfolding.report_confidence(agent, *confidence, reason)?;
            }
            WorkCommand::Witness(face) => unfolding.add(Draft::shown("sidecar", (**face).clone())),
        }
        Ok(unfolding.finish())
    }

    /// Whether a claim is the one that still holds an assignment.
    #[must_use]
    pub fn holds(&self, assignment: &AssignmentId, fence: Offset) -> bool {
        let found = self.work.assignments.get(assignment);
        found.is_some_and(|found| found.status == AssignmentStatus::Running && found.fence == Some(fence))
    }

    /// A claim that still holds its assignment.
    ///
    /// # Errors
    /// 404 for an unknown assignment, 409 for a claim that was lost.
    pub fn require_claim(&self, assignment: &AssignmentId, fence: Offset) -> Result<(), Rejection> {
        if !self.work.assignments.contains_key(assignment) {
            return Err(assignment_not_found());
        }
        if self.holds(assignment, fence) { Ok(()) } else { Err(claim_lost()) }
    }

    /// How many attempts a crew may have under way (`missions.md` 9.4).
    fn places_of(&self, crew: &CrewId) -> u32 {
        let memory_mb = self.roster.crews.get(crew).map_or(0, |crew| crew.facts.container_memory_mb);
        u32::try_from(memory_mb / AGENT_MEMORY_MB).unwrap_or(u32::MAX).max(1)
    }

    /// Whether a crew has a place for one more.
    pub(super) fn has_place(&self, crew: &CrewId) -> bool {
        self.work.places.get(crew).copied().unwrap_or_default() < self.places_of(crew)
    }
}

impl Unfolding<'_> {
    /// An assignment and its run end, its agent rests, and who waited for the place gets it.
    pub(super) fn end_assignment(&mut self, id: &AssignmentId, ended: AssignmentEnded, end: RunEnd) {
        // What has ended stays ended as it did.
        let found = self.state.work.assignments.get(id).filter(|found| found.status.is_live());
        let Some(assignment) = found.cloned() else { return };
        if let Some(run) = &assignment.run_id {
            self.end_run(run, end);
        }
        let face = self.state.ended_face(&assignment, &ended, self.context.now);
        self.add(Draft::public(id.as_str(), ended, face));
        assignment.facts.crew_id.iter().for_each(|crew| self.fill_places(crew));
        // Where its mission is over, its agent may have waited for an answer with it alone.
        assignment.facts.mission_id.iter().for_each(|mission| self.withdraw_idle_escalations(mission));
    }

    pub(super) fn end_run(&mut self, id: &crate::RunId, end: RunEnd) {
        let Some(run) = self.state.work.runs.get(id).filter(|run| run.end.is_none()).cloned() else { return };
        let duration_ms = self.context.now.0.saturating_sub(run.started_at.0);
        let face = run.ended_face(&end, duration_ms);
        let failed = matches!(end.status, RunStatus::Failed | RunStatus::Timeout);
        self.add(Draft::public(id.as_str(), RunEnded { end: end.into() }, face));
        let to = if failed { AgentStatus::Error } else { AgentStatus::Idle };
        self.rest_agent(&run.facts.agent_id, to);
    }

    /// An agent without anything under way does nothing; one that was stopped stays stopped.
    fn rest_agent(&mut self, id: &AgentId, to: AgentStatus) {
        let is_busy = self.state.work.running_of(id).next().is_some();
        let Some(agent) = self.state.roster.live_agent(id.as_str()) else { return };
        if !is_busy && agent.status == AgentStatus::Running {
            let draft = agent_moved(agent, to, &Actor::Orchestrator);
            self.add(draft);
        }
    }

    fn fill_places(&mut self, crew: &CrewId) {
        while self.state.has_place(crew)
            && let Some(id) = self.state.first_queued(crew)
            && let Some(assignment) = self.state.work.assignments.get(&id)
        {
            let face = self.state.unqueued_face(assignment);
            self.add(Draft::public(id.as_str(), super::AssignmentUnqueued {}, face));
        }
    }

    /// Nobody wants it any more; its worker is told when it next asks.
    pub(crate) fn cancel_assignment(&mut self, id: &AssignmentId, why: &str) {
        let message = Some(Text::from(why));
        let ended = AssignmentEnded {
            status: AssignmentStatus::Cancelled,
            by: EndedBy::Cancel,
            result_summary: None,
            error_message: message.clone(),
        };
        let end = RunEnd { status: RunStatus::Cancelled, error_message: message, ..RunEnd::default() };
        self.end_assignment(id, ended, end);
    }

    /// An agent is stopped or gone: what it had is over, and its attempts have failed.
    pub(crate) fn stop_agent_work(&mut self, agent: &AgentId, why: &str) {
        let own = |found: &&std::sync::Arc<super::Assignment>| found.facts.assigned_to == *agent;
        let own: Vec<AssignmentId> =
            self.state.work.live().filter(own).map(|found| found.id.clone()).collect();
        own.iter().for_each(|id| self.fail_assignment(id, why));
    }

    /// All that a crew has under way is over: it and its missions go. What its agents were at for other
    /// crews has failed there.
    pub(crate) fn stop_crew_work(&mut self, crew: &CrewId) {
        const WHY: &str = "the crew was deleted";
        let gone: BTreeSet<&MissionId> =
            self.state.missions_of(crew).chain(self.state.issues.of_crew(crew)).collect();
        let is_of_crew = |agent: &AgentId| {
            let agent = self.state.roster.live_agent(agent.as_str());
            agent.is_some_and(|agent| agent.facts.crew_id.as_ref() == Some(crew))
        };
        let is_its_own = |found: &&Arc<Assignment>| {
            let facts = &found.facts;
            facts.crew_id.as_ref() == Some(crew)
                || facts.mission_id.as_ref().is_some_and(|id| gone.contains(id))
                || is_of_crew(&facts.assigned_to)
        };
        let is_elsewhere =
            |found: &Assignment| found.facts.mission_id.as_ref().is_some_and(|id| !gone.contains(id));
        let own = self.state.work.live().filter(is_its_own);
        let own: Vec<(AssignmentId, bool)> =
            own.map(|found| (found.id.clone(), is_elsewhere(found))).collect();
        for (id, is_elsewhere) in own {
            match is_elsewhere {
                true => self.fail_assignment(&id, WHY),
                false => self.cancel_assignment(&id, WHY),
            }
        }
    }

    /// It is cancelled, and what it was for has failed.
    fn fail_assignment(&mut self, id: &AssignmentId, why: &str) {
        // What one that failed before brought with it may have ended this one too.
        let found = self.state.work.assignments.get(id).filter(|found| found.status.is_live());
        let Some(facts) = found.map(|found| found.facts.clone()) else { return };
        self.cancel_assignment(id, why);
        self.chat_ended(&facts, Err(why));
        let Some(mission) = &facts.mission_id else { return };
        if let Some(task) = self.state.worked_task(mission, id) {
            let message = Some(Text::from(why));
            self.move_task(mission, &task, TaskStatus::Failed, Reason::AgentStopped, |moved| {
                moved.error_message = message;
            });
            self.tell_issue_it_failed(&facts, why);
            self.settle(mission);
            return;
        }
        match facts.purpose {
            Purpose::Planning => {
                self.tell_issue_it_failed(&facts, why);
                self.planning_failed(mission, why);
            }
            Purpose::Delegation => {
                self.tell_issue_it_failed(&facts, why);
                self.conclude_delegated(mission);
            }
            Purpose::Mention => self.tell_issue_it_failed(&facts, why),
            Purpose::Task | Purpose::Review | Purpose::Query | Purpose::Chat => {}
        }
    }

    /// The worker gives it back: nothing has failed, somebody else may have it.
    pub(super) fn hand_back(&mut self, id: &AssignmentId) {
        let Some(facts) = self.state.work.assignments.get(id).map(|found| found.facts.clone()) else {
            return;
        };
        let message: Option<Text> = Some("handed back by its worker".into());
        let ended = AssignmentEnded {
            status: AssignmentStatus::Cancelled,
            by: EndedBy::HandBack,
            result_summary: None,
            error_message: message.clone(),
        };
        let end = RunEnd { status: RunStatus::Cancelled, error_message: message, ..RunEnd::default() };
        self.end_assignment(id, ended, end);
        self.chat_ended(&facts, Err("handed back by its worker"));
        let Some(mission) = &facts.mission_id else { return };
        if let Some(task) = self.state.worked_task(mission, id) {
            self.move_task(mission, &task, TaskStatus::Pending, Reason::HandedBack, |_| {});
            // What it depends on may have been skipped while it was worked: then it cannot begin again.
            self.settle(mission);
        }
        self.lost(&facts, mission, "handed back by its worker");
    }

    /// A worker went away over what is no task: the LEAD is asked again, a few times, and nobody else is.
    fn lost(&mut self, facts: &super::AssignmentFacts, mission: &MissionId, why: &str) {
        let Some(found) = self.state.undertaking(mission).cloned() else { return };
        match facts.purpose {
            Purpose::Planning if self.state.lost_of(&found, Purpose::Planning) >= ASKED_MAX => {
                self.tell_issue_it_failed(facts, why);
                self.planning_failed(mission, why);
            }
            Purpose::Delegation => {
                self.tell_issue_it_failed(facts, why);
                self.conclude_delegated(mission);
            }
            // Nobody calls a second time for whoever was called.
            Purpose::Mention => self.tell_issue_it_failed(facts, why),
            Purpose::Task | Purpose::Planning | Purpose::Review | Purpose::Query | Purpose::Chat => {}
        }
    }

    /// The worker went silent: its run is over, and the task waits again, or has failed if this goes on.
    fn lapse(&mut self, id: &AssignmentId) {
        let Some(facts) = self.state.work.assignments.get(id).map(|found| found.facts.clone()) else {
            return;
        };
        let message: Option<Text> = Some(LEASE_EXPIRED.into());
        let ended = AssignmentEnded {
            status: AssignmentStatus::Failed,
            by: EndedBy::Lease,
            result_summary: None,
            error_message: message.clone(),
        };
        let end = RunEnd { status: RunStatus::Failed, error_message: message.clone(), ..RunEnd::default() };
        self.end_assignment(id, ended, end);
        self.chat_ended(&facts, Err(LEASE_EXPIRED));
        let Some(mission) = &facts.mission_id else { return };
        let Some(task) = self.state.worked_task(mission, id) else {
            return self.lost(&facts, mission, LEASE_EXPIRED);
        };
        let lapses =
            self.state.undertaking(mission).and_then(|found| found.tasks.get(&task)).map(|task| task.lapses);
        if lapses.is_some_and(|lapses| lapses + 1 < LAPSES_MAX) {
            self.move_task(mission, &task, TaskStatus::Pending, Reason::LeaseExpired, |_| {});
        } else {
            self.tell_issue_it_failed(&facts, LEASE_EXPIRED);
            self.fail_attempt(mission, &task, message, None);
        }
        self.settle(mission);
    }

    /// A mission that ran too long has failed, with all it has in flight (`missions.md` 9.10).
    fn time_out(&mut self, mission: &MissionId) {
        let is_running = |found: &&Undertaking| found.phase == Phase::Working;
        let Some(found) = self.state.undertaking(mission).filter(is_running) else { return };
        if self.context.now.0 < found.entered_at.0.saturating_add(super::MISSION_MS_MAX) {
            return;
        }
        let worked: Vec<AssignmentId> =
            self.state.work.live_of_mission(mission).map(|found| found.id.clone()).collect();
        let (status, reason) = (TaskStatus::Failed, Reason::Timeout);
        self.stop_tasks(mission, (status, reason, "mission timed out"), |task| {
            task.status == TaskStatus::AwaitingApproval
                || task
                    .assignment_id
                    .as_ref()
                    .is_some_and(|id| task.status == TaskStatus::InProgress && worked.contains(id))
        });
        self.move_mission(mission, Status::Failed, Reason::Timeout, |_| {});
        self.keep_only_wanted_work(mission);
    }
}

impl Workspace {
    /// The task that an assignment works, unless it has lost it. An issue may have moved on by the hand of
    /// the agent that still works it: what comes of that is a result like any other.
    pub(super) fn worked_task(
        &self,
        mission: &MissionId,
        assignment: &AssignmentId,
    ) -> Option<crate::TaskId> {
        let mission = self.undertaking(mission)?;
        if mission.phase != Phase::Working && !self.issues.all.contains_key(&mission.id) {
            return None;
        }
        let task = self.work.assignments.get(assignment)?.facts.task_id.as_ref()?;
        let task = mission.tasks.get(task).filter(|task| task.status == TaskStatus::InProgress)?;
        (task.assignment_id.as_ref() == Some(assignment)).then(|| task.id.clone())
    }

    fn first_queued(&self, crew: &CrewId) -> Option<AssignmentId> {
        let from = (crew.clone(), Offset(0), AssignmentId::from(""));
        let first = self.work.queued.range(from..).next()?;
        (first.0 == *crew).then(|| first.2.clone())
    }
}

pub(super) fn assignment_not_found() -> Rejection {
    Rejection::not_found("assignment.not_found", "assignment not found")
}

pub(super) fn claim_lost() -> Rejection {
    Rejection::conflict("assignment.claim_lost", "the assignment is not held by this claim any more")
}
