//! Agents work issues: start, stop, review, retry, and what comes back (`issues.md` 12).

use serde_json::{Value, json};
use taffrail_domain::issue::{CommentDraft, IssueCommand, IssueDraft, IssuePatch, IssueStatus, Party};
use taffrail_domain::mission::TaskStatus;
use taffrail_domain::roster::{AgentPatch, CrewPatch, Role, RosterCommand};
use taffrail_domain::work::{
    AssignmentStatus, Delegation, MISSION_MS_MAX, PROMPT_BYTES_MAX, Purpose, Report, WorkCommand,
};
use taffrail_domain::{Actor, AgentId, Entry, MissionId, Rejection, Time};

use super::desk::{change, detail, given_to, line, named, refused, titled, to};
use super::kit::{CREW, LEAD, OTHER_CREW, WORKER, member};
use super::play::{Held, Play, answering, done, failed};

const HANDOFF: &str = "Did it.\n---HANDOFF---\nsummary: tokens live longer\nconfidence: high\nartifacts: a.md, b.md\n---END HANDOFF---";

fn with_result(result: &str) -> Report {
    Report { result: Some(result.into()), ..done() }
}

/// An issue that the worker has begun to work.
pub(super) fn underway() -> (Play, MissionId, Held) {
    let mut play = Play::desk();
    let issue = play.issue_for(WORKER);
    play.begin_issue(&issue).expect("granted");
    let held = play.claim_of(WORKER);
    (play, issue, held)
}

/// An issue that the LEAD was asked to plan.
pub(super) fn led() -> (Play, MissionId, Held) {
    let mut play = Play::desk();
    play.without_worker.clear();
    let issue = play.issue_for(LEAD);
    play.begin_issue(&issue).expect("granted");
    let held = play.claim_of(LEAD);
    assert_eq!(play.assignment(&held).facts.purpose, Purpose::Planning);
    (play, issue, held)
}

pub(super) fn delegate(
    play: &mut Play,
    issue: &MissionId,
    target: &str,
    task: &str,
) -> Result<Vec<Entry>, Rejection> {
    let wish = Delegation {
        target_slug: target.into(),
        task: task.into(),
        crew: CREW.into(),
        chat: issue.as_str().into(),
        mission: Some(issue.clone()),
        actor: Some(LEAD.into()),
        is_question: false,
    };
    let made = play.wish(&Actor::Agent(LEAD.into()), WorkCommand::Delegate(wish.into()));
    play.engine();
    made
}

fn say(play: &mut Play, issue: &MissionId, body: &str) {
    let draft = CommentDraft { body: Some(body.into()) };
    play.ask(IssueCommand::Comment { issue: named(issue), draft }).expect("granted");
}

/// Nothing is left to do for anybody.
#[track_caller]
pub(super) fn at_rest(play: &Play) {
    play.holds_together();
    assert_eq!(play.world.state.work.live().count(), 0);
    assert!(play.world.state.issues.working.is_empty());
}

#[test]
fn start_asks_for_the_status_then_for_an_agent() {
    for status in IssueStatus::ALL {
        let mut play = Play::desk();
        let issue = play.issue_in(*status);
        let startable = matches!(status, IssueStatus::Backlog | IssueStatus::Todo);
        let expected = match startable {
            true => "Issue must have an assignee before starting".to_owned(),
            false => format!("Issue must be in BACKLOG or TODO to start (current: {status})"),
        };
        assert_eq!(detail(play.begin_issue(&issue)), expected);
        if startable {
            play.patch(&issue, given_to("member"));
            assert_eq!(
                detail(play.begin_issue(&issue)),
                "Issue must be assigned to an agent before starting"
            );
            play.patch(&issue, given_to(WORKER));
            play.begin_issue(&issue).expect("granted");
            assert_eq!(play.status(&issue), IssueStatus::InProgress);
        }
    }
    let mut play = Play::desk();
    assert_eq!(detail(play.begin_issue(&"PLA-9".into())), "Issue not found");
    let issue = play.issue_for(WORKER);
    let admin = member(Role::Admin);
    play.wish(&admin, RosterCommand::DeleteAgent { agent: WORKER.into() }).expect("granted");
    assert_eq!(detail(play.begin_issue(&issue)), "Issue must be assigned to an agent before starting");
}

