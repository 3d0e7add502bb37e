//! A stage with a tracker, and short words for what people do with issues.

use std::sync::Arc;

use serde_json::json;
use taffrail_domain::issue::{
    Issue, IssueCommand, IssueDraft, IssueEvent, IssuePatch, IssuePriority, IssueStatus, Named, ReviewDraft,
};
use taffrail_domain::mission::Task;
use taffrail_domain::roster::Role;
use taffrail_domain::routine::{RoutineFacts, RoutineSaved, RoutineStatus};
use taffrail_domain::tracker::{
    LabelCreated, LabelFacts, MilestoneCreated, MilestoneFacts, MilestoneStatus, ProjectCreated,
    ProjectFacts, ProjectHealth, ProjectStatus,
};
use taffrail_domain::{
    Actor, Draft, Entry, Event, Face, MissionId, Offset, Rejection, Text, Time, Workspace,
};

use super::kit::{CREW, WORKER, crew, member, stage};
use super::play::{Held, Play};

/// What issues can point to: labels, projects with a milestone each, routines.
pub(crate) fn furnish(state: &mut Workspace) {
    let text = |id: &str| Text::from(id);
    let mut put = |id: &str, event: Event| {
        let draft = Draft::internal(id, event);
        state.apply(&draft.at(Offset(0), Time(0), Actor::System));
    };
    for id in ["bug", "ui", "docs"] {
        let label = LabelFacts { name: text(id), color: "red".into(), label_group: None };
        put(id, LabelCreated { label }.into());
    }
    for id in ["p1", "p2"] {
        put(id, ProjectCreated { project: project(id).into() }.into());
    }
    for (id, project) in [("m1", "p1"), ("m2", "p2")] {
        let milestone = MilestoneFacts {
            name: text(id),
            description: None,
            target_date: None,
            status: MilestoneStatus::default(),
            position: 1,
        };
        put(id, MilestoneCreated { project_id: project.into(), milestone }.into());
    }
    for id in ["r1", "r2"] {
        put(id, saved(id).into());
    }
}

fn project(id: &str) -> ProjectFacts {
    ProjectFacts {
        name: id.into(),
        slug: id.into(),
        description: None,
        icon: None,
        color: "blue".into(),
        status: ProjectStatus::default(),
        priority: IssuePriority::default(),
        health: ProjectHealth::default(),
        lead: None,
        start_date: None,
        target_date: None,
    }
}

fn saved(id: &str) -> RoutineSaved {
    let definition = json!({ "steps": [{ "id": "a", "type": "transform", "expression": "." }] });
    RoutineSaved {
        routine: Box::new(RoutineFacts {
            slug: id.into(),
            name: id.into(),
            description: None,
            definition: Arc::new(definition.into()),
            definition_hash: "00".into(),
            author_crew_id: None,
            author_agent_id: None,
            author_user_id: None,
            authored_via: "user_api".into(),
        }),
        status: RoutineStatus::Active,
        risk_reasons: vec![],
        accepted: vec![],
        change_summary: None,
    }
}

/// An issue, whichever crew's.
pub(crate) fn named(issue: &MissionId) -> Named {
    Named { crew: None, name: issue.as_str().into() }
}

pub(crate) fn titled(title: &str) -> IssueDraft {
    IssueDraft { title: Some(title.into()), ..IssueDraft::default() }
}

pub(crate) fn create(draft: IssueDraft) -> IssueCommand {
    IssueCommand::Create { crew: crew(), draft: draft.into() }
}

pub(crate) fn change() -> IssuePatch {
    IssuePatch::default()
}

pub(crate) fn to(status: &str) -> IssuePatch {
    IssuePatch { status: Some(status.into()), ..change() }
}

/// For whom: an agent.
pub(crate) fn given_to(agent: &str) -> IssuePatch {
    IssuePatch { assignee_id: Some(Some(agent.into())), ..change() }
}

/// Code and text of a refusal.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Rejection>) -> (&'static str, String) {
    let rejection = outcome.expect_err("must be refused");
    (rejection.code, rejection.detail.into_owned())
}

#[track_caller]
pub(crate) fn detail<T: std::fmt::Debug>(outcome: Result<T, Rejection>) -> String {
    refused(outcome).1
}

