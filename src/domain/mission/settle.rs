//! What follows from a change of a mission without anybody's doing: unblocking, the end of the work, and
//! that nobody works what is not wanted any more (`missions.md` 9.2, 9.8, 9.9, 15).

use std::sync::Arc;

use super::{MissionStatusChanged, Reason, Status, Stuck, Task, TaskStatus, TaskStatusChanged};
use crate::undertaking::{Phase, Undertaking};
use crate::unfolding::Unfolding;
use crate::work::{Assignment, Purpose};
use crate::{Actor, AssignmentId, Draft, MissionId, TaskId, Text};

impl Unfolding<'_> {
    /// Brings a mission in order after a change. Its facts are the engine's, whoever changed what before.
    pub(crate) fn settle(&mut self, mission: &MissionId) {
        self.unblock(mission);
        self.conclude(mission);
        self.keep_only_wanted_work(mission);
    }

    /// Nobody works what its mission does not want any more, and nobody is asked about it.
    pub(crate) fn keep_only_wanted_work(&mut self, mission: &MissionId) {
        let unwanted = |assignment: &&Arc<Assignment>| !self.wants(assignment);
        let unwanted: Vec<AssignmentId> =
            self.state.work.live_of_mission(mission).filter(unwanted).map(|found| found.id.clone()).collect();
        for id in unwanted {
            self.cancel_assignment(&id, "not wanted any more");
            if let Some(task) = self.task_of(&id) {
                self.move_task(mission, &task, TaskStatus::Pending, Reason::HandedBack, |_| {});
            }
        }
        self.withdraw_idle_approvals(mission);
        self.withdraw_idle_escalations(mission);
        self.request_missing_approvals(mission);
    }

    /// Whether a live assignment is still what its mission waits for.
    fn wants(&self, assignment: &Assignment) -> bool {
        let Some(mission) = assignment.facts.mission_id.as_ref() else { return true };
        let Some(mission) = self.state.undertaking(mission) else { return false };
        if self.state.is_run_it_was_moved_from(assignment) {
            return true;
        }
        match assignment.facts.purpose {
            Purpose::Task => mission.phase == Phase::Working && works_on(mission, assignment).is_some(),
            Purpose::Planning => mission.phase == Phase::Working,
            Purpose::Review => mission.phase == Phase::Reviewing,
            // Who is called where it is over is not called for what went before.
            Purpose::Delegation | Purpose::Query | Purpose::Mention => {
                mission.phase != Phase::Ended || assignment.born > mission.entered
            }
            Purpose::Chat => true,
        }
    }

    /// The task that an assignment still works.
    fn task_of(&self, assignment: &AssignmentId) -> Option<TaskId> {
        let assignment = self.state.work.assignments.get(assignment)?;
        let mission = self.state.undertaking(assignment.facts.mission_id.as_ref()?)?;
        works_on(mission, assignment).map(|task| task.id.clone())
    }

    /// Tasks that waited for what is now completed become `PENDING`.
    fn unblock(&mut self, mission: &MissionId) {
        let Some(found) = self.state.undertaking(mission).filter(|found| found.phase != Phase::Ended) else {
            return;
        };
        let tasks = found.tasks_in_order().into_iter();
        let ready = tasks.filter(|task| task.status == TaskStatus::Blocked && found.is_ready(task));
        let ready: Vec<TaskId> = ready.map(|task| task.id.clone()).collect();
        for task in ready {
            self.move_task(mission, &task, TaskStatus::Pending, Reason::Unblocked, |_| {});
        }
    }

    /// A mission whose work is over, or can never go on, says so.
    fn conclude(&mut self, mission: &MissionId) {
        let Some(found) = self.state.undertaking(mission) else { return };
        if found.phase != Phase::Working || found.tasks.is_empty() {
            return;
        }
        let stats = found.task_stats();
        if stats.completed + stats.failed + stats.skipped == stats.total {
            let (to, reason) = match stats.failed {
                0 => (Status::Review, Reason::AllTasksDone),
                _ => (Status::Failed, Reason::TaskFailed),
            };
            self.move_mission(mission, to, reason, |_| {});
            return;
        }
        let goes_on = |task: &Arc<Task>| match task.status {
            TaskStatus::InProgress | TaskStatus::AwaitingApproval => true,
            TaskStatus::Pending => found.is_ready(task),
            TaskStatus::Blocked | TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Skipped => false,
        };
        if !found.tasks.values().any(goes_on) {
            let stuck = stuck(found);
            self.move_mission(mission, Status::Failed, Reason::Deadlock, |moved| moved.stuck = stuck);
        }
    }

    /// A mission, or an issue, moves by the engine's hand: each in its own words.
    pub(crate) fn move_mission(
        &mut self,
        mission: &MissionId,
        to: Status,
        reason: Reason,
        change: impl FnOnce(&mut MissionStatusChanged),
    ) {
        let Some(found) = self.state.missions.get(mission) else {
            return self.conclude_issue(mission, to);
        };
        let mut moved = MissionStatusChanged::new(found.status, to, reason);
        change(&mut moved);
        let face = found.moved_face(&moved, &Actor::Orchestrator);
        self.add(Draft::public(mission.as_str(), moved, face));
    }

    /// A task moves, by the engine's hand.
    pub(crate) fn move_task(
        &mut self,
        mission: &MissionId,
        task: &TaskId,
        to: TaskStatus,
        reason: Reason,
        change: impl FnOnce(&mut TaskStatusChanged),
    ) {
        let Some(found) = self.state.undertaking(mission) else { return };
        let Some(task) = found.tasks.get(task) else { return };
        let mut moved = TaskStatusChanged::new(task, to, reason);
        change(&mut moved);
        let face = found.task_moved_face(&moved, task.assigned_agent_id.clone(), &Actor::Orchestrator);
        // Where an agent was on it, it has said so itself.
        let is_untold = matches!(reason, Reason::NotDispatchable | Reason::Timeout);
        let message = moved.error_message.clone();
        self.add(Draft::public(mission.as_str(), moved, face));
        if is_untold {
            self.note_failure(mission, message.as_deref());
        }
    }

    /// What is in flight ends with its mission.
    pub(crate) fn stop_tasks(
        &mut self,
        mission: &MissionId,
        (to, reason, message): (TaskStatus, Reason, &str),
        ends: impl Fn(&Task) -> bool,
    ) {
        let Some(found) = self.state.undertaking(mission) else { return };
        let in_flight = found.tasks_in_order().into_iter().filter(|task| ends(task));
        let in_flight: Vec<TaskId> = in_flight.map(|task| task.id.clone()).collect();
        let message = Text::from(message);
        for task in in_flight {
            let message = Some(message.clone());
            self.move_task(mission, &task, to, reason, |moved| moved.error_message = message);
        }
    }
}

fn works_on<'a>(mission: &'a Undertaking, assignment: &Assignment) -> Option<&'a Arc<Task>> {
    let task = mission.tasks.get(assignment.facts.task_id.as_ref()?)?;
    let is_its_own =
        task.status == TaskStatus::InProgress && task.assignment_id.as_ref() == Some(&assignment.id);
    is_its_own.then_some(task)
}

/// What waits, and for what that will not come.
fn stuck(mission: &Undertaking) -> Vec<Stuck> {
    let waiting = mission.tasks_in_order().into_iter().filter(|task| task.status.is_editable());
    waiting
        .map(|task| {
            let unmet = task.depends_on.iter().filter(|id| !mission.all_completed([*id]));
            Stuck { task_id: task.id.clone(), unmet: unmet.cloned().collect() }
        })
        .collect()
}
