//! The metrics, counted again from the entries alone in the plainest way there is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use taffrail_domain::mission::{MissionEvent, Status, TaskStatus};
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::{CrewId, Entry, Event, MissionId, TaskId, Time};
use taffrail_projections::MissionMetrics;

use super::history::History;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A mission as its entries tell it.
struct Told {
    crew: CrewId,
    created: Time,
    status: Status,
    moved: Time,
    tasks: BTreeMap<TaskId, ToldTask>,
}

#[derive(Default)]
struct ToldTask {
    status: TaskStatus,
    ended: Option<Time>,
    tokens: i64,
    cost: f64,
}

pub(crate) fn metrics_equal_a_recount(history: &History) -> Result<(), TestCaseError> {
    let mut missions = BTreeMap::new();
    history.entries.iter().for_each(|entry| tell(&mut missions, entry));
    let world = history.world();
    // The cutoff at the beginning, at both ends of every fifth second, and behind everything.
    let times = history.entries.iter().step_by(5).map(|entry| entry.time.0);
    let seconds = times.flat_map(|time| [time / 1_000 * 1_000, time / 1_000 * 1_000 + 999, time]);
    for cutoff in seconds.chain([0, world_end(history) + 1_000]) {
        let found = world.metrics.at(Time(cutoff + DAY_MS), &world.state, &world.board);
        prop_assert_eq!(found, recount(&missions, cutoff / 1_000 * 1_000), "since {}", cutoff);
    }
    Ok(())
}

fn world_end(history: &History) -> u64 {
    history.entries.last().map_or(0, |entry| entry.time.0)
}

fn tell(missions: &mut BTreeMap<MissionId, Told>, entry: &Entry) {
    let subject = &*entry.subject;
    match &entry.event {
        Some(Event::Roster(RosterEvent::CrewDeleted(_))) => {
            missions.retain(|_, mission| mission.crew.as_str() != subject);
        }
        Some(Event::Mission(event)) => tell_mission(missions, subject, event, entry.time),
        _ => {}
    }
}

fn tell_mission(missions: &mut BTreeMap<MissionId, Told>, id: &str, event: &MissionEvent, time: Time) {
    if let MissionEvent::MissionCreated(created) = event {
        let crew = created.crew_id.clone();
        let told =
            Told { crew, created: time, status: Status::Planning, moved: time, tasks: BTreeMap::new() };
        missions.insert(id.into(), told);
        return;
    }
    if let MissionEvent::MissionDeleted(_) = event {
        missions.remove(id);
        return;
    }
    let mission = missions.get_mut(id).expect("it began");
    match event {
        MissionEvent::MissionStatusChanged(moved) => (mission.status, mission.moved) = (moved.to, time),
        MissionEvent::TaskCreated(created) => {
            let task = ToldTask { status: created.status, ..ToldTask::default() };
            mission.tasks.insert(created.task_id.clone(), task);
        }
        MissionEvent::TaskUpdated(updated) => {
            let task = mission.tasks.get_mut(&updated.task_id).expect("it joined");
            task.tokens = updated.token_count.unwrap_or(task.tokens);
            task.cost = updated.estimated_cost.unwrap_or(task.cost);
        }
        MissionEvent::TaskStatusChanged(moved) => {
            let task = mission.tasks.get_mut(&moved.task_id).expect("it joined");
            let ends = matches!(moved.to, TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Skipped);
            (task.status, task.ended) = (moved.to, ends.then_some(time));
        }
        MissionEvent::MissionCreated(_)
        | MissionEvent::MissionDeleted(_)
        | MissionEvent::MissionUpdated(_) => {}
    }
}

fn recount(missions: &BTreeMap<MissionId, Told>, since: u64) -> MissionMetrics {
    let count = |is: &dyn Fn(&&Told) -> bool| missions.values().filter(is).count();
    let recent = |mission: &&Told, status| mission.status == status && mission.moved.0 >= since;
    let tasks = || {
        let tasks = missions.values().flat_map(|mission| mission.tasks.values());
        tasks.filter(|task| task.ended.is_some_and(|ended| ended.0 >= since))
    };
    let completed = missions.values().filter(|mission| recent(mission, Status::Completed));
    let took: Vec<u64> = completed.map(|mission| mission.moved.0 - mission.created.0).collect();
    MissionMetrics {
        total_missions: missions.len(),
        active_missions: count(&|it| {
            matches!(it.status, Status::Planning | Status::InProgress | Status::Review)
        }),
        completed_24h: took.len(),
        failed_24h: count(&|it| recent(it, Status::Failed)),
        total_tokens_24h: tasks().map(|task| task.tokens).sum(),
        total_cost_24h: tasks().map(|task| task.cost).sum(),
        avg_completion_time_ms: rounded_mean(&took),
        tasks_completed_24h: tasks().filter(|task| task.status == TaskStatus::Completed).count(),
        tasks_failed_24h: tasks().filter(|task| task.status == TaskStatus::Failed).count(),
    }
}

/// Half up, by the book: the next whole number once the remainder reaches half of the count.
fn rounded_mean(values: &[u64]) -> u64 {
    let (sum, count) = (values.iter().sum::<u64>(), values.len() as u64);
    sum.checked_div(count).map_or(0, |whole| whole + u64::from(sum % count * 2 >= count))
}
