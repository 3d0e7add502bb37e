//! `If-Match`: a change of what the caller has seen, or none (`DESIGN.md` 5).

use taffrail_domain::checkpoint::{CheckpointCommand, CheckpointDraft};
use taffrail_domain::mission::{MissionCommand, MissionPatch, Status, TaskPatch, TaskStatus};
use taffrail_domain::roster::{AgentPatch, CrewPatch, Role, RosterCommand};
use taffrail_domain::{CheckpointId, Command, IfMatch, Offset};
use taffrail_projections::WorkspaceWorld;

use super::kit::{CREW, MISSION, WORKER, crew, fold, given, in_status, member, task, task_moved};

const CHECKPOINT: &str = "chk_0000000000000001";
const RESOURCES: [&str; 5] = ["crew", "agent", "mission", "task", "checkpoint"];

/// A running mission with a task and a checkpoint.
fn stage() -> WorkspaceWorld {
    let drafts = in_status(Status::InProgress).into_iter().chain([task("a", TaskStatus::Pending, &[])]);
    let draft = Ok(CheckpointDraft::default());
    given(drafts).when(CheckpointCommand::Create { mission: MISSION.into(), draft, at: None }).world()
}

/// A change of the resource, or of one that is not there.
fn change(resource: &str, is_there: bool) -> Command {
    let id = |id| if is_there { id } else { "missing" };
    let name = || Some("Another".to_owned());
    match resource {
        "crew" => {
            let patch = CrewPatch { name: name(), ..CrewPatch::default() };
            RosterCommand::UpdateCrew { crew: id(CREW).into(), patch }.into()
        }
        "agent" => {
            let patch = AgentPatch { name: name(), ..AgentPatch::default() };
            RosterCommand::UpdateAgent { agent: id(WORKER).into(), patch }.into()
        }
        "mission" => {
            let patch = MissionPatch { title: name(), ..MissionPatch::default() };
            MissionCommand::Update { crew: crew(), mission: id(MISSION).into(), patch }.into()
        }
        "task" => {
            let patch = TaskPatch { title: name(), ..TaskPatch::default() };
            let (crew, mission) = (crew(), MISSION.into());
            MissionCommand::UpdateTask { crew, mission, task: id("a").into(), patch }.into()
        }
        _ => CheckpointCommand::Delete { checkpoint: id(CHECKPOINT).into() }.into(),
    }
}

/// Where the resource last changed: a task is part of its mission.
fn changed(resource: &str, world: &WorkspaceWorld) -> Offset {
    match resource {
        "crew" => world.state.roster.crews[CREW].changed,
        "agent" => world.state.roster.agents[WORKER].changed,
        "checkpoint" => world.state.checkpoints[&CheckpointId::from(CHECKPOINT)].born,
        _ => world.state.missions[MISSION].changed,
    }
}

fn only_if(tags: IfMatch, command: Command) -> Command {
    Command::IfMatch { tags, command: Box::new(command) }
}

fn seen(offsets: &[Offset]) -> IfMatch {
    IfMatch::Offsets(offsets.to_vec())
}

#[test]
fn what_was_seen_as_it_is_may_be_changed() {
    let world = stage();
    for resource in RESOURCES {
        let offset = changed(resource, &world);
        let by = |command| given([]).replace_world(world.clone()).when(command);
        let plain = by(change(resource, true)).events();
        for tags in [seen(&[offset]), seen(&[Offset(1), offset]), IfMatch::Any] {
            let then = by(only_if(tags, change(resource, true)));
            assert_eq!(then.events(), plain, "{resource}");
        }
    }
}

#[test]
fn what_was_seen_otherwise_is_not_changed() {
    let world = stage();
    let detail = "The resource has changed since it was read";
    for resource in RESOURCES {
        let next = changed(resource, &world).plus(1);
        for tags in [seen(&[Offset(1)]), seen(&[next]), seen(&[])] {
            let wish = only_if(tags, change(resource, true));
            given([]).replace_world(world.clone()).when(wish).then_rejected("precondition.failed", detail);
        }
    }
}

#[test]
fn a_change_makes_the_tag_that_was_seen_before_stale() {
    for resource in ["crew", "agent", "mission", "task"] {
        let world = stage();
        let tags = seen(&[changed(resource, &world)]);
        let world = given([]).replace_world(world).when(change(resource, true)).world();
        let then = given([]).replace_world(world.clone()).when(only_if(tags, change_otherwise(resource)));
        assert_eq!(then.outcome.expect_err("stale").code, "precondition.failed", "{resource}");
        let tags = seen(&[changed(resource, &world)]);
        let then = given([]).replace_world(world).when(only_if(tags, change_otherwise(resource)));
        assert!(then.outcome.is_ok(), "{resource}: {:?}", then.outcome);
    }
}

/// Another change than [`change`], of the same resource.
fn change_otherwise(resource: &str) -> Command {
    match resource {
        "crew" => {
            let patch = CrewPatch { color: Some(Some("teal".into())), ..CrewPatch::default() };
            RosterCommand::UpdateCrew { crew: CREW.into(), patch }.into()
        }
        "agent" => RosterCommand::StopAgent { agent: WORKER.into() }.into(),
        "mission" => MissionCommand::Clone { crew: crew(), mission: MISSION.into(), title: None }.into(),
        _ => {
            let patch = TaskPatch { status: Some("SKIPPED".into()), ..TaskPatch::default() };
            let (crew, mission) = (crew(), MISSION.into());
            MissionCommand::UpdateTask { crew, mission, task: "a".into(), patch }.into()
        }
    }
}

#[test]
fn a_change_of_a_task_is_a_change_of_its_mission() {
    let mut world = stage();
    let tags = seen(&[changed("mission", &world)]);
    fold(&mut world, task_moved("a", TaskStatus::Pending, TaskStatus::InProgress));
    let then = given([]).replace_world(world).when(only_if(tags, change("mission", true)));
    assert_eq!(then.outcome.expect_err("stale").code, "precondition.failed");
}

#[test]
fn what_is_not_there_is_missing_whatever_was_seen() {
    let world = stage();
    for resource in RESOURCES {
        for tags in [IfMatch::Any, seen(&[Offset(1)])] {
            let wish = only_if(tags, change(resource, false));
            let outcome = given([]).replace_world(world.clone()).when(wish).outcome;
            assert_eq!(outcome.expect_err("missing").code, format!("{resource}.not_found"));
        }
    }
}

#[test]
fn the_role_is_asked_before_what_was_seen() {
    let world = stage();
    for resource in RESOURCES {
        let wish = only_if(seen(&[Offset(1)]), change(resource, true));
        let given = given([]).replace_world(world.clone());
        given.when_by(&member(Role::Viewer), wish).then_rejected("forbidden", "Forbidden");
    }
}
