//! Missions that run: what the engine does and what follows from what workers report (`missions.md` 9).

use serde_json::json;
use taffrail_domain::approval::ApprovalCommand;
use taffrail_domain::mission::{
    MissionCommand, MissionEvent, MissionStatusChanged, Reason, Status, TaskDraft, TaskStatus,
};
use taffrail_domain::roster::{CrewPatch, Role, RosterCommand};
use taffrail_domain::work::{AssignmentStatus, MISSION_MS_MAX, Purpose, WorkCommand};
use taffrail_domain::{Actor, Event, Time};

use super::kit::{CREW, LEAD, WORKER, crew, member, mission};
use super::play::{Play, answering, done, failed};

const PENDING: TaskStatus = TaskStatus::Pending;
const BLOCKED: TaskStatus = TaskStatus::Blocked;
const RUNNING: TaskStatus = TaskStatus::InProgress;
const DONE: TaskStatus = TaskStatus::Completed;
const FAILED: TaskStatus = TaskStatus::Failed;

/// How the mission came where it is.
fn last_move(play: &Play) -> &MissionStatusChanged {
    let mut moves = play.entries.iter().filter_map(|entry| match &entry.event {
        Some(Event::Mission(MissionEvent::MissionStatusChanged(moved))) => Some(moved),
        _ => None,
    });
    moves.next_back().expect("it has moved")
}

#[test]
fn a_chain_runs_in_order_to_review() {
    let mut play = Play::begin();
    let a = play.task("a", &[]);
    let b = play.task("b", &[&a]);
    let c = play.task("c", &[&b]);
    play.start();
    assert_eq!(play.stand(&[&a, &b, &c]), [RUNNING, BLOCKED, BLOCKED]);
    for task in [&a, &b, &c] {
        play.work(task, done());
    }
    assert_eq!(play.stand(&[&a, &b, &c]), [DONE; 3]);
    assert_eq!((play.mission().status, last_move(&play).reason), (Status::Review, Reason::AllTasksDone));
    assert_eq!(play.mission().completed_at, None);
    assert!(play.claim().is_none(), "the LEAD has no worker to review with");
}

#[test]
fn a_diamond_opens_both_sides_and_joins_once() {
    let mut play = Play::begin();
    let top = play.task("top", &[]);
    let (left, right) = (play.task("left", &[&top]), play.task("right", &[&top]));
    let bottom = play.task("bottom", &[&left, &right]);
    play.start();
    play.work(&top, done());
    assert_eq!(play.stand(&[&left, &right, &bottom]), [RUNNING, RUNNING, BLOCKED]);
    play.work(&left, done());
    assert_eq!(play.stand(&[&bottom]), [BLOCKED]);
    play.work(&right, done());
    assert_eq!(play.stand(&[&bottom]), [RUNNING]);
}

#[test]
fn unassigned_tasks_go_to_who_has_the_fewest_and_the_lead_only_if_nobody_else_can() {
    let mut play = Play::begin();
    let (a, b) = (play.task("a", &[]), play.task("b", &[]));
    play.start();
    for task in [&a, &b] {
        assert_eq!(play.at(task).assigned_agent_id.as_ref().map(|id| id.as_str()), Some(WORKER));
    }
    let mut play = Play::begin();
    play.without_worker = [WORKER.into()].into();
    let a = play.task("a", &[]);
    play.start();
    assert_eq!(play.at(&a).assigned_agent_id.as_ref().map(|id| id.as_str()), Some(LEAD));
}

#[test]
fn a_task_whose_agent_has_no_worker_waits_and_people_may_work_it() {
    let mut play = Play::begin();
    play.without_worker = [WORKER.into(), LEAD.into()].into();
    let a = play.task("a", &[]);
    play.start();
    assert_eq!(play.stand(&[&a]), [PENDING]);
    play.patch_task(&a, "IN_PROGRESS");
    play.patch_task(&a, "COMPLETED");
    assert_eq!(play.mission().status, Status::Review);
}

