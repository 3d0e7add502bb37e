//! When each token last opened something: worth showing, not worth an entry in the journal.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use taffrail_domain::{Time, TokenId};

use super::files::Folder;

const FILE: &str = "last_used";

/// A side table in memory and in one file; losing its last minute is no loss.
pub(super) struct LastUsed {
    folder: Folder,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    times: BTreeMap<TokenId, Time>,
    changed: bool,
}

impl LastUsed {
    /// Reads the table. A damaged one is begun anew: nothing hangs on it. Blocking.
    pub(super) fn open(folder: Folder) -> io::Result<Self> {
        let times = match folder.read(FILE) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(%error, "the times of last use are begun anew");
                None
            }
            times => times?,
        };
        let table = Table { times: times.unwrap_or_default(), changed: false };
        Ok(Self { folder, table: Mutex::new(table) })
    }

    pub(super) fn get(&self, token: &TokenId) -> Option<Time> {
        self.lock().times.get(token).copied()
    }

    pub(super) fn note(&self, token: &TokenId, now: Time) {
        let mut table = self.lock();
        match table.times.get_mut(token) {
            Some(time) => *time = now.max(*time),
            None => drop(table.times.insert(token.clone(), now)),
        }
        table.changed = true;
    }

    pub(super) fn forget(&self, token: &TokenId) {
        let mut table = self.lock();
        table.changed |= table.times.remove(token).is_some();
    }

    pub(super) async fn flush(&self) -> io::Result<()> {
        let times = {
            let mut table = self.lock();
            if !std::mem::take(&mut table.changed) {
                return Ok(());
            }
            table.times.clone()
        };
        self.folder.write(FILE, &times).await
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
