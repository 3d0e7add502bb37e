//! Live streams over the journal: one `follow` from a cursor, and SSE and WebSocket on it.
//!
//! A log's [`Tail`] keeps its newest entries as they are shown, rendered once and shared. A subscriber owns
//! nothing but its cursor: it reads on from there at its own speed, from the tail, or behind it from the
//! journal. Nobody waits for a subscriber; one that is slow or dead only falls behind.
//!
//! What is told is durable and can be read: the tail follows the world that the writer has published.

mod access;
mod follow;
mod post;
mod socket;
mod sse;
mod tail;
mod tickets;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::body::Bytes;
use taffrail_domain::{Entry, LogTag};
use taffrail_projections::WorkspaceWorld;

pub use access::Access;
pub use follow::{Follow, Start};
pub use socket::{Dialogue, Talk};
pub use sse::stream;
pub use tickets::{TICKET_LIFE, Tickets};

use crate::boot::Taffrail;
use tail::Tail;

/// How an entry is shown; `None` for one that the public does not see.
pub type Render = fn(&Entry, &WorkspaceWorld) -> Option<Bytes>;

/// The streams of one instance.
pub struct Live {
    app: Arc<Taffrail>,
    render: Render,
    tails: Mutex<HashMap<LogTag, Weak<Tail>>>,
    /// Tickets for sockets.
    pub tickets: Tickets,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live(…)")
    }
}

impl Live {
    /// The streams of an instance, with what an entry looks like.
    #[must_use]
    pub fn new(app: Arc<Taffrail>, render: Render) -> Self {
        Self { app, render, tails: Mutex::default(), tickets: Tickets::default() }
    }

    /// The tail of an open workspace's log; there is one for as long as somebody follows it.
    fn tail(&self, log: LogTag) -> Option<Arc<Tail>> {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tail) = tails.get(&log).and_then(Weak::upgrade) {
            return Some(tail);
        }
        tails.retain(|_, tail| tail.strong_count() > 0);
        let tail = Tail::start(&self.app, log, self.render)?;
        tails.insert(log, Arc::downgrade(&tail));
        Some(tail)
    }
}