#[test]
fn a_failed_task_is_tried_as_often_as_it_may_be_and_no_more() {
    let mut play = Play::begin();
    let a = play.tried("a", &[], 3);
    play.start();
    for attempt in 1..=3 {
        assert_eq!((play.at(&a).iteration, play.at(&a).status), (attempt, RUNNING));
        // Three failures in a row open the agent's breaker: the last attempt waits for it to cool down.
        play.work(&a, failed());
    }
    assert_eq!(play.at(&a).status, FAILED);
    assert_eq!(play.at(&a).error_message.as_deref(), Some("no luck"));
    assert_eq!((play.mission().status, last_move(&play).reason), (Status::Failed, Reason::TaskFailed));
}

#[test]
fn a_failure_asks_the_first_dependency_that_has_attempts_left() {
    let mut play = Play::begin();
    let a = play.tried("a", &[], 2);
    let b = play.task("b", &[&a]);
    play.start();
    play.work(&a, done());
    play.work(&b, failed());
    assert_eq!(play.stand(&[&a, &b]), [RUNNING, BLOCKED]);
    assert_eq!((play.at(&a).iteration, play.at(&b).iteration), (2, 1));
    assert_eq!(play.at(&b).error_message, None);
    play.work(&a, done());
    play.work(&b, failed());
    assert_eq!(play.stand(&[&a, &b]), [DONE, FAILED], "nobody has attempts left");
    assert_eq!(play.mission().status, Status::Failed);
}

#[test]
fn what_waits_for_a_skipped_task_is_a_deadlock_that_says_why() {
    let mut play = Play::begin();
    play.without_worker = [WORKER.into(), LEAD.into()].into();
    let a = play.task("a", &[]);
    let b = play.task("b", &[&a]);
    play.start();
    play.patch_task(&a, "SKIPPED");
    assert_eq!(play.mission().status, Status::Failed);
    assert_eq!(play.stand(&[&b]), [BLOCKED], "tasks keep their status");
    let moved = last_move(&play);
    assert_eq!(moved.reason, Reason::Deadlock);
    assert_eq!((&moved.stuck[0].task_id, &moved.stuck[0].unmet), (&b, &vec![a]));
}

#[test]
fn an_independent_branch_ends_before_the_mission_fails() {
    let mut play = Play::begin();
    let (a, other) = (play.task("a", &[]), play.task("other", &[]));
    let after = play.task("after", &[&a]);
    play.start();
    play.work(&a, failed());
    assert_eq!(play.mission().status, Status::InProgress);
    play.work(&other, done());
    assert_eq!((play.mission().status, last_move(&play).reason), (Status::Failed, Reason::Deadlock));
    assert_eq!(play.stand(&[&a, &other, &after]), [FAILED, DONE, BLOCKED]);
}

#[test]
fn a_result_that_must_be_approved_waits_and_the_first_decision_counts() {
    for approved in [true, false] {
        let mut play = Play::begin();
        let held = TaskDraft { approval_required: Some(true), ..TaskDraft::default() };
        let a = play.add("a", &[], held);
        let b = play.task("b", &[&a]);
        let c = play.task("c", &[&b]);
        play.start();
        play.work(&a, done());
        assert_eq!(play.stand(&[&a, &b]), [TaskStatus::AwaitingApproval, BLOCKED]);
        let approval = play.world.state.approvals.all.keys().next().expect("asked").clone();
        let decide = ApprovalCommand::Decide { approval, approved, comment: Some("seen".into()) };
        assert!(play.wish(&member(Role::Manager), decide.clone()).is_err(), "needs an ADMIN");
        play.wish(&member(Role::Admin), decide.clone()).expect("decided");
        play.engine();
        assert_eq!(play.wish(&member(Role::Admin), decide).expect_err("twice").code, "approval.decided");
        let task = play.at(&a);
        assert_eq!(task.evaluation_notes.as_deref(), Some("seen"));
        assert_eq!(task.approved_by.as_ref().map(|by| by.as_str()), Some("admin"));
        if approved {
            assert_eq!(task.approval_status.as_deref(), Some("APPROVED"));
            assert_eq!(play.stand(&[&a, &b, &c]), [DONE, RUNNING, BLOCKED]);
        } else {
            assert_eq!(play.stand(&[&a, &b, &c]), [FAILED; 3], "all that waits for it fails with it");
            assert_eq!(play.at(&c).error_message.as_deref(), Some("upstream task rejected"));
            assert_eq!(play.mission().status, Status::Failed);
        }
    }
}

