//! One set of changes for many issues (`issues.md` 7).

use serde_json::{Value, json};
use taffrail_domain::issue::{BulkDraft, IssueCommand, IssueEvent, IssueStatus};
use taffrail_domain::{Entry, Event, MissionId};

use super::desk::{detail, line, refused};
use super::kit::WORKER;
use super::play::Play;

fn bulk(ids: impl IntoIterator<Item = impl ToString>, updates: Value) -> IssueCommand {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    let draft: BulkDraft = serde_json::from_value(json!({ "ids": ids, "updates": updates })).expect("a body");
    IssueCommand::Bulk(draft.into())
}

/// How many were changed, as the event tells it; without one it is none.
fn count(made: &[Entry]) -> u32 {
    let mut counts = made.iter().filter_map(|entry| match entry.event.as_ref()? {
        Event::Issue(IssueEvent::IssuesBulkUpdated(bulk)) => Some(bulk.count),
        _ => None,
    });
    let count = counts.next();
    assert_eq!(counts.next(), None, "told once");
    count.unwrap_or(0)
}

fn update(play: &mut Play, ids: impl IntoIterator<Item = impl ToString>, updates: Value) -> u32 {
    count(&play.ask(bulk(ids, updates)).expect("granted"))
}

#[test]
fn ids_are_required_and_a_hundred_are_the_most() {
    let mut play = Play::desk();
    for body in [json!({}), json!({ "ids": null }), json!({ "ids": [], "updates": { "status": "TODO" } })] {
        let draft: BulkDraft = serde_json::from_value(body).expect("a body");
        let outcome = play.ask(IssueCommand::Bulk(draft.into()));
        assert_eq!(refused(outcome), ("issue.ids_required", "ids is required".into()));
    }
    let many = |count| (0..count).map(|number| format!("id{number}"));
    let outcome = play.ask(bulk(many(101), json!({ "status": "TODO" })));
    assert_eq!(detail(outcome), "Maximum 100 issues per bulk update");
    assert_eq!(update(&mut play, many(100), json!({ "status": "TODO" })), 0, "unknown ones are skipped");
}

#[test]
fn every_cell_of_the_table_holds_in_bulk_and_the_others_are_skipped() {
    for from in IssueStatus::ALL {
        for to in IssueStatus::ALL {
            let mut play = Play::desk();
            let issue = play.issue_in(*from);
            let updates = json!({ "status": to, "priority": "urgent" });
            let count = update(&mut play, [&issue], updates);
            if from.may_become(*to) {
                assert_eq!((count, play.status(&issue)), (1, *to));
                let found = play.found(&issue);
                let is_over = matches!(to, IssueStatus::Done | IssueStatus::Cancelled);
                assert_eq!(found.completed_at.is_some(), is_over);
                let lines = play.lines(&issue);
                let expected = [
                    line("status_changed", &format!("{from} -> {to} (bulk)")),
                    line("priority_changed", "urgent (bulk)"),
                ];
                assert_eq!(lines[lines.len() - 2..], expected);
            } else {
                assert_eq!((count, play.status(&issue)), (0, *from));
                assert_eq!(play.found(&issue).facts.priority.as_str(), "none", "skipped entirely");
            }
        }
    }
}

#[test]
fn what_is_illegal_for_one_is_done_to_the_others() {
    let mut play = Play::desk();
    let ids: Vec<MissionId> = (0..50).map(|number| play.issue(&format!("issue {number}"))).collect();
    for id in &ids[..3] {
        play.patch(id, super::desk::to("CANCELLED"));
    }
    assert_eq!(update(&mut play, &ids, json!({ "status": "IN_PROGRESS" })), 47);
    play.holds_together();
}

