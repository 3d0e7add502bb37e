//! Labels, projects, milestones, saved views, triage and recurring issues (`issues.md` 15–17).

use serde_json::{Value, json};
use taffrail_domain::issue::{Issue, IssueCommand, IssueDraft, IssueEvent, IssuePatch, Named};
use taffrail_domain::roster::{CrewPatch, Role, RosterCommand};
use taffrail_domain::tracker::{
    LabelDraft, MilestoneDraft, ProjectDraft, RecurringDraft, SavedViewDraft, TrackerCommand, TrackerEvent,
    TriageRuleDraft,
};
use taffrail_domain::{Actor, Command, Context, Draft, Event, IfMatch, Offset, Rejection, Text, Time};
use taffrail_projections::{WorkspaceWorld, World};

use super::kit::{CREW, Counter, LEAD, LOG, OTHER_CREW, OTHER_LEAD, WORKER, crew, member, stage};

/// A workspace in which one thing is wished after another.
pub(crate) struct Desk {
    pub(crate) world: WorkspaceWorld,
    mint: Counter,
}

impl Desk {
    pub(crate) fn set() -> Self {
        Self { world: stage(), mint: Counter::default() }
    }

    /// Somebody wishes, at a time of their own.
    fn wish_at(&mut self, now: Time, actor: &Actor, command: Command) -> Result<Vec<Draft>, Rejection> {
        let next = self.world.head().plus(1);
        let context = Context { now, actor, log: LOG, next, mint: &self.mint };
        let drafts = self.world.decide(&command, &context)?;
        for draft in &drafts {
            let stored = draft.clone().encode().expect("encodes");
            assert!(!stored.body.is_empty());
            let entry = draft.clone().at(self.world.head().plus(1), now, actor.clone());
            self.world.apply(&entry);
        }
        Ok(drafts)
    }

    pub(crate) fn wish_by(
        &mut self,
        actor: &Actor,
        command: impl Into<Command>,
    ) -> Result<Vec<Draft>, Rejection> {
        let now = Time(self.world.time().0 + 1_000);
        self.wish_at(now, actor, command.into())
    }

    /// The owner wishes.
    pub(crate) fn wish(&mut self, command: impl Into<Command>) -> Result<Vec<Draft>, Rejection> {
        self.wish_by(&member(Role::Owner), command)
    }

    /// What a wish made: the subject of its last entry.
    #[track_caller]
    pub(crate) fn make(&mut self, command: impl Into<Command>) -> String {
        let drafts = self.wish(command).expect("must be accepted");
        drafts.last().expect("makes something").subject.to_string()
    }

    #[track_caller]
    fn refused(&mut self, command: impl Into<Command>, code: &str, detail: &str) {
        let refused = self.wish(command).expect_err("must be refused");
        assert_eq!((refused.code, &*refused.detail), (code, detail));
    }

    #[track_caller]
    fn nothing(&mut self, command: impl Into<Command>) {
        assert_eq!(self.wish(command).expect("must be accepted"), vec![]);
    }

    pub(crate) fn label(&mut self, name: &str) -> String {
        self.make(TrackerCommand::CreateLabel(label(name)))
    }

    pub(crate) fn project(&mut self, name: &str) -> String {
        self.make(TrackerCommand::CreateProject(project(name).into()))
    }

    pub(crate) fn milestone(&mut self, project: &str, name: &str) -> String {
        let draft = MilestoneDraft { name: Some(name.into()), ..MilestoneDraft::default() };
        self.make(TrackerCommand::CreateMilestone { project: project.into(), draft: Ok(draft) })
    }

    pub(crate) fn issue(&mut self, draft: Value) -> String {
        let draft: IssueDraft = serde_json::from_value(draft).expect("a draft");
        let drafts = self.wish(IssueCommand::Create { crew: crew(), draft: draft.into() }).expect("accepted");
        drafts[0].subject.to_string()
    }

    pub(crate) fn patch(&mut self, issue: &str, patch: Value) -> Result<Vec<Draft>, Rejection> {
        let patch: IssuePatch = serde_json::from_value(patch).expect("a patch");
        let issue = Named { crew: None, name: issue.into() };
        self.wish(IssueCommand::Update { issue, patch: patch.into() })
    }

    /// Takes an issue to a status, over the one before it.
    pub(crate) fn bring(&mut self, issue: &str, statuses: &[&str]) {
        for status in statuses {
            self.patch(issue, json!({ "status": status })).expect("a legal move");
        }
    }

    fn rule(&mut self, draft: Value) -> String {
        self.make(TrackerCommand::CreateRule(rule(draft)))
    }

    fn template(&mut self, draft: Value) -> String {
        self.make(TrackerCommand::CreateRecurring(template(draft)))
    }

    fn found(&self, issue: &str) -> &Issue {
        &self.world.state.issues.all[issue]
    }

    /// What the engine finds due, fired.
    fn fire(&mut self, now: Time) -> Vec<Draft> {
        let due = self.world.state.recurring_due(now);
        let fired = due.into_iter().map(|(_, command)| self.wish_at(now, &Actor::Orchestrator, command));
        fired.flat_map(|drafts| drafts.expect("never refused")).collect()
    }
}

fn label(name: &str) -> LabelDraft {
    LabelDraft { name: Some(name.into()), color: Some("#f00".into()), label_group: None }
}

fn project(name: &str) -> ProjectDraft {
    ProjectDraft { name: Some(name.into()), ..ProjectDraft::default() }
}

