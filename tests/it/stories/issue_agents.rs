//! What agents do with issues through the door of their own (`issues.md` 19).

use serde_json::json;
use taffrail_domain::issue::{
    CommentDraft, IssueCommand, IssueDraft, IssuePatch, IssueStatus, Party, RelationDraft,
};
use taffrail_domain::roster::{PolicyDraft, Role, RosterCommand};
use taffrail_domain::{Actor, Entry, MissionId, Rejection};

use super::desk::{detail, line, named, titled, worker};
use super::kit::{CREW, LEAD, WORKER, member};
use super::play::Play;

fn propose(play: &mut Play, title: &str) -> Result<Vec<Entry>, Rejection> {
    play.wish(&worker(), IssueCommand::Propose { crew: CREW.into(), draft: titled(title).into() })
}

fn update(
    play: &mut Play,
    actor: &Actor,
    issue: &MissionId,
    body: serde_json::Value,
    comment: Option<&str>,
) -> Result<Vec<Entry>, Rejection> {
    let patch: IssuePatch = serde_json::from_value(body).expect("a patch");
    let issue = named(issue);
    let comment = comment.map(Into::into);
    play.wish(actor, IssueCommand::AgentUpdate { issue, patch: patch.into(), comment })
}

#[test]
fn an_agents_issue_names_the_agent_and_is_audited() {
    let mut play = Play::desk();
    let made = propose(&mut play, "Idea").expect("granted");
    let issue = MissionId::from(&*made[0].subject);
    let found = play.found(&issue);
    assert_eq!(found.author, Some(Party::agent(&WORKER.into())));
    assert_eq!((&*found.authored_via, &*found.identifier), ("agent_tool_call", "PLA-1"));
    assert_eq!(play.lines(&issue), [line("created", "Idea")]);
    let audit = made.last().and_then(|entry| entry.face.as_ref()).expect("told");
    assert_eq!(&*audit.entry_type, "audit.entity_created");
    play.holds_together();
}

#[test]
fn what_an_agent_may_create_is_the_crews_policy() {
    for (level, held) in [("strict", true), ("guided", false), ("trusted", false), ("full", false)] {
        let mut play = Play::desk();
        let draft = PolicyDraft {
            autonomy_level: Some(level.into()),
            reason: Some("why not".into()),
            ..PolicyDraft::default()
        };
        play.wish(&member(Role::Owner), RosterCommand::SetPolicy { crew: CREW.into(), draft })
            .expect("granted");
        propose(&mut play, "Idea").expect("granted");
        assert_eq!(play.world.state.approvals.all.len(), usize::from(held), "{level}");
    }
}

#[test]
fn the_door_of_agents_has_a_word_of_its_own_for_a_crew_without_a_lead() {
    let mut play = Play::desk();
    play.wish(&member(Role::Owner), RosterCommand::DeleteAgent { agent: LEAD.into() }).expect("granted");
    assert_eq!(detail(propose(&mut play, "Idea")), "Crew has no LEAD agent");
    let nowhere = IssueCommand::Propose { crew: "nowhere".into(), draft: titled("Idea").into() };
    assert_eq!(detail(play.wish(&worker(), nowhere)), "Crew not found");
}

#[test]
fn an_agent_changes_what_it_may_and_says_something_all_in_one() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let body = json!({
        "title": "Mine", "description": "x", "project_id": "p1", "routine_id": "r1", "sort_order": 5.0,
        "status": "TODO", "priority": "high", "estimate": 3, "due_date": "2026-12-24",
        "labels": ["bug", "foreign"], "assignee_id": "worker",
    });
    update(&mut play, &worker(), &issue, body, Some("On it")).expect("granted");
    let found = play.found(&issue).clone();
    assert_eq!((&*found.title, &found.description, found.status), ("Fix it", &None, IssueStatus::Todo));
    assert_eq!((&found.facts.project_id, &found.facts.routine_id), (&None, &None));
    assert_eq!(found.facts.labels, ["bug".into()]);
    assert_eq!(found.facts.assignee, Some(Party::agent(&WORKER.into())));
    assert_eq!((found.facts.estimate, found.facts.sort_order), (Some(3), 0.0));
    assert_eq!(play.said(&issue), ["On it"]);
    assert_eq!(
        play.lines(&issue)[1..],
        [
            line("status_changed", "BACKLOG → TODO"),
            line("assignee_changed", "assignee_id: worker"),
            line("priority_changed", "high"),
        ]
    );
    play.holds_together();
}

