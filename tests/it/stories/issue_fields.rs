//! What a PATCH may change of an issue, and what it says of it (`issues.md` 6.4, 10, 15.3).

use serde_json::json;
use taffrail_domain::issue::{IssueCommand, IssueDraft, IssueEvent, IssuePatch, Party};
use taffrail_domain::roster::RosterCommand;
use taffrail_domain::{Event, MissionId};

use super::desk::{change, detail, line, named, titled, to};
use super::kit::WORKER;
use super::play::Play;

fn read(body: serde_json::Value) -> IssuePatch {
    serde_json::from_value(body).expect("a patch")
}

/// A desk with one issue that has everything.
fn full() -> (Play, MissionId) {
    let mut play = Play::desk();
    let parent = play.issue("Whole");
    let issue = play.create(IssueDraft {
        description: Some("Žluť".into()),
        priority: Some("high".into()),
        assignee_type: Some("agent".into()),
        assignee_id: Some(WORKER.into()),
        due_date: Some("2026-12-24".into()),
        project_id: Some("p1".into()),
        milestone_id: Some("m1".into()),
        parent_issue_id: Some(parent.as_str().into()),
        estimate: Some(5),
        labels: Some(vec!["bug".into()]),
        routine_id: Some("r1".into()),
        routine_inputs: Some(json!({ "a": 1 })),
        ..titled("Fix it")
    });
    (play, issue)
}

#[test]
fn nothing_and_nulls_are_no_fields() {
    let (mut play, issue) = full();
    let nulls = json!({
        "title": null, "description": null, "status": null, "priority": null, "assignee_type": null,
        "due_date": null, "project_id": null, "milestone_id": null, "parent_issue_id": null,
        "sort_order": null, "labels": null, "routine_id": null, "routine_inputs": null, "unknown": 1,
    });
    for body in [json!({}), json!({ "description": null }), nulls] {
        assert_eq!(detail(play.try_patch(&issue, read(body))), "No fields to update");
    }
}

#[test]
fn null_clears_only_the_estimate_and_the_assignee() {
    let (mut play, issue) = full();
    play.patch(&issue, read(json!({ "estimate": null })));
    assert_eq!(play.found(&issue).facts.estimate, None);
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&WORKER.into())));
    play.patch(&issue, read(json!({ "assignee_id": null })));
    assert_eq!(play.found(&issue).facts.assignee, None);
    assert_eq!(play.last_line(&issue), line("assignee_changed", "assignee_id: "));
    for (body, ok) in [
        (json!("5"), false),
        (json!(2.5), false),
        (json!(true), false),
        (json!([1]), false),
        (json!(-3), true),
    ] {
        let outcome = play.try_patch(&issue, read(json!({ "estimate": body })));
        match ok {
            true => drop(outcome.expect("granted")),
            false => assert_eq!(detail(outcome), "estimate must be a number or null"),
        }
    }
    assert_eq!(play.found(&issue).facts.estimate, Some(-3));
}

#[test]
fn empty_clears_what_points_somewhere_and_is_refused_where_something_must_be() {
    let (mut play, issue) = full();
    let refused = [
        (json!({ "title": " " }), "title is required"),
        (json!({ "title": "x".repeat(501) }), "title must be at most 500 characters"),
        (json!({ "priority": "" }), "priority must be one of: none, low, medium, high, urgent"),
        (json!({ "priority": "High" }), "priority must be one of: none, low, medium, high, urgent"),
        (json!({ "status": "" }), "Invalid status transition from BACKLOG to "),
        (json!({ "due_date": "24.12.2026" }), "due_date must be YYYY-MM-DD or an RFC 3339 timestamp"),
        (json!({ "due_date": "2026-13-01" }), "due_date must be YYYY-MM-DD or an RFC 3339 timestamp"),
        (json!({ "project_id": "none" }), "project_id does not exist in this workspace"),
        (json!({ "milestone_id": "none" }), "milestone_id does not exist in this workspace"),
        (json!({ "parent_issue_id": "none" }), "parent_issue_id does not exist in this workspace"),
        (json!({ "routine_id": "none" }), "routine_id does not exist in this workspace"),
        (json!({ "labels": ["bug", "none"] }), "label none does not exist in this workspace"),
        (json!({ "routine_inputs": [] }), "routine_inputs is not valid JSON"),
        (json!({ "routine_inputs": { "a": "b".repeat(64 << 10) } }), "routine_inputs are larger than 64 KiB"),
    ];
    for (body, expected) in refused {
        assert_eq!(detail(play.try_patch(&issue, read(body.clone()))), expected, "{body}");
    }
    let cleared = json!({
        "description": "", "assignee_id": "", "due_date": "", "project_id": "", "milestone_id": "",
        "parent_issue_id": "", "labels": [], "routine_id": "",
    });
    play.patch(&issue, read(cleared));
    let found = play.found(&issue);
    assert_eq!(found.description.as_deref(), Some(""));
    let facts = &found.facts;
    assert_eq!((&facts.assignee, &facts.due_date, &facts.project_id), (&None, &None, &None));
    assert_eq!((&facts.milestone_id, &facts.parent_issue_id, &facts.routine_id), (&None, &None, &None));
    assert!(facts.labels.is_empty() && facts.routine_inputs.is_empty());
    assert!(play.world.state.issues.by_label.is_empty() && play.world.state.issues.children.is_empty());
    play.holds_together();
}

