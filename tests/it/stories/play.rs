//! The engine without a runtime: what is due is decided and folded at once, time stands still unless it is
//! moved, and workers are calls.

use std::collections::HashSet;

use taffrail_domain::mission::{Mission, MissionCommand, Task, TaskDraft, TaskStatus};
use taffrail_domain::work::{Assignment, Claim, Report, RunStatus, WorkCommand};
use taffrail_domain::{
    Actor, AgentId, AssignmentId, Command, Context, Entry, Offset, Rejection, TaskId, Time,
};
use taffrail_projections::{WorkspaceWorld, World};

use super::kit::{Counter, LOG, created, crew, fold, member, mission, stage};
use taffrail_domain::roster::Role;

/// What a worker holds.
pub(crate) type Held = (AssignmentId, Offset);

pub(crate) struct Play {
    /// The stage, as it was before anything was decided.
    pub(crate) began: WorkspaceWorld,
    pub(crate) world: WorkspaceWorld,
    /// All that was decided, for replays.
    pub(crate) entries: Vec<Entry>,
    pub(crate) now: Time,
    mint: Counter,
    /// Names of commands that made entries: they act once.
    names: HashSet<String>,
    /// Agents that nobody works for.
    pub(crate) without_worker: HashSet<AgentId>,
}

impl Play {
    /// The stage with a mission in `PLANNING`; LEADs have no worker unless the play says so.
    pub(crate) fn begin() -> Self {
        let mut world = stage();
        fold(&mut world, created("Ship the beta"));
        Self::on(world)
    }

    /// On another stage.
    pub(crate) fn on(world: WorkspaceWorld) -> Self {
        Self {
            now: Time(world.time().0 + 1_000),
            began: world.clone(),
            world,
            entries: vec![],
            mint: Counter::default(),
            names: HashSet::new(),
            without_worker: [AgentId::from(super::kit::LEAD)].into(),
        }
    }

    pub(crate) fn wish(
        &mut self,
        actor: &Actor,
        command: impl Into<Command>,
    ) -> Result<Vec<Entry>, Rejection> {
        self.now = self.now.max(self.world.time());
        let context =
            Context { now: self.now, actor, log: LOG, next: self.world.head().plus(1), mint: &self.mint };
        let drafts = self.world.decide(&command.into(), &context)?;
        let made: Vec<Entry> = (1..)
            .zip(drafts)
            .map(|(count, draft)| draft.at(self.world.head().plus(count), self.now, actor.clone()))
            .collect();
        made.iter().for_each(|entry| self.world.apply(entry));
        self.entries.extend(made.iter().cloned());
        Ok(made)
    }

    /// A manager's wish that must be granted.
    #[track_caller]
    pub(crate) fn manager(&mut self, command: impl Into<Command>) -> Vec<Entry> {
        self.wish(&member(Role::Manager), command).expect("granted")
    }

    pub(crate) fn add(&mut self, title: &str, needs: &[&TaskId], more: TaskDraft) -> TaskId {
        let depends_on = Some(needs.iter().map(ToString::to_string).collect());
        let draft = TaskDraft { title: Some(title.into()), depends_on, ..more };
        let add = MissionCommand::AddTask { crew: crew(), mission: mission(), draft: Ok(draft) };
        let made = self.manager(add);
        match &made[0].event {
            Some(taffrail_domain::Event::Mission(taffrail_domain::mission::MissionEvent::TaskCreated(
                created,
            ))) => created.task_id.clone(),
            other => panic!("not a task: {other:?}"),
        }
    }

    pub(crate) fn task(&mut self, title: &str, needs: &[&TaskId]) -> TaskId {
        self.add(title, needs, TaskDraft::default())
    }

    /// A task that may be tried so often.
    pub(crate) fn tried(&mut self, title: &str, needs: &[&TaskId], most: i64) -> TaskId {
        self.add(title, needs, TaskDraft { max_iterations: Some(most), ..TaskDraft::default() })
    }

    pub(crate) fn start(&mut self) {
        self.manager(MissionCommand::Start { crew: crew(), mission: mission(), seen: None });
        self.engine();
    }

