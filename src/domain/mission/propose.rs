//! The agents' own door to missions (`missions.md` 4): what an agent proposes may be held by its crew's policy.

use serde_json::json;

use super::{Mission, MissionCreated, MissionUpdated, Proposal, Status};
use crate::approval::{ApprovalStatus, Held};
use crate::roster::{Autonomy, Ruling, Wished};
use crate::unfolding::Unfolding;
use crate::{Actor, Context, Draft, Face, MissionId, Rejection, Severity, Workspace};

impl Workspace {
    /// One batch: the mission, its tasks with their dependencies resolved, and the hold if there is one.
    pub(super) fn propose(
        &self,
        proposal: &Proposal,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let draft = &proposal.draft;
        let title = draft.title.as_deref().filter(|title| !title.is_empty());
        let lead = draft.lead_agent_id.as_deref().filter(|lead| !lead.is_empty());
        let (title, lead) = title.zip(lead).ok_or_else(|| {
            Rejection::invalid("mission.incomplete", "title, lead_agent_id, crew_id, workspace_id required")
        })?;
        self.refuse_over_the_limit(proposal)?;
        let lead =
            self.roster.live_agent(lead).filter(|lead| lead.facts.crew_id.as_ref() == Some(&proposal.crew));
        let lead = lead.ok_or_else(|| {
            let detail = "lead agent does not belong to the specified crew/workspace";
            Rejection::invalid("mission.lead_not_in_crew", detail)
        })?;
        let id = MissionId::from(context.mint.cuid());
        let created = MissionCreated {
            crew_id: proposal.crew.clone(),
            lead_agent_id: lead.id.clone(),
            trace_id: format!("mission-{}", context.mint.cuid()).into(),
            title: title.into(),
            description: draft.description.as_deref().map(Into::into),
            plan: None,
            workflow_template: draft.workflow_template.as_deref().map(Into::into),
            fork_of: None,
            cloned_from: None,
        };
        let mut unfolding = Unfolding::of(self, context);
        let face = created.face(&id, context.actor);
        unfolding.add(Draft::public(id.as_str(), created, face));
        unfolding.set_plan(&id, proposal.plan.as_deref());
        unfolding
            .add_planned(&id, &proposal.tasks)
            .map_err(|why| Rejection::invalid("mission.plan_invalid", why))?;
        let autonomy =
            self.roster.crews.get(&proposal.crew).map(|crew| crew.policy.autonomy).unwrap_or_default();
        let ruling = autonomy.ruling(Wished::Mission);
        if ruling == Ruling::Held {
            let reason = "The crew's policy holds missions of agents until a person approves them".to_owned();
            unfolding.hold(Held::Mission { mission_id: id.clone() }, reason, Some(&proposal.crew));
        }
        let face = audit_face(&id, title, proposal, (ruling, autonomy), context.actor);
        unfolding.add(Draft::shown(id.as_str(), face));
        Ok(unfolding.finish())
    }

    fn refuse_over_the_limit(&self, proposal: &Proposal) -> Result<(), Rejection> {
        let refused = |setting: &'static str, limit: usize, reason: String| {
            Rejection::forbidden_because(setting, "Mission creation refused by instance limit").telling(
                json!({
                    "reason": reason, "crew_id": proposal.crew, "setting": setting, "limit": limit,
                }),
            )
        };
        let (tasks, most) = (proposal.tasks.len(), proposal.tasks_max);
        if tasks > most {
            let reason = format!("{tasks} tasks, at most {most} are allowed");
            return Err(refused("mission.max_tasks", most, reason));
        }
        let by_agents = self.missions_of(&proposal.crew).filter_map(|id| self.missions.get(id));
        let active = by_agents.filter(|found| found.by_agent && !found.status.is_terminal()).count();
        if active >= proposal.active_max {
            let reason = format!("the crew has {active} active missions of agents already");
            return Err(refused("mission.max_active_per_crew", proposal.active_max, reason));
        }
        Ok(())
    }

    /// A mission that its crew's policy holds may not start before somebody has said yes.
    pub(super) fn refuse_held(&self, mission: &Mission) -> Result<(), Rejection> {
        let hold = self.approvals.hold_on(mission.id.as_str());
        if mission.status == Status::Planning
            && hold.is_some_and(|hold| hold.status != ApprovalStatus::Approved)
        {
            let detail = "Mission start rejected by policy";
            return Err(Rejection::forbidden_because("mission.held", detail));
        }
        Ok(())
    }
}

impl Unfolding<'_> {
    fn set_plan(&mut self, id: &MissionId, plan: Option<&str>) {
        let (Some(plan), Some(mission)) = (plan, self.state.missions.get(id).cloned()) else { return };
        let updated = MissionUpdated { plan: Some(plan.into()), ..MissionUpdated::default() };
        let face = mission.updated_face(&updated, self.context.actor);
        self.add(Draft::public(id.as_str(), updated, face));
    }
}

fn audit_face(
    id: &MissionId,
    title: &str,
    proposal: &Proposal,
    (ruling, autonomy): (Ruling, Autonomy),
    actor: &Actor,
) -> Face {
    let metadata = json!({
        "decision": ruling, "autonomy_level": autonomy, "policy_action": "mission_create", "policy_crew_id": proposal.crew,
        "title": title, "crew_id": proposal.crew, "task_count": proposal.tasks.len(),
        "pending_review": ruling == Ruling::Held,
    });
    let payload = json!({
        "action": "mission.created", "entity_type": "MISSION", "entity_id": id, "metadata": metadata,
    });
    Face {
        severity: Severity::Notice,
        crew_id: Some(proposal.crew.clone()),
        payload: payload.into(),
        refs: json!({ "entity_type": "MISSION", "entity_id": id }).into(),
        ..Face::new("audit.entity_created", actor, "mission created", title)
    }
}
