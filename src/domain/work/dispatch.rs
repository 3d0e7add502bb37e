//! A ready task is handed to an agent (`missions.md` 9.4).

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Assignment, AssignmentCreated, AssignmentFacts, AssignmentStatus, Purpose};
use crate::mission::{Reason, Task, TaskStatus, TaskUpdated};
use crate::roster::{Agent, AgentStatus, Direction};
use crate::undertaking::{Phase, Undertaking};
use crate::unfolding::Unfolding;
use crate::{Actor, AgentId, AssignmentId, CrewId, Draft, MissionId, TaskId, Text, Time, Workspace};

/// Failures in a row that open the breaker of an agent (`missions.md` 9.4).
const BREAKER_FAILURES: u32 = 3;
/// How long an open breaker lets nothing through; then one try decides (`missions.md` 15, row 10).
const BREAKER_COOL_DOWN_MS: u64 = 60_000;

/// Whether an agent may be given a task now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    /// Yes.
    Fit,
    /// Not before this time: too many failures in a row.
    From(Time),
    /// Not until something else happens.
    Later,
    /// Never: the task has failed, with this text.
    Never(Text),
}

impl Workspace {
    /// Who works a task: the agent it names, else one of the crew that `has_worker` (`missions.md` 9.4,
    /// step 1); `picked` were given others in the same breath. `None` where nobody of the crew could ever be it.
    pub(super) fn agent_for(
        &self,
        mission: &Undertaking,
        task: &Task,
        picked: &[AgentId],
        has_worker: &dyn Fn(&AgentId) -> bool,
    ) -> Option<AgentId> {
        if task.assigned_agent_id.is_some() {
            return task.assigned_agent_id.clone();
        }
        let crew =
            self.roster.agents_in(&mission.crew_id).filter_map(|id| self.roster.live_agent(id.as_str()));
        let load = |agent: &Agent| {
            let own = |task: &&Arc<Task>| task.assigned_agent_id.as_ref() == Some(&agent.id);
            let just_picked = picked.iter().filter(|picked| **picked == agent.id).count();
            mission.tasks.values().filter(own).count() + just_picked
        };
        let members = crew.filter(|agent| agent.id != mission.lead_agent_id);
        let chosen = members.min_by_key(|agent| {
            (Reverse(has_worker(&agent.id)), load(agent), agent.facts.name.clone(), agent.id.clone())
        });
        let lead = || self.roster.live_agent(mission.lead_agent_id.as_str());
        // A member without a worker gives way to a LEAD that has one.
        let chosen = match (chosen, lead()) {
            (Some(member), Some(lead)) if !has_worker(&member.id) && has_worker(&lead.id) => Some(lead),
            (member, lead) => member.or(lead),
        };
        chosen.map(|agent| agent.id.clone())
    }

    /// Whether an agent may be given a task of a mission now (`missions.md` 9.4, steps 2 to 4).
    pub(super) fn fitness(&self, mission: &Undertaking, agent: &AgentId, now: Time) -> Fitness {
        let found = self.roster.live_agent(agent.as_str());
        let Some((found, crew)) = found.and_then(|found| Some((found, found.facts.crew_id.as_ref()?))) else {
            return Fitness::Never(format!("assigned agent {agent} not found (deleted or invalid)").into());
        };
        if found.status == AgentStatus::PendingReview {
            return Fitness::Later;
        }
        if *crew != mission.crew_id && !self.hands_work(&mission.crew_id, crew) {
            let slug = |id: &CrewId| {
                self.roster.crews.get(id).map_or_else(|| id.to_string(), |crew| crew.facts.slug.to_string())
            };
            let detail = format!(
                "crew {} is not connected to crew {} — create a crew connection first",
                slug(&mission.crew_id),
                slug(crew)
            );
            return Fitness::Never(detail.into());
        }
        let Some(breaker) = self.work.breakers.get(agent).filter(|found| found.failures >= BREAKER_FAILURES)
        else {
            return Fitness::Fit;
        };
        let cooled = Time(breaker.failed_at.0.saturating_add(BREAKER_COOL_DOWN_MS));
        let is_tried = self.work.live().any(|live| live.facts.assigned_to == *agent);
        match (now >= cooled, is_tried) {
            (false, _) => Fitness::From(cooled),
            (true, true) => Fitness::Later,
            (true, false) => Fitness::Fit,
        }
    }

