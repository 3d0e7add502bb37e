//! A journal in memory that notes how much is read at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taffrail_journal::{
    AppendError, BoxFuture, Frame, Health, Journal, LogId, MemoryJournal, Position, Proof, ReadError,
    Recorded, Unsealed,
};
use tokio::sync::watch;

#[derive(Default)]
pub(super) struct Watched {
    journal: MemoryJournal,
    largest_read: AtomicUsize,
}

impl Watched {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Most offsets that were asked for at once.
    pub(super) fn largest_read(&self) -> usize {
        self.largest_read.load(Ordering::Relaxed)
    }
}

impl Journal for Watched {
    fn append(
        &self,
        log: LogId,
        expected: u64,
        frames: Vec<Unsealed>,
    ) -> BoxFuture<'_, Result<u64, AppendError>> {
        self.journal.append(log, expected, frames)
    }

    fn read(&self, log: LogId, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        self.journal.read(log, after, limit)
    }

    fn read_at(&self, log: LogId, offsets: Vec<u64>) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        self.largest_read.fetch_max(offsets.len(), Ordering::Relaxed);
        self.journal.read_at(log, offsets)
    }

    fn recorded(&self, log: LogId, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Recorded>, ReadError>> {
        self.journal.recorded(log, id)
    }

    fn recorded_recently(&self, log: LogId, id: [u8; 16]) -> Option<Recorded> {
        self.journal.recorded_recently(log, id)
    }

    fn head(&self, log: LogId) -> watch::Receiver<u64> {
        self.journal.head(log)
    }

    fn position(&self, log: LogId) -> Position {
        self.journal.position(log)
    }

    fn prove(&self, log: LogId, all: bool) -> BoxFuture<'_, Result<Proof, ReadError>> {
        self.journal.prove(log, all)
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, ReadError>> {
        self.journal.logs()
    }

    fn has_room(&self) -> bool {
        self.journal.has_room()
    }

    fn health(&self) -> Health {
        self.journal.health()
    }
}
