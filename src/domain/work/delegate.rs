//! Work that agents hand on, and runs without an assignment (`platform.md` 8.3).

use std::sync::Arc;

use super::{Assignment, AssignmentFacts, AssignmentStatus, Delegation, NewRun, Purpose, RunEnd, RunFacts};
use crate::approval::Held;
use crate::roster::{AgentStatus, Ruling, Wished};
use crate::undertaking::Phase;
use crate::unfolding::Unfolding;
use crate::{AgentId, AssignmentId, MissionId, Rejection, RunId, Workspace};

/// How far a question may lead to further ones (`platform.md` 8.3).
pub const QUERY_DEPTH_MAX: usize = 2;

impl Workspace {
    /// Nobody is given work for what is gone or over, nor for what somebody has to say yes to first. To
    /// ask a question is not to begin.
    fn refuse_work_for(&self, mission: &MissionId, wish: &Delegation) -> Result<(), Rejection> {
        if self.undertaking(mission).is_none_or(|found| found.phase == Phase::Ended) {
            let detail = "the mission or issue is over";
            return Err(Rejection::conflict("assignment.mission_over", detail));
        }
        if wish.is_question { Ok(()) } else { self.refuse_unapproved(mission) }
    }

    /// Two agents that ask each other in turn would do so for ever.
    fn refuse_too_deep(&self, asker: Option<&AgentId>) -> Result<(), Rejection> {
        let mut asker = asker.cloned();
        for _ in 0..=QUERY_DEPTH_MAX {
            let answers = asker.and_then(|asker| {
                let own = |found: &&Arc<Assignment>| {
                    found.facts.purpose == Purpose::Query
                        && found.status == AssignmentStatus::Running
                        && found.facts.assigned_to == asker
                };
                self.work.live().find(own)
            });
            let Some(question) = answers else { return Ok(()) };
            asker = question.facts.assigned_by.clone();
        }
        Err(Rejection::invalid("query.too_deep", "depth must be at most 2"))
    }
}

impl Unfolding<'_> {
    pub(super) fn delegate(&mut self, wish: &Delegation) -> Result<(), Rejection> {
        wish.mission.as_ref().map_or(Ok(()), |mission| self.state.refuse_work_for(mission, wish))?;
        if wish.is_question {
            self.state.refuse_too_deep(wish.actor.as_ref())?;
        }
        let target = self.state.roster.agent_slugs.get(&wish.target_slug);
        let target = target.and_then(|id| self.state.roster.live_agent(id.as_str())).cloned();
        let target = target
            .ok_or_else(|| Rejection::not_found("assignment.target_not_found", "target agent not found"))?;
        let crew = target.facts.crew_id.clone().unwrap_or_else(|| wish.crew.clone());
        if crew != wish.crew && !self.state.hands_work(&wish.crew, &crew) {
            let detail = "crews are not connected — create a crew connection first";
            return Err(Rejection::forbidden_because("assignment.not_connected", detail));
        }
        if target.status == AgentStatus::PendingReview {
            return Err(Rejection::conflict("assignment.pending_review", "target agent is pending review"));
        }
        let facts = AssignmentFacts {
            purpose: wish.purpose(),
            chat_id: wish.chat.clone(),
            crew_id: Some(crew),
            mission_id: wish.mission.clone(),
            task_id: None,
            iteration: 1,
            assigned_by: wish.actor.clone().or_else(|| self.state.roster.leads.get(&wish.crew).cloned()),
            assigned_to: target.id,
            task: first_line(&wish.task).into(),
            prompt: Some(wish.task.clone()),
        };
        let autonomy = self.state.roster.crews.get(&wish.crew).map(|crew| crew.policy.autonomy);
        let ruling = autonomy.unwrap_or_default().ruling(Wished::Assignment);
        if ruling == Ruling::Held && !wish.is_question {
            let reason =
                format!("An agent hands work to {}, which the crew's policy holds", wish.target_slug);
            let assignment_id = AssignmentId::from(self.context.mint.cuid());
            let held = Held::Assignment { assignment_id, assignment: facts.into() };
            self.hold(held, reason, Some(&wish.crew));
        } else {
            self.issue_handed_on(&facts);
            self.assign(facts, AssignmentStatus::Pending);
        }
        Ok(())
    }

    pub(super) fn begin_run(&mut self, new: &NewRun) -> Result<(), Rejection> {
        let agent = self.state.roster.live_agent(new.agent.as_str()).cloned();
        let agent = agent.ok_or_else(|| Rejection::not_found("agent.not_found", "agent not found"))?;
        if agent.status == AgentStatus::PendingReview {
            return Err(Rejection::conflict("agent.pending_review", "agent is pending review"));
        }
        let id = new.id.clone().unwrap_or_else(|| RunId::from(self.context.mint.cuid()));
        if self.state.work.runs.contains_key(&id) {
            return Ok(()); // Begun before: a repeat.
        }
        let run = RunFacts {
            agent_id: agent.id,
            crew_id: agent.facts.crew_id,
            mission_id: None,
            chat_id: new.chat.clone(),
            assignment_id: None,
            triggered_by: self.context.actor.user().map(|user| user.as_str().into()),
            trigger_type: new.trigger_type.clone(),
            metadata: new.metadata.clone(),
        };
        self.start_run(id, run, None);
        Ok(())
    }

    /// The first end counts; another one changes nothing (ruling R14).
    pub(super) fn end_run_alone(&mut self, id: &RunId, end: RunEnd) -> Result<(), Rejection> {
        let run = self.state.work.runs.get(id);
        let run = run.ok_or_else(|| Rejection::not_found("run.not_found", "run not found"))?;
        if run.end.is_none() && run.facts.assignment_id.is_some() {
            let detail = "the run works an assignment and ends with its report";
            return Err(Rejection::conflict("run.of_assignment", detail));
        }
        self.end_run(id, end);
        Ok(())
    }
}

impl Delegation {
    fn purpose(&self) -> Purpose {
        if self.is_question { Purpose::Query } else { Purpose::Delegation }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
