//! When agents' work on an issue is over, and what of it counts (`issues.md` 12, 13).

use taffrail_domain::approval::{ApprovalCommand, ApprovalStatus};
use taffrail_domain::checkpoint::CheckpointCommand;
use taffrail_domain::escalation::{EscalationCommand, EscalationStatus, EscalationType, Question};
use taffrail_domain::issue::{
    BulkDraft, BulkFields, CommentDraft, IssueCommand, IssueEvent, IssuePatch, IssueStatus, MentionState,
    Party,
};
use taffrail_domain::mission::TaskStatus;
use taffrail_domain::roster::{ConnectionDraft, PolicyDraft, Role, RosterCommand};
use taffrail_domain::work::{AssignmentStatus, WorkCommand};
use taffrail_domain::{Actor, ApprovalId, Entry, Event, Json, MissionId, Time};

use super::desk::{detail, line, named, refused, to};
use super::issue_execution::{at_rest, delegate, lapse, led, underway};
use super::kit::{CREW, LEAD, OTHER_CREW, OTHER_LEAD, WORKER, member};
use super::play::{Held, Play, done, failed};

const OVER: (&str, &str) = ("assignment.mission_over", "the mission or issue is over");

pub(super) fn agent(id: &str) -> Actor {
    Actor::Agent(id.into())
}

pub(super) fn says(play: &mut Play, by: &Actor, issue: &MissionId, called: &str) -> Vec<Entry> {
    let draft = CommentDraft { body: Some(format!("[@x](crewship:agent/{called}) please")) };
    play.wish(by, IssueCommand::Comment { issue: named(issue), draft }).expect("granted")
}

pub(super) fn state_of(made: &[Entry]) -> MentionState {
    let mut states = made.iter().filter_map(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::Mentioned(mentioned))) => Some(mentioned.dispatch_state),
        _ => None,
    });
    states.next().expect("called")
}

pub(super) fn set_policy(play: &mut Play, level: &str) {
    let draft = PolicyDraft {
        autonomy_level: Some(level.into()),
        reason: Some("a story".into()),
        ..PolicyDraft::default()
    };
    play.wish(&member(Role::Owner), RosterCommand::SetPolicy { crew: CREW.into(), draft }).expect("granted");
}

fn connect(play: &mut Play) {
    play.manager(RosterCommand::Connect(ConnectionDraft {
        from_crew_id: Some(CREW.into()),
        to_crew_id: Some(OTHER_CREW.into()),
        direction: None,
    }));
}

pub(super) fn sole_approval(play: &Play) -> ApprovalId {
    let ids: Vec<_> = play.world.state.approvals.all.keys().cloned().collect();
    assert_eq!(ids.len(), 1);
    ids[0].clone()
}

pub(super) fn decide(play: &mut Play, approved: bool) {
    let decide = ApprovalCommand::Decide { approval: sole_approval(play), approved, comment: None };
    play.wish(&member(Role::Admin), decide).expect("granted");
    play.engine();
}

pub(super) fn escalate(play: &mut Play, issue: &MissionId, by: &str) {
    let question = Question {
        crew: CREW.into(),
        agent: by.into(),
        chat: issue.as_str().into(),
        reason: "Which?".into(),
        context: None,
        escalation_type: EscalationType::Text,
        metadata: Json::default(),
    };
    play.wish(&agent(by), EscalationCommand::Raise(question.into())).expect("granted");
}

pub(super) fn open_escalations(play: &Play) -> usize {
    let all = play.world.state.escalations.all.values();
    all.filter(|found| found.status() == EscalationStatus::Pending).count()
}

pub(super) fn by_agent(play: &mut Play, by: &str, issue: &MissionId, status: &str) -> Vec<Entry> {
    let patch = IssuePatch { status: Some(status.into()), ..IssuePatch::default() };
    let command = IssueCommand::AgentUpdate { issue: named(issue), patch: patch.into(), comment: None };
    play.wish(&agent(by), command).expect("granted")
}

#[test]
fn nothing_is_handed_on_of_an_issue_that_is_over_or_gone() {
    let (mut play, issue, _) = led();
    play.stop_issue(&issue).expect("granted");
    let over = (OVER.0, OVER.1.to_owned());
    assert_eq!(refused(delegate(&mut play, &issue, WORKER, "Look")), over);
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&LEAD.into())));
    play.delete_issue(&issue).expect("granted");
    assert_eq!(refused(delegate(&mut play, &issue, WORKER, "Look")), over);
    at_rest(&play);
}

