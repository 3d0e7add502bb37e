//! What a LEAD is asked, and what its answer does (`missions.md` 9.3, `DESIGN.md` 7).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Answer, Assignment, AssignmentFacts, AssignmentStatus, Evaluation, Purpose, Report, RunStatus, TaskPlan,
    TaskRef, Verdict,
};
use crate::mission::{MissionUpdated, Reason, Status, Task, TaskCreated, TaskUpdated, birth_status};
use crate::roster::AgentStatus;
use crate::undertaking::{Phase, Undertaking};
use crate::unfolding::Unfolding;
use crate::{Actor, AgentId, Draft, MissionId, TaskId, Text, Workspace};

/// Tasks that one answer may add.
const PLANNED_TASKS_MAX: usize = 100;
/// Most attempts a task may be given (`missions.md` 3.10).
const ITERATIONS: std::ops::RangeInclusive<i64> = 0..=50;
/// Reviews of one mission: a LEAD that is never content leaves it to a person.
const REVIEWS_MAX: usize = 10;
/// How often the LEAD is asked the same thing while its workers go away over it.
pub(super) const ASKED_MAX: usize = 3;

impl Workspace {
    /// The LEAD that may be asked for `purpose` now, if it may be.
    pub(super) fn lead_to_ask(&self, mission: &Undertaking, purpose: Purpose) -> Option<&AgentId> {
        let is_due = match purpose {
            Purpose::Planning => mission.phase == Phase::Working && mission.tasks.is_empty(),
            Purpose::Review => mission.phase == Phase::Reviewing,
            Purpose::Task | Purpose::Delegation | Purpose::Query | Purpose::Chat | Purpose::Mention => false,
        };
        let lead = self.roster.live_agent(mission.lead_agent_id.as_str()).filter(|_| is_due)?;
        let is_active = lead.facts.lead_mode.as_deref() != Some("passive");
        let own = self.work.of_mission(&mission.id).filter(|found| found.facts.purpose == purpose);
        let (mut asked, mut times) = (false, 0);
        for found in own {
            asked |= found.born > mission.entered && !found.is_lost();
            times += 1;
        }
        // A plan is made for each start; only a review can go round and round by itself.
        let is_tired = purpose == Purpose::Review && times >= REVIEWS_MAX;
        let may = is_active
            && !asked
            && !is_tired
            && self.lost_of(mission, purpose) < ASKED_MAX
            && lead.status != AgentStatus::PendingReview;
        may.then_some(&lead.id)
    }

    /// How often the LEAD was asked since an undertaking came to where it is, and its worker went away.
    pub(super) fn lost_of(&self, mission: &Undertaking, purpose: Purpose) -> usize {
        let own = self.work.of_mission(&mission.id);
        own.filter(|found| found.facts.purpose == purpose && found.born > mission.entered && found.is_lost())
            .count()
    }

    fn agent_named(&self, name: &str) -> Option<&AgentId> {
        let by_id = self.roster.live_agent(name).map(|agent| &agent.id);
        by_id.or_else(|| self.roster.agent_slugs.get(name))
    }
}

