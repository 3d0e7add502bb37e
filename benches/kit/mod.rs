//! A workspace's history as a busy team would make it: missions of a hundred entries, one after another.

use taffrail_domain::checkpoint::{CheckpointCommand, CheckpointDraft};
use taffrail_domain::mission::{MissionCommand, MissionDraft, TaskDraft, TaskPatch};
use taffrail_domain::roster::{AgentPatch, CrewPatch, RosterCommand};
use taffrail_domain::{
    Actor, Command, Context, CrewId, Draft, LogTag, Mint, MissionId, TaskId, Time, UserId, WorkspaceId,
};
use taffrail_projections::{WorkspaceWorld, World};

/// Entries of one mission.
pub const MISSION_ENTRIES: usize = 100;

/// Ids that look like ours and cost nothing.
#[derive(Default)]
pub struct Counter(std::cell::Cell<u64>);

impl Mint for Counter {
    fn cuid(&self) -> String {
        self.0.set(self.0.get() + 1);
        format!("cmi4q0x2a{:016}", self.0.get())
    }

    fn hex16(&self) -> String {
        self.0.set(self.0.get() + 1);
        format!("{:016x}", self.0.get())
    }
}

/// Decides commands one by one and hands the drafts out; holds the world they make.
pub struct Workshop {
    /// The world so far.
    pub world: WorkspaceWorld,
    /// Everybody's deeds are this person's.
    pub actor: Actor,
    crew: CrewId,
    lead: String,
    mint: Counter,
}

impl Workshop {
    /// An opened workspace with a crew and its LEAD; hands out the drafts that made it.
    pub fn open(log: LogTag, id: &WorkspaceId, owner: &UserId) -> (Self, Vec<Vec<Draft>>) {
        let mut shop = Self {
            world: WorkspaceWorld::empty(log),
            actor: Actor::System,
            crew: "".into(),
            lead: String::new(),
            mint: Counter::default(),
        };
        let (name, slug) = ("Bench".into(), "bench".into());
        let open = RosterCommand::Open { id: id.clone(), name, slug, owner: owner.clone() };
        let mut drafts = vec![shop.decide(open.into())];
        shop.actor = Actor::User(owner.clone());
        let crew =
            CrewPatch { name: Some("Crew".into()), slug: Some("crew".into()), ..CrewPatch::default() };
        drafts.push(shop.decide(RosterCommand::CreateCrew(crew).into()));
        shop.crew = CrewId::from(&*drafts[1][0].subject);
        let lead = AgentPatch {
            name: Some("Lead".into()),
            slug: Some("lead".into()),
            crew_id: Some(Some(shop.crew.to_string())),
            agent_role: Some("LEAD".into()),
            ..AgentPatch::default()
        };
        drafts.push(shop.decide(RosterCommand::CreateAgent(lead).into()));
        shop.lead = drafts[2][0].subject.to_string();
        (shop, drafts)
    }

    /// One mission's life in 100 entries: 24 tasks, each added, begun, reported and completed, and two bookmarks.
    pub fn mission(&mut self) -> (MissionId, Vec<Vec<Draft>>) {
        let draft = MissionDraft {
            title: Some("Move billing to the new ledger".into()),
            description: Some("Every invoice since 2019, without downtime".into()),
            lead_agent_id: Some(self.lead.clone()),
            workflow_template: None,
        };
        let created = self.decide(MissionCommand::Create { crew: self.crew.clone(), draft }.into());
        let mission = MissionId::from(&*created[0].subject);
        let mut batches = vec![created];
        let tasks: Vec<TaskId> = (0..24).map(|order| self.add_task(&mission, order, &mut batches)).collect();
        batches.push(self.start(&mission));
        for task in &tasks {
            for patch in life_of_a_task() {
                let (crew, mission, task) = (self.crew.clone(), mission.clone(), task.clone());
                batches.push(self.decide(MissionCommand::UpdateTask { crew, mission, task, patch }.into()));
            }
        }
        while batches.iter().map(Vec::len).sum::<usize>() < MISSION_ENTRIES {
            let draft = Ok(CheckpointDraft { label: Some("green build".into()), at: None });
            let command = CheckpointCommand::Create { mission: mission.clone(), draft, at: None };
            batches.push(self.decide(command.into()));
        }
        (mission, batches)
    }

    fn add_task(&mut self, mission: &MissionId, order: i64, batches: &mut Vec<Vec<Draft>>) -> TaskId {
        let draft = TaskDraft {
            title: Some(format!("Step {order}: copy a table and compare the sums")),
            task_order: Some(order),
            max_iterations: Some(3),
            ..TaskDraft::default()
        };
        let (crew, mission) = (self.crew.clone(), mission.clone());
        let drafts = self.decide(MissionCommand::AddTask { crew, mission, draft: Ok(draft) }.into());
        let task = drafts[0].event.as_ref().and_then(task_of).expect("a task was created");
        batches.push(drafts);
        task
    }

    fn start(&mut self, mission: &MissionId) -> Vec<Draft> {
        let (crew, mission) = (self.crew.clone(), mission.clone());
        self.decide(MissionCommand::Start { crew, mission, seen: None }.into())
    }

    /// Decides and folds one command.
    pub fn decide(&mut self, command: Command) -> Vec<Draft> {
        let next = self.world.head().plus(1);
        let now = Time(1_760_000_000_000 + next.0);
        let context =
            Context { now, actor: &self.actor, log: self.world.log(), next, mint: &self.mint };
        let drafts = self.world.decide(&command, &context).expect("a bench only wishes what it may");
        for (index, draft) in drafts.iter().enumerate() {
            let entry = draft.clone().at(next.plus(index as u64), now, self.actor.clone());
            self.world.apply(&entry);
        }
        drafts
    }
}

fn task_of(event: &taffrail_domain::Event) -> Option<TaskId> {
    match event {
        taffrail_domain::Event::Mission(taffrail_domain::mission::MissionEvent::TaskCreated(created)) => {
            Some(created.task_id.clone())
        }
        _ => None,
    }
}

fn life_of_a_task() -> [TaskPatch; 3] {
    [
        TaskPatch { status: Some("IN_PROGRESS".into()), ..TaskPatch::default() },
        TaskPatch {
            result_summary: Some("Copied 1,204,331 rows; sums agree to the cent".into()),
            token_count: Some(4_210),
            estimated_cost: Some(0.031),
            ..TaskPatch::default()
        },
        TaskPatch { status: Some("COMPLETED".into()), ..TaskPatch::default() },
    ]
}
