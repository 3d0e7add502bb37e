//! What the threads and callers of one journal share.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use super::feed::Feed;
use super::folder::Folder;
use super::format::StoreId;
use super::hash::Map;
use super::index::Index;
use super::options::Options;
use super::pipe::Waiting;
use super::prove::Memory;
use super::requests::Requests;
use super::room::Room;
use super::shelf::Shelf;
use super::shelf::runs::Name;
use super::tail::{Run, Tail};
use super::walk::Point;
use crate::{LogId, Position, Recorded};

/// Segments that readers may hold in memory at a time: 16 MiB each.
const SEGMENT_READERS: usize = 2;

/// Where a log stands, and who wants to hear of it.
#[derive(Debug, Default)]
struct Head {
    position: Position,
    watch: watch::Sender<u64>,
}

impl Head {
    fn move_to(&mut self, position: Position) {
        self.position = position;
        let watched = self.watch.receiver_count() > 0;
        // Waking costs even where nobody sleeps; who subscribes later starts from the new value.
        self.watch.send_if_modified(|offset| {
            *offset = position.offset;
            watched
        });
    }
}

/// One open journal.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) folder: Folder,
    pub(crate) store: StoreId,
    pub(crate) index: Index,
    /// Turns for reading whole segments.
    pub(crate) segment_readers: Arc<Semaphore>,
    /// What was proven of sealed segments. Whoever walks over a log holds it: one at a time.
    pub(crate) proven: Arc<tokio::sync::Mutex<Memory>>,
    pub(crate) feed: Feed,
    pub(crate) room: Arc<Room>,
    pub(crate) shelf: Option<Arc<Shelf>>,
    /// Why there is no shelf although there should be one.
    pub(crate) shelf_missing: Option<String>,
    pub(crate) requests: Mutex<Requests>,
    heads: RwLock<Map<LogId, Head>>,
    tail: RwLock<Tail>,
    poison: watch::Sender<Option<String>>,
    notes: Mutex<Vec<String>>,
    last_group: AtomicU64,
    last_time_ms: AtomicU64,
    /// Bytes of groups that the shelf does not hold.
    unshelved_bytes: AtomicU64,
    /// Whether the shelf stands in the place of another one and has not caught up yet.
    shelf_is_filling: AtomicBool,
    /// Held for as long as anybody uses the journal.
    _lock: Arc<File>,
}

/// What a journal starts from.
pub(crate) struct Start {
    pub(crate) options: Options,
    pub(crate) folder: Folder,
    pub(crate) store: StoreId,
    pub(crate) lock: Arc<File>,
    pub(crate) index: Index,
    pub(crate) shelf: Option<Arc<Shelf>>,
    pub(crate) shelf_missing: Option<String>,
    pub(crate) requests: Requests,
    pub(crate) repairs: Vec<String>,
    pub(crate) point: Point,
}

impl Shared {
    pub(crate) fn new(start: Start) -> Self {
        let Start { options, folder, store, lock, index, shelf, shelf_missing, requests, repairs, point } =
            start;
        let shelved = shelf.as_ref().map_or(u64::MAX, |shelf| shelf.shelved());
        let shelf_is_filling = folder.shelf_filling().exists();
        let unshelved_bytes = index.bytes_behind(shelved);
        let heads = point.heads.iter().map(|(log, position)| {
            (*log, Head { position: *position, watch: watch::Sender::new(position.offset) })
        });
        Self {
            room: Room::new(&options, &folder),
            feed: Feed::new(options.tail_bytes_max),
            options,
            folder,
            store,
            index,
            proven: Arc::default(),
            segment_readers: Arc::new(Semaphore::new(SEGMENT_READERS)),
            shelf,
            shelf_missing,
            requests: Mutex::new(requests),
            heads: RwLock::new(heads.collect()),
            tail: RwLock::default(),
            poison: watch::Sender::new(None),
            notes: Mutex::new(repairs),
            last_group: AtomicU64::new(point.group),
            last_time_ms: AtomicU64::new(point.time_ms),
            unshelved_bytes: AtomicU64::new(unshelved_bytes),
            shelf_is_filling: AtomicBool::new(shelf_is_filling),
            _lock: lock,
        }
    }

