//! Disks that are full, that fail, and that lie.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::place::{Place, append, fill};
use taffrail_journal::segment::{self, Disk, OpenError};
use taffrail_journal::{AppendError, Journal, LogId, SegmentJournal};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_serves_again_when_there_is_room() {
    let mut place = Place::new();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let asked = free.clone();
    place.options.free_bytes = Arc::new(move |_: &Path| Ok(asked.load(Ordering::SeqCst)));
    let (journal, _) = place.open().unwrap();
    fill(&journal, 4).await;
    assert!(journal.has_room());
    free.store((64 << 20) - 1, Ordering::SeqCst);
    assert!(!journal.has_room());
    assert!(journal.health().full);
    let before = segment::verify(place.data.path()).unwrap();
    for _ in 0..3 {
        assert_eq!(append(&journal, LogId(1), 2).await, Err(AppendError::Full));
    }
    assert_eq!(segment::verify(place.data.path()).unwrap(), before, "nothing half-written");
    free.store(64 << 20, Ordering::SeqCst);
    assert!(journal.has_room());
    fill(&journal, 4).await;
    assert_eq!(journal.health().poisoned, None);
}

/// Room comes back a moment after the disk has it: a segment is prepared first.
async fn append_once_there_is_room(
    journal: &SegmentJournal,
    log: LogId,
    frames: u64,
) -> Result<u64, AppendError> {
    loop {
        match append(journal, log, frames).await {
            Err(AppendError::Full) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

/// A disk without room for another segment.
#[derive(Default)]
struct NoSegments {
    full: AtomicBool,
    asked: AtomicU64,
}

impl Disk for NoSegments {
    fn zero_file(&self, path: &Path, len: u64) -> io::Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) {
            // Half of it is written before the disk says no.
            File::create(path)?.set_len(len / 2)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        segment::RealDisk.zero_file(path, len)
    }

    fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        segment::RealDisk.reserve(file, len)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_next_segment_appends_are_refused_until_there_is_one() {
    let mut place = Place::new();
    let disk = Arc::new(NoSegments::default());
    place.options.disk = disk.clone();
    let (journal, _) = place.open().unwrap();
    fill(&journal, 1).await;
    disk.full.store(true, Ordering::SeqCst);
    let mut acknowledged = 0;
    while append(&journal, LogId(7), 1).await.is_ok() {
        acknowledged += 1;
    }
    assert_eq!(append(&journal, LogId(7), 1).await, Err(AppendError::Full));
    // Whoever asks for health writes nothing: it is tried again once a second.
    let (asked, started) = (disk.asked.load(Ordering::SeqCst), Instant::now());
    for _ in 0..10_000 {
        assert!(!journal.has_room() && journal.health().full);
    }
    let tried = disk.asked.load(Ordering::SeqCst) - asked;
    assert!(tried <= started.elapsed().as_secs() + 2, "{tried} times");
    // A batch that was on top of one that failed is answered, too, and the log goes on from its head.
    let head = *journal.head(LogId(7)).borrow();
    assert_eq!(head, acknowledged);
    assert_eq!(journal.read(LogId(7), 0, 1_000).await.unwrap().len() as u64, acknowledged);
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(append_once_there_is_room(&journal, LogId(7), 2).await, Ok(acknowledged + 2));
    drop(journal);
    assert!(place.segments().iter().all(|path| path.extension().is_some_and(|end| end == "segment")));
    let (journal, _) = place.open().unwrap();
    assert_eq!(*journal.head(LogId(7)).borrow(), acknowledged + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_larger_than_a_segment_gets_one_of_its_own_or_is_refused() {
    let mut place = Place::new();
    let disk = Arc::new(NoSegments::default());
    place.options.disk = disk.clone();
    let (journal, _) = place.open().unwrap();
    fill(&journal, 2).await;
    assert_eq!(append(&journal, LogId(9), 100).await, Ok(100));
    fill(&journal, 2).await;
    while !journal.has_room() {
        tokio::task::yield_now().await;
    }
    disk.full.store(true, Ordering::SeqCst);
    assert_eq!(append(&journal, LogId(9), 100).await, Err(AppendError::Full));
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(append_once_there_is_room(&journal, LogId(9), 100).await, Ok(200));
    drop(journal);
    let (journal, _) = place.open().unwrap();
    assert_eq!(*journal.head(LogId(9)).borrow(), 200);
}

/// A disk whose writes or syncs fail once they are told to, and on which only what was synced stays.
struct Failing {
    write: AtomicBool,
    sync: AtomicBool,
    calls_after: AtomicU64,
}

impl Failing {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            write: AtomicBool::new(false),
            sync: AtomicBool::new(false),
            calls_after: AtomicU64::new(0),
        })
    }

    fn check(&self, fails: bool) -> io::Result<()> {
        if self.calls_after.load(Ordering::SeqCst) > 0 || fails {
            self.calls_after.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::other("the cable is out"));
        }
        Ok(())
    }
}

impl Disk for Failing {
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.check(self.write.load(Ordering::SeqCst)).inspect_err(|_| {
            // A part may have arrived.
            file.write_all_at(&bytes[..bytes.len() / 2], at).unwrap();
        })?;
        segment::RealDisk.write(file, bytes, at)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.check(self.sync.load(Ordering::SeqCst))?;
        segment::RealDisk.sync(file)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_or_sync_poisons_and_is_never_retried() {
    for fail_write in [true, false] {
        let mut place = Place::new();
        let disk = Failing::new();
        place.options.disk = disk.clone();
        let (journal, _) = place.open().unwrap();
        fill(&journal, 3).await;
        let before = segment::verify(place.data.path()).unwrap();
        let mut poisoned = journal.poisoned();
        (if fail_write { &disk.write } else { &disk.sync }).store(true, Ordering::SeqCst);
        assert!(matches!(append(&journal, LogId(1), 1).await, Err(AppendError::Poisoned(_))));
        assert!(
            poisoned.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().contains("the cable is out")
        );
        assert!(matches!(append(&journal, LogId(2), 1).await, Err(AppendError::Poisoned(_))));
        assert!(!journal.has_room());
        assert!(!journal.drain(Duration::from_secs(9)).sealed, "a poisoned journal is not sealed");
        assert_eq!(disk.calls_after.load(Ordering::SeqCst), 1, "nothing was tried again");
        drop(journal);
        place.options.disk = Arc::new(segment::RealDisk);
        let (journal, _) = place.open().unwrap();
        for (log, position) in before.heads {
            // The outcome of the batch that failed is unknown; everything before it is there.
            assert!(journal.position(log).offset >= position.offset);
        }
        fill(&journal, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_that_fails_at_a_drain_poisons() {
    let mut place = Place::new();
    let disk = Failing::new();
    place.options.disk = disk.clone();
    let (journal, _) = place.open().unwrap();
    fill(&journal, 2).await;
    disk.sync.store(true, Ordering::SeqCst);
    assert!(!journal.drain(Duration::from_secs(9)).sealed);
    let why = journal.health().poisoned.expect("it is poisoned");
    assert!(why.contains("seal") && why.contains("the cable is out"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_journal_keeps_is_its_owners_alone() {
    let mut place = Place::new();
    place.options.data = place.data.path().join("data");
    let (journal, _) = place.open().unwrap();
    fill(&journal, 20).await;
    drop(journal);
    let (journal, _) = place.open().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    let segments = place.options.data.join("segments");
    for folder in [&place.options.data, &segments] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.is_dir() || mode(&path) == 0o600, "{}", path.display());
        }
    }
    drop(journal);
}

/// A disk whose write panics once it is told to.
#[derive(Default)]
struct Panicking {
    write: AtomicBool,
}

impl Disk for Panicking {
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        assert!(!self.write.load(Ordering::SeqCst), "a panic of the committer");
        segment::RealDisk.write(file, bytes, at)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_committer_or_the_sealer_poisons_and_answers_everybody() {
    for of_committer in [true, false] {
        let mut place = Place::new();
        let (disk, sealer_panics) = (Arc::new(Panicking::default()), Arc::new(AtomicBool::new(false)));
        place.options.disk = disk.clone();
        let panics = sealer_panics.clone();
        place.options.free_bytes = Arc::new(move |_: &Path| {
            let in_sealer = std::thread::current().name() == Some("journal-seal");
            assert!(!in_sealer || !panics.load(Ordering::SeqCst), "a panic of the sealer");
            Ok(u64::MAX)
        });
        let (journal, _) = place.open().unwrap();
        fill(&journal, 3).await;
        (if of_committer { &disk.write } else { &sealer_panics }).store(true, Ordering::SeqCst);
        let (one, other, third) = tokio::join!(
            append(&journal, LogId(1), 1),
            append(&journal, LogId(2), 1),
            append(&journal, LogId(3), 1)
        );
        assert!(one.is_err() && other.is_err() && third.is_err());
        let mut poisoned = journal.poisoned();
        assert!(poisoned.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().contains("panicked"));
        assert!(matches!(append(&journal, LogId(1), 1).await, Err(AppendError::Poisoned(_))));
        assert!(!journal.drain(Duration::from_secs(9)).sealed);
        drop(journal);
        (place.options.disk, place.options.free_bytes) =
            (Arc::new(segment::RealDisk), Arc::new(|_: &Path| Ok(u64::MAX)));
        let (journal, found) = place.open().unwrap();
        assert!(found.len() >= 6, "what was acknowledged is there");
        fill(&journal, 3).await;
    }
}

/// A disk that keeps writes back until they are synced, and on a crash drops parts of the last one.
#[derive(Default)]
struct Cached {
    pending: Mutex<Vec<(File, Vec<u8>, u64)>>,
    crashed: AtomicBool,
    syncs_left: AtomicU64,
}

impl Disk for Cached {
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.pending.lock().unwrap().push((file.try_clone()?, bytes.to_vec(), at));
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self
            .syncs_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_err()
        {
            self.crashed.store(true, Ordering::SeqCst);
            return Err(io::Error::other("power is gone"));
        }
        for (file, bytes, at) in self.pending.lock().unwrap().drain(..) {
            file.write_all_at(&bytes, at)?;
        }
        segment::RealDisk.sync(file)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn power_lost_at_any_sync_leaves_what_was_acknowledged() {
    for syncs in 0..24 {
        let mut place = Place::new();
        let disk = Arc::new(Cached { syncs_left: AtomicU64::new(syncs), ..Cached::default() });
        place.options.disk = disk.clone();
        let (journal, _) = place.open().unwrap();
        let mut acknowledged = 0;
        while append(&journal, LogId(1), 2).await.is_ok() {
            acknowledged += 2;
        }
        assert!(disk.crashed.load(Ordering::SeqCst));
        drop(journal);
        // Every second page-sized piece of what was under way has reached the disk.
        for (file, bytes, at) in disk.pending.lock().unwrap().drain(..) {
            for (n, piece) in
                bytes.chunks(64).enumerate().filter(|(n, _)| (n + syncs as usize).is_multiple_of(2))
            {
                file.write_all_at(piece, at + n as u64 * 64).unwrap();
            }
        }
        place.options.disk = Arc::new(segment::RealDisk);
        let (journal, frames) = place.open().unwrap();
        assert_eq!(frames.len() as u64, acknowledged, "after {syncs} syncs");
        fill(&journal, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_and_a_clock_that_is_not_far_behind() {
    let mut place = Place::new();
    let (journal, _) = place.open().unwrap();
    assert!(matches!(place.open().map(|_| ()), Err(OpenError::Locked)));
    fill(&journal, 3).await;
    let last = journal.last_time_ms();
    drop(journal);
    for (behind, opens) in [(24 * 3_600_000, true), (24 * 3_600_000 + 1, false)] {
        place.options.now_ms = Arc::new(move || last - behind);
        let opened = place.open().map(|(journal, _)| journal.last_time_ms());
        if opens {
            assert_eq!(opened.unwrap(), last);
        } else {
            let now_ms = last - behind;
            let refused = opened.unwrap_err();
            assert!(
                matches!(refused, OpenError::ClockBehind { last_entry_ms, now_ms: now } if (last_entry_ms, now) == (last, now_ms))
            );
        }
    }
    place.options.accept_clock = true;
    place.open().unwrap();
}
