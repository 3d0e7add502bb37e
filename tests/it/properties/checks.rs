//! The properties, each a recount in the plainest way there is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use taffrail_domain::checkpoint::{Bookmarked, CheckpointEvent, Snapshot};
use taffrail_domain::marker::MarkerEvent;
use taffrail_domain::mission::{Mission, Status, Task, TaskStatus};
use taffrail_domain::{AgentId, CrewId, Entry, Event, Offset, Priority, TaskId};
use taffrail_projections::{Filter, Order, WorkspaceWorld, World};

use super::history::History;
use crate::stories::kit::{CREW, OTHER_CREW};

type Checked = Result<(), TestCaseError>;

pub(crate) fn replay_equals_live(history: &History) -> Checked {
    let mut world = history.worlds[0].clone();
    for entry in &history.entries {
        world.apply(entry);
        prop_assert_eq!(world.head(), entry.offset);
    }
    prop_assert!(world == *history.world());
    prop_assert_eq!(bytes(&world), bytes(history.world()), "byte for byte");
    Ok(())
}

pub(crate) fn snapshot_and_tail_equal_live(history: &History, cut: Index) -> Checked {
    let at = cut.index(history.worlds.len());
    let snapshot = bytes(&history.worlds[at]);
    let (mut world, read): (WorkspaceWorld, usize) =
        bincode::serde::decode_from_slice(&snapshot, bincode::config::standard()).expect("reads back");
    prop_assert_eq!(read, snapshot.len());
    history.entries[at..].iter().for_each(|entry| world.apply(entry));
    prop_assert!(world == *history.world());
    Ok(())
}

fn bytes(world: &WorkspaceWorld) -> Vec<u8> {
    bincode::serde::encode_to_vec(world, bincode::config::standard()).expect("a world can be stored")
}

pub(crate) fn state_at_any_offset_was_live_there(history: &History) -> Checked {
    for mission in history.world().state.histories.keys() {
        for entry in &history.entries {
            // A deleted crew takes its missions away without a word in their own histories.
            let live = history.world_at(entry.offset).state.missions.get(mission).map(|found| &**found);
            let folded = history.as_of(mission, entry.offset);
            if let Some(live) = live {
                prop_assert_eq!(folded.as_ref(), Some(live), "at {}", entry.offset);
                prop_assert_eq!(folded.map(|found| found.state_hash()), Some(live.state_hash()));
            }
        }
    }
    Ok(())
}

pub(crate) fn checkpoints_state_is_the_past(history: &History) -> Checked {
    for checkpoint in history.world().state.checkpoints.values() {
        let past = history.as_of(&checkpoint.mission_id, checkpoint.boundary).expect("it had begun");
        prop_assert_eq!(
            &checkpoint.state,
            &Snapshot::of(
                &Bookmarked::Mission(past.into()),
                checkpoint.boundary,
                &history.world().state.work
            )
        );
    }
    Ok(())
}

pub(crate) fn forks_equal_the_past(history: &History) -> Checked {
    for (fork, source) in &history.forks {
        let born = history.world().state.histories[fork].changes.len();
        prop_assert!(born > source.tasks.len());
        let batch_end = history.world().state.histories[fork].changes[source.tasks.len()];
        let fork = history.as_of(fork, batch_end).expect("it began");
        prop_assert_eq!(normal_form(&fork, ""), normal_form(source, "Fork: "));
        prop_assert_eq!(fork.fork_hash(), source.fork_hash());
    }
    Ok(())
}

