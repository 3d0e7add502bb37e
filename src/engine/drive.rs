//! The loop that asks what is due and wishes it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use imbl::ordmap::DiffItem;
use sha2::{Digest, Sha256};
use taffrail_domain::issue::Issue;
use taffrail_domain::mission::{Mission, Status};
use taffrail_domain::routine::{Fetch, Fetched, RoutineCommand};
use taffrail_domain::undertaking::Undertaking;
use taffrail_domain::work::{Due, WorkCommand};
use taffrail_domain::{Actor, AgentId, Command, MissionId, Offset, RoutineRunId, Time};
use taffrail_journal::Request;
use taffrail_projections::WorkspaceWorld;
use tokio::sync::{oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::fetch::Reach;
use super::{Clock, Desk};
use crate::writer::{ExecuteError, Wish, Writer};

/// Commands under way at a time; the others are due again when these are done.
const UNDER_WAY_MAX: usize = 128;
/// Every mission is asked at least this often: what no entry told is noticed then.
const SWEEP: Duration = Duration::from_secs(30);
/// After a change of who is there, every mission is asked; many changes at once are one.
const SOON: Duration = Duration::from_millis(250);
/// Other servers that steps of one workspace's routines ask at a time.
const FETCHES_MAX: usize = 8;
/// When a command could not be taken for want of room or time.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Drive {
    desk: Arc<Desk>,
    writer: Writer<WorkspaceWorld>,
    clock: Clock,
    /// The world that was asked last.
    asked: Arc<WorkspaceWorld>,
    /// Missions whose commands did not fit, or have a time of their own.
    later: BTreeMap<MissionId, Time>,
    sweep_at: Instant,
    under_way: JoinSet<Outcome>,
    /// Their names, and by their tasks.
    names: HashSet<Name>,
    named: HashMap<Id, Name>,
    /// When to ask again which routines are due.
    routines_at: Option<Instant>,
    /// Servers that are being asked for steps of routines. Whoever asks reports by itself.
    fetches: JoinSet<Told>,
    asking: HashMap<Id, Wait>,
    /// Waits whose servers are being asked, or were: nobody is asked twice.
    fetched: HashSet<Wait>,
    reach: Reach,
}

/// A run's wait for another server: where it was written down.
type Wait = (RoutineRunId, Offset);

/// The name of a command, and so of its request.
type Name = [u8; 16];

enum Outcome {
    Done,
    TryAgain,
}

