//! Operators' markers on entries (`journal.md` 3.5).

use serde_json::{Value, json};
use taffrail_domain::marker::{MarkedEntry, MarkerCommand, MarkerDraft, PriorityChanged};
use taffrail_domain::roster::Role;
use taffrail_domain::{Offset, Priority, Severity};
use taffrail_projections::{Filter, Order, WorkspaceWorld, World};

use super::kit::{Given, Then, WORKER, created, crew, given, member, mission};

fn wish(entry: Option<MarkedEntry>, priority: Option<&str>, reason: Option<&str>) -> MarkerCommand {
    let draft = MarkerDraft { priority: priority.map(Into::into), reason: reason.map(Into::into) };
    MarkerCommand::SetPriority { entry, draft }
}

/// A world with one mission, whose creation is the entry to mark.
fn stage() -> Given {
    given([created("Ship")])
}

fn entry(world: &WorkspaceWorld) -> MarkedEntry {
    MarkedEntry {
        offset: world.head(),
        entry_type: "mission.created".into(),
        crew_id: Some(crew()),
        agent_id: Some(WORKER.into()),
        mission_id: Some(mission()),
    }
}

fn mark(given: Given, entry: &MarkedEntry, priority: &str, reason: Option<&str>) -> Then {
    given.when_by(&member(Role::Admin), wish(Some(entry.clone()), Some(priority), reason))
}

#[test]
fn the_role_is_asked_first_then_the_word_then_whether_the_entry_exists() {
    let words = "priority must be one of: normal, high, pin, permanent";
    for role in Role::ALL {
        let by = |priority| stage().when_by(&member(*role), wish(None, priority, None));
        if *role < Role::Admin {
            by(None).then_rejected("forbidden", "Forbidden");
            continue;
        }
        for word in [None, Some(""), Some("PIN"), Some("loud")] {
            by(word).then_rejected("journal.priority", words);
        }
        by(Some("pin")).then_rejected("entry.not_found", "entry not found");
    }
}

#[test]
fn a_reason_is_short() {
    let long = "é".repeat(1_001);
    let detail = "reason must be at most 1000 characters";
    let admin = member(Role::Admin);
    stage()
        .when_by(&admin, wish(None, Some("pin"), Some(&long)))
        .then_rejected("journal.reason_too_long", detail);
    let given = stage();
    let entry = entry(&given.world);
    assert!(mark(given, &entry, "pin", Some(&"é".repeat(1_000))).outcome.is_ok());
}

#[test]
fn every_change_says_what_it_was_before_and_how_many_there_were_even_if_it_is_the_same() {
    let mut world = stage().world;
    let entry = entry(&world);
    let path = [("pin", Priority::Normal, Priority::Pin), ("pin", Priority::Pin, Priority::Pin)];
    let path = path.into_iter().chain([("normal", Priority::Pin, Priority::Normal)]);
    for (change, (word, previous, new)) in (1..).zip(path) {
        let reason = format!("change {change}");
        let by = || given([]).replace_world(world.clone());
        let fact = PriorityChanged { target: entry.offset, previous, new, reason: (&*reason).into(), change };
        mark(by(), &entry, word, Some(&reason)).then([fact]);
        world = mark(by(), &entry, word, Some(&reason)).world();
        let marker = world.state.markers[&entry.offset];
        assert_eq!((marker.priority, marker.changes), (new, change));
    }
}

#[test]
fn a_marked_entry_is_named_and_its_place_copied_in_the_journal() {
    let given = stage();
    let entry = entry(&given.world);
    let id = given.world.entry_id(entry.offset).to_string();
    let face = mark(given, &entry, "permanent", Some("the release")).faces().remove(0);
    assert_eq!((&*face.entry_type, face.severity), ("memory.priority_changed", Severity::Notice));
    assert_eq!(&*face.summary, format!("priority_changed: {id} normal → permanent"));
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let payload = json!({
        "target_entry_id": id, "target_entry_type": "mission.created",
        "previous_priority": "normal", "new_priority": "permanent", "reason": "the release",
    });
    assert_eq!(read(face.payload.get()), payload);
    assert_eq!(read(face.refs.get()), json!({ "parent_entry_id": id }));
    assert_eq!(
        (face.crew_id, face.agent_id, face.mission_id),
        (entry.crew_id, entry.agent_id, entry.mission_id)
    );
}

#[test]
fn a_reason_that_is_not_given_is_empty() {
    let given = stage();
    let entry = entry(&given.world);
    let face = mark(given, &entry, "high", None).faces().remove(0);
    assert!(face.payload.get().contains(r#""reason":"""#), "{}", face.payload.get());
}

#[test]
fn the_timeline_shows_the_new_priority_and_filters_by_it() {
    let given = stage();
    let entry = entry(&given.world);
    assert_eq!(given.world.timeline.priority(entry.offset), Priority::Normal);
    let world = mark(given, &entry, "pin", None).world();
    assert_eq!(world.timeline.priority(entry.offset), Priority::Pin);
    assert_eq!(world.timeline.priority(world.head()), Priority::Normal, "the fact itself is not marked");
    let with = |priority| -> Vec<Offset> {
        let filter = Filter { priorities: vec![priority], ..Filter::default() };
        world.timeline.select(&filter, Order::OldestFirst, usize::MAX, &world.state)
    };
    assert_eq!(with(Priority::Pin), [entry.offset]);
    assert!(with(Priority::High).is_empty());
    assert!(!with(Priority::Normal).contains(&entry.offset));
}
