//! Who may decide, and what then follows: the decision and its effect are one batch (`periphery.md` 11).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::{
    Approval, ApprovalCommand, ApprovalDecided, ApprovalKind, ApprovalRequested, ApprovalStatus, Held,
};
use crate::index::under;
use crate::mission::{Reason, Task, TaskApproval, TaskStatus};
use crate::roster::{AgentStatus, Autonomy, Permission, PolicyChanged, policy_changed};
use crate::undertaking::{Phase, Undertaking};
use crate::unfolding::Unfolding;
use crate::work::{AssignmentStatus, MISSION_MS_MAX, Purpose};
use crate::{
    Actor, AgentId, ApprovalId, Context, CrewId, Draft, Face, MissionId, Rejection, Severity, TaskId, Text,
    Time, UserId, Workspace,
};

/// How long what an agent made may be decided about (`periphery.md` 7): seven days.
const HOLD_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

impl Workspace {
    pub(crate) fn decide_approval(
        &self,
        command: &ApprovalCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Manage)?;
        let mut unfolding = Unfolding::of(self, context);
        match command {
            ApprovalCommand::Decide { approval, approved, comment } => {
                let found = self.approval(approval)?;
                if found.status != ApprovalStatus::Pending {
                    return Err(Rejection::conflict("approval.decided", "already decided"));
                }
                let status = if *approved { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
                match (&found.request.mission_id, &found.request.task_id) {
                    (Some(mission), Some(task)) => {
                        unfolding.decide_task(mission, task, *approved, comment)?
                    }
                    _ => {
                        unfolding.close(found, status, comment.clone(), context.actor);
                        let held = found.request.held.iter().filter(|_| *approved);
                        held.for_each(|held| unfolding.release(found, held));
                        unfolding.conclude_asked(found);
                    }
                }
            }
            ApprovalCommand::Lapse { approval } => {
                let found = self.approval(approval)?;
                let is_over = found.request.timeout_at.is_some_and(|at| at <= context.now);
                if found.status == ApprovalStatus::Pending && is_over {
                    unfolding.close(found, ApprovalStatus::Timeout, None, context.actor);
                    unfolding.conclude_asked(found);
                }
            }
            ApprovalCommand::Cancel { approval, reason } => {
                let found = self.approval(approval)?;
                if found.status != ApprovalStatus::Pending {
                    let detail = "approval is not pending (already decided or cancelled)";
                    return Err(Rejection::conflict("approval.not_pending", detail));
                }
                // A held result that nobody is asked about any more would be held for ever.
                if let (Some(mission), Some(task)) = (&found.request.mission_id, &found.request.task_id) {
                    unfolding.decide_task(mission, task, false, reason)?;
                } else {
                    unfolding.close(found, ApprovalStatus::Cancelled, reason.clone(), context.actor);
                    unfolding.conclude_asked(found);
                }
            }
        }
        Ok(unfolding.finish())
    }

    /// `POST …/tasks/{id}/approve`
    pub(crate) fn approve_task(
        &self,
        (crew, mission, task): (&CrewId, &MissionId, &TaskId),
        approved: bool,
        notes: &Option<Text>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.mission(crew, mission)?;
        let mut unfolding = Unfolding::of(self, context);
        unfolding.decide_task(mission, task, approved, notes)?;
        Ok(unfolding.finish())
    }

    /// A question of this workspace.
    ///
    /// # Errors
    /// `not found`.
    pub fn approval(&self, id: &ApprovalId) -> Result<&Approval, Rejection> {
        let found = self.approvals.all.get(id);
        found.map(|found| &**found).ok_or_else(|| Rejection::not_found("approval.not_found", "not found"))
    }

    /// The open question about a task's result.
    fn asked_about(&self, mission: &MissionId, task: &TaskId) -> Option<Arc<Approval>> {
        let mut open = self.pending_approvals(mission);
        open.find(|asked| asked.request.task_id.as_ref() == Some(task)).cloned()
    }

    /// Whether what a question holds may still be done: there is no mission to it, or that is not over, or was
    /// over when the question came up.
    fn is_open(&self, asked: &Approval) -> bool {
        let found = asked.request.mission_id.as_ref().map(|mission| self.undertaking(mission));
        found.is_none_or(|found| {
            found.is_some_and(|found| found.phase != Phase::Ended || asked.born > found.entered)
        })
    }

    /// Whether somebody has yet to say whether an agent may hand on work of an issue.
    pub(crate) fn is_asked_about_delegation(&self, mission: &MissionId) -> bool {
        let is_delegation = |asked: &Arc<Approval>| match &asked.request.held {
            Some(Held::Assignment { assignment, .. }) => assignment.purpose == Purpose::Delegation,
            _ => false,
        };
        self.pending_approvals(mission).any(is_delegation)
    }

