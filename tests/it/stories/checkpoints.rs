//! Checkpoints, restores and forks (`journal.md` 5).

use taffrail_domain::checkpoint::{
    AsOf, CheckpointCommand, CheckpointDraft, CheckpointEvent, CheckpointRestored, Snapshot,
};
use taffrail_domain::mission::{Status, TaskStatus};
use taffrail_domain::{CheckpointId, Draft, Event, Face, Rejection, Severity};
use taffrail_projections::{WorkspaceWorld, World};

use super::kit::{created, fold, given, in_status, mission, task, task_moved};

fn bookmark(label: Option<&str>) -> CheckpointCommand {
    let draft = Ok(CheckpointDraft { label: label.map(Into::into), at: None });
    CheckpointCommand::Create { mission: mission(), draft, at: None }
}

fn first_checkpoint() -> CheckpointId {
    "chk_0000000000000001".into()
}

/// A running mission: `a` is completed, `b` runs behind it, `c` waits.
fn underway() -> Vec<Draft> {
    let mut drafts = in_status(Status::InProgress);
    drafts.extend([
        task("a", TaskStatus::Pending, &[]),
        task_moved("a", TaskStatus::Pending, TaskStatus::InProgress),
        task_moved("a", TaskStatus::InProgress, TaskStatus::Completed),
        task("b", TaskStatus::Pending, &["a"]),
        task_moved("b", TaskStatus::Pending, TaskStatus::InProgress),
        task("c", TaskStatus::Blocked, &["b"]),
    ]);
    drafts
}

fn bookmarked() -> WorkspaceWorld {
    given(underway()).when(bookmark(Some("green build"))).world()
}

fn after(world: WorkspaceWorld, command: CheckpointCommand) -> Result<Vec<Draft>, Rejection> {
    given([]).replace_world(world).when(command).outcome
}

fn restore() -> CheckpointCommand {
    CheckpointCommand::Restore { checkpoint: first_checkpoint() }
}

fn drift(world: &WorkspaceWorld) -> usize {
    let checkpoint = world.state.checkpoints.get(&first_checkpoint()).expect("it stands");
    world.state.histories[&mission()].divergence(checkpoint.diverges_after).len()
}

#[test]
fn a_fresh_mission_has_nothing_to_anchor_a_checkpoint() {
    let detail = "mission has no journal entries to anchor a checkpoint";
    given([created("Fresh")]).when(bookmark(None)).then_rejected("checkpoint.no_anchor", detail);
    let anchored = [created("Fresh"), task("a", TaskStatus::Pending, &[])];
    assert!(given(anchored).when(bookmark(None)).outcome.is_ok());
}

#[test]
fn a_checkpoint_names_the_last_public_entry_and_the_state_there() {
    let before = given(underway()).world;
    let world = bookmarked();
    let checkpoint = world.state.checkpoints.get(&first_checkpoint()).expect("it stands");
    assert_eq!(checkpoint.cursor, world.entry_id(before.head()));
    assert_eq!((checkpoint.boundary, checkpoint.diverges_after), (before.head(), world.head()));
    assert_eq!(checkpoint.state.pending_tasks, ["b".into(), "c".into()]);
    let then = before.state.bookmarkable(&mission()).expect("it is there");
    assert_eq!(checkpoint.state, Snapshot::of(&then, before.head(), &before.state.work));
    assert_eq!(checkpoint.label.as_deref(), Some("green build"));
    assert_eq!(checkpoint.created_by, Some("manager".into()));
}

#[test]
fn an_empty_label_is_none_and_a_long_one_is_refused() {
    let world = given(underway()).when(bookmark(Some(""))).world();
    assert_eq!(world.state.checkpoints[&first_checkpoint()].label, None);
    let long = "x".repeat(1_001);
    given(underway())
        .when(bookmark(Some(&long)))
        .then_rejected("checkpoint.label_too_long", "label must be at most 1000 characters");
}

#[test]
fn the_checks_of_create_come_in_the_documented_order() {
    let bad = || Err(Rejection::invalid("body.invalid", "invalid JSON body"));
    let create = |draft, at| CheckpointCommand::Create { mission: mission(), draft, at };
    let foreign = Err(Rejection::not_found("entry.not_found", "entry not found"));
    given([]).when(create(bad(), None)).then_rejected("mission.not_found", "mission not found");
    given([created("Fresh")]).when(create(bad(), None)).then_rejected("body.invalid", "invalid JSON body");
    let at = Ok(CheckpointDraft { label: None, at: Some("j_0".into()) });
    given([created("Fresh")])
        .when(create(at.clone(), Some(foreign.clone())))
        .then_rejected("checkpoint.no_anchor", "mission has no journal entries to anchor a checkpoint");
    given(underway()).when(create(at, Some(foreign))).then_rejected("entry.not_found", "entry not found");
}

