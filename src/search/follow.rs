//! The follower: reads on in the journal, keeps the tail, and commits it to the index now and then.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use imbl::{OrdMap, Vector};
use taffrail_domain::issue::IssueEvent;
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::{Entry, Event, MissionId, Offset};
use taffrail_journal::{Frame, Journal, LogId, ReadError};
use taffrail_projections::{WorkspaceWorld, World};
use tantivy::{IndexWriter, Searcher};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};

use super::index::{Index, IndexError, Mark, Place};
use super::reading::{Reading, Tailed, indexed_issues};
use super::words::{EntryWords, Splitter};
use super::{Reach, Search};
use crate::stored;
use crate::writer::Writer;

/// Frames that are read at once.
const PAGE_FRAMES: u32 = 512;
/// So many are taken apart where they are; more go off the runtime.
const FRAMES_AT_ONCE: usize = 16;
/// How long an entry stays out of the index at most, while there is time.
const COMMIT_AFTER: Duration = Duration::from_secs(1);
/// What the tail may hold before it is committed at once.
const TAIL_ENTRIES: usize = 20_000;
const TAIL_BYTES: usize = 8 << 20;
const TAIL_ISSUES: usize = 1_000;
/// Entries that the public does not see change nothing in the index; they are only read again after a start.
const INTERNAL_ENTRIES: u64 = 20_000;
/// Issues that go into a new index between two looks at whether to stop.
const SEED_ISSUES: usize = 2_000;
/// A writer that has nothing to write ends after that: its threads and memory are worth a new one.
const WRITER_IDLE: Duration = Duration::from_secs(10);
/// Between two tries to make an index.
const AGAIN: Duration = Duration::from_secs(10);

/// Indexes that are opened or written at a time, of all workspaces: the others' readers have their tails.
static AT_WORK: Semaphore = Semaphore::const_new(2);

pub(super) struct Follower {
    pub(super) search: Arc<Search>,
    pub(super) writer: Writer<WorkspaceWorld>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) place: Place,
    /// The mark of an index that nothing is in.
    pub(super) nothing: Mark,
}

/// Why a follower begins again.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// The index is odd: the next one is made anew.
    #[error("the index: {0}")]
    Index(#[from] IndexError),
    /// The journal was not read; the index is as good as it was.
    #[error("the journal: {0}")]
    Journal(#[from] ReadError),
    /// A step panicked.
    #[error("it panicked")]
    Panicked,
    /// A reader could not read the index, which may be damaged.
    #[error("a reader could not read it")]
    Odd,
}

impl From<tantivy::TantivyError> for Broken {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Index(error.into())
    }
}

/// Blocking work on files, in its turn.
async fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Broken> + Send + 'static,
) -> Result<T, Broken> {
    // It is never closed. The turn ends with the work, not with the wait for it.
    let turn = AT_WORK.acquire().await;
    let work = move || {
        let _turn = turn;
        work()
    };
    spawn_blocking(work).await.map_err(|_| Broken::Panicked)?
}

impl Follower {
    /// Keeps the index until it is told to stop, whatever happens to it.
    pub(super) async fn run(self, mut stop: oneshot::Receiver<()>) {
        let (mut anew, mut is_told) = (false, false);
        loop {
            let began = Instant::now();
            let Err(broken) = self.follow(anew, &mut stop).await else { return };
            let log = self.nothing.log;
            if is_told {
                tracing::debug!(log, error = %broken, "there is still no index");
            } else {
                tracing::error!(log, error = %broken, "search is out of service; it is tried again");
            }
            is_told = began.elapsed() < AGAIN;
            // What a reader could not read may be the query's fault: opening looks at every byte.
            anew = matches!(broken, Broken::Index(_) | Broken::Panicked);
            self.show(None, Reach { followed: Offset(0), is_available: false });
            if is_told {
                tokio::select! {
                    _ = &mut stop => return,
                    () = sleep(AGAIN) => {}
                }
            }
            self.search.reach.send_replace(Reach { followed: Offset(0), is_available: true });
        }
    }

    fn show(&self, reading: Option<Reading>, reach: Reach) {
        *self.search.reading.write().unwrap_or_else(PoisonError::into_inner) = reading;
        self.search.reach.send_replace(reach);
    }

    async fn follow(&self, anew: bool, stop: &mut oneshot::Receiver<()>) -> Result<(), Broken> {
        let Some((index, mark, seeded)) = self.begin(anew, stop).await? else { return Ok(()) };
        let searcher = {
            let index = index.clone();
            work(move || Ok(index.searcher()?)).await?
        };
        let reading = Reading {
            searcher,
            fields: index.fields,
            committed: mark.offset,
            tail: Vector::new(),
            touched: OrdMap::new(),
        };
        self.show(Some(reading), Reach { followed: mark.offset, is_available: true });
        let pace = Pace::new(self, index, mark, seeded);
        pace.keep(stop).await
    }