/// The ways of the seed's table to a status, from `BACKLOG`.
pub(crate) fn way_to(status: IssueStatus) -> &'static [&'static str] {
    match status {
        IssueStatus::Backlog => &[],
        IssueStatus::Todo => &["TODO"],
        IssueStatus::InProgress => &["IN_PROGRESS"],
        IssueStatus::Review => &["IN_PROGRESS", "REVIEW"],
        IssueStatus::Done => &["IN_PROGRESS", "DONE"],
        IssueStatus::Failed => &["IN_PROGRESS", "FAILED"],
        IssueStatus::Cancelled => &["CANCELLED"],
    }
}

impl Play {
    /// A stage with labels, projects, milestones and routines, and without a mission.
    pub(crate) fn desk() -> Self {
        let mut world = stage();
        furnish(&mut world.state);
        Self::on(world)
    }

    #[track_caller]
    pub(crate) fn create(&mut self, draft: IssueDraft) -> MissionId {
        let made = self.manager(create(draft));
        (&*made[0].subject).into()
    }

    #[track_caller]
    pub(crate) fn issue(&mut self, title: &str) -> MissionId {
        self.create(titled(title))
    }

    /// An issue that an agent is to work.
    #[track_caller]
    pub(crate) fn issue_for(&mut self, agent: &str) -> MissionId {
        self.create(IssueDraft {
            description: Some("Tokens expire".into()),
            assignee_type: Some("agent".into()),
            assignee_id: Some(agent.into()),
            ..titled("Fix it")
        })
    }

    #[track_caller]
    pub(crate) fn issue_in(&mut self, status: IssueStatus) -> MissionId {
        let issue = self.issue("Fix it");
        way_to(status).iter().for_each(|status| self.patch(&issue, to(status)));
        issue
    }

    pub(crate) fn ask(&mut self, command: IssueCommand) -> Result<Vec<Entry>, Rejection> {
        let made = self.wish(&member(Role::Manager), command);
        self.engine();
        made
    }

    pub(crate) fn try_patch(
        &mut self,
        issue: &MissionId,
        patch: IssuePatch,
    ) -> Result<Vec<Entry>, Rejection> {
        self.ask(IssueCommand::Update { issue: named(issue), patch: patch.into() })
    }

    #[track_caller]
    pub(crate) fn patch(&mut self, issue: &MissionId, patch: IssuePatch) {
        self.try_patch(issue, patch).expect("granted");
    }

    pub(crate) fn begin_issue(&mut self, issue: &MissionId) -> Result<Vec<Entry>, Rejection> {
        self.ask(IssueCommand::Start { issue: named(issue), seen: None })
    }

    pub(crate) fn stop_issue(&mut self, issue: &MissionId) -> Result<Vec<Entry>, Rejection> {
        self.ask(IssueCommand::Stop { issue: named(issue) })
    }

    pub(crate) fn review(
        &mut self,
        issue: &MissionId,
        action: &str,
        comment: Option<&str>,
        reassign_to: Option<&str>,
    ) -> Result<Vec<Entry>, Rejection> {
        let draft = ReviewDraft {
            action: Some(action.into()),
            comment: comment.map(Into::into),
            reassign_to: reassign_to.map(Into::into),
        };
        self.ask(IssueCommand::Review { issue: named(issue), draft })
    }

    pub(crate) fn delete_issue(&mut self, issue: &MissionId) -> Result<Vec<Entry>, Rejection> {
        self.ask(IssueCommand::Delete { issue: named(issue) })
    }

    #[track_caller]
    pub(crate) fn found(&self, issue: &MissionId) -> &Issue {
        &self.world.state.issues.all[issue]
    }

    #[track_caller]
    pub(crate) fn status(&self, issue: &MissionId) -> IssueStatus {
        self.found(issue).status
    }

    #[track_caller]
    pub(crate) fn identifier(&self, issue: &MissionId) -> &str {
        &self.found(issue).identifier
    }

    /// The only task of an issue.
    #[track_caller]
    pub(crate) fn sole_task(&self, issue: &MissionId) -> &Task {
        let tasks = self.found(issue).tasks_in_order();
        assert_eq!(tasks.len(), 1);
        tasks[0]
    }

    /// A worker takes the oldest work, which must be this agent's.
    #[track_caller]
    pub(crate) fn claim_of(&mut self, agent: &str) -> Held {
        let held = self.claim().expect("work");
        assert_eq!(self.assignment(&held).facts.assigned_to.as_str(), agent);
        held
    }

