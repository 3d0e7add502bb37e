//! Agents are put on an issue, taken off it, and their work is looked at (`issues.md` 12).
//!
//! The status moves first, and the tasks with it, in one batch: of two who start it one wins, and nothing
//! of the other's is left behind.

use std::sync::Arc;

use super::update::target;
use super::{
    Action, Cause, Issue, IssueChanges, IssueStatus, IssueUpdated, Moved, Named, Party, ReviewDraft, Verdict,
};
use crate::approval::ApprovalStatus;
use crate::mission::{Reason, Task, TaskCreated, TaskStatus, TaskUpdated, birth_status};
use crate::roster::AgentRole;
use crate::undertaking::Phase;
use crate::unfolding::Unfolding;
use crate::work::{Assignment, AssignmentStatus, Purpose};
use crate::{Actor, AgentId, Draft, MissionId, Rejection, TaskId, Text, Workspace};

impl Workspace {
    /// The agent that an issue is started with.
    fn starter_of(&self, issue: &Issue) -> Result<AgentId, Rejection> {
        let assignee = issue.facts.assignee.as_ref().ok_or_else(|| {
            let detail = "Issue must have an assignee before starting";
            Rejection::invalid("issue.no_assignee", detail)
        })?;
        let agent = assignee.as_agent().filter(|id| self.roster.live_agent(id.as_str()).is_some());
        agent.ok_or_else(|| {
            let detail = "Issue must be assigned to an agent before starting";
            Rejection::invalid("issue.assignee_no_agent", detail)
        })
    }

    /// An issue that its crew's policy holds may not start before somebody has said yes.
    pub(super) fn refuse_held_issue(&self, issue: &MissionId) -> Result<(), Rejection> {
        let hold = self.approvals.hold_on(issue.as_str());
        if hold.is_some_and(|hold| hold.status != ApprovalStatus::Approved) {
            let detail = "Issue start rejected by policy";
            return Err(Rejection::forbidden_because("issue.held", detail));
        }
        Ok(())
    }

    /// Whether an assignment is what an agent was at when it moved its issue to where it is: that goes on to
    /// its end, unless the issue is to be begun again.
    pub(crate) fn is_run_it_was_moved_from(&self, assignment: &Assignment) -> bool {
        let issue = assignment.facts.mission_id.as_ref().and_then(|id| self.issues.all.get(id));
        issue.is_some_and(|issue| {
            !matches!(issue.status, IssueStatus::Backlog | IssueStatus::Todo)
                && issue.moved_by.as_ref() == Some(&assignment.facts.assigned_to)
                && assignment.status == AssignmentStatus::Running
                && assignment.born < issue.entered
        })
    }

    /// Whether the LEAD is to plan: it does not wait to be asked, and there is nothing to begin with.
    fn refuse_passive_lead(&self, issue: &Issue, starter: &AgentId) -> Result<(), Rejection> {
        let is_lead = |id: &AgentId| {
            self.roster.live_agent(id.as_str()).is_some_and(|agent| agent.facts.agent_role == AgentRole::Lead)
        };
        if !issue.tasks.is_empty() || !is_lead(starter) {
            return Ok(());
        }
        match self.roster.live_agent(issue.lead_agent_id.as_str()) {
            Some(lead) if lead.facts.lead_mode.as_deref() == Some("passive") => Err(Rejection::invalid(
                "issue.passive_lead",
                "Lead agent is passive; add tasks before starting",
            )),
            Some(_) => Ok(()),
            None => Err(Rejection::invalid("issue.no_lead", "Crew has no lead agent")),
        }
    }
}

