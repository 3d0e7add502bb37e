//! The socket of the internal API, and the token beside it (`platform.md` 8.1).

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::serve::ServeError;
use crate::boot::Taffrail;
use crate::http::Listen;
use crate::{durable, http};

const FOLDER: &str = "internal";
const SOCKET: &str = "api.sock";
const TOKEN: &str = "token";
const OWNER_ONLY: u32 = 0o600;

/// A bound socket.
pub(super) struct Socket {
    pub(super) listener: OwnerOnly,
    pub(super) path: PathBuf,
}

impl Socket {
    /// Binds it for the owner only, and writes the token down for programs of the same owner. A socket that
    /// somebody still listens on is left alone.
    pub(super) fn open(app: &Taffrail, data: &Path, chosen: Option<&Path>) -> Result<Self, ServeError> {
        let folder = data.join(FOLDER);
        let path = chosen.map_or_else(|| folder.join(SOCKET), Path::to_owned);
        let opened = durable::make_folder(&folder).and_then(|()| {
            let token = http::internal_token(app);
            durable::replace(&folder.join(TOKEN), |file| file.write_all(token.as_bytes()))?;
            bind(&path)
        });
        let listen = |source| ServeError::Listen { address: path.display().to_string(), source };
        Ok(Self { listener: opened.map_err(listen)?, path })
    }
}

/// Only processes of the same user, and root's, get in, whatever the file's mode says.
pub(super) struct OwnerOnly(UnixListener);

impl Listen for OwnerOnly {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        let (stream, _) = self.0.accept().await?;
        let (peer, own) = (stream.peer_cred()?.uid(), rustix::process::getuid().as_raw());
        if peer != own && peer != 0 {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "a process of another user"));
        }
        Ok(stream)
    }
}

fn bind(path: &Path) -> io::Result<OwnerOnly> {
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))?;
    Ok(OwnerOnly(listener))
}
