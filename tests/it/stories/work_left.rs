//! What goes on, and what ends, where an issue or a mission moves or ends while agents are still at it.

use serde_json::json;
use taffrail_domain::approval::ApprovalStatus;
use taffrail_domain::issue::{IssueCommand, IssueStatus, MentionState};
use taffrail_domain::mission::{Status, TaskDraft, TaskStatus};
use taffrail_domain::roster::{Role, RosterCommand};
use taffrail_domain::tracker::{TrackerCommand, TriageRuleDraft};
use taffrail_domain::work::{AssignmentStatus, WorkCommand};
use taffrail_domain::{Actor, MissionId};

use super::desk::{given_to, titled, to};
use super::issue_ends::{
    agent, by_agent, decide, escalate, open_escalations, says, set_policy, sole_approval, state_of,
};
use super::issue_execution::{at_rest, delegate, led, underway};
use super::kit::{CREW, LEAD, OTHER_CREW, OTHER_LEAD, WORKER, member, mission};
use super::play::{Held, Play, answering, done, failed};

/// An issue whose two tasks one agent is at.
fn two_under_way() -> (Play, MissionId, Held, Held) {
    let (mut play, issue, planning) = led();
    let plan = json!({ "tasks": [
        { "title": "a", "task_order": 1, "assigned_to": "worker" },
        { "title": "b", "task_order": 2, "assigned_to": "worker" },
    ] });
    play.report(&planning, answering(plan)).expect("heard");
    let (one, other) = (play.claim_of(WORKER), play.claim_of(WORKER));
    (play, issue, one, other)
}

fn approval(play: &Play) -> ApprovalStatus {
    play.world.state.approvals.all[&sole_approval(play)].status
}

#[test]
fn an_agent_that_moves_its_own_issue_still_brings_its_result() {
    for (status, messages) in [("REVIEW", 1), ("DONE", 0)] {
        let (mut play, issue, held) = underway();
        by_agent(&mut play, WORKER, &issue, status);
        assert_eq!(play.assignment(&held).status, AssignmentStatus::Running);
        assert_eq!(play.messages().len(), messages, "{status}");
        play.report(&held, done()).expect("heard");
        assert!(!play.assignment(&held).reported_late);
        assert_eq!(play.assignment(&held).status, AssignmentStatus::Completed);
        let task = play.sole_task(&issue);
        assert_eq!((task.status, task.result_summary.as_deref()), (TaskStatus::Completed, Some("done")));
        assert_eq!(play.said(&issue), ["**worker completed their work**\n\ndone"]);
        assert_eq!(play.status(&issue).as_str(), status);
        assert_eq!(play.messages().len(), messages, "told once");
        at_rest(&play);
    }
    // What it gives back is begun anew, and another one's work is not its own.
    let (mut play, issue, held) = underway();
    by_agent(&mut play, WORKER, &issue, "TODO");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    at_rest(&play);
    let (mut play, issue, held) = underway();
    by_agent(&mut play, LEAD, &issue, "REVIEW");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    assert_eq!(play.sole_task(&issue).status, TaskStatus::Pending);
    assert_eq!(play.messages().len(), 1, "no person did it");
    at_rest(&play);
}

#[test]
fn all_an_agent_is_at_when_it_moves_the_issue_goes_on_whatever_ends_first() {
    for status in ["REVIEW", "DONE"] {
        let (mut play, issue, one, other) = two_under_way();
        by_agent(&mut play, WORKER, &issue, status);
        says(&mut play, &member(Role::Manager), &issue, LEAD);
        for held in [one, other] {
            assert_eq!(play.assignment(&held).status, AssignmentStatus::Running, "{status}");
            play.report(&held, done()).expect("heard");
            assert_eq!(play.assignment(&held).status, AssignmentStatus::Completed, "{status}");
            assert!(!play.assignment(&held).reported_late);
        }
        assert_eq!(play.status(&issue).as_str(), status);
        let called = play.claim_of(LEAD);
        play.report(&called, done()).expect("heard");
        at_rest(&play);
    }
    // Once a person says where it is, that holds.
    let (mut play, issue, held) = underway();
    by_agent(&mut play, WORKER, &issue, "REVIEW");
    play.patch(&issue, to("DONE"));
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    at_rest(&play);
}

