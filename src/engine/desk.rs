//! Where workers come: they ask for work, are heard of, tell what they do and what came out
//! (`platform.md` 8.4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taffrail_domain::work::{Assignment, Brief, Claim, Note, Report, WorkCommand};
use taffrail_domain::{Actor, AgentId, AssignmentId, Offset, Rejection, RunId};
use taffrail_projections::WorkspaceWorld;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::lease::{LEASE_DEFAULT, LEASE_MAX, LEASE_MIN, Leases};
use super::presence::Presence;
use crate::writer::{ExecuteError, Executed, Wish, Writer};

/// One workspace's desk.
pub struct Desk {
    writer: Writer<WorkspaceWorld>,
    presence: Presence,
    leases: Mutex<Leases>,
    /// Somebody new is there, or a lease has moved.
    pub(super) news: Notify,
}

/// Work that a worker was given.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// What.
    pub assignment: Arc<Assignment>,
    /// The run that began.
    pub run: RunId,
    /// What every further word about it must carry.
    pub fence: Offset,
    /// What its agent is told.
    pub brief: Brief,
    /// How long the worker may be silent.
    pub lease: Duration,
    /// How long the agent may take, seconds.
    pub timeout_seconds: i64,
}

/// The answer to a sign of life.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// How long the worker may be silent from now on.
    pub lease: Duration,
}

/// Why a worker is not heard.
pub type DeskError = ExecuteError;

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk(…)")
    }
}

impl Desk {
    pub(super) fn new(writer: Writer<WorkspaceWorld>) -> Self {
        Self { writer, presence: Presence::default(), leases: Mutex::default(), news: Notify::new() }
    }

    /// Gives a worker the oldest work that it takes, or waits for some until `wait` is over.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn claim(
        &self,
        claim: Claim,
        lease: Option<Duration>,
        wait: Duration,
    ) -> Result<Option<Claimed>, DeskError> {
        let until = Instant::now() + wait;
        let lease = bounded(lease);
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let claim = Claim { lease_ms, ..claim };
        let mut published = self.writer.watch();
        loop {
            if self.presence.note(&claim) {
                self.news.notify_one();
            }
            let world = Arc::clone(&published.borrow_and_update());
            if world.state.claimable(&claim).is_some() {
                if let Some(done) = self.claim_whole(&claim).await?
                    && let Some(claimed) = self.claimed(&done, lease)
                {
                    return Ok(Some(claimed));
                }
                continue; // Somebody else was faster.
            }
            match timeout_at(until, published.changed()).await {
                Ok(Ok(())) => {}
                // The time is over, or the writer is gone.
                Ok(Err(_)) | Err(_) => return Ok(None),
            }
        }
    }

    /// Claims to the end, even if the worker hangs up meanwhile: what it never heard of is handed back.
    async fn claim_whole(&self, claim: &Claim) -> Result<Option<Executed<WorkspaceWorld>>, DeskError> {
        let (answer, answered) = oneshot::channel();
        let writer = self.writer.clone();
        let command = WorkCommand::Claim(claim.clone());
        tokio::spawn(async move {
            let wish = Wish { command: command.into(), actor: Actor::Orchestrator, request: None };
            let done = writer.execute(wish).await;
            // Where nobody takes it, it is dropped here, and the work goes back.
            drop(answer.send(done.map(|done| Unheard { writer, done: Some(done) })));
        });
        let mut unheard = answered.await.map_err(|_| ExecuteError::Unavailable)??;
        Ok(unheard.done.take().filter(|done| !done.entries.is_empty()))
    }

    /// A worker is there, though it asks for nothing just now.
    pub fn announce(&self, claim: &Claim) {
        if self.presence.note(claim) {
            self.news.notify_one();
        }
    }

    fn claimed(&self, done: &Executed<WorkspaceWorld>, lease: Duration) -> Option<Claimed> {
        let entry = done.entries.first()?;
        let state = &done.world.state;
        let assignment = state.work.assignments.get(&*entry.subject)?;
        let agent = state.roster.live_agent(assignment.facts.assigned_to.as_str())?;
        self.leases().extend(&assignment.id, entry.offset, lease);
        self.news.notify_one();
        Some(Claimed {
            run: assignment.run_id.clone()?,
            fence: entry.offset,
            brief: state.brief(assignment)?,
            lease,
            timeout_seconds: agent.facts.timeout_seconds,
            assignment: Arc::clone(assignment),
        })
    }

    /// A worker is still there.
    ///
    /// # Errors
    /// 409 once its claim is lost: it stops working.
    pub fn beat(&self, id: &AssignmentId, fence: Offset, lease: Option<Duration>) -> Result<Beat, Rejection> {
        let world = self.writer.world();
        world.state.require_claim(id, fence)?;
        let lease = bounded(lease);
        self.leases().extend(id, fence, lease);
        Ok(Beat { lease })
    }

    /// A worker tells what it does.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn note(&self, id: &AssignmentId, fence: Offset, notes: Vec<Note>) -> Result<(), DeskError> {
        let command = WorkCommand::Note { assignment: id.clone(), fence, notes };
        self.execute(command, Actor::Orchestrator).await.map(drop)
    }

    /// A worker tells what came out.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn report(
        &self,
        id: &AssignmentId,
        fence: Offset,
        report: Report,
    ) -> Result<Executed<WorkspaceWorld>, DeskError> {
        let command = WorkCommand::Report { assignment: id.clone(), fence, report: report.into() };
        self.execute(command, Actor::Orchestrator).await
    }

    /// A worker gives work back.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn hand_back(&self, id: &AssignmentId, fence: Offset) -> Result<(), DeskError> {
        let command = WorkCommand::HandBack { assignment: id.clone(), fence };
        self.execute(command, Actor::Orchestrator).await.map(drop)
    }

    /// Whether somebody would take an agent's work now.
    #[must_use]
    pub fn has_worker(&self, agent: &AgentId) -> bool {
        self.presence.has_worker(agent, &self.writer.world().state)
    }

    pub(super) fn presence(&self) -> &Presence {
        &self.presence
    }

    pub(super) fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn execute(
        &self,
        command: WorkCommand,
        actor: Actor,
    ) -> Result<Executed<WorkspaceWorld>, ExecuteError> {
        self.writer.execute(Wish { command: command.into(), actor, request: None }).await
    }
}

/// A claim that its worker has not heard of yet.
struct Unheard {
    writer: Writer<WorkspaceWorld>,
    done: Option<Executed<WorkspaceWorld>>,
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let Some(done) = self.done.take() else { return };
        // Without a runtime the work goes back when its lease is over.
        let (Some(entry), Ok(runtime)) = (done.entries.first(), Handle::try_current()) else { return };
        let (assignment, fence) = (AssignmentId::from(&*entry.subject), entry.offset);
        let writer = self.writer.clone();
        runtime.spawn(async move {
            let command = WorkCommand::HandBack { assignment, fence };
            let wish = Wish { command: command.into(), actor: Actor::Orchestrator, request: None };
            if let Err(error) = writer.execute(wish).await {
                tracing::debug!(%error, "work that nobody heard of goes back when its lease is over");
            }
        });
    }
}

fn bounded(lease: Option<Duration>) -> Duration {
    lease.map_or(LEASE_DEFAULT, |lease| lease.clamp(LEASE_MIN, LEASE_MAX))
}