impl Drive {
    pub(super) fn new(desk: Arc<Desk>, writer: Writer<WorkspaceWorld>, clock: Clock, reach: Reach) -> Self {
        let asked = writer.world();
        Self {
            desk,
            writer,
            clock,
            asked,
            later: BTreeMap::new(),
            sweep_at: Instant::now(),
            under_way: JoinSet::new(),
            names: HashSet::new(),
            named: HashMap::new(),
            routines_at: Some(Instant::now()),
            fetches: JoinSet::new(),
            asking: HashMap::new(),
            fetched: HashSet::new(),
            reach,
        }
    }

    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut published = self.writer.watch();
        self.watch_leases(&self.asked.clone());
        loop {
            let wake = self.wake_at();
            tokio::select! {
                _ = &mut stop => break,
                Some(ended) = self.under_way.join_next_with_id(), if !self.under_way.is_empty() => {
                    self.note(ended);
                }
                Some(ended) = self.fetches.join_next_with_id(), if !self.fetches.is_empty() => {
                    self.note_fetch(ended);
                }
                changed = published.changed() => {
                    if changed.is_err() {
                        break; // The writer is gone.
                    }
                    self.look(&mut published);
                }
                () = self.desk.news.notified() => self.sweep_soon(),
                () = tokio::time::sleep_until(wake) => {}
            }
            self.lapse();
            self.wake_routines();
            self.ask_those_whose_time_has_come();
        }
        // What is asked and not reported is asked again by the next start.
        self.fetches.shutdown().await;
        while self.under_way.join_next().await.is_some() {}
    }

    /// The world has changed: what changed in it is asked.
    fn look(&mut self, published: &mut watch::Receiver<Arc<WorkspaceWorld>>) {
        let world = Arc::clone(&published.borrow_and_update());
        let before = std::mem::replace(&mut self.asked, Arc::clone(&world));
        let (old, new) = (&before.state, &world.state);
        if !old.work.claimed.ptr_eq(&new.work.claimed) {
            self.watch_leases(&world);
        }
        let who = old.roster.agents.ptr_eq(&new.roster.agents)
            && old.roster.connections.ptr_eq(&new.roster.connections)
            && old.work.breakers.ptr_eq(&new.work.breakers);
        if !who {
            self.sweep_soon();
        }
        if !old.routines.runs.ptr_eq(&new.routines.runs) {
            self.routines_at = Some(Instant::now());
        }
        let changed: Vec<Arc<Mission>> = old
            .missions
            .diff(&new.missions)
            .filter_map(|change| match change {
                DiffItem::Add(_, mission) | DiffItem::Update { new: (_, mission), .. } => {
                    Some(Arc::clone(mission))
                }
                DiffItem::Remove(..) => None,
            })
            .collect();
        changed.iter().for_each(|mission| self.ask(&world, mission));
        let changed: Vec<Arc<Issue>> = old
            .issues
            .all
            .diff(&new.issues.all)
            .filter_map(|change| match change {
                DiffItem::Add(_, issue) | DiffItem::Update { new: (_, issue), .. } => Some(Arc::clone(issue)),
                DiffItem::Remove(..) => None,
            })
            .collect();
        changed.iter().for_each(|issue| self.ask(&world, issue));
    }

    fn watch_leases(&self, world: &WorkspaceWorld) {
        let claimed = world.state.work.claimed.iter();
        let held = claimed.filter_map(|id| {
            let found = world.state.work.assignments.get(id)?;
            Some((id, found.fence?, Duration::from_millis(found.lease_ms)))
        });
        self.desk.leases().keep(held);
    }

    /// Asks what is due for a mission, and wishes it.
    fn ask(&mut self, world: &WorkspaceWorld, mission: &Undertaking) {
        self.later.remove(&mission.id);
        let presence = self.desk.presence();
        let has_worker = |agent: &AgentId| presence.has_worker(agent, &world.state);
        let Due { commands, again_at } = world.state.due(mission, (self.clock)(), &has_worker);
        if let Some(at) = again_at {
            self.later.insert(mission.id.clone(), at);
        }
        for (cause, what, command) in commands {
            if self.under_way.len() >= UNDER_WAY_MAX {
                self.later.insert(mission.id.clone(), Time(0));
                return;
            }
            self.wish(name(&mission.id, cause, &what), command);
        }
    }

    /// Wishes a command, unless that is under way.
    fn wish(&mut self, name: Name, command: impl Into<Command>) {
        if !self.names.insert(name) {
            return;
        }
        let writer = self.writer.clone();
        let request = Some(Request { id: name, fingerprint: [0; 8] });
        let wish = Wish { command: command.into(), actor: Actor::Orchestrator, request };
        let task = self.under_way.spawn(async move {
            match writer.execute(wish).await {
                Ok(_) => Outcome::Done,
                Err(ExecuteError::Rejected(refused)) => {
                    // The world moved on while it waited: what is due then is asked then.
                    tracing::debug!(refused.code, "a command of the engine was refused");
                    Outcome::Done
                }
                Err(error) => {
                    tracing::warn!(%error, "a command of the engine is given again");
                    Outcome::TryAgain
                }
            }
        });
        self.named.insert(task.id(), name);
    }

    /// A command is done, or its task broke: either way it is under way no more, and may be wished again.
    fn note(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (task, outcome) = match ended {
            Ok((task, outcome)) => (task, outcome),
            Err(error) => {
                tracing::error!(%error, "a command of the engine panicked");
                (error.id(), Outcome::TryAgain)
            }
        };
        if let Some(name) = self.named.remove(&task) {
            self.names.remove(&name);
        }
        if let Outcome::TryAgain = outcome {
            self.sweep_at = self.sweep_at.min(Instant::now() + AGAIN);
        }
    }

    /// Workers that were silent too long lose what they have.
    fn lapse(&mut self) {
        let over = self.desk.leases().over();
        for (assignment, fence) in over {
            let name = digest(&format!("engine:lapse:{assignment}:{fence}"));
            self.wish(name, WorkCommand::Lapse { assignment, fence });
        }
    }

    /// Runs of routines whose time has come go on, and other servers are asked what their steps want to know:
    /// at least once, for after a crash nobody knows whether they were.
    fn wake_routines(&mut self) {
        if self.routines_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        // The newest world: what was reported a moment ago is not asked for again.
        let world = self.writer.world();
        let room = UNDER_WAY_MAX.saturating_sub(self.under_way.len());
        for (what, command) in world.state.routines_due((self.clock)()).into_iter().take(room) {
            self.wish(digest(&format!("engine:{what}")), command);
        }
        let routines = &world.state.routines;
        let fence = |id: &RoutineRunId| routines.runs.get(id)?.waiting.as_ref().map(|waiting| waiting.fence);
        self.fetched.retain(|(id, at)| routines.fetching.contains(id) && fence(id) == Some(*at));
        for id in &world.state.routines.fetching {
            let waiting = world.state.routines.runs.get(id).and_then(|run| run.waiting.as_ref());
            let Some(wait) = waiting.map(|waiting| (id.clone(), waiting.fence)) else { continue };
            if self.fetches.len() >= FETCHES_MAX {
                break;
            }
            if self.fetched.contains(&wait) {
                continue;
            }
            let Some(fetch) = world.state.fetch_of(id) else { continue };
            self.fetched.insert(wait.clone());
            let (reach, writer) = (self.reach, self.writer.clone());
            let task = self.fetches.spawn(async move {
                let outcome = reach.perform(&fetch).await;
                report(&writer, &fetch, outcome).await
            });
            self.asking.insert(task.id(), wait);
        }
        // What was wished now is done soon, or is to be wished again.
        let next = world.state.routines_due_at().map(|at| {
            let wait = Duration::from_millis(at.0.saturating_sub((self.clock)().0));
            Instant::now() + if wait.is_zero() { AGAIN } else { wait.min(SWEEP) }
        });
        self.routines_at = next;
    }

    /// There is room to ask for the next one. Whoever was asked before a task broke is not asked again: the
    /// run is told that nobody knows what became of it.
    fn note_fetch(&mut self, ended: Result<(Id, Told), JoinError>) {
        let (task, broke) = match ended {
            Ok((task, Told)) => (task, false),
            Err(error) => {
                tracing::error!(%error, "asking another server panicked");
                (error.id(), true)
            }
        };
        let wait = self.asking.remove(&task).filter(|_| broke);
        if let Some((run, fence)) = wait
            && let Some(fetch) = self.writer.world().state.fetch_of(&run).filter(|fetch| fetch.fence == fence)
        {
            let writer = self.writer.clone();
            let outcome = Fetched::Failed("asking the server broke off".to_owned());
            // Should that break as well, nothing is left to do but to ask again at the next start.
            self.fetches.spawn(async move { report(&writer, &fetch, outcome).await });
        }
        let soon = Instant::now() + SOON;
        self.routines_at = Some(self.routines_at.map_or(soon, |at| at.min(soon)));
    }

    fn sweep_soon(&mut self) {
        self.sweep_at = self.sweep_at.min(Instant::now() + SOON);
    }

    fn ask_those_whose_time_has_come(&mut self) {
        let world = Arc::clone(&self.asked);
        if self.sweep_at <= Instant::now() {
            self.sweep_at = Instant::now() + SWEEP;
            self.routines_at = Some(Instant::now());
            for status in [Status::InProgress, Status::Review] {
                let missions = world.board.missions(None, Some(status));
                let missions: Vec<_> = missions.filter_map(|id| world.state.missions.get(id)).collect();
                missions.into_iter().for_each(|mission| self.ask(&world, mission));
            }
            let issues = world.state.issues.working.iter();
            issues.filter_map(|id| world.state.undertaking(id)).for_each(|issue| self.ask(&world, issue));
            let now = (self.clock)();
            for (what, command) in world.state.lapsed(now).into_iter().take(UNDER_WAY_MAX) {
                self.wish(digest(&format!("engine:lapse:{what}")), command);
            }
            for (what, command) in world.state.recurring_due(now) {
                self.wish(digest(&format!("engine:{what}")), command);
            }
            return;
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            return;
        }
        let now = (self.clock)();
        let come: Vec<MissionId> =
            self.later.iter().filter(|(_, at)| **at <= now).map(|(id, _)| id.clone()).collect();
        for id in come {
            match world.state.undertaking(&id) {
                Some(mission) => self.ask(&world, mission),
                None => drop(self.later.remove(&id)),
            }
        }
    }

    /// When to look again if nothing happens.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let lease = self.desk.leases().next().map(|until| until.max(now + Duration::from_millis(1)));
        let is_full = self.under_way.len() >= UNDER_WAY_MAX;
        let later = self.later.values().min().filter(|_| !is_full).map(|at| {
            let wait = at.0.saturating_sub((self.clock)().0);
            now + Duration::from_millis(wait.max(1))
        });
        [lease, later, self.routines_at].into_iter().flatten().fold(self.sweep_at, Instant::min)
    }
}