#[test]
fn a_no_op_is_not_counted() {
    let mut play = Play::desk();
    let (one, two) = (play.issue("one"), play.issue("two"));
    let updates = json!({ "priority": "high", "assignee_type": "agent", "assignee_id": WORKER });
    assert_eq!(update(&mut play, [&one], updates.clone()), 1);
    assert_eq!(
        play.lines(&one)[1..],
        [line("assignee_changed", "assignee_id: worker (bulk)"), line("priority_changed", "high (bulk)"),]
    );
    assert_eq!(update(&mut play, [&one, &two], updates), 1);
    for empty in [json!({}), json!(null), json!({ "status": null, "labels": null })] {
        assert_eq!(play.ask(bulk([&one], empty)).expect("granted"), vec![]);
    }
}

#[test]
fn one_issue_named_twice_is_changed_once() {
    let mut play = Play::desk();
    let (one, two) = (play.issue("one"), play.issue("two"));
    let ids = [one.as_str(), "PLA-1", "pla-1", two.as_str(), one.as_str(), "nothing"];
    assert_eq!(update(&mut play, ids, json!({ "status": "TODO" })), 2);
    assert_eq!(play.lines(&one).len(), 2);
    // Back and forth would be legal a second time.
    assert_eq!(update(&mut play, ["PLA-1", one.as_str()], json!({ "status": "BACKLOG" })), 1);
}

#[test]
fn labels_alone_are_changed_and_counted_and_unknown_ones_are_ignored() {
    let mut play = Play::desk();
    let (one, two) = (play.issue("one"), play.issue("two"));
    assert_eq!(update(&mut play, [&one, &two], json!({ "labels": ["bug", "none", "bug"] })), 2);
    assert_eq!(play.found(&one).facts.labels, ["bug".into()]);
    assert_eq!(update(&mut play, [&one, &two], json!({ "labels": ["bug"] })), 0);
    assert_eq!(update(&mut play, [&two], json!({ "labels": [] })), 1);
    assert!(play.found(&two).facts.labels.is_empty());
    assert_eq!(play.lines(&two).len(), 1, "labels have no line");
    play.holds_together();
}

#[test]
fn a_bad_reference_skips_the_issue_and_empty_unlinks() {
    let mut play = Play::desk();
    let one = play.issue("one");
    for updates in [
        json!({ "assignee_id": "nobody", "priority": "low" }),
        json!({ "assignee_type": "user", "assignee_id": WORKER, "priority": "low" }),
        json!({ "project_id": "none", "priority": "low" }),
        json!({ "priority": "soon" }),
    ] {
        assert_eq!(update(&mut play, [&one], updates), 0);
    }
    assert_eq!(play.found(&one).facts.priority.as_str(), "none");
    assert_eq!(update(&mut play, [&one], json!({ "project_id": "p1", "assignee_id": WORKER })), 1);
    assert_eq!(update(&mut play, [&one], json!({ "project_id": "", "assignee_id": "" })), 1);
    assert_eq!(play.found(&one).facts, Default::default());
    assert_eq!(play.last_line(&one), line("assignee_changed", "assignee_id:  (bulk)"));
}

#[test]
fn the_outcomes_say_of_each_issue_what_would_become_of_it() {
    let mut play = Play::desk();
    let (one, two) = (play.issue("one"), play.issue("two"));
    play.patch(&two, super::desk::to("CANCELLED"));
    let draft: BulkDraft = serde_json::from_value(json!({
        "ids": ["PLA-1", two, "nothing"], "updates": { "status": "IN_PROGRESS" },
    }))
    .expect("a body");
    let outcomes = play.world.state.bulk_outcomes(&draft).expect("granted");
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let why = outcome.refused.as_ref().map(|refused| refused.detail.to_string());
            (outcome.named.as_str(), outcome.issue.clone(), why)
        })
        .collect();
    let illegal = "Invalid status transition from CANCELLED to IN_PROGRESS".to_owned();
    assert_eq!(
        told,
        [
            ("PLA-1", Some(one), None),
            (two.as_str(), Some(two.clone()), Some(illegal)),
            ("nothing", None, Some("Issue not found".to_owned())),
        ]
    );
}