    /// Whether a crew may hand work to another one.
    pub(crate) fn hands_work(&self, from: &CrewId, to: &CrewId) -> bool {
        self.roster.connections.values().any(|link| {
            (link.from == *from && link.to == *to)
                || (link.direction == Direction::Bidirectional && link.from == *to && link.to == *from)
        })
    }
}

impl Unfolding<'_> {
    /// Hands a task out, if it still can be: the engine looked at an older world.
    pub(super) fn dispatch(&mut self, mission: &MissionId, task: &TaskId, agent: Option<&AgentId>) {
        let found = self.state.undertaking(mission).filter(|found| found.phase == Phase::Working);
        let Some(found) = found.cloned() else { return };
        let is_due = |task: &&Arc<Task>| task.status == TaskStatus::Pending && found.is_ready(task);
        let Some(task) = found.tasks.get(task).filter(is_due).cloned() else { return };
        let Some(agent) = task.assigned_agent_id.as_ref().or(agent).cloned() else {
            let why = "No agent assigned and auto-assignment failed: the crew has no agents";
            return self.cannot_dispatch(&found, &task, why.into());
        };
        match self.state.fitness(&found, &agent, self.context.now) {
            Fitness::Fit => self.hand_out(&found, &task, &agent),
            Fitness::Never(why) => self.cannot_dispatch(&found, &task, why),
            Fitness::From(_) | Fitness::Later => {}
        }
    }

    fn hand_out(&mut self, mission: &Undertaking, task: &Task, agent: &AgentId) {
        if task.assigned_agent_id.is_none() {
            let updated =
                TaskUpdated { assigned_agent_id: Some(agent.clone()), ..TaskUpdated::of(task.id.clone()) };
            let face = mission.task_updated_face(task, &updated, &Actor::Orchestrator);
            self.add(Draft::public(mission.id.as_str(), updated, face));
        }
        let facts = AssignmentFacts {
            purpose: Purpose::Task,
            chat_id: mission.id.as_str().into(),
            crew_id: Some(mission.crew_id.clone()),
            mission_id: Some(mission.id.clone()),
            task_id: Some(task.id.clone()),
            iteration: task.iteration,
            assigned_by: Some(mission.lead_agent_id.clone()),
            assigned_to: agent.clone(),
            task: task.title.clone(),
            prompt: None,
        };
        let status = match self.state.has_place(&mission.crew_id) {
            true => AssignmentStatus::Pending,
            false => AssignmentStatus::Queued,
        };
        let id = self.assign(facts, status);
        self.move_task(&mission.id, &task.id, TaskStatus::InProgress, Reason::Dispatched, |moved| {
            moved.assignment_id = Some(id);
        });
    }

    /// A fresh assignment.
    pub(crate) fn assign(&mut self, facts: AssignmentFacts, status: AssignmentStatus) -> AssignmentId {
        let id = AssignmentId::from(self.context.mint.cuid());
        self.assign_as(id.clone(), facts, status);
        id
    }

    /// One that has its name already.
    pub(crate) fn assign_as(&mut self, id: AssignmentId, facts: AssignmentFacts, status: AssignmentStatus) {
        let created = AssignmentCreated { assignment: facts.into(), status };
        let assignment = Assignment {
            id: id.clone(),
            facts: (*created.assignment).clone(),
            status,
            run_id: None,
            fence: None,
            lease_ms: 0,
            ended_by: None,
            reported_late: false,
            result_summary: None,
            error_message: None,
            created_at: self.context.now,
            started_at: None,
            finished_at: None,
            born: self.next(),
        };
        let face = self.state.created_face(&assignment);
        self.add(Draft::public(id.as_str(), created, face));
    }

    /// Nobody can be given it: the task has failed, without another attempt (`missions.md` 9.4).
    fn cannot_dispatch(&mut self, mission: &Undertaking, task: &Task, why: Text) {
        self.move_task(&mission.id, &task.id, TaskStatus::Failed, Reason::NotDispatchable, |moved| {
            moved.error_message = Some(why);
        });
        self.settle(&mission.id);
    }
}