#[test]
fn low_confidence_holds_a_result_and_a_high_one_overrides_the_wish_for_approval() {
    let config = r#"{"auto_approve_threshold":0.8,"require_approval_below":0.5}"#;
    let patch = CrewPatch { escalation_config: Some(Some(config.into())), ..CrewPatch::default() };
    let mut play = Play::begin();
    play.manager(RosterCommand::UpdateCrew { crew: CREW.into(), patch });
    let unsure = play.task("unsure", &[]);
    let sure = play.add("sure", &[], TaskDraft { approval_required: Some(true), ..TaskDraft::default() });
    play.start();
    let low = "x\n---HANDOFF---\nsummary: half of it\nconfidence: low\n---END HANDOFF---";
    play.work(&unsure, taffrail_domain::work::Report { result: Some(low.into()), ..done() });
    play.work(&sure, taffrail_domain::work::Report { confidence: Some(0.9), ..done() });
    assert_eq!(play.stand(&[&unsure, &sure]), [TaskStatus::AwaitingApproval, DONE]);
    let task = play.at(&unsure);
    assert_eq!((task.confidence, task.needs_review), (Some(0.4), true));
    assert_eq!(task.handoff_context.as_deref(), Some("half of it"));
}

#[test]
fn cancel_means_stop_and_a_late_result_is_noted_and_changes_nothing() {
    let mut play = Play::begin();
    let a = play.task("a", &[]);
    play.start();
    let held = play.claim().expect("work");
    play.patch_mission("CANCELLED");
    assert_eq!(play.stand(&[&a]), [TaskStatus::Skipped]);
    assert_eq!(play.at(&a).error_message.as_deref(), Some("mission cancelled"));
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    let before = play.mission().clone();
    let noted = play.report(&held, done()).expect("noted");
    assert_eq!(noted.len(), 1);
    assert_eq!(play.report(&held, done()).expect("noted before"), []);
    assert_eq!(*play.mission(), before);
}

#[test]
fn a_result_counts_once_and_only_under_its_own_fence() {
    let mut play = Play::begin();
    let a = play.tried("a", &[], 2);
    play.start();
    let (assignment, fence) = play.claim().expect("work");
    let forged = (assignment.clone(), fence.plus(1));
    assert_eq!(play.report(&forged, done()).expect_err("forged").code, "assignment.claim_lost");
    play.report(&(assignment.clone(), fence), failed()).expect("in time");
    assert_eq!(play.at(&a).iteration, 2);
    assert_eq!(play.report(&(assignment, fence), done()).expect("a repeat"), [], "nothing new");
    assert_eq!(play.stand(&[&a]), [RUNNING]);
}

#[test]
fn a_worker_that_goes_silent_loses_its_work_which_is_then_given_to_another() {
    let mut play = Play::begin();
    let a = play.task("a", &[]);
    play.start();
    for lapse in 1..=3 {
        let (assignment, fence) = play.claim().expect("work");
        play.wish(&Actor::Orchestrator, WorkCommand::Lapse { assignment, fence }).expect("lapses");
        play.engine();
        let expected = if lapse < 3 { RUNNING } else { FAILED };
        assert_eq!((play.at(&a).status, play.at(&a).iteration), (expected, 1), "lapse {lapse}");
    }
    assert_eq!(play.mission().status, Status::Failed, "it is no use");
}

