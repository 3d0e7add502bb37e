//! What a connection waits for, and how long its peer may take for it.
//!
//! Stream, service and body note what happens where it happens; the connection's task looks at it each
//! time it has done what it could. A deadline inside the stream would not do: a stream that nobody reads
//! just now is never asked, and so never wakes anybody.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// From the first byte of a head, or from the beginning of the connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// From one answer to the next request.
const IDLE_PATIENCE: Duration = Duration::from_secs(120);
/// For the next byte of an answer to be taken.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// What is known of a connection. Only its own task looks, so no order between the parts matters.
#[derive(Debug)]
pub(super) struct Progress {
    /// A request is being answered: its peer may take its time, and the answer too.
    is_answering: AtomicBool,
    /// Bytes came that no request was made of yet.
    has_begun: AtomicBool,
    /// The system takes no more of an answer.
    is_stuck: AtomicBool,
    /// Times that it took something.
    sent: AtomicU64,
}

impl Progress {
    /// Of a connection that was just accepted, and should say something soon.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            is_answering: AtomicBool::new(false),
            has_begun: AtomicBool::new(true),
            is_stuck: AtomicBool::new(false),
            sent: AtomicU64::new(0),
        })
    }

    /// From a request's whole head to the end of its answer.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.has_begun.store(false, Relaxed);
        self.is_answering.store(true, Relaxed);
        Answering(Arc::clone(self))
    }

    fn waits_for(&self) -> Waiting {
        if self.is_stuck.load(Relaxed) {
            Waiting::Reader { sent: self.sent.load(Relaxed) }
        } else if self.is_answering.load(Relaxed) {
            Waiting::Nothing
        } else if self.has_begun.load(Relaxed) {
            Waiting::Head
        } else {
            Waiting::Request
        }
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Nothing of the peer's: a request is being answered.
    Nothing,
    /// The first byte of a request.
    Request,
    /// The rest of its head.
    Head,
    /// Room for more of the answer.
    Reader { sent: u64 },
}

impl Waiting {
    fn patience(self) -> Option<Duration> {
        match self {
            Self::Nothing => None,
            Self::Request => Some(IDLE_PATIENCE),
            Self::Head => Some(HEAD_PATIENCE),
            Self::Reader { .. } => Some(READER_PATIENCE),
        }
    }
}

/// The deadline of a connection.
pub(super) struct Patience {
    progress: Arc<Progress>,
    waiting: Waiting,
    deadline: Pin<Box<Sleep>>,
}

impl Patience {
    pub(super) fn with(progress: Arc<Progress>) -> Self {
        let deadline = Box::pin(tokio::time::sleep(HEAD_PATIENCE));
        Self { progress, waiting: Waiting::Head, deadline }
    }

    /// Ready when the peer has taken too long. To be asked after each piece of work.
    pub(super) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waiting = self.progress.waits_for();
        let Some(patience) = waiting.patience() else {
            self.waiting = waiting;
            return Poll::Pending;
        };
        if waiting != self.waiting {
            self.waiting = waiting;
            self.deadline.as_mut().reset(Instant::now() + patience);
        }
        self.deadline.as_mut().poll(context)
    }
}

/// Held while a request is answered.
pub(super) struct Answering(Arc<Progress>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.is_answering.store(false, Relaxed);
    }
}

/// A body whose end is the answer's end.
pub(super) struct Answer {
    pub(super) body: Body,
    /// Held for as long as there is a body.
    pub(super) _answering: Answering,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes what passes.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) progress: Arc<Progress>,
}

impl<S> Watched<S> {
    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        self.progress.is_stuck.store(written.is_pending(), Relaxed);
        if written.is_ready() {
            self.progress.sent.fetch_add(1, Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() && !self.progress.is_answering.load(Relaxed) {
            self.progress.has_begun.store(true, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