/// A rule that makes sense, with this on top.
fn rule(draft: Value) -> Box<TriageRuleDraft> {
    let mut all = json!({ "name": "Rule", "pattern": "bug", "match_type": "contains" });
    all.as_object_mut().unwrap().extend(draft.as_object().cloned().unwrap());
    serde_json::from_value(all).expect("a draft")
}

/// A template that makes sense, with this on top.
fn template(draft: Value) -> Box<RecurringDraft> {
    let mut all = json!({ "crew_id": CREW, "title": "Water the plants", "cron_expression": "0 9 * * *" });
    all.as_object_mut().unwrap().extend(draft.as_object().cloned().unwrap());
    serde_json::from_value(all).expect("a draft")
}

fn view(draft: Value) -> SavedViewDraft {
    let mut all = json!({ "name": "Mine", "filters_json": "{}" });
    all.as_object_mut().unwrap().extend(draft.as_object().cloned().unwrap());
    serde_json::from_value(all).expect("a draft")
}

fn update_label(label: &str, patch: LabelDraft) -> TrackerCommand {
    TrackerCommand::UpdateLabel { label: label.into(), patch: Ok(patch) }
}

fn update_project(project: &str, patch: ProjectDraft) -> TrackerCommand {
    TrackerCommand::UpdateProject { project: project.into(), patch: Ok(patch.into()) }
}

fn update_rule(rule: &str, patch: Value) -> TrackerCommand {
    let patch: TriageRuleDraft = serde_json::from_value(patch).expect("a patch");
    TrackerCommand::UpdateRule { rule: rule.into(), patch: Ok(patch.into()) }
}

fn update_template(template: &str, patch: Value) -> TrackerCommand {
    let patch: RecurringDraft = serde_json::from_value(patch).expect("a patch");
    TrackerCommand::UpdateRecurring { recurring: template.into(), patch: Ok(patch.into()) }
}

fn activity(drafts: &[Draft]) -> Vec<(String, String)> {
    let noted = drafts.iter().filter_map(|draft| match &draft.event {
        Some(Event::Issue(IssueEvent::IssueNoted(noted))) => {
            Some((noted.action.to_string(), noted.details.as_deref().unwrap_or_default().to_owned()))
        }
        _ => None,
    });
    noted.collect()
}

#[test]
fn managers_create_and_update_and_admins_delete() {
    let commands = |desk: &mut Desk| {
        let (project, label) = (desk.project("Old"), desk.label("old"));
        let create = [
            TrackerCommand::CreateLabel(LabelDraft { name: Some("new".into()), ..self::label("new") }),
            update_label(&label, self::label("newer")),
            TrackerCommand::CreateProject(self::project("New").into()),
            TrackerCommand::CreateRule(rule(json!({}))),
            TrackerCommand::CreateRecurring(template(json!({}))),
            TrackerCommand::CreateView(view(json!({}))),
            TrackerCommand::ProcessTriage,
        ];
        let manage = [
            TrackerCommand::DeleteLabel { label: label.as_str().into() },
            TrackerCommand::DeleteProject { project: project.as_str().into() },
        ];
        (create, manage)
    };
    for role in Role::ALL {
        let mut desk = Desk::set();
        let (create, manage) = commands(&mut desk);
        for command in create {
            assert_eq!(desk.wish_by(&member(*role), command).is_ok(), *role >= Role::Manager, "{role}");
        }
        for command in manage {
            assert_eq!(desk.wish_by(&member(*role), command).is_ok(), *role >= Role::Admin, "{role}");
        }
    }
}

#[test]
fn a_label_has_a_name_of_its_own_and_a_color() {
    let mut desk = Desk::set();
    let create = TrackerCommand::CreateLabel;
    desk.refused(create(LabelDraft::default()), "tracker.name_required", "name is required");
    let colorless = LabelDraft { color: Some(" ".into()), ..label("bug") };
    desk.refused(create(colorless), "label.color_required", "color is required");
    let bug = desk.label("bug");
    let other = desk.label("Bug");
    let taken = "A label named \"bug\" already exists in this workspace";
    desk.refused(create(label("bug")), "label.name_taken", taken);
    desk.refused(update_label(&other, label("bug")), "label.name_taken", taken);
    desk.refused(update_label(&bug, LabelDraft::default()), "tracker.no_fields", "No fields to update");
    desk.refused(update_label("none", LabelDraft::default()), "label.not_found", "Label not found");
    desk.nothing(update_label(&bug, label("bug")));
    let group = LabelDraft { label_group: Some("kind".into()), ..LabelDraft::default() };
    desk.wish(update_label(&bug, group)).unwrap();
    assert_eq!(desk.world.state.label(&bug).unwrap().facts.label_group, Some("kind".into()));
    let clear = LabelDraft { label_group: Some(String::new()), ..LabelDraft::default() };
    desk.wish(update_label(&bug, clear)).unwrap();
    assert_eq!(desk.world.state.label(&bug).unwrap().facts.label_group, None);
    desk.wish(update_label(&bug, label("defect"))).unwrap();
    desk.label("bug");
    let names: Vec<&str> =
        desk.world.state.tracker.labels_by_name().map(|label| &*label.facts.name).collect();
    assert_eq!(names, ["Bug", "bug", "defect"]);
}

