//! What may be done with missions and tasks, and what then is true (`missions.md` 3, 5–7).

use std::sync::Arc;

use super::copy::copy;
use super::lifecycle::{restart, resume, start};
use super::{
    Mission, MissionCommand, MissionCreated, MissionDeleted, MissionDraft, MissionEvent, MissionPatch,
    MissionStatusChanged, MissionUpdated, Reason, Status, Task, TaskStatus,
};
use crate::roster::{AgentRole, Permission};
use crate::unfolding::Unfolding;
use crate::{Actor, Context, CrewId, Draft, Event, MissionId, Rejection, Text, Workspace};

impl Workspace {
    pub(crate) fn decide_mission(
        &self,
        command: &MissionCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Create)?;
        let follows = |mission, drafts| self.with_what_follows(mission, drafts, context);
        match command {
            MissionCommand::Create { crew, draft } => self.create_mission(crew, draft, context),
            MissionCommand::Update { crew, mission, patch } => {
                let found = self.mission(crew, mission)?;
                let drafts = update(found, patch, context.actor)?;
                if patch.status.as_deref() == Some(Status::InProgress.as_str()) {
                    self.refuse_held(found)?;
                }
                Ok(follows(mission, drafts))
            }
            MissionCommand::Delete { crew, mission } => {
                let drafts = delete(self.mission(crew, mission)?, context.actor)?;
                Ok(follows(mission, drafts))
            }
            MissionCommand::Start { crew, mission, seen } => {
                let found = self.mission(crew, mission)?;
                self.refuse_held(found)?;
                Ok(follows(mission, start(found, *seen, context.actor)?))
            }
            MissionCommand::Restart { crew, mission } => restart(self.mission(crew, mission)?, context.actor),
            MissionCommand::Resume { crew, mission } => {
                Ok(follows(mission, resume(self.mission(crew, mission)?, context.actor)?))
            }
            MissionCommand::Clone { crew, mission, title } => {
                Ok(copy(self.mission(crew, mission)?, title.as_deref(), context))
            }
            MissionCommand::AddTask { crew, mission, draft } => {
                let drafts = self.add_task(self.mission(crew, mission)?, draft, context)?;
                Ok(follows(mission, drafts))
            }
            MissionCommand::Approve { crew, mission, task, approved, notes } => {
                self.approve_task((crew, mission, task), *approved, notes, context)
            }
            MissionCommand::Propose(proposal) => self.propose(proposal, context),
            MissionCommand::UpdateTask { crew, mission, task, patch } => {
                let found = self.mission(crew, mission).ok();
                let pair = found.and_then(|mission| Some((mission, &**mission.tasks.get(task)?)));
                let (found, task) =
                    pair.ok_or_else(|| Rejection::not_found("task.not_found", "Task not found"))?;
                Ok(follows(mission, self.update_task(found, task, patch, context.actor)?))
            }
        }
    }

    /// A live mission of a live crew; anything else is the same 404.
    ///
    /// # Errors
    /// `Mission not found`.
    pub fn mission(&self, crew: &CrewId, id: &MissionId) -> Result<&Arc<Mission>, Rejection> {
        let found = self.missions.get(id).filter(|mission| mission.crew_id == *crew);
        found.ok_or_else(not_found)
    }

    /// A change and, in the same batch, what follows from it: nobody has to be asked for that.
    fn with_what_follows(
        &self,
        mission: &MissionId,
        drafts: Vec<Draft>,
        context: &Context<'_>,
    ) -> Vec<Draft> {
        if !drafts.iter().any(moves) {
            return drafts;
        }
        let before = self.missions.get(mission).map(|found| found.status);
        let mut unfolding = Unfolding::of(self, context);
        unfolding.extend(drafts);
        let after = unfolding.state.missions.get(mission).map(|found| found.status);
        match (before, after) {
            // Cancel means stop: what is in flight is skipped (`DESIGN.md` 7, missions 16.3).
            (_, Some(Status::Cancelled)) => {
                let skipped = (TaskStatus::Skipped, Reason::MissionCancelled, "mission cancelled");
                unfolding.stop_tasks(mission, skipped, |task| task.status.is_in_flight());
                unfolding.keep_only_wanted_work(mission);
            }
            // What agents work on fails with its mission, so that a resume finds it.
            (Some(Status::InProgress), Some(Status::Failed)) => {
                let failed = (TaskStatus::Failed, Reason::MissionFailed, "mission failed");
                let by_agents =
                    |task: &Task| task.status == TaskStatus::InProgress && task.assignment_id.is_some();
                unfolding.stop_tasks(mission, failed, by_agents);
                unfolding.keep_only_wanted_work(mission);
            }
            // Sent back by hand: it waits for what it is sent back for.
            (Some(Status::Review), _) => unfolding.keep_only_wanted_work(mission),
            (_, Some(Status::InProgress)) => unfolding.settle(mission),
            _ => unfolding.keep_only_wanted_work(mission),
        }
        unfolding.finish()
    }

    fn create_mission(
        &self,
        crew: &CrewId,
        draft: &MissionDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let title = required(draft.title.as_deref(), "mission.title_required", "title is required")?;
        let lead = draft.lead_agent_id.as_deref();
        let lead = required(lead, "mission.lead_required", "lead_agent_id is required")?;
        let lead = self.roster.live_agent(&lead).filter(|agent| agent.facts.crew_id.as_ref() == Some(crew));
        let lead = lead
            .filter(|_| self.roster.live_crew(crew.as_str()).is_some())
            .ok_or_else(|| Rejection::invalid("mission.lead_not_in_crew", "lead agent not found in crew"))?;
        if lead.facts.agent_role != AgentRole::Lead {
            return Err(Rejection::invalid("mission.not_lead", "agent must have LEAD role"));
        }
        let id = MissionId::from(context.mint.cuid());
        let created = MissionCreated {
            crew_id: crew.clone(),
            lead_agent_id: lead.id.clone(),
            trace_id: format!("mission-{}", context.mint.cuid()).into(),
            title,
            description: text(draft.description.as_deref()),
            plan: None,
            workflow_template: text(draft.workflow_template.as_deref()),
            fork_of: None,
            cloned_from: None,
        };
        let face = created.face(&id, context.actor);
        Ok(vec![Draft::public(id.as_str(), created, face)])
    }
}