#[test]
fn an_agent_that_keeps_failing_rests_and_then_gets_one_try() {
    let mut play = Play::begin();
    let tasks: Vec<_> = (0..5).map(|number| play.task(&format!("t{number}"), &[])).collect();
    play.start();
    for task in &tasks[..2] {
        play.work(task, failed());
    }
    // Both places of the crew are taken by what was dispatched before.
    assert_eq!(play.stand(&[&tasks[2], &tasks[3]]), [RUNNING, RUNNING]);
    play.work(&tasks[2], failed());
    let more = play.task("more", &[]);
    play.engine();
    assert_eq!(play.stand(&[&more]), [PENDING], "the breaker is open");
    play.work(&tasks[3], failed());
    play.work(&tasks[4], failed());
    play.now = Time(play.now.0 + 60_000);
    play.engine();
    assert_eq!(play.stand(&[&more]), [RUNNING], "one try decides");
    let late = play.task("late", &[]);
    play.engine();
    assert_eq!(play.stand(&[&late]), [PENDING]);
    play.work(&more, done());
    assert_eq!(play.stand(&[&late]), [RUNNING], "it has healed");
}

#[test]
fn a_crew_has_so_many_places_and_who_waits_for_one_gets_it() {
    let mut play = Play::begin();
    let tasks: Vec<_> = (0..3).map(|number| play.task(&format!("t{number}"), &[])).collect();
    play.start();
    // 4,096 MB are two places.
    let statuses = |play: &Play| {
        let all = play.world.state.work.assignments_newest();
        all.map(|found| found.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&play)[0], AssignmentStatus::Queued);
    assert_eq!(play.stand(&[&tasks[2]]), [RUNNING], "the task is under way all the same");
    play.work(&tasks[0], done());
    assert_eq!(statuses(&play)[0], AssignmentStatus::Pending);
}

#[test]
fn a_mission_that_runs_too_long_has_failed_with_all_it_has_in_flight() {
    let mut play = Play::begin();
    let held = play.add("held", &[], TaskDraft { approval_required: Some(true), ..TaskDraft::default() });
    let running = play.task("running", &[]);
    play.start();
    play.work(&held, done());
    let worker = play.claim().expect("work");
    let entered = play.mission().entered_at;
    play.now = Time(entered.0 + MISSION_MS_MAX - 1);
    play.engine();
    assert_eq!(play.mission().status, Status::InProgress);
    play.now = Time(entered.0 + MISSION_MS_MAX);
    play.engine();
    assert_eq!((play.mission().status, last_move(&play).reason), (Status::Failed, Reason::Timeout));
    assert_eq!(play.stand(&[&held, &running]), [FAILED, FAILED]);
    assert_eq!(play.at(&held).error_message.as_deref(), Some("mission timed out"));
    assert_eq!(play.assignment(&worker).status, AssignmentStatus::Cancelled);
    assert!(play.world.state.approvals.pending_of.is_empty(), "nobody is asked any more");
}

#[test]
fn a_lead_with_a_worker_plans_an_empty_mission_and_its_plan_becomes_tasks() {
    let mut play = Play::begin();
    play.without_worker.clear();
    play.start();
    let held = play.claim().expect("the LEAD is asked");
    assert_eq!(play.assignment(&held).facts.purpose, Purpose::Planning);
    assert!(play.claim().is_none(), "once");
    let plan = json!({
        "plan": "first a, then b",
        "tasks": [
            { "title": "b", "task_order": 2, "depends_on": [1], "assigned_to": "worker" },
            { "title": "a", "task_order": 1, "max_iterations": 2 },
        ],
    });
    play.report(&held, answering(plan)).expect("heard");
    let mission = play.mission();
    assert_eq!(mission.plan.as_deref(), Some("first a, then b"));
    let tasks = mission.tasks_in_order();
    assert_eq!(
        (&*tasks[0].title, tasks[0].status, &*tasks[1].title, tasks[1].status),
        ("a", RUNNING, "b", BLOCKED)
    );
    assert_eq!(tasks[1].depends_on, [tasks[0].id.clone()]);
}

