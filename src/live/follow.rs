//! A subscriber's way through a log: from a cursor on, in order, without a gap.

use std::sync::Arc;

use taffrail_domain::Offset;
use taffrail_journal::ReadError;
use taffrail_projections::{Filter, Order, WorkspaceWorld};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::post::Post;
use super::tail::{PAGE, Tail};
use super::{Live, LogTag};
use crate::search::{Phrase, Search, SearchError};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With so many of the newest that match.
    Newest(usize),
    /// Behind this offset.
    After(Offset),
}

/// A subscriber: a cursor, and what it is about.
pub struct Follow {
    tail: Arc<Tail>,
    posted: watch::Receiver<Offset>,
    filter: Filter,
    /// What it must hold, and the index that knows who does.
    phrase: Option<(Phrase, Arc<Search>)>,
    /// All up to here was told, or does not match.
    cursor: Offset,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("log", &self.tail.log)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Follows a log; `None` if there is none such.
    ///
    /// # Errors
    /// If a phrase is asked for and there is no index.
    pub async fn follow(
        &self,
        log: LogTag,
        filter: Filter,
        phrase: Option<Phrase>,
        start: Start,
    ) -> Result<Option<Follow>, SearchError> {
        let (Some(tail), Some(search)) = (self.tail(log), self.app.search(log)) else { return Ok(None) };
        let phrase = phrase.map(|phrase| (phrase, search));
        let posted = tail.posted();
        // What is posted later is live; the world has all that was posted.
        let until = *posted.borrow();
        let world = tail.writer.world();
        // Asked although one that goes on asks again: who cannot be answered is told now.
        let from = if let Start::After(offset) = start { offset } else { Offset(0) };
        let within = holding(phrase.as_ref(), &world, from).await?;
        let cursor = match start {
            Start::After(offset) => offset,
            Start::Newest(count) => {
                let seed = Filter { before: Some(until.plus(1)), within, ..filter.clone() };
                let found = look(&world, move |world| {
                    world.timeline.select(&seed, Order::NewestFirst, count, &world.state)
                });
                let found = found.await;
                found.last().map_or(until, |oldest| Offset(oldest.0 - 1))
            }
        };
        Ok(Some(Follow { tail, posted, filter, phrase, cursor }))
    }
}

/// The entries behind a cursor that hold the phrase, if there is one.
async fn holding(
    phrase: Option<&(Phrase, Arc<Search>)>,
    world: &WorkspaceWorld,
    after: Offset,
) -> Result<Option<Vec<Offset>>, SearchError> {
    let Some((phrase, search)) = phrase else { return Ok(None) };
    search.journal_matches(world, phrase, after).await.map(Some)
}

impl Follow {
    /// Where it stands.
    #[must_use]
    pub fn cursor(&self) -> Offset {
        self.cursor
    }

    /// Waits until there may be something, and gives what there is, at most a page: nothing, if all that is
    /// new does not match. Dropping it while it waits loses nothing.
    ///
    /// # Errors
    /// If the journal does not give it back.
    pub(super) async fn next(&mut self) -> Result<Vec<Arc<Post>>, ReadError> {
        // The tail lives as long as this does, so the sender does.
        let waited = self.posted.wait_for(|posted| *posted > self.cursor).await;
        let until = waited.map_or(self.cursor, |posted| *posted);
        let is_behind = self.cursor.plus(1) < self.tail.first();
        let turn = if is_behind { self.tail.catch_ups.acquire().await.ok() } else { None };
        let world = self.tail.writer.world();
        let after = self.cursor.max(self.filter.after.unwrap_or_default());
        // Of what is new only the index's tail is asked.
        let within = holding(self.phrase.as_ref(), &world, after).await;
        let within = within.map_err(|error| ReadError::Unavailable(error.to_string()))?;
        let filter =
            Filter { after: Some(after), before: Some(until.plus(1)), within, ..self.filter.clone() };
        let select = move |world: &WorkspaceWorld| {
            world.timeline.select(&filter, Order::OldestFirst, PAGE, &world.state)
        };
        let found = if is_behind { look(&world, select).await } else { select(&world) };
        let posts = self.tail.posts(&world, &found).await?;
        drop(turn);
        // A full page may have a next one; otherwise nothing up to there is left.
        self.cursor = if found.len() == PAGE { found.last().copied().unwrap_or(until) } else { until };
        Ok(posts)
    }
}

/// Looks through many rows, off the runtime.
async fn look(
    world: &Arc<WorkspaceWorld>,
    look: impl FnOnce(&WorkspaceWorld) -> Vec<Offset> + Send + 'static,
) -> Vec<Offset> {
    let world = Arc::clone(world);
    spawn_blocking(move || look(&world)).await.unwrap_or_default()
}

/// A reader of all posts of a log, for sockets: their channels choose.
pub(super) struct Reader {
    pub(super) tail: Arc<Tail>,
    pub(super) posted: watch::Receiver<Offset>,
}

impl Reader {
    pub(super) fn of(live: &Live, log: LogTag) -> Option<Self> {
        let tail = live.tail(log)?;
        let posted = tail.posted();
        Some(Self { tail, posted })
    }

    /// The last offset that can be read.
    pub(super) fn head(&self) -> Offset {
        *self.posted.borrow()
    }

    /// One page behind a cursor, internal entries included.
    pub(super) async fn page(&self, cursor: Offset) -> Result<Vec<Arc<Post>>, ReadError> {
        let until = Offset(self.head().0.min(cursor.0 + PAGE as u64));
        let offsets: Vec<Offset> = (cursor.0 + 1..=until.0).map(Offset).collect();
        let is_behind = cursor.plus(1) < self.tail.first();
        let turn = if is_behind { self.tail.catch_ups.acquire().await.ok() } else { None };
        let world = self.tail.writer.world();
        let posts = self.tail.posts(&world, &offsets).await?;
        drop(turn);
        Ok(posts)
    }
}

impl Follow {
    /// The world that what was told can be read in.
    pub(super) fn world(&self) -> Arc<WorkspaceWorld> {
        self.tail.writer.world()
    }
}
