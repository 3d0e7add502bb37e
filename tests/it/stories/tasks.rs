//! Tasks: create, change, unblock (`missions.md` 3.10, 3.11, 6).

use taffrail_domain::mission::{
    MissionCommand, MissionEvent, Reason, Status, TaskCreated, TaskDraft, TaskPatch, TaskStatus, TaskUpdated,
};
use taffrail_domain::{Draft, Event, Rejection};

use super::kit::{
    WORKER, created, crew, given, in_status, mission, only_mission_event, task, task_move, task_moved,
};

const BLOCKED: TaskStatus = TaskStatus::Blocked;
const PENDING: TaskStatus = TaskStatus::Pending;
const RUNNING: TaskStatus = TaskStatus::InProgress;
const DONE: TaskStatus = TaskStatus::Completed;

fn add(draft: TaskDraft) -> MissionCommand {
    MissionCommand::AddTask { crew: crew(), mission: mission(), draft: Ok(draft) }
}

fn titled(title: &str) -> TaskDraft {
    TaskDraft { title: Some(title.into()), ..TaskDraft::default() }
}

fn needing(ids: &[&str]) -> TaskDraft {
    let depends_on = Some(ids.iter().map(|id| (*id).to_owned()).collect());
    TaskDraft { depends_on, ..titled("Next") }
}

fn patch(id: &str, patch: TaskPatch) -> MissionCommand {
    MissionCommand::UpdateTask { crew: crew(), mission: mission(), task: id.into(), patch }
}

fn to(id: &str, status: &str) -> MissionCommand {
    patch(id, TaskPatch { status: Some(status.into()), ..TaskPatch::default() })
}

fn depend(id: &str, list: &str) -> MissionCommand {
    patch(id, TaskPatch { depends_on: Some(list.into()), ..TaskPatch::default() })
}

/// A running mission whose task `a` stands here, and which has more to do.
fn with_a(status: TaskStatus) -> Vec<Draft> {
    let mut drafts = in_status(Status::InProgress);
    let path: &[(TaskStatus, TaskStatus)] = match status {
        TaskStatus::Pending | TaskStatus::Blocked => &[],
        TaskStatus::InProgress => &[(PENDING, RUNNING)],
        TaskStatus::Skipped => &[(PENDING, TaskStatus::Skipped)],
        ended => &[(PENDING, RUNNING), (RUNNING, ended)],
    };
    drafts.push(task("more", PENDING, &[]));
    drafts.push(if status == BLOCKED { task("a", BLOCKED, &["more"]) } else { task("a", PENDING, &[]) });
    drafts.extend(path.iter().map(|(from, to)| {
        let to = if *to == RUNNING { RUNNING } else { status };
        task_moved("a", *from, to)
    }));
    drafts
}

/// The new task; where a held result was given without its question, that is asked as well.
fn created_task(mut events: Vec<Event>) -> TaskCreated {
    events.retain(|event| !matches!(event, Event::Approval(_)));
    match only_mission_event(events) {
        MissionEvent::TaskCreated(created) => created,
        other => panic!("not a new task: {other:?}"),
    }
}

#[test]
fn a_task_is_blocked_unless_every_dependency_is_completed() {
    for status in TaskStatus::ALL {
        let then = given(with_a(*status)).when(add(needing(&["a"])));
        let expected = if *status == DONE { PENDING } else { BLOCKED };
        assert_eq!(created_task(then.events()).status, expected, "behind a {status} task");
    }
    assert_eq!(created_task(given([created("x")]).when(add(titled("a"))).events()).status, PENDING);
}

#[test]
fn tasks_join_only_planning_and_running_missions() {
    for status in Status::ALL {
        let then = given(in_status(*status)).when(add(titled("One more")));
        if matches!(status, Status::Planning | Status::InProgress) {
            assert_eq!(created_task(then.events()).task_order, 0);
        } else {
            let detail = "Tasks can only be added to PLANNING or IN_PROGRESS missions";
            then.then_rejected("mission.closed_for_tasks", detail);
        }
    }
}

#[test]
fn the_missions_status_is_looked_at_before_the_body() {
    let bad_body = Rejection::invalid("body.invalid", "Invalid JSON body");
    let wish = |draft| MissionCommand::AddTask { crew: crew(), mission: mission(), draft };
    given(in_status(Status::Review)).when(wish(Err(bad_body.clone()))).then_rejected(
        "mission.closed_for_tasks",
        "Tasks can only be added to PLANNING or IN_PROGRESS missions",
    );
    given([created("x")]).when(wish(Err(bad_body))).then_rejected("body.invalid", "Invalid JSON body");
}