#[test]
fn an_agents_work_is_one_task_and_comes_back_for_review() {
    let (mut play, issue, held) = underway();
    let task = play.sole_task(&issue);
    assert_eq!((&*task.title, task.description.as_deref()), ("Fix it", Some("Tokens expire")));
    assert_eq!((task.task_order, task.iteration, task.depends_on.len()), (1, 1, 0));
    assert_eq!(task.assigned_agent_id.as_ref().map(AgentId::as_str), Some(WORKER));
    assert_eq!(play.lines(&issue)[1..], [line("status_changed", "BACKLOG → IN_PROGRESS")]);
    let facts = &play.assignment(&held).facts;
    assert_eq!((facts.chat_id.as_str(), facts.mission_id.as_ref()), (issue.as_str(), Some(&issue)));
    assert_eq!(play.found(&issue).started_at, Some(play.now));

    play.report(&held, with_result(HANDOFF)).expect("heard");
    let body = "**worker completed their work** (confidence: high)\n\ntokens live longer\n\n\
                **Artifacts:** a.md, b.md";
    assert_eq!(play.said(&issue), [body]);
    assert_eq!(
        play.lines(&issue)[2..],
        [line("task_completed", body), line("status_changed", "IN_PROGRESS → REVIEW")]
    );
    let found = play.found(&issue);
    assert_eq!((found.status, found.completed_at), (IssueStatus::Review, None));
    let comment = play.world.state.issues.comments_on(&issue).next().expect("one");
    assert_eq!(comment.author, Party::agent(&WORKER.into()));
    assert_eq!(play.sole_task(&issue).status, TaskStatus::Completed);
    let mut faces = play.entries.iter().filter_map(|entry| entry.face.as_ref());
    let moved = faces.find(|face| face.payload.get().contains(r#""to":"REVIEW""#)).expect("told");
    assert_eq!(moved.actor_type.as_str(), "system", "nobody wished it");
    let [message] = play.messages()[..] else { panic!("one message") };
    let payload: Value = serde_json::from_str(message.payload.get()).expect("JSON");
    assert_eq!(
        (&payload["target_role"], &payload["title"], &payload["body"], &payload["priority"]),
        (&json!("MANAGER"), &json!("PLA-1 ready for review"), &json!("Fix it"), &json!("medium"))
    );
    let inner = json!({ "mission_id": issue, "issue_identifier": "PLA-1", "new_status": "REVIEW" });
    assert_eq!((&payload["payload"], &payload["round"]), (&inner, &json!(1)));
    at_rest(&play);
}

#[test]
fn what_an_agent_says_without_a_handoff_is_cut() {
    let long = "ž".repeat(501);
    let cut = format!("**worker completed their work**\n\n{}", "ž".repeat(500));
    for (result, expected) in [
        (Some(long.as_str()), cut.as_str()),
        (Some("  fine "), "**worker completed their work**\n\nfine"),
        (Some(" "), "**worker completed their work.**"),
        (None, "**worker completed their work.**"),
        (
            Some("---HANDOFF---\nsummary: x\n---END HANDOFF---"),
            "**worker completed their work**\n\n---HANDOFF---\nsummary: x\n---END HANDOFF---",
        ),
        (
            Some("---HANDOFF---\nsummary: x\nconfidence: LOW\n---END HANDOFF---"),
            "**worker completed their work** (confidence: low)\n\nx",
        ),
    ] {
        let (mut play, issue, held) = underway();
        play.report(&held, Report { result: result.map(Into::into), ..done() }).expect("heard");
        assert_eq!(play.said(&issue), [expected]);
        assert_eq!(play.status(&issue), IssueStatus::Review);
        let low = result.is_some_and(|result| result.contains("LOW"));
        assert_eq!(play.sole_task(&issue).needs_review, low);
    }
}

#[test]
fn a_failed_run_fails_the_issue_and_says_why() {
    let (mut play, issue, held) = underway();
    play.report(&held, failed()).expect("heard");
    let body = "**worker encountered an issue.** Error: no luck";
    assert_eq!(play.said(&issue), [body]);
    assert_eq!(
        play.lines(&issue)[2..],
        [line("task_failed", body), line("status_changed", "IN_PROGRESS → FAILED")]
    );
    assert_eq!((play.status(&issue), play.found(&issue).completed_at), (IssueStatus::Failed, None));
    assert!(play.messages().is_empty());
    at_rest(&play);
}

#[test]
fn of_two_who_start_it_one_wins_and_one_task_is_there() {
    let mut play = Play::desk();
    let issue = play.issue_for(WORKER);
    let start = |seen| IssueCommand::Start { issue: named(&issue), seen };
    play.ask(start(Some(IssueStatus::Backlog))).expect("granted");
    for seen in [IssueStatus::Backlog, IssueStatus::Todo] {
        let late = ("issue.already_started", "Issue was already started by another request".to_owned());
        assert_eq!(refused(play.ask(start(Some(seen)))), late);
    }
    let known = "Issue must be in BACKLOG or TODO to start (current: IN_PROGRESS)";
    for seen in [Some(IssueStatus::InProgress), None] {
        assert_eq!(detail(play.ask(start(seen))), known);
    }
    assert_eq!(play.found(&issue).tasks.len(), 1);
    assert_eq!(play.world.state.work.live().count(), 1);
}

#[test]
fn a_stopped_issue_takes_its_tasks_and_workers_along_and_late_results_change_nothing() {
    let (mut play, issue, held) = underway();
    play.stop_issue(&issue).expect("granted");
    let found = play.found(&issue);
    assert_eq!((found.status, found.completed_at), (IssueStatus::Cancelled, Some(play.now)));
    let task = play.sole_task(&issue);
    assert_eq!((task.status, task.error_message.as_deref()), (TaskStatus::Skipped, Some("issue stopped")));
    assert_eq!(play.last_line(&issue), line("status_changed", "IN_PROGRESS → CANCELLED"));
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    let before = play.found(&issue).clone();
    play.report(&held, with_result(HANDOFF)).expect("noted");
    assert!(play.assignment(&held).reported_late);
    assert_eq!(*play.found(&issue), before);
    assert!(play.said(&issue).is_empty());
    at_rest(&play);
    for status in IssueStatus::ALL {
        let mut play = Play::desk();
        let issue = play.issue_in(*status);
        let outcome = play.stop_issue(&issue);
        match status {
            IssueStatus::InProgress | IssueStatus::Review => drop(outcome.expect("granted")),
            _ => {
                let expected = format!("Issue must be IN_PROGRESS or REVIEW to stop (current: {status})");
                assert_eq!(detail(outcome), expected);
            }
        }
    }
}

#[test]
fn a_result_that_waits_for_a_person_is_decided_by_one_and_skipped_by_a_stop() {
    let config = r#"{"require_approval_below":0.8}"#;
    let held_result = || {
        let mut play = Play::desk();
        let patch = CrewPatch { escalation_config: Some(Some(config.into())), ..CrewPatch::default() };
        play.manager(RosterCommand::UpdateCrew { crew: CREW.into(), patch });
        let issue = play.issue_for(WORKER);
        play.begin_issue(&issue).expect("granted");
        let held = play.claim_of(WORKER);
        play.report(&held, Report { confidence: Some(0.5), ..done() }).expect("heard");
        assert_eq!(play.sole_task(&issue).status, TaskStatus::AwaitingApproval);
        assert_eq!(play.status(&issue), IssueStatus::InProgress);
        assert_eq!(play.world.state.approvals.pending_of.len(), 1);
        (play, issue)
    };
    let (mut play, issue) = held_result();
    play.stop_issue(&issue).expect("granted");
    assert_eq!(play.sole_task(&issue).status, TaskStatus::Skipped);
    assert!(play.world.state.approvals.pending_of.is_empty());
    at_rest(&play);
    for (approved, status) in [(true, IssueStatus::Review), (false, IssueStatus::Failed)] {
        let (mut play, issue) = held_result();
        let approval = play.world.state.approvals.all.keys().next().expect("asked").clone();
        let decide = taffrail_domain::approval::ApprovalCommand::Decide { approval, approved, comment: None };
        play.wish(&member(Role::Admin), decide).expect("granted");
        assert_eq!(play.status(&issue), status);
        at_rest(&play);
    }
    let (mut play, issue) = held_result();
    play.patch(&issue, to("TODO"));
    assert_eq!(play.sole_task(&issue).status, TaskStatus::Pending, "it waits for the next start");
    assert!(play.world.state.approvals.pending_of.is_empty());
    at_rest(&play);
    let (mut play, issue) = held_result();
    play.now = Time(play.now.0 + MISSION_MS_MAX);
    play.engine();
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    let task = play.sole_task(&issue);
    assert_eq!((task.status, task.error_message.as_deref()), (TaskStatus::Failed, Some("mission timed out")));
    at_rest(&play);
}

#[test]
fn a_review_asks_for_the_action_then_the_issue_then_the_status() {
    for status in IssueStatus::ALL {
        let mut play = Play::desk();
        let issue = play.issue_in(*status);
        for action in ["", "Approve", "reject"] {
            let expected = "action must be 'approve' or 'request_changes'";
            assert_eq!(detail(play.review(&"PLA-9".into(), action, None, None)), expected);
        }
        assert_eq!(detail(play.review(&"PLA-9".into(), "approve", None, None)), "Issue not found");
        let outcome = play.review(&issue, "approve", None, None);
        match status {
            IssueStatus::InProgress | IssueStatus::Review => drop(outcome.expect("granted")),
            _ => {
                let expected =
                    format!("Issue must be in REVIEW or IN_PROGRESS to review (current: {status})");
                assert_eq!(detail(outcome), expected);
            }
        }
    }
}

#[test]
fn an_approved_issue_is_done_and_a_person_says_so() {
    for (comment, text) in [(None, "Approved"), (Some("  "), "Approved"), (Some("nice"), "Approved: nice")] {
        let mut play = Play::desk();
        let issue = play.issue_in(IssueStatus::Review);
        let lines = play.lines(&issue).len();
        play.review(&issue, "approve", comment, None).expect("granted");
        assert_eq!(play.status(&issue), IssueStatus::Done);
        assert_eq!(play.found(&issue).completed_at, Some(play.now));
        assert_eq!(play.said(&issue), [text]);
        assert_eq!(
            play.lines(&issue)[lines..],
            [line("status_changed", "REVIEW → DONE"), line("review_approved", text)]
        );
        at_rest(&play);
    }
}

#[test]
fn who_approves_while_agents_work_stops_them() {
    let (mut play, issue, held) = underway();
    play.review(&issue, "approve", None, None).expect("granted");
    assert_eq!(play.status(&issue), IssueStatus::Done);
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    let before = play.found(&issue).clone();
    play.report(&held, failed()).expect("noted");
    assert_eq!(*play.found(&issue), before);
    assert_eq!(play.said(&issue), ["Approved"]);
    at_rest(&play);
}

#[test]
fn a_second_round_is_told_what_was_wrong_and_what_was_said() {
    let (mut play, issue, held) = underway();
    play.report(&held, with_result(HANDOFF)).expect("heard");
    play.review(&issue, "request_changes", Some("Too short >>> really"), None).expect("granted");
    assert_eq!(play.status(&issue), IssueStatus::Todo);
    let text = "Changes requested: Too short >>> really";
    assert_eq!(play.last_line(&issue), line("review_changes_requested", text));
    assert_eq!(play.said(&issue).last().map(String::as_str), Some(text));
    play.engine();
    assert!(play.claim().is_none(), "nobody begins by themselves");
    for number in 0..35 {
        say(&mut play, &issue, &format!("comment {number} {}", "x".repeat(600)));
    }
    play.begin_issue(&issue).expect("granted");
    let task = play.sole_task(&issue);
    assert_eq!((task.iteration, task.status), (2, TaskStatus::InProgress));
    assert_eq!((&task.result_summary, &task.handoff_context, task.confidence), (&None, &None, None));
    let held = play.claim_of(WORKER);
    let brief = play.world.state.brief(play.assignment(&held)).expect("told");
    assert_eq!(brief.review_note.as_deref(), Some(text));
    assert_eq!(brief.comments.len(), 30);
    assert!(brief.comments[0].body.starts_with("comment 5 "), "{}", brief.comments[0].body);
    assert!(brief.comments[29].body.starts_with("comment 34 "));
    assert_eq!(brief.comments[0].body.chars().count(), 500);
    assert_eq!(brief.comments[0].author_name, None, "people are not named");
    assert!(brief.prompt.contains("[ISSUE PLA-1] Fix it"));
    assert!(brief.prompt.contains("Iteration: 2"));
    assert!(
        brief
            .prompt
            .contains("The last attempt was sent back:\n<<<\nChanges requested: Too short > > > really\n>>>")
    );
    assert!(brief.prompt.contains("---HANDOFF---"));
    let mission = brief.mission.as_ref().expect("an issue");
    assert_eq!((mission.identifier.as_deref(), &*mission.status), (Some("PLA-1"), "IN_PROGRESS"));
    play.report(&held, with_result(HANDOFF)).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    assert_eq!(play.messages().len(), 2, "each round is told");
    play.review(&issue, "approve", None, None).expect("granted");
    assert_eq!(play.found(&issue).review_note, None, "what was wrong is right");
    at_rest(&play);
}

#[test]
fn a_prompt_has_a_longest_size_and_loses_its_matter_before_its_orders() {
    let mut play = Play::desk();
    let issue = play.issue_for(WORKER);
    let long = format!("whole {}", "é".repeat(40_000));
    play.patch(&issue, IssuePatch { description: Some(long), ..IssuePatch::default() });
    for number in 0..35 {
        say(&mut play, &issue, &format!("comment {number} {}", "x".repeat(600)));
    }
    play.begin_issue(&issue).expect("granted");
    let held = play.claim_of(WORKER);
    let prompt = play.world.state.brief(play.assignment(&held)).expect("told").prompt;
    assert!(prompt.len() <= PROMPT_BYTES_MAX && prompt.len() > PROMPT_BYTES_MAX - 1_000, "{}", prompt.len());
    assert!(prompt.contains("[ISSUE PLA-1] Fix it\n<<<\nwhole é"));
    assert!(prompt.contains("comment 34 ") && !prompt.contains("comment 5 "));
    assert!(prompt.trim_end().ends_with("---END HANDOFF---"));
    let count = |what: &str| prompt.lines().filter(|line| *line == what).count();
    assert_eq!(count("<<<"), count(">>>"));
    assert_eq!(count("[shortened]"), 2, "the issue's text, and the task's");
}

#[test]
fn a_review_may_hand_the_issue_to_another_agent_who_then_works_the_task() {
    let (mut play, issue, held) = underway();
    let other = play.hire_here("other-worker");
    play.report(&held, done()).expect("heard");
    let missing = "reassign_to does not exist in this workspace";
    assert_eq!(detail(play.review(&issue, "request_changes", None, Some("nobody"))), missing);
    assert_eq!(play.status(&issue), IssueStatus::Review);
    play.review(&issue, "request_changes", None, Some("other-worker")).expect("granted");
    assert_eq!(play.said(&issue).last().map(String::as_str), Some("Changes requested"));
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&other)));
    assert_eq!(play.last_line(&issue), line("assignee_changed", &format!("assignee_id: {other}")));
    play.patch(
        &issue,
        taffrail_domain::issue::IssuePatch {
            title: Some("Fix it well".into()),
            description: Some("Really".into()),
            ..change()
        },
    );
    play.begin_issue(&issue).expect("granted");
    let held = play.claim_of(other.as_str());
    let task = play.sole_task(&issue);
    assert_eq!((&*task.title, task.description.as_deref()), ("Fix it well", Some("Really")));
    play.report(&held, done()).expect("heard");
    play.review(&issue, "approve", None, Some("worker")).expect("granted");
    assert_eq!(
        play.found(&issue).facts.assignee,
        Some(Party::agent(&other)),
        "only what goes on is handed on"
    );
    at_rest(&play);
}