    /// An index to go on with, and up to where its issues are those of the world; `None` if told to stop.
    async fn begin(
        &self,
        anew: bool,
        stop: &mut oneshot::Receiver<()>,
    ) -> Result<Option<(Index, Mark, Offset)>, Broken> {
        let place = self.place.clone();
        let opened = work(move || if anew { Ok(None) } else { Ok(open(&place)) }).await?;
        if let Some((index, mark)) = opened
            && self.is_of_the_journal(&mark).await
        {
            let seeded = mark.offset;
            return Ok(Some((index, mark, seeded)));
        }
        let place = self.place.clone();
        let index = work(move || Ok(Index::create(&place)?)).await?;
        let world = self.writer.world();
        let ids: Vec<MissionId> = world.state.issues.all.keys().cloned().collect();
        if !ids.is_empty() {
            let mut writer = None;
            for ids in ids.chunks(SEED_ISSUES).map(<[MissionId]>::to_vec) {
                if stop.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
                    return Ok(None);
                }
                let batch = Batch {
                    index: index.clone(),
                    writer,
                    tail: Vector::new(),
                    issues: ids,
                    world: Arc::clone(&world),
                    sweep: false,
                };
                writer = Some(work(move || batch.put()).await?);
            }
            let (index, mark) = (index.clone(), self.nothing.clone());
            work(move || commit(&index, writer, &mark).map(drop)).await?;
        }
        Ok(Some((index, self.nothing.clone(), world.head())))
    }

    /// Whether the journal has the entry that an index says it ends with.
    async fn is_of_the_journal(&self, mark: &Mark) -> bool {
        let Mark { store, log, offset, chain, .. } = mark;
        if (*store, *log) != (self.nothing.store, self.nothing.log) || *offset > self.writer.world().head() {
            return false;
        }
        if offset.0 == 0 {
            return true;
        }
        let frames = self.journal.read_at(LogId(*log), vec![offset.0]).await;
        frames.is_ok_and(|frames| frames.first().is_some_and(|frame| frame.chain == *chain))
    }
}

/// The index that is there, if it can be used. Blocking.
fn open(place: &Place) -> Option<(Index, Mark)> {
    let opened = Index::open(place);
    if let Err(why) = &opened
        && *place != Place::Memory
    {
        tracing::info!(?place, %why, "an index is made anew");
    }
    opened.ok()
}

/// What goes into the index in one commit.
struct Batch {
    index: Index,
    writer: Option<IndexWriter>,
    tail: Vector<Arc<Tailed>>,
    issues: Vec<MissionId>,
    world: Arc<WorkspaceWorld>,
    /// Whether a crew is gone: its issues are named nowhere.
    sweep: bool,
}

impl Batch {
    /// Writes all of it, uncommitted. Blocking.
    fn put(self) -> Result<IndexWriter, Broken> {
        let writer = self.writer.map_or_else(|| self.index.writer(), Ok)?;
        for entry in &self.tail {
            self.index.add_entry(&writer, entry)?;
        }
        let mut splitter = Splitter::default();
        for id in &self.issues {
            self.index.put_issue(&writer, id, &self.world, &mut splitter)?;
        }
        if self.sweep {
            let all = &self.world.state.issues.all;
            let known = indexed_issues(&self.index.searcher()?)?;
            let gone = known.iter().filter(|id| !all.contains_key(*id));
            gone.for_each(|id| self.index.remove_issue(&writer, id.as_str()));
        }
        Ok(writer)
    }
}

/// Makes it durable. Blocking.
fn commit(
    index: &Index,
    writer: Option<IndexWriter>,
    mark: &Mark,
) -> Result<(IndexWriter, Searcher), Broken> {
    let mut writer = writer.map_or_else(|| index.writer(), Ok)?;
    let mut prepared = writer.prepare_commit()?;
    prepared
        .set_payload(&serde_json::to_string(mark).map_err(std::io::Error::from).map_err(IndexError::from)?);
    prepared.commit()?;
    Ok((writer, index.searcher()?))
}

type Committed = Result<(IndexWriter, Searcher, Mark), Broken>;

/// A follower on its way.
struct Pace<'a> {
    follower: &'a Follower,
    index: Index,
    /// All up to here is in the tail or in the index.
    mark: Mark,
    /// The last commit that readers see.
    committed: Offset,
    /// Issues are in the index as they were here.
    seeded: Offset,
    tail_bytes: usize,
    sweep: bool,
    committing: Option<JoinHandle<Committed>>,
    writer: Option<IndexWriter>,
    /// When to commit.
    commit_at: Option<Instant>,
    /// When to let the writer go.
    idle_at: Option<Instant>,
}

