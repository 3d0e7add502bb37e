//! A mission again: restart, resume and clone (`missions.md` 3.7–3.9, 8).

use taffrail_domain::mission::{
    Mission, MissionCommand, MissionCreated, MissionStatusChanged, Reason, Status, Task, TaskCreated,
    TaskStatus, TaskStatusChanged, TaskUpdated,
};
use taffrail_domain::undertaking::{Phase, Undertaking};
use taffrail_domain::{Draft, Event, MissionId};
use taffrail_projections::WorkspaceWorld;

use super::kit::{
    LEAD, WORKER, created, crew, given, in_status, mission, public, task, task_created, task_move,
    task_moved, task_update,
};

const BLOCKED: TaskStatus = TaskStatus::Blocked;
const PENDING: TaskStatus = TaskStatus::Pending;
const RUNNING: TaskStatus = TaskStatus::InProgress;
const DONE: TaskStatus = TaskStatus::Completed;
const FAILED: TaskStatus = TaskStatus::Failed;
const SKIPPED: TaskStatus = TaskStatus::Skipped;
const HELD: TaskStatus = TaskStatus::AwaitingApproval;

fn restart() -> MissionCommand {
    MissionCommand::Restart { crew: crew(), mission: mission() }
}

fn resume() -> MissionCommand {
    MissionCommand::Resume { crew: crew(), mission: mission() }
}

fn clone(title: Option<&str>) -> MissionCommand {
    MissionCommand::Clone { crew: crew(), mission: mission(), title: title.map(Into::into) }
}

/// A mission in this status with tasks that stand where they are said to.
fn with_tasks(status: Status, tasks: &[(&str, TaskStatus, &[&str])]) -> Vec<Draft> {
    let tasks = tasks.iter().map(|(id, status, needs)| task(id, *status, needs));
    in_status(status).into_iter().chain(tasks).collect()
}

fn again(id: &str, from: TaskStatus, to: TaskStatus, reason: Reason) -> Event {
    TaskStatusChanged { iteration: 2, ..task_move(id, from, to, reason) }.into()
}

fn moved(from: Status, to: Status, reason: Reason) -> Event {
    MissionStatusChanged::new(from, to, reason).into()
}

fn mission_of(world: &WorkspaceWorld) -> &Mission {
    &world.state.missions[&mission()]
}

#[test]
fn a_restart_begins_a_new_attempt_of_every_task_that_is_not_completed() {
    let tasks: [(&str, TaskStatus, &[&str]); 8] = [
        ("done", DONE, &[]),
        ("never-run", PENDING, &[]),
        ("failed", FAILED, &["done"]),
        ("behind", BLOCKED, &["done", "failed"]),
        ("running", RUNNING, &["done"]),
        ("held", HELD, &["behind"]),
        ("skipped", SKIPPED, &["never-run"]),
        ("ready-too-soon", PENDING, &["skipped"]),
    ];
    let reset = |id, from, to| again(id, from, to, Reason::Restart);
    given(with_tasks(Status::Failed, &tasks)).when(restart()).then([
        moved(Status::Failed, Status::Planning, Reason::Restart),
        reset("never-run", PENDING, PENDING),
        reset("failed", FAILED, PENDING),
        reset("behind", BLOCKED, BLOCKED),
        reset("running", RUNNING, PENDING),
        reset("held", HELD, BLOCKED),
        reset("skipped", SKIPPED, BLOCKED),
        reset("ready-too-soon", PENDING, BLOCKED),
    ]);
}

/// Task `a`, worked until it failed, with all that an attempt can leave.
fn worked() -> Vec<Draft> {
    let mut drafts = with_tasks(Status::Failed, &[("done", DONE, &[])]);
    let a = TaskCreated {
        assigned_agent_id: Some(WORKER.into()),
        max_iterations: Some(3),
        ..task_created("a", PENDING, &["done"])
    };
    let left = TaskUpdated {
        result_summary: Some("half".into()),
        error_message: Some("no disk".into()),
        output_path: Some("/out".into()),
        token_count: Some(7),
        estimated_cost: Some(0.5),
        ..task_update("a")
    };
    drafts.extend([public(a), task_moved("a", PENDING, RUNNING), public(left)]);
    drafts.push(task_moved("a", RUNNING, FAILED));
    drafts
}

#[test]
fn a_new_attempt_forgets_what_the_last_one_left_and_keeps_the_plan_and_the_cost() {
    for wish in [restart(), resume()] {
        let given = given(worked());
        let before = given.world.clone();
        let world = given.when(wish).world();
        let expected = Task {
            status: PENDING,
            iteration: 2,
            result_summary: None,
            error_message: None,
            started_at: None,
            completed_at: None,
            updated_at: taffrail_projections::World::time(&world),
            moved: mission_of(&world).tasks["a"].moved,
            ..(*mission_of(&before).tasks["a"]).clone()
        };
        assert_eq!(*mission_of(&world).tasks["a"], expected);
        assert_eq!((expected.token_count, expected.output_path.as_deref()), (Some(7), Some("/out")));
        assert_eq!(mission_of(&world).tasks["done"], mission_of(&before).tasks["done"]);
    }
}

