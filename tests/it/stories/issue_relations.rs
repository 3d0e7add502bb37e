//! Links between issues (`issues.md` 11).

use taffrail_domain::issue::{IssueCommand, Named, RelationDraft};
use taffrail_domain::{Entry, MissionId, Rejection, RelationId};

use super::desk::{detail, line, lines_of, named, refused, titled};
use super::kit::OTHER_CREW;
use super::play::Play;

fn relate(play: &mut Play, from: &MissionId, how: &str, to: impl ToString) -> Result<Vec<Entry>, Rejection> {
    let draft = RelationDraft { target_identifier: Some(to.to_string()), relation_type: Some(how.into()) };
    play.ask(IssueCommand::Relate { issue: named(from), draft })
}

fn unrelate(play: &mut Play, relation: &RelationId) -> Result<Vec<Entry>, Rejection> {
    play.ask(IssueCommand::Unrelate { relation: relation.clone() })
}

/// What an issue is linked to, as it sees it: how, and to which.
fn seen(play: &Play, issue: &MissionId) -> Vec<(&'static str, String)> {
    let issues = &play.world.state.issues;
    let links = issues.relations_on(issue);
    links.map(|link| (link.seen_from(issue), issues.all[link.other_end(issue)].title.to_string())).collect()
}

fn two() -> (Play, MissionId, MissionId) {
    let mut play = Play::desk();
    let (a, b) = (play.issue("a"), play.issue("b"));
    (play, a, b)
}

#[test]
fn a_link_is_stored_once_and_seen_from_both_ends() {
    for (how, here, there) in [
        ("blocks", "blocks", "blocked_by"),
        ("blocked_by", "blocked_by", "blocks"),
        ("relates_to", "relates_to", "relates_to"),
        ("duplicate_of", "duplicate_of", "duplicate_of"),
    ] {
        let (mut play, a, b) = two();
        relate(&mut play, &a, how, "pla-2").expect("granted");
        assert_eq!(seen(&play, &a), [(here, "b".to_owned())]);
        assert_eq!(seen(&play, &b), [(there, "a".to_owned())]);
        assert_eq!(play.world.state.issues.relations.len(), 1);
        assert_eq!(play.last_line(&a), line("relation_added", &format!("{how} PLA-2")));
        let link = play.world.state.issues.relations.values().next().expect("it is there");
        let expected = if how == "blocked_by" { (&b, &a) } else { (&a, &b) };
        assert_eq!((&link.source, &link.target), expected);
        play.holds_together();
    }
}

#[test]
fn the_checks_come_in_the_order_of_the_page() {
    let (mut play, a, b) = two();
    let nowhere = MissionId::from("PLA-9");
    let types = "relation_type must be: blocks, blocked_by, relates_to, duplicate_of";
    assert_eq!(detail(relate(&mut play, &nowhere, "knows", "PLA-8")), types);
    assert_eq!(detail(relate(&mut play, &nowhere, "sub_issue_of", "PLA-8")), types, "agents say that");
    let nothing = IssueCommand::Relate { issue: named(&a), draft: RelationDraft::default() };
    assert_eq!(detail(play.ask(nothing)), types);
    let outcome = relate(&mut play, &nowhere, "blocks", "PLA-8");
    assert_eq!(refused(outcome), ("issue.not_found", "Source issue not found".into()));
    let outcome = relate(&mut play, &a, "blocks", "PLA-8");
    assert_eq!(refused(outcome), ("issue.not_found", "Target issue not found: PLA-8".into()));
    assert_eq!(detail(relate(&mut play, &a, "blocks", "PLA-1")), "Cannot relate an issue to itself");
    relate(&mut play, &a, "blocks", &b).expect("granted");
    let outcome = relate(&mut play, &a, "blocks", &b);
    assert_eq!(refused(outcome), ("relation.exists", "Relation already exists".into()));
    let other = Named { crew: Some(OTHER_CREW.into()), name: a.as_str().into() };
    let draft =
        RelationDraft { target_identifier: Some(b.to_string()), relation_type: Some("relates_to".into()) };
    let outcome = play.ask(IssueCommand::Relate { issue: other, draft });
    assert_eq!(detail(outcome), "Source issue not found", "the path's crew must own it");
}