#[test]
fn a_body_is_looked_at_only_after_what_it_is_about() {
    let mut desk = Desk::set();
    let bad = || Rejection::invalid("invalid_json", "Invalid JSON body");
    let label = desk.label("bug");
    let about = |label: &str| TrackerCommand::UpdateLabel { label: label.into(), patch: Err(bad()) };
    desk.refused(about("none"), "label.not_found", "Label not found");
    desk.refused(about(&label), "invalid_json", "Invalid JSON body");
    let project = TrackerCommand::UpdateProject { project: "none".into(), patch: Err(bad()) };
    desk.refused(project, "project.not_found", "Project not found");
    let milestone = TrackerCommand::CreateMilestone { project: "none".into(), draft: Err(bad()) };
    desk.refused(milestone, "project.not_found", "Project not found");
}

#[test]
fn a_deleted_label_is_gone_from_issues_rules_and_templates_in_one_batch() {
    let mut desk = Desk::set();
    let (bug, ui) = (desk.label("bug"), desk.label("ui"));
    let both = json!([bug, ui]);
    let issue = desk.issue(json!({ "title": "One", "labels": both }));
    let rule = desk.rule(json!({ "labels_json": both.to_string() }));
    let template = desk.template(json!({ "labels_json": both.to_string() }));
    let next_run = desk.world.state.recurring(&template).unwrap().next_run;
    let drafts = desk.wish(TrackerCommand::DeleteLabel { label: bug.as_str().into() }).unwrap();
    let kinds: Vec<_> = drafts.iter().filter_map(|draft| draft.event.as_ref().map(Event::kind)).collect();
    let expected = ["issue.detached", "triage_rule.updated", "recurring_issue.updated", "label.deleted"];
    assert_eq!(kinds, expected);
    assert_eq!(desk.found(&issue).facts.labels, vec![ui.as_str().into()]);
    assert_eq!(desk.world.state.triage_rule(&rule).unwrap().facts.labels, vec![ui.as_str().into()]);
    let template = desk.world.state.recurring(&template).unwrap();
    assert_eq!((&template.facts.labels, template.next_run), (&vec![ui.as_str().into()], next_run));
    desk.label("bug");
}

#[test]
fn a_project_begins_with_its_defaults_and_a_slug_of_its_name() {
    let mut desk = Desk::set();
    let id = desk.project("Mobile App!");
    let facts = desk.world.state.project("mobile-app").unwrap().facts.clone();
    assert_eq!(desk.world.state.project(&id).unwrap().facts, facts);
    let words = (&*facts.color, facts.status.as_str(), facts.priority.as_str(), facts.health.as_str());
    assert_eq!(words, ("blue", "backlog", "none", "on_track"));
    let taken = "A project with the slug \"mobile-app\" already exists in this workspace";
    let again = TrackerCommand::CreateProject(project("mobile  app").into());
    desk.refused(again, "project.slug_taken", taken);
    let other = desk.project("Other");
    desk.refused(update_project(&other, project("Mobile App")), "project.slug_taken", taken);
    desk.wish(update_project("other", project("Another"))).unwrap();
    assert_eq!(&*desk.world.state.project(&other).unwrap().facts.slug, "another");
    assert!(desk.world.state.project("other").is_err());
    let nameless = desk.project("日本");
    assert_eq!(&*desk.world.state.project(&nameless).unwrap().facts.slug, nameless);
}

#[test]
fn a_project_knows_its_words_and_days() {
    let mut desk = Desk::set();
    let id = desk.project("App");
    let mut refused = |patch: Value, detail: &str| {
        let patch: ProjectDraft = serde_json::from_value(patch).unwrap();
        let refused = desk.wish(update_project(&id, patch)).expect_err("refused");
        assert_eq!(refused.detail, detail);
    };
    let statuses = "status must be one of: backlog, planned, in_progress, paused, completed, cancelled";
    refused(json!({ "status": "DONE" }), statuses);
    refused(json!({ "health": "fine" }), "health must be one of: on_track, at_risk, off_track");
    refused(json!({ "priority": "x" }), "priority must be one of: none, low, medium, high, urgent");
    refused(json!({ "target_date": "soon" }), "target_date must be YYYY-MM-DD or an RFC 3339 timestamp");
    refused(json!({ "start_date": "2026-02-30" }), "start_date must be YYYY-MM-DD or an RFC 3339 timestamp");
    refused(json!({ "name": " " }), "name is required");
    refused(json!({}), "No fields to update");
    let all = json!({ "status": "paused", "target_date": "2026-12-24", "description": "d", "icon": "i" });
    desk.wish(update_project(&id, serde_json::from_value(all.clone()).unwrap())).unwrap();
    desk.nothing(update_project(&id, serde_json::from_value(all).unwrap()));
    let clear = json!({ "target_date": "", "description": "", "icon": "" });
    desk.wish(update_project(&id, serde_json::from_value(clear).unwrap())).unwrap();
    let facts = &desk.world.state.project(&id).unwrap().facts;
    assert_eq!((&facts.target_date, &facts.description, &facts.icon), (&None, &None, &None));
}

