//! Reading: from the memory tail, else from the shelf, else from segments.

use std::sync::Arc;

use super::requests::Lookup;
use super::shared::Shared;
use super::shelf::Shelf;
use super::tail;
use crate::{Frame, LogId, ReadError, Recorded};

/// The frames at these offsets (ascending, all of them durable).
pub(crate) async fn fetch(
    shared: &Arc<Shared>,
    log: LogId,
    offsets: Vec<u64>,
) -> Result<Vec<Frame>, ReadError> {
    let (old, runs) = {
        let tail = shared.read_tail();
        let first = tail.first(log).unwrap_or(u64::MAX);
        let old = offsets.partition_point(|offset| *offset < first);
        (old, tail.runs(log, &offsets[old..]))
    };
    let mut recent =
        tail::decode(&runs, &offsets[old..]).map_err(|error| ReadError::Damaged(error.to_string()))?;
    if old + recent.len() != offsets.len() {
        return Err(ReadError::Damaged(format!("the newest frames of log {log} are not dense")));
    }
    if old == 0 {
        return Ok(recent);
    }
    let mut frames = fetch_old(shared, log, offsets[..old].to_vec()).await?;
    frames.append(&mut recent);
    Ok(frames)
}

async fn fetch_old(shared: &Arc<Shared>, log: LogId, offsets: Vec<u64>) -> Result<Vec<Frame>, ReadError> {
    let mut frames = Vec::new();
    if let Some(shelf) = shared.usable_shelf() {
        let wanted = offsets.clone();
        // What fails here gives the shelf up and says so; the segments still have everything.
        frames = on_shelf(shelf, move |shelf| shelf.fetch(log, &wanted)).await.unwrap_or_default();
    }
    if frames.len() == offsets.len() {
        return Ok(frames);
    }
    let shelved: std::collections::HashSet<u64> = frames.iter().map(|frame| frame.header.offset).collect();
    let missing: Vec<u64> = offsets.into_iter().filter(|offset| !shelved.contains(offset)).collect();
    let from_segments = from_segments(shared, log, missing).await;
    frames.append(&mut from_segments.and_then(|found| found).map_err(ReadError::Damaged)?);
    frames.sort_by_key(|frame| frame.header.offset);
    Ok(frames)
}

/// The frames at these offsets, from the segments: few at a time, for each holds a whole one in memory.
async fn from_segments(
    shared: &Arc<Shared>,
    log: LogId,
    offsets: Vec<u64>,
) -> Result<Result<Vec<Frame>, String>, String> {
    let turn = shared.segment_readers.clone().acquire_owned().await.map_err(|error| error.to_string())?;
    let shared = shared.clone();
    blocking(move || {
        // Given back by the thread: a caller that goes away does not free what is still being read.
        let _turn = turn;
        shared.index.fetch(log, &offsets)
    })
    .await
}

/// The batch that a request made, however long ago.
pub(crate) async fn recorded(
    shared: &Arc<Shared>,
    log: LogId,
    id: [u8; 16],
) -> Result<Option<Recorded>, ReadError> {
    let found = shared.lock_requests().get(log, id);
    let missing_to = match found {
        Lookup::Found(recorded) => return Ok(Some(recorded)),
        Lookup::MissingTo(0) => return Ok(None),
        Lookup::MissingTo(group) => group,
    };
    let Some(shelf) = shared.usable_shelf() else {
        return Err(ReadError::Unavailable("old requests are on the shelf, which is out of use".into()));
    };
    // Asked first: what is shelved while we look need not be seen.
    let shelved = shelf.requests_shelved();
    let found = on_shelf(shelf, move |shelf| shelf.request(log, id)).await.map_err(ReadError::Unavailable)?;
    if found.is_none() && shelved < missing_to {
        return Err(ReadError::Unavailable("old requests are still being shelved".into()));
    }
    Ok(found)
}

/// Asks the shelf on a blocking thread; a shelf that is given up meanwhile is not waited for.
async fn on_shelf<T: Send + 'static>(
    shelf: &Arc<Shelf>,
    question: impl FnOnce(&Shelf) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let mut abandoned = shelf.watch_abandoned();
    let asked = shelf.clone();
    tokio::select! {
        biased;
        answer = blocking(move || question(&asked)) => answer?,
        _ = abandoned.wait_for(Option::is_some) => Err("the shelf was given up".into()),
    }
}

/// Does blocking work off the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}