/// A mission without ids, times, attempts, and what a fork does not take along (`journal.md` 11.2).
fn normal_form(mission: &Mission, prefix: &str) -> Value {
    let tasks = mission.tasks_in_order();
    let place = |id| tasks.iter().position(|task| task.id == id);
    let known = |task: &Task| -> Vec<TaskId> {
        task.depends_on.iter().filter(|id| mission.tasks.contains_key(*id)).cloned().collect()
    };
    let settled = |task: &Task| match task.status {
        TaskStatus::InProgress | TaskStatus::AwaitingApproval | TaskStatus::Blocked => {
            if mission.all_completed(&known(task)) { TaskStatus::Pending } else { TaskStatus::Blocked }
        }
        other => other,
    };
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|task| {
            let done = task.status == TaskStatus::Completed;
            json!({
                "title": task.title, "description": task.description, "order": task.task_order,
                "agent": task.assigned_agent_id, "max_iterations": task.max_iterations,
                "status": settled(task),
                "needs": known(task).into_iter().map(place).collect::<Vec<_>>(),
                "result": task.result_summary.as_ref().filter(|_| done),
                "output": task.output_path.as_ref().filter(|_| done),
            })
        })
        .collect();
    json!({
        "title": format!("{prefix}{}", mission.title), "description": mission.description,
        "plan": mission.plan, "lead": mission.lead_agent_id, "crew": mission.crew_id, "tasks": tasks,
    })
}

pub(crate) fn board_equals_a_recount(history: &History) -> Checked {
    let world = history.world();
    let crews = [None, Some(CrewId::from(CREW)), Some(CrewId::from(OTHER_CREW))];
    for status in Status::ALL.iter().copied().map(Some).chain([None]) {
        for crew in &crews {
            let mut expected: Vec<_> = world.state.missions.values().collect();
            expected.retain(|mission| status.is_none_or(|status| mission.status == status));
            expected.retain(|mission| crew.as_ref().is_none_or(|crew| mission.crew_id == *crew));
            expected.sort_by_key(|mission| std::cmp::Reverse(mission.born));
            let expected: Vec<_> = expected.into_iter().map(|mission| &mission.id).collect();
            prop_assert_eq!(world.board.count(crew.as_ref(), status), expected.len());
            prop_assert_eq!(world.board.missions(crew.as_ref(), status).collect::<Vec<_>>(), expected);
        }
    }
    for mission in world.state.histories.keys() {
        let mut expected: Vec<_> = world.state.checkpoints.values().collect();
        expected.retain(|checkpoint| checkpoint.mission_id == *mission);
        expected.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.born));
        let expected: Vec<_> = expected.into_iter().map(|checkpoint| &checkpoint.id).collect();
        prop_assert_eq!(world.board.checkpoints(mission).collect::<Vec<_>>(), expected);
    }
    Ok(())
}

pub(crate) fn timeline_equals_a_scan(history: &History) -> Checked {
    let world = history.world();
    // The recount knows only what came after the stage.
    let base = history.worlds[0].head();
    let mut filters = vec![Filter::default()];
    filters.extend(
        world.state.histories.keys().map(|id| Filter { mission: Some(id.to_string()), ..Filter::default() }),
    );
    let types = vec!["task.status_change".to_owned(), "fork.created".to_owned()];
    filters.push(Filter { types: types.clone(), ..Filter::default() });
    filters.push(Filter { types_excluded: types, ..Filter::default() });
    filters.push(Filter { severities: vec!["warn".into()], ..Filter::default() });
    filters.push(Filter { severities: vec!["shout".into()], ..Filter::default() });
    filters.push(Filter { actor_types: vec!["user".into()], ..Filter::default() });
    filters.push(Filter { crews: vec![OTHER_CREW.into(), "nowhere".into()], ..Filter::default() });
    filters.push(Filter { agents: vec!["worker".into()], ..Filter::default() });
    if let Some(middle) = history.entries.get(history.entries.len() / 2) {
        filters.push(Filter { after: Some(middle.offset), ..Filter::default() });
        filters.push(Filter { before: Some(middle.offset), ..Filter::default() });
        filters.push(Filter { since: Some(middle.time), ..Filter::default() });
        filters.push(Filter { until: Some(middle.time), ..Filter::default() });
    }
    for filter in filters {
        let filter = Filter { after: Some(filter.after.unwrap_or(base).max(base)), ..filter };
        let expected: Vec<Offset> =
            history.entries.iter().filter(|entry| passes(entry, &filter)).map(|entry| entry.offset).collect();
        let oldest = world.timeline.select(&filter, Order::OldestFirst, usize::MAX, &world.state);
        prop_assert_eq!(&oldest, &expected, "{:?}", filter);
        let mut newest = world.timeline.select(&filter, Order::NewestFirst, usize::MAX, &world.state);
        newest.reverse();
        prop_assert_eq!(&newest, &expected, "{:?}", filter);
        prop_assert_eq!(world.timeline.count(&filter, &world.state), expected.len() as u64);
        let page = world.timeline.select(&filter, Order::NewestFirst, 3, &world.state);
        prop_assert_eq!(page.len(), expected.len().min(3));
    }
    Ok(())
}