impl<'a> Pace<'a> {
    fn new(follower: &'a Follower, index: Index, mark: Mark, seeded: Offset) -> Self {
        Self {
            follower,
            index,
            committed: mark.offset,
            mark,
            seeded,
            tail_bytes: 0,
            sweep: false,
            committing: None,
            writer: None,
            commit_at: None,
            idle_at: None,
        }
    }

    async fn keep(mut self, stop: &mut oneshot::Receiver<()>) -> Result<(), Broken> {
        let kept = self.keep_on(stop).await;
        // Nothing is left to write behind the back of whoever goes on.
        if let Some(committing) = self.committing.take() {
            self.writer = committing.await.ok().and_then(Result::ok).map(|(writer, ..)| writer);
        }
        if let Some(writer) = self.writer.take() {
            spawn_blocking(move || drop(writer)).await.map_err(|_| Broken::Panicked)?;
        }
        kept
    }

    async fn keep_on(&mut self, stop: &mut oneshot::Receiver<()>) -> Result<(), Broken> {
        let mut published = self.follower.writer.watch();
        loop {
            let head = published.borrow_and_update().head();
            let is_behind = self.mark.offset < head;
            if is_behind && !self.is_full() {
                self.read_on(head).await?;
            }
            self.commit_if_due();
            let is_behind = self.mark.offset < head && !self.is_full();
            let wake = self.commit_at.or(self.idle_at).filter(|_| self.committing.is_none());
            tokio::select! {
                biased;
                _ = &mut *stop => return Ok(()),
                () = self.follower.search.is_odd.notified() => return Err(Broken::Odd),
                committed = ended(&mut self.committing) => self.note(committed)?,
                () = std::future::ready(()), if is_behind => {}
                changed = published.changed() => if changed.is_err() { return Ok(()) }, // The writer is gone.
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.woken().await?,
            }
        }
    }

    /// Reads one page, and shows it.
    async fn read_on(&mut self, head: Offset) -> Result<(), Broken> {
        let (log, at) = (LogId(self.mark.log), self.mark.offset.0);
        let mut frames = self.follower.journal.read(log, at, PAGE_FRAMES).await?;
        // Not before its world is published.
        frames.retain(|frame| frame.header.offset <= head.0);
        let Some(last) = frames.last() else { return Ok(()) };
        (self.mark.offset, self.mark.chain) = (Offset(last.header.offset), last.chain);
        let noted = if frames.len() <= FRAMES_AT_ONCE {
            Noted::of(&frames)?
        } else {
            spawn_blocking(move || Noted::of(&frames)).await.map_err(|_| Broken::Panicked)??
        };
        self.sweep |= noted.is_crew_gone;
        self.tail_bytes += noted.tail.iter().map(|entry| entry.words.bytes()).sum::<usize>();
        self.change(|reading, seeded| {
            reading.tail.extend(noted.tail.into_iter().map(Arc::new));
            let touched = noted.touched.into_iter().filter(|(_, offset)| *offset > seeded);
            reading.touched.extend(touched);
        });
        self.follower.search.reach.send_modify(|reach| reach.followed = self.mark.offset);
        Ok(())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Reading, Offset) -> T) -> Option<T> {
        let mut reading = self.follower.search.reading.write().unwrap_or_else(PoisonError::into_inner);
        reading.as_mut().map(|reading| change(reading, self.seeded))
    }

    /// What is not committed: public entries, and issues.
    fn uncommitted(&self) -> (usize, usize) {
        let reading = self.follower.search.reading.read().unwrap_or_else(PoisonError::into_inner);
        reading.as_ref().map(|reading| (reading.tail.len(), reading.touched.len())).unwrap_or_default()
    }

    /// Whether so much waits to be committed that nothing more is read.
    fn is_full(&self) -> bool {
        let (entries, issues) = self.uncommitted();
        entries >= 2 * TAIL_ENTRIES || self.tail_bytes >= 2 * TAIL_BYTES || issues >= 2 * TAIL_ISSUES
    }

    fn commit_if_due(&mut self) {
        let (entries, issues) = self.uncommitted();
        let is_much = entries >= TAIL_ENTRIES || self.tail_bytes >= TAIL_BYTES || issues >= TAIL_ISSUES;
        let is_long = self.mark.offset.0 - self.committed.0 >= INTERNAL_ENTRIES;
        if self.committing.is_some() {
            return;
        }
        if is_much || is_long {
            self.commit();
        } else if (entries > 0 || issues > 0) && self.commit_at.is_none() {
            self.commit_at = Some(Instant::now() + COMMIT_AFTER);
        }
    }

    /// The time for a commit has come, or, without anything to commit, for the writer to go.
    async fn woken(&mut self) -> Result<(), Broken> {
        if self.commit_at.take().is_some() {
            self.commit();
            return Ok(());
        }
        self.idle_at = None;
        // It waits for its threads; the next one wants the lock that this one has.
        let writer = self.writer.take();
        let let_go = move || {
            drop(writer);
            Ok(())
        };
        work(let_go).await
    }

    /// Commits what there is, while reading goes on.
    fn commit(&mut self) {
        // The last room is the journal's.
        if !self.follower.journal.has_room() {
            self.commit_at = Some(Instant::now() + AGAIN);
            return;
        }
        let Some((tail, issues)) =
            self.change(|reading, _| (reading.tail.clone(), reading.touched.keys().cloned().collect()))
        else {
            return;
        };
        (self.commit_at, self.idle_at) = (None, None);
        let sweep = std::mem::take(&mut self.sweep);
        let (index, mark, world) = (self.index.clone(), self.mark.clone(), self.follower.writer.world());
        let batch = Batch { index: index.clone(), writer: self.writer.take(), tail, issues, world, sweep };
        self.committing = Some(tokio::spawn(work(move || {
            let writer = batch.put()?;
            let (writer, searcher) = commit(&index, Some(writer), &mark)?;
            Ok((writer, searcher, mark))
        })));
    }

    /// A commit has ended: readers take it instead of their tail up to there.
    fn note(&mut self, committed: Committed) -> Result<(), Broken> {
        self.committing = None;
        let (writer, searcher, mark) = committed?;
        self.writer = Some(writer);
        self.committed = mark.offset;
        let gone = self.change(|reading, _| {
            let count = reading.tail.iter().take_while(|entry| entry.offset <= mark.offset).count();
            let rest = reading.tail.split_off(count);
            let gone = std::mem::replace(&mut reading.tail, rest);
            let touched = std::mem::take(&mut reading.touched);
            reading.touched = touched.into_iter().filter(|(_, offset)| *offset > mark.offset).collect();
            (reading.searcher, reading.committed) = (searcher, mark.offset);
            gone
        });
        let gone = gone.unwrap_or_default();
        self.tail_bytes -= gone.iter().map(|entry| entry.words.bytes()).sum::<usize>();
        self.idle_at = Some(Instant::now() + WRITER_IDLE);
        Ok(())
    }
}

