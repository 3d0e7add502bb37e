//! What a mission waits for that only the engine does. Asked as often as one likes: what is due follows from
//! what is true, and not from what was asked before (`missions.md` 15, rows 5 and 8).

use std::sync::Arc;

use super::dispatch::Fitness;
use super::{Assignment, Purpose, WorkCommand};
use crate::approval::ApprovalCommand;
use crate::escalation::EscalationCommand;
use crate::mission::TaskStatus;
use crate::undertaking::{Phase, Undertaking};
use crate::{AgentId, Command, Offset, TaskId, Time, Workspace};

/// How long a mission may be `IN_PROGRESS` (`missions.md` 9.10): two hours.
pub const MISSION_MS_MAX: u64 = 2 * 60 * 60 * 1_000;

/// How long an agent waits for another one's answer: ten minutes.
pub const QUERY_MS_MAX: u64 = 10 * 60 * 1_000;

/// What is due, and when to ask again if nothing happens before.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// Each with the offset of its cause and its name: together they name the request.
    pub commands: Vec<(Offset, String, WorkCommand)>,
    /// Nothing else becomes due before, unless something happens.
    pub again_at: Option<Time>,
}

impl Due {
    fn add(&mut self, cause: Offset, name: impl Into<String>, command: WorkCommand) {
        self.commands.push((cause, name.into(), command));
    }

    fn again(&mut self, at: Time) {
        self.again_at = Some(self.again_at.map_or(at, |before| before.min(at)));
    }
}

impl Workspace {
    /// Questions whose time is over, each with the name of its request.
    #[must_use]
    pub fn lapsed(&self, now: Time) -> Vec<(String, Command)> {
        let approvals = self.approvals.lapsing.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| {
            let command = ApprovalCommand::Lapse { approval: id.clone() };
            (format!("approval:{id}"), command.into())
        });
        let escalations = self.escalations.open.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| {
            let command = EscalationCommand::Expire { escalation: id.clone() };
            (format!("escalation:{id}"), command.into())
        });
        let is_over = |found: &&Arc<Assignment>| {
            found.facts.purpose == Purpose::Query && now.0 >= found.created_at.0.saturating_add(QUERY_MS_MAX)
        };
        let queries = self.work.live().filter(is_over).map(|found| {
            let command = WorkCommand::Withdraw { assignment: found.id.clone() };
            (format!("query:{}", found.id), command.into())
        });
        approvals.chain(escalations).chain(queries).collect()
    }

    /// What is due for a mission. An agent without a worker is given nothing: people may work its tasks.
    #[must_use]
    pub fn due(&self, mission: &Undertaking, now: Time, has_worker: &dyn Fn(&AgentId) -> bool) -> Due {
        let mut due = Due::default();
        match mission.phase {
            Phase::Working => self.due_in_progress(mission, now, has_worker, &mut due),
            Phase::Reviewing => self.ask_lead_if_due(mission, Purpose::Review, has_worker, &mut due),
            Phase::Waiting | Phase::Ended => {}
        }
        due
    }

    fn due_in_progress(
        &self,
        mission: &Undertaking,
        now: Time,
        has_worker: &dyn Fn(&AgentId) -> bool,
        due: &mut Due,
    ) {
        let deadline = Time(mission.entered_at.0.saturating_add(MISSION_MS_MAX));
        if now >= deadline {
            return due.add(
                mission.entered,
                "time_out",
                WorkCommand::TimeOut { mission: mission.id.clone() },
            );
        }
        due.again(deadline);
        if mission.tasks.is_empty() {
            return self.ask_lead_if_due(mission, Purpose::Planning, has_worker, due);
        }
        let mut ready: Vec<(TaskId, Option<AgentId>)> = vec![];
        let mut cause = Offset(0);
        let tasks = mission.tasks_in_order().into_iter();
        for task in tasks.filter(|task| task.status == TaskStatus::Pending && mission.is_ready(task)) {
            let picked: Vec<AgentId> = ready.iter().filter_map(|(_, agent)| agent.clone()).collect();
            let agent = self.agent_for(mission, task, &picked, has_worker);
            if self.is_due(mission, agent.as_ref(), now, has_worker, due) {
                cause = cause.max(task.moved);
                ready.push((task.id.clone(), agent));
            }
        }
        if !ready.is_empty() {
            // What a task is about may have changed since it last moved: another agent, another crew.
            let names = ready
                .iter()
                .map(|(task, agent)| format!("{task}={}", agent.as_ref().map_or("", |agent| agent.as_str())));
            let name = format!("dispatch:{}", names.collect::<Vec<_>>().join(","));
            due.add(cause, name, WorkCommand::Dispatch { mission: mission.id.clone(), tasks: ready });
        }
    }

    /// Whether a ready task is to be handed out now, or to be failed because it never can be.
    fn is_due(
        &self,
        mission: &Undertaking,
        agent: Option<&AgentId>,
        now: Time,
        has_worker: &dyn Fn(&AgentId) -> bool,
        due: &mut Due,
    ) -> bool {
        let Some(agent) = agent else { return true };
        match self.fitness(mission, agent, now) {
            Fitness::Fit => has_worker(agent),
            Fitness::Never(_) => true,
            Fitness::From(cooled) => {
                due.again(cooled);
                false
            }
            Fitness::Later => false,
        }
    }

    fn ask_lead_if_due(
        &self,
        mission: &Undertaking,
        purpose: Purpose,
        has_worker: &dyn Fn(&AgentId) -> bool,
        due: &mut Due,
    ) {
        let Some(_) = self.lead_to_ask(mission, purpose).filter(|lead| has_worker(lead)) else { return };
        let id = mission.id.clone();
        let (name, command) = match purpose {
            Purpose::Review => ("review", WorkCommand::Review { mission: id }),
            _ => ("plan", WorkCommand::Plan { mission: id }),
        };
        // Asked again because its worker went away, it is another request.
        let name = match self.lost_of(mission, purpose) {
            0 => name.to_owned(),
            lost => format!("{name}:{lost}"),
        };
        due.add(mission.entered, name, command);
    }
}
