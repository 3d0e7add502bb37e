//! A data directory that a test builds, hurts and opens again.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use taffrail_journal::segment::{self, Drained, OpenError, Options};
use taffrail_journal::{AppendError, Frame, Journal, LogId, Position, Request, SegmentJournal, Unsealed};
use tempfile::TempDir;

/// Logs that [`fill`] writes to in turn.
pub(crate) const LOGS: u64 = 3;

pub(crate) struct Place {
    pub(crate) data: TempDir,
    pub(crate) options: Options,
}

impl Place {
    /// Small segments, so that a few groups already rotate; no shelf.
    pub(crate) fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut options = Options::new(data.path());
        (options.segment_bytes, options.shelf) = (8 << 10, false);
        Self { data, options }
    }

    /// The same with a shelf.
    pub(crate) fn with_shelf() -> Self {
        let mut place = Self::new();
        place.options.shelf = true;
        place
    }

    pub(crate) fn open(&self) -> Result<(SegmentJournal, Vec<Frame>), OpenError> {
        self.open_from(&HashMap::new())
    }

    pub(crate) fn open_from(
        &self,
        from: &HashMap<LogId, Position>,
    ) -> Result<(SegmentJournal, Vec<Frame>), OpenError> {
        let mut frames = Vec::new();
        let journal = segment::open(self.options.clone(), from, &mut |frame| frames.push(frame))?;
        Ok((journal, frames))
    }

    /// Opens, appends `groups` batches one after the other and closes without a drain; says what was
    /// acknowledged.
    pub(crate) async fn fill(&self, groups: u64) -> Vec<Frame> {
        let (journal, _) = self.open().unwrap();
        fill(&journal, groups).await;
        self.acknowledged(journal).await
    }

    /// The same with a drain: sealed and, with a shelf, shelved.
    pub(crate) async fn fill_and_drain(&self, groups: u64) -> Vec<Frame> {
        let (journal, _) = self.open().unwrap();
        fill(&journal, groups).await;
        let drained = journal.drain(Duration::from_secs(60));
        assert_eq!(drained, Drained { shelved: self.options.shelf, sealed: true });
        self.acknowledged(journal).await
    }

    async fn acknowledged(&self, journal: SegmentJournal) -> Vec<Frame> {
        let mut frames = Vec::new();
        for log in journal.logs().await.unwrap() {
            frames.extend(journal.read(log, 0, u32::MAX).await.unwrap());
        }
        frames
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data.path().join("segments")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    /// Segments that hold something: not the one that is only prepared.
    pub(crate) fn used_segments(&self) -> Vec<PathBuf> {
        self.segments().into_iter().filter(|path| fs::read(path).unwrap().iter().any(|b| *b != 0)).collect()
    }

    pub(crate) fn shelf(&self) -> PathBuf {
        self.data.path().join("shelf")
    }

    /// A copy to hurt, so that the original can be hurt again in another way.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { data: tempfile::tempdir().unwrap(), options: self.options.clone() };
        copy_folder(self.data.path(), copy.data.path());
        let options = Options { data: copy.data.path().to_owned(), ..copy.options };
        Self { options, ..copy }
    }

    /// Opens again and finds exactly these frames, proven, and that appending goes on.
    pub(crate) async fn expect(&self, acknowledged: &[Frame]) -> SegmentJournal {
        let (journal, replayed) = self.open().unwrap();
        assert_same(&replayed, acknowledged);
        let verified = segment::verify(self.data.path()).unwrap();
        for (log, position) in &verified.heads {
            assert_eq!(*position, journal.position(*log));
        }
        fill(&journal, 2).await;
        journal
    }

    /// Opens again and is refused for this segment.
    pub(crate) fn expect_refusal(&self, of: u64) -> String {
        match self.open() {
            Err(OpenError::Damaged { segment, byte, group, why }) => {
                assert_eq!(segment, of, "byte {byte}, group {group}: {why}");
                why
            }
            Err(other) => panic!("refused for another reason: {other}"),
            Ok((_, frames)) => panic!("opened with {} frames", frames.len()),
        }
    }
}

/// The same frames, whatever the order of logs.
pub(crate) fn assert_same(found: &[Frame], wanted: &[Frame]) {
    assert_eq!(by_place(found), by_place(wanted));
}

pub(crate) fn by_place(frames: &[Frame]) -> BTreeMap<(LogId, u64), &Frame> {
    frames.iter().map(|frame| ((frame.header.log, frame.header.offset), frame)).collect()
}

/// Appends `groups` batches one after the other, to several logs in turn.
pub(crate) async fn fill(journal: &SegmentJournal, groups: u64) {
    for n in 0..groups {
        append(journal, LogId((n % LOGS) as u32 + 1), n % 3 + 1).await.unwrap();
    }
}

/// Appends a batch at the head of a log.
pub(crate) async fn append(journal: &SegmentJournal, log: LogId, frames: u64) -> Result<u64, AppendError> {
    let head = *journal.head(log).borrow();
    journal.append(log, head, (0..frames).map(|n| unsealed(log, head + 1 + n, head + 1)).collect()).await
}

/// The frame that tests put at this offset, asked for by the request of its batch.
pub(crate) fn unsealed(log: LogId, offset: u64, first: u64) -> Unsealed {
    let mut id = [log.0 as u8; 16];
    id[..8].copy_from_slice(&first.to_be_bytes());
    Unsealed {
        time_ms: 1_700_000_000_000 + offset,
        kind: "task.created".into(),
        version: 1,
        subject: format!("t_{offset}").into(),
        actor: "user:u_1".into(),
        request: Some(Request { id, fingerprint: [5; 8] }),
        body: Bytes::from(format!(r#"{{"title":"{}"}}"#, "x".repeat((offset * 37 % 200) as usize))),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            assert!(fs::copy(entry.path(), target).is_ok())
        }
    }
}

/// Overwrites bytes of a file.
pub(crate) fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).unwrap();
}

/// Flips one bit of a file.
pub(crate) fn flip(path: &Path, at: usize, bit: u8) {
    let byte = fs::read(path).unwrap()[at];
    overwrite(path, at, &[byte ^ (1 << bit)]);
}

/// Where the groups of a segment begin, and where the last one ends.
pub(crate) fn group_starts(segment: &[u8]) -> Vec<usize> {
    let mut at = 4096;
    let mut starts = vec![at];
    while segment.get(at..at + 4) == Some(b"TFGR") {
        at += 24 + u32::from_be_bytes(segment[at + 16..at + 20].try_into().unwrap()) as usize;
        starts.push(at);
    }
    starts
}
