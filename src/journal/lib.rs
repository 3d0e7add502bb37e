//! The journal: append-only logs of frames, their offsets, hashes and storage.
//!
//! It knows logs, offsets and bytes. It must never learn what a mission is: nothing here may
//! depend on the domain, and nothing outside this crate may know segments or sled.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod codec;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod frame;
#[cfg(test)]
mod golden;
pub mod memory;
pub mod prove;
pub mod seal;
pub mod segment;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bincode::{Decode, Encode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use codec::Malformed;
pub use memory::MemoryJournal;
pub use prove::{Break, BreakKind, Proof};
pub use segment::{OpenError, Options, SegmentJournal};

/// A boxed future, so that [`Journal`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which log: a 24-bit tag. 0 is the instance log, every workspace has its own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
pub struct LogId(pub u32);

impl LogId {
    /// The log of users, tokens and the registry of workspaces.
    pub const INSTANCE: Self = Self(0);
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who asked for a batch, so that a repeat is recognised for as long as the journal lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
pub struct Request {
    /// 16 bytes of SHA-256 over principal and key; all zero means "not asked for by name".
    pub id: [u8; 16],
    /// 8 bytes over method, path and body: the same key with another wish is refused.
    pub fingerprint: [u8; 8],
}

/// A frame before the journal has given it an offset and sealed it.
#[derive(Clone, Debug)]
pub struct Unsealed {
    /// Entry time, milliseconds since the Unix epoch; never decreasing within a log.
    pub time_ms: u64,
    /// Event kind, e.g. `mission.created`.
    pub kind: Box<str>,
    /// Version of the body's shape, from 1.
    pub version: u16,
    /// Id of what the entry is about.
    pub subject: Box<str>,
    /// Who did it, as `type:id`.
    pub actor: Box<str>,
    /// Set on every frame of a batch that a named request made.
    pub request: Option<Request>,
    /// JSON body.
    pub body: Bytes,
}

/// What stands before the body of a sealed frame and is hashed into the chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// Frame format, 1.
    pub format: u8,
    /// The log it stands in.
    pub log: LogId,
    /// Its position there: dense, from 1.
    pub offset: u64,
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Event kind.
    pub kind: Box<str>,
    /// Version of the body's shape.
    pub version: u16,
    /// What it is about.
    pub subject: Box<str>,
    /// Who did it.
    pub actor: Box<str>,
    /// The request that made it, if it had a name.
    pub request: Option<Request>,
}

/// A sealed frame: what the journal holds at one offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Position and facts about the entry.
    pub header: Header,
    /// HMAC-SHA-256(nonce, body): stays when the body is erased.
    pub commitment: [u8; 32],
    /// Nonce and body; `None` once erased.
    pub content: Option<Content>,
    /// SHA-256(previous chain ‖ leaf), leaf = SHA-256(0x00 ‖ header ‖ commitment).
    pub chain: [u8; 32],
}

/// What an erasure takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Key of the commitment.
    pub nonce: [u8; 16],
    /// JSON body.
    pub body: Bytes,
}

/// A proven point in a log: everything up to `offset` is summed up in `chain`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Position {
    /// Offset of the last frame counted; 0 before the first.
    pub offset: u64,
    /// Chain hash there; zeros before the first.
    pub chain: [u8; 32],
}

/// The batch that a named request made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Recorded {
    /// Fingerprint it came with.
    pub fingerprint: [u8; 8],
    /// First offset of its batch.
    pub first: u64,
    /// Last offset of its batch.
    pub last: u64,
}

/// Why nothing was appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else was faster, or the batch before it failed.
    #[error("expected head {expected}, found {actual}")]
    Conflict {
        /// What the caller thought.
        expected: u64,
        /// What is true.
        actual: u64,
    },
    /// No room on the disk; nothing was written and the journal lives on.
    #[error("no room for another group")]
    Full,
    /// One batch is larger than any group may be.
    #[error("batch too large: {0}")]
    TooLarge(&'static str),
    /// A write or sync failed: the outcome of what was under way is unknown, nothing more is accepted.
    #[error("the journal is poisoned: {0}")]
    Poisoned(String),
}

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The stored bytes do not check, and no good copy was found.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The disk or the reading copy did not answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Most frames one batch may hold.
pub const BATCH_FRAMES_MAX: usize = 4_096;
/// Most bytes one batch may hold, sealed.
pub const BATCH_BYTES_MAX: usize = 32 << 20;
/// Most bytes one frame may hold, sealed: any body that the API accepts (1 MiB) must be storable.
pub const FRAME_BYTES_MAX: usize = 4 << 20;

/// Append-only logs with dense offsets from 1.
pub trait Journal: Send + Sync + 'static {
    /// Puts `frames` at `expected+1..` all together or not at all, if the head is still `expected`;
    /// returns the new head once durable. A second batch may be handed over before the first is durable
    /// (`expected` is then where the first one ends).
    ///
    /// # Errors
    /// See [`AppendError`]; in each case nothing of the batch stands in the journal, except
    /// `Poisoned`, whose outcome is unknown.
    fn append(
        &self,
        log: LogId,
        expected: u64,
        frames: Vec<Unsealed>,
    ) -> BoxFuture<'_, Result<u64, AppendError>>;

    /// Frames after offset `after`, in order, at most `limit`; empty at the head.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn read(&self, log: LogId, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>>;

    /// The frames at these offsets (ascending or descending), in the order asked for; an offset past the head is an error.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn read_at(&self, log: LogId, offsets: Vec<u64>) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>>;

    /// The batch that request `id` made in this log, however long ago.
    ///
    /// # Errors
    /// `Unavailable` if old requests cannot be looked up: the caller must then not act.
    fn recorded(&self, log: LogId, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Recorded>, ReadError>>;

    /// As [`Journal::recorded`], but only among the newest 100,000 requests, which are in memory.
    fn recorded_recently(&self, log: LogId, id: [u8; 16]) -> Option<Recorded>;

    /// The highest durable offset of a log.
    fn head(&self, log: LogId) -> watch::Receiver<u64>;

    /// The chain position at the durable head of a log (for snapshots and verification).
    fn position(&self, log: LogId) -> Position;

    /// Proves a log as it is stored, up to its durable head when the walk began, and says every break.
    ///
    /// What was proven before and cannot have changed since is left out, unless `all` wants it read
    /// again. Appends go on meanwhile. There is one such walk at a time: a second caller waits.
    ///
    /// # Errors
    /// `Unavailable` if it could not be looked at all: that says nothing about the log.
    fn prove(&self, log: LogId, all: bool) -> BoxFuture<'_, Result<Proof, ReadError>>;

    /// Every log that has at least one frame.
    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, ReadError>>;

    /// Whether there is room for new work: asked before a command is decided.
    fn has_room(&self) -> bool;

    /// What operators want to know.
    fn health(&self) -> Health;
}

/// What operators want to know of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Set once a write or sync failed; the process must end.
    pub poisoned: Option<String>,
    /// Groups that are durable but not yet in the reading copy.
    pub shelver_lag_groups: u64,
    /// Bytes of those groups.
    pub shelver_lag_bytes: u64,
    /// Why the reading copy is out of use, if it is.
    pub shelf_abandoned: Option<String>,
    /// Things that were repaired or rebuilt at open, one sentence each.
    pub repairs: Vec<String>,
    /// Whether appends are refused for want of room.
    pub full: bool,
}