#[test]
fn a_checkpoint_in_the_past_diverges_from_there() {
    let mut world = given([created("Past"), task("a", TaskStatus::Pending, &[])]).world;
    let then =
        AsOf { offset: world.head(), then: world.state.bookmarkable(&mission()).expect("it is there") };
    fold(&mut world, task_moved("a", TaskStatus::Pending, TaskStatus::InProgress));
    let draft = Ok(CheckpointDraft { label: None, at: Some(world.entry_id(then.offset).to_string()) });
    let command = CheckpointCommand::Create { mission: mission(), draft, at: Some(Ok(then.clone())) };
    let world = given([]).replace_world(world).when(command).world();
    let checkpoint = &world.state.checkpoints[&first_checkpoint()];
    assert_eq!(checkpoint.cursor, world.entry_id(then.offset));
    assert_eq!(checkpoint.boundary, then.offset);
    assert_eq!(checkpoint.state.meta.task_counts.pending, 1);
    assert_eq!(drift(&world), 1);
}

#[test]
fn bookkeeping_is_no_drift_and_restores_do_not_grow_the_list() {
    let mut world = bookmarked();
    assert_eq!(drift(&world), 0);
    for _ in 0..2 {
        let drafts = after(world.clone(), restore()).expect("accepted");
        assert_eq!(drafts[0].event, Some(CheckpointRestored { divergence_count: 0 }.into()));
        drafts.into_iter().for_each(|draft| fold(&mut world, draft));
    }
    assert_eq!(drift(&world), 0);
}

#[test]
fn what_happens_to_the_mission_afterwards_is_drift() {
    let mut world = bookmarked();
    fold(&mut world, task_moved("b", TaskStatus::InProgress, TaskStatus::Failed));
    let drafts = after(world.clone(), restore()).expect("accepted");
    assert_eq!(drafts[0].event, Some(CheckpointRestored { divergence_count: 1 }.into()));
    let face = drafts[0].face.clone().expect("public");
    let summary = "restore preview for checkpoint chk_0000000000000001 (1 divergent entries)";
    assert_eq!((&*face.entry_type, &*face.summary), ("checkpoint.restored", summary));
    assert_eq!(face.severity, Severity::Info);
}

#[test]
fn a_restore_changes_nothing_but_the_journal() {
    let mut world = bookmarked();
    let before = world.state.clone();
    after(world.clone(), restore()).expect("accepted").into_iter().for_each(|draft| fold(&mut world, draft));
    assert_eq!(world.state.missions, before.missions);
    assert_eq!(world.state.checkpoints, before.checkpoints);
}

fn fork_of(world: &WorkspaceWorld, label: Option<&str>) -> CheckpointCommand {
    let source = world.state.bookmarkable(&mission()).ok();
    CheckpointCommand::Fork { checkpoint: first_checkpoint(), label: label.map(Into::into), source }
}

#[test]
fn a_fork_is_the_past_with_new_ids_and_settled_statuses() {
    let world = bookmarked();
    let then = given([]).replace_world(world.clone()).when(fork_of(&world, None));
    let faces: Vec<Face> = then.faces();
    let types: Vec<_> = faces.iter().map(|face| face.entry_type.to_string()).collect();
    assert_eq!(types, ["mission.created", "task.created", "task.created", "task.created", "fork.created"]);
    let world = then.world();
    let fork = world.state.missions.values().find(|found| found.id != mission()).expect("it is there");
    assert_eq!((&*fork.title, fork.status), ("Fork: Ship the beta", Status::Planning));
    let statuses: Vec<_> = fork.tasks_in_order().iter().map(|task| task.status).collect();
    // `b` was running behind a completed task: it is ready again.
    assert_eq!(statuses, [TaskStatus::Completed, TaskStatus::Pending, TaskStatus::Blocked]);
    for task in fork.tasks.values() {
        assert!(!world.state.missions[&mission()].tasks.contains_key(&task.id), "no shared ids");
        assert!(task.depends_on.iter().all(|id| fork.tasks.contains_key(id)), "points inside the fork");
    }
}

