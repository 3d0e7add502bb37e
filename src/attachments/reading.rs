//! A file as it is read: in pieces, and held against its hash before the last of them is given out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use taffrail_domain::Text;
use taffrail_domain::issue::AttachedFile;

use super::off_the_runtime;

/// Read at once: no answer holds more of a file than that.
const PIECE_BYTES: u64 = 256 << 10;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The journal names it, and it is not there.
    #[error("the file is missing")]
    Missing,
    /// It is not what the journal says.
    #[error("the file is damaged")]
    Damaged,
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file that is read.
#[derive(Debug)]
pub struct Reading {
    file: File,
    left: u64,
    hash: Sha256,
    expected: Text,
}

impl Reading {
    pub(super) fn open(path: &Path, named: &AttachedFile) -> Result<Self, ReadError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Missing),
            file => file?,
        };
        if file.metadata()?.len() != named.size_bytes {
            return Err(ReadError::Damaged);
        }
        Ok(Self { file, left: named.size_bytes, hash: Sha256::new(), expected: named.sha256.clone() })
    }

    /// The next piece, off the runtime; `None` at the end. The last piece of a file that is not what it
    /// should be is an error: whoever reads it sees that it is not whole.
    pub async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.left == 0 {
            return None;
        }
        let read = off_the_runtime(move || {
            let piece = self.piece();
            if piece.is_err() {
                self.left = 0;
            }
            Ok((piece, self))
        });
        // It ends with the thread that had it.
        read.await.ok()
    }

    fn piece(&mut self) -> io::Result<Bytes> {
        let mut piece = vec![];
        (&self.file).take(PIECE_BYTES.min(self.left)).read_to_end(&mut piece)?;
        let is_short = piece.is_empty();
        self.left = self.left.saturating_sub(piece.len() as u64);
        self.hash.update(&piece);
        if is_short || (self.left == 0 && !self.is_as_named()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an attachment is damaged"));
        }
        Ok(piece.into())
    }

    fn is_as_named(&self) -> bool {
        let digest = self.hash.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == *self.expected
    }
}