#[test]
fn an_issue_that_agents_do_not_work_is_not_theirs_to_hand_on() {
    let mut play = Play::desk();
    let issue = play.issue_for(LEAD);
    delegate(&mut play, &issue, WORKER, "Look").expect("granted");
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&LEAD.into())));
    assert!(play.said(&issue).is_empty());
    play.claim_of(WORKER);
}

#[test]
fn an_issue_handed_on_to_whoever_has_it_is_no_change_of_assignee() {
    let (mut play, issue, _) = led();
    delegate(&mut play, &issue, WORKER, "Look").expect("granted");
    let lines = play.lines(&issue).len();
    delegate(&mut play, &issue, WORKER, "Look again").expect("granted");
    assert_eq!(play.lines(&issue).len(), lines);
    assert_eq!(play.said(&issue).len(), 2);
}

/// An issue in `REVIEW`, with somebody still at work, and a question to people.
fn reviewed_with_work_left() -> (Play, MissionId, Held) {
    let (mut play, issue, held) = underway();
    delegate(&mut play, &issue, LEAD, "Look").expect("granted");
    play.without_worker.clear();
    let helper = play.claim_of(LEAD);
    play.report(&held, done()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    escalate(&mut play, &issue, LEAD);
    assert_eq!(play.assignment(&helper).status, AssignmentStatus::Running);
    (play, issue, helper)
}

#[test]
fn work_stops_with_the_issue_whichever_way_it_ends_or_goes_back() {
    type End = fn(&mut Play, &MissionId);
    let ends: [(&str, End); 6] = [
        ("approved", |play, issue| drop(play.review(issue, "approve", None, None).expect("granted"))),
        ("patched", |play, issue| play.patch(issue, to("CANCELLED"))),
        ("failed", |play, issue| play.patch(issue, to("FAILED"))),
        ("in bulk", |play, issue| {
            let updates = BulkFields { status: Some("DONE".into()), ..BulkFields::default() };
            let draft = BulkDraft { ids: Some(vec![issue.to_string()]), updates: Some(updates) };
            play.ask(IssueCommand::Bulk(draft.into())).expect("granted");
        }),
        ("sent back", |play, issue| {
            play.review(issue, "request_changes", None, None).expect("granted");
        }),
        ("back by hand", |play, issue| play.patch(issue, to("TODO"))),
    ];
    for (how, end) in ends {
        let (mut play, issue, helper) = reviewed_with_work_left();
        end(&mut play, &issue);
        assert_eq!(play.assignment(&helper).status, AssignmentStatus::Cancelled, "{how}");
        assert_eq!(open_escalations(&play), 0, "{how}");
        at_rest(&play);
    }
}

#[test]
fn whoever_was_called_is_at_it_until_the_issue_ends() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    says(&mut play, &member(Role::Manager), &issue, WORKER);
    let held = play.claim_of(WORKER);
    escalate(&mut play, &issue, WORKER);
    play.patch(&issue, to("TODO"));
    assert_eq!((play.assignment(&held).status, open_escalations(&play)), (AssignmentStatus::Running, 1));
    play.patch(&issue, to("CANCELLED"));
    assert_eq!((play.assignment(&held).status, open_escalations(&play)), (AssignmentStatus::Cancelled, 0));
    at_rest(&play);
}

#[test]
fn a_call_whose_worker_or_agent_goes_away_is_told() {
    type End = fn(&mut Play, &Held);
    let ends: [(&str, End); 3] = [
        ("the worker went silent", |play, held| lapse(play, held)),
        ("handed back by its worker", |play, (assignment, fence)| {
            let back = WorkCommand::HandBack { assignment: assignment.clone(), fence: *fence };
            play.wish(&Actor::Orchestrator, back).expect("granted");
        }),
        ("agent stopped", |play, _| {
            play.manager(RosterCommand::StopAgent { agent: WORKER.into() });
        }),
    ];
    for (why, end) in ends {
        let mut play = Play::desk();
        let issue = play.issue("Fix it");
        says(&mut play, &member(Role::Manager), &issue, WORKER);
        let held = play.claim_of(WORKER);
        end(&mut play, &held);
        let told = format!("**worker encountered an issue.** Error: {why}");
        assert_eq!(play.said(&issue)[1..], [told.as_str()]);
        assert_eq!(play.last_line(&issue), line("task_failed", &told));
        at_rest(&play);
    }
}

