//! Start, restart and resume: each one decision and one batch (`missions.md` 3.6–3.8, 8.1, 8.2).

use std::collections::BTreeSet;

use super::decide::{birth_status, moved};
use super::{Mission, Reason, Status, Task, TaskStatus, TaskStatusChanged};
use crate::{Actor, Draft, Rejection, TaskId};

pub(super) fn start(mission: &Mission, seen: Option<Status>, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
    match mission.status {
        Status::Planning => {}
        // It was PLANNING when the caller looked: two raced, the loser gets 409 (missions.md 3.6).
        _ if seen == Some(Status::Planning) => {
            return Err(Rejection::conflict(
                "mission.already_started",
                "Mission was already started by another request",
            ));
        }
        other => {
            return Err(Rejection::invalid(
                "mission.not_planning",
                format!("cannot start mission in {other} state, must be PLANNING"),
            ));
        }
    }
    mission.validate_dag()?;
    Ok(vec![moved(mission, Status::InProgress, Reason::Start, actor)])
}

/// A finished mission is planned again: every task that is not `COMPLETED` begins a new attempt.
pub(super) fn restart(mission: &Mission, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
    if !mission.status.is_terminal() {
        return Err(Rejection::conflict(
            "mission.not_terminal",
            format!("cannot restart mission in {} state", mission.status),
        ));
    }
    let tasks = mission.tasks_in_order().into_iter().filter(|task| task.status != TaskStatus::Completed);
    let resets = tasks.map(|task| {
        let ready = mission.all_completed(&task.depends_on);
        begun_again(mission, task, birth_status(ready), Reason::Restart, actor)
    });
    let planned = moved(mission, Status::Planning, Reason::Restart, actor);
    Ok(std::iter::once(planned).chain(resets).collect())
}

/// A failed mission goes on where it failed. There is no `RESUMING` in between: it is one batch, and a
/// crash leaves the mission `FAILED` (`missions.md` 15, row 3).
pub(super) fn resume(mission: &Mission, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
    if mission.status != Status::Failed {
        return Err(Rejection::conflict(
            "mission.not_failed",
            format!("can only resume FAILED missions, current status: {}", mission.status),
        ));
    }
    let again = to_resume(mission);
    if again.is_empty() {
        return Err(Rejection::invalid("mission.nothing_to_resume", "No failed tasks to resume from"));
    }
    mission.validate_dag()?;
    let tasks = mission.tasks_in_order().into_iter().filter(|task| again.contains(&task.id));
    let resets = tasks.map(|task| {
        // What is reset is not COMPLETED, so only dependencies outside the set can satisfy.
        let ready = mission.all_completed(&task.depends_on);
        begun_again(mission, task, birth_status(ready), Reason::Resume, actor)
    });
    let running = moved(mission, Status::InProgress, Reason::Resume, actor);
    Ok(std::iter::once(running).chain(resets).collect())
}

/// The failed and held tasks and all that waits for them. `COMPLETED` tasks are walked through and kept:
/// the seed preserves them (`missions.md` 8.2).
fn to_resume(mission: &Mission) -> BTreeSet<&TaskId> {
    let is_seed = |task: &&std::sync::Arc<Task>| {
        matches!(task.status, TaskStatus::Failed | TaskStatus::AwaitingApproval)
    };
    let mut found: BTreeSet<&TaskId> = mission.tasks.values().filter(is_seed).map(|task| &task.id).collect();
    let dependents = mission.dependents();
    let mut open: Vec<&TaskId> = found.iter().copied().collect();
    while let Some(id) = open.pop() {
        for dependent in dependents.get(id).into_iter().flatten() {
            if found.insert(dependent) {
                open.push(dependent);
            }
        }
    }
    found.retain(|id| mission.tasks.get(*id).is_some_and(|task| task.status != TaskStatus::Completed));
    found
}

/// The next attempt; the fold forgets what the last one left.
fn begun_again(mission: &Mission, task: &Task, to: TaskStatus, reason: Reason, actor: &Actor) -> Draft {
    let iteration = task.iteration.saturating_add(1);
    let event = TaskStatusChanged { iteration, ..TaskStatusChanged::new(task, to, reason) };
    let face = mission.task_moved_face(&event, task.assigned_agent_id.clone(), actor);
    Draft::public(mission.id.as_str(), event, face)
}