#[test]
fn what_says_the_same_from_the_other_side_exists_already() {
    for (first, second, clash) in [
        ("blocked_by", "blocks", false),
        ("blocks", "blocked_by", false),
        ("blocks", "relates_to", false),
        ("blocks", "duplicate_of", false),
        ("duplicate_of", "relates_to", false),
    ] {
        // Both said of a: only the very same one clashes, and the one that would block both ways.
        let (mut play, a, b) = two();
        relate(&mut play, &a, first, &b).expect("granted");
        let outcome = relate(&mut play, &a, second, &b);
        let is_mutual = matches!((first, second), ("blocked_by", "blocks") | ("blocks", "blocked_by"));
        match clash || is_mutual {
            true => assert_eq!(detail(outcome), "Relation already exists", "{first}, {second}"),
            false => drop(outcome.expect("granted")),
        }
    }
    for (first, second, clash) in [
        ("blocked_by", "blocks", true),
        ("blocks", "blocked_by", true),
        ("blocks", "blocks", true),
        ("relates_to", "relates_to", true),
        ("duplicate_of", "duplicate_of", false),
        ("blocks", "relates_to", false),
    ] {
        let (mut play, a, b) = two();
        relate(&mut play, &a, first, &b).expect("granted");
        let outcome = relate(&mut play, &b, second, &a);
        match clash {
            true => assert_eq!(detail(outcome), "Relation already exists", "{first}, then {second} back"),
            false => drop(outcome.expect("granted")),
        }
        play.holds_together();
    }
}

#[test]
fn a_link_is_deleted_once_and_found_anew() {
    let (mut play, a, b) = two();
    relate(&mut play, &a, "blocked_by", &b).expect("granted");
    let id = play.world.state.issues.relations.keys().next().expect("it is there").clone();
    unrelate(&mut play, &id).expect("granted");
    assert!(seen(&play, &a).is_empty() && seen(&play, &b).is_empty());
    assert_eq!(play.last_line(&b), line("relation_removed", "blocks PLA-1"));
    assert_eq!(play.last_line(&a), line("relation_removed", "blocked_by PLA-2"));
    assert_eq!(refused(unrelate(&mut play, &id)), ("relation.not_found", "Relation not found".into()));
    relate(&mut play, &b, "blocks", &a).expect("granted");
    play.holds_together();
}

#[test]
fn links_are_listed_by_age_reach_other_crews_and_go_with_either_end() {
    let (mut play, a, b) = two();
    let draft = titled("elsewhere").into();
    play.manager(IssueCommand::Create { crew: OTHER_CREW.into(), draft });
    // The ids of the links do not sort by birth.
    for (how, to) in [("relates_to", "PLA-2"), ("blocks", "OTH-1"), ("duplicate_of", "PLA-2")] {
        relate(&mut play, &a, how, to).expect("granted");
    }
    for number in 0..9 {
        let more = play.issue(&format!("more {number}"));
        relate(&mut play, &more, "blocks", &a).expect("granted");
    }
    let order: Vec<_> = seen(&play, &a);
    assert_eq!(order.len(), 12);
    assert_eq!(order[0], ("relates_to", "b".to_owned()));
    assert_eq!(order[1], ("blocks", "elsewhere".to_owned()));
    let more: Vec<_> = order[3..].iter().map(|(how, title)| (*how, title.as_str())).collect();
    let expected: Vec<_> = (0..9).map(|number| format!("more {number}")).collect();
    assert_eq!(more, expected.iter().map(|title| ("blocked_by", title.as_str())).collect::<Vec<_>>());
    play.delete_issue(&b).expect("granted");
    assert_eq!(seen(&play, &a).len(), 10);
    play.delete_issue(&a).expect("granted");
    let issues = &play.world.state.issues;
    assert!(issues.relations.is_empty() && issues.relations_of.is_empty());
    assert_eq!(lines_of(&play.entries, &b), [line("created", "b")]);
    play.holds_together();
}

#[test]
fn what_duplicates_or_is_blocked_stays_what_it_was_and_may_start() {
    let (mut play, a, b) = two();
    relate(&mut play, &a, "duplicate_of", &b).expect("granted");
    relate(&mut play, &b, "blocks", &a).expect("granted");
    let changed = play.found(&a).changed;
    assert_eq!(play.status(&a).as_str(), "BACKLOG");
    assert!(changed < play.world.state.issues.relations.values().next().expect("one").born);
    play.patch(&a, super::desk::given_to(super::kit::WORKER));
    play.begin_issue(&a).expect("blocking is advice");
}
