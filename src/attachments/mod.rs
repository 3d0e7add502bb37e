//! The bytes of files at issues, beside the journal: `attachments/<workspace>/<sha256>`.
//!
//! Bytes are durable under their hash before the entry that names them is appended, and go only after
//! nothing names them any more: what the journal names is here. Of what is here without a name, a crash
//! before the entry, or before the removal, left it; the next start removes it.

mod incoming;
mod reading;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use taffrail_domain::WorkspaceId;
use taffrail_domain::issue::AttachedFile;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

pub use incoming::Incoming;
pub use reading::{ReadError, Reading};

use crate::durable;

/// Files that arrive at once: each may take its largest size from the disk before anybody knows it.
const INCOMING_MAX: usize = 32;
/// Those of them that are of one workspace: slow senders of one keep nobody elsewhere waiting.
const INCOMING_OF_ONE_MAX: usize = 8;
/// Where files lie while they arrive. No workspace has this name: ids have no dot.
const INCOMING: &str = ".incoming";
/// A SHA-256 in hex.
const NAME_CHARS: usize = 64;
/// Longest id of a workspace that is a name of a folder.
const WORKSPACE_CHARS_MAX: usize = 64;

/// The files of one instance; cheap to clone.
#[derive(Clone, Debug)]
pub struct Attachments {
    folder: Arc<PathBuf>,
    arriving: Arc<Semaphore>,
    arriving_at: Arc<Mutex<HashMap<WorkspaceId, Arc<Semaphore>>>>,
}

impl Attachments {
    /// Opens the folder, makes it on first use, and removes what had not arrived whole. Blocking.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("attachments");
        let incoming = folder.join(INCOMING);
        durable::make_folder(&incoming)?;
        durable::sweep_unfinished(&incoming)?;
        let arriving = Arc::new(Semaphore::new(INCOMING_MAX));
        Ok(Self { folder: Arc::new(folder), arriving, arriving_at: Arc::default() })
    }

    /// Begins a file that arrives for a workspace; `None` while too many do.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn receive(&self, workspace: &WorkspaceId) -> io::Result<Option<Incoming>> {
        let Some(turns) = self.turns(workspace) else { return Ok(None) };
        let folder = self.folder.join(INCOMING);
        off_the_runtime(move || Incoming::begin(&folder, turns).map(Some)).await
    }

    fn turns(&self, workspace: &WorkspaceId) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = {
            let mut all = self.arriving_at.lock().unwrap_or_else(PoisonError::into_inner);
            let own = all.entry(workspace.clone());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(INCOMING_OF_ONE_MAX))))
        };
        Some([own.try_acquire_owned().ok()?, Arc::clone(&self.arriving).try_acquire_owned().ok()?])
    }

    /// Puts a file that has arrived in its place, durably. To be followed by the fact, or by
    /// [`Attachments::remove`]. One that lies there already is replaced: should it be damaged, it is whole
    /// from now on.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn keep(&self, workspace: &WorkspaceId, incoming: Incoming) -> io::Result<()> {
        let folder = self.folder_of(workspace)?;
        off_the_runtime(move || incoming.place_in(&folder)).await
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read(&self, workspace: &WorkspaceId, file: &AttachedFile) -> Result<Reading, ReadError> {
        let path = self.path(workspace, &file.sha256)?;
        let file = file.clone();
        let opened = spawn_blocking(move || Reading::open(&path, &file)).await;
        opened.map_err(io::Error::other)?
    }

    /// Removes bytes that nothing names, durably; those that are not there are as good as removed.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn remove(&self, workspace: &WorkspaceId, sha256: &str) -> io::Result<()> {
        let path = self.path(workspace, sha256)?;
        off_the_runtime(move || match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => durable::sync_parent(&path),
        })
        .await
    }

    /// Removes every file of a workspace that nothing names, and says how many. What is no file of ours is
    /// left alone.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn sweep(
        &self,
        workspace: &WorkspaceId,
        is_named: impl Fn(&str) -> bool + Send + 'static,
    ) -> io::Result<usize> {
        let folder = self.folder_of(workspace)?;
        off_the_runtime(move || sweep(&folder, is_named)).await
    }

    /// Ids are made here, but one that came from elsewhere must not leave the folder.
    fn folder_of(&self, workspace: &WorkspaceId) -> io::Result<PathBuf> {
        let id = workspace.as_str();
        let is_plain = (1..=WORKSPACE_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_plain { Ok(self.folder.join(id)) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn path(&self, workspace: &WorkspaceId, sha256: &str) -> io::Result<PathBuf> {
        if !is_hash(sha256) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.folder_of(workspace)?.join(sha256))
    }
}

fn is_hash(name: &str) -> bool {
    name.len() == NAME_CHARS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn sweep(folder: &Path, is_named: impl Fn(&str) -> bool) -> io::Result<usize> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        files => files?,
    };
    let mut swept = 0;
    for file in files {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if is_hash(name) && !is_named(name) {
            fs::remove_file(&path)?;
            swept += 1;
        }
    }
    Ok(swept)
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