#[test]
fn a_lead_is_a_pair_whose_halves_are_completed_from_what_is_there() {
    let mut desk = Desk::set();
    let id = desk.project("App");
    let lead = |desk: &Desk| desk.world.state.project(&id).unwrap().facts.lead.clone();
    let patch = |patch: Value| update_project(&id, serde_json::from_value(patch).unwrap());
    let pair = "lead_type is required when lead_id is set";
    desk.refused(patch(json!({ "lead_id": LEAD })), "project.lead_type_required", pair);
    let word = "lead_type must be 'user' or 'agent'";
    desk.refused(patch(json!({ "lead_type": "crew" })), "project.lead_type", word);
    let foreign = patch(json!({ "lead_type": "user", "lead_id": LEAD }));
    desk.refused(foreign, "issue.assignee_not_found", "lead_id does not exist in this workspace");
    desk.wish(patch(json!({ "lead_type": "agent", "lead_id": LEAD }))).unwrap();
    desk.wish(patch(json!({ "lead_id": WORKER }))).unwrap();
    assert_eq!(lead(&desk).map(|lead| lead.id.to_string()), Some(WORKER.into()));
    desk.wish(patch(json!({ "lead_id": "" }))).unwrap();
    assert_eq!(lead(&desk), None);
    desk.wish(patch(json!({ "lead_type": "agent", "lead_id": LEAD }))).unwrap();
    desk.wish(patch(json!({ "lead_type": "" }))).unwrap();
    assert_eq!(lead(&desk), None, "either half clears both");
    let half = patch(json!({ "lead_type": "", "lead_id": LEAD }));
    desk.refused(half, "project.lead_type_required", pair);
    desk.nothing(patch(json!({ "lead_type": "user" })));
}

#[test]
fn progress_is_rounded_down_and_review_counts_as_done_for_projects_only() {
    let mut desk = Desk::set();
    let project = desk.project("App");
    let milestone = desk.milestone(&project, "Beta");
    let issues: Vec<String> = (0..3)
        .map(|number| {
            let title = format!("Issue {number}");
            desk.issue(json!({ "title": title, "milestone_id": milestone }))
        })
        .collect();
    desk.bring(&issues[0], &["IN_PROGRESS", "REVIEW", "DONE"]);
    desk.bring(&issues[1], &["IN_PROGRESS", "REVIEW"]);
    let state = &desk.world.state;
    let tally = state.project_tally(&project.as_str().into());
    assert_eq!((tally.total, tally.done_or_in_review(), tally.done, tally.progress()), (3, 2, 1, 66));
    let tally = state.milestone_tally(&milestone.as_str().into());
    assert_eq!((tally.total, tally.done), (3, 1));
    assert_eq!(state.project_tally(&"none".into()).progress(), 0);
}

#[test]
fn a_deleted_project_takes_its_milestones_and_leaves_the_issues() {
    let mut desk = Desk::set();
    let (project, other) = (desk.project("App"), desk.project("Other"));
    let milestone = desk.milestone(&project, "Beta");
    let inside = desk.issue(json!({ "title": "Inside", "milestone_id": milestone }));
    let outside = desk.issue(json!({ "title": "Outside", "project_id": other }));
    assert_eq!(desk.found(&inside).facts.project_id, Some(project.as_str().into()), "adopted");
    let rule = desk.rule(json!({ "project_id": project }));
    let template = desk.template(json!({ "milestone_id": milestone }));
    let drafts = desk.wish(TrackerCommand::DeleteProject { project: "app".into() }).unwrap();
    let kinds: Vec<&str> =
        drafts.iter().filter_map(|draft| draft.event.as_ref()).map(taffrail_domain::Event::kind).collect();
    let expected = [
        "issue.detached",
        "triage_rule.updated",
        "recurring_issue.updated",
        "milestone.deleted",
        "project.deleted",
    ];
    assert_eq!(kinds, expected);
    assert!(drafts[3].face.is_some(), "the end of a milestone is told");
    let facts = &desk.found(&inside).facts;
    assert_eq!((&facts.project_id, &facts.milestone_id), (&None, &None));
    assert_eq!(desk.found(&outside).facts.project_id, Some(other.as_str().into()));
    let state = &desk.world.state;
    assert!(state.milestone(&milestone).is_err() && state.tracker.milestones_by_project.is_empty());
    assert_eq!(state.triage_rule(&rule).unwrap().facts.project_id, None);
    let template = &state.recurring(&template).unwrap().facts;
    assert_eq!((&template.project_id, &template.milestone_id), (&None, &None));
    assert_eq!(state.project_tally(&project.as_str().into()).total, 0);
}

#[test]
fn milestones_stand_in_a_row_and_go_alone() {
    let mut desk = Desk::set();
    let project = desk.project("App");
    let (one, two) = (desk.milestone(&project, "One"), desk.milestone("app", "Two"));
    let position = |desk: &Desk, id: &str| desk.world.state.milestone(id).unwrap().facts.position;
    assert_eq!((position(&desk, &one), position(&desk, &two)), (1, 2));
    let patch = |patch: Value| TrackerCommand::UpdateMilestone {
        milestone: one.as_str().into(),
        patch: Ok(serde_json::from_value(patch).unwrap()),
    };
    desk.wish(patch(json!({ "position": 7 }))).unwrap();
    let three = desk.milestone(&project, "Three");
    assert_eq!(position(&desk, &three), 8);
    let words = "status must be one of: active, completed, cancelled";
    desk.refused(patch(json!({ "status": "done" })), "tracker.word", words);
    desk.refused(patch(json!({})), "tracker.no_fields", "No fields to update");
    let issue = desk.issue(json!({ "title": "One", "milestone_id": one }));
    desk.wish(TrackerCommand::DeleteMilestone { milestone: one.as_str().into() }).unwrap();
    let facts = &desk.found(&issue).facts;
    assert_eq!((&facts.project_id, &facts.milestone_id), (&Some(project.as_str().into()), &None));
    let again = TrackerCommand::DeleteMilestone { milestone: one.as_str().into() };
    desk.refused(again, "milestone.not_found", "Milestone not found");
}

