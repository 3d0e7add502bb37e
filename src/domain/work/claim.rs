//! A worker asks for work.

use std::sync::Arc;

use super::{Assignment, AssignmentClaimed, AssignmentStatus, Note, Purpose, RunFacts, RunStarted};
use crate::roster::{AgentStatus, agent_moved};
use crate::unfolding::Unfolding;
use crate::{Actor, AgentId, AssignmentId, CrewId, Draft, Json, RunId, Text, Workspace};

/// What a worker takes. An empty list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Work of these agents.
    pub agents: Vec<AgentId>,
    /// Work of agents of these crews.
    pub crews: Vec<CrewId>,
    /// Work of agents with one of these `cli_adapter`s.
    pub cli_adapters: Vec<Text>,
    /// Only this assignment.
    pub only: Option<AssignmentId>,
    /// What the worker calls itself.
    pub worker: Text,
    /// How long it may be silent.
    pub lease_ms: u64,
}

impl Claim {
    /// Whether this worker would take an agent's work.
    #[must_use]
    pub fn covers(&self, agent: &AgentId, state: &Workspace) -> bool {
        let Some(agent) = state.roster.live_agent(agent.as_str()) else { return false };
        let is_of_crew = |crew: &CrewId| self.crews.contains(crew);
        (self.agents.is_empty() || self.agents.contains(&agent.id))
            && (self.crews.is_empty() || agent.facts.crew_id.as_ref().is_some_and(is_of_crew))
            && (self.cli_adapters.is_empty() || self.cli_adapters.contains(&agent.facts.cli_adapter))
    }
}

impl Workspace {
    /// The oldest assignment that a worker would get now.
    #[must_use]
    pub fn claimable(&self, claim: &Claim) -> Option<&Arc<Assignment>> {
        let waiting = self.work.waiting.iter().filter_map(|(_, id)| self.work.assignments.get(id));
        let is_meant = |assignment: &&Arc<Assignment>| {
            claim.only.as_ref().is_none_or(|only| assignment.id == *only)
                && claim.covers(&assignment.facts.assigned_to, self)
        };
        waiting.filter(is_meant).find(|assignment| assignment.status == AssignmentStatus::Pending)
    }
}

impl Unfolding<'_> {
    /// The oldest that fits, or nothing.
    pub(super) fn claim(&mut self, claim: &Claim) {
        let Some(assignment) = self.state.claimable(claim).cloned() else { return };
        let facts = &assignment.facts;
        let run_id = RunId::from(self.context.mint.cuid());
        let claimed = AssignmentClaimed {
            run_id: run_id.clone(),
            worker: claim.worker.clone(),
            lease_ms: claim.lease_ms,
        };
        let face = crate::Face {
            trace_id: Some(run_id.as_str().into()),
            ..self.state.claimed_face(&assignment, &claim.worker)
        };
        // Of a question the public sees that it was asked and answered.
        self.add(match facts.purpose {
            Purpose::Query => Draft::internal(assignment.id.as_str(), claimed),
            _ => Draft::public(assignment.id.as_str(), claimed, face),
        });
        let trigger = if facts.purpose == Purpose::Chat { "USER" } else { "ASSIGNMENT" };
        let run = RunFacts {
            agent_id: facts.assigned_to.clone(),
            crew_id: facts.crew_id.clone(),
            mission_id: facts.mission_id.clone(),
            chat_id: Some(facts.chat_id.clone()),
            assignment_id: Some(assignment.id.clone()),
            triggered_by: facts.assigned_by.as_ref().map(|id| id.as_str().into()),
            trigger_type: trigger.into(),
            metadata: Json::default(),
        };
        self.start_run(run_id, run, Some(&assignment));
    }

    /// A run begins, and its agent works.
    pub(super) fn start_run(&mut self, id: RunId, facts: RunFacts, assignment: Option<&Assignment>) {
        let agent = self.state.roster.live_agent(facts.agent_id.as_str()).cloned();
        let started = RunStarted { run: facts.into() };
        let run = super::Run {
            id: id.clone(),
            facts: (*started.run).clone(),
            end: None,
            started_at: self.context.now,
            finished_at: None,
            born: self.next(),
            changed: self.next(),
        };
        let slug = agent.as_ref().map(|agent| agent.facts.slug.clone());
        let face = run.started_face(assignment, slug);
        self.add(Draft::public(id.as_str(), started, face));
        if let Some(agent) = agent
            && !matches!(agent.status, AgentStatus::Running | AgentStatus::PendingReview)
        {
            self.add(agent_moved(&agent, AgentStatus::Running, &Actor::Orchestrator));
        }
    }

    /// What a worker tells while it works.
    pub(super) fn note(&mut self, assignment: &AssignmentId, notes: &[Note]) {
        let run = self.state.work.assignments.get(assignment).and_then(|found| found.run_id.clone());
        let Some(run) = run.and_then(|run| self.state.work.runs.get(&run).cloned()) else { return };
        for note in notes {
            self.add(Draft::shown(run.id.as_str(), run.note_face(note)));
        }
    }
}
