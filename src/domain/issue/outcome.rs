//! What comes back from agents that work on an issue: moves, comments and lines of activity
//! (`issues.md` 12.3).

use serde_json::json;

use super::{Action, Cause, Issue, IssueChanges, IssueStatus, IssueUpdated, Party};
use crate::mission::Status;
use crate::undertaking::Phase;
use crate::unfolding::Unfolding;
use crate::work::{AssignmentFacts, Handoff, Purpose, Report, RunStatus};
use crate::{Actor, AgentId, Draft, Face, MissionId, Severity, Text};

/// How much of an answer without a hand-off a comment shows.
const ANSWER_CHARS_MAX: usize = 500;
/// How much of a task that is handed on a comment shows.
const TASK_CHARS_MAX: usize = 300;

impl Unfolding<'_> {
    /// The engine is done with an issue: it is up for review, or it has failed.
    pub(crate) fn conclude_issue(&mut self, id: &MissionId, to: Status) {
        let Some(issue) = self.state.issues.all.get(id).cloned() else { return };
        let to = match to {
            Status::Review | Status::Completed => IssueStatus::Review,
            Status::Failed => IssueStatus::Failed,
            // The engine wishes nothing else of an issue.
            Status::Planning | Status::InProgress | Status::Cancelled => return,
        };
        if issue.phase != Phase::Working {
            return;
        }
        self.conclude_as_system(&issue, to);
        if to == IssueStatus::Review {
            self.tell_reviewers(&issue);
        }
    }

    /// Nobody wished it, whoever's command it follows from.
    fn conclude_as_system(&mut self, issue: &Issue, to: IssueStatus) {
        let moved = super::Moved { from: issue.status, to };
        let updated = IssueUpdated { cause: Cause::Engine, moved: Some(moved), ..IssueUpdated::default() };
        self.update_issue(&issue.id, updated);
        self.note_issue(issue, &Action::StatusChanged(moved), &Actor::System);
    }

    /// Those who may review it are told, once for each time it comes up.
    pub(super) fn tell_reviewers(&mut self, issue: &Issue) {
        let title = format!("{} ready for review", issue.identifier);
        let payload = json!({
            "target_role": "MANAGER", "title": title, "body": issue.title, "priority": "medium",
            "round": issue.reviews + 1,
            "payload": {
                "mission_id": issue.id, "issue_identifier": issue.identifier,
                "new_status": IssueStatus::Review,
            },
        });
        self.tell_people(issue, &title, payload);
    }

    /// A message for people: they see it in the journal, and are told on the workspace's channel.
    pub(super) fn tell_people(&mut self, issue: &Issue, title: &str, payload: serde_json::Value) {
        let face = Face {
            severity: Severity::Notice,
            crew_id: Some(issue.crew_id.clone()),
            mission_id: Some(issue.id.clone()),
            payload: payload.into(),
            refs: json!({ "mission_id": issue.id }).into(),
            ..Face::new("notification.delivered", &Actor::System, title, "")
        };
        self.add(Draft::shown(issue.id.as_str(), face));
    }

    /// An agent's work on an issue is over: it says so as a comment, and the log has a line.
    pub(crate) fn tell_issue(&mut self, facts: &AssignmentFacts, report: &Report) {
        if report.status != RunStatus::Completed {
            let why = report.error_message.as_deref().unwrap_or("the run failed");
            return self.tell_issue_it_failed(facts, why);
        }
        let name = self.agent_name(&facts.assigned_to);
        let said = match facts.purpose {
            Purpose::Planning | Purpose::Query | Purpose::Chat | Purpose::Review => return,
            Purpose::Mention => answer_of(report).unwrap_or_else(|| completed(&name, report)),
            Purpose::Task | Purpose::Delegation => completed(&name, report),
        };
        let line = match facts.purpose {
            Purpose::Delegation => format!("{name} finished work").into(),
            _ => said.clone(),
        };
        self.tell_issue_as(facts, said, &Action::TaskCompleted(line));
    }

    /// An agent's work on an issue has failed, whoever says so.
    pub(crate) fn tell_issue_it_failed(&mut self, facts: &AssignmentFacts, why: &str) {
        // Who asked a question is told, and nobody else.
        if matches!(facts.purpose, Purpose::Query | Purpose::Chat) {
            return;
        }
        let name = self.agent_name(&facts.assigned_to);
        let said: Text = format!("**{name} encountered an issue.** Error: {why}").into();
        self.tell_issue_as(facts, said.clone(), &Action::TaskFailed(said));
    }

    /// A LEAD that was to plan has done the work itself: that is what is up for review.
    pub(crate) fn tell_issue_of_leads_work(&mut self, id: &MissionId, report: &Report) {
        let Some(issue) = self.state.issues.all.get(id).cloned() else { return };
        let lead = issue.lead_agent_id.clone();
        let said = completed(&self.agent_name(&lead), report);
        self.say(&issue, Party::agent(&lead), said.clone(), None);
        self.note_issue(&issue, &Action::TaskCompleted(said), &Actor::Agent(lead));
    }

    fn tell_issue_as(&mut self, facts: &AssignmentFacts, said: Text, action: &Action) {
        let issue = facts.mission_id.as_ref().and_then(|id| self.state.issues.all.get(id)).cloned();
        let Some(issue) = issue else { return };
        self.say(&issue, Party::agent(&facts.assigned_to), said, None);
        self.note_issue(&issue, action, &Actor::Agent(facts.assigned_to.clone()));
    }

    /// What an issue needed has failed, and no agent is there to say so: its log does.
    pub(crate) fn note_failure(&mut self, id: &MissionId, why: Option<&str>) {
        if let Some(issue) = self.state.issues.all.get(id).cloned() {
            let line = Action::TaskFailed(why.unwrap_or("the task failed").into());
            self.note_issue(&issue, &line, &Actor::System);
        }
    }

    fn agent_name(&self, agent: &AgentId) -> Text {
        let found = self.state.roster.agents.get(agent);
        found.map_or_else(|| agent.as_str().into(), |agent| agent.facts.name.clone())
    }

    /// A LEAD hands an issue's work on: whoever has it now is its assignee.
    pub(crate) fn issue_handed_on(&mut self, facts: &AssignmentFacts) {
        let issue = facts.mission_id.as_ref().and_then(|id| self.state.issues.all.get(id)).cloned();
        let (Some(issue), Some(by)) = (issue, facts.assigned_by.clone()) else { return };
        // Where agents do not work it, it is not theirs to hand on.
        let is_worked = issue.phase == Phase::Working;
        if facts.purpose != Purpose::Delegation || by != issue.lead_agent_id || !is_worked {
            return;
        }
        let (from, to) = (self.agent_name(&by), self.agent_name(&facts.assigned_to));
        let asked = facts.prompt.as_ref().unwrap_or(&facts.task);
        let shown: String = asked.chars().take(TASK_CHARS_MAX).collect();
        self.say(
            &issue,
            Party::agent(&by),
            format!("**{from} assigned work to {to}**\n\n{shown}").into(),
            None,
        );
        let assignee = Some(Party::agent(&facts.assigned_to));
        if issue.facts.assignee == assignee {
            return; // It is theirs already.
        }
        let changes = IssueChanges { assignee: Some(assignee), ..IssueChanges::default() };
        let cause = Cause::Delegation;
        let updated = IssueUpdated { cause, changes: Some(changes.into()), ..IssueUpdated::default() };
        self.update_issue(&issue.id, updated);
        let slug = self.state.roster.agents.get(&facts.assigned_to).map(|agent| agent.facts.slug.clone());
        let line = format!("{from} assigned to {to} (@{})", slug.unwrap_or_default());
        self.note_issue(&issue, &Action::HandedOn(line.into()), &Actor::Agent(by));
    }
}

/// What an agent says of work that is done.
fn completed(name: &str, report: &Report) -> Text {
    let result = report.result.as_deref().unwrap_or_default();
    if let Some(handoff) = Handoff::read(result) {
        let confidence = handoff.level;
        let mut said =
            format!("**{name} completed their work** (confidence: {confidence})\n\n{}", handoff.summary);
        if let Some(artifacts) = &handoff.artifacts {
            said.push_str(&format!("\n\n**Artifacts:** {artifacts}"));
        }
        return said.into();
    }
    let shown: String = result.trim().chars().take(ANSWER_CHARS_MAX).collect();
    if shown.is_empty() {
        return format!("**{name} completed their work.**").into();
    }
    format!("**{name} completed their work**\n\n{shown}").into()
}

/// What an agent answers to who called it.
fn answer_of(report: &Report) -> Option<Text> {
    let said = report.result.as_deref().map(str::trim).filter(|said| !said.is_empty())?;
    Some(said.chars().take(super::mention::ANSWER_CHARS_MAX).collect::<String>().into())
}