impl Unfolding<'_> {
    /// The LEAD is asked, unless it was, or the mission has moved on.
    pub(super) fn ask_lead(&mut self, mission: &MissionId, purpose: Purpose) {
        let Some(found) = self.state.undertaking(mission).cloned() else { return };
        let Some(lead) = self.state.lead_to_ask(&found, purpose).cloned() else { return };
        let facts = AssignmentFacts {
            purpose,
            chat_id: mission.as_str().into(),
            crew_id: Some(found.crew_id.clone()),
            mission_id: Some(mission.clone()),
            task_id: None,
            iteration: 1,
            assigned_by: Some(lead.clone()),
            assigned_to: lead,
            task: format!("[{purpose}] {}", found.title).into(),
            prompt: None,
        };
        // The LEAD takes no place of the crew (`missions.md` 9.3).
        self.assign(facts, AssignmentStatus::Pending);
    }

    /// The LEAD has planned, or done the work itself.
    pub(super) fn planned(&mut self, mission: &MissionId, report: &Report) {
        let Some(found) = self.state.undertaking(mission).cloned() else { return };
        if found.phase != Phase::Working {
            // Its LEAD has moved it on itself, while at work: what it did is told all the same.
            if report.status == RunStatus::Completed && found.tasks.is_empty() {
                self.tell_issue_of_leads_work(mission, report);
            }
            return;
        }
        if report.status != RunStatus::Completed {
            let why = report.error_message.as_deref().unwrap_or("the planning run failed");
            return self.planning_failed(mission, why);
        }
        self.note_plan(&found, &report.answer);
        if let Err(why) = self.add_planned(mission, report.answer.tasks.as_deref().unwrap_or_default()) {
            self.note_failure(mission, Some(&why));
            return self.planning_failed(mission, &why);
        }
        let is_empty = self.state.undertaking(mission).is_some_and(|found| found.tasks.is_empty());
        // What its LEAD handed on is over when those it was handed to are done.
        if is_empty && !self.has_delegated(mission) {
            self.tell_issue_of_leads_work(mission, report);
            self.move_mission(mission, Status::Review, Reason::Planned, |_| {});
        }
        self.settle(mission);
    }

    pub(super) fn planning_failed(&mut self, mission: &MissionId, why: &str) {
        let is_planned = |found: &&Undertaking| found.phase == Phase::Working && found.tasks.is_empty();
        if self.state.undertaking(mission).filter(is_planned).is_none() {
            return; // People have given it tasks meanwhile.
        }
        // What its LEAD handed on before decides how it ends, once all of that is over.
        if self.has_delegated(mission) {
            return;
        }
        if self.has_handed_on(mission) {
            return self.conclude_delegated(mission);
        }
        let message = Some(Text::from(why));
        self.move_mission(mission, Status::Failed, Reason::PlanningFailed, |moved| {
            moved.error_message = message
        });
        self.keep_only_wanted_work(mission);
    }

    /// What a LEAD handed on instead of planning tasks is over when the last of it is (`missions.md` 9.8).
    pub(crate) fn conclude_delegated(&mut self, mission: &MissionId) {
        let is_led = |found: &&Undertaking| found.phase == Phase::Working && found.tasks.is_empty();
        let Some(found) = self.state.undertaking(mission).filter(is_led) else { return };
        // Nor where its LEAD, whose worker went away over the plan, is to be asked again.
        if self.state.is_asked_about_delegation(mission)
            || self.state.lead_to_ask(found, Purpose::Planning).is_some()
        {
            return;
        }
        let own = self.state.work.of_mission(mission).filter(|own| {
            own.born > found.entered && matches!(own.facts.purpose, Purpose::Planning | Purpose::Delegation)
        });
        let own: Vec<_> = own.map(|own| (own.facts.purpose, own.status)).collect();
        // One that its LEAD was never asked about has its tasks still to come.
        let was_asked = own.iter().any(|(purpose, _)| *purpose == Purpose::Planning);
        if !was_asked || own.iter().any(|(_, status)| status.is_live()) {
            return;
        }
        let failed = own.iter().all(|(_, status)| {
            matches!(
                status,
                AssignmentStatus::Failed | AssignmentStatus::Timeout | AssignmentStatus::Cancelled
            )
        });
        let (to, reason) = match failed {
            true => (Status::Failed, Reason::PlanningFailed),
            false => (Status::Review, Reason::Planned),
        };
        self.move_mission(mission, to, reason, |_| {});
        self.keep_only_wanted_work(mission);
    }

    /// Whether something of a mission is still with others than its LEAD, or will be once somebody has said
    /// yes.
    fn has_delegated(&self, mission: &MissionId) -> bool {
        let is_delegation = |found: &Arc<Assignment>| found.facts.purpose == Purpose::Delegation;
        self.state.work.live_of_mission(mission).any(is_delegation)
            || self.state.is_asked_about_delegation(mission)
    }

    /// Whether something of a mission was with others since it began.
    fn has_handed_on(&self, mission: &MissionId) -> bool {
        let Some(found) = self.state.undertaking(mission) else { return false };
        let mut own = self.state.work.of_mission(mission);
        own.any(|own| own.facts.purpose == Purpose::Delegation && own.born > found.entered)
    }

    /// The LEAD has looked at the results. What it says that cannot be done leaves the mission to a person.
    pub(super) fn reviewed(&mut self, mission: &MissionId, report: &Report) {
        let Some(found) = self.state.undertaking(mission).cloned() else { return };
        if found.phase != Phase::Reviewing || report.status != RunStatus::Completed {
            return;
        }
        self.note_plan(&found, &report.answer);
        report.answer.evaluations.iter().flatten().for_each(|said| self.evaluate(&found, said));
        let tasks = report.answer.tasks.as_deref().unwrap_or_default();
        match report.answer.verdict {
            Some(Verdict::Complete) if tasks.is_empty() => {
                self.move_mission(mission, Status::Completed, Reason::ReviewPassed, |_| {});
                self.keep_only_wanted_work(mission);
            }
            Some(Verdict::SendBack) | None if !tasks.is_empty() => {
                let mut trial = Unfolding::of(&self.state, self.context);
                trial.move_mission(mission, Status::InProgress, Reason::SentBack, |_| {});
                if trial.add_planned(mission, tasks).is_ok() {
                    self.extend(trial.finish());
                    self.settle(mission);
                }
            }
            Some(Verdict::Complete | Verdict::SendBack) | None => {}
        }
    }

    fn note_plan(&mut self, mission: &Undertaking, answer: &Answer) {
        let plan = answer.plan.as_deref().filter(|plan| mission.plan.as_deref() != Some(*plan));
        if let Some(plan) = plan {
            let updated = MissionUpdated { plan: Some(plan.into()), ..MissionUpdated::default() };
            let face = mission.updated_face(&updated, &Actor::Orchestrator);
            self.add(Draft::public(mission.id.as_str(), updated, face));
        }
    }

    fn evaluate(&mut self, mission: &Undertaking, said: &Evaluation) {
        let task = said.task.as_ref().and_then(|task| existing(mission, task));
        let status = said.status.as_deref().filter(|status| matches!(*status, "PASS" | "FAIL"));
        let (Some(task), Some(status)) = (task, status) else { return };
        let updated = TaskUpdated {
            evaluation_status: Some(status.into()),
            evaluation_notes: said.notes.as_deref().map(Into::into),
            ..TaskUpdated::of(task.id.clone())
        };
        let face = mission.task_updated_face(task, &updated, &Actor::Orchestrator);
        self.add(Draft::public(mission.id.as_str(), updated, face));
    }

    /// Adds the tasks of a plan, all of them or none.
    pub(crate) fn add_planned(
        &mut self,
        mission: &MissionId,
        plans: &[TaskPlan],
    ) -> Result<BTreeMap<i64, TaskId>, String> {
        let Some(found) = self.state.undertaking(mission).cloned() else { return Ok(BTreeMap::new()) };
        if plans.len() > PLANNED_TASKS_MAX {
            return Err(format!("the plan has {} tasks, at most {PLANNED_TASKS_MAX} are taken", plans.len()));
        }
        let mut ids: BTreeMap<i64, TaskId> = BTreeMap::new();
        for (order, _) in in_order(plans) {
            if ids.insert(order, self.context.mint.cuid().into()).is_some() {
                return Err(format!("two tasks of the plan have task_order {order}"));
            }
        }
        let mut trial = Unfolding::of(&self.state, self.context);
        for (order, plan) in in_order(plans) {
            let created = trial.planned_task(&found, &ids, order, plan)?;
            let face = created.face(&found.crew_id, &found.id, &Actor::Orchestrator);
            trial.add(Draft::public(mission.as_str(), created, face));
        }
        let planned = trial.state.undertaking(mission);
        planned.map_or(Ok(()), Undertaking::validate_dag).map_err(|refused| refused.detail.into_owned())?;
        self.extend(trial.finish());
        Ok(ids)
    }

    fn planned_task(
        &self,
        mission: &Undertaking,
        ids: &BTreeMap<i64, TaskId>,
        order: i64,
        plan: &TaskPlan,
    ) -> Result<TaskCreated, String> {
        let title = plan.title.as_deref().filter(|title| !title.is_empty());
        let title = title.ok_or_else(|| format!("task {order} of the plan has no title"))?;
        let needs = plan.depends_on.iter().flatten().map(|need| {
            let found = planned(ids, need).or_else(|| existing(mission, need).map(|task| task.id.clone()));
            found.ok_or_else(|| format!("task {title:?} of the plan depends on {need:?}, which is none"))
        });
        let depends_on = needs.collect::<Result<Vec<_>, _>>()?;
        let max_iterations = match plan.max_iterations {
            None => None,
            Some(count) => {
                let fits = Some(count).filter(|count| ITERATIONS.contains(count));
                let fits = fits.and_then(|count| u32::try_from(count).ok());
                Some(fits.ok_or_else(|| "max_iterations must be between 0 and 50".to_owned())?)
            }
        };
        let agent = plan.assigned_to.as_deref().filter(|name| !name.is_empty());
        let agent = agent.map(|name| {
            self.state.agent_named(name).cloned().ok_or_else(|| format!("agent {name:?} not found in crew"))
        });
        Ok(TaskCreated {
            task_id: ids.get(&order).cloned().ok_or_else(|| "a task without an id".to_owned())?,
            title: title.into(),
            description: plan.description.as_deref().map(Into::into),
            assigned_agent_id: agent.transpose()?,
            status: birth_status(mission.all_completed(&depends_on)),
            task_order: order,
            depends_on,
            max_iterations,
            approval_required: plan.approval_required.unwrap_or_default(),
            outcome: None,
        })
    }
}

/// Each task of a plan with its `task_order`, or its place among them.
fn in_order(plans: &[TaskPlan]) -> impl Iterator<Item = (i64, &TaskPlan)> {
    (1..).zip(plans).map(|(place, plan)| (plan.task_order.unwrap_or(place), plan))
}

fn planned(ids: &BTreeMap<i64, TaskId>, named: &TaskRef) -> Option<TaskId> {
    let order = match named {
        TaskRef::Order(order) => *order,
        TaskRef::Id(text) => text.trim().parse().ok()?,
    };
    ids.get(&order).cloned()
}

fn existing<'a>(mission: &'a Undertaking, named: &TaskRef) -> Option<&'a Arc<Task>> {
    let by_order = |order: i64| mission.tasks_in_order().into_iter().find(|task| task.task_order == order);
    match named {
        TaskRef::Order(order) => by_order(*order),
        TaskRef::Id(id) => mission.tasks.get(id.as_str()).or_else(|| by_order(id.trim().parse().ok()?)),
    }
}