/// Whether something may follow from a fact: an edit of a text has no consequences.
fn moves(draft: &Draft) -> bool {
    matches!(
        &draft.event,
        Some(Event::Mission(
            MissionEvent::MissionStatusChanged(_)
                | MissionEvent::MissionDeleted(_)
                | MissionEvent::TaskStatusChanged(_)
                | MissionEvent::TaskCreated(_)
        ))
    )
}

fn update(mission: &Mission, patch: &MissionPatch, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
    let to = patch.status.as_deref().map(|word| mission_target(mission, word)).transpose()?;
    if to == Some(Status::InProgress) && mission.status == Status::Planning {
        mission.validate_dag()?; // A PATCH to IN_PROGRESS is a start (missions.md 15, row 6).
    }
    let updated = MissionUpdated {
        title: changed(patch.title.as_deref(), Some(&mission.title)),
        description: changed(patch.description.as_deref(), mission.description.as_ref()),
        plan: changed(patch.plan.as_deref(), mission.plan.as_ref()),
    };
    let mut drafts = vec![];
    if updated != MissionUpdated::default() {
        let face = mission.updated_face(&updated, actor);
        drafts.push(Draft::public(mission.id.as_str(), updated, face));
    }
    if let Some(to) = to {
        drafts.push(moved(mission, to, Reason::Patch, actor));
    }
    Ok(drafts)
}

fn delete(mission: &Mission, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
    if !matches!(mission.status, Status::Planning | Status::Cancelled) {
        return Err(Rejection::invalid(
            "mission.not_deletable",
            "Only PLANNING or CANCELLED missions can be deleted",
        ));
    }
    let deleted = MissionDeleted { status: mission.status, crew_id: mission.crew_id.clone() };
    let face = mission.deleted_face(&deleted, actor);
    Ok(vec![Draft::public(mission.id.as_str(), deleted, face)])
}

pub(super) fn moved(mission: &Mission, to: Status, reason: Reason, actor: &Actor) -> Draft {
    let event = MissionStatusChanged::new(mission.status, to, reason);
    let face = mission.moved_face(&event, actor);
    Draft::public(mission.id.as_str(), event, face)
}

pub(crate) fn birth_status(dependencies_completed: bool) -> TaskStatus {
    if dependencies_completed { TaskStatus::Pending } else { TaskStatus::Blocked }
}

fn mission_target(mission: &Mission, word: &str) -> Result<Status, Rejection> {
    let to = Status::parse(word).filter(|to| mission.status.may_become(*to));
    to.ok_or_else(|| {
        let detail = format!("Invalid status transition from {} to {word}", mission.status);
        Rejection::invalid("mission.invalid_transition", detail)
    })
}

pub(super) fn required(
    value: Option<&str>,
    code: &'static str,
    detail: &'static str,
) -> Result<Text, Rejection> {
    value.filter(|text| !text.is_empty()).map(Into::into).ok_or_else(|| Rejection::invalid(code, detail))
}

pub(super) fn text(value: Option<&str>) -> Option<Text> {
    value.map(Into::into)
}

/// The new value, if it is one: no new fact, no event.
pub(super) fn changed(new: Option<&str>, old: Option<&Text>) -> Option<Text> {
    new.filter(|new| old.map(|old| &**old) != Some(*new)).map(Into::into)
}

fn not_found() -> Rejection {
    Rejection::not_found("mission.not_found", "Mission not found")
}
