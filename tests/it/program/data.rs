//! A data directory from outside: copied, proven, folded anew, compared.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use taffrail::boot::{Options, Taffrail};
use taffrail::stored;
use taffrail_domain::{Entry, LogTag, Offset};
use taffrail_journal::segment::{self, Verified};
use taffrail_journal::{Frame, LogId};
use taffrail_projections::{InstanceWorld, WorkspaceWorld, World};
use tempfile::TempDir;

/// A data directory that is removed at the end.
pub(crate) struct Data {
    folder: TempDir,
}

/// Every log's world.
#[derive(PartialEq)]
pub(crate) struct Folded {
    pub(crate) instance: InstanceWorld,
    pub(crate) workspaces: HashMap<LogTag, WorkspaceWorld>,
}

impl Data {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A copy of it as it lies there.
    pub(crate) fn copy(&self) -> Self {
        Self::copied(self.path())
    }

    /// A copy of a data directory elsewhere.
    pub(crate) fn copied(path: &Path) -> Self {
        let copy = Self::new();
        copy_folder(path, copy.path());
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// All segments, oldest first; not one that is still being prepared.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let is_whole = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "segment");
        files(&self.join("segments")).into_iter().filter(is_whole).collect()
    }

    /// The segments that hold something: the last may be only prepared.
    pub(crate) fn used_segments(&self) -> Vec<PathBuf> {
        let is_used = |path: &PathBuf| used(&fs::read(path).unwrap()) > 0;
        self.segments().into_iter().filter(is_used).collect()
    }

    /// Files of the reading copy.
    pub(crate) fn shelf_files(&self) -> Vec<PathBuf> {
        files(&self.join("shelf"))
    }

    pub(crate) fn snapshots(&self) -> Vec<PathBuf> {
        files(&self.join("snapshots"))
    }

    /// Removes a folder, if it is there.
    pub(crate) fn remove(&self, name: &str) {
        let path = self.join(name);
        if path.exists() {
            fs::remove_dir_all(path).unwrap();
        }
    }

    /// Proves headers, groups, frames, commitments, chains and seals.
    pub(crate) fn verify(&self) -> Verified {
        segment::verify(self.path()).unwrap()
    }

    /// Every frame of the journal in commit order, read from the segments alone.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let mut frames = vec![];
        let options =
            segment::Options { shelf: false, segment_bytes: 1 << 16, ..segment::Options::new(self.path()) };
        drop(segment::open(options, &HashMap::new(), &mut |frame| frames.push(frame)).unwrap());
        frames
    }
}

impl Folded {
    /// Folds frames from nothing, asserting that every log is dense from offset 1.
    pub(crate) fn of(frames: &[Frame]) -> Self {
        let mut instance = InstanceWorld::empty(LogTag::INSTANCE);
        let mut workspaces: HashMap<LogTag, WorkspaceWorld> = HashMap::new();
        for frame in frames {
            let (log, entry) = (LogTag(frame.header.log.0), decoded(frame));
            if log == LogTag::INSTANCE {
                fold(&mut instance, &entry);
            } else {
                fold(workspaces.entry(log).or_insert_with(|| WorkspaceWorld::empty(log)), &entry);
            }
        }
        Self { instance, workspaces }
    }

    /// The worlds of an instance that is opened on a data directory: shelf, snapshots and all.
    pub(crate) async fn opened(data: &Data) -> Self {
        let app = Taffrail::open(Options::new(data.path())).await.unwrap();
        let instance = app.instance().world();
        let logs = instance.state.workspaces.values().map(|workspace| workspace.tag);
        let world = |log| (log, WorkspaceWorld::clone(&app.workspace_of_log(log).unwrap().world()));
        let worlds =
            Self { instance: InstanceWorld::clone(&instance), workspaces: logs.map(world).collect() };
        app.drain().await;
        worlds
    }

    /// Where a log ends.
    pub(crate) fn head(&self, log: LogTag) -> Offset {
        if log == LogTag::INSTANCE { self.instance.head() } else { self.workspaces[&log].head() }
    }
}

fn fold<W: World>(world: &mut W, entry: &Entry) {
    assert_eq!(entry.offset, world.head().plus(1), "log {}", world.log().0);
    world.apply(entry);
}

/// The entry that a frame holds.
pub(crate) fn decoded(frame: &Frame) -> Entry {
    stored::entry(frame).unwrap()
}

/// Whether the journal list shows it.
pub(crate) fn is_public(frame: &Frame) -> bool {
    frame.header.log != LogId::INSTANCE && decoded(frame).face.is_some()
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Copies a folder; zeros at the end of a file stay a hole. A socket that a kill left behind is no data.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
            continue;
        }
        if !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        fs::write(&target, &bytes[..used(&bytes)]).unwrap();
        fs::OpenOptions::new().write(true).open(&target).unwrap().set_len(bytes.len() as u64).unwrap();
    }
}

/// Bytes up to the last page that is not all zeros.
fn used(bytes: &[u8]) -> usize {
    const PAGE: usize = 4096;
    let last = bytes.chunks(PAGE).rposition(|page| *page != [0; PAGE][..page.len()]);
    last.map_or(0, |last| bytes.len().min((last + 1) * PAGE))
}
