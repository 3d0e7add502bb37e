//! The journal in memory, with seeded faults: for tests of everything that stands on a journal.
//!
//! It seals, chains and orders exactly as the engine on a disk does. What is handed over becomes
//! durable a little later; a crash keeps only what was durable.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::watch;

use crate::prove::{Found, Proof, Prover};
use crate::seal::Sealer;
use crate::segment::check_batch;
use crate::{AppendError, BoxFuture, Frame, Health, Journal, LogId, Position, ReadError, Recorded, Unsealed};

/// What goes wrong, how often, and how long things take; the same seed does the same again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Decides everything.
    pub seed: u64,
    /// Of 1,000 batches, so many are refused with `Full`.
    pub full_per_mille: u32,
    /// Of 1,000 batches, so many are refused with `Conflict` although nobody was faster.
    pub conflict_per_mille: u32,
    /// Of 1,000 batches, so many poison the journal; whether they and what is under way become
    /// durable is decided by the seed, too.
    pub poison_per_mille: u32,
    /// A batch becomes durable after up to so many turns of other tasks.
    pub turns_max: u32,
}

/// A journal in memory.
pub struct MemoryJournal {
    state: Mutex<State>,
    faults: Faults,
}

#[derive(Default)]
struct Log {
    frames: Vec<Frame>,
    position: Position,
    /// Up to where it was proven.
    proven: Position,
    watch: watch::Sender<u64>,
}

/// Sealed, but not durable.
struct UnderWay {
    ticket: u64,
    log: LogId,
    frames: Vec<Frame>,
    head: Position,
}

struct State {
    logs: BTreeMap<LogId, Log>,
    requests: HashMap<(LogId, [u8; 16]), Recorded>,
    under_way: VecDeque<UnderWay>,
    assigned: HashMap<LogId, Position>,
    last_ticket: u64,
    /// Batches up to this ticket are durable, and that may be said.
    durable_ticket: u64,
    room: bool,
    sealer: Sealer,
    random: StdRng,
    poison: watch::Sender<Option<String>>,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryJournal {
    /// A journal without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::with_faults(Faults::default())
    }

    /// A journal with faults.
    #[must_use]
    pub fn with_faults(faults: Faults) -> Self {
        let mut random = StdRng::seed_from_u64(faults.seed);
        let mut nonces = [0; 32];
        random.fill_bytes(&mut nonces);
        let state = State {
            logs: BTreeMap::new(),
            requests: HashMap::new(),
            under_way: VecDeque::new(),
            assigned: HashMap::new(),
            last_ticket: 0,
            durable_ticket: 0,
            room: true,
            sealer: Sealer::seeded(nonces),
            random,
            poison: watch::Sender::new(None),
        };
        Self { state: Mutex::new(state), faults }
    }

