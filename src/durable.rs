//! Files and folders that only their owner may open, written so that a crash leaves the old or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const OWNER_ONLY_FOLDER: u32 = 0o700;
const OWNER_ONLY_FILE: u32 = 0o600;
/// Ending of a file that is not finished: never believed.
const UNFINISHED: &str = "tmp";

/// Makes a folder and those above it, as far as they are missing, each durably: a file that is synced in
/// a folder whose own name is not durable can be lost with it. One that exists keeps its mode. Blocking.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    // The empty path is the folder we are in.
    let is_missing = |level: &&Path| !level.as_os_str().is_empty() && !level.is_dir();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for level in missing.into_iter().rev() {
        match DirBuilder::new().mode(OWNER_ONLY_FOLDER).create(level) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && level.is_dir() => {}
            made => made?,
        }
        sync_parent(level)?;
    }
    Ok(())
}

/// Temporary file, fsync, rename, fsync of the folder; nothing is left of one that fails. Blocking.
pub(crate) fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let unfinished = unfinished(path);
    let replaced = write(&unfinished, fill).and_then(|()| fs::rename(&unfinished, path));
    if replaced.is_err() {
        // Where even this fails, the next start sweeps it.
        let _ = fs::remove_file(&unfinished);
    }
    replaced?;
    sync_parent(path)
}

fn write(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(OWNER_ONLY_FILE).open(path)?;
    fill(&mut file)?;
    file.sync_all()
}

/// Removes what a crash left unfinished in a folder. Blocking.
pub(crate) fn sweep_unfinished(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        if file.extension().is_some_and(|ending| ending == UNFINISHED) {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Makes durable that a name stands in its folder, or does not any more. Blocking.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    // The parent of a bare name is the empty path, which cannot be opened.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_folder_is_made_with_those_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/../c/d");
        for _ in 0..2 {
            make_folder(&path).unwrap();
            assert!(path.is_dir());
        }
        make_folder(Path::new("src")).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [&file, &file.join("below")] {
            assert!(make_folder(path).is_err());
        }
    }

    #[test]
    fn a_file_that_cannot_be_finished_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, |file| file.write_all(b"old")).unwrap();
        let failed = replace(&path, |file| file.write_all(b"ne").and(Err(io::ErrorKind::StorageFull.into())));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