    /// Nothing begins for what a policy holds, by whatever way: a mission, or an issue, that an agent made.
    ///
    /// # Errors
    /// 403 until somebody has said yes.
    pub(crate) fn refuse_unapproved(&self, mission: &MissionId) -> Result<(), Rejection> {
        let hold = self.approvals.hold_on(mission.as_str());
        if hold.is_some_and(|hold| hold.status != ApprovalStatus::Approved) {
            let detail = "held by policy until somebody approves it";
            return Err(Rejection::forbidden_because("approval.held", detail));
        }
        Ok(())
    }

    fn pending_approvals<'a>(&'a self, mission: &'a MissionId) -> impl Iterator<Item = &'a Arc<Approval>> {
        under(&self.approvals.pending_of, mission).filter_map(|id| self.approvals.all.get(id))
    }
}

impl Unfolding<'_> {
    /// What an agent made is inert until somebody has said yes.
    pub(crate) fn hold(&mut self, held: Held, reason: String, crew: Option<&CrewId>) {
        let agent_id = match self.context.actor {
            Actor::Agent(agent) => Some(agent.clone()),
            _ => None,
        };
        let mission_id = match &held {
            Held::Mission { mission_id: id } | Held::Issue { issue_id: id } => Some(id.clone()),
            Held::Assignment { assignment, .. } => assignment.mission_id.clone(),
            Held::Crew { .. } | Held::Agent { .. } => None,
        };
        self.request_approval(ApprovalRequested {
            kind: ApprovalKind::AutonomyGate,
            reason: reason.into(),
            crew_id: crew.cloned(),
            requested_by: agent_id.as_ref().map_or("orchestrator", |agent| agent.as_str()).into(),
            agent_id,
            mission_id,
            task_id: None,
            payload: json!({ "target": held.word(), "target_id": held.id() }).into(),
            timeout_at: Some(Time(self.context.now.0.saturating_add(HOLD_MS))),
            held: Some(held),
        });
    }

    /// Somebody has said yes. What is gone meanwhile, or was freed by hand, stays as it is.
    fn release(&mut self, asked: &Approval, held: &Held) {
        match held {
            // The question itself holds it.
            Held::Mission { .. } | Held::Issue { .. } => {}
            Held::Crew { crew_id, autonomy, behavior } => {
                let crew = self.state.roster.live_crew(crew_id.as_str());
                if crew.is_some_and(|crew| crew.policy.autonomy == Autonomy::Strict) {
                    let changed = PolicyChanged { autonomy: *autonomy, behavior: *behavior, reason: None };
                    self.add(policy_changed(crew_id, changed, self.context.actor));
                }
            }
            Held::Agent { agent_id } => {
                let agent = self.state.roster.live_agent(agent_id.as_str());
                if agent.is_some_and(|agent| agent.status == AgentStatus::PendingReview) {
                    self.move_agent(agent_id, AgentStatus::Idle);
                }
            }
            Held::Assignment { assignment_id, assignment } => {
                let is_there = self.state.roster.live_agent(assignment.assigned_to.as_str()).is_some();
                if is_there && self.state.is_open(asked) {
                    let facts = (**assignment).clone();
                    self.issue_handed_on(&facts);
                    self.assign_as(assignment_id.clone(), facts, AssignmentStatus::Pending);
                }
            }
        }
    }

    /// What its LEAD handed on is decided about: with that the issue's work may be over.
    fn conclude_asked(&mut self, asked: &Approval) {
        if let (Some(Held::Assignment { .. }), Some(mission)) =
            (&asked.request.held, &asked.request.mission_id)
        {
            self.conclude_delegated(mission);
        }
    }

    /// Nobody has to say any more whether agents may be given work of this.
    pub(crate) fn withdraw_held_work_of(&mut self, mission: &MissionId) {
        let is_work = |asked: &&Arc<Approval>| matches!(asked.request.held, Some(Held::Assignment { .. }));
        let asked: Vec<Arc<Approval>> =
            self.state.pending_approvals(mission).filter(is_work).cloned().collect();
        asked
            .iter()
            .for_each(|asked| self.close(asked, ApprovalStatus::Cancelled, None, &Actor::Orchestrator));
    }

    /// What was held is gone: nobody has to decide about it.
    pub(crate) fn withdraw_hold(&mut self, id: &str) {
        let asked = self.state.approvals.hold_on(id).cloned();
        if let Some(asked) = asked.filter(|asked| asked.status == ApprovalStatus::Pending) {
            self.close(&asked, ApprovalStatus::Cancelled, None, &Actor::Orchestrator);
        }
    }

    /// A crew is gone: what it, its agents and its missions wished for will not come, and nobody has to
    /// decide about it. Work that it was to be handed is over where it was handed from.
    pub(crate) fn withdraw_approvals_of_crew(&mut self, crew: &CrewId) {
        let approvals = &self.state.approvals;
        let pending = approvals.pending_of.iter().map(|(_, id)| id);
        let pending: BTreeSet<&ApprovalId> =
            pending.chain(approvals.lapsing.iter().map(|(_, id)| id)).collect();
        let is_gone = |agent: &AgentId| self.state.roster.live_agent(agent.as_str()).is_none();
        let is_idle = |asked: &&Arc<Approval>| {
            let request = &asked.request;
            // It may have moved to another crew meanwhile.
            let lives_on = matches!(request.held, Some(Held::Mission { .. } | Held::Issue { .. }))
                && request.mission_id.as_ref().is_some_and(|id| self.state.undertaking(id).is_some());
            (request.crew_id.as_ref() == Some(crew) && !lives_on)
                || request.mission_id.as_ref().is_some_and(|id| self.state.undertaking(id).is_none())
                || match &request.held {
                    Some(Held::Assignment { assignment, .. }) => is_gone(&assignment.assigned_to),
                    Some(Held::Agent { agent_id }) => is_gone(agent_id),
                    Some(Held::Mission { .. } | Held::Issue { .. } | Held::Crew { .. }) | None => false,
                }
        };
        let idle = pending.into_iter().filter_map(|id| approvals.all.get(id)).filter(is_idle);
        let idle: Vec<Arc<Approval>> = idle.cloned().collect();
        for asked in idle.iter().filter(|asked| asked.status == ApprovalStatus::Pending) {
            self.close(asked, ApprovalStatus::Cancelled, None, &Actor::Orchestrator);
            self.conclude_asked(asked);
        }
    }

    /// Somebody is asked about each result that is held.
    pub(crate) fn request_missing_approvals(&mut self, mission: &MissionId) {
        let Some(found) = self.state.undertaking(mission).cloned() else { return };
        if found.phase != Phase::Working {
            return;
        }
        let held =
            found.tasks_in_order().into_iter().filter(|task| task.status == TaskStatus::AwaitingApproval);
        let unasked: Vec<_> =
            held.filter(|task| self.state.asked_about(mission, &task.id).is_none()).cloned().collect();
        unasked.iter().for_each(|task| self.request_task_approval(&found, task));
    }

    /// A result waits for a person.
    fn request_task_approval(&mut self, mission: &Undertaking, task: &Task) {
        let request = ApprovalRequested {
            kind: ApprovalKind::Custom,
            reason: format!("Result of task {:?} needs approval", &*task.title).into(),
            crew_id: Some(mission.crew_id.clone()),
            agent_id: task.assigned_agent_id.clone(),
            mission_id: Some(mission.id.clone()),
            task_id: Some(task.id.clone()),
            requested_by: task.assigned_agent_id.as_ref().map_or("engine", |id| id.as_str()).into(),
            payload: json!({ "target": "mission_task", "target_id": task.id }).into(),
            timeout_at: Some(Time(mission.entered_at.0.saturating_add(MISSION_MS_MAX))),
            held: None,
        };
        self.request_approval(request);
    }

    pub(crate) fn request_approval(&mut self, request: ApprovalRequested) -> ApprovalId {
        let id = ApprovalId::from(self.context.mint.cuid());
        let payload = json!({ "approval_id": id, "kind": request.kind, "task_id": request.task_id });
        let actor = request.agent_id.clone().map_or(Actor::Orchestrator, Actor::Agent);
        let face = Face {
            severity: Severity::Notice,
            crew_id: request.crew_id.clone(),
            agent_id: request.agent_id.clone(),
            mission_id: request.mission_id.clone(),
            payload: payload.into(),
            refs: json!({ "approval_id": id }).into(),
            ..Face::new("approval.requested", &actor, "approval requested", &request.reason)
        };
        self.add(Draft::public(id.as_str(), request, face));
        id
    }

    /// Questions about results that are not held any more are withdrawn.
    pub(crate) fn withdraw_idle_approvals(&mut self, mission: &MissionId) {
        let held = |task: &TaskId| {
            let found = self.state.undertaking(mission).filter(|found| found.phase == Phase::Working);
            let task = found.and_then(|found| found.tasks.get(task));
            task.is_some_and(|task| task.status == TaskStatus::AwaitingApproval)
        };
        let own = self.state.pending_approvals(mission);
        let is_idle = |found: &&Arc<Approval>| match (&found.request.task_id, &found.request.held) {
            (Some(task), _) => !held(task),
            (None, Some(Held::Assignment { .. })) => !self.state.is_open(found),
            (None, _) => self.state.undertaking(mission).is_none(),
        };
        let idle = own.filter(is_idle);
        let idle: Vec<Approval> = idle.map(|found| (**found).clone()).collect();
        let timed_out = self.state.undertaking(mission).is_some_and(|found| {
            found.phase == Phase::Ended
                && idle.iter().any(|idle| idle.request.timeout_at.is_some_and(|at| at <= self.context.now))
        });
        for approval in idle {
            let status = if timed_out { ApprovalStatus::Timeout } else { ApprovalStatus::Cancelled };
            self.close(&approval, status, None, &Actor::Orchestrator);
        }
    }

    fn close(&mut self, approval: &Approval, status: ApprovalStatus, comment: Option<Text>, actor: &Actor) {
        // What followed from another one may have closed it.
        let now = self.state.approvals.all.get(&approval.id);
        if now.is_none_or(|now| now.status != ApprovalStatus::Pending) {
            return;
        }
        let (entry_type, severity) = match status {
            ApprovalStatus::Approved => ("approval.granted", Severity::Notice),
            ApprovalStatus::Denied => ("approval.denied", Severity::Notice),
            ApprovalStatus::Timeout => ("approval.timeout", Severity::Warn),
            ApprovalStatus::Cancelled | ApprovalStatus::Pending => ("approval.cancelled", Severity::Notice),
        };
        let request = &approval.request;
        let mut payload = json!({ "approval_id": approval.id, "kind": request.kind, "comment": comment });
        if status == ApprovalStatus::Cancelled {
            payload["cancelled"] = json!(true);
            payload["reason"] = json!(comment);
        }
        let face = Face {
            severity,
            crew_id: request.crew_id.clone(),
            agent_id: request.agent_id.clone(),
            mission_id: request.mission_id.clone(),
            payload: payload.into(),
            refs: json!({ "approval_id": approval.id }).into(),
            ..Face::new(entry_type, actor, &format!("approval {status}"), &request.reason)
        };
        let decided = ApprovalDecided { status, by: actor.user().cloned(), comment };
        self.add(Draft::public(approval.id.as_str(), decided, face));
    }

    /// A person decides about a held result; whoever comes second is too late (`missions.md` 9.6).
    fn decide_task(
        &mut self,
        mission: &MissionId,
        task: &TaskId,
        approved: bool,
        notes: &Option<Text>,
    ) -> Result<(), Rejection> {
        let found = self.state.undertaking(mission).cloned();
        let found = found.ok_or_else(|| Rejection::not_found("mission.not_found", "Mission not found"))?;
        let held = found.tasks.get(task).cloned();
        let held = held.ok_or_else(|| Rejection::not_found("task.not_found", "Task not found"))?;
        if found.phase != Phase::Working || held.status != TaskStatus::AwaitingApproval {
            return Err(Rejection::conflict("approval.decided", "already decided"));
        }
        let by: UserId = self.context.actor.user().cloned().ok_or_else(Rejection::forbidden)?;
        let (word, to, reason) = match approved {
            true => ("APPROVED", TaskStatus::Completed, Reason::Approved),
            false => ("REJECTED", TaskStatus::Failed, Reason::Rejected),
        };
        let approval = TaskApproval { status: word.into(), by, notes: notes.clone() };
        self.move_task(mission, task, to, reason, |moved| moved.approval = Some(approval.into()));
        if let Some(asked) = self.state.asked_about(mission, task) {
            let status = if approved { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
            let actor = self.context.actor.clone();
            self.close(&asked, status, notes.clone(), &actor);
        }
        if !approved {
            self.fail_what_waits_for(mission, task);
        }
        self.settle(mission);
        Ok(())
    }

    /// What waits for a rejected result fails with it, and what waits for that (`missions.md` 6.2).
    fn fail_what_waits_for(&mut self, mission: &MissionId, task: &TaskId) {
        let mut open = vec![task.clone()];
        while let Some(failed) = open.pop() {
            let Some(found) = self.state.undertaking(mission).cloned() else { return };
            let waits = |task: &&std::sync::Arc<Task>| {
                task.status == TaskStatus::Blocked && task.depends_on.contains(&failed)
            };
            for waiting in found.tasks_in_order().into_iter().filter(waits) {
                self.move_task(mission, &waiting.id, TaskStatus::Failed, Reason::UpstreamRejected, |moved| {
                    moved.error_message = Some("upstream task rejected".into());
                });
                open.push(waiting.id.clone());
            }
        }
    }
}