#[test]
fn a_lead_that_fails_leaves_the_end_to_those_it_handed_the_issue_to() {
    let (mut play, issue, planning) = led();
    delegate(&mut play, &issue, WORKER, "Look").expect("granted");
    play.report(&planning, failed()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::InProgress, "the other one is still on it");
    let held = play.claim_of(WORKER);
    play.report(&held, done()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    at_rest(&play);
    // Or they have ended before, each in its way.
    for (report, status) in [(done(), IssueStatus::Review), (failed(), IssueStatus::Failed)] {
        let (mut play, issue, planning) = led();
        delegate(&mut play, &issue, WORKER, "Look").expect("granted");
        let held = play.claim_of(WORKER);
        play.report(&held, report).expect("heard");
        assert_eq!(play.status(&issue), IssueStatus::InProgress, "its LEAD is still on it");
        play.report(&planning, failed()).expect("heard");
        assert_eq!(play.status(&issue), status);
        at_rest(&play);
    }
}

#[test]
fn what_waits_for_a_yes_keeps_the_issue_open_until_somebody_decides() {
    for approved in [true, false] {
        let (mut play, issue, planning) = led();
        set_policy(&mut play, "strict");
        delegate(&mut play, &issue, WORKER, "Look").expect("granted");
        play.report(&planning, done()).expect("heard");
        assert_eq!(play.status(&issue), IssueStatus::InProgress);
        decide(&mut play, approved);
        if approved {
            let held = play.claim_of(WORKER);
            play.report(&held, done()).expect("heard");
        }
        assert_eq!(play.status(&issue), IssueStatus::Review, "the LEAD's part was done");
        at_rest(&play);
    }
    // Nobody says anything, or it is sent back meanwhile.
    let (mut play, issue, planning) = led();
    set_policy(&mut play, "strict");
    delegate(&mut play, &issue, WORKER, "Look").expect("granted");
    play.report(&planning, failed()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::InProgress);
    play.patch(&issue, to("TODO"));
    let asked = &play.world.state.approvals.all[&sole_approval(&play)];
    assert_eq!(asked.status, ApprovalStatus::Cancelled);
    at_rest(&play);
}

#[test]
fn the_crews_policy_holds_whom_agents_call_and_nobody_else() {
    let mut play = Play::desk();
    set_policy(&mut play, "strict");
    let issue = play.issue("Fix it");
    let made = says(&mut play, &agent(LEAD), &issue, WORKER);
    assert_eq!(state_of(&made), MentionState::Held);
    assert!(play.claim().is_none(), "nobody has said yes");
    decide(&mut play, true);
    let held = play.claim_of(WORKER);
    play.report(&held, done()).expect("heard");
    let made = says(&mut play, &member(Role::Manager), &issue, WORKER);
    assert_eq!(state_of(&made), MentionState::Dispatched, "people call whom they like");
    play.holds_together();
}

#[test]
fn for_an_issue_that_is_held_agents_begin_nothing() {
    let mut play = Play::desk();
    set_policy(&mut play, "strict");
    let titled = super::desk::titled("Idea").into();
    let made = play.wish(&agent(WORKER), IssueCommand::Propose { crew: CREW.into(), draft: titled });
    let issue = MissionId::from(&*made.expect("granted")[0].subject);
    set_policy(&mut play, "full");
    assert_eq!(state_of(&says(&mut play, &agent(LEAD), &issue, WORKER)), MentionState::Refused);
    let held = "held by policy until somebody approves it";
    assert_eq!(detail(delegate(&mut play, &issue, WORKER, "Look")), held);
    let bookmark =
        CheckpointCommand::Create { mission: issue.clone(), draft: Ok(Default::default()), at: None };
    let made = play.manager(bookmark);
    let checkpoint = taffrail_domain::CheckpointId::from(&*made[0].subject);
    let source = play.world.state.bookmarkable(&issue).expect("it is there");
    let fork = CheckpointCommand::Fork { checkpoint, label: None, source: Some(source) };
    assert_eq!(refused(play.wish(&member(Role::Owner), fork.clone())), ("approval.held", held.to_owned()));
    decide(&mut play, true);
    play.manager(fork);
    assert_eq!(state_of(&says(&mut play, &agent(LEAD), &issue, WORKER)), MentionState::Dispatched);
    play.holds_together();
}

#[test]
fn nothing_is_forked_into_a_crew_that_is_gone() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let bookmark =
        CheckpointCommand::Create { mission: issue.clone(), draft: Ok(Default::default()), at: None };
    let checkpoint = taffrail_domain::CheckpointId::from(&*play.manager(bookmark)[0].subject);
    let mut then = play.found(&issue).clone();
    then.undertaking.crew_id = OTHER_CREW.into();
    let source = Some(taffrail_domain::checkpoint::Bookmarked::Issue(then.into()));
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: OTHER_CREW.into() }).expect("granted");
    let fork = CheckpointCommand::Fork { checkpoint, label: None, source };
    assert_eq!(refused(play.wish(&member(Role::Owner), fork)).0, "checkpoint.crew_gone");
}

