//! The shelf: the journal's reading copy in sled. A pure function of the segments, trusted by nobody.
//!
//! One tree, so that one batch covers a whole step; the first byte of a key says what it is:
//! `f` log, first offset, piece: frames as they stand in a segment, up to 64 KiB a record;
//! `g` first group of a step: which segment its groups stand in and which frames they hold;
//! `r` run, log, request id: old requests (see [`super::runs`]); `s`: how far the shelf is; `z` segment:
//! where that sealed segment ended. `f`, `g` and `z` are all it takes to refill a segment byte by byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bincode::{Decode, Encode};
use bytes::Bytes;
use tokio::sync::watch;

use super::format::StoreId;
use super::requests;
use super::runs::{self, Name, RUN_REQUESTS_MAX};
use super::walk::Frames;
use crate::codec::{self, Malformed};
use crate::frame::Raw;
use crate::seal::Hash;
use crate::{Frame, LogId, Position, Recorded};

/// sled's own segment; fixed when the shelf is created. A leaf over a quarter of it would become an
/// unsynced blob file.
const SLED_SEGMENT_BYTES: usize = 8 << 20;
const SLED_CACHE_BYTES: u64 = 64 << 20;
/// Only sled's flushing thread collects its garbage.
const SLED_FLUSH_MS: u64 = 500;
/// Longest time a step may take.
const STEP_DEADLINE_MS: u64 = 60_000;
/// Most bytes of one record: far below the size at which sled makes a blob.
const RECORD_BYTES_MAX: usize = 64 << 10;

/// How far the shelf is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Shelved {
    pub(crate) store: StoreId,
    /// Every frame up to this group is here.
    pub(crate) group: u64,
    /// Every request up to this group is in a run.
    pub(crate) requests_group: u64,
    /// Digest of every log's head there.
    pub(crate) digest: Hash,
}

/// Where a sealed segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct End {
    pub(crate) last_group: u64,
    pub(crate) digest: Hash,
}

/// Which frames a group holds, in its own order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Contents {
    group: u64,
    segment: u64,
    runs: Vec<Run>,
}

/// Frames of one log that follow each other in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Run {
    log: LogId,
    first: u64,
    count: u32,
}

/// One step of the shelver: whole groups, gathered by log.
#[derive(Default)]
pub(crate) struct Step {
    frames: BTreeMap<LogId, Vec<Record>>,
    contents: Vec<Contents>,
    requests: Vec<(Name, Recorded)>,
    run: Option<NewRun>,
    ends: Vec<(u64, End)>,
    heads: BTreeMap<LogId, Position>,
    bytes: usize,
}

struct Record {
    first: u64,
    bytes: Vec<u8>,
}

impl Step {
    /// Adds a group's body.
    pub(crate) fn add_group(&mut self, group: u64, segment: u64, body: &[u8]) -> Result<(), Malformed> {
        let mut contents = Contents { group, segment, runs: Vec::new() };
        let mut frames = Frames::new(body).peekable();
        let mut at = 0;
        while let Some(raw) = frames.next() {
            let mut raw = raw?;
            let (log, first) = raw.place();
            let records = self.frames.entry(log).or_default();
            let mut count = 1;
            loop {
                add_frame(records, first + u64::from(count) - 1, &body[at..at + raw.len()]);
                at += raw.len();
                if let Some(request) = raw.request()? {
                    requests::note(&mut self.requests, log, first + u64::from(count) - 1, &request);
                }
                let follows = |next: &Result<Raw<'_>, Malformed>| {
                    next.as_ref().is_ok_and(|next| next.place() == (log, first + u64::from(count)))
                };
                let Some(next) = frames.next_if(follows) else { break };
                raw = next?;
                count += 1;
            }
            let offset = first + u64::from(count) - 1;
            self.heads.insert(log, Position { offset, chain: raw.chain() });
            contents.runs.push(Run { log, first, count });
        }
        self.contents.push(contents);
        self.bytes += body.len();
        Ok(())
    }

    /// The requests of the groups so far, in commit order.
    pub(crate) fn take_requests(&mut self) -> Vec<(Name, Recorded)> {
        std::mem::take(&mut self.requests)
    }

    /// Adds where a segment ended.
    pub(crate) fn add_end(&mut self, segment: u64, end: End) {
        self.ends.push((segment, end));
    }

    /// Where the logs stand whose frames are in this step.
    pub(crate) fn heads(&self) -> &BTreeMap<LogId, Position> {
        &self.heads
    }

    /// The last group added.
    pub(crate) fn last_group(&self) -> Option<u64> {
        self.contents.last().map(|contents| contents.group)
    }

    /// Bytes of the groups so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.ends.is_empty()
    }

    fn batch(&self, shelved: &Shelved) -> sled::Batch {
        let mut batch = sled::Batch::default();
        for (log, records) in &self.frames {
            for record in records {
                for (piece, bytes) in (0u16..).zip(record.bytes.chunks(RECORD_BYTES_MAX)) {
                    batch.insert(frames_key(*log, record.first, piece), bytes);
                }
            }
        }
        for contents in self.contents.chunks(256) {
            let group = contents[0].group;
            batch.insert(number_key(b'g', group), codec::encode(&contents));
        }
        if let Some(run) = &self.run {
            for key in &run.replaced {
                batch.remove(key);
            }
            for (name, record) in runs::records(&run.entries) {
                batch.insert(run_key(run.number, &name), record);
            }
        }
        for (segment, end) in &self.ends {
            batch.insert(number_key(b'z', *segment), codec::encode(end));
        }
        batch.insert(b"s", codec::encode(shelved));
        batch
    }
}

