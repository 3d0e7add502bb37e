//! One task per log: decides wishes one after the other, appends what they make, publishes the world
//! and answers, in that order.
//!
//! Nothing is answered or shown before it is durable, and nothing is durable that was not folded
//! before: what a client hears of, it can read.

mod alarm;
mod batch;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use taffrail_domain::{Actor, Entry, LogTag, Offset, Rejection, Time};
use taffrail_journal::{Journal, LogId, Recorded, Request};
use taffrail_projections::World;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use alarm::Alarm;

use crate::stored;
use task::Task;

/// Wishes that may wait; behind them callers wait themselves.
const QUEUE_WISHES: usize = 256;

/// Longest time a wish waits for a place in the queue, and a reader for an offset.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// What every writer of one instance shares.
#[derive(Clone)]
pub struct Surroundings {
    /// Where entries go.
    pub journal: Arc<dyn Journal>,
    /// The wall clock.
    pub clock: Clock,
    /// Raised when the process must end.
    pub alarm: Alarm,
}

/// The task behind a [`Writer`]; whoever started it joins it.
pub struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Lets the task answer what was asked before, and waits for its end.
    pub async fn stop(self) {
        // A task that has ended by itself listens no more.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a writer ended badly");
        }
    }
}

/// Is shown each world just before it is published, on the writer's own task.
pub type Witness<W> = Box<dyn FnMut(&W) + Send>;

/// Starts the writer of one log on the world that the log says.
pub fn start<W: World>(world: W, surroundings: &Surroundings) -> (Writer<W>, Running) {
    start_witnessed(world, surroundings, Box::new(|_| {}))
}

/// As [`start`], with a witness.
pub fn start_witnessed<W: World>(
    world: W,
    surroundings: &Surroundings,
    witness: Witness<W>,
) -> (Writer<W>, Running) {
    let Surroundings { journal, clock, alarm } = surroundings.clone();
    let log = world.log();
    let (queue, asked) = mpsc::channel(QUEUE_WISHES);
    let (publish, published) = watch::channel(Arc::new(world.clone()));
    let (stop, stopped) = oneshot::channel();
    let writer = Writer { log, queue, published, journal: Arc::clone(&journal) };
    let task = tokio::spawn(async move {
        let _guard = AlarmAtPanic { alarm: alarm.clone(), log };
        let task = Task {
            log,
            journal: &*journal,
            clock,
            alarm,
            queue: asked,
            publish,
            witness,
            ahead: world,
            open: VecDeque::new(),
            in_flight: VecDeque::new(),
            underway: HashMap::new(),
            poisoned: false,
        };
        task.run(stopped).await;
    });
    (writer, Running { stop, task })
}

/// A writer that panics leaves its log without one: nobody may go on as if nothing had happened.
struct AlarmAtPanic {
    alarm: Alarm,
    log: LogTag,
}

impl Drop for AlarmAtPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.alarm.raise(format!("the writer of log {} panicked", self.log.0));
        }
    }
}

/// The way to one log's writer; cheap to clone.
#[derive(Clone)]
pub struct Writer<W: World> {
    log: LogTag,
    queue: mpsc::Sender<Asked<W>>,
    published: watch::Receiver<Arc<W>>,
    journal: Arc<dyn Journal>,
}

/// A command, who asks, and the name of the request if it has one.
#[derive(Clone, Debug)]
pub struct Wish<C> {
    /// What is wished.
    pub command: C,
    /// Who wishes it.
    pub actor: Actor,
    /// Names the wish, so that a repeat of it never acts twice.
    pub request: Option<Request>,
}

/// An accepted command.
#[derive(Clone, Debug)]
pub struct Executed<W> {
    /// The published world; it holds the entries.
    pub world: Arc<W>,
    /// What the command made: empty if nothing had to change, for a repeat those of the first time.
    pub entries: Vec<Entry>,
    /// Whether this is a repeat.
    pub replayed: bool,
}