#[test]
fn a_timestamp_is_a_due_date_and_is_kept_as_it_was_sent() {
    let (mut play, issue) = full();
    for date in ["2026-12-24T18:00:00Z", "2026-12-24T18:00:00.5+01:00", "2028-02-29"] {
        play.patch(&issue, read(json!({ "due_date": date })));
        assert_eq!(play.found(&issue).facts.due_date.as_deref(), Some(date));
    }
    for date in ["2026-12-24 ", "20261224", "2026-12-24T18:00:00", "2027-02-29"] {
        let outcome = play.try_patch(&issue, read(json!({ "due_date": date })));
        assert_eq!(detail(outcome), "due_date must be YYYY-MM-DD or an RFC 3339 timestamp", "{date}");
    }
}

#[test]
fn one_patch_is_one_change_and_says_each_thing_in_its_own_line() {
    let (mut play, issue) = full();
    let parent = play.issue("Other whole");
    let before = play.lines(&issue).len();
    let body = json!({
        "title": "New", "description": "Čau", "status": "TODO", "priority": "urgent", "sort_order": 2.5,
        "assignee_id": "member", "labels": ["ui"], "parent_issue_id": parent, "due_date": "2027-01-01",
        "estimate": 8, "routine_inputs": { "b": 2 },
    });
    let made = play.try_patch(&issue, read(body.clone())).expect("granted");
    let is_change = |event: &Event| matches!(event, Event::Issue(IssueEvent::IssueUpdated(_)));
    let changes = made.iter().filter(|entry| entry.event.as_ref().is_some_and(is_change));
    assert_eq!(changes.count(), 1);
    assert_eq!(
        play.lines(&issue)[before..],
        [
            line("status_changed", "BACKLOG → TODO"),
            line("assignee_changed", "assignee_id: member"),
            line("priority_changed", "urgent"),
            line("description_changed", "description updated (4 → 3 chars)"),
            line("parent_changed", "PLA-3"),
        ]
    );
    let found = play.found(&issue);
    assert_eq!(found.facts.assignee, Some(Party::user(&"member".into())), "found out: a member");
    assert_eq!(found.facts.routine_inputs, json!({ "b": 2 }).into(), "replaced, not merged");
    assert_eq!((&*found.title, found.facts.sort_order, found.facts.estimate), ("New", 2.5, Some(8)));
    // Again, without the status: nothing is different, and nothing is written.
    let mut again = read(body);
    again.status = None;
    assert_eq!(play.try_patch(&issue, again).expect("granted"), vec![]);
    play.holds_together();
}

#[test]
fn a_description_is_told_by_its_length_and_only_if_it_differs() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let describe = |text: &str| IssuePatch { description: Some(text.into()), ..change() };
    play.patch(&issue, describe(""));
    assert_eq!(play.lines(&issue).len(), 1, "nothing is nothing");
    play.patch(&issue, describe("Žluť"));
    assert_eq!(play.last_line(&issue), line("description_changed", "description set (4 chars)"));
    play.patch(&issue, describe("Žlutá"));
    assert_eq!(play.last_line(&issue), line("description_changed", "description updated (4 → 5 chars)"));
    play.patch(&issue, describe(""));
    assert_eq!(play.last_line(&issue), line("description_changed", "description cleared (was 5 chars)"));
    let told = play.entries.iter().filter_map(|entry| entry.face.as_ref());
    assert!(!told.into_iter().any(|face| face.payload.get().contains("Žlut")), "what it says is not told");
}

#[test]
fn labels_alone_are_a_change_without_a_line() {
    let (mut play, issue) = full();
    let lines = play.lines(&issue).len();
    let made = play.try_patch(&issue, read(json!({ "labels": [] }))).expect("granted");
    assert_eq!(made.len(), 1);
    assert_eq!(play.lines(&issue).len(), lines);
    assert!(play.found(&issue).facts.labels.is_empty());
    play.patch(&issue, read(json!({ "labels": ["ui", "docs", "ui"] })));
    assert_eq!(play.found(&issue).facts.labels, ["ui".into(), "docs".into()]);
    play.holds_together();
}