fn add_frame(records: &mut Vec<Record>, offset: u64, bytes: &[u8]) {
    match records.last_mut() {
        Some(record) if record.bytes.len() + bytes.len() <= RECORD_BYTES_MAX => {
            record.bytes.extend_from_slice(bytes);
        }
        _ => records.push(Record { first: offset, bytes: bytes.to_vec() }),
    }
}

fn frames_key(log: LogId, first: u64, piece: u16) -> Vec<u8> {
    let mut key = vec![b'f'];
    key.extend_from_slice(&log.0.to_be_bytes());
    key.extend_from_slice(&first.to_be_bytes());
    key.extend_from_slice(&piece.to_be_bytes());
    key
}

fn number_key(kind: u8, number: u64) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn run_key(run: u64, name: &[u8]) -> Vec<u8> {
    let mut key = number_key(b'r', run);
    key.extend_from_slice(name);
    key
}

/// A run about to be written.
struct NewRun {
    number: u64,
    /// Sorted by name; of one name, the last one made.
    entries: Vec<(Name, Recorded)>,
    /// Keys of the small run that is merged into it.
    replaced: Vec<sled::IVec>,
}

/// An open shelf. Every call contains sled's panics; the first error gives the shelf up for good.
pub(crate) struct Shelf {
    /// There until the shelf itself is dropped.
    db: Option<sled::Db>,
    opened: Instant,
    /// Milliseconds after `opened` at which a step began that has not ended; 0 if there is none.
    busy_since_ms: AtomicU64,
    shelved: AtomicU64,
    requests_shelved: AtomicU64,
    abandoned: watch::Sender<Option<String>>,
    /// The data directory stays locked until sled is really closed.
    _lock: Arc<File>,
}

impl Shelf {
    /// Opens or creates the shelf on a thread of its own; a panic or a missed deadline is an error.
    pub(crate) fn open(
        path: &Path,
        deadline: Duration,
        lock: Arc<File>,
    ) -> Result<(Self, Option<Shelved>), String> {
        let (done, opened) = mpsc::sync_channel(1);
        let path = path.to_owned();
        let run = move || {
            let result = catch_unwind(|| open_sled(&path)).unwrap_or_else(|_| Err("sled panicked".into()));
            // Nobody waits any more once the deadline has passed: the shelf is then closed again.
            drop(done.send(result));
        };
        let started = thread::Builder::new().name("shelf-open".into()).spawn(run);
        started.map_err(|error| error.to_string())?;
        let (db, shelved): (_, Option<Shelved>) = opened
            .recv_timeout(deadline)
            .unwrap_or_else(|_| Err(format!("it did not open within {} s", deadline.as_secs())))?;
        let shelf = Self {
            db: Some(db),
            opened: Instant::now(),
            busy_since_ms: AtomicU64::new(0),
            shelved: AtomicU64::new(shelved.map_or(0, |shelved| shelved.group)),
            requests_shelved: AtomicU64::new(shelved.map_or(0, |shelved| shelved.requests_group)),
            abandoned: watch::Sender::new(None),
            _lock: lock,
        };
        Ok((shelf, shelved))
    }

