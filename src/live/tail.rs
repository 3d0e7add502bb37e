//! The newest entries of a log, as they are shown.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use taffrail_domain::{LogTag, Offset};
use taffrail_journal::ReadError;
use taffrail_projections::{WorkspaceWorld, World};
use tokio::sync::{Semaphore, watch};

use super::Render;
use super::post::Post;
use crate::boot::Taffrail;
use crate::writer::Writer;

/// What a tail keeps at most.
const POSTS_MAX: usize = 8_192;
const BYTES_MAX: usize = 16 << 20;
/// Entries that are read at once, by the tail and by those behind it.
pub(super) const PAGE: usize = 256;
/// Subscribers of one log that read from the journal at a time; the others wait for their turn.
const CATCH_UPS: usize = 4;

/// One log's tail.
pub(super) struct Tail {
    app: Arc<Taffrail>,
    pub(super) log: LogTag,
    pub(super) writer: Writer<WorkspaceWorld>,
    render: Render,
    ring: RwLock<Ring>,
    /// The last offset that is posted; what subscribers wait for.
    posted: watch::Sender<Offset>,
    pub(super) catch_ups: Semaphore,
}

/// Posts of consecutive offsets.
#[derive(Default)]
struct Ring {
    posts: VecDeque<Arc<Post>>,
    bytes: usize,
}

impl Tail {
    /// Begins at the published head, and goes on for as long as somebody holds it.
    pub(super) fn start(app: &Arc<Taffrail>, log: LogTag, render: Render) -> Option<Arc<Self>> {
        let writer = app.workspace_of_log(log)?;
        let head = writer.world().head();
        let tail = Arc::new(Self {
            app: Arc::clone(app),
            log,
            writer,
            render,
            ring: RwLock::default(),
            posted: watch::Sender::new(head),
            catch_ups: Semaphore::new(CATCH_UPS),
        });
        tokio::spawn(keep(Arc::downgrade(&tail), tail.writer.watch()));
        Some(tail)
    }

    pub(super) fn posted(&self) -> watch::Receiver<Offset> {
        self.posted.subscribe()
    }

    /// The first offset that is kept, or the one that will be.
    pub(super) fn first(&self) -> Offset {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.posts.front().map_or_else(|| self.posted.borrow().plus(1), |post| post.offset)
    }

    /// The posts at these offsets, ascending: from here, else from the journal.
    pub(super) async fn posts(
        &self,
        world: &WorkspaceWorld,
        offsets: &[Offset],
    ) -> Result<Vec<Arc<Post>>, ReadError> {
        let (missing, kept) = self.kept(offsets);
        if missing.is_empty() {
            return Ok(kept);
        }
        let entries = self.app.entries_at(self.log, missing).await?;
        let read = entries.iter().map(|entry| Arc::new(Post::of(entry, world, self.render)));
        Ok(read.chain(kept).collect())
    }

    /// Those that are older than what is kept, and those that are kept.
    fn kept(&self, offsets: &[Offset]) -> (Vec<Offset>, Vec<Arc<Post>>) {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = ring.posts.front().map(|post| post.offset) else {
            return (offsets.to_vec(), vec![]);
        };
        let at = offsets.partition_point(|offset| *offset < first);
        let place = |offset: &Offset| {
            usize::try_from(offset.0 - first.0).ok().and_then(|index| ring.posts.get(index))
        };
        let kept: Vec<_> = offsets[at..].iter().filter_map(place).cloned().collect();
        (offsets[..at].to_vec(), kept)
    }

    /// Posts all that was published since, and says so.
    async fn catch_up(&self, world: &WorkspaceWorld) -> Result<(), ReadError> {
        let (mut last, head) = (*self.posted.borrow(), world.head());
        if head.0.saturating_sub(last.0) > POSTS_MAX as u64 {
            // What does not fit is read by those who need it.
            last = Offset(head.0 - POSTS_MAX as u64);
            *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Ring::default();
        }
        while last < head {
            let end = Offset((last.0 + PAGE as u64).min(head.0));
            let offsets = (last.0 + 1..=end.0).map(Offset).collect();
            let entries = self.app.entries_at(self.log, offsets).await?;
            let posts: Vec<_> =
                entries.iter().map(|entry| Arc::new(Post::of(entry, world, self.render))).collect();
            self.ring.write().unwrap_or_else(PoisonError::into_inner).push(posts);
            last = end;
            self.posted.send_replace(last);
        }
        Ok(())
    }
}

impl Ring {
    fn push(&mut self, posts: Vec<Arc<Post>>) {
        for post in posts {
            self.bytes += post.bytes();
            self.posts.push_back(post);
        }
        while (self.posts.len() > POSTS_MAX || self.bytes > BYTES_MAX) && self.posts.len() > 1 {
            if let Some(oldest) = self.posts.pop_front() {
                self.bytes -= oldest.bytes();
            }
        }
    }
}

/// The task of a tail: it does not hold the tail, so that the tail ends with its last subscriber.
async fn keep(tail: Weak<Tail>, mut published: watch::Receiver<Arc<WorkspaceWorld>>) {
    loop {
        let world = Arc::clone(&published.borrow_and_update());
        let Some(tail) = tail.upgrade() else { return };
        if let Err(error) = tail.catch_up(&world).await {
            // Those who follow read the same from the journal, and tell their callers.
            tracing::error!(log = tail.log.0, %error, "the tail of a log could not be read");
            tail.posted.send_replace(world.head());
            *tail.ring.write().unwrap_or_else(PoisonError::into_inner) = Ring::default();
        }
        drop(tail);
        if published.changed().await.is_err() {
            return;
        }
    }
}
