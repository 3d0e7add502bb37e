//! Full-text search: one index per workspace over its journal and its issues.
//!
//! ```text
//! journal -> follower -> tail (in memory, at once) -> index (a commit a second, off the runtime)
//!                             \________ readers: both, for the head of the world they hold
//! ```
//! The index is a projection like any other: made of the journal alone, trusted by nobody, always safe to
//! delete. Anything odd about it is said, thrown away and made anew. It never holds up a writer, and a reader
//! is never answered for less than the world it looks at. It holds words of entries: whoever erases one deletes
//! the folder of its log, too.

mod follow;
mod grammar;
mod index;
mod near;
mod ranking;
mod reading;
mod snippet;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use taffrail_domain::{LogTag, MissionId, Offset};
use taffrail_journal::Journal;
use taffrail_projections::{WorkspaceWorld, World};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

pub use grammar::IssueQuery;
pub use ranking::Hit;
pub use words::{Phrase, folded};

use crate::writer::Writer;
use follow::Follower;
use index::{Mark, Place};
use reading::Reading;

/// How long a reader waits for an index that is being made.
const PATIENCE: Duration = Duration::from_secs(2);
/// A follower that is fewer entries behind is there in the blink of an eye, if the machine has time for it.
const NEAR_ENTRIES: u64 = 4_096;
/// How long a reader waits for it then.
const PATIENCE_NEAR: Duration = Duration::from_secs(10);

/// Searches at work at once: they take a core each, and others want one too.
const LOOKS_MAX: usize = 4;
static LOOKING: Semaphore = Semaphore::const_new(LOOKS_MAX);

/// Where the indexes of an instance live, and of which journal they are.
#[derive(Clone, Debug)]
pub struct Home {
    /// `None` keeps them in memory.
    folder: Option<std::path::PathBuf>,
    store: [u8; 16],
}

impl Home {
    /// Below a data directory, beside the journal with this id.
    #[must_use]
    pub fn on_disk(data: &Path, store: [u8; 16]) -> Self {
        Self { folder: Some(data.join("search")), store }
    }

    /// In memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { folder: None, store: [0; 16] }
    }

    fn place(&self, log: LogTag) -> Place {
        self.folder.as_ref().map_or(Place::Memory, |folder| Place::Folder(folder.join(log.0.to_string())))
    }
}

/// Why a search was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The index is being made anew and is not there yet.
    #[error("the index is being rebuilt")]
    Rebuilding,
    /// There is no index; why is in the log.
    #[error("there is no index")]
    Unavailable,
}

/// How far the follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reach {
    /// The last entry that is found.
    followed: Offset,
    is_available: bool,
}

/// One workspace's index, for its readers.
pub struct Search {
    reading: RwLock<Option<Reading>>,
    reach: watch::Sender<Reach>,
    /// Told when a reader found the index damaged.
    is_odd: Notify,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").field("reach", &*self.reach.borrow()).finish_non_exhaustive()
    }
}

/// The task that keeps an index; whoever started it joins it.
pub struct Following {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Following {
    /// Lets it end after the step it is at.
    pub async fn stop(self) {
        // A task that has ended by itself listens no more.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the follower of an index ended badly");
        }
    }
}

/// Starts to keep a workspace's index.
pub fn start(
    writer: &Writer<WorkspaceWorld>,
    journal: &Arc<dyn Journal>,
    home: &Home,
) -> (Arc<Search>, Following) {
    let search = Arc::new(Search {
        reading: RwLock::default(),
        reach: watch::Sender::new(Reach { followed: Offset(0), is_available: true }),
        is_odd: Notify::new(),
    });
    let follower = Follower {
        search: Arc::clone(&search),
        writer: writer.clone(),
        journal: Arc::clone(journal),
        place: home.place(writer.log()),
        nothing: Mark::nothing(home.store, writer.log().0),
    };
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(follower.run(stopped));
    (search, Following { stop, task })
}

impl Search {
    /// The entries behind `after` that hold a phrase in their summary or payload, ascending: all up to the
    /// head of this world, maybe some behind it.
    ///
    /// # Errors
    /// See [`SearchError`].
    pub async fn journal_matches(
        &self,
        world: &WorkspaceWorld,
        phrase: &Phrase,
        after: Offset,
    ) -> Result<Vec<Offset>, SearchError> {
        let reading = self.reading_at(world.head()).await?;
        let phrase = phrase.clone();
        self.off_the_runtime(move || reading.entries(&phrase, after)).await
    }

    /// The issues of this world that a query means, best first, at most `limit`.
    ///
    /// # Errors
    /// See [`SearchError`].
    pub async fn issues(
        &self,
        world: &Arc<WorkspaceWorld>,
        query: &IssueQuery,
        limit: usize,
    ) -> Result<Vec<Hit>, SearchError> {
        let reading = self.reading_at(world.head()).await?;
        let (world, query) = (Arc::clone(world), query.clone());
        self.off_the_runtime(move || reading.issues(&world, &query, limit)).await
    }

    /// Issues of this world whose identifier, title or description may hold `text` as a part, in any case and
    /// no order: the caller looks at each ([`folded`] both sides). `None` if all of them have to be looked at:
    /// there is no text, or no index.
    pub async fn substring_candidates(
        &self,
        world: &Arc<WorkspaceWorld>,
        text: &str,
    ) -> Option<Vec<MissionId>> {
        let reading = self.reading_at(world.head()).await.ok()?;
        let (world, text) = (Arc::clone(world), text.to_owned());
        self.off_the_runtime(move || reading.candidates(&world, &text)).await.ok()?
    }

    /// The last entry that is found.
    #[must_use]
    pub fn followed(&self) -> Offset {
        self.reach.borrow().followed
    }

    /// The index up to an offset at least.
    async fn reading_at(&self, head: Offset) -> Result<Reading, SearchError> {
        let mut reach = self.reach.subscribe();
        let is_near = head.0.saturating_sub(self.followed().0) < NEAR_ENTRIES;
        let reached = reach.wait_for(|reach| reach.followed >= head || !reach.is_available);
        let reached = timeout(if is_near { PATIENCE_NEAR } else { PATIENCE }, reached).await;
        // The sender lives as long as this does.
        let Ok(Ok(is_available)) = reached.map(|reach| reach.map(|reach| reach.is_available)) else {
            return Err(SearchError::Rebuilding);
        };
        let reading = self.reading.read().unwrap_or_else(PoisonError::into_inner).clone();
        reading.filter(|_| is_available).ok_or(SearchError::Unavailable)
    }

    /// Looks into the files of the index, a few at a time. If that fails, they may be odd, and the follower
    /// hears of it.
    async fn off_the_runtime<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> tantivy::Result<T> + Send + 'static,
    ) -> Result<T, SearchError> {
        // It is never closed. The turn ends with the work: whoever asked may be gone before that.
        let turn = LOOKING.acquire().await;
        let look = move || {
            let _turn = turn;
            look()
        };
        let why = match spawn_blocking(look).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(why, "an index could not be read; it is looked at, and made anew if it is damaged");
        self.is_odd.notify_one();
        Err(SearchError::Unavailable)
    }
}