    /// Every request up to this group is in a run.
    pub(crate) fn requests_shelved(&self) -> u64 {
        self.requests_shelved.load(Ordering::Acquire)
    }

    /// Every frame up to this group is here.
    pub(crate) fn shelved(&self) -> u64 {
        self.shelved.load(Ordering::Acquire)
    }

    /// Why the shelf is out of use, if it is.
    pub(crate) fn abandoned(&self) -> Option<String> {
        self.abandoned.borrow().clone()
    }

    /// Tells at once when the shelf is given up.
    pub(crate) fn watch_abandoned(&self) -> watch::Receiver<Option<String>> {
        self.abandoned.subscribe()
    }

    /// Gives the shelf up: nobody reads from it or writes to it again in this process.
    pub(crate) fn abandon(&self, why: &str) {
        let first = self.abandoned.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert_with(|| why.to_owned());
            first
        });
        if first {
            tracing::error!(why, "the shelf is given up; history is read from segments until the next start");
        }
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Gives the shelf up if a step does not return: after a full disk, sled may never.
    pub(crate) fn check_deadline(&self) {
        let since = self.busy_since_ms.load(Ordering::Acquire);
        if since > 0 && self.age_ms().saturating_sub(since) > STEP_DEADLINE_MS {
            self.abandon("a step has not returned for a minute");
        }
    }

    /// Runs `work` on sled unless the shelf was given up.
    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> Result<T, String>) -> Result<T, String> {
        if let Some(why) = self.abandoned() {
            return Err(why);
        }
        let Some(db) = &self.db else { return Err("the shelf is closed".into()) };
        let result =
            catch_unwind(AssertUnwindSafe(|| work(db))).unwrap_or_else(|_| Err("sled panicked".to_owned()));
        if let Err(why) = &result {
            self.abandon(why);
        }
        result
    }

    /// Writes a step in one batch; `shelved` says how far the shelf is afterwards.
    pub(crate) fn apply(&self, step: &Step, shelved: &Shelved) -> Result<(), String> {
        self.busy_since_ms.store(self.age_ms(), Ordering::Release);
        let applied = self.with(|db| db.apply_batch(step.batch(shelved)).map_err(|error| error.to_string()));
        self.busy_since_ms.store(0, Ordering::Release);
        applied?;
        self.shelved.store(shelved.group, Ordering::Release);
        self.requests_shelved.store(shelved.requests_group, Ordering::Release);
        Ok(())
    }

    /// The frames at these offsets (ascending); those it does not hold are left out.
    pub(crate) fn fetch(&self, log: LogId, offsets: &[u64]) -> Result<Vec<Frame>, String> {
        self.with(|db| fetch(db, log, offsets))
    }

    /// The batch that a request made.
    pub(crate) fn request(&self, log: LogId, id: [u8; 16]) -> Result<Option<Recorded>, String> {
        self.with(|db| find_request(db, &(log, id)))
    }

    /// Adds a run of these requests (in commit order) to a step; small runs before it are merged in.
    pub(crate) fn add_run(&self, step: &mut Step, requests: &[(Name, Recorded)]) -> Result<(), String> {
        step.run = Some(self.with(|db| new_run(db, requests))?);
        Ok(())
    }

    /// Where a sealed segment ended.
    pub(crate) fn end_of(&self, segment: u64) -> Result<Option<End>, String> {
        self.with(|db| get(db, &number_key(b'z', segment)))
    }

    /// The body of a group with its segment and its number of frames, if all of it is here.
    pub(crate) fn group(&self, group: u64) -> Result<Option<ShelvedGroup>, String> {
        self.with(|db| {
            let Some(contents) = contents_of(db, group)? else { return Ok(None) };
            let mut body = Vec::new();
            let mut count = 0;
            for run in &contents.runs {
                count += run.count;
                if copy_frames(db, run, &mut body)?.is_none() {
                    return Ok(None);
                }
            }
            Ok(Some(ShelvedGroup { segment: contents.segment, count, body }))
        })
    }

    /// The segment that a group stands in.
    pub(crate) fn segment_of(&self, group: u64) -> Result<Option<u64>, String> {
        self.with(|db| Ok(contents_of(db, group)?.map(|contents| contents.segment)))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if self.abandoned().is_some() {
            // Closing a sled that failed may never return.
            std::mem::forget(self.db.take());
        }
    }
}