    pub(crate) fn patch_task(&mut self, task: &TaskId, status: &str) {
        let patch = taffrail_domain::mission::TaskPatch { status: Some(status.into()), ..Default::default() };
        self.manager(MissionCommand::UpdateTask {
            crew: crew(),
            mission: mission(),
            task: task.clone(),
            patch,
        });
        self.engine();
    }

    pub(crate) fn patch_mission(&mut self, status: &str) {
        let patch =
            taffrail_domain::mission::MissionPatch { status: Some(status.into()), ..Default::default() };
        self.manager(MissionCommand::Update { crew: crew(), mission: mission(), patch });
        self.engine();
    }

    /// Asks what is due and decides it, until nothing is.
    pub(crate) fn engine(&mut self) {
        loop {
            let without = self.without_worker.clone();
            let has_worker = |agent: &AgentId| !without.contains(agent);
            let state = &self.world.state;
            let missions = state.missions.values().map(|mission| &mission.undertaking);
            let issues = state.issues.all.values().map(|issue| &issue.undertaking);
            let due: Vec<_> = missions
                .chain(issues)
                .flat_map(|found| state.due(found, self.now, &has_worker).commands)
                .collect();
            let mut acted = false;
            for (cause, what, command) in due {
                let name = format!("{cause}:{what}");
                if self.names.contains(&name) {
                    continue;
                }
                let made = self.wish(&Actor::Orchestrator, command).expect("the engine is never refused");
                if !made.is_empty() {
                    self.names.insert(name);
                    acted = true;
                }
            }
            for (name, command) in self.world.state.lapsed(self.now) {
                let made = self.wish(&Actor::Orchestrator, command).expect("the engine is never refused");
                assert!(!made.is_empty(), "{name} is over and does not end");
                acted = true;
            }
            if !acted {
                return;
            }
        }
    }

    /// A worker takes the oldest work.
    pub(crate) fn claim(&mut self) -> Option<Held> {
        let claim = Claim { worker: "w".into(), lease_ms: 60_000, ..Claim::default() };
        let made =
            self.wish(&Actor::Orchestrator, WorkCommand::Claim(claim)).expect("a claim is never refused");
        let claimed = made.first()?;
        Some(((&*claimed.subject).into(), claimed.offset))
    }

    pub(crate) fn report(
        &mut self,
        (assignment, fence): &Held,
        report: Report,
    ) -> Result<Vec<Entry>, Rejection> {
        let command =
            WorkCommand::Report { assignment: assignment.clone(), fence: *fence, report: report.into() };
        let made = self.wish(&Actor::Orchestrator, command);
        self.engine();
        made
    }

    /// A worker takes the oldest work, which must be of this task, and reports.
    #[track_caller]
    pub(crate) fn work(&mut self, task: &TaskId, report: Report) {
        let held = self.claim().expect("work");
        let found = &self.world.state.work.assignments[&held.0];
        assert_eq!(found.facts.task_id.as_ref(), Some(task));
        self.report(&held, report).expect("a report in time is heard");
    }

    pub(crate) fn mission(&self) -> &Mission {
        &self.world.state.missions[&mission()]
    }

    pub(crate) fn at(&self, task: &TaskId) -> &Task {
        &self.mission().tasks[task]
    }

    /// Where tasks stand.
    pub(crate) fn stand(&self, tasks: &[&TaskId]) -> Vec<TaskStatus> {
        tasks.iter().map(|task| self.at(task).status).collect()
    }

    pub(crate) fn assignment(&self, held: &Held) -> &Assignment {
        &self.world.state.work.assignments[&held.0]
    }
}

pub(crate) fn done() -> Report {
    Report {
        status: RunStatus::Completed,
        result: Some("done".into()),
        exit_code: Some(0),
        ..Report::default()
    }
}

pub(crate) fn failed() -> Report {
    let error_message = Some("no luck".into());
    Report { status: RunStatus::Failed, error_message, exit_code: Some(1), ..Report::default() }
}

/// A LEAD's answer.
pub(crate) fn answering(answer: serde_json::Value) -> Report {
    Report { answer: serde_json::from_value(answer).expect("an answer"), ..done() }
}