#[test]
fn a_project_is_changed_only_as_it_was_seen() {
    let mut desk = Desk::set();
    let id = desk.project("App");
    let seen = desk.world.state.project(&id).unwrap().changed;
    let guarded = |offset: Offset, name: &str| Command::IfMatch {
        tags: IfMatch::Offsets(vec![offset]),
        command: Box::new(update_project(&id, project(name)).into()),
    };
    desk.wish(guarded(seen, "Mine")).unwrap();
    let detail = "The resource has changed since it was read";
    desk.refused(guarded(seen, "Theirs"), "precondition.failed", detail);
}

#[test]
fn a_view_is_its_owners_and_a_default_ends_the_one_before() {
    let mut desk = Desk::set();
    let (owner, manager, viewer) = (member(Role::Owner), member(Role::Manager), member(Role::Viewer));
    let first = desk.make(TrackerCommand::CreateView(view(json!({ "name": "B", "is_default": true }))));
    let board = json!({ "name": "Z", "view_type": "board", "is_default": true, "shared": true });
    desk.make(TrackerCommand::CreateView(view(board)));
    let second = desk.make(TrackerCommand::CreateView(view(json!({ "name": "C", "is_default": true }))));
    let is_default = |desk: &Desk, id: &str| desk.world.state.saved_view(id).unwrap().facts.is_default;
    assert!(!is_default(&desk, &first) && is_default(&desk, &second));
    let theirs = TrackerCommand::CreateView(view(json!({ "name": "A", "is_default": true, "shared": true })));
    desk.wish_by(&manager, theirs).unwrap();
    assert!(is_default(&desk, &second), "another person's is another default");
    let names = |desk: &Desk, actor: &Actor| -> Vec<String> {
        let views = desk.world.state.views_for(actor.user().unwrap());
        views.into_iter().map(|view| view.facts.name.to_string()).collect()
    };
    assert_eq!(names(&desk, &owner), ["C", "Z", "A", "B"]);
    assert_eq!(names(&desk, &viewer), ["A", "Z"]);
    let patch = |id: &str| TrackerCommand::UpdateView {
        view: id.into(),
        patch: Ok(SavedViewDraft { name: Some("X".into()), ..SavedViewDraft::default() }),
    };
    let delete = |id: &str| TrackerCommand::DeleteView { view: id.into() };
    let refused = desk.wish_by(&manager, patch(&first)).expect_err("refused");
    assert_eq!(refused.detail, "Only the view owner can update it");
    let refused = desk.wish_by(&manager, delete(&first)).expect_err("refused");
    assert_eq!(refused.detail, "Only the view owner can delete it");
    desk.refused(delete("none"), "saved_view.not_found", "Saved view not found");
    desk.wish(patch(&first)).unwrap();
    desk.wish(delete(&first)).unwrap();
}

#[test]
fn a_view_has_a_name_and_filters_and_keeps_a_private_name_to_itself() {
    let mut desk = Desk::set();
    let create = |draft: Value| TrackerCommand::CreateView(serde_json::from_value(draft).unwrap());
    desk.refused(create(json!({})), "tracker.name_required", "name is required");
    let detail = "filters_json is required";
    desk.refused(create(json!({ "name": "A" })), "saved_view.filters_required", detail);
    let kind = create(json!({ "name": "A", "filters_json": "{}", "view_type": "map" }));
    desk.refused(kind, "tracker.word", "view_type must be one of: list, board");
    let drafts = desk.wish(TrackerCommand::CreateView(view(json!({ "name": "Secret" })))).unwrap();
    assert!(!format!("{:?}", drafts[0].face).contains("Secret"));
}

#[test]
fn a_rule_is_checked_whole_whatever_half_of_it_is_sent() {
    let mut desk = Desk::set();
    let mut refused = |draft: Value, detail: &str| {
        let refused = desk.wish(TrackerCommand::CreateRule(rule(draft))).expect_err("refused");
        assert_eq!(refused.detail, detail);
    };
    refused(json!({ "name": "" }), "name is required");
    refused(json!({ "pattern": "" }), "pattern is required");
    refused(json!({ "match_type": "glob" }), "match_type must be: contains, regex, or exact");
    refused(json!({ "match_type": null }), "match_type must be: contains, regex, or exact");
    let open = json!({ "match_type": "regex", "pattern": "(" });
    refused(open, "Invalid regex pattern: unclosed group");
    let large = json!({ "match_type": "regex", "pattern": r"\w{1000}{1000}" });
    refused(large, "Invalid regex pattern: Compiled regex exceeds size limit of 131072 bytes.");
    refused(json!({ "pattern": "x".repeat(1_001) }), "pattern must be at most 1000 characters");
    refused(json!({ "crew_id": "none" }), "crew_id does not exist in this workspace");
    refused(json!({ "assignee_id": "owner" }), "assignee_id does not exist in this workspace");
    refused(json!({ "project_id": "none" }), "project_id does not exist in this workspace");
    refused(json!({ "labels_json": "[\"none\"]" }), "label none does not exist in this workspace");
    refused(json!({ "labels_json": "none" }), "labels_json must be a JSON array of label ids");
    let id = desk.rule(json!({ "pattern": "(", "crew_id": OTHER_CREW, "priority": "low" }));
    let detail = "Invalid regex pattern: unclosed group";
    desk.refused(update_rule(&id, json!({ "match_type": "regex" })), "triage_rule.regex", detail);
    desk.refused(update_rule(&id, json!({})), "tracker.no_fields", "No fields to update");
    desk.wish(update_rule(&id, json!({ "crew_id": "", "priority": "" }))).unwrap();
    let facts = &desk.world.state.triage_rule(&id).unwrap().facts;
    assert_eq!((&facts.crew_id, facts.priority, facts.position, facts.enabled), (&None, None, 1, true));
    let second = desk.rule(json!({}));
    assert_eq!(desk.world.state.triage_rule(&second).unwrap().facts.position, 2);
}

