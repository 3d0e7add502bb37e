//! A workspace's history as a busy team would make it: missions of a hundred entries, one after another.
#![allow(dead_code, reason = "each bench takes what it needs")]

pub(crate) mod load;

use taffrail_domain::checkpoint::{CheckpointCommand, CheckpointDraft};
use taffrail_domain::mission::{MissionCommand, MissionDraft, TaskDraft, TaskPatch};
use taffrail_domain::roster::{AgentPatch, CrewPatch, RosterCommand};
use taffrail_domain::{
    Actor, Command, Context, CrewId, Draft, LogTag, Mint, MissionId, TaskId, Time, UserId, WorkspaceId,
};
use taffrail_projections::{WorkspaceWorld, World};

/// Entries of one mission.
pub(crate) const MISSION_ENTRIES: usize = 100;

/// Ids that look like ours and cost nothing.
#[derive(Default)]
pub(crate) struct Counter(std::cell::Cell<u64>);

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
pub(crate) struct Workshop {
    /// The world so far.
    pub(crate) world: WorkspaceWorld,
    /// Everybody's deeds are this person's.
    pub(crate) actor: Actor,
    crew: CrewId,
    lead: String,
    mint: Counter,
}

impl Workshop {
    /// An opened workspace with a crew and its LEAD; hands out the drafts that made it.
    pub(crate) fn open(log: LogTag, id: &WorkspaceId, owner: &UserId) -> (Self, Vec<Vec<Draft>>) {
        let mut shop = Self {
            world: WorkspaceWorld::empty(log),
            actor: Actor::System,
            crew: "".into(),
            lead: String::new(),
            mint: Counter::default(),
        };
        let (name, slug) = ("Bench".into(), "bench".into());
        let open = RosterCommand::Open {
            id: id.clone(),
            name,
            slug,
            preferred_language: None,
            owner: owner.clone(),
        };
        let mut drafts = vec![shop.decide(open.into())];
        shop.actor = Actor::User(owner.clone());
        let crew = CrewPatch { name: Some("Crew".into()), slug: Some("crew".into()), ..CrewPatch::default() };
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
    pub(crate) fn mission(&mut self) -> (MissionId, Vec<Vec<Draft>>) {
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

    /// The crew that everything belongs to.
    pub(crate) fn crew(&self) -> CrewId {
        self.crew.clone()
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
    pub(crate) fn decide(&mut self, command: Command) -> Vec<Draft> {
        let next = self.world.head().plus(1);
        let now = Time(1_760_000_000_000 + next.0);
        let context = Context { now, actor: &self.actor, log: self.world.log(), next, mint: &self.mint };
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

/// What a lane works on: one task of one mission, its own.
pub(crate) type Lane = (CrewId, MissionId, TaskId);

/// Writes a data directory as a server would have left it after a crash: an instance with one
/// workspace and at least `entries` entries in it. Hands back the workshop that made them.
pub(crate) fn seed(data: &std::path::Path, owner: &UserId, entries: usize) -> Workshop {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let data = data.to_owned();
    let owner = owner.clone();
    // A runtime of its own on a thread of its own: callers may be inside another.
    let seeding =
        std::thread::spawn(move || runtime.expect("a runtime").block_on(fill(&data, &owner, entries)));
    seeding.join().expect("seeding works")
}

async fn fill(data: &std::path::Path, owner: &UserId, entries: usize) -> Workshop {
    use taffrail_domain::instance::{Instance, InstanceCommand, NewUser, NewWorkspace};
    use taffrail_journal::{Journal, LogId, segment};
    let journal =
        segment::open(segment::Options::new(data), &Default::default(), &mut |_| ()).expect("opens");
    let workspace: WorkspaceId = "cmi4q0x2a0000000000000002".into();
    let user = NewUser { id: owner.clone(), email_key: "key".into() };
    let (name, slug) = ("Bench".into(), "bench".into());
    let registered =
        NewWorkspace { id: workspace.clone(), name, slug, preferred_language: None, owner: owner.clone() };
    let wishes = [InstanceCommand::CreateUser(user), InstanceCommand::RegisterWorkspace(registered)];
    let drafts: Vec<Draft> =
        wishes.iter().flat_map(|wish| Instance::default().decide(wish).expect("a fresh instance")).collect();
    let frames = |drafts: &[Draft], actor: &Actor, head: u64| {
        let time = |index: usize| Time(1_760_000_000_000 + head + index as u64);
        let numbered = drafts.iter().enumerate();
        let frames =
            numbered.map(|(index, draft)| taffrail::stored::unsealed(draft, time(index), actor, None));
        frames.collect::<Result<Vec<_>, _>>().expect("encodes")
    };
    journal.append(LogId::INSTANCE, 0, frames(&drafts, &Actor::System, 0)).await.expect("appends");
    let (mut shop, batches) = Workshop::open(LogTag(1), &workspace, owner);
    let mut waiting: Vec<Draft> = batches.into_iter().flatten().collect();
    let (mut head, mut made) = (0, waiting.len());
    loop {
        let done = made >= entries;
        if waiting.len() >= 4_000 || done {
            head =
                journal.append(LogId(1), head, frames(&waiting, &shop.actor, head)).await.expect("appends");
            waiting.clear();
        }
        if done {
            break;
        }
        let (_, batches) = shop.mission();
        waiting.extend(batches.into_iter().flatten());
        made = usize::try_from(shop.world.head().0).expect("a bench's count");
    }
    shop
}

/// A mission with one task, made through the real writer.
pub(crate) async fn lane(shop: &mut Workshop, workspace: &taffrail::writer::Writer<WorkspaceWorld>) -> Lane {
    use taffrail::writer::Wish;
    let draft = MissionDraft {
        title: Some("A lane of its own".into()),
        lead_agent_id: Some(shop.lead.clone()),
        ..MissionDraft::default()
    };
    let wish = |command: Command| Wish { command, actor: shop.actor.clone(), request: None };
    let create = MissionCommand::Create { crew: shop.crew.clone(), draft }.into();
    let created = workspace.execute(wish(create)).await.expect("it is accepted");
    let mission = MissionId::from(&*created.entries[0].subject);
    let draft = Ok(TaskDraft { title: Some("The one task".into()), ..TaskDraft::default() });
    let (crew, id) = (shop.crew.clone(), mission.clone());
    let add = MissionCommand::AddTask { crew, mission: id, draft }.into();
    let added = workspace.execute(wish(add)).await.expect("it is accepted");
    let task = added.entries[0].event.as_ref().and_then(task_of).expect("a task was created");
    (shop.crew.clone(), mission, task)
}

/// Bare missions through the real writer, many under way at a time.
pub(crate) async fn many_missions(
    workspace: &taffrail::writer::Writer<WorkspaceWorld>,
    owner: &UserId,
    crew: &str,
    lead: &str,
    count: usize,
) {
    let lanes = (0..256).map(|lane| {
        let (workspace, owner) = (workspace.clone(), owner.clone());
        let (crew, lead) = (CrewId::from(crew), lead.to_owned());
        tokio::spawn(async move {
            for number in (lane..count).step_by(256) {
                let draft = MissionDraft {
                    title: Some(format!("Mission {number}: move a ledger")),
                    lead_agent_id: Some(lead.clone()),
                    ..MissionDraft::default()
                };
                let command = MissionCommand::Create { crew: crew.clone(), draft }.into();
                let actor = Actor::User(owner.clone());
                let wish = taffrail::writer::Wish { command, actor, request: None };
                workspace.execute(wish).await.expect("it is accepted");
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.expect("a lane works");
    }
}

/// Resident memory of this process, MiB.
#[must_use]
pub(crate) fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1_024
}

/// Waits until the disk has written what earlier stages left behind: nobody pays for another.
pub(crate) fn settle() {
    rustix::fs::sync();
}
