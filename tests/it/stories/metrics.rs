//! The workspace's missions in numbers (`missions.md` 12.1).

use taffrail_domain::mission::{
    MissionCreated, MissionDeleted, MissionStatusChanged, MissionUpdated, Reason, Status, TaskStatus,
    TaskStatusChanged, TaskUpdated,
};
use taffrail_domain::roster::{CrewDeleted, Role};
use taffrail_domain::{Draft, Event, Time};
use taffrail_projections::{MissionMetrics, WorkspaceWorld, World};

use super::kit::{CREW, LEAD, crew, given, member, task_created, task_move, task_update};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// A full second, long after the stage was set.
const START: u64 = 1_000_000_000;

/// A world to which things happen at times the story chooses.
pub(super) struct Story {
    pub(super) world: WorkspaceWorld,
}

impl Story {
    pub(super) fn begin() -> Self {
        Self { world: given([]).world }
    }

    pub(super) fn fold_at(&mut self, time: u64, draft: Draft) {
        let entry = draft.at(self.world.head().plus(1), Time(time), member(Role::Owner));
        self.world.apply(&entry);
    }

    pub(super) fn happens(&mut self, time: u64, mission: &str, event: impl Into<Event>) {
        self.fold_at(time, Draft::internal(mission, event));
    }

    pub(super) fn mission(&mut self, time: u64, mission: &str) {
        let created = MissionCreated {
            crew_id: crew(),
            lead_agent_id: LEAD.into(),
            trace_id: "mission-trace".into(),
            title: mission.into(),
            description: None,
            plan: None,
            workflow_template: None,
            fork_of: None,
            cloned_from: None,
        };
        self.happens(time, mission, created);
    }

    /// The mission goes to a status, whatever the table says.
    pub(super) fn moves(&mut self, time: u64, mission: &str, to: Status) {
        let from = self.world.state.missions[mission].status;
        self.happens(time, mission, MissionStatusChanged::new(from, to, Reason::Patch));
    }

    /// The mission gets a task of its own, which ends with these tokens and this cost.
    pub(super) fn task(
        &mut self,
        time: u64,
        mission: &str,
        to: TaskStatus,
        cost: (Option<i64>, Option<f64>),
    ) {
        let id = format!("task-of-{mission}");
        self.happens(time, mission, task_created(&id, TaskStatus::Pending, &[]));
        let (token_count, estimated_cost) = cost;
        self.happens(time, mission, TaskUpdated { token_count, estimated_cost, ..task_update(&id) });
        self.happens(time, mission, task_move(&id, TaskStatus::Pending, to, Reason::Patch));
    }

    fn at(&self, now: u64) -> MissionMetrics {
        self.world.metrics.at(Time(now), &self.world.state, &self.world.board)
    }
}

#[test]
fn an_empty_workspace_is_all_zeros() {
    assert_eq!(Story::begin().at(START), MissionMetrics::default());
    assert_eq!(Story::begin().at(0), MissionMetrics::default());
}

#[test]
fn every_mission_counts_and_the_unfinished_are_active_however_old() {
    let mut story = Story::begin();
    for status in Status::ALL {
        story.mission(START, status.as_str());
        if *status != Status::Planning {
            story.moves(START, status.as_str(), *status);
        }
    }
    let expected = MissionMetrics { total_missions: 6, active_missions: 3, ..MissionMetrics::default() };
    assert_eq!(story.at(START + 30 * DAY_MS), expected);
    let now = story.at(START + 1);
    assert_eq!((now.completed_24h, now.failed_24h), (1, 1), "a cancelled one is neither");
}

#[test]
fn what_ended_exactly_a_day_ago_counts_and_a_second_earlier_does_not() {
    let mut story = Story::begin();
    for (mission, status) in [("done", Status::Completed), ("failed", Status::Failed)] {
        story.mission(START - 10, mission);
        story.moves(START, mission, status);
    }
    story.mission(START, "worked");
    story.task(START, "worked", TaskStatus::Completed, (Some(5), Some(0.5)));
    story.mission(START, "tried");
    story.task(START, "tried", TaskStatus::Failed, (Some(2), Some(0.25)));
    let counted = MissionMetrics {
        total_missions: 4,
        active_missions: 2,
        completed_24h: 1,
        failed_24h: 1,
        total_tokens_24h: 7,
        total_cost_24h: 0.75,
        avg_completion_time_ms: 10,
        tasks_completed_24h: 1,
        tasks_failed_24h: 1,
    };
    // The cutoff has the precision of a second.
    for now in [START, START + DAY_MS, START + DAY_MS + 999] {
        assert_eq!(story.at(now), counted, "{now}");
    }
    let nothing = MissionMetrics { total_missions: 4, active_missions: 2, ..MissionMetrics::default() };
    assert_eq!(story.at(START + DAY_MS + 1_000), nothing);
}