#[test]
fn a_new_task_is_checked_in_the_documented_order() {
    let refused = |draft: TaskDraft, code: &str, detail: &str| {
        given([created("x")]).when(add(draft)).then_rejected(code, detail);
    };
    let all_wrong = TaskDraft { max_iterations: Some(51), ..needing(&["gone"]) };
    refused(TaskDraft { title: None, ..all_wrong.clone() }, "task.title_required", "title is required");
    refused(all_wrong, "task.max_iterations", "max_iterations must be between 0 and 50");
    refused(needing(&["gone"]), "task.dependency_not_found", "dependency task not found: gone");
    let strange = TaskDraft { assigned_agent_id: Some("nobody".into()), ..titled("x") };
    refused(strange, "task.agent_not_found", "assigned agent not found");
}

#[test]
fn max_iterations_is_0_to_50() {
    for (wish, allowed) in [(-1, false), (0, true), (50, true), (51, false), (i64::MAX, false)] {
        let draft = TaskDraft { max_iterations: Some(wish), ..titled("x") };
        assert_eq!(given([created("x")]).when(add(draft)).outcome.is_ok(), allowed, "{wish}");
    }
}

#[test]
fn every_task_transition_of_the_table_is_allowed_and_no_other() {
    for from in TaskStatus::ALL {
        for wish in TaskStatus::ALL.iter().map(|status| status.as_str()).chain(["", "DONE"]) {
            let then = given(with_a(*from)).when(to("a", wish));
            match TaskStatus::parse(wish).filter(|to| from.may_become(*to)) {
                Some(to) => then.then([task_move("a", *from, to, Reason::Patch)]),
                None => {
                    let detail = format!("Invalid status transition from {from} to {wish}");
                    then.then_rejected("task.invalid_transition", &detail);
                }
            }
        }
    }
}

#[test]
fn the_task_table_is_the_seeds() {
    let allowed: Vec<_> = TaskStatus::ALL
        .iter()
        .flat_map(|from| TaskStatus::ALL.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from.may_become(*to))
        .map(|(from, to)| format!("{from}>{to}"))
        .collect();
    let seed = [
        "PENDING>IN_PROGRESS",
        "PENDING>SKIPPED",
        "BLOCKED>PENDING",
        "BLOCKED>SKIPPED",
        "IN_PROGRESS>COMPLETED",
        "IN_PROGRESS>FAILED",
        "IN_PROGRESS>SKIPPED",
    ];
    assert_eq!(allowed, seed);
}

#[test]
fn times_of_an_attempt_follow_its_moves() {
    let world = given(with_a(RUNNING)).when(to("a", "COMPLETED")).world();
    let mission = world.state.missions.get(&mission()).expect("it is there");
    let done = &mission.tasks["a"];
    let (started, completed) = (done.started_at.expect("started"), done.completed_at.expect("completed"));
    assert_eq!(done.duration_ms(), Some(completed.0 - started.0));
    assert!(completed > started);
}

/// `c` waits for `a` and `b`.
fn fan_in() -> Vec<Draft> {
    let mut drafts = with_a(RUNNING);
    drafts.push(task("b", PENDING, &[]));
    drafts.push(task_moved("b", PENDING, RUNNING));
    drafts.push(task("c", BLOCKED, &["a", "b"]));
    drafts
}

#[test]
fn a_dependent_is_unblocked_by_its_last_dependency_in_the_same_batch() {
    given(fan_in()).when(to("a", "COMPLETED")).then([task_move("a", RUNNING, DONE, Reason::Patch)]);
    let mut drafts = fan_in();
    drafts.push(task_moved("a", RUNNING, DONE));
    given(drafts).when(to("b", "COMPLETED")).then([
        task_move("b", RUNNING, DONE, Reason::Patch),
        task_move("c", BLOCKED, PENDING, Reason::Unblocked),
    ]);
}

#[test]
fn skipping_or_failing_unblocks_nobody() {
    for status in ["FAILED", "SKIPPED"] {
        let mut drafts = with_a(RUNNING);
        drafts.push(task("c", BLOCKED, &["a"]));
        assert_eq!(given(drafts).when(to("a", status)).events().len(), 1);
    }
}

