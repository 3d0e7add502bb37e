//! Between sealer and committer: the group that is being gathered while the one before it is synced.

use std::sync::{Condvar, Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::format::LEAD_BYTES;
use super::shelf::runs::Name;
use crate::{AppendError, LogId, Position, Recorded};

/// Bytes at which a group takes in no further batch; one batch alone may be larger.
const MERGE_BYTES_MAX: usize = 1 << 20;
/// Frames at which a group takes in no further batch.
const MERGE_FRAMES_MAX: usize = 4_096;

/// Who waits for a batch.
pub(crate) struct Waiting {
    pub(crate) log: LogId,
    /// Its first offset.
    pub(crate) first: u64,
    /// Where the log stands once the batch is durable.
    pub(crate) head: Position,
    /// Bytes of the batch.
    pub(crate) len: usize,
    pub(crate) answer: oneshot::Sender<Result<u64, AppendError>>,
}

/// Sealed batches that will be written together.
pub(crate) struct Gathered {
    /// Room for the lead, then frames.
    pub(crate) bytes: Vec<u8>,
    /// CRC-32C of the frames' bytes.
    pub(crate) body_crc: u32,
    /// Frames in those bytes.
    pub(crate) frames: usize,
    /// Highest time of an entry in it.
    pub(crate) time_ms: u64,
    /// Who asked for it, in order.
    pub(crate) requests: Vec<(Name, Recorded)>,
    /// The batches, in order.
    pub(crate) waiting: Vec<Waiting>,
}

/// One sealed batch.
#[derive(Default)]
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: usize,
    pub(crate) time_ms: u64,
    pub(crate) requests: Vec<(Name, Recorded)>,
}

impl Sealed {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.requests.clear();
        (self.frames, self.time_ms) = (0, 0);
    }
}

impl Gathered {
    fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.resize(LEAD_BYTES, 0);
        Self { bytes, body_crc: 0, frames: 0, time_ms: 0, requests: Vec::new(), waiting: Vec::new() }
    }

    fn takes(&self, bytes: usize, frames: usize) -> bool {
        self.waiting.is_empty()
            || (self.bytes.len() + bytes <= MERGE_BYTES_MAX && self.frames + frames <= MERGE_FRAMES_MAX)
    }

    /// Tells everybody who waits that it did not happen.
    fn fail(self, error: &AppendError) {
        for waiting in self.waiting {
            // Whoever does not wait any more does not want to know.
            drop(waiting.answer.send(Err(error.clone())));
        }
    }
}

struct State {
    gathered: Gathered,
    closed: bool,
    /// Nobody takes groups any more.
    given_up: bool,
    /// Goes up when sealed batches had to be thrown away: the sealer then starts from durable heads.
    epoch: u64,
}

/// One group is gathered here while the committer works on the one before.
pub(crate) struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        let state = State { gathered: Gathered::new(0), closed: false, given_up: false, epoch: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a sealed batch, waiting while the group is full; gives the waiter back if batches were
    /// thrown away since `epoch`, or nobody takes groups any more.
    pub(crate) fn push(&self, epoch: u64, sealed: &mut Sealed, waiting: Waiting) -> Result<(), Waiting> {
        let mut state = self.lock();
        while state.epoch == epoch
            && !state.given_up
            && !state.gathered.takes(sealed.bytes.len(), sealed.frames)
        {
            self.changed.notify_all();
            state = self.wait(state);
        }
        if state.epoch != epoch || state.given_up {
            return Err(waiting);
        }
        let gathered = &mut state.gathered;
        gathered.bytes.extend_from_slice(&sealed.bytes);
        gathered.body_crc = crc32c::crc32c_append(gathered.body_crc, &sealed.bytes);
        gathered.frames += sealed.frames;
        gathered.time_ms = gathered.time_ms.max(sealed.time_ms);
        gathered.requests.append(&mut sealed.requests);
        gathered.waiting.push(waiting);
        Ok(())
    }

    /// Says that no further batch is at hand: whoever waits for a group may have it.
    pub(crate) fn hand_over(&self) {
        self.changed.notify_all();
    }

    /// The next group, as soon as there is one; `None` once the pipe is closed and empty.
    pub(crate) fn take(&self, capacity: usize) -> Option<Gathered> {
        let mut state = self.lock();
        while state.gathered.waiting.is_empty() && !state.closed {
            state = self.wait(state);
        }
        if state.gathered.waiting.is_empty() {
            return None;
        }
        let gathered = std::mem::replace(&mut state.gathered, Gathered::new(capacity));
        self.changed.notify_all();
        Some(gathered)
    }

    /// Fails a group and throws away what was gathered on top of it. The epoch moves before anybody
    /// is answered, so that whoever tries again at once finds the durable heads.
    pub(crate) fn reset(&self, failed: Gathered, error: &AppendError) {
        let mut state = self.lock();
        state.epoch += 1;
        let gathered = std::mem::replace(&mut state.gathered, Gathered::new(0));
        self.changed.notify_all();
        drop(state);
        failed.fail(error);
        gathered.fail(error);
    }

    /// Fails what was gathered; nothing is taken in again.
    pub(crate) fn give_up(&self, error: &AppendError) {
        let mut state = self.lock();
        (state.given_up, state.epoch) = (true, state.epoch + 1);
        let gathered = std::mem::replace(&mut state.gathered, Gathered::new(0));
        self.changed.notify_all();
        drop(state);
        gathered.fail(error);
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}
