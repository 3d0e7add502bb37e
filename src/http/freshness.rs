//! Read after write: a GET that sends a write's `Taffrail-Cursor` back sees that write (`DESIGN.md` 4).

use axum::http::Method;
use axum::http::request::Parts;
use taffrail_domain::{EntryId, LogTag};

use super::caller::Caller;
use super::problem::Problem;

/// In a write's answer: its last entry. In a read: not before this.
pub(super) const TAFFRAIL_CURSOR: &str = "taffrail-cursor";

/// Waits until what the caller heard of is there to be read.
///
/// # Errors
/// 400 for what is no cursor of the caller's, 503 for one that is not reached in time.
pub(super) async fn wait(parts: &Parts, caller: &Caller) -> Result<(), Problem> {
    let Some(value) = parts.headers.get(TAFFRAIL_CURSOR) else { return Ok(()) };
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let bad = || Problem::invalid("cursor.malformed", "bad Taffrail-Cursor");
    let id = value.to_str().ok().and_then(EntryId::parse).ok_or_else(bad)?;
    let reached = if id.log == LogTag::INSTANCE {
        caller.app.instance().world_at(id.offset).await.is_some()
    } else {
        // A workspace that is not the caller's is no different from one that is not there.
        let writer = caller.writer_of(id.log).ok_or_else(bad)?;
        writer.world_at(id.offset).await.is_some()
    };
    if reached {
        return Ok(());
    }
    Err(Problem::unavailable("cursor.not_reached", "The cursor was not reached in time"))
}
