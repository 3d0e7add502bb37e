//! A seeded simulation: missions, workers that die, reports that come late or twice, people who meddle, and
//! crashes after any entry, in virtual time. Whatever happens, the checkers hold.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use taffrail_domain::chat::ChatCommand;
use taffrail_domain::escalation::{EscalationCommand, EscalationType, Question, Resolution};
use taffrail_domain::mission::{
    MissionCommand, MissionEvent, MissionPatch, Status, TaskDraft, TaskPatch, TaskStatus,
};
use taffrail_domain::roster::Role;
use taffrail_domain::work::{Delegation, EndedBy, Purpose, WorkCommand, WorkEvent};
use taffrail_domain::{Actor, ChatId, Event, TaskId, Time};
use taffrail_projections::World;

use crate::program::seed;
use crate::stories::kit::{LEAD, crew, member, mission, stage};
use crate::stories::play::{Held, Play, answering, done, failed};

const PLAYS: u64 = 200;
const STEPS: usize = 120;

struct Sim {
    play: Play,
    random: StdRng,
    /// What workers have, or had: some of it they have lost without knowing.
    held: Vec<Held>,
    /// The world before the play, with how many entries it has.
    begun: taffrail_projections::WorkspaceWorld,
    checked: usize,
    /// Which assignment works each task, by the entries.
    working: BTreeMap<TaskId, String>,
    /// Assignments and runs that are over.
    ended: BTreeSet<String>,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let mut play = Play::begin();
        let begun = play.world.clone();
        assert!(begun.head() > stage().head());
        let mut random = StdRng::seed_from_u64(seed);
        if random.random_bool(0.5) {
            play.without_worker.clear();
        }
        Self {
            play,
            random,
            held: vec![],
            begun,
            checked: 0,
            working: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.random.random_range(0..all.len())].clone())
    }

    fn tasks(&self) -> Vec<TaskId> {
        self.play.mission().tasks.keys().cloned().collect()
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..12 => self.add_task(),
            12..20 => {
                let start = MissionCommand::Start { crew: crew(), mission: mission(), seen: None };
                let _ = self.person(start);
            }
            20..50 => self.held.extend(self.play.claim()),
            50..72 => self.report(),
            72..78 => self.lapse(),
            78..81 => self.hand_back(),
            81..87 => self.meddle(),
            87..92 => self.lifecycle(),
            92..94 => self.decide(),
            94 => self.escalate(),
            95 => self.talk(),
            96 => self.play.now = Time(self.play.now.0 + self.random.random_range(0..90_000)),
            _ => self.crash(),
        }
        // The engine is not always asked at once.
        if self.random.random_bool(0.8) {
            self.play.engine();
        }
        self.check();
    }

    fn person(&mut self, command: MissionCommand) -> bool {
        self.play.wish(&member(Role::Admin), command).is_ok()
    }

    fn add_task(&mut self) {
        let known = self.tasks();
        let needs: Vec<String> =
            known.iter().filter(|_| self.random.random_bool(0.3)).map(ToString::to_string).collect();
        let draft = TaskDraft {
            title: Some("t".into()),
            depends_on: Some(needs),
            max_iterations: Some(self.random.random_range(0..4)),
            approval_required: Some(self.random.random_bool(0.1)),
            ..TaskDraft::default()
        };
        self.person(MissionCommand::AddTask { crew: crew(), mission: mission(), draft: Ok(draft) });
    }

    /// Of work that is held, or was: late, or for the second time.
    fn report(&mut self) {
        let all = self.held.clone();
        let Some(held) = self.pick(&all) else { return };
        let purpose = self.play.assignment(&held).facts.purpose;
        let report = match (purpose, self.random.random_range(0..10)) {
            (Purpose::Review, 0..5) => answering(serde_json::json!({ "verdict": "complete" })),
            (Purpose::Review | Purpose::Planning, 5..8) => {
                let tasks = serde_json::json!([{ "title": "p" }, { "title": "q", "depends_on": [1] }]);
                answering(serde_json::json!({ "tasks": tasks }))
            }
            (_, 0..3) => failed(),
            _ => done(),
        };
        // Refused only if another worker has it by now.
        drop(self.play.report(&held, report));
    }

    fn lapse(&mut self) {
        let all = self.held.clone();
        let Some((assignment, fence)) = self.pick(&all) else { return };
        self.play
            .wish(&Actor::Orchestrator, WorkCommand::Lapse { assignment, fence })
            .expect("never refused");
    }

    fn hand_back(&mut self) {
        let all = self.held.clone();
        let Some((assignment, fence)) = self.pick(&all) else { return };
        drop(self.play.wish(&Actor::Orchestrator, WorkCommand::HandBack { assignment, fence }));
    }

    fn meddle(&mut self) {
        let all = self.tasks();
        let Some(task) = self.pick(&all) else { return };
        let words = ["IN_PROGRESS", "COMPLETED", "FAILED", "SKIPPED", "PENDING"];
        let status = self.pick(&words).map(str::to_owned);
        let patch = TaskPatch { status, ..TaskPatch::default() };
        self.person(MissionCommand::UpdateTask { crew: crew(), mission: mission(), task, patch });
    }

    fn lifecycle(&mut self) {
        let (crew, mission) = (crew(), mission());
        let command = match self.random.random_range(0..7) {
            0 => MissionCommand::Restart { crew, mission },
            1 | 2 => MissionCommand::Resume { crew, mission },
            choice => {
                let word = ["CANCELLED", "FAILED", "IN_PROGRESS", "REVIEW"][choice - 3];
                let patch = MissionPatch { status: Some(word.into()), ..MissionPatch::default() };
                MissionCommand::Update { crew, mission, patch }
            }
        };
        self.person(command);
    }

    /// People and agents talk beside the mission.
    fn talk(&mut self) {
        let chat = ChatId::from("chat");
        let open = ChatCommand::Open {
            agent: LEAD.into(),
            chat: Some(chat.clone()),
            mode: None,
            origin: None,
            metadata: taffrail_domain::Json::default(),
        };
        self.play.manager(open);
        if self.random.random_bool(0.5) {
            // Refused while an answer is awaited.
            drop(self.play.wish(&member(Role::Admin), ChatCommand::Say { chat, content: "Hi".into() }));
            return;
        }
        let delegation = Delegation {
            target_slug: self.play.world.state.roster.agents[LEAD].facts.slug.clone(),
            task: "Look at this".into(),
            crew: crew(),
            chat,
            mission: self.random.random_bool(0.5).then(mission),
            actor: None,
            is_question: self.random.random_bool(0.5),
        };
        // Refused where the mission is over.
        let is_of_mission = delegation.mission.is_some();
        let made = self.play.wish(&Actor::Orchestrator, WorkCommand::Delegate(delegation.into()));
        assert!(made.is_ok() || is_of_mission && self.play.mission().status.is_terminal(), "{made:?}");
    }

    /// Agents ask people, who answer, or do not.
    fn escalate(&mut self) {
        let open = self.play.world.state.escalations.open.iter().next().map(|(_, id)| id.clone());
        match open.filter(|_| self.random.random_bool(0.5)) {
            None => {
                let question = Question {
                    crew: crew(),
                    agent: LEAD.into(),
                    chat: mission().as_str().into(),
                    reason: "Which one?".into(),
                    context: None,
                    escalation_type: EscalationType::Text,
                    metadata: taffrail_domain::Json::default(),
                };
                let raise = EscalationCommand::Raise(question.into());
                self.play.wish(&Actor::Agent(LEAD.into()), raise).expect("granted");
            }
            Some(escalation) if self.random.random_bool(0.5) => {
                let answer = Resolution { text: "this".into(), ..Resolution::default() };
                self.play.manager(EscalationCommand::Resolve { escalation, answer });
            }
            Some(_) => self.play.now = Time(self.play.now.0 + 25 * 60 * 60 * 1_000),
        }
    }

    fn decide(&mut self) {
        let all = self.tasks();
        let Some(task) = self.pick(&all) else { return };
        let approved = self.random.random_bool(0.7);
        self.person(MissionCommand::Approve {
            crew: crew(),
            mission: mission(),
            task,
            approved,
            notes: None,
        });
    }

    /// All that is not in the entries is lost; and what a snapshot says is what the entries say.
    fn crash(&mut self) {
        let mut folded = self.begun.clone();
        self.play.entries.iter().for_each(|entry| folded.apply(entry));
        assert!(folded == self.play.world, "a replay differs");
        let config = bincode::config::standard();
        let saved = bincode::serde::encode_to_vec(&folded, config).expect("a world can be written down");
        let (read, _) = bincode::serde::decode_from_slice(&saved, config).expect("and read back");
        assert!(folded == read, "a snapshot differs");
        self.play.world = read;
    }

    fn check(&mut self) {
        let new = self.play.entries[self.checked..].to_vec();
        self.checked = self.play.entries.len();
        for entry in &new {
            match &entry.event {
                Some(Event::Mission(MissionEvent::TaskStatusChanged(moved))) => {
                    if moved.from == TaskStatus::InProgress {
                        self.working.remove(&moved.task_id);
                    }
                    if let Some(assignment) = &moved.assignment_id {
                        let before = self.working.insert(moved.task_id.clone(), assignment.to_string());
                        assert_eq!(before, None, "a task is worked twice at once");
                    }
                }
                Some(Event::Mission(MissionEvent::MissionStatusChanged(moved))) => {
                    let has_cause =
                        entry.face.as_ref().is_some_and(|face| face.payload.get().contains("\"reason\""));
                    assert!(has_cause && moved.from != moved.to, "{moved:?}");
                }
                Some(Event::Work(WorkEvent::AssignmentEnded(_) | WorkEvent::RunEnded(_))) => {
                    assert!(self.ended.insert(entry.subject.to_string()), "{} ends twice", entry.subject);
                }
                _ => {}
            }
        }
        self.check_work();
    }

    /// What lives is wanted, and what is wanted lives.
    fn check_work(&self) {
        let state = &self.play.world.state;
        let found = self.play.mission();
        let live: Vec<_> = state.work.live().collect();
        for assignment in &live {
            let is_wanted = match assignment.facts.purpose {
                Purpose::Task => {
                    let task = assignment.facts.task_id.as_ref().and_then(|id| found.tasks.get(id));
                    task.is_some_and(|task| {
                        task.status == TaskStatus::InProgress
                            && task.assignment_id.as_ref() == Some(&assignment.id)
                    }) && found.status == Status::InProgress
                }
                Purpose::Planning => found.status == Status::InProgress,
                Purpose::Review => found.status == Status::Review,
                Purpose::Delegation | Purpose::Query | Purpose::Mention => {
                    assignment.facts.mission_id.is_none() || !found.status.is_terminal()
                }
                Purpose::Chat => true,
            };
            assert!(is_wanted, "nobody wants {assignment:?} in {found:#?}");
        }
        for task in found.tasks.values().filter(|task| task.status == TaskStatus::InProgress) {
            let by_agent = task.assignment_id.as_ref();
            let lives = by_agent.is_none_or(|id| live.iter().any(|assignment| assignment.id == *id));
            assert!(lives, "nobody works {task:?}");
        }
        let running = state.work.runs.values().filter(|run| run.end.is_none()).count();
        assert_eq!((running, state.work.claimed.len()), (state.work.running.len(), running));
        for assignment in state.work.assignments.values().filter(|found| !found.status.is_live()) {
            assert!(assignment.ended_by.is_some(), "{assignment:?} ended without a cause");
            let reported = assignment.ended_by == Some(EndedBy::Report);
            assert!(!reported || assignment.fence.is_some());
        }
        let held = found.tasks.values().filter(|task| task.status == TaskStatus::AwaitingApproval).count();
        let asked = if found.status == Status::InProgress { held } else { 0 };
        assert_eq!(state.approvals.pending_of.len(), asked);
        for (until, id) in &state.escalations.open {
            let found = &state.escalations.all[id];
            assert!(found.ended.is_none() && found.asked.answer_deadline_at == *until, "{found:?}");
        }
        let open = state.escalations.all.values().filter(|found| found.ended.is_none()).count();
        assert_eq!(open, state.escalations.open.len());
    }

    /// Everybody does their work and nobody meddles: the mission comes to an end.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            self.play.now = Time(self.play.now.0 + 61_000);
            self.play.engine();
            self.check();
            let status = self.play.mission().status;
            let over = status.is_terminal() || matches!(status, Status::Planning | Status::Review);
            let is_running = status == Status::InProgress;
            let waiting = self
                .tasks()
                .into_iter()
                .find(|task| self.play.at(task).status == TaskStatus::AwaitingApproval);
            if let Some(task) = waiting.filter(|_| is_running) {
                self.person(MissionCommand::Approve {
                    crew: crew(),
                    mission: mission(),
                    task,
                    approved: true,
                    notes: None,
                });
            } else if let Some(held) = self.play.claim() {
                self.play.report(&held, done()).expect("in time");
            } else if let Some((assignment, fence)) = self.one_claimed() {
                self.play
                    .wish(&Actor::Orchestrator, WorkCommand::Lapse { assignment, fence })
                    .expect("lapses");
            } else if let Some(task) = self.worked_by_hand() {
                let patch = TaskPatch { status: Some("COMPLETED".into()), ..TaskPatch::default() };
                self.person(MissionCommand::UpdateTask { crew: crew(), mission: mission(), task, patch });
            } else if over || self.play.mission().tasks.is_empty() {
                return;
            } else {
                assert!(self.waits_for_hands(), "stuck: {:#?}", self.play.mission());
                return;
            }
        }
        panic!("no end: {:#?}", self.play.mission());
    }

    /// What a worker took before and will never report.
    fn one_claimed(&self) -> Option<Held> {
        let work = &self.play.world.state.work;
        let found = work.claimed.iter().next().and_then(|id| work.assignments.get(id))?;
        Some((found.id.clone(), found.fence?))
    }

    fn worked_by_hand(&self) -> Option<TaskId> {
        let tasks = self.play.mission().tasks.values();
        let by_hand = |task: &&std::sync::Arc<taffrail_domain::mission::Task>| {
            task.status == TaskStatus::InProgress && task.assignment_id.is_none()
        };
        let found = tasks.filter(|_| self.play.mission().status == Status::InProgress).find(by_hand);
        found.map(|task| task.id.clone())
    }

    /// A mission that was sent back by hand, and is given nothing to do; or that was sent back although tasks
    /// of it can never go on: it waits for what it is sent back for, and only a further change settles it.
    fn waits_for_hands(&self) -> bool {
        let found = self.play.mission();
        let last_move = self.play.entries.iter().rev().find_map(|entry| match &entry.event {
            Some(Event::Mission(MissionEvent::MissionStatusChanged(moved))) => {
                Some((entry.offset, moved.from))
            }
            _ => None,
        });
        found.tasks.values().all(|task| task.status.is_terminal())
            || last_move == Some((found.changed, Status::Review))
    }
}

#[test]
fn whatever_happens_no_task_is_worked_twice_and_a_replay_is_what_was() {
    let first = seed();
    for number in 0..PLAYS {
        let mut sim = Sim::new(first.wrapping_add(number));
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..STEPS).for_each(|_| sim.step());
            sim.finish();
            sim.crash();
        }));
        if let Err(why) = played {
            eprintln!("TAFFRAIL_SEED={}", first.wrapping_add(number));
            std::panic::resume_unwind(why);
        }
    }
}