#[test]
fn a_failed_or_cancelled_issue_is_tried_again_in_one_step() {
    let retry = |play: &mut Play, issue: &MissionId, seen| {
        play.ask(IssueCommand::Retry { issue: named(issue), seen })
    };
    let (mut play, issue, held) = underway();
    let refusal = "Issue must be in FAILED or CANCELLED to retry (current: IN_PROGRESS)";
    assert_eq!(detail(retry(&mut play, &issue, None)), refusal);
    play.report(&held, failed()).expect("heard");
    retry(&mut play, &issue, Some(IssueStatus::Failed)).expect("granted");
    let lines = play.lines(&issue);
    let expected = [line("status_changed", "FAILED → TODO"), line("status_changed", "TODO → IN_PROGRESS")];
    assert_eq!(lines[lines.len() - 2..], expected);
    let outcome = retry(&mut play, &issue, Some(IssueStatus::Failed));
    assert_eq!(refused(outcome).0, "issue.already_started");
    assert_eq!(play.sole_task(&issue).iteration, 2);
    play.stop_issue(&issue).expect("granted");
    retry(&mut play, &issue, None).expect("granted");
    let held = play.claim_of(WORKER);
    play.report(&held, done()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    at_rest(&play);
    let mut play = Play::desk();
    let issue = play.issue_in(IssueStatus::Cancelled);
    assert_eq!(detail(retry(&mut play, &issue, None)), "Issue must have an assignee before starting");
    assert_eq!(play.status(&issue), IssueStatus::Cancelled, "all or nothing");
}

#[test]
fn an_issue_in_progress_by_hand_is_a_persons_and_never_the_engines() {
    let mut play = Play::desk();
    play.without_worker.clear();
    let issues = [play.issue_for(WORKER), play.issue_for(LEAD)];
    for issue in &issues {
        play.patch(issue, to("IN_PROGRESS"));
    }
    play.now = Time(play.now.0 + 2 * MISSION_MS_MAX);
    play.engine();
    assert!(play.claim().is_none());
    let bytes = bincode::serde::encode_to_vec(&play.world, bincode::config::standard()).expect("stored");
    let (world, _): (taffrail_projections::WorkspaceWorld, usize) =
        bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).expect("read");
    for issue in &issues {
        assert_eq!(play.status(issue), IssueStatus::InProgress);
        let folded = play.folded(issue).expect("it is there");
        for state in [&play.world.state, &world.state] {
            for undertaking in [&state.issues.all[issue].undertaking, &folded.undertaking] {
                let due = state.due(undertaking, play.now, &|_| true);
                assert!(due.commands.is_empty() && due.again_at.is_none());
            }
        }
    }
    at_rest(&play);
    // What was up for review and is in progress again is a person's too.
    let (mut play, issue, held) = underway();
    play.report(&held, done()).expect("heard");
    play.patch(&issue, to("IN_PROGRESS"));
    play.now = Time(play.now.0 + 2 * MISSION_MS_MAX);
    play.engine();
    assert_eq!(play.status(&issue), IssueStatus::InProgress);
    at_rest(&play);
}