#[test]
fn no_tokens_and_no_cost_count_as_zero() {
    let mut story = Story::begin();
    for (mission, cost) in [("null", (None, None)), ("tokens", (Some(3), None)), ("cost", (None, Some(1.5)))]
    {
        story.mission(START, mission);
        story.task(START, mission, TaskStatus::Completed, cost);
    }
    let metrics = story.at(START);
    assert_eq!((metrics.tasks_completed_24h, metrics.total_tokens_24h, metrics.total_cost_24h), (3, 3, 1.5));
}

#[test]
fn the_tokens_of_skipped_tasks_count_and_those_of_running_ones_do_not() {
    let mut story = Story::begin();
    story.mission(START, "skipped");
    story.task(START, "skipped", TaskStatus::Skipped, (Some(4), None));
    story.mission(START, "running");
    story.task(START, "running", TaskStatus::InProgress, (Some(8), None));
    let metrics = story.at(START);
    assert_eq!(metrics.total_tokens_24h, 4);
    assert_eq!((metrics.tasks_completed_24h, metrics.tasks_failed_24h), (0, 0));
}

#[test]
fn tokens_told_after_the_end_count_since_the_end() {
    let mut story = Story::begin();
    story.mission(START, "m");
    story.task(START, "m", TaskStatus::Completed, (None, None));
    let later = TaskUpdated { token_count: Some(9), ..task_update("task-of-m") };
    story.happens(START + DAY_MS, "m", later);
    assert_eq!(story.at(START + DAY_MS).total_tokens_24h, 9);
    assert_eq!(story.at(START + DAY_MS + 1_000).total_tokens_24h, 0);
}

#[test]
fn the_mean_is_rounded_half_up() {
    let mean = |took_ms: &[u64]| {
        let mut story = Story::begin();
        for (index, took_ms) in took_ms.iter().enumerate() {
            let mission = format!("mission-{index}");
            story.mission(START, &mission);
            story.moves(START + took_ms, &mission, Status::Completed);
        }
        story.at(START).avg_completion_time_ms
    };
    assert_eq!(mean(&[]), 0);
    assert_eq!(mean(&[1, 2]), 2, "1.5");
    assert_eq!(mean(&[1, 1, 2]), 1, "1.33");
    assert_eq!(mean(&[1, 2, 2]), 2, "1.67");
    assert_eq!(mean(&[3 * DAY_MS, 3 * DAY_MS]), 3 * DAY_MS, "planning included, however long");
}

#[test]
fn an_edit_of_an_old_failure_is_no_new_failure() {
    let mut story = Story::begin();
    story.mission(START, "m");
    story.task(START, "m", TaskStatus::Failed, (None, None));
    story.moves(START, "m", Status::Failed);
    let later = START + 2 * DAY_MS;
    story.happens(later, "m", MissionUpdated { title: Some("New".into()), ..MissionUpdated::default() });
    story.happens(later, "m", TaskUpdated { error_message: Some("no".into()), ..task_update("task-of-m") });
    let metrics = story.at(later);
    assert_eq!((metrics.failed_24h, metrics.tasks_failed_24h), (0, 0));
}

#[test]
fn a_restarted_or_resumed_mission_is_no_longer_finished() {
    for (ended, again) in [
        (Status::Completed, Status::Planning),
        (Status::Failed, Status::Planning),
        (Status::Failed, Status::InProgress),
    ] {
        let mut story = Story::begin();
        story.mission(START, "m");
        story.task(START, "m", TaskStatus::Failed, (Some(5), None));
        story.moves(START, "m", ended);
        assert_eq!(story.at(START).completed_24h + story.at(START).failed_24h, 1);
        story.moves(START + 1, "m", again);
        let next = task_move("task-of-m", TaskStatus::Failed, TaskStatus::Pending, Reason::Restart);
        story.happens(START + 1, "m", TaskStatusChanged { iteration: 2, ..next });
        let active = MissionMetrics { total_missions: 1, active_missions: 1, ..MissionMetrics::default() };
        assert_eq!(story.at(START + 1), active);
        story.moves(START + 2, "m", Status::Completed);
        assert_eq!(story.at(START + 2).avg_completion_time_ms, 2, "its second end is the one that counts");
    }
}

#[test]
fn deleted_missions_and_those_of_a_deleted_crew_leave_no_trace() {
    let deleted = MissionDeleted { status: Status::Cancelled, crew_id: crew() };
    let gone: [(&str, Event); 2] =
        [("m", deleted.into()), (CREW, CrewDeleted { slug: "platform".into() }.into())];
    for (subject, event) in gone {
        let mut story = Story::begin();
        let empty = story.world.metrics.clone();
        story.mission(START, "m");
        story.task(START, "m", TaskStatus::Completed, (Some(5), Some(0.5)));
        story.moves(START, "m", Status::Completed);
        assert_ne!(story.world.metrics, empty);
        story.happens(START + 1, subject, event);
        assert_eq!(story.at(START + 1), MissionMetrics::default(), "{subject}");
        assert_eq!(story.world.metrics, empty, "{subject}: nothing is left behind");
    }
}