/// Why a command was not executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The rules refuse it; nothing was written.
    #[error("{}", .0.detail)]
    Rejected(Rejection),
    /// The queue was full for too long, or the instance is draining; nothing was written.
    #[error("too many commands are waiting")]
    Busy,
    /// There is no room for new entries; nothing was written.
    #[error("no room on the disk")]
    Full,
    /// The request's name was used for another wish before.
    #[error("the request id was used for another request")]
    KeyReused,
    /// More than one frame or one batch may hold.
    #[error("too large for one batch")]
    TooLarge,
    /// The journal is poisoned or cannot be read: whether anything was written is unknown.
    #[error("the journal is out of service")]
    Unavailable,
    /// A decider or a fold panicked; nothing was written.
    #[error("the command could not be decided")]
    Panicked,
}

/// A wish in the queue and the way its answer goes.
struct Asked<W: World> {
    wish: Wish<W::Command>,
    reply: oneshot::Sender<Result<Reply<W>, ExecuteError>>,
}

impl<W: World> Asked<W> {
    fn answer(self, reply: Result<Reply<W>, ExecuteError>) {
        // A caller that went away has no use for the answer; what it wished was done all the same.
        let _ = self.reply.send(reply);
    }
}

/// What the task answers.
enum Reply<W> {
    /// Done now, or repeated while the first was under way.
    Executed(Executed<W>),
    /// Done before: the entries stand in the journal.
    Recorded(Recorded),
}

impl<W: World> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("log", &self.log).finish_non_exhaustive()
    }
}

impl<W: World> Writer<W> {
    /// The log it writes.
    #[must_use]
    pub fn log(&self) -> LogTag {
        self.log
    }

    /// The published world: durable and consistent.
    #[must_use]
    pub fn world(&self) -> Arc<W> {
        Arc::clone(&self.published.borrow())
    }

    /// Tells of each world as it is published.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<W>> {
        self.published.clone()
    }

    /// Waits, for about two seconds, until the published head reaches `offset`; `None` if it never does.
    pub async fn world_at(&self, offset: Offset) -> Option<Arc<W>> {
        let mut published = self.published.clone();
        let reached = published.wait_for(|world| world.head() >= offset);
        let world = tokio::time::timeout(PATIENCE, reached).await.ok()?.ok()?;
        Some(Arc::clone(&world))
    }

    /// Executes a wish; returns when its entries are durable and published.
    ///
    /// # Errors
    /// See [`ExecuteError`].
    pub async fn execute(&self, wish: Wish<W::Command>) -> Result<Executed<W>, ExecuteError> {
        let request = wish.request;
        if let Some(request) = request
            && let Some(recorded) = self.recorded(&request).await?
        {
            return self.repeat(&recorded, &request).await;
        }
        let (reply, answer) = oneshot::channel();
        self.queue.send_timeout(Asked { wish, reply }, PATIENCE).await.map_err(|_| ExecuteError::Busy)?;
        // Without an answer the task is gone, and what it had with the journal may be there or not.
        match (answer.await.map_err(|_| ExecuteError::Unavailable)??, request) {
            (Reply::Executed(executed), _) => Ok(executed),
            (Reply::Recorded(recorded), Some(request)) => self.repeat(&recorded, &request).await,
            (Reply::Recorded(_), None) => Err(ExecuteError::Unavailable),
        }
    }

    /// What a named request made before, however long ago.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be found out: the caller must not act then.
    pub async fn recorded(&self, request: &Request) -> Result<Option<Recorded>, ExecuteError> {
        self.journal.recorded(LogId(self.log.0), request.id).await.map_err(|error| {
            tracing::error!(log = self.log.0, %error, "a request could not be looked up");
            ExecuteError::Unavailable
        })
    }

    /// The entries of the first time, read back, with a world that holds them.
    async fn repeat(&self, recorded: &Recorded, request: &Request) -> Result<Executed<W>, ExecuteError> {
        if recorded.fingerprint != request.fingerprint {
            return Err(ExecuteError::KeyReused);
        }
        let world = self.world_at(Offset(recorded.last)).await.ok_or(ExecuteError::Unavailable)?;
        let offsets = (recorded.first..=recorded.last).collect();
        let frames = self.journal.read_at(LogId(self.log.0), offsets).await;
        let entries = frames.and_then(|frames| stored::entries(&frames)).map_err(|error| {
            tracing::error!(log = self.log.0, %error, "the entries of a repeated request could not be read");
            ExecuteError::Unavailable
        })?;
        Ok(Executed { world, entries, replayed: true })
    }
}