#[test]
fn who_takes_a_running_issue_back_takes_it_from_the_workers() {
    for (status, task) in [
        ("TODO", TaskStatus::Pending),
        ("REVIEW", TaskStatus::Pending),
        ("DONE", TaskStatus::Skipped),
        ("FAILED", TaskStatus::Skipped),
        ("CANCELLED", TaskStatus::Skipped),
    ] {
        let (mut play, issue, held) = underway();
        play.patch(&issue, to(status));
        assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled, "{status}");
        assert_eq!(play.sole_task(&issue).status, task, "{status}");
        let before = play.found(&issue).clone();
        play.report(&held, done()).expect("noted");
        assert_eq!(*play.found(&issue), before);
        at_rest(&play);
    }
}

#[test]
fn an_issue_that_its_crews_policy_holds_starts_when_somebody_has_said_yes() {
    for approved in [true, false] {
        let mut play = Play::desk();
        let policy = taffrail_domain::roster::PolicyDraft {
            autonomy_level: Some("strict".into()),
            ..Default::default()
        };
        play.wish(&member(Role::Owner), RosterCommand::SetPolicy { crew: CREW.into(), draft: policy })
            .expect("granted");
        let draft = IssueDraft {
            assignee_type: Some("agent".into()),
            assignee_id: Some(WORKER.into()),
            ..titled("Idea")
        };
        let propose = IssueCommand::Propose { crew: CREW.into(), draft: draft.into() };
        let made = play.wish(&Actor::Agent(WORKER.into()), propose).expect("granted");
        let issue = MissionId::from(&*made[0].subject);
        let refusal = ("issue.held", "Issue start rejected by policy".to_owned());
        assert_eq!(refused(play.begin_issue(&issue)), refusal);
        let approval = play.world.state.approvals.all.keys().next().expect("asked").clone();
        let decide = taffrail_domain::approval::ApprovalCommand::Decide { approval, approved, comment: None };
        play.wish(&member(Role::Admin), decide).expect("granted");
        match approved {
            true => drop(play.begin_issue(&issue).expect("granted")),
            false => assert_eq!(refused(play.begin_issue(&issue)), refusal),
        }
        play.holds_together();
    }
}

