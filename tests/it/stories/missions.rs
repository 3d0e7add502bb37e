//! Missions: create, change, delete, start (`missions.md` 3 and 5).

use taffrail_domain::mission::{
    Mission, MissionCommand, MissionDraft, MissionEvent, MissionPatch, MissionStatusChanged, MissionUpdated,
    Reason, Status, TaskStatus, TaskStatusChanged,
};
use taffrail_domain::roster::{Role, RosterCommand};
use taffrail_domain::undertaking::{Phase, Undertaking};
use taffrail_domain::{CrewId, Event, Severity};
use taffrail_projections::{Filter, Order, World};

use super::kit::{
    CREW, Given, LEAD, WORKER, created, crew, given, in_status, member, mission, moved, only_mission_event,
    task, task_move, task_moved,
};

fn create(title: Option<&str>, lead: Option<&str>) -> MissionCommand {
    let draft = MissionDraft {
        title: title.map(Into::into),
        lead_agent_id: lead.map(Into::into),
        ..MissionDraft::default()
    };
    MissionCommand::Create { crew: crew(), draft }
}

fn patch(patch: MissionPatch) -> MissionCommand {
    MissionCommand::Update { crew: crew(), mission: mission(), patch }
}

fn to(status: &str) -> MissionCommand {
    patch(MissionPatch { status: Some(status.into()), ..MissionPatch::default() })
}

fn start(seen: Status) -> MissionCommand {
    MissionCommand::Start { crew: crew(), mission: mission(), seen: Some(seen) }
}

fn delete() -> MissionCommand {
    MissionCommand::Delete { crew: crew(), mission: mission() }
}

