//! Folders of small JSON files, one per id, written so that a crash leaves the old or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable;

/// A folder that only its owner may enter.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if it is not there, and removes what a crash left unfinished. Blocking.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        durable::make_folder(path)?;
        durable::sweep_unfinished(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Every file by its name. Blocking.
    pub(super) fn read_all<T: DeserializeOwned>(&self) -> io::Result<Vec<(String, T)>> {
        let mut all = vec![];
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            all.push((name.to_owned(), parse(&path, &fs::read(&path)?)?));
        }
        Ok(all)
    }

    /// One file, if it is there. Blocking.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file durably, off the runtime.
    pub(super) async fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let bytes = serde_json::to_vec(value)?;
        let (folder, name) = (self.clone(), name.to_owned());
        off_the_runtime(move || folder.replace(&name, &bytes)).await
    }

    /// Removes a file durably, off the runtime; one that is not there is as good as removed.
    pub(super) async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.0.join(name);
        off_the_runtime(move || match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => durable::sync_parent(&path),
        })
        .await
    }

    /// Writes a file durably. Blocking.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        durable::replace(&self.0.join(name), |file| file.write_all(bytes))
    }
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {error}", path.display()))
    })
}

async fn off_the_runtime(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