#[test]
fn a_plan_that_makes_no_sense_fails_the_mission_and_says_why() {
    for (tasks, why) in [
        (json!([{ "title": "a", "depends_on": [7] }]), "depends on Order(7), which is none"),
        (json!([{ "title": "" }]), "has no title"),
        (json!([{ "title": "a", "max_iterations": 51 }]), "between 0 and 50"),
        (json!([{ "title": "a", "task_order": 1 }, { "title": "b", "task_order": 1 }]), "two tasks"),
        (
            json!([{ "title": "a", "task_order": 1, "depends_on": [2] }, { "title": "b", "task_order": 2, "depends_on": [1] }]),
            "circular dependency",
        ),
        (json!([{ "title": "a", "assigned_to": "nobody" }]), "not found"),
    ] {
        let mut play = Play::begin();
        play.without_worker.clear();
        play.start();
        let held = play.claim().expect("the LEAD is asked");
        play.report(&held, answering(json!({ "tasks": tasks }))).expect("heard");
        let moved = last_move(&play);
        assert_eq!((moved.to, moved.reason), (Status::Failed, Reason::PlanningFailed));
        assert!(moved.error_message.as_deref().is_some_and(|said| said.contains(why)), "{moved:?}");
        assert!(play.mission().tasks.is_empty(), "all of it or nothing");
    }
}

#[test]
fn a_passive_lead_is_not_asked() {
    let mut play = Play::begin();
    play.without_worker.clear();
    let patch =
        taffrail_domain::roster::AgentPatch { lead_mode: Some(Some("passive".into())), ..Default::default() };
    play.manager(RosterCommand::UpdateAgent { agent: LEAD.into(), patch });
    play.start();
    assert!(play.claim().is_none());
    assert_eq!(play.mission().status, Status::InProgress);
}

#[test]
fn a_review_completes_the_mission_or_sends_it_back_with_new_tasks() {
    let mut play = Play::begin();
    play.without_worker.clear();
    let assigned = TaskDraft { assigned_agent_id: Some(WORKER.into()), ..TaskDraft::default() };
    let a = play.add("a", &[], assigned);
    play.start();
    play.work(&a, done());
    let held = play.claim().expect("the LEAD is asked");
    assert_eq!(play.assignment(&held).facts.purpose, Purpose::Review);
    let back = json!({
        "verdict": "send_back",
        "tasks": [{ "title": "more", "task_order": 9, "depends_on": [a.as_str()], "assigned_to": "worker" }],
        "evaluations": [{ "task": a.as_str(), "status": "FAIL", "notes": "half of it" }],
    });
    play.report(&held, answering(back)).expect("heard");
    assert_eq!((play.mission().status, last_move(&play).reason), (Status::InProgress, Reason::SentBack));
    assert_eq!(play.at(&a).evaluation_status.as_deref(), Some("FAIL"));
    let more = play.mission().tasks_in_order()[1].id.clone();
    play.work(&more, done());
    let held = play.claim().expect("the LEAD is asked again");
    play.report(&held, answering(json!({ "verdict": "complete" }))).expect("heard");
    assert_eq!((play.mission().status, last_move(&play).reason), (Status::Completed, Reason::ReviewPassed));
    assert!(play.mission().completed_at.is_some());
}

#[test]
fn a_person_may_review_first_and_the_leads_answer_then_comes_too_late() {
    let mut play = Play::begin();
    play.without_worker.clear();
    let assigned = TaskDraft { assigned_agent_id: Some(WORKER.into()), ..TaskDraft::default() };
    let a = play.add("a", &[], assigned);
    play.start();
    play.work(&a, done());
    let held = play.claim().expect("the LEAD is asked");
    play.patch_mission("COMPLETED");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    play.report(&held, answering(json!({ "verdict": "send_back", "tasks": [{ "title": "x" }] })))
        .expect("noted");
    assert_eq!(play.mission().status, Status::Completed);
}