#[test]
fn an_assignee_is_a_member_or_an_agent_of_the_workspace() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let assign = |kind: Option<&str>, id: &str| IssuePatch {
        assignee_type: kind.map(Into::into),
        assignee_id: Some(Some(id.into())),
        ..change()
    };
    play.patch(&issue, assign(None, "member"));
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::user(&"member".into())));
    play.patch(&issue, assign(None, WORKER));
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&WORKER.into())));
    let missing = "assignee_id does not exist in this workspace";
    let types = "assignee_type must be 'user' or 'agent' when assignee_id is set";
    for (kind, id, expected) in [
        (None, "stranger", missing),
        (Some("user"), WORKER, missing),
        (Some("agent"), "member", missing),
        (Some("robot"), WORKER, types),
    ] {
        assert_eq!(detail(play.try_patch(&issue, assign(kind, id))), expected, "{kind:?} {id}");
    }
    let kind_alone = |kind: &str| IssuePatch { assignee_type: Some(kind.into()), ..change() };
    assert_eq!(detail(play.try_patch(&issue, kind_alone("robot"))), types);
    let contradicts = detail(play.try_patch(&issue, kind_alone("user")));
    assert_eq!(contradicts, "assignee_type does not match assignee_id");
    assert_eq!(play.try_patch(&issue, kind_alone("agent")).expect("granted"), vec![]);
    play.manager(RosterCommand::UpdateAgent {
        agent: WORKER.into(),
        patch: taffrail_domain::roster::AgentPatch { name: Some("Ann".into()), ..Default::default() },
    });
    let admin = super::kit::member(taffrail_domain::roster::Role::Admin);
    play.wish(&admin, RosterCommand::DeleteAgent { agent: WORKER.into() }).expect("granted");
    assert_eq!(detail(play.try_patch(&issue, assign(None, WORKER))), missing, "gone");
    play.patch(&issue, IssuePatch { title: Some("Other".into()), ..change() });
    assert!(play.found(&issue).facts.assignee.is_some(), "who was on it stays named");
}

fn below(play: &mut Play, issue: &MissionId, parent: &MissionId) -> Result<(), String> {
    let patch = IssuePatch { parent_issue_id: Some(parent.as_str().into()), ..change() };
    play.try_patch(issue, patch).map(drop).map_err(|refused| refused.detail.into_owned())
}

#[test]
fn a_parent_is_never_the_issue_itself_or_below_it() {
    let mut play = Play::desk();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|title| play.issue(title));
    assert_eq!(below(&mut play, &a, &a), Err("parent_issue_id cannot be the issue itself".into()));
    let by_name = IssuePatch { parent_issue_id: Some("pla-1".into()), ..change() };
    assert_eq!(detail(play.try_patch(&a, by_name)), "parent_issue_id cannot be the issue itself");
    let cycle = Err("parent_issue_id would create a cycle".to_owned());
    assert_eq!(below(&mut play, &b, &a), Ok(()));
    assert_eq!(below(&mut play, &a, &b), cycle);
    assert_eq!(below(&mut play, &c, &b), Ok(()));
    assert_eq!(below(&mut play, &a, &c), cycle);
    assert_eq!(below(&mut play, &d, &c), Ok(()));
    assert_eq!(below(&mut play, &b, &d), cycle);
    assert_eq!(below(&mut play, &d, &a), Ok(()), "up is fine");
    play.holds_together();
}

#[test]
fn an_old_circle_elsewhere_is_none_of_its_business_and_a_line_too_long_counts_as_one() {
    let mut play = Play::desk();
    let [a, b, c] = ["a", "b", "c"].map(|title| play.issue(title));
    let circle = |play: &mut Play, issue: &MissionId, parent: &MissionId| {
        let all = &mut play.world.state.issues.all;
        let mut bent = (*all[issue]).clone();
        bent.facts.parent_issue_id = Some(parent.clone());
        all.insert(issue.clone(), bent.into());
    };
    circle(&mut play, &a, &b);
    circle(&mut play, &b, &a);
    assert_eq!(below(&mut play, &c, &a), Ok(()));
    let mut play = Play::desk();
    let line: Vec<MissionId> = (0..65).map(|number| play.issue(&format!("issue {number}"))).collect();
    for pair in line.windows(2) {
        below(&mut play, &pair[1], &pair[0]).expect("granted");
    }
    let one = play.issue("one");
    assert_eq!(below(&mut play, &one, &line[63]), Ok(()), "64 hops");
    assert_eq!(below(&mut play, &one, &line[64]), Err("parent_issue_id would create a cycle".into()));
}