    /// What another process finds after this one was killed: only what was durable. The faults go on
    /// with another seed.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut state = self.lock();
        state.under_way.clear();
        let after = Self::with_faults(Faults { seed: self.faults.seed.wrapping_add(1), ..self.faults });
        {
            let mut next = after.lock();
            for (log, held) in state.logs.iter().filter(|(_, held)| held.position.offset > 0) {
                let watch = watch::Sender::new(held.position.offset);
                let (frames, position) = (held.frames.clone(), held.position);
                let copy = Log { frames, position, proven: Position::default(), watch };
                next.logs.insert(*log, copy);
            }
            next.requests.clone_from(&state.requests);
        }
        drop(state.poison_now("the process was killed"));
        after
    }

    /// Every durable frame beyond `from`, log by log: what opening an engine on a disk hands to its sink.
    pub fn replay(&self, from: &HashMap<LogId, Position>, sink: &mut dyn FnMut(Frame)) {
        let state = self.lock();
        for (log, held) in &state.logs {
            let skip = from.get(log).map_or(0, |position| position.offset as usize);
            held.frames.iter().skip(skip).cloned().for_each(&mut *sink);
        }
    }

    /// Gives room or takes it away: without room, appends are refused with `Full`.
    pub fn set_room(&self, room: bool) {
        self.lock().room = room;
    }

    /// Poisons the journal, as a failed sync would; what is under way is lost.
    pub fn poison(&self, why: &str) {
        let mut state = self.lock();
        state.under_way.clear();
        drop(state.poison_now(why));
    }

    /// Hurts a log as somebody with a hand on the disk could: for tests of what a proof finds. Its head
    /// stays where it is, and nothing of it counts as proven any more.
    pub fn tamper(&self, log: LogId, change: impl FnOnce(&mut Vec<Frame>)) {
        let mut state = self.lock();
        let held = state.logs.entry(log).or_default();
        change(&mut held.frames);
        held.proven = Position::default();
    }

    /// Tells at once when the journal is poisoned, and why.
    #[must_use]
    pub fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.lock().poison.subscribe()
    }

    /// Walks over a copy, so that nobody waits.
    fn prove_now(&self, log: LogId, all: bool) -> Proof {
        let (head, proven, frames) = {
            let state = self.lock();
            let Some(held) = state.logs.get(&log) else { return Prover::new(Position::default()).finish(1) };
            let proven = if all { Position::default() } else { held.proven };
            let beyond = held.frames.iter().skip(proven.offset as usize).cloned();
            (held.position, proven, beyond.collect::<Vec<_>>())
        };
        let mut prover = Prover::new(head);
        prover.skip(&Position::default(), &proven);
        frames.iter().for_each(|frame| prover.take(Found::of_frame(frame)));
        let proof = prover.finish(proven.offset + 1);
        if proof.is_whole()
            && let Some(held) = self.lock().logs.get_mut(&log)
        {
            held.proven = head;
        }
        proof
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn position(&self, log: LogId) -> Position {
        self.logs.get(&log).map(|held| held.position).unwrap_or_default()
    }

    fn poison_now(&mut self, why: &str) -> AppendError {
        self.poison.send_replace(Some(why.to_owned()));
        AppendError::Poisoned(why.to_owned())
    }

    fn strikes(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.random_range(0..1000) < per_mille
    }

    /// Seals a batch and puts it under way; says its ticket, its head and how many turns it takes.
    fn take_in(
        &mut self,
        faults: &Faults,
        log: LogId,
        expected: u64,
        frames: Vec<Unsealed>,
    ) -> Result<(u64, u64, u32), AppendError> {
        if let Some(why) = self.poison.borrow().clone() {
            return Err(AppendError::Poisoned(why));
        }
        let mut position = self.assigned.get(&log).copied().unwrap_or_else(|| self.position(log));
        if position.offset != expected || self.strikes(faults.conflict_per_mille) {
            return Err(AppendError::Conflict { expected, actual: position.offset });
        }
        if !self.room || self.strikes(faults.full_per_mille) {
            return Err(AppendError::Full);
        }
        let mut bytes = Vec::new();
        let frames = frames
            .into_iter()
            .map(|unsealed| {
                bytes.clear();
                self.sealer.seal(log, &mut position, unsealed, &mut bytes)
            })
            .collect();
        self.assigned.insert(log, position);
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.under_way.push_back(UnderWay { ticket, log, frames, head: position });
        if self.strikes(faults.poison_per_mille) {
            if self.random.random_range(0..2) == 0 {
                self.store(ticket);
            }
            self.under_way.clear();
            return Err(self.poison_now("a sync failed, as the seed wanted"));
        }
        let turns = self.random.random_range(0..=faults.turns_max);
        Ok((ticket, position.offset, turns))
    }

    /// Makes everything up to `ticket` durable, in order.
    fn store(&mut self, ticket: u64) {
        while let Some(batch) = self.under_way.pop_front_if(|batch| batch.ticket <= ticket) {
            for frame in &batch.frames {
                if let Some(request) = &frame.header.request
                    && request.id != [0; 16]
                {
                    let offset = frame.header.offset;
                    let fresh = Recorded { fingerprint: request.fingerprint, first: offset, last: offset };
                    let recorded = self.requests.entry((batch.log, request.id)).or_insert(fresh);
                    let follows = recorded.last + 1 == offset;
                    *recorded = if follows { Recorded { last: offset, ..*recorded } } else { fresh };
                }
            }
            let held = self.logs.entry(batch.log).or_default();
            held.frames.extend(batch.frames);
            held.position = batch.head;
            held.watch.send_replace(batch.head.offset);
        }
    }
}

