//! The engine: segments are the commit point, sled behind them is the reading copy.
//!
//! ```text
//! append -> queue -> sealer ---gathers---> committer ---one write, one sync---> answers
//!                                              `--> memory tail --> shelver --> shelf (sled)
//! ```
//! Everything here is blocking and runs on threads of its own; nothing outside this room knows
//! segments or sled.

mod committer;
mod disk;
mod feed;
mod folder;
mod format;
mod hash;
mod index;
mod open;
mod options;
mod pipe;
mod prove;
mod reader;
mod recover;
mod remains;
mod requests;
mod room;
mod scrub;
mod sealer;
mod shared;
mod shelf;
mod shelver;
mod tail;
mod verify;
mod walk;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub use disk::{Disk, RealDisk, free_bytes};
pub use open::{open, store_id};
pub use options::{CLOCK_BEHIND_MAX_MS, FreeBytes, NowMs, OpenError, Options};
pub use verify::{Verified, VerifyError, verify};

use crate::seal::sealed_len;
use crate::{
    AppendError, BATCH_BYTES_MAX, BATCH_FRAMES_MAX, BoxFuture, Frame, Health, Journal, LogId, Position,
    Proof, ReadError, Recorded, Unsealed,
};
use committer::Committer;
use feed::Order;
use requests::Lookup;
use sealer::Batch;
use shared::Shared;

/// Batches that may wait for the sealer; then callers wait.
const QUEUE_BATCHES: usize = 4_096;
/// Highest log there can be: tags have 24 bits.
const LOG_MAX: u32 = 0x00ff_ffff;
/// How long a journal that is dropped waits for its shelver's last step.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The journal on a disk. Dropping it without [`SegmentJournal::drain`] is safe: what was
/// acknowledged stays, the last segment is sealed at the next start.
pub struct SegmentJournal {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
    queue: Mutex<Option<mpsc::Sender<Batch>>>,
}

/// The threads of one journal, until they are joined.
#[derive(Default)]
struct Threads {
    sealer: Option<JoinHandle<()>>,
    committer: Option<JoinHandle<Committer>>,
    room: Option<JoinHandle<()>>,
    shelver: Option<JoinHandle<()>>,
    scrub: Option<JoinHandle<()>>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Whether the shelf holds everything; if not, the next start shelves the rest.
    pub shelved: bool,
    /// Whether the last segment is sealed; if not, the next start seals it.
    pub sealed: bool,
}

impl SegmentJournal {
    /// Tells at once when the journal is poisoned, and why: the process must then end.
    #[must_use]
    pub fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.shared.watch_poison()
    }

    /// The highest entry time in any log, milliseconds since the Unix epoch; 0 before the first.
    #[must_use]
    pub fn last_time_ms(&self) -> u64 {
        self.shared.last_time_ms()
    }

    /// The id of this store: snapshots are only good for the store they were made from.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.shared.store
    }

    /// Step 12: finishes what was handed over, seals the segment and shelves the rest, at most for
    /// `deadline`. Appends are refused from here on, reads go on. Blocking.
    pub fn drain(&self, deadline: Duration) -> Drained {
        let sealed = self.stop_committing().is_some_and(|committer| match committer.finish() {
            Ok(()) => self.shared.poisoned().is_none(),
            Err(error) => {
                // Nobody knows any more what the disk keeps: the process must not end as if all were well.
                self.shared.poison(&format!("seal: {error}"));
                false
            }
        });
        self.shared.feed.give(Order::Finish);
        let ended = self.shared.feed.wait_ended(deadline);
        let shelf = self.shared.usable_shelf();
        Drained {
            shelved: ended && shelf.is_some_and(|shelf| shelf.shelved() == self.shared.last_group()),
            sealed,
        }
    }

    /// Closes the queue and waits until the last group is committed.
    fn stop_committing(&self) -> Option<Committer> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sealer) = threads.sealer.take() {
            // A sealer that panicked has closed the pipe and poisoned the journal.
            drop(sealer.join());
        }
        threads.committer.take()?.join().ok()
    }

    /// Puts the batch in the queue now, so that batches keep the order in which they were handed over.
    /// Only while the queue is full may two callers swap; of one log, the later batch is then refused with
    /// `Conflict`, never written in the wrong order.
    fn enqueue(&self, batch: Batch) -> Result<Option<(mpsc::Sender<Batch>, Batch)>, AppendError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(closed()) };
        match queue.try_send(batch) {
            Ok(()) => Ok(None),
            Err(mpsc::error::TrySendError::Full(batch)) => Ok(Some((queue.clone(), batch))),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
        }
    }
}

/// A batch must hold at least one frame and stay below the limits of frame and batch.
pub(crate) fn check_batch(log: LogId, frames: &[Unsealed]) -> Result<(), AppendError> {
    if log.0 > LOG_MAX {
        return Err(AppendError::TooLarge("a log's tag has 24 bits"));
    }
    if frames.is_empty() {
        return Err(AppendError::TooLarge("a batch without frames"));
    }
    if frames.len() > BATCH_FRAMES_MAX {
        return Err(AppendError::TooLarge("a batch is over 4,096 frames"));
    }
    let mut bytes = 0;
    for frame in frames {
        bytes += sealed_len(frame).map_err(AppendError::TooLarge)?;
    }
    if bytes > BATCH_BYTES_MAX { Err(AppendError::TooLarge("a batch is over 32 MiB")) } else { Ok(()) }
}