#[test]
fn a_milestone_belongs_to_the_project() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let both = |play: &Play| {
        let facts = &play.found(&issue).facts;
        let text = |id: Option<&str>| id.unwrap_or("-").to_owned();
        let project = text(facts.project_id.as_ref().map(|id| id.as_str()));
        (project, text(facts.milestone_id.as_ref().map(|id| id.as_str())))
    };
    let is = |project: &str, milestone: &str| (project.to_owned(), milestone.to_owned());
    play.patch(&issue, read(json!({ "milestone_id": "m1" })));
    assert_eq!(both(&play), is("p1", "m1"), "it brings its own project");
    let foreign = "milestone_id does not belong to project_id";
    assert_eq!(detail(play.try_patch(&issue, read(json!({ "milestone_id": "m2" })))), foreign);
    let body = json!({ "milestone_id": "m1", "project_id": "p2" });
    assert_eq!(detail(play.try_patch(&issue, read(body))), foreign);
    play.patch(&issue, read(json!({ "project_id": "p2" })));
    assert_eq!(both(&play), is("p2", "-"), "what is left of the old project goes");
    play.patch(&issue, read(json!({ "milestone_id": "m1", "project_id": "p1" })));
    assert_eq!(both(&play), is("p1", "m1"));
    play.patch(&issue, read(json!({ "milestone_id": "" })));
    assert_eq!(both(&play), is("p1", "-"));
    play.patch(&issue, read(json!({ "milestone_id": "m1" })));
    play.patch(&issue, read(json!({ "project_id": "" })));
    assert_eq!(both(&play), is("-", "-"));
    play.holds_together();
}

#[test]
fn inputs_need_a_routine_and_go_with_it() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let without = "routine_inputs provided without routine_id";
    assert_eq!(detail(play.try_patch(&issue, read(json!({ "routine_inputs": {} })))), without);
    let body = json!({ "routine_id": "", "routine_inputs": { "a": 1 } });
    assert_eq!(detail(play.try_patch(&issue, read(body))), without);
    play.patch(&issue, read(json!({ "routine_id": "r1", "routine_inputs": { "a": 1 } })));
    play.patch(&issue, read(json!({ "routine_id": "r2" })));
    assert_eq!(play.found(&issue).facts.routine_inputs, json!({ "a": 1 }).into());
    play.patch(&issue, read(json!({ "routine_id": "" })));
    assert!(play.found(&issue).facts.routine_inputs.is_empty());
    assert!(play.world.state.issues.by_routine.is_empty());
}

#[test]
fn a_bad_field_leaves_the_issue_as_it_was_and_fields_come_before_the_transition() {
    let (mut play, issue) = full();
    let before = play.found(&issue).clone();
    let body = json!({ "title": "New", "labels": ["ui"], "priority": "low", "status": "DONE" });
    let detail_of = |play: &mut Play, body| detail(play.try_patch(&issue, read(body)));
    assert_eq!(detail_of(&mut play, body), "Invalid status transition from BACKLOG to DONE");
    let mut bad = json!({
        "status": "DONE", "routine_id": "none", "milestone_id": "none", "parent_issue_id": "none",
        "estimate": "x", "project_id": "none", "assignee_id": "none",
    });
    for (field, good, expected) in [
        ("assignee_id", json!(WORKER), "assignee_id does not exist in this workspace"),
        ("project_id", json!("p2"), "project_id does not exist in this workspace"),
        ("estimate", json!(1), "estimate must be a number or null"),
        ("parent_issue_id", json!(""), "parent_issue_id does not exist in this workspace"),
        ("milestone_id", json!("m2"), "milestone_id does not exist in this workspace"),
        ("routine_id", json!("r2"), "routine_id does not exist in this workspace"),
        ("status", json!("TODO"), "Invalid status transition from BACKLOG to DONE"),
    ] {
        assert_eq!(detail_of(&mut play, bad.clone()), expected);
        assert_eq!(*play.found(&issue), before);
        bad[field] = good;
    }
    play.patch(&issue, read(bad));
}

#[test]
fn an_unknown_issue_is_not_found_before_its_patch_is_looked_at() {
    let mut play = Play::desk();
    let issue = MissionId::from("PLA-9");
    assert_eq!(detail(play.try_patch(&issue, change())), "Issue not found");
    assert_eq!(
        detail(play.ask(IssueCommand::Update { issue: named(&issue), patch: to("X").into() })),
        "Issue not found"
    );
}
