//! Server-sent events over one [`Follow`] (`journal.md` 3.4, ruling R6).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::{self, Stream};
use taffrail_domain::EntryId;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::{Access, Follow};
use tokio::time::Instant;

/// A comment at least so often: what stands between must not think the stream dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
const HEARTBEAT_TEXT: &[u8] = b": heartbeat\n\n";

struct Streaming {
    follow: Follow,
    access: Access,
    heartbeat: Interval,
    /// Said before anything else.
    greeting: Option<Bytes>,
}

/// The stream of what follows, as long as its credential counts and the instance runs. A subscriber that
/// does not read on holds one page of entries and what the system has taken of it, nothing more.
pub fn stream(
    follow: Follow,
    access: Access,
    reset: Option<EntryId>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first bytes tell the client that it is heard, however long nothing happens.
    let greeting = match reset {
        Some(oldest) => format!("event: reset\ndata: {{\"oldest\":\"{oldest}\"}}\n\n").into(),
        None => Bytes::from_static(b": following\n\n"),
    };
    let streaming = Streaming { follow, access, heartbeat, greeting: Some(greeting) };
    stream::unfold(streaming, |mut streaming| async move {
        let piece = streaming.next().await?;
        Some((Ok(piece), streaming))
    })
}

impl Streaming {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        let app = std::sync::Arc::clone(self.access.app());
        loop {
            tokio::select! {
                () = app.closing() => return None,
                () = self.access.lost() => return None,
                posts = self.follow.next() => {
                    // A member who was removed hears nothing further, not even that.
                    if !self.access.is_member(&self.follow.world()) {
                        return None;
                    }
                    match posts {
                        Ok(posts) => if let Some(piece) = joined(&posts) { return Some(piece) },
                        Err(error) => {
                            // The client comes again with the last id it has.
                            tracing::error!(%error, "a stream ends: the journal could not be read");
                            return None;
                        }
                    }
                }
                _ = self.heartbeat.tick() => return Some(Bytes::from_static(HEARTBEAT_TEXT)),
            }
        }
    }
}

/// Events in one piece: a write for each would cost more than copying them.
fn joined(posts: &[std::sync::Arc<super::post::Post>]) -> Option<Bytes> {
    let mut events = posts.iter().filter_map(|post| post.event.as_ref());
    let (first, second) = (events.next()?, events.next());
    let Some(second) = second else { return Some(first.clone()) };
    let mut piece =
        Vec::with_capacity(posts.iter().filter_map(|post| post.event.as_ref()).map(Bytes::len).sum());
    [first, second].into_iter().chain(events).for_each(|event| piece.extend_from_slice(event));
    Some(piece.into())
}