fn closed() -> AppendError {
    AppendError::Poisoned("the journal is closed; nothing of the batch was written".into())
}

impl Drop for SegmentJournal {
    fn drop(&mut self) {
        drop(self.stop_committing());
        self.shared.room.stop();
        self.shared.feed.give(Order::Stop);
        let mut threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A panicking thread has already said so; there is nothing more to do about it here.
        let join = |thread: Option<JoinHandle<()>>| drop(thread.map(JoinHandle::join));
        join(threads.room.take());
        join(threads.scrub.take());
        if self.shared.feed.wait_ended(STOP_PATIENCE) {
            join(threads.shelver.take());
        }
    }
}

impl Journal for SegmentJournal {
    fn append(
        &self,
        log: LogId,
        expected: u64,
        frames: Vec<Unsealed>,
    ) -> BoxFuture<'_, Result<u64, AppendError>> {
        let (answer, answered) = oneshot::channel();
        let queued =
            check_batch(log, &frames).and_then(|()| self.enqueue(Batch { log, expected, frames, answer }));
        Box::pin(async move {
            if let Some((queue, batch)) = queued? {
                queue.send(batch).await.map_err(|_| closed())?;
            }
            answered.await.unwrap_or_else(|_| Err(closed_in_between(self.shared.poisoned())))
        })
    }

    fn read(&self, log: LogId, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        Box::pin(async move {
            let head = self.shared.position(log).offset;
            let last = after.saturating_add(u64::from(limit)).min(head);
            reader::fetch(&self.shared, log, (after.saturating_add(1)..=last).collect()).await
        })
    }

    fn read_at(&self, log: LogId, offsets: Vec<u64>) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        Box::pin(async move {
            let head = self.shared.position(log).offset;
            if let Some(outside) = offsets.iter().find(|offset| **offset == 0 || **offset > head) {
                return Err(ReadError::Unavailable(format!(
                    "offset {outside} of log {log} is not there (head {head})"
                )));
            }
            let mut wanted = offsets.clone();
            wanted.sort_unstable();
            wanted.dedup();
            let frames = reader::fetch(&self.shared, log, wanted.clone()).await?;
            let place =
                |offset: &u64| wanted.binary_search(offset).ok().and_then(|at| frames.get(at)).cloned();
            Ok(offsets.iter().filter_map(place).collect())
        })
    }

    fn recorded(&self, log: LogId, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Recorded>, ReadError>> {
        Box::pin(reader::recorded(&self.shared, log, id))
    }

    fn recorded_recently(&self, log: LogId, id: [u8; 16]) -> Option<Recorded> {
        match self.shared.lock_requests().get(log, id) {
            Lookup::Found(recorded) => Some(recorded),
            Lookup::MissingTo(_) => None,
        }
    }

    fn head(&self, log: LogId) -> watch::Receiver<u64> {
        self.shared.watch(log)
    }

    fn position(&self, log: LogId) -> Position {
        self.shared.position(log)
    }

    fn prove(&self, log: LogId, all: bool) -> BoxFuture<'_, Result<Proof, ReadError>> {
        Box::pin(prove::prove(&self.shared, log, all))
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, ReadError>> {
        Box::pin(async { Ok(self.shared.logs()) })
    }

    fn has_room(&self) -> bool {
        self.shared.poisoned().is_none() && self.shared.room.has_room()
    }

    fn health(&self) -> Health {
        let (shelver_lag_groups, shelver_lag_bytes) = self.shared.lag();
        Health {
            poisoned: self.shared.poisoned(),
            shelver_lag_groups,
            shelver_lag_bytes,
            shelf_abandoned: self.shared.shelf_abandoned(),
            repairs: self.shared.notes(),
            full: !self.shared.room.has_room(),
        }
    }
}

/// What a batch is told whose answer was lost: only a panic of a thread can do that.
fn closed_in_between(poisoned: Option<String>) -> AppendError {
    AppendError::Poisoned(
        poisoned.unwrap_or_else(|| "the journal was closed while the batch was under way".into()),
    )
}

/// Header, group and seal of a segment that holds these frames of one log; proven before they are
/// given back.
#[cfg(test)]
pub(crate) fn golden_segment(frames: &[Frame]) -> [Vec<u8>; 3] {
    use format::{Header, Kind, Lead, Seal};
    let (store, segment, mut point) =
        (*b"store-id-of-16-b", 3, walk::Point { group: 41, ..Default::default() });
    let body: Vec<u8> = frames.iter().flat_map(crate::frame::encode).collect();
    let (count, len) = (frames.len() as u32, body.len() as u32);
    let lead = Lead { kind: Kind::Group, number: 42, count, len };
    let group = [&lead.bytes(&store, segment, crc32c::crc32c(&body))[..], &body].concat();
    let header = Header::new(store, segment, 42, point.digest()).block();
    let last = frames.last().expect("a group has frames");
    let head = Position { offset: last.header.offset, chain: last.chain };
    let heads = [(last.header.log, head)].into();
    let seal = Seal::new(42, last.header.time_ms, &heads).bytes(&store, segment, 42);
    let bytes = [&header[..], &group, &seal].concat().into();
    walk::check_sealed(&bytes, &store, segment, &mut point, &mut |_, _| ()).expect("it proves");
    [header, group, seal]
}
