//! The shelf: the journal's reading copy in sled. A pure function of the segments, trusted by nobody.
//!
//! One tree, so that one batch covers a whole step; the first byte of a key says what it is:
//! `f` log, first offset, piece: frames as they stand in a segment, up to 64 KiB a record;
//! `g` first group of a step: which segment its groups stand in and which frames they hold;
//! `r` run, log, request id: old requests (see [`runs`]); `s`: how far the shelf is; `z` segment:
//! where that sealed segment ended. `f`, `g` and `z` are all it takes to refill a segment byte by byte.

mod keys;
mod lookup;
pub(crate) mod runs;
mod step;

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bincode::{Decode, Encode};
use tokio::sync::watch;

use super::folder::Folder;
use super::format::StoreId;
use crate::codec;
use crate::seal::Hash;
use crate::{Frame, LogId, Recorded};
use keys::number_key;
use lookup::contents_of;
use runs::Name;
pub(crate) use step::Step;

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
    /// Stands once the shelf is given up.
    marker: PathBuf,
    /// The data directory stays locked until sled is really closed.
    _lock: Arc<File>,
}

impl Shelf {
    /// Opens or creates the shelf on a thread of its own; a panic or a missed deadline is an error.
    pub(crate) fn open(
        folder: &Folder,
        deadline: Duration,
        lock: Arc<File>,
    ) -> Result<(Self, Option<Shelved>), String> {
        let (done, opened) = mpsc::sync_channel(1);
        let path = folder.shelf();
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
            marker: folder.shelf_abandoned(),
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
            // The next start sees this and rebuilds the shelf; without room it checks the digest.
            drop(fs::write(&self.marker, b""));
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
        self.with(|db| lookup::fetch(db, log, offsets))
    }

    /// The batch that a request made.
    pub(crate) fn request(&self, log: LogId, id: [u8; 16]) -> Result<Option<Recorded>, String> {
        self.with(|db| runs::find_in_all(db, &(log, id)))
    }

    /// Adds a run of these requests (in commit order) to a step; small runs before it are merged in.
    pub(crate) fn add_run(&self, step: &mut Step, requests: &[(Name, Recorded)]) -> Result<(), String> {
        step.set_run(self.with(|db| runs::new_run(db, requests))?);
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
                if lookup::copy_frames(db, run, &mut body)?.is_none() {
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
            Err(error) if may_be_locked(&error) && Instant::now() < patience => {
                thread::sleep(Duration::from_millis(20));
            }
            opened => break opened.map_err(|error| error.to_string())?,
        }
    };
    let shelved = get(&db, b"s")?;
    Ok((db, shelved))
}

/// Whether another sled may have the folder: sled has no kind of its own for that.
fn may_be_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.kind() == std::io::ErrorKind::Other)
}

fn get<T: Decode<()>>(db: &sled::Db, key: &[u8]) -> Result<Option<T>, String> {
    let value = db.get(key).map_err(|error| error.to_string())?;
    value.map(|value| codec::decode(&value)).transpose().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_that_is_given_up_is_marked_at_once() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path());
        let lock = Arc::new(folder.lock().unwrap());
        let (shelf, _) = Shelf::open(&folder, Duration::from_secs(60), lock).unwrap();
        assert!(!folder.shelf_abandoned().exists());
        shelf.abandon("a step has not returned");
        assert!(folder.shelf_abandoned().exists(), "a shelver that never ends could not say so");
    }
}
