//! Live verification of one log against the segment files, which are the truth: never the shelf,
//! never the memory tail.
//!
//! Nothing is locked while a file is read, and only frames count that were durable when the walk
//! began. A sealed segment that was proven is left out as long as its file cannot have changed; the
//! open one is read each time.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use tokio::sync::OwnedMutexGuard;

use super::index::Holder;
use super::reader::blocking;
use super::remains::{Budget, Remains};
use super::shared::Shared;
use crate::prove::{Proof, Prover};
use crate::{LogId, Position, ReadError};

/// Stretches that are remembered at most, about 200 bytes each: of one log, 2 TiB in full segments.
const PROVEN_MAX: usize = 1 << 17;
/// A file that changed so lately may change again within the same tick of the file system's clock.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// No segment is longer: a file that somebody made to be must not fill the memory.
const LEN_MAX: u64 = 1 << 30;

/// What tells that a file was not touched since. Bits that rot leave no trace in it: for these, all
/// is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Whether the next change will be seen.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1)) else {
            return false;
        };
        UNIX_EPOCH
            .checked_add(Duration::new(seconds, nanos))
            .and_then(|changed| changed.checked_add(SETTLED_AFTER))
            .is_some_and(|settled| settled <= now)
    }
}

/// What a file said between two positions of a log.
#[derive(Clone, Copy, Debug)]
struct Proven {
    file: Identity,
    start: Position,
    end: Position,
}

/// What was proven, by log and segment.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    logs: HashMap<LogId, BTreeMap<u64, Proven>>,
    count: usize,
}

impl Memory {
    fn get(&self, log: LogId, segment: u64) -> Option<Proven> {
        self.logs.get(&log)?.get(&segment).copied()
    }

    fn insert(&mut self, log: LogId, segment: u64, proven: Proven) {
        if self.count >= PROVEN_MAX {
            self.logs.retain(|known, _| *known == log);
            self.count = self.logs.values().map(BTreeMap::len).sum();
        }
        // A log that fills it alone has its end read each time.
        if self.count < PROVEN_MAX {
            self.count += usize::from(self.logs.entry(log).or_default().insert(segment, proven).is_none());
        }
    }

    fn remove(&mut self, log: LogId, segment: u64) {
        self.count -= usize::from(self.logs.get_mut(&log).is_some_and(|log| log.remove(&segment).is_some()));
    }
}

/// Proves a log up to where it stands now.
pub(crate) async fn prove(shared: &Arc<Shared>, log: LogId, all: bool) -> Result<Proof, ReadError> {
    let memory = shared.proven.clone().lock_owned().await;
    let head = shared.position(log);
    let mut holders = shared.index.holders(log, head.offset);
    holders.reverse();
    let mut walk = Walk {
        shared: shared.clone(),
        memory,
        log,
        all,
        holders,
        prover: Prover::new(head),
        verified_from: None,
    };
    // One segment at a step: a caller that goes away is noticed in between, and the walk ends.
    while !walk.holders.is_empty() {
        let step = blocking(move || walk.step().map(|()| walk)).await;
        walk = step.and_then(|walked| walked).map_err(ReadError::Unavailable)?;
    }
    let verified_from = walk.verified_from.unwrap_or_else(|| head.offset.saturating_add(1));
    Ok(walk.prover.finish(verified_from))
}

/// A walk under way.
struct Walk {
    shared: Arc<Shared>,
    /// Held to the end of a step even if nobody waits for it any more.
    memory: OwnedMutexGuard<Memory>,
    log: LogId,
    all: bool,
    /// What is still to come, the next one last.
    holders: Vec<Holder>,
    prover: Prover,
    verified_from: Option<u64>,
}

impl Walk {
    /// Leaves out what need not be read, and reads the next segment that does.
    fn step(&mut self) -> Result<(), String> {
        while let Some(holder) = self.holders.pop() {
            if self.all || !self.skips(&holder) {
                return self.read(&holder);
            }
        }
        Ok(())
    }

    /// Whether this segment was proven from here on, and its file is the same.
    fn skips(&mut self, holder: &Holder) -> bool {
        let Some(Proven { file, start, end }) = self.memory.get(self.log, holder.segment) else {
            return false;
        };
        let now = std::fs::metadata(self.shared.folder.segment(holder.segment));
        now.is_ok_and(|now| Identity::of(&now) == file) && self.prover.skip(&start, &end)
    }

    fn read(&mut self, holder: &Holder) -> Result<(), String> {
        let Holder { segment, first_group, last_group, last, sealed } = *holder;
        self.verified_from.get_or_insert(self.prover.next());
        self.memory.remove(self.log, segment);
        let len_max = LEN_MAX.max(self.shared.options.segment_bytes);
        let (bytes, file) = match load(&self.shared.folder.segment(segment), len_max) {
            Ok(loaded) => loaded,
            Err(error) if is_ours(&error) => return Err(format!("read segment {segment}: {error}")),
            Err(error) => {
                // What it held is then missing, and the walk says so.
                tracing::error!(segment, %error, "a segment could not be read to be proven");
                return Ok(());
            }
        };
        let (start, noted) = (self.prover.position(), self.prover.noted());
        let (store, log) = (&self.shared.store, self.log);
        let budget = Budget::of(&bytes);
        let remains = Remains { bytes: &bytes, store, segment, first_group, last_group, log, budget };
        remains.give(&mut self.prover);
        if let (Some(start), Some(end), Some(file)) = (start, self.prover.position(), file)
            && (sealed && end.offset == last && self.prover.noted() == noted)
        {
            self.memory.insert(self.log, segment, Proven { file, start, end });
        }
        Ok(())
    }
}

/// The bytes of a file, and its identity if it did not change while it was read.
fn load(path: &Path, len_max: u64) -> io::Result<(Vec<u8>, Option<Identity>)> {
    let file = File::open(path)?;
    let before = Identity::of(&file.metadata()?);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(before.len.min(len_max)).unwrap_or(0))?;
    (&file).take(len_max).read_to_end(&mut bytes)?;
    let after = Identity::of(&file.metadata()?);
    let is_settled = before == after && before.is_settled(SystemTime::now());
    Ok((bytes, is_settled.then_some(before)))
}

/// Whether a file could not be read for want of something in this process, which says nothing about
/// the file.
fn is_ours(error: &io::Error) -> bool {
    let errors = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    error.kind() == io::ErrorKind::OutOfMemory
        || errors.iter().any(|ours| error.raw_os_error() == Some(ours.raw_os_error()))
}
