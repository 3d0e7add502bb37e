//! What agents work on: the tasks of a mission, or of an issue they were put on (`issues.md` 20).
//!
//! A mission and an issue are two aggregates with two flows of their own. What the engine asks about either,
//! and what it does with the tasks of either, is here and only here.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::entry::words;
use crate::mission::{MissionEvent, Task, TaskStats, TaskStatus, birth_status, hash};
use crate::{AgentId, CrewId, Entry, MissionId, Offset, TaskId, Text, Time, Workspace};

words! {
    /// Where an undertaking stands, as far as the engine is concerned.
    Phase {
        /// People have it: the engine hands nothing out.
        #[default]
        Waiting = "waiting",
        /// Agents work its tasks.
        Working = "working",
        /// The LEAD is to look at the results.
        Reviewing = "reviewing",
        /// Nothing of it is wanted any more.
        Ended = "ended",
    }
}

/// What a fork's title begins with, once per generation (`journal.md` 5.6).
pub(crate) const FORK_PREFIX: &str = "Fork: ";

/// What a mission and an issue have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undertaking {
    /// Its id.
    pub id: MissionId,
    /// Its crew.
    pub crew_id: CrewId,
    /// The LEAD at creation.
    pub lead_agent_id: AgentId,
    /// `mission-` or `issue-` and an id of its own.
    pub trace_id: Text,
    /// What it is called.
    pub title: Text,
    /// What it is for.
    pub description: Option<Text>,
    /// The plan, markdown.
    pub plan: Option<Text>,
    /// Where the engine sees it.
    pub phase: Phase,
    /// When it came into its present status: its deadline runs from there.
    pub entered_at: Time,
    /// Offset of the entry that brought it there.
    pub entered: Offset,
    /// Its tasks, by id.
    pub tasks: OrdMap<TaskId, Arc<Task>>,
}

impl Undertaking {
    /// Its tasks as lists show them: by `task_order`, then creation.
    #[must_use]
    pub fn tasks_in_order(&self) -> Vec<&Arc<Task>> {
        let mut tasks: Vec<_> = self.tasks.values().collect();
        tasks.sort_by_key(|task| (task.task_order, task.born));
        tasks
    }

    /// How many tasks stand where.
    #[must_use]
    pub fn task_stats(&self) -> TaskStats {
        let mut stats = TaskStats::default();
        self.tasks.values().for_each(|task| stats.count(task.status));
        stats
    }

    /// Sum of the tasks' tokens; `None` while no task has any (`missions.md` 2.1).
    #[must_use]
    pub fn total_token_count(&self) -> Option<i64> {
        self.tasks.values().filter_map(|task| task.token_count).reduce(i64::saturating_add)
    }

    /// Sum of the tasks' costs in USD; `None` while no task has any.
    #[must_use]
    pub fn total_estimated_cost(&self) -> Option<f64> {
        self.tasks.values().filter_map(|task| task.estimated_cost).reduce(|sum, cost| sum + cost)
    }

    /// Whether every one of these tasks is `COMPLETED`: nothing else satisfies a dependency (`missions.md` 6.3).
    #[must_use]
    pub fn all_completed<'a>(&self, tasks: impl IntoIterator<Item = &'a TaskId>) -> bool {
        tasks
            .into_iter()
            .all(|id| self.tasks.get(id).is_some_and(|task| task.status == TaskStatus::Completed))
    }

    /// Whether nothing is missing for a task to begin.
    pub(crate) fn is_ready(&self, task: &Task) -> bool {
        self.all_completed(&task.depends_on)
    }

    /// `h1:` and SHA-256 over what a fork takes along: equal for a source at its checkpoint and the fork
    /// at its birth (`journal.md` 11.2). Ids, title prefix, statuses, attempts and their times are
    /// no part of it, and a task's status is the one a fork begins with.
    #[must_use]
    pub fn fork_hash(&self) -> String {
        let tasks = self.tasks_in_order();
        let place = |id: &TaskId| tasks.iter().position(|task| task.id == *id);
        let tasks = tasks.iter().map(|task| {
            let outcome = task.outcome();
            json!({
                "title": task.title, "description": task.description,
                "assigned_agent_id": task.assigned_agent_id, "status": self.status_in_a_fork(task),
                "task_order": task.task_order, "max_iterations": task.max_iterations,
                "depends_on": self.dependencies_of(task).map(place).collect::<Vec<_>>(),
                "result_summary": outcome.as_ref().map(|outcome| &outcome.result_summary),
                "output_path": outcome.as_ref().map(|outcome| &outcome.output_path),
            })
        });
        hash(&json!({
            "crew_id": self.crew_id, "lead_agent_id": self.lead_agent_id,
            "title": self.title.trim_start_matches(FORK_PREFIX), "description": self.description,
            "plan": self.plan, "tasks": tasks.collect::<Vec<_>>(),
        }))
    }

    /// Where a task stands when a fork begins: what was in flight is ready, or waits, again (ruling R13).
    #[must_use]
    pub fn status_in_a_fork(&self, task: &Task) -> TaskStatus {
        match task.status {
            // In the midst of a batch a task may wait for one that is yet to come: the fork is without it.
            TaskStatus::InProgress | TaskStatus::AwaitingApproval | TaskStatus::Blocked => {
                birth_status(self.all_completed(self.dependencies_of(task)))
            }
            settled => settled,
        }
    }

    /// The dependencies of a task that exist; a fork drops the others (`journal.md` 5.6).
    pub(crate) fn dependencies_of<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a TaskId> + 'a {
        task.depends_on.iter().filter(|id| self.tasks.contains_key(*id))
    }

    /// Folds a fact about a task in; facts about the mission itself are not its business.
    pub(crate) fn apply_task(&mut self, event: &MissionEvent, entry: &Entry) {
        match event {
            MissionEvent::TaskCreated(created) => {
                let task = Task::begin(created, entry);
                self.tasks.insert(task.id.clone(), Arc::new(task));
            }
            MissionEvent::TaskUpdated(updated) => {
                if let Some(task) = self.tasks.get_mut(&updated.task_id) {
                    Arc::make_mut(task).update(updated, entry);
                }
            }
            MissionEvent::TaskStatusChanged(moved) => {
                if let Some(task) = self.tasks.get_mut(&moved.task_id) {
                    Arc::make_mut(task).move_on(moved, entry);
                }
            }
            MissionEvent::MissionCreated(_)
            | MissionEvent::MissionUpdated(_)
            | MissionEvent::MissionStatusChanged(_)
            | MissionEvent::MissionDeleted(_) => {}
        }
    }
}

impl Workspace {
    /// What the engine works under an id: a mission, or an issue.
    #[must_use]
    pub fn undertaking(&self, id: &MissionId) -> Option<&Undertaking> {
        let mission = self.missions.get(id).map(|mission| &mission.undertaking);
        mission.or_else(|| self.issues.all.get(id).map(|issue| &issue.undertaking))
    }
}