#[test]
fn the_first_rule_that_fits_decides_and_whatever_it_changes_is_told() {
    let mut desk = Desk::set();
    let (label, project) = (desk.label("bug"), desk.project("App"));
    let all = json!({
        "name": "Bugs", "crew_id": OTHER_CREW, "assignee_id": WORKER, "priority": "high",
        "project_id": project, "labels_json": json!([label]).to_string(),
    });
    let first = desk.rule(all);
    desk.rule(json!({ "pattern": "^.+$", "match_type": "regex", "priority": "low" }));
    let exact = desk.rule(json!({ "pattern": "Exact", "match_type": "exact", "priority": "urgent" }));
    desk.wish(update_rule(&exact, json!({ "position": -1 }))).unwrap();
    let bug = desk.issue(json!({ "title": "A BUG in the door" }));
    let other = desk.issue(json!({ "title": "Paint it" }));
    let named = desk.issue(json!({ "title": "Exact" }));
    let owned = desk.issue(json!({ "title": "A bug too", "assignee_type": "agent", "assignee_id": LEAD }));
    let begun = desk.issue(json!({ "title": "A bug as well" }));
    desk.bring(&begun, &["IN_PROGRESS"]);
    let drafts = desk.wish(TrackerCommand::ProcessTriage).unwrap();
    let Some(Event::Tracker(TrackerEvent::TriageProcessed(told))) = &drafts.last().unwrap().event else {
        panic!("{drafts:?}");
    };
    assert_eq!((told.processed, told.matched, told.left_at.clone()), (3, 3, None));
    let issue = desk.found(&bug);
    assert_eq!((issue.crew_id.as_str(), issue.lead_agent_id.as_str()), (OTHER_CREW, OTHER_LEAD));
    assert!(issue.identifier.starts_with("PLA-"), "it keeps its identifier");
    assert_eq!(desk.world.state.issues.named(&issue.identifier).unwrap().id, issue.id);
    assert_eq!(issue.facts.assignee.as_ref().map(|party| &*party.id), Some(WORKER));
    assert_eq!(issue.facts.labels, vec![label.as_str().into()]);
    assert_eq!(issue.facts.project_id, Some(project.as_str().into()));
    let lines = activity(&drafts);
    for line in [("priority_changed", "high"), ("crew_changed", "other-crew"), ("triaged", "Bugs")] {
        assert!(lines.contains(&(line.0.into(), line.1.into())), "{line:?} in {lines:?}");
    }
    assert_eq!(desk.found(&other).facts.priority.as_str(), "low");
    assert_eq!(desk.found(&named).facts.priority.as_str(), "urgent");
    assert_eq!(desk.found(&owned).facts.priority.as_str(), "none");
    assert_eq!(desk.found(&begun).facts.priority.as_str(), "none");
    let count = |desk: &Desk, id: &str| desk.world.state.triage_rule(id).unwrap().match_count;
    assert_eq!((count(&desk, &first), count(&desk, &exact)), (1, 1));
    // What already is as its rule wants it is no new fact.
    assert_eq!(desk.world.state.triage_ahead(), 2);
    let drafts = desk.wish(TrackerCommand::ProcessTriage).unwrap();
    let Some(Event::Tracker(TrackerEvent::TriageProcessed(told))) = &drafts[0].event else {
        panic!("{drafts:?}");
    };
    assert_eq!((drafts.len(), told.processed, told.matched), (1, 2, 0), "that it was looked at is told");
}

#[test]
fn rules_that_are_off_or_missing_do_nothing() {
    let mut desk = Desk::set();
    let issue = desk.issue(json!({ "title": "bug" }));
    desk.nothing(TrackerCommand::ProcessTriage);
    assert_eq!(desk.world.state.triage_ahead(), 0);
    let rule = desk.rule(json!({ "priority": "high" }));
    desk.wish(update_rule(&rule, json!({ "enabled": false }))).unwrap();
    desk.nothing(TrackerCommand::ProcessTriage);
    assert_eq!(desk.found(&issue).facts.priority.as_str(), "none");
}

#[test]
fn a_rule_whose_crew_has_nobody_to_lead_it_leaves_the_crew() {
    let mut desk = Desk::set();
    let lonely =
        CrewPatch { name: Some("Lonely".into()), slug: Some("lonely".into()), ..CrewPatch::default() };
    let lonely = desk.make(RosterCommand::CreateCrew(lonely));
    desk.rule(json!({ "crew_id": lonely, "priority": "low" }));
    let issue = desk.issue(json!({ "title": "bug" }));
    desk.wish(TrackerCommand::ProcessTriage).unwrap();
    let issue = desk.found(&issue);
    assert_eq!((issue.crew_id.as_str(), issue.facts.priority.as_str()), (CREW, "low"));
}

#[test]
fn triage_stops_before_a_batch_is_full_and_goes_on_where_it_stopped() {
    let mut desk = Desk::set();
    desk.rule(json!({ "crew_id": OTHER_CREW, "assignee_id": WORKER, "priority": "low" }));
    for number in 0..503 {
        desk.issue(json!({ "title": format!("bug {number}") }));
    }
    let mut counts = vec![];
    for _ in 0..2 {
        let drafts = desk.wish(TrackerCommand::ProcessTriage).unwrap();
        assert!(drafts.len() < 4_096, "{}", drafts.len());
        let Some(Event::Tracker(TrackerEvent::TriageProcessed(told))) = &drafts.last().unwrap().event else {
            panic!("nothing was processed");
        };
        counts.push((told.processed, told.matched, told.left_at.is_some()));
    }
    assert_eq!(counts, [(500, 500, true), (3, 3, false)]);
}