#[test]
fn a_deleted_crew_leaves_nobody_with_a_question() {
    let mut play = Play::desk();
    connect(&mut play);
    set_policy(&mut play, "strict");
    let titled = super::desk::titled("Idea").into();
    play.wish(&agent(WORKER), IssueCommand::Propose { crew: CREW.into(), draft: titled }).expect("granted");
    let issue = play.issue_for(LEAD);
    delegate(&mut play, &issue, OTHER_LEAD, "Look").expect("granted");
    says(&mut play, &agent(LEAD), &issue, WORKER);
    escalate(&mut play, &issue, LEAD);
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: CREW.into() }).expect("granted");
    let approvals = play.world.state.approvals.all.values();
    let statuses: Vec<_> = approvals.map(|asked| asked.status).collect();
    assert_eq!(statuses, [ApprovalStatus::Cancelled; 3]);
    assert!(
        play.world.state.approvals.pending_of.is_empty() && play.world.state.approvals.lapsing.is_empty()
    );
    assert_eq!(open_escalations(&play), 0);
    play.holds_together();
}

#[test]
fn work_that_a_deleted_crew_was_to_be_handed_is_over_where_it_came_from() {
    let (mut play, issue, planning) = led();
    connect(&mut play);
    set_policy(&mut play, "strict");
    delegate(&mut play, &issue, OTHER_LEAD, "Look").expect("granted");
    play.report(&planning, done()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::InProgress);
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: OTHER_CREW.into() }).expect("granted");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    at_rest(&play);
}

#[test]
fn what_agents_of_a_deleted_crew_were_at_for_another_one_has_failed_there() {
    let told = "**helper encountered an issue.** Error: the crew was deleted";
    let delete = RosterCommand::DeleteCrew { crew: OTHER_CREW.into() };
    let lent = || {
        let mut play = Play::desk();
        connect(&mut play);
        let helper = play.hire("helper", OTHER_CREW);
        (play, helper)
    };
    let (mut play, helper) = lent();
    let issue = play.issue_for(helper.as_str());
    play.begin_issue(&issue).expect("granted");
    let held = play.claim_of(helper.as_str());
    play.wish(&member(Role::Owner), delete.clone()).expect("granted");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    assert_eq!(play.sole_task(&issue).status, TaskStatus::Failed);
    assert_eq!((play.status(&issue), play.said(&issue)), (IssueStatus::Failed, vec![told.to_owned()]));
    at_rest(&play);
    // Or they were called there.
    let (mut play, helper) = lent();
    let issue = play.issue("Fix it");
    says(&mut play, &member(Role::Manager), &issue, helper.as_str());
    let held = play.claim_of(helper.as_str());
    play.wish(&member(Role::Owner), delete).expect("granted");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    assert_eq!(play.said(&issue)[1..], [told]);
    at_rest(&play);
}

#[test]
fn a_checkpoint_names_the_runs_that_are_under_way() {
    let bookmark = |play: &mut Play, issue: &MissionId| {
        let draft = Ok(Default::default());
        let made = play.manager(CheckpointCommand::Create { mission: issue.clone(), draft, at: None });
        let id = taffrail_domain::CheckpointId::from(&*made[0].subject);
        play.world.state.checkpoints[&id].state.open_assignments.clone()
    };
    let mut play = Play::desk();
    let issue = play.issue_for(WORKER);
    play.begin_issue(&issue).expect("granted");
    assert!(bookmark(&mut play, &issue).is_empty(), "it waits for a worker");
    let held = play.claim_of(WORKER);
    assert_eq!(bookmark(&mut play, &issue), [held.0.to_string()]);
    play.now = Time(play.now.0 + 1_000);
    play.report(&held, done()).expect("heard");
    assert!(bookmark(&mut play, &issue).is_empty());
    assert_eq!(play.world.state.checkpoints.len(), 3);
}

#[test]
fn the_task_that_is_the_issue_follows_it_though_a_plan_ended_in_the_same_moment() {
    let (mut play, issue, planning) = led();
    let other = play.hire_here("other-worker");
    delegate(&mut play, &issue, WORKER, "Look").expect("granted");
    play.report(&planning, done()).expect("heard");
    let held = play.claim_of(WORKER);
    play.report(&held, done()).expect("heard");
    for agent in [WORKER, other.as_str()] {
        play.review(&issue, "request_changes", None, None).expect("granted");
        play.patch(&issue, super::desk::given_to(agent));
        play.begin_issue(&issue).expect("granted");
        let held = play.claim_of(agent);
        play.report(&held, done()).expect("heard");
    }
    assert_eq!(play.sole_task(&issue).iteration, 2);
    at_rest(&play);
}