#[test]
fn a_forks_checkpoint_keeps_the_cursor_and_starts_without_drift() {
    let before = bookmarked();
    let world = given([]).replace_world(before.clone()).when(fork_of(&before, None)).world();
    let source = &before.state.checkpoints[&first_checkpoint()];
    let copy = world.state.checkpoints.values().find(|found| found.id != source.id).expect("it is there");
    assert_eq!(copy.cursor, source.cursor);
    assert_eq!(copy.fork_of, Some(source.id.clone()));
    assert_eq!(copy.label.as_deref(), Some("fork of chk_0000000000000001"));
    assert_eq!((copy.boundary, copy.diverges_after), (world.head(), world.head()));
    assert_eq!(world.state.histories[&copy.mission_id].divergence(copy.diverges_after).len(), 0);
    assert_eq!(drift(&world), 0, "the source does not see its forks");
    assert_eq!(copy.state.pending_tasks.len(), 2);
    let fork = &world.state.missions[&copy.mission_id];
    assert!(copy.state.pending_tasks.iter().all(|id| fork.tasks.contains_key(id)));
}

#[test]
fn the_hashes_are_frozen() {
    let world = given(underway()).world;
    let mission = &world.state.missions[&mission()];
    assert_eq!(mission.state_hash(), "h1:d2c44022c09c672ad873ca21d7fad7b5f5486f39d58e2585a080c3a2b6e01d0d");
    assert_eq!(mission.fork_hash(), "h1:46851b95b56403f8bed3ebb042e8754f5000899134faeda862a2cff84a83be57");
}

#[test]
fn a_completed_task_brings_its_result_into_the_fork() {
    let mut drafts = underway();
    drafts.push(super::kit::public(taffrail_domain::mission::TaskUpdated {
        result_summary: Some("42".into()),
        output_path: Some("/out".into()),
        token_count: Some(7),
        ..taffrail_domain::mission::TaskUpdated::of("a".into())
    }));
    let before = given(drafts).when(bookmark(None)).world();
    let world = given([]).replace_world(before.clone()).when(fork_of(&before, Some("try"))).world();
    let fork = world.state.missions.values().find(|found| found.id != mission()).expect("it is there");
    let done = fork.tasks.values().find(|task| task.status == TaskStatus::Completed).expect("a");
    assert_eq!((done.result_summary.as_deref(), done.output_path.as_deref()), (Some("42"), Some("/out")));
    assert_eq!((done.token_count, done.iteration, done.completed_at), (None, 1, None));
}

#[test]
fn a_deleted_checkpoint_orphans_its_forks_and_no_more() {
    let before = bookmarked();
    let mut world = given([]).replace_world(before.clone()).when(fork_of(&before, None)).world();
    let delete = CheckpointCommand::Delete { checkpoint: first_checkpoint() };
    let drafts = after(world.clone(), delete.clone()).expect("accepted");
    let face = drafts[0].face.clone().expect("public");
    assert_eq!((&*face.entry_type, face.severity), ("checkpoint.deleted", Severity::Notice));
    assert!(face.refs.get().contains(r#""orphaned_forks":1"#));
    drafts.into_iter().for_each(|draft| fold(&mut world, draft));
    assert_eq!(world.state.missions.len(), 2);
    let orphan = world.state.checkpoints.values().next().expect("the fork's");
    assert_eq!(orphan.fork_of, None);
    let again = after(world, delete).expect_err("gone");
    assert_eq!((again.code, &*again.detail), ("checkpoint.not_found", "checkpoint not found"));
}

#[test]
fn deleting_a_mission_deletes_its_checkpoints() {
    let drafts = [created("Plan"), task("a", TaskStatus::Pending, &[])];
    let world = given(drafts).when(bookmark(None)).world();
    assert_eq!(world.board.checkpoints(&mission()).count(), 1);
    let delete =
        taffrail_domain::mission::MissionCommand::Delete { crew: super::kit::crew(), mission: mission() };
    let world = given([]).replace_world(world).when(delete).world();
    assert!(world.state.checkpoints.is_empty());
    assert_eq!(world.board.checkpoints(&mission()).count(), 0);
}

#[test]
fn the_forks_own_bookmark_has_no_public_entry_of_its_own() {
    let world = bookmarked();
    let drafts = after(world.clone(), fork_of(&world, None)).expect("accepted");
    let hidden: Vec<_> = drafts.iter().filter(|draft| draft.face.is_none()).collect();
    assert!(matches!(
        hidden.as_slice(),
        [Draft { event: Some(Event::Checkpoint(CheckpointEvent::CheckpointCreated(_))), .. }]
    ));
}