/// What another server said was told, as far as it can be.
struct Told;

/// Tells what another server said, until it is heard: nobody is asked twice because a writer was busy. Where
/// the answer leads to what cannot be written down, the step has failed.
async fn report(writer: &Writer<WorkspaceWorld>, fetch: &Fetch, mut outcome: Fetched) -> Told {
    let (run, fence) = (&fetch.run, fetch.fence);
    let name = digest(&format!("engine:routine_http:{run}:{fence}"));
    loop {
        let (run, step) = (run.clone(), fetch.step.clone());
        let command = RoutineCommand::StepDone { run, step, fence, outcome: outcome.clone() }.into();
        let request = Some(Request { id: name, fingerprint: [0; 8] });
        let wish = Wish { command, actor: Actor::Orchestrator, request };
        match writer.execute(wish).await {
            Ok(_) | Err(ExecuteError::Rejected(_) | ExecuteError::KeyReused | ExecuteError::Unavailable) => {
                return Told;
            }
            Err(error @ (ExecuteError::TooLarge | ExecuteError::Panicked)) => {
                tracing::error!(%error, "what another server said could not be noted");
                if matches!(outcome, Fetched::Failed(_)) {
                    return Told;
                }
                let why = "what the answer leads to could not be written down";
                outcome = Fetched::Failed(why.to_owned());
            }
            Err(error @ (ExecuteError::Busy | ExecuteError::Full)) => {
                tracing::warn!(%error, "what another server said is told again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// `engine:<mission>:<cause offset>:<what>`: the same cause asks for the same thing once.
fn name(mission: &MissionId, cause: Offset, what: &str) -> Name {
    digest(&format!("engine:{mission}:{cause}:{what}"))
}

fn digest(text: &str) -> Name {
    let mut name = [0; 16];
    name.copy_from_slice(&Sha256::digest(text)[..16]);
    name
}
