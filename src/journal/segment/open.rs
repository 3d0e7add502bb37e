//! Opening a journal: lock, recovery, threads.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc::sync_channel};
use std::thread;

use tokio::sync::mpsc;

use super::committer::Committer;
use super::folder::Folder;
use super::index::Index;
use super::options::{CLOCK_BEHIND_MAX_MS, OpenError, Options};
use super::pipe::Pipe;
use super::recover::{Recovered, Recovery};
use super::sealer::Sealing;
use super::shared::{Shared, Start};
use super::shelver::Shelver;
use super::{QUEUE_BATCHES, SegmentJournal, Threads, scrub};
use crate::seal::Sealer;
use crate::{Frame, LogId, Position};

/// Segments of frames that may wait for the sink while the next one is being proven.
const SEGMENTS_AHEAD: usize = 1;

/// Opens or creates the journal in `options.data` and proves it: steps 6 to 10. Blocking.
///
/// `from` holds the positions that valid snapshots of this very store already cover (see [`store_id`]):
/// one beyond the end proves that entries are missing, and is refused as damage. `sink` is given every frame
/// beyond them exactly once, in commit order, each only after its whole segment is proven and, for
/// the last one, written anew. If a position does not lie on the journal's chain, opening fails with
/// [`OpenError::SnapshotMismatch`]: what the sink was given until then is to be dropped together with
/// those snapshots, and `open` called again without them. (Snapshots made at a drain or at a start
/// are checked without reading a single frame.)
///
/// # Errors
/// See [`OpenError`]. Nothing acknowledged is lost by a refused start.
pub fn open(
    options: Options,
    from: &HashMap<LogId, Position>,
    sink: &mut dyn FnMut(Frame),
) -> Result<SegmentJournal, OpenError> {
    let folder = Folder::new(&options.data);
    let lock = Arc::new(folder.lock()?);
    let store = folder.store_id()?;
    let recovered = thread::scope(|scope| {
        let (send, receive) = sync_channel::<Vec<Frame>>(SEGMENTS_AHEAD);
        let recovery = Recovery::new(&options, &folder, store, &lock, from);
        let run = move || recovery.run(&send);
        let thread = thread::Builder::new().name("journal-recovery".into()).spawn_scoped(scope, run);
        let thread = thread.map_err(OpenError::io("start recovery"))?;
        receive.into_iter().flatten().for_each(&mut *sink);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    check_clock(&options, recovered.point.time_ms)?;
    start(options, folder, store, lock, recovered)
}

/// The id of the store in a data directory; `None` if there is none yet. Takes no lock.
///
/// # Errors
/// Why it could not be read.
pub fn store_id(data: &Path) -> Result<Option<[u8; 16]>, OpenError> {
    match Folder::new(data).read_store_id() {
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        known => known.map(Some),
    }
}

/// A start far behind the last entry would stamp new entries with old times for a day or more.
fn check_clock(options: &Options, last_entry_ms: u64) -> Result<(), OpenError> {
    let now_ms = (options.now_ms)();
    if options.accept_clock || last_entry_ms <= now_ms.saturating_add(CLOCK_BEHIND_MAX_MS) {
        return Ok(());
    }
    Err(OpenError::ClockBehind { last_entry_ms, now_ms })
}

fn start(
    options: Options,
    folder: Folder,
    store: [u8; 16],
    lock: Arc<std::fs::File>,
    recovered: Recovered,
) -> Result<SegmentJournal, OpenError> {
    let Recovered { point, segments, requests, unscanned, shelf, shelved_heads, shelf_missing, repairs } =
        recovered;
    let next_segment = segments.keys().next_back().map_or(1, |last| last + 1);
    let index = Index::new(folder.clone(), store, segments);
    let shelf = shelf.map(Arc::new);
    let sealer = Sealer::new().map_err(|error| OpenError::io("seed the nonces")(error.into()))?;
    let shared = Arc::new(Shared::new(Start {
        options,
        folder,
        store,
        lock,
        index,
        shelf: shelf.clone(),
        shelf_missing,
        requests,
        repairs,
        point: point.clone(),
    }));
    let (queue, batches) = mpsc::channel(QUEUE_BATCHES);
    let journal =
        SegmentJournal { shared: shared.clone(), threads: Mutex::default(), queue: Mutex::new(Some(queue)) };
    // From here on a failure drops the journal, which stops whatever was started.
    let pipe = Arc::new(Pipe::new());
    let sealing = Sealing::new(shared.clone(), pipe.clone(), sealer);
    let committer = Committer::new(shared.clone(), pipe, point, next_segment);
    let threads = Threads {
        room: Some(shared.room.start().map_err(OpenError::io("start a thread"))?),
        committer: Some(spawn("journal-commit", move || committer.run())?),
        sealer: Some(spawn("journal-seal", move || sealing.run(batches))?),
        shelver: start_shelver(&shared, shelf, shelved_heads)?,
        scrub: start_scrub(&shared, unscanned)?,
    };
    *journal.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = threads;
    Ok(journal)
}

fn start_shelver(
    shared: &Arc<Shared>,
    shelf: Option<Arc<super::shelf::Shelf>>,
    heads: super::format::Heads,
) -> Result<Option<thread::JoinHandle<()>>, OpenError> {
    let Some(shelf) = shelf else {
        shared.feed.end();
        return Ok(None);
    };
    let shelver = Shelver::new(shared.clone(), shelf, heads);
    spawn("journal-shelve", move || shelver.run()).map(Some)
}

fn start_scrub(
    shared: &Arc<Shared>,
    unscanned: Vec<u64>,
) -> Result<Option<thread::JoinHandle<()>>, OpenError> {
    if unscanned.is_empty() {
        return Ok(None);
    }
    let shared = shared.clone();
    spawn("journal-scrub", move || scrub::run(&shared, &unscanned)).map(Some)
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, OpenError> {
    let spawned: io::Result<_> = thread::Builder::new().name(name.into()).spawn(work);
    spawned.map_err(OpenError::io("start a thread"))
}
