//! Question: what does the engine cost? How long from a task being ready to a worker having it, and how many
//! tasks a second go from start to review when workers do nothing?
//! Guess: two commits of latency (dispatch, claim), and a few thousand tasks a second.
//!
//! Workers sit at the desk itself: no HTTP, no processes. `cargo bench --bench missions`

mod kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use taffrail::boot::{Options, Taffrail};
use taffrail::engine::Desk;
use taffrail::writer::{Wish, Writer};
use taffrail_domain::mission::{MissionCommand, MissionDraft, MissionEvent, Status, TaskDraft};
use taffrail_domain::roster::{AgentPatch, CrewPatch, RosterCommand};
use taffrail_domain::work::{Claim, Report, RunStatus};
use taffrail_domain::{Actor, Command, CrewId, Entry, Event, LogTag, MissionId};
use taffrail_projections::WorkspaceWorld;
use tempfile::TempDir;
use tokio::task::JoinSet;

const CHAIN: usize = 500;
const MISSIONS: usize = 40;
const TASKS: usize = 50;

struct Bench {
    workspace: Writer<WorkspaceWorld>,
    desk: Arc<Desk>,
    actor: Actor,
    crew: CrewId,
    lead: String,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = TempDir::new_in(".").expect("a folder on the disk under test");
        let actor = kit::seed(folder.path(), &"cmi4q0x2a0000000000000001".into(), 1).actor;
        let app = Taffrail::open(Options::new(folder.path())).await.expect("opens");
        let bench = Bench::begin(&app, actor).await;
        bench.chain().await;
        for workers in [1, 8, 32] {
            bench.flood(workers).await;
        }
        app.drain().await;
    });
}

impl Bench {
    async fn begin(app: &Taffrail, actor: Actor) -> Self {
        let workspace = app.workspace_of_log(LogTag(1)).expect("it was seeded");
        let desk = app.desk(LogTag(1)).expect("it is open");
        let mut bench = Self { workspace, desk, actor, crew: "".into(), lead: String::new() };
        let crew = CrewPatch {
            name: Some("Busy".into()),
            slug: Some("busy".into()),
            container_memory_mb: Some(262_144),
            ..CrewPatch::default()
        };
        bench.crew = CrewId::from(&*bench.make(RosterCommand::CreateCrew(crew)).await.subject);
        for (slug, role) in [("busy-lead", "LEAD"), ("busy-agent", "AGENT")] {
            let agent = AgentPatch {
                name: Some(slug.into()),
                slug: Some(slug.into()),
                crew_id: Some(Some(bench.crew.to_string())),
                agent_role: Some(role.into()),
                lead_mode: (role == "LEAD").then(|| Some("passive".into())),
                ..AgentPatch::default()
            };
            let made = bench.make(RosterCommand::CreateAgent(agent)).await;
            if role == "LEAD" {
                bench.lead = made.subject.to_string();
            }
        }
        bench
    }

    async fn make(&self, command: impl Into<Command>) -> Entry {
        let wish = Wish { command: command.into(), actor: self.actor.clone(), request: None };
        self.workspace.execute(wish).await.expect("it is accepted").entries.remove(0)
    }

    async fn mission(&self, tasks: usize, is_chain: bool) -> MissionId {
        let draft = MissionDraft {
            title: Some("Busy".into()),
            lead_agent_id: Some(self.lead.clone()),
            ..MissionDraft::default()
        };
        let made = self.make(MissionCommand::Create { crew: self.crew.clone(), draft }).await;
        let mission = MissionId::from(&*made.subject);
        let mut before: Option<String> = None;
        for number in 0..tasks {
            let draft = TaskDraft {
                title: Some(format!("task {number}")),
                depends_on: before.clone().filter(|_| is_chain).map(|id| vec![id]),
                ..TaskDraft::default()
            };
            let add = MissionCommand::AddTask {
                crew: self.crew.clone(),
                mission: mission.clone(),
                draft: Ok(draft),
            };
            if let Some(Event::Mission(MissionEvent::TaskCreated(created))) = self.make(add).await.event {
                before = Some(created.task_id.to_string());
            }
        }
        mission
    }

    async fn start(&self, mission: &MissionId) {
        self.make(MissionCommand::Start { crew: self.crew.clone(), mission: mission.clone(), seen: None })
            .await;
    }

    async fn work_one(desk: &Desk, wait: Duration) -> bool {
        let claim = Claim { worker: "bench".into(), ..Claim::default() };
        let Some(claimed) = desk.claim(claim, None, wait).await.expect("claims") else { return false };
        let report =
            Report { status: RunStatus::Completed, result: Some("done".into()), ..Report::default() };
        desk.report(&claimed.assignment.id, claimed.fence, report).await.expect("reports");
        true
    }

    /// One task makes the next ready: from its report's answer to the next claim's.
    async fn chain(&self) {
        let mission = self.mission(CHAIN, true).await;
        let claim = Claim { worker: "bench".into(), ..Claim::default() };
        self.desk.announce(&claim);
        self.start(&mission).await;
        let (mut ready, mut waits) = (Instant::now(), vec![]);
        for _ in 0..CHAIN {
            let claimed =
                self.desk.claim(claim.clone(), None, Duration::from_secs(10)).await.expect("claims");
            waits.push(ready.elapsed());
            let claimed = claimed.expect("there is work");
            let report = Report { status: RunStatus::Completed, ..Report::default() };
            self.desk.report(&claimed.assignment.id, claimed.fence, report).await.expect("reports");
            ready = Instant::now();
        }
        waits.sort_unstable();
        let at = |share: usize| waits[waits.len() * share / 100].as_micros();
        println!("dispatch (ready -> claimed): p50 {} us, p99 {} us", at(50), at(99));
    }

    /// Many missions at once, many hands that do nothing.
    async fn flood(&self, workers: usize) {
        let mut missions = vec![];
        for _ in 0..MISSIONS {
            missions.push(self.mission(TASKS, false).await);
        }
        let begun = Instant::now();
        for mission in &missions {
            self.start(mission).await;
        }
        let left = Arc::new(AtomicUsize::new(MISSIONS * TASKS));
        let mut hands = JoinSet::new();
        for _ in 0..workers {
            let (desk, left) = (Arc::clone(&self.desk), Arc::clone(&left));
            hands.spawn(async move {
                while left.load(Ordering::Relaxed) > 0 {
                    if Self::work_one(&desk, Duration::from_millis(50)).await {
                        left.fetch_sub(1, Ordering::Relaxed);
                    }
                }
            });
        }
        hands.join_all().await;
        let took = begun.elapsed();
        let world = self.workspace.world();
        assert!(missions.iter().all(|id| world.state.missions[id].status == Status::Review));
        let rate = (MISSIONS * TASKS) as f64 / took.as_secs_f64();
        println!("{workers:>3} workers: {rate:.0} tasks/s through the engine");
    }
}