impl Unfolding<'_> {
    pub(super) fn start_issue(
        &mut self,
        issue: &Arc<Issue>,
        seen: Option<IssueStatus>,
    ) -> Result<(), Rejection> {
        let may_start = |status| matches!(status, IssueStatus::Backlog | IssueStatus::Todo);
        if !may_start(issue.status) {
            // It could be started when the caller looked: two raced, the loser gets 409.
            return Err(match seen.is_some_and(may_start) && issue.phase == Phase::Working {
                true => started_already(),
                false => {
                    let current = issue.status;
                    let detail = format!("Issue must be in BACKLOG or TODO to start (current: {current})");
                    Rejection::invalid("issue.not_startable", detail)
                }
            });
        }
        let starter = self.state.starter_of(issue)?;
        self.state.refuse_held_issue(&issue.id)?;
        self.state.refuse_passive_lead(issue, &starter)?;
        self.begin_issue(issue, &starter);
        Ok(())
    }

    /// Both steps of trying again in one (`issues.md` 12.6).
    pub(super) fn retry_issue(
        &mut self,
        issue: &Arc<Issue>,
        seen: Option<IssueStatus>,
    ) -> Result<(), Rejection> {
        let may_retry = |status| matches!(status, IssueStatus::Failed | IssueStatus::Cancelled);
        if !may_retry(issue.status) {
            return Err(match seen.is_some_and(may_retry) && issue.phase == Phase::Working {
                true => started_already(),
                false => {
                    let current = issue.status;
                    let detail =
                        format!("Issue must be in FAILED or CANCELLED to retry (current: {current})");
                    Rejection::invalid("issue.not_retryable", detail)
                }
            });
        }
        let starter = self.state.starter_of(issue)?;
        self.state.refuse_held_issue(&issue.id)?;
        self.state.refuse_passive_lead(issue, &starter)?;
        self.move_issue(issue, IssueStatus::Todo, Cause::Start, None);
        let again = self.state.issues.all.get(&issue.id).cloned();
        again.iter().for_each(|issue| self.begin_issue(issue, &starter));
        Ok(())
    }

    /// It is in progress, and its tasks are ready: the engine does the rest.
    fn begin_issue(&mut self, issue: &Arc<Issue>, starter: &AgentId) {
        let is_lead = |agent: &crate::roster::Agent| agent.facts.agent_role == AgentRole::Lead;
        let is_planned = self.state.roster.live_agent(starter.as_str()).is_none_or(is_lead);
        let is_fresh = issue.tasks.is_empty();
        let own_task = (is_fresh && !is_planned).then(|| TaskId::from(self.context.mint.cuid()));
        let moved = Some(Moved { from: issue.status, to: IssueStatus::InProgress });
        let updated = IssueUpdated { moved, own_task: own_task.clone(), ..IssueUpdated::default() };
        self.move_issue_so(issue, IssueUpdated { cause: Cause::Start, ..updated });
        match own_task {
            Some(task) => self.add_own_task(issue, starter, task),
            // Its LEAD is to make a plan of it.
            None if is_fresh => {}
            None => self.begin_tasks_again(issue, starter),
        }
    }

    /// One task, the issue itself.
    fn add_own_task(&mut self, issue: &Issue, starter: &AgentId, task_id: TaskId) {
        let created = TaskCreated {
            task_id,
            title: issue.title.clone(),
            description: issue.description.clone(),
            assigned_agent_id: Some(starter.clone()),
            status: TaskStatus::Pending,
            task_order: 1,
            depends_on: vec![],
            max_iterations: None,
            approval_required: false,
            outcome: None,
        };
        let face = created.face(&issue.crew_id, &issue.id, self.context.actor);
        self.add(Draft::public(issue.id.as_str(), created, face));
    }

    /// Every task begins a new attempt. The one that no LEAD planned is the issue itself: it is worked as
    /// the issue now stands, by who is now on it.
    fn begin_tasks_again(&mut self, issue: &Issue, starter: &AgentId) {
        let tasks: Vec<Arc<Task>> = issue.tasks_in_order().into_iter().cloned().collect();
        if let [sole] = tasks.as_slice()
            && issue.own_task.as_ref() == Some(&sole.id)
        {
            let updated = TaskUpdated {
                title: (sole.title != issue.title).then(|| issue.title.clone()),
                description: issue.description.clone().filter(|new| sole.description.as_ref() != Some(new)),
                assigned_agent_id: (sole.assigned_agent_id.as_ref() != Some(starter))
                    .then(|| starter.clone()),
                ..TaskUpdated::of(sole.id.clone())
            };
            if updated != TaskUpdated::of(sole.id.clone()) {
                let face = issue.task_updated_face(sole, &updated, self.context.actor);
                self.add(Draft::public(issue.id.as_str(), updated, face));
            }
        }
        for task in tasks {
            let iteration = task.iteration.saturating_add(1);
            let to = birth_status(task.depends_on.is_empty());
            self.move_task(&issue.id, &task.id, to, Reason::IssueStarted, |moved| {
                moved.iteration = iteration;
            });
        }
    }

    pub(super) fn stop_issue(&mut self, issue: &Arc<Issue>) -> Result<(), Rejection> {
        if !matches!(issue.status, IssueStatus::InProgress | IssueStatus::Review) {
            let current = issue.status;
            let detail = format!("Issue must be IN_PROGRESS or REVIEW to stop (current: {current})");
            return Err(Rejection::invalid("issue.not_stoppable", detail));
        }
        self.move_issue(issue, IssueStatus::Cancelled, Cause::Stop, None);
        let skipped = (TaskStatus::Skipped, Reason::IssueStopped, "issue stopped");
        self.stop_tasks(&issue.id, skipped, |task| !task.status.is_terminal());
        self.cancel_work_of(&issue.id, "the issue was stopped");
        Ok(())
    }

    /// Whoever works for an issue stops: a result that comes late is noted with its run and changes nothing.
    pub(super) fn cancel_work_of(&mut self, issue: &MissionId, why: &str) {
        let live: Vec<_> = self.state.work.live_of_mission(issue).map(|found| found.id.clone()).collect();
        live.iter().for_each(|assignment| self.cancel_assignment(assignment, why));
    }

    fn cancel_delegations_of(&mut self, issue: &MissionId) {
        let live = self.state.work.live_of_mission(issue);
        let handed_on =
            live.filter(|found| matches!(found.facts.purpose, Purpose::Delegation | Purpose::Query));
        let handed_on: Vec<_> = handed_on.map(|found| found.id.clone()).collect();
        handed_on.iter().for_each(|assignment| self.cancel_assignment(assignment, "not wanted any more"));
    }

    /// Agents were on it and are not any more. What they had in hand is over where the issue is, and waits
    /// for the next start where it is not. Whoever moved it from within its own run goes on to its end: what
    /// comes of that run is what the issue was moved for.
    pub(super) fn stop_work_on_issue(&mut self, id: &MissionId) {
        let Some(issue) = self.state.issues.all.get(id).cloned() else { return };
        let is_back = matches!(issue.status, IssueStatus::Backlog | IssueStatus::Todo);
        if issue.phase == Phase::Ended {
            let goes_on = |found: &&Arc<Assignment>| self.state.is_run_it_was_moved_from(found);
            let live = self.state.work.live_of_mission(id).filter(goes_on);
            let spared: Vec<_> = live.map(|found| found.id.clone()).collect();
            let is_spared = |task: &Task| task.assignment_id.as_ref().is_some_and(|id| spared.contains(id));
            let skipped = (TaskStatus::Skipped, Reason::IssueStopped, "issue stopped");
            self.stop_tasks(id, skipped, |task| task.status.is_in_flight() && !is_spared(task));
        } else {
            let held = issue.tasks_in_order().into_iter();
            let held = held.filter(|task| task.status == TaskStatus::AwaitingApproval);
            let held: Vec<_> = held.map(|task| task.id.clone()).collect();
            for task in held {
                self.move_task(id, &task, TaskStatus::Pending, Reason::HandedBack, |_| {});
            }
        }
        if is_back {
            // The next start asks anew, also for what was handed on.
            self.cancel_delegations_of(id);
            self.withdraw_held_work_of(id);
        }
        self.keep_only_wanted_work(id);
        if is_back {
            self.withdraw_unheard_escalations(id);
        }
    }

    pub(super) fn review_issue(&mut self, named: &Named, draft: &ReviewDraft) -> Result<(), Rejection> {
        let verdict = match draft.action.as_deref() {
            Some("approve") => Verdict::Approve,
            Some("request_changes") => Verdict::RequestChanges,
            _ => {
                let detail = "action must be 'approve' or 'request_changes'";
                return Err(Rejection::invalid("review.action", detail));
            }
        };
        let issue = self.state.issue(named)?.clone();
        if !matches!(issue.status, IssueStatus::Review | IssueStatus::InProgress) {
            let current = issue.status;
            let detail = format!("Issue must be in REVIEW or IN_PROGRESS to review (current: {current})");
            return Err(Rejection::invalid("issue.not_reviewable", detail));
        }
        let heir = self.heir(draft.reassign_to.as_deref())?;
        let (word, to, cause) = match verdict {
            Verdict::Approve => ("Approved", IssueStatus::Done, Cause::Approved),
            Verdict::RequestChanges => ("Changes requested", IssueStatus::Todo, Cause::ChangesRequested),
        };
        let comment = draft.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty());
        let said: Text = comment.map_or_else(|| word.into(), |comment| format!("{word}: {comment}").into());
        let note = (verdict == Verdict::RequestChanges).then(|| said.clone());
        self.move_issue(&issue, to, cause, note);
        let actor = self.context.actor.clone();
        let author = match &actor {
            Actor::User(user) => Some(Party::user(user)),
            Actor::Agent(agent) => Some(Party::agent(agent)),
            Actor::Orchestrator | Actor::System => None,
        };
        if let Some(author) = author {
            self.say(&issue, author, said.clone(), None);
        }
        let action = match verdict {
            Verdict::Approve => Action::ReviewApproved(said),
            Verdict::RequestChanges => Action::ReviewChangesRequested(said),
        };
        self.note_issue(&issue, &action, &actor);
        if let Some(heir) = heir.filter(|_| verdict == Verdict::RequestChanges) {
            self.reassign(&issue, &heir, cause);
        }
        Ok(())
    }

    /// Who is to go on with it.
    fn heir(&self, slug: Option<&str>) -> Result<Option<AgentId>, Rejection> {
        let Some(slug) = slug.filter(|slug| !slug.is_empty()) else { return Ok(None) };
        let found = self.state.roster.agent_slugs.get(slug).cloned();
        found.map(Some).ok_or_else(|| {
            Rejection::invalid("review.reassign_to", "reassign_to does not exist in this workspace")
        })
    }

    fn reassign(&mut self, issue: &Issue, agent: &AgentId, cause: Cause) {
        let assignee = Some(Party::agent(agent));
        if issue.facts.assignee == assignee {
            return;
        }
        let changes = IssueChanges { assignee: Some(assignee), ..IssueChanges::default() };
        let updated = IssueUpdated { cause, changes: Some(changes.into()), ..IssueUpdated::default() };
        self.update_issue(&issue.id, updated);
        let actor = self.context.actor.clone();
        self.note_issue(issue, &Action::AssigneeChanged(format!("assignee_id: {agent}").into()), &actor);
    }

    /// A move, with its line of activity, by whoever acts.
    pub(super) fn move_issue(
        &mut self,
        issue: &Issue,
        to: IssueStatus,
        cause: Cause,
        review_note: Option<Text>,
    ) {
        let moved = Some(Moved { from: issue.status, to });
        self.move_issue_so(issue, IssueUpdated { cause, moved, review_note, ..IssueUpdated::default() });
    }

    fn move_issue_so(&mut self, issue: &Issue, updated: IssueUpdated) {
        let Some(moved) = updated.moved else { return };
        let to = moved.to;
        debug_assert!(target(issue.status, to.as_str()).is_ok(), "{} to {to} is in the table", issue.status);
        self.update_issue(&issue.id, updated);
        let actor = match self.context.actor {
            // What nobody wished is the system's (`issues.md` 10.2).
            Actor::Orchestrator => Actor::System,
            other => other.clone(),
        };
        self.note_issue(issue, &Action::StatusChanged(moved), &actor);
    }
}

fn started_already() -> Rejection {
    Rejection::conflict("issue.already_started", "Issue was already started by another request")
}
