//! How a journal is opened, and why it may refuse.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::disk::{self, Disk, RealDisk};
use crate::LogId;

/// Asks how many bytes are free for us on the file system of a path.
pub type FreeBytes = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;
/// Tells the time: milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A start this far behind the last entry is a broken clock, not a slow one.
pub const CLOCK_BEHIND_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// How a journal is opened.
#[derive(Clone)]
pub struct Options {
    /// The data directory: `store`, `lock`, `segments/` and `shelf/` live there.
    pub data: PathBuf,
    /// Size at which a segment is sealed and the next one begun, bytes. Default 16 MiB.
    pub segment_bytes: u64,
    /// Room that must stay free on the disk, bytes. Default 64 MiB.
    pub free_bytes_min: u64,
    /// How free room is asked for. Default: the file system.
    pub free_bytes: FreeBytes,
    /// How segments are written. Default: the machine's own disk.
    pub disk: Arc<dyn Disk>,
    /// Whether there is a shelf at all; without one, history is read from segments. Default true.
    pub shelf: bool,
    /// Unshelved bytes at which the shelver makes a step. Default 64 KiB.
    pub shelve_bytes: usize,
    /// Longest time a frame waits for the shelver's next step. Default 200 ms.
    pub shelve_after: Duration,
    /// Bytes that the shelver may fall behind while commits follow one another without a pause; from
    /// there on it works beside them. Default 256 MiB.
    pub burst_bytes_max: u64,
    /// Longest time the shelf may take to open before it is given up. Default 60 s.
    pub shelf_deadline: Duration,
    /// Requests kept in memory at least. Default 100,000.
    pub requests_kept: usize,
    /// Requests kept in memory at most while the shelf is behind. Default 1,000,000.
    pub requests_max: usize,
    /// Bytes of frames kept in memory at most while the shelf is behind. Default 64 MiB.
    pub tail_bytes_max: usize,
    /// The clock. Default: the machine's own.
    pub now_ms: NowMs,
    /// Start although the clock is more than 24 h behind the last entry. Default false.
    pub accept_clock: bool,
}

impl Options {
    /// The defaults for a data directory.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            segment_bytes: 16 << 20,
            free_bytes_min: 64 << 20,
            free_bytes: Arc::new(disk::free_bytes),
            disk: Arc::new(RealDisk),
            shelf: true,
            shelve_bytes: 64 << 10,
            shelve_after: Duration::from_millis(200),
            burst_bytes_max: 256 << 20,
            shelf_deadline: Duration::from_secs(60),
            requests_kept: 100_000,
            requests_max: 1_000_000,
            tail_bytes_max: 64 << 20,
            now_ms: Arc::new(now_ms),
            accept_clock: false,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("data", &self.data)
            .field("segment_bytes", &self.segment_bytes)
            .field("free_bytes_min", &self.free_bytes_min)
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Why a journal was not opened. Nothing that holds acknowledged entries was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the data directory.
    #[error("the data directory is in use by another process")]
    Locked,
    /// The store or a segment was written by a newer program, or is none of ours.
    #[error("{0}")]
    Format(String),
    /// Stored bytes do not check and no good copy was found: a backup or a repair is needed.
    #[error("segment {segment} is damaged at byte {byte}, group {group}: {why}")]
    Damaged {
        /// Number of the segment, as in its file name.
        segment: u64,
        /// Byte in that file.
        byte: u64,
        /// The first group that is not whole.
        group: u64,
        /// What does not check.
        why: String,
    },
    /// Snapshots of these logs claim positions that the journal never had. Drop them and everything
    /// folded so far, and open again without them.
    #[error("snapshots of {} logs do not lie on the journal", logs.len())]
    SnapshotMismatch {
        /// Their logs.
        logs: Vec<LogId>,
    },
    /// The clock is far behind the last entry. `accept_clock` starts all the same.
    #[error("the clock ({now_ms} ms) is more than 24 h behind the last entry ({last_entry_ms} ms)")]
    ClockBehind {
        /// Time of the last entry, milliseconds since the Unix epoch.
        last_entry_ms: u64,
        /// What the clock says.
        now_ms: u64,
    },
    /// The disk did not do what was asked.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