#[test]
fn a_passive_lead_is_not_asked_to_plan_and_the_start_says_so() {
    let mut play = Play::desk();
    let patch = AgentPatch { lead_mode: Some(Some("passive".into())), ..AgentPatch::default() };
    play.manager(RosterCommand::UpdateAgent { agent: LEAD.into(), patch });
    let issue = play.issue_for(LEAD);
    assert_eq!(detail(play.begin_issue(&issue)), "Lead agent is passive; add tasks before starting");
    play.patch(&issue, given_to(WORKER));
    play.begin_issue(&issue).expect("a worker is not asked to plan");
}

#[test]
fn a_lead_plans_tasks_that_others_work() {
    let (mut play, issue, held) = led();
    let plan = json!({ "plan": "1. Do", "tasks": [
        { "title": "a", "task_order": 1, "assigned_to": "worker" },
        { "title": "b", "task_order": 2, "assigned_to": "worker", "depends_on": [1] },
    ] });
    play.report(&held, answering(plan)).expect("heard");
    assert_eq!(play.found(&issue).plan.as_deref(), Some("1. Do"));
    assert!(play.said(&issue).is_empty(), "a plan is no comment");
    for _ in 0..2 {
        assert_eq!(play.status(&issue), IssueStatus::InProgress);
        let held = play.claim_of(WORKER);
        play.report(&held, with_result(HANDOFF)).expect("heard");
    }
    assert_eq!(play.status(&issue), IssueStatus::Review);
    assert_eq!(play.said(&issue).len(), 2);
    // Sent back, the same plan is worked again; its tasks stay whose they are.
    play.review(&issue, "request_changes", None, None).expect("granted");
    play.now = Time(play.now.0 + 1_000);
    play.begin_issue(&issue).expect("granted");
    let tasks: Vec<_> =
        play.found(&issue).tasks_in_order().iter().map(|task| (task.status, task.iteration)).collect();
    assert_eq!(tasks, [(TaskStatus::InProgress, 2), (TaskStatus::Blocked, 2)]);
    play.claim_of(WORKER);
    play.holds_together();
}