    /// The lines of an issue's activity log, oldest first: what, and how.
    pub(crate) fn lines(&self, issue: &MissionId) -> Vec<(String, String)> {
        lines_of(&self.entries, issue)
    }

    pub(crate) fn last_line(&self, issue: &MissionId) -> (String, String) {
        self.lines(issue).pop().expect("a line")
    }

    /// What was said, oldest first.
    pub(crate) fn said(&self, issue: &MissionId) -> Vec<String> {
        self.world.state.issues.comments_on(issue).map(|comment| comment.body.to_string()).collect()
    }

    /// The messages for people, as far as anything was told.
    pub(crate) fn messages(&self) -> Vec<&Face> {
        let faces = self.entries.iter().filter_map(|entry| entry.face.as_ref());
        faces.filter(|face| &*face.entry_type == "notification.delivered").collect()
    }

    /// The issue as its journal tells it.
    pub(crate) fn folded(&self, issue: &MissionId) -> Option<Issue> {
        let first = self.entries.first()?.offset;
        let changes = &self.world.state.histories.get(issue)?.changes;
        let entries = changes.iter().map(|at| &self.entries[usize::try_from(at.0 - first.0).expect("small")]);
        entries.fold(None, |before, entry| Issue::fold(before, issue, entry))
    }

    /// All that was decided says the same when it is read again.
    #[track_caller]
    pub(crate) fn holds_together(&self) {
        use taffrail_projections::World;
        let mut again = self.began.clone();
        for entry in &self.entries {
            let read = stored_and_read(entry);
            assert_eq!(read, *entry, "stored and read back");
            again.apply(&read);
        }
        assert!(again == self.world, "replay differs");
        for (id, issue) in &self.world.state.issues.all {
            assert_eq!(self.folded(id).as_ref(), Some(&**issue));
        }
    }
}

/// An entry as the journal gives it back.
pub(crate) fn stored_and_read(entry: &Entry) -> Entry {
    let (subject, event, face) = (entry.subject.clone(), entry.event.clone(), entry.face.clone());
    let stored = Draft { subject, event, face }.encode().expect("encodes");
    let actor = entry.actor.to_string();
    let (kind, version, body) = (&stored.kind, stored.version, &stored.body);
    Entry::decode(entry.offset, entry.time, &entry.subject, &actor, kind, version, body).expect("decodes")
}

pub(crate) fn lines_of(entries: &[Entry], issue: &MissionId) -> Vec<(String, String)> {
    let lost_parent = |entry: &&Entry| match &entry.event {
        Some(Event::Issue(IssueEvent::IssuesDetached(detached))) => {
            detached.from.is_parent() && detached.issues.contains(issue)
        }
        _ => false,
    };
    let of_issue = entries.iter().filter(|entry| *entry.subject == *issue.as_str() || lost_parent(entry));
    of_issue
        .filter_map(|entry| match entry.event.as_ref()? {
            Event::Issue(IssueEvent::IssueCreated(created)) => {
                Some(("created".to_owned(), created.title.to_string()))
            }
            Event::Issue(IssueEvent::IssueNoted(noted)) => {
                Some((noted.action.to_string(), noted.details.as_deref().unwrap_or_default().to_owned()))
            }
            Event::Issue(IssueEvent::IssuesDetached(detached)) if detached.from.is_parent() => {
                Some(line("parent_changed", ""))
            }
            _ => None,
        })
        .collect()
}

/// A line as stories write it.
pub(crate) fn line(action: &str, details: &str) -> (String, String) {
    (action.to_owned(), details.to_owned())
}

/// An agent of the stage.
pub(crate) fn worker() -> Actor {
    Actor::Agent(WORKER.into())
}

impl Play {
    pub(crate) fn hire(&mut self, name: &str, crew: &str) -> taffrail_domain::AgentId {
        let patch = taffrail_domain::roster::AgentPatch {
            name: Some(name.into()),
            slug: Some(name.into()),
            crew_id: Some(Some(crew.into())),
            ..Default::default()
        };
        let command = taffrail_domain::roster::RosterCommand::CreateAgent(patch);
        let made = self.wish(&member(Role::Owner), command).expect("granted");
        (&*made[0].subject).into()
    }

    pub(crate) fn hire_here(&mut self, name: &str) -> taffrail_domain::AgentId {
        self.hire(name, CREW)
    }
}