/// Commits its batch when it is dropped: whoever stops waiting does not stop the journal.
struct Commit<'a> {
    journal: &'a MemoryJournal,
    ticket: u64,
}

impl Commit<'_> {
    /// Whether the batch is durable and that may be said.
    fn now(&self) -> Result<(), AppendError> {
        let mut state = self.journal.lock();
        let poison = state.poison.borrow().clone();
        match poison {
            Some(why) if state.durable_ticket < self.ticket => Err(AppendError::Poisoned(why)),
            Some(_) => Ok(()),
            None => {
                state.store(self.ticket);
                state.durable_ticket = state.durable_ticket.max(self.ticket);
                Ok(())
            }
        }
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        // Nobody is left to be told.
        drop(self.now());
    }
}

impl Journal for MemoryJournal {
    fn append(
        &self,
        log: LogId,
        expected: u64,
        frames: Vec<Unsealed>,
    ) -> BoxFuture<'_, Result<u64, AppendError>> {
        let taken = check_batch(log, &frames)
            .and_then(|()| self.lock().take_in(&self.faults, log, expected, frames))
            .map(|(ticket, head, turns)| (Commit { journal: self, ticket }, head, turns));
        Box::pin(async move {
            let (commit, head, turns) = taken?;
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            commit.now().map(|()| head)
        })
    }

    fn read(&self, log: LogId, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        Box::pin(async move {
            let state = self.lock();
            let Some(held) = state.logs.get(&log) else { return Ok(Vec::new()) };
            let after = usize::try_from(after).unwrap_or(usize::MAX);
            Ok(held.frames.iter().skip(after).take(limit as usize).cloned().collect())
        })
    }

    fn read_at(&self, log: LogId, offsets: Vec<u64>) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        Box::pin(async move {
            let state = self.lock();
            let frames = state.logs.get(&log).map_or(&[][..], |held| &held.frames);
            let frame = |offset: u64| {
                let at = offset.checked_sub(1).and_then(|at| usize::try_from(at).ok());
                let outside = || ReadError::Unavailable(format!("offset {offset} of log {log} is not there"));
                at.and_then(|at| frames.get(at)).cloned().ok_or_else(outside)
            };
            offsets.into_iter().map(frame).collect()
        })
    }

    fn recorded(&self, log: LogId, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Recorded>, ReadError>> {
        Box::pin(async move { Ok(self.recorded_recently(log, id)) })
    }

    fn recorded_recently(&self, log: LogId, id: [u8; 16]) -> Option<Recorded> {
        self.lock().requests.get(&(log, id)).copied()
    }

    fn head(&self, log: LogId) -> watch::Receiver<u64> {
        self.lock().logs.entry(log).or_default().watch.subscribe()
    }

    fn position(&self, log: LogId) -> Position {
        self.lock().position(log)
    }

    fn prove(&self, log: LogId, all: bool) -> BoxFuture<'_, Result<Proof, ReadError>> {
        Box::pin(async move { Ok(self.prove_now(log, all)) })
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, ReadError>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(state.logs.iter().filter(|(_, held)| held.position.offset > 0).map(|(log, _)| *log).collect())
        })
    }

    fn has_room(&self) -> bool {
        let state = self.lock();
        state.room && state.poison.borrow().is_none()
    }

    fn health(&self) -> Health {
        let state = self.lock();
        Health { poisoned: state.poison.borrow().clone(), full: !state.room, ..Health::default() }
    }
}