#[test]
fn the_only_task_of_a_plan_stays_whose_it_is() {
    let (mut play, issue, held) = led();
    let plan = json!({ "tasks": [{ "title": "part", "assigned_to": "worker" }] });
    play.report(&held, answering(plan)).expect("heard");
    let held = play.claim_of(WORKER);
    play.report(&held, failed()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    play.now = Time(play.now.0 + 1_000);
    play.ask(IssueCommand::Retry { issue: named(&issue), seen: None }).expect("granted");
    assert_eq!(&*play.sole_task(&issue).title, "part");
    play.claim_of(WORKER);
}

#[test]
fn a_plan_that_makes_no_sense_fails_the_issue() {
    for tasks in [
        json!([{ "title": "a", "depends_on": [7] }]),
        json!([
            { "title": "a", "task_order": 1, "depends_on": [2] },
            { "title": "b", "task_order": 2, "depends_on": [1] },
        ]),
    ] {
        let (mut play, issue, held) = led();
        play.report(&held, answering(json!({ "tasks": tasks }))).expect("heard");
        assert_eq!(play.status(&issue), IssueStatus::Failed);
        assert!(play.found(&issue).tasks.is_empty(), "all of it or nothing");
        at_rest(&play);
    }
}

#[test]
fn a_lead_that_does_it_itself_says_what_it_did() {
    let (mut play, issue, held) = led();
    play.report(&held, with_result(HANDOFF)).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    assert!(play.said(&issue)[0].starts_with("**lead completed their work** (confidence: high)"));
    at_rest(&play);
}

#[test]
fn a_lead_whose_planning_fails_fails_the_issue() {
    let (mut play, issue, held) = led();
    play.report(&held, failed()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    assert_eq!(play.said(&issue), ["**lead encountered an issue.** Error: no luck"]);
    at_rest(&play);
}

#[test]
fn what_a_lead_hands_on_is_the_other_agents_and_over_when_that_is_done() {
    let (mut play, issue, planning) = led();
    let asked = format!("Look at {}", "x".repeat(400));
    delegate(&mut play, &issue, WORKER, &asked).expect("granted");
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&WORKER.into())));
    assert_eq!(play.last_line(&issue), line("assignee_changed", "lead assigned to worker (@worker)"));
    let shown: String = asked.chars().take(300).collect();
    assert_eq!(play.said(&issue), [format!("**lead assigned work to worker**\n\n{shown}")]);
    play.report(&planning, done()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::InProgress, "the other one is still on it");
    let held = play.claim_of(WORKER);
    play.report(&held, with_result("found it")).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    assert_eq!(play.said(&issue)[1..], ["**worker completed their work**\n\nfound it"]);
    let lines = play.lines(&issue);
    let expected =
        [line("task_completed", "worker finished work"), line("status_changed", "IN_PROGRESS → REVIEW")];
    assert_eq!(lines[lines.len() - 2..], expected);
    at_rest(&play);
}