#[test]
fn a_tasks_patch_is_checked_in_the_documented_order() {
    let refused = |status: TaskStatus, wish: TaskPatch, code: &str, detail: &str| {
        given(with_a(status)).when(patch("a", wish)).then_rejected(code, detail);
    };
    let both = TaskPatch {
        title: Some("x".into()),
        status: Some("NONSENSE".into()),
        depends_on: Some("nonsense".into()),
        ..TaskPatch::default()
    };
    let detail = "Cannot update status and depends_on in the same request";
    refused(DONE, both.clone(), "task.status_and_depends_on", detail);
    let detail = "Invalid status transition from COMPLETED to NONSENSE";
    refused(DONE, TaskPatch { depends_on: None, ..both.clone() }, "task.invalid_transition", detail);
    let detail = "Can only edit title/description/depends_on for PENDING or BLOCKED tasks";
    refused(DONE, TaskPatch { status: None, ..both }, "task.not_editable", detail);
    for list in ["nonsense", "", "{}", "[1]"] {
        let detail = "depends_on must be a JSON array of task IDs";
        given(with_a(PENDING)).when(depend("a", list)).then_rejected("task.depends_on_malformed", detail);
    }
    let detail = "Task cannot depend on itself";
    given(with_a(PENDING))
        .when(depend("a", r#"["gone","a"]"#))
        .then_rejected("task.depends_on_itself", detail);
    let detail = "Dependency task gone not found in this mission";
    given(with_a(PENDING))
        .when(depend("a", r#"["gone"]"#))
        .then_rejected("task.dependency_not_found", detail);
}

#[test]
fn an_unknown_task_or_mission_is_the_same_404() {
    given(with_a(PENDING)).when(to("z", "SKIPPED")).then_rejected("task.not_found", "Task not found");
    given([]).when(to("a", "SKIPPED")).then_rejected("task.not_found", "Task not found");
}

#[test]
fn a_task_may_be_renamed_in_the_request_that_starts_it() {
    let wish =
        TaskPatch { title: Some("New".into()), status: Some("IN_PROGRESS".into()), ..TaskPatch::default() };
    let kinds: Vec<_> =
        given(with_a(PENDING)).when(patch("a", wish)).events().iter().map(Event::kind).collect();
    assert_eq!(kinds, ["task.updated", "task.status_change"]);
}

#[test]
fn new_dependencies_decide_the_status_anew() {
    let mut drafts = with_a(PENDING);
    drafts.push(task("b", PENDING, &[]));
    let then = given(drafts.clone()).when(depend("a", r#"["b"]"#));
    assert_eq!(then.faces().len(), 2, "both changes are announced");
    assert_eq!(
        then.events().pop(),
        Some(task_move("a", PENDING, BLOCKED, Reason::DependenciesChanged).into())
    );
    drafts.extend([task_moved("b", PENDING, RUNNING), task_moved("b", RUNNING, DONE)]);
    assert_eq!(given(drafts).when(depend("a", r#"["b"]"#)).events().len(), 1, "still PENDING");
}

#[test]
fn the_present_dependencies_decide_the_status_anew_too() {
    let mut drafts = with_a(PENDING);
    drafts.extend([task("b", BLOCKED, &["a"]), task_moved("b", BLOCKED, PENDING)]);
    given(drafts).when(depend("b", r#"["a"]"#)).then([task_move(
        "b",
        PENDING,
        BLOCKED,
        Reason::DependenciesChanged,
    )]);
}

#[test]
fn a_cycle_may_be_planned_but_not_made_while_running() {
    let tasks = || [task("a", PENDING, &[]), task("b", BLOCKED, &["a"])];
    let planned = std::iter::once(created("x")).chain(tasks());
    assert!(given(planned).when(depend("a", r#"["b"]"#)).outcome.is_ok());
    let running = in_status(Status::InProgress).into_iter().chain(tasks());
    let detail = "Invalid task DAG: circular dependency detected: 2 tasks involved in cycle";
    given(running).when(depend("a", r#"["b"]"#)).then_rejected("mission.invalid_dag", detail);
}

#[test]
fn results_may_be_reported_on_any_task_of_any_mission() {
    let wish = TaskPatch {
        result_summary: Some("done".into()),
        token_count: Some(-5),
        assigned_agent_id: Some(WORKER.into()),
        ..TaskPatch::default()
    };
    let mut drafts = with_a(DONE);
    drafts.push(super::kit::moved(Status::InProgress, Status::Failed));
    let updated = TaskUpdated {
        assigned_agent_id: Some(WORKER.into()),
        result_summary: Some("done".into()),
        token_count: Some(-5),
        ..taffrail_domain::mission::TaskUpdated::of("a".into())
    };
    given(drafts).when(patch("a", wish)).then([updated]);
}

#[test]
fn tasks_are_listed_by_order_then_by_creation() {
    let drafts = [created("x"), task("z", PENDING, &[]), task("a", PENDING, &[])];
    let first = TaskDraft { task_order: Some(-1), ..titled("first") };
    let world = given(drafts).when(add(first)).world();
    let mission = world.state.missions.get(&mission()).expect("it is there");
    let ids: Vec<_> = mission.tasks_in_order().iter().map(|task| task.id.to_string()).collect();
    assert_eq!(ids, ["new1", "z", "a"]);
}
