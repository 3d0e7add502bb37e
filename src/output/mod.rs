//! The whole output of runs, as files beside the journal: `output/<run>.log`.
//!
//! The journal keeps the beginning and the end of an output, and length and SHA-256 of all of it. What is
//! here can be thrown away without hurting anything else; what is here in full is synced before the entry
//! that says so is written.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use taffrail_domain::RunId;
use taffrail_domain::work::Output;
use tokio::task::spawn_blocking;

use crate::durable;

/// Most that one run may put out; what follows is cut off.
pub const OUTPUT_BYTES_MAX: u64 = 256 << 20;
/// What the journal keeps of the beginning of an output.
pub const HEAD_BYTES: u64 = 32 << 10;
/// Read at once after a restart.
const READ_BYTES: usize = 64 << 10;
const OWNER_ONLY: u32 = 0o600;
/// What the journal keeps of its end.
pub const TAIL_BYTES: u64 = 32 << 10;

/// The outputs of one instance; cheap to clone.
#[derive(Clone, Debug)]
pub struct Outputs {
    folder: Arc<PathBuf>,
    open: Arc<Mutex<HashMap<RunId, Open>>>,
}

/// An output that grows.
#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
    hash: Sha256,
}

/// Why a piece of output was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// It begins behind the end: what lies between was lost on the way.
    #[error("the output has {0} bytes so far")]
    Gap(u64),
    /// The run has put out too much.
    #[error("the output is longer than {OUTPUT_BYTES_MAX} bytes")]
    TooLong,
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What became of a piece of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// How many bytes of the piece were there already.
    pub known: usize,
    /// How long the output is now.
    pub len: u64,
}

impl Outputs {
    /// Opens the folder, and makes it on first use.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("output");
        durable::make_folder(&folder)?;
        Ok(Self { folder: Arc::new(folder), open: Arc::default() })
    }

    /// Appends a piece that begins at `offset`. A piece that was taken before changes nothing.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub async fn append(&self, run: &RunId, offset: u64, piece: Vec<u8>) -> Result<Appended, OutputError> {
        let (outputs, run) = (self.clone(), run.clone());
        off_the_runtime(move || outputs.with(&run, |open| open.append(offset, &piece))).await
    }

    /// Syncs an output and says what it is; `None` if there is none.
    ///
    /// # Errors
    /// If the disk does not do it.
    pub async fn finish(&self, run: &RunId) -> Result<Option<Output>, OutputError> {
        let (outputs, run) = (self.clone(), run.clone());
        off_the_runtime(move || {
            if !outputs.path(&run).is_some_and(|path| path.exists()) {
                return Ok(None);
            }
            let output = outputs.with(&run, |open| {
                open.file.sync_all()?;
                let digest = open.hash.clone().finalize();
                let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(Output { bytes: open.len, sha256: sha256.into() })
            })?;
            outputs.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
            Ok(Some(output))
        })
        .await
    }

    /// Up to `limit` bytes from `offset` on, and how long the output is; `None` if there is none.
    ///
    /// # Errors
    /// If the disk does not give it back.
    pub async fn read(
        &self,
        run: &RunId,
        offset: u64,
        limit: u64,
    ) -> Result<Option<(Vec<u8>, u64)>, OutputError> {
        let Some(path) = self.path(run) else { return Ok(None) };
        off_the_runtime(move || {
            let mut file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(offset.min(len)))?;
            let mut bytes = vec![];
            file.take(limit).read_to_end(&mut bytes)?;
            Ok(Some((bytes, len)))
        })
        .await
    }

    fn with<T>(
        &self,
        run: &RunId,
        work: impl FnOnce(&mut Open) -> Result<T, OutputError>,
    ) -> Result<T, OutputError> {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(run) {
            let path = self.path(run).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            all.insert(run.clone(), Open::at(&path)?);
        }
        // The line before put it there.
        let open = all.get_mut(run).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        work(open)
    }

    /// Ids are made here, but one that came from elsewhere must not leave the folder.
    fn path(&self, run: &RunId) -> Option<PathBuf> {
        let id = run.as_str();
        let is_plain = !id.is_empty()
            && id.len() <= 64
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_plain.then(|| self.folder.join(format!("{id}.log")))
    }
}

impl Open {
    /// After a restart what is there is read again.
    fn at(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(OWNER_ONLY).open(path)?;
        let (mut hash, mut len) = (Sha256::new(), 0);
        let mut piece = vec![0; READ_BYTES];
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok(Self { file, len, hash });
            }
            hash.update(&piece[..count]);
            len += count as u64;
        }
    }

    fn append(&mut self, offset: u64, piece: &[u8]) -> Result<Appended, OutputError> {
        if offset > self.len {
            return Err(OutputError::Gap(self.len));
        }
        let known = usize::try_from(self.len - offset).unwrap_or(usize::MAX).min(piece.len());
        let new = &piece[known..];
        if self.len + new.len() as u64 > OUTPUT_BYTES_MAX {
            return Err(OutputError::TooLong);
        }
        self.file.write_all(new)?;
        self.hash.update(new);
        self.len += new.len() as u64;
        Ok(Appended { known, len: self.len })
    }
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OutputError> + Send + 'static,
) -> Result<T, OutputError> {
    spawn_blocking(work).await.map_err(|error| io::Error::other(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_that_comes_twice_counts_once_and_a_gap_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let run = RunId::from("crun");
        let outputs = Outputs::open(data.path()).unwrap();
        outputs.append(&run, 0, b"hello ".to_vec()).await.unwrap();
        assert!(matches!(outputs.append(&run, 9, b"x".to_vec()).await, Err(OutputError::Gap(6))));
        let again = Outputs::open(data.path()).unwrap();
        let appended = again.append(&run, 3, b"lo world".to_vec()).await.unwrap();
        assert_eq!(appended, Appended { known: 3, len: 11 });
        let output = again.finish(&run).await.unwrap().unwrap();
        assert_eq!(output.bytes, 11);
        assert!(output.sha256.starts_with("b94d27b9934d3e08"), "of hello world");
        let (part, len) = again.read(&run, 6, 3).await.unwrap().unwrap();
        assert_eq!((part.as_slice(), len), (&b"wor"[..], 11));
    }

    #[tokio::test]
    async fn an_id_that_leaves_the_folder_names_nothing() {
        let data = tempfile::tempdir().unwrap();
        let outputs = Outputs::open(data.path()).unwrap();
        assert!(outputs.append(&"../x".into(), 0, vec![1]).await.is_err());
        assert!(outputs.read(&"../x".into(), 0, 1).await.unwrap().is_none());
    }
}