#[test]
fn what_an_agent_was_at_ends_when_somebody_else_moves_the_issue_on() {
    for status in ["REVIEW", "FAILED"] {
        let (mut play, issue, one, other) = two_under_way();
        by_agent(&mut play, WORKER, &issue, status);
        play.patch(&issue, to("IN_PROGRESS"));
        for held in [one, other] {
            assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled, "{status}");
        }
        at_rest(&play);
    }
}

#[test]
fn a_failure_where_an_issue_is_done_takes_no_result_back() {
    let (mut play, issue, planning) = led();
    let plan = json!({ "tasks": [
        { "title": "a", "task_order": 1, "assigned_to": "worker", "max_iterations": 3 },
        { "title": "b", "task_order": 2, "assigned_to": "worker", "depends_on": [1] },
    ] });
    play.report(&planning, answering(plan)).expect("heard");
    let a = play.claim_of(WORKER);
    play.report(&a, done()).expect("heard");
    let b = play.claim_of(WORKER);
    by_agent(&mut play, WORKER, &issue, "DONE");
    play.report(&b, failed()).expect("heard");
    let tasks = play.found(&issue).tasks_in_order().into_iter();
    let tasks: Vec<_> = tasks.map(|task| (task.status, task.iteration)).collect();
    assert_eq!(tasks, [(TaskStatus::Completed, 1), (TaskStatus::Failed, 1)]);
    assert_eq!(play.found(&issue).tasks_in_order()[0].result_summary.as_deref(), Some("done"));
    at_rest(&play);
}

#[test]
fn a_lead_that_moves_the_issue_it_was_to_plan_still_says_what_it_did() {
    let (mut play, issue, planning) = led();
    by_agent(&mut play, LEAD, &issue, "REVIEW");
    play.report(&planning, done()).expect("heard");
    assert_eq!(play.said(&issue), ["**lead completed their work**\n\ndone"]);
    assert_eq!(play.status(&issue), IssueStatus::Review);
    at_rest(&play);
}

#[test]
fn a_mission_that_its_lead_finds_complete_leaves_nothing_behind() {
    let mut play = Play::begin();
    play.without_worker.clear();
    let a = play.add("a", &[], TaskDraft { assigned_agent_id: Some(WORKER.into()), ..TaskDraft::default() });
    play.start();
    play.work(&a, done());
    let review = play.claim().expect("the LEAD is asked");
    delegate(&mut play, &mission(), WORKER, "Look").expect("granted");
    escalate(&mut play, &mission(), LEAD);
    set_policy(&mut play, "strict");
    delegate(&mut play, &mission(), WORKER, "Look again").expect("asked for");
    play.report(&review, answering(json!({ "verdict": "complete" }))).expect("heard");
    assert_eq!(play.world.state.work.live().count(), 0);
    assert_eq!((open_escalations(&play), approval(&play)), (0, ApprovalStatus::Cancelled));
}

#[test]
fn a_mission_that_its_lead_hands_on_waits_for_all_of_it() {
    for report in [done(), failed()] {
        let mut play = Play::begin();
        play.without_worker.clear();
        play.start();
        let planning = play.claim().expect("the LEAD is asked");
        delegate(&mut play, &mission(), WORKER, "Look").expect("granted");
        play.report(&planning, done()).expect("heard");
        assert_eq!(play.mission().status, Status::InProgress, "not all of it is done");
        let handed_on = play.claim_of(WORKER);
        play.report(&handed_on, report).expect("heard");
        assert_eq!(play.mission().status, Status::Review, "not all of it has failed");
    }
    let mut play = Play::begin();
    play.without_worker.clear();
    play.start();
    let planning = play.claim().expect("the LEAD is asked");
    delegate(&mut play, &mission(), WORKER, "Look").expect("granted");
    play.report(&planning, failed()).expect("heard");
    assert_eq!(play.mission().status, Status::InProgress, "somebody is still at it");
    let handed_on = play.claim_of(WORKER);
    play.report(&handed_on, failed()).expect("heard");
    assert_eq!(play.mission().status, Status::Failed, "all of it has failed");
    assert_eq!(play.world.state.work.live().count(), 0);
}