#[test]
fn a_mission_sent_back_by_hand_waits_for_what_it_is_sent_back_for() {
    let mut play = Play::begin();
    let a = play.task("a", &[]);
    play.start();
    play.work(&a, done());
    play.patch_mission("IN_PROGRESS");
    assert_eq!(play.mission().status, Status::InProgress);
    let b = play.task("b", &[&a]);
    play.engine();
    play.work(&b, done());
    assert_eq!(play.mission().status, Status::Review);
}

#[test]
fn a_mission_sent_back_although_a_task_can_never_go_on_waits_too_until_the_next_change_settles_it() {
    let mut play = Play::begin();
    let a = play.task("a", &[]);
    let b = play.task("b", &[&a]);
    play.start();
    play.patch_mission("REVIEW");
    play.patch_task(&a, "SKIPPED");
    play.patch_mission("IN_PROGRESS");
    assert_eq!(play.mission().status, Status::InProgress);
    assert_eq!(play.stand(&[&a, &b]), [TaskStatus::Skipped, BLOCKED]);
    let c = play.task("c", &[]);
    play.engine();
    play.work(&c, done());
    assert_eq!(play.mission().status, Status::Failed, "nothing else can go on");
}

#[test]
fn work_that_comes_back_although_it_can_not_begin_again_is_a_deadlock() {
    for is_lapse in [true, false] {
        let mut play = Play::begin();
        let a = play.tried("a", &[], 3);
        let b = play.task("b", &[&a]);
        let c = play.task("c", &[&a]);
        play.start();
        play.work(&a, done());
        play.work(&b, failed());
        let (assignment, fence) = play.claim().expect("c");
        play.patch_task(&a, "SKIPPED");
        assert_eq!(play.stand(&[&a, &b, &c]), [TaskStatus::Skipped, BLOCKED, RUNNING]);
        let back = match is_lapse {
            true => WorkCommand::Lapse { assignment, fence },
            false => WorkCommand::HandBack { assignment, fence },
        };
        play.wish(&Actor::Orchestrator, back).expect("granted");
        assert_eq!((play.mission().status, play.stand(&[&c])), (Status::Failed, vec![PENDING]));
    }
}

#[test]
fn a_task_of_another_crews_agent_needs_a_link() {
    let mut play = Play::begin();
    play.without_worker.clear();
    let foreign =
        TaskDraft { assigned_agent_id: Some(super::kit::OTHER_LEAD.into()), ..TaskDraft::default() };
    let a = play.add("a", &[], foreign.clone());
    play.start();
    assert_eq!(play.stand(&[&a]), [FAILED]);
    let detail = "crew platform is not connected to crew other-crew — create a crew connection first";
    assert_eq!(play.at(&a).error_message.as_deref(), Some(detail));
    let link = taffrail_domain::roster::ConnectionDraft {
        from_crew_id: Some(CREW.into()),
        to_crew_id: Some(super::kit::OTHER_CREW.into()),
        direction: None,
    };
    play.manager(RosterCommand::Connect(link));
    play.manager(MissionCommand::Restart { crew: crew(), mission: mission() });
    play.start();
    assert_eq!(play.stand(&[&a]), [RUNNING]);
}

#[test]
fn a_stopped_agents_work_has_failed_and_a_deleted_crews_is_over() {
    let mut play = Play::begin();
    let a = play.task("a", &[]);
    play.start();
    let held = play.claim().expect("work");
    play.manager(RosterCommand::StopAgent { agent: WORKER.into() });
    assert_eq!((play.at(&a).status, play.at(&a).error_message.as_deref()), (FAILED, Some("agent stopped")));
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    let mut play = Play::begin();
    play.task("a", &[]);
    play.start();
    let held = play.claim().expect("work");
    play.wish(&member(Role::Admin), RosterCommand::DeleteCrew { crew: CREW.into() }).expect("deleted");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    assert!(play.world.state.work.claimed.is_empty() && play.world.state.work.running.is_empty());
}