#[test]
fn a_restarted_mission_keeps_all_but_its_status() {
    let given = given(worked());
    let before = mission_of(&given.world).clone();
    let world = given.when(restart()).world();
    let after = mission_of(&world);
    assert!(before.completed_at.is_some());
    let expected = Mission {
        status: Status::Planning,
        completed_at: None,
        updated_at: after.updated_at,
        changed: after.changed,
        undertaking: Undertaking {
            phase: Phase::Waiting,
            entered_at: after.entered_at,
            entered: after.entered,
            tasks: after.tasks.clone(),
            ..before.undertaking
        },
        ..before
    };
    assert_eq!(*after, expected);
}

#[test]
fn only_a_finished_mission_restarts() {
    for status in Status::ALL {
        let then = given(in_status(*status)).when(restart());
        if status.is_terminal() {
            then.then([moved(*status, Status::Planning, Reason::Restart)]);
        } else {
            let detail = format!("cannot restart mission in {status} state");
            then.then_rejected("mission.not_terminal", &detail);
        }
    }
}

#[test]
fn a_mission_whose_tasks_are_all_completed_restarts_and_leaves_them() {
    let drafts = with_tasks(Status::Completed, &[("a", DONE, &[]), ("b", DONE, &["a"])]);
    given(drafts).when(restart()).then([moved(Status::Completed, Status::Planning, Reason::Restart)]);
}

#[test]
fn a_restart_does_not_look_at_the_dag() {
    let drafts = with_tasks(Status::Failed, &[("a", BLOCKED, &["b"]), ("b", BLOCKED, &["a", "gone"])]);
    let reset = |id| again(id, BLOCKED, BLOCKED, Reason::Restart);
    let planned = moved(Status::Failed, Status::Planning, Reason::Restart);
    given(drafts).when(restart()).then([planned, reset("a"), reset("b")]);
}

#[test]
fn a_resume_resets_what_failed_and_all_downstream_through_completed_tasks_which_stay() {
    let tasks: [(&str, TaskStatus, &[&str]); 8] = [
        ("root", DONE, &[]),
        ("failed", FAILED, &["root"]),
        ("done", DONE, &["failed"]),
        ("after-done", SKIPPED, &["done"]),
        ("after-failed", PENDING, &["failed"]),
        ("last", BLOCKED, &["after-done", "root"]),
        ("aside", SKIPPED, &["root"]),
        ("running", RUNNING, &[]),
    ];
    let reset = |id, from, to| again(id, from, to, Reason::Resume);
    given(with_tasks(Status::Failed, &tasks)).when(resume()).then([
        moved(Status::Failed, Status::InProgress, Reason::Resume),
        reset("failed", FAILED, PENDING),
        // Its one dependency is COMPLETED and outside the set.
        reset("after-done", SKIPPED, PENDING),
        reset("after-failed", PENDING, BLOCKED),
        reset("last", BLOCKED, BLOCKED),
    ]);
}

#[test]
fn a_held_task_is_resumed_like_a_failed_one() {
    let drafts = with_tasks(Status::Failed, &[("a", HELD, &[]), ("b", BLOCKED, &["a"])]);
    given(drafts).when(resume()).then([
        moved(Status::Failed, Status::InProgress, Reason::Resume),
        again("a", HELD, PENDING, Reason::Resume),
        again("b", BLOCKED, BLOCKED, Reason::Resume),
    ]);
}

#[test]
fn without_a_failed_task_there_is_nothing_to_resume_from_even_in_a_bad_dag() {
    let detail = "No failed tasks to resume from";
    let refused = |tasks: &[(&str, TaskStatus, &[&str])]| {
        let then = given(with_tasks(Status::Failed, tasks)).when(resume());
        then.then_rejected("mission.nothing_to_resume", detail);
    };
    refused(&[]);
    refused(&[("a", RUNNING, &[]), ("b", SKIPPED, &[]), ("c", BLOCKED, &["b"])]);
    refused(&[("a", BLOCKED, &["b"]), ("b", BLOCKED, &["a"])]);
}

#[test]
fn a_circular_mission_is_not_resumed() {
    let drafts = with_tasks(Status::Failed, &[("a", FAILED, &["b"]), ("b", BLOCKED, &["a"])]);
    let detail = "Invalid task DAG: circular dependency detected: 2 tasks involved in cycle";
    given(drafts).when(resume()).then_rejected("mission.invalid_dag", detail);
    let drafts = with_tasks(Status::Failed, &[("a", FAILED, &["gone"])]);
    let detail = r#"Invalid task DAG: task "Task a" depends on nonexistent task "gone""#;
    given(drafts).when(resume()).then_rejected("mission.invalid_dag", detail);
}