/// A group as the shelf can give it back.
pub(crate) struct ShelvedGroup {
    pub(crate) segment: u64,
    pub(crate) count: u32,
    pub(crate) body: Vec<u8>,
}

fn open_sled(path: &Path) -> Result<(sled::Db, Option<Shelved>), String> {
    // A shelf that was just closed in this process may hold its lock for a moment longer.
    let patience = Instant::now() + Duration::from_secs(5);
    let db = loop {
        let opened = sled::Config::new()
            .path(path)
            .segment_size(SLED_SEGMENT_BYTES)
            .cache_capacity(SLED_CACHE_BYTES)
            .flush_every_ms(Some(SLED_FLUSH_MS))
            .open();
        match opened {
            Err(error)
                if error.to_string().contains("could not acquire lock") && Instant::now() < patience =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            opened => break opened.map_err(|error| error.to_string())?,
        }
    };
    let shelved = get(&db, b"s")?;
    Ok((db, shelved))
}

/// The number of the newest run below `before`.
fn run_below(db: &sled::Db, before: u64) -> Result<Option<u64>, String> {
    let found = db.get_lt(number_key(b'r', before)).map_err(|error| error.to_string())?;
    let key = found.map(|(key, _)| key).filter(|key| key.first() == Some(&b'r'));
    Ok(key.and_then(|key| codec::u64_at(&key, 1)))
}

fn find_request(db: &sled::Db, name: &Name) -> Result<Option<Recorded>, String> {
    let mut before = u64::MAX;
    while let Some(run) = run_below(db, before)? {
        // The smallest key that is greater than the one we look for.
        let mut behind = run_key(run, &runs::name_bytes(name));
        behind.push(0);
        let record = db.get_lt(&behind).map_err(|error| error.to_string())?;
        let record = record.filter(|(key, _)| key.starts_with(&number_key(b'r', run)));
        if let Some(recorded) = record.and_then(|(_, record)| runs::find(&record, name)) {
            return Ok(Some(recorded));
        }
        before = run;
    }
    Ok(None)
}

/// A run of these requests and of the small runs before it, so that there are never many.
fn new_run(db: &sled::Db, requests: &[(Name, Recorded)]) -> Result<NewRun, String> {
    let number = run_below(db, u64::MAX)?.unwrap_or(0) + 1;
    let mut entries: BTreeMap<_, _> = requests.iter().copied().collect();
    let (mut replaced, mut before) = (Vec::new(), number);
    while let Some(run) = run_below(db, before)? {
        let most = (2 * entries.len()).min(RUN_REQUESTS_MAX.saturating_sub(entries.len()));
        let Some(older) = run_up_to(db, run, most)? else { break };
        for (key, record) in older {
            for (name, recorded) in runs::entries(&record) {
                entries.entry(name).or_insert(recorded);
            }
            replaced.push(key);
        }
        before = run;
    }
    Ok(NewRun { number, entries: entries.into_iter().collect(), replaced })
}

/// The records of a run, unless it holds more than `most` requests.
fn run_up_to(db: &sled::Db, run: u64, most: usize) -> Result<Option<Vec<(sled::IVec, sled::IVec)>>, String> {
    let (mut records, mut requests) = (Vec::new(), 0);
    for record in db.scan_prefix(number_key(b'r', run)) {
        let record = record.map_err(|error| error.to_string())?;
        requests += runs::entries(&record.1).count();
        if requests > most {
            return Ok(None);
        }
        records.push(record);
    }
    Ok(Some(records))
}

fn get<T: Decode<()>>(db: &sled::Db, key: &[u8]) -> Result<Option<T>, String> {
    let value = db.get(key).map_err(|error| error.to_string())?;
    value.map(|value| codec::decode(&value)).transpose().map_err(|error| error.to_string())
}

