//! Mission metrics (`missions.md` 12.1): what ended, by the time it ended. The 24 hours belong to the
//! view; here nothing knows what time it is.

use imbl::OrdSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::mission::{Mission, MissionEvent, Status, Task, TaskStatus};
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::{CrewId, Entry, Event, MissionId, TaskId, Time, Workspace};

use crate::Board;

const WINDOW_MS: u64 = 24 * 60 * 60 * 1_000;
const SECOND_MS: u64 = 1_000;
/// Before every id: where a range over a time begins.
const FIRST: &str = "";

/// Living missions and tasks that have ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    missions: OrdSet<(Time, MissionId)>,
    tasks: OrdSet<(Time, MissionId, TaskId)>,
}

/// The workspace's missions in numbers; `…_24h` counts the trailing 24 hours (seed, Missions page).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct MissionMetrics {
    /// All of them.
    pub total_missions: usize,
    /// `PLANNING`, `IN_PROGRESS` or `REVIEW`.
    pub active_missions: usize,
    /// Became `COMPLETED` and still are.
    pub completed_24h: usize,
    /// Became `FAILED` and still are.
    pub failed_24h: usize,
    /// Tokens of the tasks that ended.
    pub total_tokens_24h: i64,
    /// Cost of the tasks that ended, USD.
    pub total_cost_24h: f64,
    /// Mean time from creation to completion of the completed ones, ms; 0 if there are none.
    pub avg_completion_time_ms: u64,
    /// Tasks that became `COMPLETED`.
    pub tasks_completed_24h: usize,
    /// Tasks that became `FAILED`.
    pub tasks_failed_24h: usize,
}

impl Metrics {
    /// The numbers at `now`: the clock, but not before the log's last entry.
    #[must_use]
    pub fn at(&self, now: Time, state: &Workspace, board: &Board) -> MissionMetrics {
        let active = [Status::Planning, Status::InProgress, Status::Review];
        let mut metrics = MissionMetrics {
            total_missions: board.count(None, None),
            active_missions: active.iter().map(|status| board.count(None, Some(*status))).sum(),
            ..MissionMetrics::default()
        };
        let since = Time(now.0.saturating_sub(WINDOW_MS) / SECOND_MS * SECOND_MS);
        self.add_missions(since, state, &mut metrics);
        for task in self.tasks_since(since, state) {
            metrics.total_tokens_24h = metrics.total_tokens_24h.saturating_add(task.token_count.unwrap_or(0));
            metrics.total_cost_24h += task.estimated_cost.unwrap_or(0.0);
            match task.status {
                TaskStatus::Completed => metrics.tasks_completed_24h += 1,
                TaskStatus::Failed => metrics.tasks_failed_24h += 1,
                TaskStatus::Pending
                | TaskStatus::Blocked
                | TaskStatus::InProgress
                | TaskStatus::Skipped
                | TaskStatus::AwaitingApproval => {}
            }
        }
        metrics
    }

    fn add_missions(&self, since: Time, state: &Workspace, metrics: &mut MissionMetrics) {
        let ended = self.missions.range((since, MissionId::from(FIRST))..);
        let mut took_ms: u128 = 0;
        for (at, id) in ended {
            let Some(mission) = state.missions.get(id) else { continue };
            match mission.status {
                Status::Completed => {
                    metrics.completed_24h += 1;
                    took_ms += u128::from(at.0.saturating_sub(mission.created_at.0));
                }
                Status::Failed => metrics.failed_24h += 1,
                Status::Planning | Status::InProgress | Status::Review | Status::Cancelled => {}
            }
        }
        let count = metrics.completed_24h as u128;
        // The mean, rounded half up; 0 of none.
        let mean = (2 * took_ms + count).checked_div(2 * count).unwrap_or(0);
        metrics.avg_completion_time_ms = u64::try_from(mean).unwrap_or(u64::MAX);
    }

    fn tasks_since<'a>(&'a self, since: Time, state: &'a Workspace) -> impl Iterator<Item = &'a Task> + 'a {
        let ended = self.tasks.range((since, MissionId::from(FIRST), TaskId::from(FIRST))..);
        ended.filter_map(|(_, mission, task)| Some(&**state.missions.get(mission)?.tasks.get(task)?))
    }

    /// Takes out what the entry is about to change.
    pub(crate) fn forget(&mut self, entry: &Entry, before: &Workspace) {
        match &entry.event {
            Some(Event::Mission(event)) => {
                let Some(mission) = before.missions.get(&*entry.subject) else { return };
                match event {
                    MissionEvent::MissionDeleted(_) => self.forget_whole(mission),
                    MissionEvent::MissionStatusChanged(_) => self.forget_mission(mission),
                    MissionEvent::TaskStatusChanged(moved) => {
                        mission.tasks.get(&moved.task_id).into_iter().for_each(|task| {
                            self.forget_task(mission, task);
                        });
                    }
                    MissionEvent::MissionCreated(_)
                    | MissionEvent::MissionUpdated(_)
                    | MissionEvent::TaskCreated(_)
                    | MissionEvent::TaskUpdated(_) => {}
                }
            }
            Some(Event::Roster(RosterEvent::CrewDeleted(_))) => {
                let crew = CrewId::from(&*entry.subject);
                let missions = before.missions_of(&crew).filter_map(|id| before.missions.get(id));
                missions.for_each(|mission| self.forget_whole(mission));
            }
            Some(
                Event::Roster(_)
                | Event::Instance(_)
                | Event::Checkpoint(_)
                | Event::Marker(_)
                | Event::Work(_)
                | Event::Approval(_)
                | Event::Chat(_)
                | Event::Escalation(_)
                | Event::Issue(_)
                | Event::Tracker(_)
                | Event::Routine(_),
            )
            | None => {}
        }
    }

    /// Puts in what the entry has changed.
    pub(crate) fn note(&mut self, entry: &Entry, after: &Workspace) {
        let Some(Event::Mission(event)) = &entry.event else { return };
        let Some(mission) = after.missions.get(&*entry.subject) else { return };
        match event {
            MissionEvent::MissionStatusChanged(_) => {
                let ended = mission.completed_at.map(|at| (at, mission.id.clone()));
                ended.into_iter().for_each(|row| drop(self.missions.insert(row)));
            }
            MissionEvent::TaskStatusChanged(moved) => {
                let ended = mission.tasks.get(&moved.task_id).and_then(|task| task_row(mission, task));
                ended.into_iter().for_each(|row| drop(self.tasks.insert(row)));
            }
            MissionEvent::MissionCreated(_)
            | MissionEvent::MissionUpdated(_)
            | MissionEvent::MissionDeleted(_)
            | MissionEvent::TaskCreated(_)
            | MissionEvent::TaskUpdated(_) => {}
        }
    }

    fn forget_whole(&mut self, mission: &Mission) {
        self.forget_mission(mission);
        mission.tasks.values().for_each(|task| self.forget_task(mission, task));
    }

    fn forget_mission(&mut self, mission: &Mission) {
        let ended = mission.completed_at.map(|at| (at, mission.id.clone()));
        ended.into_iter().for_each(|row| drop(self.missions.remove(&row)));
    }

    fn forget_task(&mut self, mission: &Mission, task: &Task) {
        task_row(mission, task).into_iter().for_each(|row| drop(self.tasks.remove(&row)));
    }
}

fn task_row(mission: &Mission, task: &Task) -> Option<(Time, MissionId, TaskId)> {
    Some((task.completed_at?, mission.id.clone(), task.id.clone()))
}