#[test]
fn a_delegation_that_ends_in_any_way_ends_the_issues_work() {
    type End = fn(&mut Play, &Held);
    let ends: [(&str, End); 4] = [
        ("failed", |play, held| drop(play.report(held, failed()).expect("heard"))),
        ("stopped", |play, _| {
            play.manager(RosterCommand::StopAgent { agent: WORKER.into() });
        }),
        ("silent", |play, held| {
            let (assignment, fence) = held.clone();
            play.wish(&Actor::Orchestrator, WorkCommand::Lapse { assignment, fence }).expect("granted");
        }),
        ("handed back", |play, held| {
            let (assignment, fence) = held.clone();
            play.wish(&Actor::Orchestrator, WorkCommand::HandBack { assignment, fence }).expect("granted");
        }),
    ];
    for (how, end) in ends {
        let (mut play, issue, planning) = led();
        delegate(&mut play, &issue, WORKER, "Look").expect("granted");
        let held = play.claim_of(WORKER);
        play.report(&planning, done()).expect("heard");
        end(&mut play, &held);
        play.engine();
        assert_eq!(play.status(&issue), IssueStatus::Review, "{how}: the LEAD's part was done");
        at_rest(&play);
    }
    // The crew it was handed to goes.
    let (mut play, issue, planning) = led();
    let link = taffrail_domain::roster::ConnectionDraft {
        from_crew_id: Some(CREW.into()),
        to_crew_id: Some(OTHER_CREW.into()),
        direction: None,
    };
    play.manager(RosterCommand::Connect(link));
    delegate(&mut play, &issue, "other-lead", "Look").expect("granted");
    play.report(&planning, done()).expect("heard");
    assert_eq!(play.status(&issue), IssueStatus::InProgress);
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: OTHER_CREW.into() }).expect("granted");
    assert_eq!(play.status(&issue), IssueStatus::Review);
    at_rest(&play);
}

#[test]
fn a_held_delegation_hands_the_issue_on_when_somebody_has_said_yes() {
    let (mut play, issue, _planning) = led();
    let policy =
        taffrail_domain::roster::PolicyDraft { autonomy_level: Some("strict".into()), ..Default::default() };
    play.wish(&member(Role::Owner), RosterCommand::SetPolicy { crew: CREW.into(), draft: policy })
        .expect("granted");
    delegate(&mut play, &issue, WORKER, "Look").expect("granted");
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&LEAD.into())));
    let approval = play.world.state.approvals.all.keys().next().expect("asked").clone();
    let decide =
        taffrail_domain::approval::ApprovalCommand::Decide { approval, approved: true, comment: None };
    play.wish(&member(Role::Admin), decide).expect("granted");
    assert_eq!(play.found(&issue).facts.assignee, Some(Party::agent(&WORKER.into())));
    play.claim_of(WORKER);
    play.holds_together();
}

#[test]
fn what_was_handed_on_is_over_when_the_issue_is_sent_back() {
    let (mut play, issue, planning) = led();
    delegate(&mut play, &issue, WORKER, "Look").expect("granted");
    play.report(&planning, done()).expect("heard");
    let held = play.claim_of(WORKER);
    play.review(&issue, "request_changes", None, None).expect("granted");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    at_rest(&play);
    play.begin_issue(&issue).expect("granted");
    assert_eq!(play.sole_task(&issue).iteration, 1, "who has it now works it");
}

#[test]
fn after_two_hours_it_has_failed() {
    let (mut play, issue, held) = underway();
    play.now = Time(play.now.0 + MISSION_MS_MAX - 1);
    play.engine();
    assert_eq!(play.status(&issue), IssueStatus::InProgress);
    play.now = Time(play.now.0 + 1);
    play.engine();
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    assert_eq!(play.last_line(&issue), line("status_changed", "IN_PROGRESS → FAILED"));
    let task = play.sole_task(&issue);
    assert_eq!((task.status, task.error_message.as_deref()), (TaskStatus::Failed, Some("mission timed out")));
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    at_rest(&play);
    let (mut play, issue, _) = led();
    play.now = Time(play.now.0 + MISSION_MS_MAX);
    play.engine();
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    at_rest(&play);
}

pub(super) fn lapse(play: &mut Play, (assignment, fence): &Held) {
    let lapse = WorkCommand::Lapse { assignment: assignment.clone(), fence: *fence };
    play.wish(&Actor::Orchestrator, lapse).expect("granted");
    play.engine();
}

