//! The sealer: one thread that checks what each batch expects, seals it and adds it to the group
//! that is being gathered, while the committer syncs the one before.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::pipe::{Pipe, Waiting};
use super::shared::Shared;
use crate::seal::Sealer;
use crate::{AppendError, Frame, LogId, Position, Unsealed};

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
    assigned: HashMap<LogId, Position>,
    epoch: u64,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

impl Sealing {
    pub(crate) fn new(shared: Arc<Shared>, pipe: Arc<Pipe>, sealer: Sealer) -> Self {
        let epoch = pipe.epoch();
        Self { shared, pipe, sealer, assigned: HashMap::new(), epoch, bytes: Vec::new(), frames: Vec::new() }
    }

    /// Works until nobody can append any more.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Batch>) {
        while let Some(first) = queue.blocking_recv() {
            // Asked once per round: what was let in finds its place in the prepared segment.
            let has_room = self.shared.room.has_room();
            self.take_in(first, has_room);
            while let Ok(next) = queue.try_recv() {
                self.take_in(next, has_room);
            }
            self.pipe.hand_over();
        }
        self.pipe.close();
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
        self.bytes.clear();
        self.frames.clear();
        for unsealed in frames {
            let frame = self.sealer.seal(log, &mut position, unsealed, &mut self.bytes);
            self.frames.push(frame);
        }
        let waiting = Waiting { log, first: expected + 1, head: position, answer };
        match self.pipe.push(self.epoch, &self.bytes, &mut self.frames, waiting) {
            Ok(()) => {
                self.assigned.insert(log, position);
                Ok(())
            }
            Err(waiting) => Err((waiting.answer, AppendError::Full)),
        }
    }
}
