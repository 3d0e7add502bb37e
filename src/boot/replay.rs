//! From the journal's frames to worlds, as a stream: one thread proves, another decodes and folds.
//!
//! Decoding stays with the fold: what one thread allocates and another frees costs more than a third
//! thread gives (measured on two cores: 6.4 s of processor time for a million entries, 8.4 s with three).

use std::collections::HashMap;
use std::sync::Arc;

use taffrail_domain::{LogTag, Offset};
use taffrail_journal::{Frame, Journal, LogId, OpenError, Position, SegmentJournal, segment};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::folds::Folds;
use super::{BootError, Options};
use crate::snapshot::{Snapshots, Stamp};
use crate::stored;

/// Frames that go to the folding task at once.
const CHUNK_FRAMES: usize = 1_024;
/// Chunks that may wait there.
const CHUNKS_AHEAD: usize = 8;
/// Frames of a page when a journal is read through its trait.
const PAGE_FRAMES: u32 = 1_024;

type Positions = HashMap<LogId, Position>;

/// Opens the journal of a data directory and folds it, on top of its snapshots if they hold.
pub(super) async fn from_data(
    options: &Options,
    snapshots: &Snapshots,
) -> Result<(SegmentJournal, Folds), BootError> {
    let (folds, stamps) = {
        let snapshots = snapshots.clone();
        spawn_blocking(move || Folds::load(&snapshots)).await.map_err(|_| BootError::Panicked)?
    };
    // Asked beforehand: of this store, a snapshot beyond the journal's end proves that entries are gone.
    let store = segment::store_id(&options.data)?;
    let why = if stamps.iter().all(|stamp| Some(stamp.store) == store) {
        match replay(options, folds, positions(&stamps)).await {
            Err(BootError::Open(error @ OpenError::SnapshotMismatch { .. })) => error.to_string(),
            opened => return opened,
        }
    } else {
        "they belong to another store".to_owned()
    };
    tracing::warn!(why, "the snapshots are ignored, everything is folded anew");
    replay(options, Folds::default(), Positions::new()).await
}

fn positions(stamps: &[Stamp]) -> Positions {
    stamps.iter().map(|stamp| (stamp.log, stamp.position)).collect()
}

async fn replay(
    options: &Options,
    folds: Folds,
    from: Positions,
) -> Result<(SegmentJournal, Folds), BootError> {
    let (send, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let journal_options = journal_options(options);
    let opening = spawn_blocking(move || open(journal_options, &from, &send));
    let folded = fold(folds, ReceiverStream::new(chunks)).await;
    let journal = opening.await.map_err(|_| BootError::Panicked)??;
    Ok((journal, folded?))
}

fn journal_options(options: &Options) -> segment::Options {
    let clock = Arc::clone(&options.clock);
    segment::Options {
        accept_clock: options.accept_clock,
        now_ms: Arc::new(move || clock().0),
        ..segment::Options::new(&options.data)
    }
}

/// Opens the journal, sending what it proves in chunks. Blocking.
fn open(
    options: segment::Options,
    from: &Positions,
    chunks: &mpsc::Sender<Vec<Frame>>,
) -> Result<SegmentJournal, OpenError> {
    let mut chunk = Vec::with_capacity(CHUNK_FRAMES);
    let send = |chunk: Vec<Frame>| {
        // Nobody listens any more once a frame could not be folded; what that was is said there.
        let _ = chunks.blocking_send(chunk);
    };
    let journal = segment::open(options, from, &mut |frame| {
        chunk.push(frame);
        if chunk.len() == CHUNK_FRAMES {
            send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_FRAMES)));
        }
    })?;
    send(chunk);
    Ok(journal)
}

/// Folds a stream of frames, up to the first that cannot be.
async fn fold(
    mut folds: Folds,
    mut chunks: impl Stream<Item = Vec<Frame>> + Unpin,
) -> Result<Folds, BootError> {
    while let Some(chunk) = chunks.next().await {
        chunk.iter().try_for_each(|frame| fold_frame(&mut folds, frame))?;
    }
    Ok(folds)
}

fn fold_frame(folds: &mut Folds, frame: &Frame) -> Result<(), BootError> {
    let (log, offset) = (LogTag(frame.header.log.0), Offset(frame.header.offset));
    let entry = stored::entry(frame).map_err(|source| BootError::Decode { log, offset, source })?;
    folds.apply(log, &entry)
}

/// Folds a journal that is open already, page by page.
pub(super) async fn from_journal(journal: &Arc<dyn Journal>) -> Result<Folds, BootError> {
    let mut folds = Folds::default();
    for log in journal.logs().await? {
        let mut after = 0;
        loop {
            let page = journal.read(log, after, PAGE_FRAMES).await?;
            let Some(last) = page.last() else { break };
            after = last.header.offset;
            page.iter().try_for_each(|frame| fold_frame(&mut folds, frame))?;
        }
    }
    Ok(folds)
}