#[test]
fn a_worker_that_goes_silent_loses_it_and_the_third_time_it_has_failed() {
    let (mut play, issue, held) = underway();
    lapse(&mut play, &held);
    let held = play.claim_of(WORKER);
    lapse(&mut play, &held);
    let held = play.claim_of(WORKER);
    assert_eq!(play.status(&issue), IssueStatus::InProgress);
    lapse(&mut play, &held);
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    assert_eq!(play.said(&issue), ["**worker encountered an issue.** Error: the worker went silent"]);
    at_rest(&play);
}

#[test]
fn a_lead_whose_worker_goes_away_is_asked_again_three_times() {
    let (mut play, issue, held) = led();
    lapse(&mut play, &held);
    let (assignment, fence) = play.claim_of(LEAD);
    play.wish(&Actor::Orchestrator, WorkCommand::HandBack { assignment, fence }).expect("granted");
    play.engine();
    let held = play.claim_of(LEAD);
    assert_eq!(play.status(&issue), IssueStatus::InProgress);
    lapse(&mut play, &held);
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    at_rest(&play);
}

#[test]
fn a_stopped_agents_issue_has_failed_and_says_so() {
    let (mut play, issue, _) = underway();
    play.manager(RosterCommand::StopAgent { agent: WORKER.into() });
    assert_eq!(play.status(&issue), IssueStatus::Failed);
    assert_eq!(play.said(&issue), ["**worker encountered an issue.** Error: agent stopped"]);
    at_rest(&play);
}

#[test]
fn an_agent_under_review_is_waited_for_and_one_of_a_strange_crew_fails_the_issue() {
    let mut play = Play::desk();
    let stranger = play.hire("stranger", OTHER_CREW);
    let issue = play.issue_for(stranger.as_str());
    play.begin_issue(&issue).expect("granted");
    assert_eq!(play.status(&issue), IssueStatus::Failed, "its crew is not connected");
    at_rest(&play);
}

#[test]
fn an_issue_that_never_started_is_no_mission() {
    let mut play = Play::desk();
    let issue = play.issue_for(WORKER);
    play.begin_issue(&issue).expect("granted");
    let crew = taffrail_domain::CrewId::from(CREW);
    let wishes = [
        taffrail_domain::mission::MissionCommand::Delete { crew: crew.clone(), mission: issue.clone() },
        taffrail_domain::mission::MissionCommand::Restart { crew: crew.clone(), mission: issue.clone() },
        taffrail_domain::mission::MissionCommand::Start { crew, mission: issue.clone(), seen: None },
    ];
    for wish in wishes {
        assert_eq!(detail(play.wish(&member(Role::Owner), wish)), "Mission not found");
    }
    assert_eq!(play.world.board.missions(None, None).count(), 0);
}

#[test]
fn a_fresh_issue_has_an_anchor_and_a_fork_of_it_is_a_mission_with_the_same_plan() {
    use taffrail_domain::checkpoint::{Bookmarked, CheckpointCommand, CheckpointDraft, Snapshot};
    let bookmark = |play: &mut Play, issue: &MissionId| {
        let draft = Ok(CheckpointDraft::default());
        let made = play.manager(CheckpointCommand::Create { mission: issue.clone(), draft, at: None });
        taffrail_domain::CheckpointId::from(&*made[0].subject)
    };
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let checkpoint = bookmark(&mut play, &issue);
    assert_eq!(&*play.world.state.checkpoints[&checkpoint].state.meta.mission_status, "BACKLOG");
    play.delete_issue(&issue).expect("granted");
    assert!(play.world.state.checkpoints.is_empty(), "they go with it");
    play.holds_together();
    let (mut play, issue, held) = underway();
    play.report(&held, with_result(HANDOFF)).expect("heard");
    let checkpoint = bookmark(&mut play, &issue);
    let then = Bookmarked::Issue(play.found(&issue).clone().into());
    let stored = play.world.state.checkpoints[&checkpoint].clone();
    assert_eq!(stored.state, Snapshot::of(&then, stored.boundary, &play.world.state.work));
    let fork = CheckpointCommand::Fork { checkpoint: checkpoint.clone(), label: None, source: Some(then) };
    let made = play.manager(fork);
    let mission = &play.world.state.missions[&*made[0].subject];
    assert_eq!(&*mission.title, "Fork: Fix it");
    assert_eq!(mission.fork_hash(), play.found(&issue).fork_hash());
    assert_eq!(mission.fork_hash(), stored.state.meta.fork_hash);
    play.holds_together();
}

#[test]
fn two_issues_of_one_agent_are_worked_one_by_one_as_the_crew_has_places() {
    let mut play = Play::desk();
    let issues: Vec<MissionId> = (0..4).map(|_| play.issue_for(WORKER)).collect();
    for issue in &issues {
        play.begin_issue(issue).expect("granted");
    }
    let queued = play.world.state.work.live().filter(|found| found.status == AssignmentStatus::Queued);
    let queued = queued.count();
    assert!(queued > 0, "more than the crew has places for");
    for _ in 0..4 {
        let held = play.claim_of(WORKER);
        play.report(&held, done()).expect("heard");
    }
    assert!(issues.iter().all(|issue| play.status(issue) == IssueStatus::Review));
    at_rest(&play);
}
