//! One snapshot's bytes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use taffrail_projections::World;

use super::Stamp;
use crate::durable;

const MAGIC: &[u8; 8] = b"tafffold";
/// Hash of the fold's sources and codecs, made by `build.rs`.
const FOLD: &str = env!("TAFFRAIL_FOLD");
const DIGEST_BYTES: usize = 32;
const BUFFER_BYTES: usize = 1 << 16;

/// Writes a snapshot durably.
pub(super) fn write<W: World>(path: &Path, stamp: &Stamp, world: &W) -> io::Result<()> {
    durable::replace(path, |file| {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, Hashed { file, hash: Sha256::new() });
        out.write_all(MAGIC)?;
        out.write_all(FOLD.as_bytes())?;
        let encoded =
            bincode::serde::encode_into_std_write((stamp, world), &mut out, bincode::config::standard());
        encoded.map_err(io::Error::other)?;
        let Hashed { file, hash } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.write_all(&hash.finalize())
    })
}

/// Reads a snapshot of this build's fold, or says why not.
pub(super) fn read<W: World>(path: &Path) -> Result<(W, Stamp), String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let (told, digest) = bytes.split_last_chunk::<DIGEST_BYTES>().ok_or("it is cut short")?;
    let body = told.strip_prefix(MAGIC).ok_or("it is not a snapshot")?;
    let body = body.strip_prefix(FOLD.as_bytes()).ok_or("it was made by another build")?;
    if Sha256::digest(told).as_slice() != digest {
        return Err("its bytes are damaged".to_owned());
    }
    let decoded = bincode::serde::borrow_decode_from_slice(body, bincode::config::standard());
    let ((stamp, world), read): ((Stamp, W), usize) = decoded.map_err(|error| error.to_string())?;
    if read != body.len() {
        return Err("it has bytes too many".to_owned());
    }
    Ok((world, stamp))
}

/// Hashes what goes through.
struct Hashed<'a> {
    file: &'a mut File,
    hash: Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
