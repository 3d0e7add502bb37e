//! A file while it arrives: under a name of its own, hashed as it grows, gone if nobody keeps it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use taffrail_domain::Text;
use tokio::sync::OwnedSemaphorePermit;
use ulid::Ulid;

use super::off_the_runtime;
use crate::durable;

const OWNER_ONLY: u32 = 0o600;

/// A file that arrives.
#[derive(Debug)]
pub struct Incoming {
    path: Option<PathBuf>,
    file: File,
    hash: Sha256,
    len: u64,
    /// Of the instance and of its workspace.
    _turns: [OwnedSemaphorePermit; 2],
}

impl Incoming {
    pub(super) fn begin(folder: &Path, turns: [OwnedSemaphorePermit; 2]) -> io::Result<Self> {
        // An ending that every start sweeps.
        let path = folder.join(format!("{}.tmp", Ulid::generate()));
        let file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&path)?;
        Ok(Self { path: Some(path), file, hash: Sha256::new(), len: 0, _turns: turns })
    }

    /// Takes the next piece, off the runtime.
    ///
    /// # Errors
    /// What the file system says; the file is gone then.
    pub async fn take(mut self, piece: Bytes) -> io::Result<Self> {
        off_the_runtime(move || {
            self.file.write_all(&piece)?;
            self.hash.update(&piece);
            self.len += piece.len() as u64;
            Ok(self)
        })
        .await
    }

    /// How long it is so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing has arrived yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// SHA-256 of what has arrived, in hex.
    #[must_use]
    pub fn sha256(&self) -> Text {
        let digest = self.hash.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }

    /// Synced, then renamed, then the folder synced. Blocking.
    pub(super) fn place_in(mut self, folder: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        durable::make_folder(folder)?;
        let place = folder.join(&*self.sha256());
        if let Some(path) = &self.path {
            fs::rename(path, &place)?;
        }
        self.path = None;
        durable::sync_parent(&place)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Where even this fails, the next start sweeps it.
            let _ = fs::remove_file(path);
        }
    }
}
