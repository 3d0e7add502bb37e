//! The worlds of all logs while the journal is read.

use std::collections::HashMap;

use taffrail_domain::{Entry, LogTag, Offset};
use taffrail_journal::{LogId, Position};
use taffrail_projections::{InstanceWorld, WorkspaceWorld, World};

use super::BootError;
use crate::snapshot::{Snapshots, Stamp};

/// Every log's world, as far as it is folded.
#[derive(Debug)]
pub(super) struct Folds {
    pub(super) instance: InstanceWorld,
    pub(super) workspaces: HashMap<LogTag, WorkspaceWorld>,
    /// Entries folded one by one, not taken from snapshots.
    pub(super) replayed: u64,
}

impl Default for Folds {
    fn default() -> Self {
        let instance = InstanceWorld::empty(LogTag::INSTANCE);
        Self { instance, workspaces: HashMap::new(), replayed: 0 }
    }
}

impl Folds {
    /// What snapshots say, and where each claims to stand. Blocking.
    pub(super) fn load(snapshots: &Snapshots) -> (Self, Vec<Stamp>) {
        let (mut folds, mut stamps) = (Self::default(), vec![]);
        for log in snapshots.logs() {
            if log == LogTag::INSTANCE {
                let Some((world, stamp)) = snapshots.load(log) else { continue };
                folds.instance = world;
                stamps.push(stamp);
            } else {
                let Some((world, stamp)) = snapshots.load(log) else { continue };
                folds.workspaces.insert(log, world);
                stamps.push(stamp);
            }
        }
        (folds, stamps)
    }

    /// Folds the next entry of a log in: each once, in order, none left out.
    pub(super) fn apply(&mut self, log: LogTag, entry: &Entry) -> Result<(), BootError> {
        self.replayed += 1;
        if log == LogTag::INSTANCE {
            return step(&mut self.instance, entry);
        }
        step(self.workspaces.entry(log).or_insert_with(|| WorkspaceWorld::empty(log)), entry)
    }

    /// The fold must end where the journal ends.
    pub(super) fn check(&self, log: LogTag, journal: Position) -> Result<(), BootError> {
        let head = match log {
            LogTag::INSTANCE => self.instance.head(),
            log => self.workspaces.get(&log).map_or(Offset(0), World::head),
        };
        let found = Offset(journal.offset);
        if head == found { Ok(()) } else { Err(BootError::Gap { log, head, found }) }
    }
}

fn step<W: World>(world: &mut W, entry: &Entry) -> Result<(), BootError> {
    if entry.offset != world.head().plus(1) {
        return Err(BootError::Gap { log: world.log(), head: world.head(), found: entry.offset });
    }
    world.apply(entry);
    Ok(())
}

/// The same log, as the journal names it.
pub(super) fn log_id(log: LogTag) -> LogId {
    LogId(log.0)
}
