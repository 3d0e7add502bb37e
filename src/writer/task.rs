//! The task behind a writer: takes what waits, decides, hands over, publishes, answers.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use taffrail_domain::{Context, Draft, Entry, LogTag, Time};
use taffrail_journal::{
    AppendError, BATCH_BYTES_MAX, BATCH_FRAMES_MAX, FRAME_BYTES_MAX, Journal, LogId, Recorded, Request,
    Unsealed,
};
use taffrail_projections::World;
use tokio::sync::{mpsc, oneshot, watch};

use super::batch::{Batch, Flight, Held, Outcome, Verdict};
use super::{Alarm, Asked, Clock, ExecuteError, Wish, Witness};
use crate::mint::FreshIds;
use crate::stored;

/// While one batch is being synced the next one waits behind it: a slow sync costs no idle time.
const IN_FLIGHT_MAX: usize = 2;
/// What sealing adds to body and names at most: prefix, fixed fields, request, hashes, checksum.
const FRAME_FIXED_BYTES: usize = 256;

/// All that one log's writer has; `'j` is how long it may talk to the journal.
pub(super) struct Task<'j, W: World> {
    pub(super) log: LogTag,
    pub(super) journal: &'j dyn Journal,
    pub(super) clock: Clock,
    pub(super) alarm: Alarm,
    pub(super) queue: mpsc::Receiver<Asked<W>>,
    pub(super) publish: watch::Sender<Arc<W>>,
    /// Sees what is published before anybody else does.
    pub(super) witness: Witness<W>,
    /// The world with everything decided; seen by nobody.
    pub(super) ahead: W,
    /// Decided, not yet with the journal. Each batch has frames; only the last may still take more.
    pub(super) open: VecDeque<Batch<W>>,
    /// With the journal, oldest first.
    pub(super) in_flight: VecDeque<Flight<'j, W>>,
    /// Named requests of all those batches.
    pub(super) underway: HashMap<[u8; 16], Recorded>,
    /// Set once the outcome of an append is unknown: nothing is decided any more.
    pub(super) poisoned: bool,
}

/// What a command makes, before it is folded.
struct Drafted {
    time: Time,
    drafts: Vec<Draft>,
    frames: Vec<Unsealed>,
    bytes: usize,
}

