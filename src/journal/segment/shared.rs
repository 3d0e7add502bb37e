//! What the threads and callers of one journal share.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::watch;

use super::feed::Feed;
use super::folder::Folder;
use super::format::StoreId;
use super::index::Index;
use super::options::Options;
use super::pipe::Waiting;
use super::requests::Requests;
use super::room::Room;
use super::shelf::Shelf;
use super::tail::Tail;
use crate::{Frame, LogId, Position};

/// Where a log stands, and who wants to hear of it.
#[derive(Debug)]
struct Head {
    position: Position,
    watch: watch::Sender<u64>,
}

/// One open journal.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) folder: Folder,
    pub(crate) store: StoreId,
    pub(crate) index: Index,
    pub(crate) feed: Feed,
    pub(crate) room: Arc<Room>,
    pub(crate) shelf: Option<Arc<Shelf>>,
    /// Why there is no shelf although there should be one.
    pub(crate) shelf_missing: Option<String>,
    pub(crate) requests: Mutex<Requests>,
    heads: RwLock<HashMap<LogId, Head>>,
    tail: RwLock<Tail>,
    poison: watch::Sender<Option<String>>,
    notes: Mutex<Vec<String>>,
    last_group: AtomicU64,
    last_time_ms: AtomicU64,
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
    pub(crate) point: super::walk::Point,
}

impl Shared {
    pub(crate) fn new(start: Start) -> Self {
        let Start { options, folder, store, lock, index, shelf, shelf_missing, requests, repairs, point } =
            start;
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
            shelf,
            shelf_missing,
            requests: Mutex::new(requests),
            heads: RwLock::new(heads.collect()),
            tail: RwLock::default(),
            poison: watch::Sender::new(None),
            notes: Mutex::new(repairs),
            last_group: AtomicU64::new(point.group),
            last_time_ms: AtomicU64::new(point.time_ms),
            _lock: lock,
        }
    }

    fn read_heads(&self) -> RwLockReadGuard<'_, HashMap<LogId, Head>> {
        self.heads.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write_heads(&self) -> RwLockWriteGuard<'_, HashMap<LogId, Head>> {
        self.heads.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn read_tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(|poisoned| poisoned.into_inner())
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
        let mut heads = self.write_heads();
        let fresh = || Head { position: Position::default(), watch: watch::Sender::new(0) };
        heads.entry(log).or_insert_with(fresh).watch.subscribe()
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
        group: u64,
        segment: u64,
        body: Bytes,
        frames: Vec<Frame>,
        batches: &[Waiting],
        time_ms: u64,
    ) {
        let (shelved, requests_shelved) = self.shelved();
        {
            let mut requests = self.lock_requests();
            for frame in &frames {
                if let Some(request) = &frame.header.request {
                    requests.add(group, frame.header.log, frame.header.offset, request);
                }
            }
            requests.evict(requests_shelved);
        }
        {
            let mut tail = self.tail.write().unwrap_or_else(|poisoned| poisoned.into_inner());
            tail.push(group, body.len(), frames);
            tail.evict(shelved, self.options.tail_bytes_max);
        }
        self.last_group.store(group, Ordering::Release);
        self.last_time_ms.store(time_ms, Ordering::Release);
        {
            let mut heads = self.write_heads();
            for batch in batches {
                let fresh = || Head { position: Position::default(), watch: watch::Sender::new(0) };
                let head = heads.entry(batch.log).or_insert_with(fresh);
                head.position = batch.head;
                head.watch.send_replace(batch.head.offset);
            }
        }
        if self.usable_shelf().is_some() {
            self.feed.push(group, segment, body);
        }
    }

    /// Lets go of what the shelf holds by now.
    pub(crate) fn evict(&self) {
        let (shelved, requests_shelved) = self.shelved();
        self.lock_requests().evict(requests_shelved);
        let mut tail = self.tail.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        tail.evict(shelved, self.options.tail_bytes_max);
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
        self.shelf.as_ref().filter(|shelf| shelf.abandoned().is_none())
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