fn contents_of(db: &sled::Db, group: u64) -> Result<Option<Contents>, String> {
    let Some(after) = group.checked_add(1) else { return Ok(None) };
    let found = db.get_lt(number_key(b'g', after)).map_err(|error| error.to_string())?;
    let Some((key, value)) = found else { return Ok(None) };
    if key.first() != Some(&b'g') {
        return Ok(None);
    }
    let contents: Vec<Contents> = codec::decode(&value).map_err(|error| error.to_string())?;
    Ok(contents.into_iter().find(|contents| contents.group == group))
}

/// The record that holds `offset`, if there is one, put together from its pieces; and its first offset.
fn record_of(db: &sled::Db, log: LogId, offset: u64) -> Result<Option<(u64, Bytes)>, String> {
    let failed = |error: sled::Error| error.to_string();
    let Some(after) = offset.checked_add(1) else { return Ok(None) };
    let Some((key, value)) = db.get_lt(frames_key(log, after, 0)).map_err(failed)? else { return Ok(None) };
    let prefix = &frames_key(log, 0, 0)[..5];
    if !key.starts_with(prefix) || key.len() != 15 {
        return Ok(None);
    }
    let first = codec::u64_at(&key, 5).unwrap_or_default();
    if key[13..] == [0, 0] {
        return Ok(Some((first, Bytes::copy_from_slice(&value))));
    }
    let mut bytes = Vec::new();
    for entry in db.range(frames_key(log, first, 0)..=key.to_vec()) {
        bytes.extend_from_slice(&entry.map_err(failed)?.1);
    }
    Ok(Some((first, bytes.into())))
}

/// Reads records front to back, each only once for offsets that stand together.
struct Cursor {
    next: u64,
    at: usize,
    bytes: Bytes,
}

impl Cursor {
    /// The bytes of the frame at `offset`, which must not be before what was already passed.
    fn seek(&mut self, log: LogId, offset: u64) -> Result<Option<Bytes>, String> {
        while self.next <= offset && self.at < self.bytes.len() {
            let raw = Raw::read(&self.bytes[self.at..]).map_err(|error| error.to_string())?;
            if raw.place() != (log, self.next) {
                return Err(format!("the shelf has another frame at offset {} of log {log}", self.next));
            }
            raw.check().map_err(|error| error.to_string())?;
            let found = self.bytes.slice(self.at..self.at + raw.len());
            self.at += raw.len();
            self.next += 1;
            if self.next > offset {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn walk(
    db: &sled::Db,
    log: LogId,
    offsets: impl Iterator<Item = u64>,
    each: &mut dyn FnMut(u64, Bytes) -> Result<(), String>,
) -> Result<(), String> {
    let mut cursor = Cursor { next: 0, at: 0, bytes: Bytes::new() };
    for offset in offsets {
        let mut found = cursor.seek(log, offset)?;
        if found.is_none()
            && let Some((first, bytes)) = record_of(db, log, offset)?
        {
            cursor = Cursor { next: first, at: 0, bytes };
            found = cursor.seek(log, offset)?;
        }
        if let Some(bytes) = found {
            each(offset, bytes)?;
        }
    }
    Ok(())
}

fn fetch(db: &sled::Db, log: LogId, offsets: &[u64]) -> Result<Vec<Frame>, String> {
    let mut frames = Vec::with_capacity(offsets.len());
    walk(db, log, offsets.iter().copied(), &mut |_, bytes| {
        let raw = Raw::read(&bytes).map_err(|error| error.to_string())?;
        frames.push(raw.to_frame(&bytes).map_err(|error| error.to_string())?);
        Ok(())
    })?;
    Ok(frames)
}

/// Appends the frames of a run to `body`; `None` if one of them is not here.
fn copy_frames(db: &sled::Db, run: &Run, body: &mut Vec<u8>) -> Result<Option<()>, String> {
    let mut found = 0;
    let end = run.first.saturating_add(u64::from(run.count));
    walk(db, run.log, run.first..end, &mut |_, bytes| {
        body.extend_from_slice(&bytes);
        found += 1;
        Ok(())
    })?;
    Ok((found == run.count).then_some(()))
}