#[test]
fn a_created_mission_is_planning_and_journaled_as_created() {
    let then = given([]).when(create(Some("Ship the beta"), Some(LEAD)));
    let face = then.faces().remove(0);
    assert_eq!((&*face.entry_type, &*face.summary), ("mission.created", "created: Ship the beta"));
    assert_eq!(face.payload.get(), r#"{"action":"created","status":"PLANNING","title":"Ship the beta"}"#);
    let world = then.world();
    let mission = world.state.missions.values().next().expect("it is there");
    assert_eq!((mission.status, &*mission.title), (Status::Planning, "Ship the beta"));
    assert!(mission.trace_id.starts_with("mission-"));
    assert_eq!(mission.completed_at, None);
}

#[test]
fn a_mission_needs_a_title_then_a_lead_of_its_crew_with_the_lead_role() {
    let refused = |title, lead, code: &str, detail: &str| {
        given([]).when(create(title, lead)).then_rejected(code, detail);
    };
    refused(None, None, "mission.title_required", "title is required");
    refused(Some(""), Some(LEAD), "mission.title_required", "title is required");
    refused(Some("x"), None, "mission.lead_required", "lead_agent_id is required");
    refused(Some("x"), Some("nobody"), "mission.lead_not_in_crew", "lead agent not found in crew");
    refused(Some("x"), Some(WORKER), "mission.not_lead", "agent must have LEAD role");
}

#[test]
fn a_mission_in_an_unknown_crew_has_no_lead_there() {
    let draft =
        MissionDraft { title: Some("x".into()), lead_agent_id: Some(LEAD.into()), ..MissionDraft::default() };
    let command = MissionCommand::Create { crew: CrewId::from("elsewhere"), draft };
    given([]).when(command).then_rejected("mission.lead_not_in_crew", "lead agent not found in crew");
}

#[test]
fn every_transition_of_the_table_is_allowed_and_no_other() {
    for from in Status::ALL {
        for wish in Status::ALL.iter().map(|status| status.as_str()).chain(["", "RESUMING", "planning"]) {
            let then = given(in_status(*from)).when(to(wish));
            let allowed = Status::parse(wish).is_some_and(|to| from.may_become(to));
            if allowed {
                let event = only_mission_event(then.events());
                let to = Status::parse(wish).expect("a status");
                let moved = MissionStatusChanged::new(*from, to, Reason::Patch);
                assert_eq!(event, MissionEvent::MissionStatusChanged(moved));
            } else {
                let detail = format!("Invalid status transition from {from} to {wish}");
                then.then_rejected("mission.invalid_transition", &detail);
            }
        }
    }
}

#[test]
fn the_table_is_the_seeds() {
    let allowed: Vec<_> = Status::ALL
        .iter()
        .flat_map(|from| Status::ALL.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from.may_become(*to))
        .map(|(from, to)| format!("{from}>{to}"))
        .collect();
    let seed = [
        "PLANNING>IN_PROGRESS",
        "PLANNING>CANCELLED",
        "IN_PROGRESS>REVIEW",
        "IN_PROGRESS>FAILED",
        "IN_PROGRESS>CANCELLED",
        "REVIEW>IN_PROGRESS",
        "REVIEW>COMPLETED",
        "REVIEW>FAILED",
        "REVIEW>CANCELLED",
    ];
    assert_eq!(allowed, seed);
}

#[test]
fn a_terminal_status_sets_completed_at_and_a_move_changes_nothing_else() {
    let given = given(in_status(Status::Review));
    let before = given.world.state.missions[&mission()].clone();
    let world = given.when(to("FAILED")).world();
    let moved = Mission {
        status: Status::Failed,
        updated_at: world.time(),
        completed_at: Some(world.time()),
        undertaking: Undertaking {
            phase: Phase::Ended,
            entered_at: world.time(),
            entered: world.head(),
            ..before.undertaking.clone()
        },
        changed: world.head(),
        ..(*before).clone()
    };
    assert_eq!(*world.state.missions[&mission()], moved);
}

#[test]
fn a_status_that_is_not_terminal_clears_completed_at() {
    // No PATCH leads here: an older journal, or a restart, does.
    let drafts = in_status(Status::Completed).into_iter().chain([moved(Status::Completed, Status::Planning)]);
    let world = given(drafts).world;
    assert_eq!(world.state.missions[&mission()].completed_at, None);
}

#[test]
fn a_title_of_two_lines_is_one_line_in_the_journal() {
    let then = given([]).when(create(Some("one\ntwo"), Some(LEAD)));
    assert_eq!(&*then.faces()[0].summary, "created: one two");
}

#[test]
fn a_failed_mission_is_a_warning_in_the_journal() {
    let then = given(in_status(Status::InProgress)).when(to("FAILED"));
    let face = then.faces().remove(0);
    assert_eq!(face.severity, Severity::Warn);
    let payload = concat!(
        r#"{"action":"status_changed","details":"IN_PROGRESS → FAILED","from":"IN_PROGRESS","#,
        r#""reason":"patch","to":"FAILED"}"#
    );
    assert_eq!(face.payload.get(), payload);
}

#[test]
fn a_bad_status_discards_the_other_fields() {
    let wish = MissionPatch {
        title: Some("New".into()),
        status: Some("COMPLETED".into()),
        ..MissionPatch::default()
    };
    let detail = "Invalid status transition from PLANNING to COMPLETED";
    given([created("Old")]).when(patch(wish)).then_rejected("mission.invalid_transition", detail);
}

#[test]
fn only_fields_that_change_are_facts() {
    let same = MissionPatch { title: Some("Old".into()), ..MissionPatch::default() };
    given([created("Old")]).when(patch(same)).then_nothing();
    given([created("Old")]).when(patch(MissionPatch::default())).then_nothing();
    let wish =
        MissionPatch { title: Some("Old".into()), plan: Some("1. Do".into()), ..MissionPatch::default() };
    let updated = MissionUpdated { plan: Some("1. Do".into()), ..MissionUpdated::default() };
    given([created("Old")]).when(patch(wish)).then([updated]);
}

#[test]
fn a_finished_mission_can_be_renamed_even_to_nothing() {
    let wish = MissionPatch { title: Some(String::new()), ..MissionPatch::default() };
    let updated = MissionUpdated { title: Some("".into()), ..MissionUpdated::default() };
    given(in_status(Status::Completed)).when(patch(wish)).then([updated]);
}

#[test]
fn cancelling_skips_what_is_in_flight_and_leaves_the_rest() {
    let drafts = in_status(Status::InProgress).into_iter().chain([
        task("a", TaskStatus::Pending, &[]),
        task_moved("a", TaskStatus::Pending, TaskStatus::InProgress),
        task("b", TaskStatus::Blocked, &["a"]),
    ]);
    let skipped = TaskStatusChanged {
        error_message: Some("mission cancelled".into()),
        ..task_move("a", TaskStatus::InProgress, TaskStatus::Skipped, Reason::MissionCancelled)
    };
    let cancelled = MissionStatusChanged::new(Status::InProgress, Status::Cancelled, Reason::Patch);
    given(drafts).when(to("CANCELLED")).then::<Event>([cancelled.into(), skipped.into()]);
}

#[test]
fn only_planning_and_cancelled_missions_can_be_deleted() {
    for status in Status::ALL {
        let then = given(in_status(*status)).when(delete());
        if matches!(status, Status::Planning | Status::Cancelled) {
            let world = then.world();
            assert!(world.state.missions.is_empty());
            assert_eq!(world.board.missions(None, None).count(), 0);
        } else {
            let detail = "Only PLANNING or CANCELLED missions can be deleted";
            then.then_rejected("mission.not_deletable", detail);
        }
    }
}

#[test]
fn a_deleted_mission_is_not_found_but_its_entries_stay() {
    let world = given([created("Old")]).when(delete()).world();
    let filter = Filter { mission: Some(mission().to_string()), ..Filter::default() };
    let offsets = world.timeline.select(&filter, Order::OldestFirst, 10, &world.state);
    let types: Vec<_> = offsets.iter().filter_map(|offset| world.timeline.entry_type(*offset)).collect();
    assert_eq!(types, ["mission.created", "mission.deleted"]);
    assert!(world.state.mission(&crew(), &mission()).is_err());
}

#[test]
fn a_planning_mission_starts() {
    let started = MissionStatusChanged::new(Status::Planning, Status::InProgress, Reason::Start);
    given([created("Ship the beta")]).when(start(Status::Planning)).then([started]);
}

#[test]
fn a_started_mission_cannot_be_started_again() {
    for status in [Status::InProgress, Status::Review, Status::Completed, Status::Failed, Status::Cancelled] {
        let detail = format!("cannot start mission in {status} state, must be PLANNING");
        given(in_status(status)).when(start(status)).then_rejected("mission.not_planning", &detail);
    }
}

#[test]
fn who_saw_planning_and_came_too_late_lost_a_race() {
    let detail = "Mission was already started by another request";
    given(in_status(Status::InProgress))
        .when(start(Status::Planning))
        .then_rejected("mission.already_started", detail);
}

/// a -> b -> a, and c behind b: three tasks are stuck, not two.
fn cycle() -> impl Iterator<Item = taffrail_domain::Draft> {
    [
        created("Round and round"),
        task("a", TaskStatus::Blocked, &["b"]),
        task("b", TaskStatus::Blocked, &["a"]),
        task("c", TaskStatus::Blocked, &["b"]),
        task("d", TaskStatus::Pending, &[]),
    ]
    .into_iter()
}

#[test]
fn a_circular_mission_does_not_start_and_says_how_many_tasks_are_stuck() {
    let detail = "Invalid task DAG: circular dependency detected: 3 tasks involved in cycle";
    given(cycle()).when(start(Status::Planning)).then_rejected("mission.invalid_dag", detail);
    given(cycle()).when(to("IN_PROGRESS")).then_rejected("mission.invalid_dag", detail);
}

#[test]
fn a_dependency_that_does_not_exist_is_named() {
    let drafts = [created("Hole"), task("a", TaskStatus::Blocked, &["gone"])];
    let detail = r#"Invalid task DAG: task "Task a" depends on nonexistent task "gone""#;
    given(drafts).when(start(Status::Planning)).then_rejected("mission.invalid_dag", detail);
}

#[test]
fn a_mission_is_found_only_through_its_own_crew() {
    let wish = MissionCommand::Delete { crew: "elsewhere".into(), mission: mission() };
    given([created("Old")]).when(wish).then_rejected("mission.not_found", "Mission not found");
}

#[test]
fn the_role_is_asked_before_anything_else() {
    for role in Role::ALL {
        let wish = MissionCommand::Delete { crew: crew(), mission: "nothing".into() };
        let then = given([]).when_by(&member(*role), wish);
        if *role >= Role::Manager {
            then.then_rejected("mission.not_found", "Mission not found");
        } else {
            then.then_rejected("forbidden", "Forbidden");
        }
    }
}

#[test]
fn a_stranger_may_do_nothing() {
    let stranger = taffrail_domain::Actor::User("stranger".into());
    given([created("Old")]).when_by(&stranger, delete()).then_rejected("forbidden", "Forbidden");
}

#[test]
fn a_deleted_crew_takes_its_missions_out_of_sight() {
    let Given { world, .. } = given([created("Old"), moved(Status::Planning, Status::InProgress)]);
    assert_eq!(world.board.missions(Some(&crew()), Some(Status::InProgress)).count(), 1);
    let drafts = in_status(Status::InProgress);
    let world =
        given(drafts).when_by(&member(Role::Admin), RosterCommand::DeleteCrew { crew: CREW.into() }).world();
    assert!(world.state.missions.is_empty());
    assert_eq!(world.board.missions(None, None).count(), 0);
    assert_eq!(world.board.missions(Some(&crew()), Some(Status::InProgress)).count(), 0);
}