#[test]
fn a_mission_whose_lead_is_to_be_asked_again_is_not_over() {
    let mut play = Play::begin();
    play.without_worker.clear();
    play.start();
    let (assignment, fence) = play.claim().expect("the LEAD is asked");
    delegate(&mut play, &mission(), WORKER, "Look").expect("granted");
    play.without_worker.insert(LEAD.into());
    play.wish(&Actor::Orchestrator, WorkCommand::HandBack { assignment, fence }).expect("granted");
    let handed_on = play.claim_of(WORKER);
    play.report(&handed_on, failed()).expect("heard");
    assert_eq!(play.mission().status, Status::InProgress);
    play.without_worker.clear();
    play.engine();
    let again = play.claim_of(LEAD);
    play.report(&again, done()).expect("heard");
    assert_eq!(play.mission().status, Status::Review);
}

#[test]
fn a_mission_that_nobody_has_planned_is_not_over_with_what_was_handed_on() {
    let mut play = Play::begin();
    play.start();
    delegate(&mut play, &mission(), WORKER, "Look").expect("granted");
    let handed_on = play.claim_of(WORKER);
    play.report(&handed_on, done()).expect("heard");
    assert_eq!(play.mission().status, Status::InProgress);
}

#[test]
fn a_held_call_where_an_issue_is_done_is_made_when_somebody_says_yes() {
    let mut play = Play::desk();
    set_policy(&mut play, "strict");
    let issue = play.issue_in(IssueStatus::Done);
    let made = says(&mut play, &agent(LEAD), &issue, WORKER);
    assert_eq!(state_of(&made), MentionState::Held);
    decide(&mut play, true);
    play.claim_of(WORKER);
}

#[test]
fn a_held_call_where_an_issue_is_done_stays_when_something_else_ends() {
    let (mut play, issue, one, _) = two_under_way();
    by_agent(&mut play, WORKER, &issue, "DONE");
    set_policy(&mut play, "strict");
    says(&mut play, &agent(LEAD), &issue, WORKER);
    play.report(&one, done()).expect("heard");
    assert_eq!(approval(&play), ApprovalStatus::Pending);
}

#[test]
fn who_is_still_at_work_where_an_issue_is_done_keeps_its_question() {
    let (mut play, issue, one, other) = two_under_way();
    by_agent(&mut play, WORKER, &issue, "DONE");
    escalate(&mut play, &issue, WORKER);
    says(&mut play, &member(Role::Manager), &issue, LEAD);
    let called = play.claim_of(LEAD);
    escalate(&mut play, &issue, LEAD);
    play.report(&one, done()).expect("heard");
    let statuses = [&other, &called].map(|held| play.assignment(held).status);
    assert_eq!((statuses, open_escalations(&play)), ([AssignmentStatus::Running; 2], 2));
    play.report(&other, done()).expect("heard");
    assert_eq!(open_escalations(&play), 1, "nobody waits for that answer any more");
}

#[test]
fn whoever_stops_its_own_issue_asks_nothing_any_more() {
    let (mut play, issue, _) = underway();
    escalate(&mut play, &issue, WORKER);
    let stop = IssueCommand::Stop { issue: super::desk::named(&issue) };
    play.wish(&agent(WORKER), stop).expect("granted");
    assert_eq!(open_escalations(&play), 0);
    at_rest(&play);
}

#[test]
fn a_held_issue_that_left_a_crew_outlives_it_with_its_question() {
    let mut play = Play::desk();
    set_policy(&mut play, "strict");
    let propose = IssueCommand::Propose { crew: CREW.into(), draft: titled("Idea").into() };
    let made = play.wish(&agent(WORKER), propose).expect("granted");
    let issue = MissionId::from(&*made[0].subject);
    let rule = json!({ "name": "r", "match_type": "contains", "pattern": "Idea", "crew_id": OTHER_CREW });
    let rule: TriageRuleDraft = serde_json::from_value(rule).expect("a rule");
    let owner = member(Role::Owner);
    play.wish(&owner, TrackerCommand::CreateRule(rule.into())).expect("granted");
    play.wish(&owner, TrackerCommand::ProcessTriage).expect("granted");
    assert_eq!(play.found(&issue).crew_id.as_str(), OTHER_CREW);
    play.patch(&issue, given_to(OTHER_LEAD));
    play.wish(&owner, RosterCommand::DeleteCrew { crew: CREW.into() }).expect("granted");
    assert_eq!(approval(&play), ApprovalStatus::Pending);
    decide(&mut play, true);
    play.begin_issue(&issue).expect("granted");
}
