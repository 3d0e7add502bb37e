//! How an instance is opened, and why it may refuse.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use taffrail_domain::{DecodeError, LogTag, Offset, Time};
use taffrail_journal::{OpenError, ReadError};

use crate::engine::Reach;
use crate::writer::{Clock, ExecuteError};

/// How an instance is opened.
#[derive(Clone)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// Start although the clock is more than 24 h behind the last entry.
    pub accept_clock: bool,
    /// How long after the start bootstrap is open; `None` until there is a user (`platform.md` 0.1).
    pub bootstrap_window: Option<Duration>,
    /// The wall clock.
    pub clock: Clock,
    /// What steps of routines may ask over HTTP.
    pub reach: Reach,
}

impl Options {
    /// The defaults for a data directory.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            accept_clock: false,
            bootstrap_window: None,
            clock: Arc::new(wall_clock),
            reach: Reach::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("data", &self.data)
            .field("accept_clock", &self.accept_clock)
            .field("bootstrap_window", &self.bootstrap_window)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Why an instance did not start. Nothing acknowledged was changed.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The clock is far behind the last entry.
    #[error("{0}; set the clock right, or start with --accept-clock if it is")]
    Clock(OpenError),
    /// The journal did not open.
    #[error("the journal: {0}")]
    Open(OpenError),
    /// The journal could not be read.
    #[error("the journal: {0}")]
    Read(#[from] ReadError),
    /// An entry could not be understood; if it is newer, start the Taffrail that wrote it.
    #[error("log {} offset {offset}: {source}", log.0)]
    Decode {
        /// Its log.
        log: LogTag,
        /// Its place there.
        offset: Offset,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Entries do not follow one another.
    #[error("log {} goes on at offset {found} behind {head}", log.0)]
    Gap {
        /// The log.
        log: LogTag,
        /// The last offset that was folded.
        head: Offset,
        /// What came next.
        found: Offset,
    },
    /// The vault or the snapshots' folder could not be opened.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What must follow a registered workspace could not be done.
    #[error("workspace {workspace} could not be opened: {source}")]
    FollowUp {
        /// Which.
        workspace: String,
        /// Why not.
        source: ExecuteError,
    },
    /// A thread of the start-up is gone.
    #[error("the start-up panicked")]
    Panicked,
}

impl From<OpenError> for BootError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::ClockBehind { .. } => Self::Clock(error),
            _ => Self::Open(error),
        }
    }
}

impl BootError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