fn passes(entry: &Entry, filter: &Filter) -> bool {
    let Some(face) = &entry.face else { return false };
    let listed = |list: &[String], word: &str| list.iter().any(|item| item == word);
    let names = |list: &[String], id: Option<&str>| id.is_some_and(|id| listed(list, id));
    (filter.types.is_empty() || listed(&filter.types, &face.entry_type))
        && !listed(&filter.types_excluded, &face.entry_type)
        && (filter.severities.is_empty() || listed(&filter.severities, face.severity.as_str()))
        && (filter.actor_types.is_empty() || listed(&filter.actor_types, face.actor_type.as_str()))
        && (filter.crews.is_empty() || names(&filter.crews, face.crew_id.as_ref().map(CrewId::as_str)))
        && (filter.agents.is_empty() || names(&filter.agents, face.agent_id.as_ref().map(AgentId::as_str)))
        && filter
            .mission
            .as_deref()
            .is_none_or(|id| face.mission_id.as_ref().is_some_and(|it| it.as_str() == id))
        && filter.after.is_none_or(|after| entry.offset > after)
        && filter.before.is_none_or(|before| entry.offset < before)
        && filter.since.is_none_or(|since| entry.time >= since)
        && filter.until.is_none_or(|until| entry.time <= until)
}

pub(crate) fn priorities_are_the_last_markers(history: &History) -> Checked {
    let world = history.world();
    let mut last: BTreeMap<Offset, Priority> = BTreeMap::new();
    for entry in &history.entries {
        if let Some(Event::Marker(MarkerEvent::PriorityChanged(changed))) = &entry.event {
            let before = last.insert(changed.target, changed.new).unwrap_or_default();
            prop_assert_eq!(changed.previous, before);
        }
    }
    let of = |offset| last.get(&offset).copied().unwrap_or_default();
    for entry in &history.entries {
        prop_assert_eq!(world.timeline.priority(entry.offset), of(entry.offset), "at {}", entry.offset);
    }
    let after = Some(history.worlds[0].head());
    for priority in Priority::ALL {
        let filter = Filter { priorities: vec![*priority], after, ..Filter::default() };
        let public = history.entries.iter().filter(|entry| entry.face.is_some());
        let offsets = public.map(|entry| entry.offset);
        let expected: Vec<Offset> = offsets.filter(|offset| of(*offset) == *priority).collect();
        let found = world.timeline.select(&filter, Order::OldestFirst, usize::MAX, &world.state);
        prop_assert_eq!(found, expected, "{}", priority);
    }
    Ok(())
}

pub(crate) fn divergence_equals_a_recount(history: &History) -> Checked {
    let world = history.world();
    for checkpoint in world.state.checkpoints.values() {
        let drifted = |entry: &&Entry| {
            let of_mission = entry
                .face
                .as_ref()
                .is_some_and(|face| face.mission_id.as_ref() == Some(&checkpoint.mission_id));
            let bookkeeping = matches!(&entry.event, Some(Event::Checkpoint(event)) if !matches!(event, CheckpointEvent::Forked(_)));
            of_mission && !bookkeeping && entry.offset > checkpoint.diverges_after
        };
        let expected: Vec<Offset> =
            history.entries.iter().filter(drifted).map(|entry| entry.offset).collect();
        let found: Vec<Offset> =
            world.state.histories[&checkpoint.mission_id].divergence(checkpoint.diverges_after).collect();
        prop_assert_eq!(found, expected);
    }
    Ok(())
}