impl<W: World> Task<'_, W> {
    /// Works until it is stopped (or all handles are gone) and everything asked before is answered.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let (mut stopping, mut drained) = (false, false);
        while !(drained && self.in_flight.is_empty()) {
            tokio::select! {
                biased;
                outcome = landed(&mut self.in_flight), if !self.in_flight.is_empty() => {
                    self.settle(outcome).await;
                }
                _ = &mut stop, if !stopping => {
                    stopping = true;
                    self.queue.close();
                }
                asked = self.queue.recv(), if !drained && self.may_decide() => match asked {
                    Some(asked) => self.take(asked),
                    None => drained = true,
                },
            }
            self.hand_over().await;
        }
    }

    /// Whether a further wish may be decided before a batch lands.
    fn may_decide(&self) -> bool {
        self.open.len() <= 1 && self.open.back().is_none_or(|batch| !batch.is_full())
    }

    /// Decides a wish and what waits behind it, as far as a batch takes it.
    fn take(&mut self, asked: Asked<W>) {
        // Asked once: the journal keeps back far more room than a batch takes.
        let has_room = self.journal.has_room();
        self.decide(asked, has_room);
        while self.may_decide()
            && let Ok(asked) = self.queue.try_recv()
        {
            self.decide(asked, has_room);
        }
    }

    /// Decides a wish; its answer waits for the last thing decided before it.
    fn decide(&mut self, asked: Asked<W>, has_room: bool) {
        let verdict = self.judge(&asked.wish, has_room);
        let held = Held { asked, verdict };
        let last = self.open.back_mut().or_else(|| self.in_flight.back_mut().map(|flight| &mut flight.batch));
        match last {
            Some(batch) => batch.held.push(held),
            None => held.answer(&self.published()),
        }
    }

    fn judge(&mut self, wish: &Wish<W::Command>, has_room: bool) -> Result<Verdict<W>, ExecuteError> {
        if self.poisoned {
            return Err(ExecuteError::Unavailable);
        }
        if let Some(recorded) = wish.request.and_then(|request| self.recorded(&request)) {
            return Ok(Verdict::Recorded(recorded));
        }
        if !has_room {
            // A poisoned journal has no room either, and that is another answer.
            let poisoned = self.journal.health().poisoned.is_some();
            return Err(if poisoned { ExecuteError::Unavailable } else { ExecuteError::Full });
        }
        let drafted = catch_unwind(AssertUnwindSafe(|| self.draft(wish))).unwrap_or_else(|_| {
            tracing::error!(log = self.log.0, "a decider panicked");
            Err(ExecuteError::Panicked)
        })?;
        if drafted.drafts.is_empty() {
            return Ok(Verdict::Made(vec![], Some(Arc::new(self.ahead.clone()))));
        }
        Ok(Verdict::Made(self.fold(drafted, wish)?, None))
    }

    /// What a named request made: under way here, or in the journal since `execute` looked.
    fn recorded(&self, request: &Request) -> Option<Recorded> {
        let underway = self.underway.get(&request.id).copied();
        underway.or_else(|| self.journal.recorded_recently(LogId(self.log.0), request.id))
    }

    fn draft(&self, wish: &Wish<W::Command>) -> Result<Drafted, ExecuteError> {
        let time = (self.clock)().max(self.ahead.time());
        let context = Context {
            now: time,
            actor: &wish.actor,
            log: self.log,
            next: self.ahead.head().plus(1),
            mint: &FreshIds,
        };
        let drafts = self.ahead.decide(&wish.command, &context).map_err(ExecuteError::Rejected)?;
        if drafts.len() > BATCH_FRAMES_MAX {
            return Err(ExecuteError::TooLarge);
        }
        let mut frames = Vec::with_capacity(drafts.len());
        let mut bytes = 0;
        for draft in &drafts {
            let frame = stored::unsealed(draft, time, &wish.actor, wish.request).map_err(|error| {
                tracing::error!(log = self.log.0, %error, "an event could not be encoded");
                ExecuteError::Panicked
            })?;
            let sealed = sealed_bytes(&frame);
            bytes += sealed;
            if sealed > FRAME_BYTES_MAX || bytes > BATCH_BYTES_MAX {
                return Err(ExecuteError::TooLarge);
            }
            frames.push(frame);
        }
        Ok(Drafted { time, drafts, frames, bytes })
    }

    /// Folds what a command makes into `ahead` and puts its frames into the last open batch.
    fn fold(&mut self, drafted: Drafted, wish: &Wish<W::Command>) -> Result<Vec<Entry>, ExecuteError> {
        let Drafted { time, drafts, frames, bytes } = drafted;
        self.close_unless_it_fits(frames.len(), bytes);
        let expected = self.ahead.head();
        let entries: Vec<Entry> = (1..)
            .zip(drafts)
            .map(|(count, draft)| draft.at(expected.plus(count), time, wish.actor.clone()))
            .collect();
        if let Some(batch) =
            self.open.back_mut().filter(|batch| batch.world.is_none() && batch.shows(&entries))
        {
            batch.keep(&Arc::new(self.ahead.clone()));
        }
        let ahead = &mut self.ahead;
        let folded = catch_unwind(AssertUnwindSafe(|| entries.iter().for_each(|entry| ahead.apply(entry))));
        if folded.is_err() {
            tracing::error!(log = self.log.0, "a fold panicked");
            self.ahead = self.refolded();
            return Err(ExecuteError::Panicked);
        }
        if let Some(Request { id, fingerprint }) = wish.request {
            let (first, last) = (expected.plus(1).0, self.ahead.head().0);
            self.underway.insert(id, Recorded { fingerprint, first, last });
        }
        match self.open.back_mut().filter(|batch| batch.world.is_none()) {
            Some(batch) => batch.push(frames, bytes),
            None => self.open.push_back(Batch::new(expected, frames, bytes)),
        }
        self.open.back_mut().into_iter().for_each(|batch| batch.note(&entries));
        Ok(entries)
    }

    /// The world with everything decided, folded anew: what panicked may have left half of itself.
    fn refolded(&self) -> W {
        let mut world = W::clone(&self.published());
        let batches = self.in_flight.iter().map(|flight| &flight.batch).chain(&self.open);
        let entries = batches.flat_map(|batch| &batch.held).flat_map(Held::entries);
        entries.for_each(|entry| world.apply(entry));
        world
    }

    fn close_unless_it_fits(&mut self, frames: usize, bytes: usize) {
        if let Some(batch) = self.open.back_mut().filter(|batch| !batch.fits(frames, bytes)) {
            batch.world.get_or_insert_with(|| self.ahead.clone());
        }
    }

    /// Gives the journal what is decided, as far as it may.
    async fn hand_over(&mut self) {
        while self.in_flight.len() < IN_FLIGHT_MAX
            && let Some(mut batch) = self.open.pop_front()
        {
            batch.world.get_or_insert_with(|| self.ahead.clone());
            let frames = std::mem::take(&mut batch.frames);
            let append = self.journal.append(LogId(self.log.0), batch.expected.0, frames);
            self.in_flight.push_back(Flight { batch, outcome: Outcome::begin(append).await });
        }
    }

    /// The oldest batch has its outcome.
    async fn settle(&mut self, outcome: Result<u64, AppendError>) {
        let Some(Flight { batch, .. }) = self.in_flight.pop_front() else { return };
        match outcome {
            Ok(_) => self.land(batch),
            Err(AppendError::Full) => self.fall_back(batch, &ExecuteError::Full).await,
            Err(AppendError::TooLarge(_)) => self.fall_back(batch, &ExecuteError::TooLarge).await,
            Err(AppendError::Poisoned(why)) => {
                self.poison(why);
                self.fall_back(batch, &ExecuteError::Unavailable).await;
            }
            // Nobody else appends to this log, and nothing before it was refused: a bug.
            Err(error @ AppendError::Conflict { .. }) => {
                self.poison(error.to_string());
                self.fall_back(batch, &ExecuteError::Unavailable).await;
            }
        }
    }

    /// Durable: publish, then answer.
    fn land(&mut self, batch: Batch<W>) {
        let Batch { held, world, .. } = batch;
        for request in
            held.iter().filter(|held| !held.entries().is_empty()).filter_map(|held| held.asked.wish.request)
        {
            self.underway.remove(&request.id);
        }
        if let Some(world) = world {
            (self.witness)(&world);
            self.publish.send_replace(Arc::new(world));
        }
        let published = self.published();
        held.into_iter().for_each(|held| held.answer(&published));
    }

    /// A batch was refused: what was decided after it was decided on a world that never came to be.
    async fn fall_back(&mut self, batch: Batch<W>, error: &ExecuteError) {
        batch.refuse(error);
        let mut again: Vec<Asked<W>> = vec![];
        while let Some(Flight { batch, outcome }) = self.in_flight.pop_front() {
            match outcome.wait().await {
                Err(AppendError::Conflict { .. }) => {
                    again.extend(batch.held.into_iter().map(|held| held.asked))
                }
                Err(AppendError::Full) => batch.refuse(&ExecuteError::Full),
                Err(AppendError::TooLarge(_)) => batch.refuse(&ExecuteError::TooLarge),
                Err(AppendError::Poisoned(why)) => {
                    self.poison(why);
                    batch.refuse(&ExecuteError::Unavailable);
                }
                Ok(head) => {
                    self.poison(format!("a batch was appended at {head} behind one that was refused"));
                    batch.refuse(&ExecuteError::Unavailable);
                }
            }
        }
        again.extend(self.open.drain(..).flat_map(|batch| batch.held).map(|held| held.asked));
        self.underway.clear();
        self.ahead = W::clone(&self.published());
        let has_room = self.journal.has_room();
        again.into_iter().for_each(|asked| self.decide(asked, has_room));
    }

    /// Nobody knows what is in the journal, or it is not what we think: the process must end.
    fn poison(&mut self, why: String) {
        tracing::error!(log = self.log.0, why, "the writer stops: the journal cannot be trusted");
        self.poisoned = true;
        self.alarm.raise(why);
    }

    fn published(&self) -> Arc<W> {
        Arc::clone(&self.publish.borrow())
    }
}

/// The outcome of the oldest batch.
async fn landed<W: World>(in_flight: &mut VecDeque<Flight<'_, W>>) -> Result<u64, AppendError> {
    poll_fn(|context| match in_flight.front_mut() {
        Some(flight) => flight.outcome.poll(context),
        None => std::task::Poll::Pending,
    })
    .await
}

fn sealed_bytes(frame: &Unsealed) -> usize {
    FRAME_FIXED_BYTES + frame.kind.len() + frame.subject.len() + frame.actor.len() + frame.body.len()
}
