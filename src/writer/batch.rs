//! What a writer has decided and not yet answered.

use std::collections::HashSet;
use std::future::poll_fn;
use std::task::{Context, Poll};

use std::sync::Arc;
use taffrail_domain::{Entry, Event, MissionId, Offset, Text};
use taffrail_journal::{AppendError, BATCH_BYTES_MAX, BATCH_FRAMES_MAX, BoxFuture, Recorded, Unsealed};
use taffrail_projections::World;

use super::{Asked, ExecuteError, Executed, Reply};

/// Past one of these no further command joins a batch: larger groups are no cheaper per entry.
const MERGE_ENTRIES_MAX: usize = 240;
const MERGE_BYTES_MAX: usize = 100 << 10;

/// What was decided about a wish.
pub(super) enum Verdict<W> {
    /// It makes these entries, none if nothing has to change. Its answer is given the world of its batch,
    /// or this one: what joins the batch later and is about the same must be no part of it.
    Made(Vec<Entry>, Option<Arc<W>>),
    /// It was executed before, or is under way.
    Recorded(Recorded),
}

/// A decided wish, held until the head it was decided on is published.
pub(super) struct Held<W: World> {
    pub(super) asked: Asked<W>,
    pub(super) verdict: Result<Verdict<W>, ExecuteError>,
}

impl<W: World> Held<W> {
    /// Answers, once all that it was decided on is published.
    pub(super) fn answer(self, published: &Arc<W>) {
        let reply = self.verdict.map(|verdict| match verdict {
            Verdict::Made(entries, world) => {
                let world = world.unwrap_or_else(|| Arc::clone(published));
                Reply::Executed(Executed { world, entries, replayed: false })
            }
            Verdict::Recorded(recorded) => Reply::Recorded(recorded),
        });
        self.asked.answer(reply);
    }

    /// The entries it makes.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.verdict {
            Ok(Verdict::Made(entries, _)) => entries,
            Ok(Verdict::Recorded(_)) | Err(_) => &[],
        }
    }
}

/// Frames that are appended together, and the wishes that wait for them.
pub(super) struct Batch<W: World> {
    /// The head it was decided on.
    pub(super) expected: Offset,
    /// What is appended.
    pub(super) frames: Vec<Unsealed>,
    /// Sealed size of the frames.
    bytes: usize,
    /// Who waits for it.
    pub(super) held: Vec<Held<W>>,
    /// What the answers that wait for its world are about.
    subjects: HashSet<Text>,
    /// The world behind its last entry, once it takes no more.
    pub(super) world: Option<W>,
}

impl<W: World> Batch<W> {
    pub(super) fn new(expected: Offset, frames: Vec<Unsealed>, bytes: usize) -> Self {
        Self { expected, frames, bytes, held: vec![], subjects: HashSet::new(), world: None }
    }

    /// Whether an answer that waits for this batch's world would show what these entries change. Cloning a
    /// world costs nothing; folding on beside a clone copies every node that is touched, and most
    /// commands of a batch are about different things.
    pub(super) fn shows(&self, entries: &[Entry]) -> bool {
        let is_roster = |entry: &Entry| matches!(entry.event, Some(Event::Roster(_)));
        entries.iter().any(|entry| {
            // Crews and agents are shown with everything.
            is_roster(entry) || subjects_of(entry).any(|subject| self.subjects.contains(subject))
        }) && !self.subjects.is_empty()
    }

    /// The answers so far are given this world.
    pub(super) fn keep(&mut self, world: &Arc<W>) {
        for held in &mut self.held {
            if let Ok(Verdict::Made(_, kept @ None)) = &mut held.verdict {
                *kept = Some(Arc::clone(world));
            }
        }
        self.subjects.clear();
    }

    /// Notes what a further answer is about.
    pub(super) fn note(&mut self, entries: &[Entry]) {
        self.subjects.extend(entries.iter().flat_map(subjects_of).map(Text::from));
    }

    /// Whether `frames` of these `bytes` may join: one command's frames are never split.
    pub(super) fn fits(&self, frames: usize, bytes: usize) -> bool {
        self.world.is_none()
            && self.frames.len() + frames <= BATCH_FRAMES_MAX
            && self.bytes + bytes <= BATCH_BYTES_MAX
    }

    pub(super) fn push(&mut self, frames: Vec<Unsealed>, bytes: usize) {
        self.frames.extend(frames);
        self.bytes += bytes;
    }

    /// Whether no further command joins.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= MERGE_ENTRIES_MAX || self.bytes >= MERGE_BYTES_MAX
    }

    /// Nobody gets what was decided.
    pub(super) fn refuse(self, error: &ExecuteError) {
        self.held.into_iter().for_each(|held| held.asked.answer(Err(error.clone())));
    }
}

/// What an entry is about: its subject, and the mission that the subject belongs to.
fn subjects_of(entry: &Entry) -> impl Iterator<Item = &str> {
    let mission = entry.face.as_ref().and_then(|face| face.mission_id.as_ref());
    std::iter::once(&*entry.subject).chain(mission.map(MissionId::as_str))
}

/// A batch that is with the journal.
pub(super) struct Flight<'j, W: World> {
    pub(super) batch: Batch<W>,
    pub(super) outcome: Outcome<'j>,
}

/// An append under way, or what became of it.
pub(super) enum Outcome<'j> {
    /// The journal has it.
    Pending(BoxFuture<'j, Result<u64, AppendError>>),
    /// It has answered.
    Known(Result<u64, AppendError>),
}

impl<'j> Outcome<'j> {
    /// Hands the append over: a future does nothing before it is polled, and batches must arrive in order.
    pub(super) async fn begin(mut append: BoxFuture<'j, Result<u64, AppendError>>) -> Self {
        match poll_fn(|context| Poll::Ready(append.as_mut().poll(context))).await {
            Poll::Ready(outcome) => Self::Known(outcome),
            Poll::Pending => Self::Pending(append),
        }
    }

    /// The outcome, once it is there.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<u64, AppendError>> {
        match self {
            Self::Pending(append) => append.as_mut().poll(context),
            Self::Known(outcome) => Poll::Ready(outcome.clone()),
        }
    }

    /// Waits for the outcome.
    pub(super) async fn wait(mut self) -> Result<u64, AppendError> {
        poll_fn(|context| self.poll(context)).await
    }
}