#[test]
fn only_a_failed_mission_is_resumed() {
    for status in Status::ALL.iter().filter(|status| **status != Status::Failed) {
        let detail = format!("can only resume FAILED missions, current status: {status}");
        let drafts = with_tasks(*status, &[("a", FAILED, &[])]);
        given(drafts).when(resume()).then_rejected("mission.not_failed", &detail);
    }
}

/// A planned mission with a text for everything, and tasks that stand in every way.
fn rich() -> Vec<Draft> {
    let source = MissionCreated {
        crew_id: crew(),
        lead_agent_id: LEAD.into(),
        trace_id: "mission-trace".into(),
        title: "Ship".into(),
        description: Some("the beta".into()),
        plan: Some("1. Do".into()),
        workflow_template: Some("template".into()),
        fork_of: None,
        cloned_from: None,
    };
    let first = TaskCreated {
        description: Some("it".into()),
        assigned_agent_id: Some(WORKER.into()),
        max_iterations: Some(3),
        task_order: -1,
        ..task_created("first", DONE, &["gone"])
    };
    let second = task("second", FAILED, &["first", "gone"]);
    let cost =
        TaskUpdated { token_count: Some(7), result_summary: Some("42".into()), ..task_update("first") };
    vec![public(source), second, public(first), public(cost), task("third", SKIPPED, &["second"])]
}

fn copy_in(world: &WorkspaceWorld) -> &Mission {
    world.state.missions.values().find(|found| found.id != mission()).expect("the copy is there")
}

#[test]
fn a_clone_is_the_plan_again_from_the_beginning() {
    let world = given(rich()).when(clone(None)).world();
    let (source, copy) = (mission_of(&world), copy_in(&world));
    assert_eq!((&*copy.title, copy.status, &copy.plan), ("Ship (copy)", Status::Planning, &None));
    assert_eq!(
        (&copy.crew_id, &copy.lead_agent_id, &copy.description, &copy.workflow_template),
        (&source.crew_id, &source.lead_agent_id, &source.description, &source.workflow_template),
    );
    assert!(copy.trace_id.starts_with("mission-") && copy.trace_id != source.trace_id);
    let tasks = copy.tasks_in_order();
    let titles: Vec<_> = tasks.iter().map(|task| &*task.title).collect();
    assert_eq!(titles, ["Task first", "Task second", "Task third"]);
    assert!(tasks.iter().all(|task| !source.tasks.contains_key(&task.id)), "no shared ids");
    // Of the dependencies only those that exist are mapped; the source's statuses count for nothing.
    let needs: Vec<_> = tasks.iter().map(|task| task.depends_on.clone()).collect();
    assert_eq!(needs, [vec![], vec![tasks[0].id.clone()], vec![tasks[1].id.clone()]]);
    let statuses: Vec<_> = tasks.iter().map(|task| task.status).collect();
    assert_eq!(statuses, [PENDING, BLOCKED, BLOCKED]);
    let (first, original) = (tasks[0], &source.tasks["first"]);
    assert_eq!((first.iteration, first.token_count, &first.result_summary), (1, None, &None));
    assert_eq!(
        (&first.description, &first.assigned_agent_id, first.max_iterations, first.task_order),
        (&original.description, &original.assigned_agent_id, original.max_iterations, original.task_order),
    );
}

#[test]
fn a_clone_takes_the_title_that_is_given_unless_it_is_empty() {
    for (given_title, expected) in
        [(Some("Again"), "Again"), (Some(""), "Ship (copy)"), (None, "Ship (copy)")]
    {
        let world = given(rich()).when(clone(given_title)).world();
        assert_eq!(&*copy_in(&world).title, expected);
    }
}

#[test]
fn a_mission_in_any_status_may_be_cloned_and_stays_as_it_is() {
    for status in Status::ALL {
        let given = given(in_status(*status));
        let before = mission_of(&given.world).clone();
        let world = given.when(clone(None)).world();
        assert_eq!(*mission_of(&world), before);
        assert_eq!(copy_in(&world).status, Status::Planning);
    }
}

#[test]
fn a_clone_says_what_it_was_cloned_from() {
    let then = given([created("Ship")]).when(clone(None));
    let face = then.faces().remove(0);
    assert_eq!(&*face.entry_type, "mission.created");
    let payload = r#"{"action":"created","cloned_from":"mission","status":"PLANNING","title":"Ship (copy)"}"#;
    assert_eq!(face.payload.get(), payload);
    assert_eq!(face.mission_id, Some(MissionId::from("new1")));
    match then.events().as_slice() {
        [Event::Mission(taffrail_domain::mission::MissionEvent::MissionCreated(made))] => {
            assert_eq!((&made.cloned_from, &made.fork_of), (&Some(mission()), &None));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_there_is_neither_restarted_nor_resumed_nor_cloned() {
    for wish in [restart(), resume(), clone(None)] {
        given([]).when(wish).then_rejected("mission.not_found", "Mission not found");
    }
}