    fn read_heads(&self) -> RwLockReadGuard<'_, Map<LogId, Head>> {
        self.heads.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write_heads(&self) -> RwLockWriteGuard<'_, Map<LogId, Head>> {
        self.heads.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn read_tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write_tail(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn lock_requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn position(&self, log: LogId) -> Position {
        self.read_heads().get(&log).map(|head| head.position).unwrap_or_default()
    }

    pub(crate) fn watch(&self, log: LogId) -> watch::Receiver<u64> {
        if let Some(head) = self.read_heads().get(&log) {
            return head.watch.subscribe();
        }
        self.write_heads().entry(log).or_default().watch.subscribe()
    }

    /// Every log that has at least one frame, in order.
    pub(crate) fn logs(&self) -> Vec<LogId> {
        let heads = self.read_heads();
        let mut logs: Vec<_> =
            heads.iter().filter(|(_, head)| head.position.offset > 0).map(|(log, _)| *log).collect();
        logs.sort_unstable();
        logs
    }

    pub(crate) fn last_group(&self) -> u64 {
        self.last_group.load(Ordering::Acquire)
    }

    pub(crate) fn last_time_ms(&self) -> u64 {
        self.last_time_ms.load(Ordering::Acquire)
    }

    /// Takes a durable group into memory; heads move last.
    pub(crate) fn publish(
        &self,
        point: &Point,
        segment: u64,
        body: Bytes,
        runs: Vec<Run>,
        requests: &[(Name, Recorded)],
        batches: &[Waiting],
    ) {
        let (shelved, requests_shelved) = self.shelved();
        {
            let mut known = self.lock_requests();
            known.add(point.group, requests);
            known.evict(requests_shelved);
        }
        {
            let mut tail = self.write_tail();
            tail.push(point.group, runs);
            tail.evict(shelved, self.options.tail_bytes_max);
        }
        self.last_group.store(point.group, Ordering::Release);
        self.last_time_ms.store(point.time_ms, Ordering::Release);
        {
            let mut heads = self.write_heads();
            for batch in batches {
                heads.entry(batch.log).or_default().move_to(batch.head);
            }
        }
        if self.usable_shelf().is_some() {
            self.unshelved_bytes.fetch_add(body.len() as u64, Ordering::AcqRel);
            self.feed.push(point.group, segment, body);
        }
    }

    /// Groups and bytes that the shelf does not hold yet; none if there is no shelf.
    pub(crate) fn lag(&self) -> (u64, u64) {
        let Some(shelf) = self.usable_shelf() else { return (0, 0) };
        match self.last_group().saturating_sub(shelf.shelved()) {
            0 => (0, 0),
            groups => (groups, self.unshelved_bytes.load(Ordering::Acquire)),
        }
    }

    /// Lets go of what the shelf holds by now: so many bytes more.
    pub(crate) fn shelved_more(&self, bytes: u64) {
        // The start value counts whole segments; once everything is shelved it is known to be nothing.
        let less =
            |unshelved: u64| Some(if self.has_caught_up() { 0 } else { unshelved.saturating_sub(bytes) });
        // The closure always gives a value, so there is no error to look at.
        self.unshelved_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).ok();
        if self.has_caught_up() && self.shelf_is_filling.swap(false, Ordering::AcqRel) {
            // If the name stays, the next shelf that fails is removed instead of put aside.
            drop(fs::remove_file(self.folder.shelf_filling()));
        }
        self.evict();
    }

    fn has_caught_up(&self) -> bool {
        self.shelf.as_ref().is_some_and(|shelf| shelf.shelved() == self.last_group())
    }

    /// Lets go of what need not be in memory any more.
    pub(crate) fn evict(&self) {
        let (shelved, requests_shelved) = self.shelved();
        self.lock_requests().evict(requests_shelved);
        self.write_tail().evict(shelved, self.options.tail_bytes_max);
    }

    /// Up to which group memory need not hold on to frames and to requests.
    fn shelved(&self) -> (u64, u64) {
        match self.usable_shelf() {
            Some(shelf) => (shelf.shelved(), shelf.requests_shelved()),
            // Frames are then read from segments; requests have no other place.
            None => (u64::MAX, 0),
        }
    }

    /// The shelf, unless it was given up.
    pub(crate) fn usable_shelf(&self) -> Option<&Arc<Shelf>> {
        let shelf = self.shelf.as_ref()?;
        shelf.check_deadline();
        shelf.abandoned().is_none().then_some(shelf)
    }

    pub(crate) fn shelf_abandoned(&self) -> Option<String> {
        self.shelf.as_ref().and_then(|shelf| shelf.abandoned()).or_else(|| self.shelf_missing.clone())
    }

    pub(crate) fn poisoned(&self) -> Option<String> {
        self.poison.borrow().clone()
    }

    pub(crate) fn watch_poison(&self) -> watch::Receiver<Option<String>> {
        self.poison.subscribe()
    }

    /// Nothing is accepted from here on: nobody knows what the disk holds.
    pub(crate) fn poison(&self, why: &str) {
        tracing::error!(why, "the journal is poisoned");
        self.poison.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    pub(crate) fn note(&self, sentence: String) {
        tracing::warn!("{sentence}");
        self.notes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(sentence);
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}
