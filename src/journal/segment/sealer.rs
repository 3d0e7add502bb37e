//! The sealer: one thread that checks what each batch expects, seals it and adds it to the group
//! that is being gathered, while the committer syncs the one before.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::hash::Map;
use super::pipe::{Pipe, Sealed, Waiting};
use super::requests;
use super::shared::Shared;
use crate::seal::Sealer;
use crate::{AppendError, LogId, Position, Unsealed};

/// Batches after which a round ends, however many more are waiting.
const ROUND_BATCHES_MAX: usize = 256;

/// A batch on its way.
pub(crate) struct Batch {
    pub(crate) log: LogId,
    pub(crate) expected: u64,
    pub(crate) frames: Vec<Unsealed>,
    pub(crate) answer: oneshot::Sender<Result<u64, AppendError>>,
}

/// Everything the sealing thread owns.
pub(crate) struct Sealing {
    shared: Arc<Shared>,
    pipe: Arc<Pipe>,
    sealer: Sealer,
    /// Where each log will stand once everything handed over is durable.
    assigned: Map<LogId, Position>,
    epoch: u64,
    sealed: Sealed,
}

impl Sealing {
    pub(crate) fn new(shared: Arc<Shared>, pipe: Arc<Pipe>, sealer: Sealer) -> Self {
        let epoch = pipe.epoch();
        Self { shared, pipe, sealer, assigned: Map::default(), epoch, sealed: Sealed::default() }
    }

    /// Works until nobody can append any more.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Batch>) {
        while let Some(first) = queue.blocking_recv() {
            // Room is asked for once per round; a no is asked again, for it may be over by now.
            let mut has_room = false;
            let mut next = Some(first);
            for _ in 0..ROUND_BATCHES_MAX {
                let Some(batch) = next.take().or_else(|| queue.try_recv().ok()) else { break };
                has_room = has_room || self.shared.room.has_room();
                self.take_in(batch, has_room);
            }
            self.pipe.hand_over();
        }
    }

    fn take_in(&mut self, batch: Batch, has_room: bool) {
        if let Err((answer, error)) = self.try_take_in(batch, has_room) {
            // Whoever does not wait any more does not want to know.
            drop(answer.send(Err(error)));
        }
    }

    fn try_take_in(
        &mut self,
        batch: Batch,
        has_room: bool,
    ) -> Result<(), (oneshot::Sender<Result<u64, AppendError>>, AppendError)> {
        let Batch { log, expected, frames, answer } = batch;
        if let Some(why) = self.shared.poisoned() {
            return Err((answer, AppendError::Poisoned(why)));
        }
        let epoch = self.pipe.epoch();
        if epoch != self.epoch {
            self.assigned.clear();
            self.epoch = epoch;
        }
        let shared = &self.shared;
        let mut position = *self.assigned.entry(log).or_insert_with(|| shared.position(log));
        if position.offset != expected {
            return Err((answer, AppendError::Conflict { expected, actual: position.offset }));
        }
        if !has_room {
            return Err((answer, AppendError::Full));
        }
        self.sealed.clear();
        for unsealed in frames {
            let frame = self.sealer.seal(log, &mut position, unsealed, &mut self.sealed.bytes);
            self.sealed.frames += 1;
            self.sealed.time_ms = self.sealed.time_ms.max(frame.header.time_ms);
            if let Some(request) = &frame.header.request {
                requests::note(&mut self.sealed.requests, log, frame.header.offset, request);
            }
        }
        let len = self.sealed.bytes.len();
        let waiting = Waiting { log, first: expected + 1, head: position, len, answer };
        match self.pipe.push(self.epoch, &mut self.sealed, waiting) {
            Ok(()) => {
                self.assigned.insert(log, position);
                Ok(())
            }
            Err(waiting) => Err((waiting.answer, AppendError::Full)),
        }
    }
}

impl Drop for Sealing {
    /// However the thread ends, the committer must not wait for it.
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.poison("the sealer panicked");
        }
        self.pipe.close();
    }
}