/// Waits for a commit under way; for ever, if there is none. Dropping it loses nothing.
async fn ended(committing: &mut Option<JoinHandle<Committed>>) -> Committed {
    match committing {
        Some(committing) => committing.await.map_err(|_| Broken::Panicked)?,
        None => std::future::pending().await,
    }
}

/// What a page tells.
#[derive(Default)]
struct Noted {
    tail: Vec<Tailed>,
    touched: Vec<(MissionId, Offset)>,
    is_crew_gone: bool,
}

impl Noted {
    fn of(frames: &[Frame]) -> Result<Self, ReadError> {
        let mut noted = Self::default();
        let mut splitter = Splitter::default();
        // An erased frame has nothing to find.
        for frame in frames.iter().filter(|frame| frame.content.is_some()) {
            let entry = stored::readable(frame)?;
            if let Some(face) = &entry.face {
                noted.tail.push(Tailed { offset: entry.offset, words: EntryWords::of(face, &mut splitter) });
            }
            noted.touched.extend(touched(&entry).map(|issue| (issue, entry.offset)));
            noted.is_crew_gone |= matches!(entry.event, Some(Event::Roster(RosterEvent::CrewDeleted(_))));
        }
        Ok(noted)
    }
}

/// The issue whose text an entry changes.
fn touched(entry: &Entry) -> Option<MissionId> {
    let Some(Event::Issue(event)) = &entry.event else { return None };
    let is_text = match event {
        IssueEvent::IssueUpdated(updated) => updated.title.is_some() || updated.description.is_some(),
        IssueEvent::IssueCreated(_)
        | IssueEvent::IssueDeleted(_)
        | IssueEvent::Commented(_)
        | IssueEvent::CommentEdited(_)
        | IssueEvent::CommentDeleted(_) => true,
        IssueEvent::IssueNoted(_)
        | IssueEvent::Mentioned(_)
        | IssueEvent::Related(_)
        | IssueEvent::Unrelated(_)
        | IssueEvent::AttachmentAdded(_)
        | IssueEvent::AttachmentRemoved(_)
        | IssueEvent::IssuesDetached(_)
        | IssueEvent::IssuesPlaced(_)
        | IssueEvent::IssuesBulkUpdated(_) => false,
    };
    is_text.then(|| (&*entry.subject).into())
}
