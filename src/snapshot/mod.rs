//! Folds as files, so that a start need not replay everything. Trusted by nobody, always safe to delete.
//!
//! ```text
//! magic 8 | fold 32 | stamp, world (bincode) | SHA-256 of all before
//! ```
//! A snapshot counts only if the fold that made it is this build's, and the journal proves the
//! position it claims. Anything odd is said, ignored and replayed.

mod file;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use taffrail_domain::LogTag;
use taffrail_journal::{LogId, Position};
use taffrail_projections::World;

use crate::durable;

const ENDING: &str = "snap";

/// Which store, which log, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Id of the journal's store.
    pub store: [u8; 16],
    /// The log.
    pub log: LogId,
    /// The last entry folded in, and the chain there.
    pub position: Position,
}

/// The snapshots of one data directory. All of it is blocking.
#[derive(Clone, Debug)]
pub struct Snapshots {
    folder: PathBuf,
}

impl Snapshots {
    /// `<data>/snapshots`, made on first use.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("snapshots");
        durable::make_folder(&folder)?;
        Ok(Self { folder })
    }

    /// Removes what a killed save left behind. Only for who holds the data directory: another process
    /// may be saving.
    ///
    /// # Errors
    /// What the file system says.
    pub fn sweep(&self) -> io::Result<()> {
        durable::sweep_unfinished(&self.folder)
    }

    /// The logs that have a snapshot.
    #[must_use]
    pub fn logs(&self) -> Vec<LogTag> {
        let mut logs: Vec<LogTag> = self.names().into_iter().map(|name| name.log).collect();
        logs.sort_unstable();
        logs.dedup();
        logs
    }

    /// The newest snapshot of a log that is whole and made by this build's fold.
    #[must_use]
    pub fn load<W: World>(&self, log: LogTag) -> Option<(W, Stamp)> {
        self.of(log).into_iter().rev().find_map(|name| {
            let path = self.path(&name);
            let read = file::read::<W>(&path);
            let read = read.and_then(|(world, stamp)| name.fits(&world, &stamp).map(|()| (world, stamp)));
            read.inspect_err(|why| tracing::warn!(path = %path.display(), %why, "a snapshot is ignored")).ok()
        })
    }

    /// Writes a world down, durably, and removes the log's other snapshots.
    ///
    /// # Errors
    /// What the file system says; the older ones are still there then.
    pub fn save<W: World>(&self, store: [u8; 16], position: Position, world: &W) -> io::Result<()> {
        let name = Name { log: world.log(), offset: position.offset };
        let stamp = Stamp { store, log: LogId(name.log.0), position };
        if name.fits(world, &stamp).is_err() {
            return Err(io::Error::other("the world does not stand at the position it is to be saved for"));
        }
        file::write(&self.path(&name), &stamp, world)?;
        for older in self.of(name.log).into_iter().filter(|other| *other != name) {
            fs::remove_file(self.path(&older))?;
        }
        Ok(())
    }

    /// A log's snapshots, oldest first.
    fn of(&self, log: LogTag) -> Vec<Name> {
        let mut names: Vec<Name> = self.names().into_iter().filter(|name| name.log == log).collect();
        names.sort_unstable_by_key(|name| name.offset);
        names
    }

    fn names(&self) -> Vec<Name> {
        let Ok(files) = fs::read_dir(&self.folder) else { return vec![] };
        files.flatten().filter_map(|file| Name::parse(file.file_name().to_str()?)).collect()
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(format!("{}-{}.{ENDING}", name.log.0, name.offset))
    }
}

/// What a file's name says: `<log>-<offset>.snap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    log: LogTag,
    offset: u64,
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        let (log, offset) = name.strip_suffix(ENDING)?.strip_suffix('.')?.split_once('-')?;
        Some(Self { log: LogTag(log.parse().ok()?), offset: offset.parse().ok()? })
    }

    /// Name, stamp and world must tell of the same moment.
    fn fits<W: World>(&self, world: &W, stamp: &Stamp) -> Result<(), String> {
        let told = [
            (LogTag(stamp.log.0), stamp.position.offset),
            (world.log(), world.head().0),
            (self.log, self.offset),
        ];
        if told.iter().all(|moment| *moment == told[0]) {
            return Ok(());
        }
        Err("name, stamp and world tell of different moments".to_owned())
    }
}