#[test]
fn what_is_so_already_is_no_change_and_no_mistake() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    for body in [json!({}), json!({ "status": "" }), json!({ "status": "BACKLOG" })] {
        assert_eq!(update(&mut play, &worker(), &issue, body, None).expect("granted"), vec![]);
    }
    let body = json!({ "status": "BACKLOG", "assignee_id": "", "due_date": "" });
    assert_eq!(update(&mut play, &worker(), &issue, body, Some("  ")).expect("granted"), vec![]);
}

#[test]
fn a_part_that_may_not_be_refuses_the_whole() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let before = play.found(&issue).clone();
    let body = json!({ "priority": "high", "status": "DONE" });
    let said = detail(update(&mut play, &worker(), &issue, body, Some("Done")));
    assert_eq!(said, "Invalid status transition from BACKLOG to DONE");
    let body = json!({ "priority": "high" });
    let said = detail(update(&mut play, &Actor::System, &issue, body, Some("Done")));
    assert_eq!(said, "agent_id is required when adding a comment");
    assert_eq!(*play.found(&issue), before);
    assert!(play.said(&issue).is_empty());
    update(&mut play, &Actor::System, &issue, json!({ "priority": "high" }), None).expect("granted");
}

#[test]
fn an_agent_says_something_as_itself_and_calls_others() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let draft = CommentDraft { body: Some("[@lead](crewship:agent/lead) help".into()) };
    play.wish(&worker(), IssueCommand::Comment { issue: named(&issue), draft }).expect("granted");
    let comment = play.world.state.issues.comments_on(&issue).next().expect("one");
    assert_eq!(comment.author, Party::agent(&WORKER.into()));
    play.claim_of(LEAD);
}

#[test]
fn an_agent_makes_an_issue_a_part_of_another_one() {
    let mut play = Play::desk();
    let [a, b] = ["a", "b"].map(|title| play.issue(title));
    let below = |play: &mut Play, issue: &MissionId, parent: &str| {
        let draft = RelationDraft {
            target_identifier: Some(parent.into()),
            relation_type: Some("sub_issue_of".into()),
        };
        play.wish(&worker(), IssueCommand::Relate { issue: named(issue), draft })
    };
    below(&mut play, &a, "pla-2").expect("granted");
    assert_eq!(play.found(&a).facts.parent_issue_id, Some(b.clone()));
    assert_eq!(play.last_line(&a), line("parent_changed", "PLA-2"));
    assert_eq!(below(&mut play, &a, "PLA-2").expect("granted"), vec![], "it is so already");
    let cycle = "sub_issue_of would create a parent cycle";
    assert_eq!(detail(below(&mut play, &b, "PLA-1")), cycle);
    assert_eq!(detail(below(&mut play, &a, "PLA-1")), cycle);
    assert_eq!(detail(below(&mut play, &a, "PLA-9")), "Target issue not found: PLA-9");
    assert_eq!(detail(below(&mut play, &"PLA-9".into(), "PLA-1")), "Source issue not found");
    assert!(play.world.state.issues.relations.is_empty());
    play.holds_together();
}

#[test]
fn what_comes_through_the_agents_door_is_no_persons_though_nobody_is_named() {
    let mut play = Play::desk();
    let wish = IssueCommand::Propose { crew: CREW.into(), draft: titled("Idea").into() };
    let made = play.wish(&Actor::System, wish).expect("granted");
    let found = play.found(&MissionId::from(&*made[0].subject));
    assert_eq!((&found.author, &*found.authored_via), (&None, "agent_tool_call"));
}

#[test]
fn an_estimate_is_a_whole_number_however_it_is_written() {
    let draft =
        |estimate| serde_json::from_value::<IssueDraft>(json!({ "title": "x", "estimate": estimate }));
    assert_eq!(draft(json!(3.0)).expect("a draft").estimate, Some(3));
    assert!(draft(json!(3.5)).is_err());
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    update(&mut play, &worker(), &issue, json!({ "estimate": 5.0 }), None).expect("granted");
    assert_eq!(play.found(&issue).facts.estimate, Some(5));
    let refused = detail(update(&mut play, &worker(), &issue, json!({ "estimate": 5.5 }), None));
    assert_eq!(refused, "estimate must be a number or null");
}
