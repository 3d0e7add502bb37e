//! The data directory: its lock, its store file, and the names of segments.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::disk;
use super::format::StoreId;
use super::options::OpenError;

/// The newest layout of the data directory that this program knows.
const STORE_FORMAT: u32 = 1;
const STORE_NAME: &str = "taffrail-journal";
const SEGMENT_SUFFIX: &str = ".segment";

/// The names inside a data directory.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    data: PathBuf,
}

impl Folder {
    pub(crate) fn new(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.data.join("segments")
    }

    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:012}{SEGMENT_SUFFIX}"))
    }

    pub(crate) fn shelf(&self) -> PathBuf {
        self.data.join("shelf")
    }

    /// Where a shelf goes that is not to be trusted; only the newest one is kept.
    pub(crate) fn shelf_aside(&self) -> PathBuf {
        self.data.join("shelf.aside")
    }

    /// Stands while a shelf was given up, so that the next start rebuilds it.
    pub(crate) fn shelf_abandoned(&self) -> PathBuf {
        self.data.join("shelf.abandoned")
    }

    /// Stands while a shelf in the place of another one has not caught up yet.
    pub(crate) fn shelf_filling(&self) -> PathBuf {
        self.data.join("shelf.filling")
    }

    fn suspects_file(&self) -> PathBuf {
        self.data.join("suspects")
    }

    /// Segments in which a scrub found damage: the next start looks at them.
    pub(crate) fn suspects(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.suspects_file()).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Adds a segment to the suspects.
    pub(crate) fn add_suspect(&self, segment: u64) -> io::Result<()> {
        let mut suspects = self.suspects();
        suspects.push(segment);
        let text: String = suspects.iter().map(|segment| format!("{segment}\n")).collect();
        disk::replace_file(&self.suspects_file(), &[text.as_bytes()])
    }

    pub(crate) fn clear_suspects(&self) -> io::Result<()> {
        match fs::remove_file(self.suspects_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    /// Creates what is missing and takes the lock; it is held as long as the file is open.
    pub(crate) fn lock(&self) -> Result<File, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.segments())
            .map_err(OpenError::io("create the data directory"))?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.data.join("lock"))
            .map_err(OpenError::io("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
            Err(TryLockError::Error(error)) => Err(OpenError::io("lock the data directory")(error)),
        }
    }

    /// The store's id; a new store gets one, but only where no segments are.
    pub(crate) fn store_id(&self) -> Result<StoreId, OpenError> {
        match self.read_store_id() {
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            known => return known,
        }
        if let Some(number) = self.numbers()?.first() {
            return Err(OpenError::Format(format!(
                "the file `store` is missing although segment {number} exists"
            )));
        }
        let mut id = StoreId::default();
        getrandom::fill(&mut id).map_err(|error| OpenError::io("draw a store id")(error.into()))?;
        let text = format!("{STORE_NAME} {STORE_FORMAT}\n{}\n", hex(&id));
        disk::replace_file(&self.store(), &[text.as_bytes()])
            .map_err(OpenError::io("write the store file"))?;
        Ok(id)
    }

    /// The id of a store that must exist.
    pub(crate) fn read_store_id(&self) -> Result<StoreId, OpenError> {
        let text = fs::read(self.store()).map_err(OpenError::io("read the store file"))?;
        parse_store(&String::from_utf8_lossy(&text)).map_err(OpenError::Format)
    }

    /// The numbers of all segment files, ascending.
    pub(crate) fn numbers(&self) -> Result<Vec<u64>, OpenError> {
        let failed = || OpenError::io("list the segments");
        let mut numbers = Vec::new();
        for entry in fs::read_dir(self.segments()).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SEGMENT_SUFFIX));
            let number = number.and_then(|number| number.parse::<u64>().ok()).filter(|number| *number > 0);
            numbers.extend(number.filter(|number| self.segment(*number).file_name() == Some(&name)));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn parse_store(text: &str) -> Result<StoreId, String> {
    let mut lines = text.lines();
    let format = lines
        .next()
        .and_then(|line| line.strip_prefix(STORE_NAME))
        .and_then(|format| format.trim().parse::<u32>().ok())
        .ok_or("the file `store` is not a store's")?;
    if format > STORE_FORMAT {
        return Err(format!("store format {format} is newer than this program knows ({STORE_FORMAT})"));
    }
    let id = lines.next().and_then(unhex).ok_or("the file `store` has no store id")?;
    Ok(id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<StoreId> {
    let mut id = StoreId::default();
    if text.len() != 2 * id.len() || !text.is_ascii() {
        return None;
    }
    for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_store_is_refused_by_name_and_an_id_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::new(folder.path());
        let _lock = folder.lock().unwrap();
        let id = folder.store_id().unwrap();
        assert_eq!(folder.store_id().unwrap(), id);
        assert!(matches!(folder.lock(), Err(OpenError::Locked)));
        fs::write(folder.store(), "taffrail-journal 2\n00\n").unwrap();
        assert!(folder.store_id().unwrap_err().to_string().contains("store format 2 is newer"));
        fs::remove_file(folder.store()).unwrap();
        fs::write(folder.segment(1), "").unwrap();
        assert!(folder.store_id().is_err(), "segments without a store id belong to nobody");
    }
}