#[test]
fn triage_stops_when_its_expressions_have_cost_enough() {
    let mut desk = Desk::set();
    for number in 0..10 {
        let pattern = format!(r"[a-y]{{3}}\w{number} nothing like it");
        desk.rule(json!({ "pattern": pattern, "match_type": "regex", "priority": "low" }));
    }
    for number in 0..80 {
        desk.issue(json!({ "title": format!("{number} {}", "a long title ".repeat(38)) }));
    }
    let mut processed = 0;
    for round in 1.. {
        let drafts = desk.wish(TrackerCommand::ProcessTriage).unwrap();
        let Some(Event::Tracker(TrackerEvent::TriageProcessed(told))) = &drafts[0].event else {
            panic!("nothing was processed");
        };
        assert!(told.processed < 80);
        processed += told.processed;
        if told.left_at.is_none() {
            assert!(processed == 80 && round > 1, "{processed} in {round}");
            break;
        }
    }
}

#[test]
fn texts_and_labels_are_bounded() {
    let mut desk = Desk::set();
    let long = |most: usize| Some("x".repeat(most + 1));
    let color = LabelDraft { color: long(100), ..label("bug") };
    let detail = "color must be at most 100 characters";
    desk.refused(TrackerCommand::CreateLabel(color), "tracker.text_too_long", detail);
    let group = LabelDraft { label_group: long(100), ..label("bug") };
    let detail = "label_group must be at most 100 characters";
    desk.refused(TrackerCommand::CreateLabel(group), "tracker.text_too_long", detail);
    let described = ProjectDraft { description: long(10_000), ..project("App") };
    let detail = "description must be at most 10000 characters";
    desk.refused(TrackerCommand::CreateProject(described.into()), "tracker.text_too_long", detail);
    let labels: Vec<String> = (0..101).map(|number| desk.label(&format!("l{number}"))).collect();
    let issue = desk.issue(json!({ "title": "One", "labels": labels[..99] }));
    let refused = desk.patch(&issue, json!({ "labels": labels })).unwrap_err();
    assert_eq!((refused.code, &*refused.detail), ("label.too_many", "labels must be at most 100"));
    desk.rule(json!({ "pattern": "One", "labels_json": json!(labels[99..]).to_string() }));
    desk.wish(TrackerCommand::ProcessTriage).unwrap();
    assert_eq!(desk.found(&issue).facts.labels.len(), 100, "a rule adds no more than there may be");
}

/// Nine o'clock on the day after the stage was set: the epoch.
const NINE: u64 = 9 * 60 * 60 * 1_000;
const DAY: u64 = 24 * 60 * 60 * 1_000;

#[test]
fn a_template_is_checked_in_order() {
    let mut desk = Desk::set();
    let mut refused = |draft: Value, detail: &str| {
        let refused = desk.wish(TrackerCommand::CreateRecurring(template(draft))).expect_err("refused");
        assert_eq!(refused.detail, detail);
    };
    refused(json!({ "crew_id": "", "title": "" }), "crew_id is required");
    refused(json!({ "title": "", "cron_expression": "" }), "title is required");
    refused(json!({ "cron_expression": "", "crew_id": "none" }), "cron_expression is required");
    let fields = "Invalid cron expression: expected exactly 5 fields, found 6";
    refused(json!({ "cron_expression": "0 0 * * * *", "crew_id": "none" }), fields);
    let never = "Invalid cron expression: it is never due";
    refused(json!({ "cron_expression": "0 0 30 2 *" }), never);
    refused(json!({ "crew_id": "none", "assignee_id": "x" }), "Crew not found in workspace");
    let kind = "assignee_type must be 'user' or 'agent' when assignee_id is set";
    refused(json!({ "assignee_id": LEAD, "project_id": "none" }), kind);
    refused(json!({ "project_id": "none" }), "project_id does not exist in this workspace");
    refused(json!({ "milestone_id": "none" }), "milestone_id does not exist in this workspace");
    refused(json!({ "priority": "x" }), "priority must be one of: none, low, medium, high, urgent");
}

#[test]
fn a_template_makes_one_issue_each_time_and_missed_times_are_one() {
    let mut desk = Desk::set();
    let (label, project) = (desk.label("chore"), desk.project("App"));
    let milestone = desk.milestone(&project, "Beta");
    let id = desk.template(json!({
        "description": "All of them", "priority": "low", "milestone_id": milestone,
        "assignee_type": "agent", "assignee_id": WORKER, "labels_json": json!([label]).to_string(),
    }));
    assert_eq!(desk.world.state.recurring(&id).unwrap().next_run, Some(Time(NINE)));
    assert_eq!(desk.fire(Time(NINE - 1)), vec![]);
    let names: Vec<String> =
        desk.world.state.recurring_due(Time(NINE)).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [format!("recurring:{id}:{NINE}")]);
    // Three days were missed, and it is half an hour past nine.
    let late = Time(NINE + 3 * DAY + DAY / 48);
    let drafts = desk.fire(late);
    assert_eq!(drafts.len(), 2, "the issue and the schedule, in one batch");
    let issue = desk.found(&drafts[0].subject);
    assert_eq!((&*issue.title, &*issue.authored_via), ("Water the plants", "recurring"));
    assert_eq!(issue.author.as_ref().map(|author| &*author.id), Some("owner"));
    assert_eq!(issue.facts.project_id, Some(project.as_str().into()));
    assert_eq!(issue.facts.labels, vec![label.as_str().into()]);
    let face = drafts[0].face.as_ref().expect("seen");
    assert!(face.payload.get().contains("\"action\":\"created\""));
    let found = desk.world.state.recurring(&id).unwrap();
    assert_eq!((found.run_count, found.last_run), (1, Some(late)));
    assert_eq!(found.next_run, Some(Time(NINE + 4 * DAY)));
    assert_eq!(desk.fire(late), vec![]);
    let again = TrackerCommand::FireRecurring { recurring: id.as_str().into(), due: Time(NINE) };
    assert_eq!(desk.wish_at(late, &Actor::Orchestrator, again.clone().into()).unwrap(), vec![]);
    assert!(desk.wish(again).is_err(), "nobody fires by hand");
}

