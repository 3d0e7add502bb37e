//! The few things the committer asks of a disk: the seam by which a test makes one fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What stands between the committer and its files. Every method has the real behaviour as its
/// default; a test overrides the one that should fail.
pub trait Disk: Send + Sync + 'static {
    /// Writes all of `bytes` at byte `at` of a segment.
    ///
    /// # Errors
    /// As the disk says; the journal is then poisoned.
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// As the disk says; the journal is then poisoned and the sync never repeated.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Makes sure that a segment has room for `len` bytes before anything is written there.
    ///
    /// # Errors
    /// As the disk says; the append is then refused with `Full`.
    fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len)?)
    }

    /// Creates a file of `len` zeros that really take their room, and makes it durable, piece by
    /// piece: a group that is synced meanwhile must not wait behind all of it.
    ///
    /// # Errors
    /// As the disk says; there is then no next segment, and appends may be refused with `Full`.
    fn zero_file(&self, path: &Path, len: u64) -> io::Result<()> {
        const CHUNK: usize = 256 << 10;
        let mut file = create(path)?;
        let zeros = vec![0; CHUNK];
        let mut left = len;
        while left > 0 {
            let now = left.min(CHUNK as u64);
            file.write_all(&zeros[..now as usize])?;
            file.sync_data()?;
            left -= now;
        }
        file.sync_all()
    }
}

/// The machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}

/// Bytes that are free for us on the file system of `path`.
///
/// # Errors
/// As `statvfs` says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Cuts a file down to `len` bytes.
pub(crate) fn trim(path: &Path, len: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(len)?;
    file.sync_all()
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Puts a whole file at `path`: temporary, synced, renamed over, folder synced. A failure leaves no
/// temporary file behind.
pub(crate) fn replace_file(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let written = write_whole(&temporary, parts).and_then(|()| std::fs::rename(&temporary, path));
    written.inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// An empty file that only its owner may read: a journal holds what is nobody else's business.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = create(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_put_in_its_place_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken.segment");
        std::fs::create_dir(&path).unwrap();
        assert!(replace_file(&path, &[b"whole"]).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::remove_dir(&path).unwrap();
        replace_file(&path, &[b"who", b"le"]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }
}