#[test]
fn what_keeps_a_template_from_making_an_issue_is_kept_with_it() {
    let mut desk = Desk::set();
    let id = desk.template(json!({ "assignee_type": "agent", "assignee_id": WORKER }));
    desk.wish(RosterCommand::DeleteAgent { agent: WORKER.into() }).unwrap();
    let drafts = desk.fire(Time(NINE));
    assert_eq!(drafts.len(), 1);
    let found = desk.world.state.recurring(&id).unwrap();
    let error: Option<Text> = Some("assignee_id does not exist in this workspace".into());
    assert_eq!((&found.last_error, found.run_count, found.last_run), (&error, 0, None));
    assert_eq!((found.facts.enabled, found.next_run), (true, Some(Time(NINE + DAY))));
    desk.wish(update_template(&id, json!({ "assignee_id": "" }))).unwrap();
    assert_eq!(desk.fire(Time(NINE + DAY)).len(), 2);
    assert_eq!(desk.world.state.recurring(&id).unwrap().last_error, None);
}

#[test]
fn a_schedule_that_makes_no_sense_any_more_is_switched_off() {
    let mut desk = Desk::set();
    let id = desk.template(json!({}));
    let mut broken = (**desk.world.state.tracker.recurring.get(id.as_str()).unwrap()).clone();
    broken.facts.cron_expression = "nonsense".into();
    desk.world.state.tracker.recurring.insert(broken.id.clone(), broken.into());
    let drafts = desk.fire(Time(NINE));
    assert_eq!(drafts.len(), 1);
    let found = desk.world.state.recurring(&id).unwrap();
    assert_eq!((found.facts.enabled, found.next_run), (false, None));
    assert!(found.last_error.as_deref().unwrap().starts_with("Invalid cron expression: "));
    assert!(desk.world.state.tracker.schedule.is_empty());
}

#[test]
fn a_template_that_is_switched_on_again_counts_from_now() {
    let mut desk = Desk::set();
    let id = desk.template(json!({}));
    desk.wish(update_template(&id, json!({ "enabled": false }))).unwrap();
    assert_eq!(desk.world.state.recurring(&id).unwrap().next_run, None);
    assert_eq!(desk.fire(Time(NINE + DAY)), vec![]);
    let on = update_template(&id, json!({ "enabled": true }));
    desk.wish_at(Time(NINE + 2 * DAY + 1), &member(Role::Manager), on.into()).unwrap();
    assert_eq!(desk.world.state.recurring(&id).unwrap().next_run, Some(Time(NINE + 3 * DAY)));
    let moved = update_template(&id, json!({ "cron_expression": "0 10 * * *" }));
    desk.wish(moved).unwrap();
    let hour = 60 * 60 * 1_000;
    assert_eq!(desk.world.state.recurring(&id).unwrap().next_run, Some(Time(NINE + 2 * DAY + hour)));
    desk.wish(TrackerCommand::DeleteRecurring { recurring: id.as_str().into() }).unwrap();
    assert!(desk.world.state.tracker.schedule.is_empty());
    let gone = update_template(&id, json!({}));
    desk.refused(gone, "recurring.not_found", "Recurring issue not found");
}

#[test]
fn subscribers_are_told_texts_and_of_views_nothing() {
    let mut desk = Desk::set();
    let project = desk.project("App");
    let mut told = |command: TrackerCommand| -> Vec<(&'static str, Value)> {
        let drafts = desk.wish(command).unwrap();
        let draft = drafts.last().unwrap().clone();
        let entry = draft.at(desk.world.head(), desk.world.time(), member(Role::Owner));
        let notices = desk.world.notices(&entry);
        notices.into_iter().map(|notice| (notice.event, notice.payload)).collect()
    };
    assert_eq!(told(TrackerCommand::CreateLabel(label("bug")))[0].0, "label.created");
    assert_eq!(told(TrackerCommand::CreateView(view(json!({})))), vec![]);
    let draft = MilestoneDraft { name: Some("Beta".into()), ..MilestoneDraft::default() };
    let made = told(TrackerCommand::CreateMilestone { project: project.as_str().into(), draft: Ok(draft) });
    assert_eq!((made[0].0, &made[0].1["project_id"]), ("milestone.created", &json!(project)));
    told(TrackerCommand::CreateRule(rule(json!({ "priority": "low" }))));
    desk.issue(json!({ "title": "bug" }));
    let drafts = desk.wish(TrackerCommand::ProcessTriage).unwrap();
    let last = drafts.last().unwrap().clone().at(desk.world.head(), desk.world.time(), Actor::System);
    let notices = desk.world.notices(&last);
    assert_eq!(notices[0].event, "triage.processed");
    assert_eq!(notices[0].payload, json!({ "processed": "1", "matched": "1" }));
}
