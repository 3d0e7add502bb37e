//! Finding frames and groups on the shelf.

use bytes::Bytes;

use super::keys::{frames_key, number_key};
use super::step::{Contents, Run};
use crate::codec;
use crate::frame::Raw;
use crate::{Frame, LogId};

/// What the step that shelved a group says of it.
pub(super) fn contents_of(db: &sled::Db, group: u64) -> Result<Option<Contents>, String> {
    let Some(after) = group.checked_add(1) else { return Ok(None) };
    let found = db.get_lt(number_key(b'g', after)).map_err(|error| error.to_string())?;
    let Some((key, value)) = found else { return Ok(None) };
    if key.first() != Some(&b'g') {
        return Ok(None);
    }
    let contents: Vec<Contents> = codec::decode(&value).map_err(|error| error.to_string())?;
    Ok(contents.into_iter().find(|contents| contents.group == group))
}

/// The record that holds `offset`, if there is one, put together from its pieces; and its first offset.
fn record_of(db: &sled::Db, log: LogId, offset: u64) -> Result<Option<(u64, Bytes)>, String> {
    let failed = |error: sled::Error| error.to_string();
    let Some(after) = offset.checked_add(1) else { return Ok(None) };
    let Some((key, value)) = db.get_lt(frames_key(log, after, 0)).map_err(failed)? else { return Ok(None) };
    let prefix = &frames_key(log, 0, 0)[..5];
    if !key.starts_with(prefix) || key.len() != 15 {
        return Ok(None);
    }
    let first = codec::u64_at(&key, 5).unwrap_or_default();
    if key[13..] == [0, 0] {
        return Ok(Some((first, Bytes::copy_from_slice(&value))));
    }
    let mut bytes = Vec::new();
    for entry in db.range(frames_key(log, first, 0)..=key.to_vec()) {
        bytes.extend_from_slice(&entry.map_err(failed)?.1);
    }
    Ok(Some((first, bytes.into())))
}

/// Reads records front to back, each only once for offsets that stand together.
struct Cursor {
    next: u64,
    at: usize,
    bytes: Bytes,
}

impl Cursor {
    /// The bytes of the frame at `offset`, which must not be before what was already passed.
    fn seek(&mut self, log: LogId, offset: u64) -> Result<Option<Bytes>, String> {
        while self.next <= offset && self.at < self.bytes.len() {
            let raw = Raw::read(&self.bytes[self.at..]).map_err(|error| error.to_string())?;
            if raw.place() != (log, self.next) {
                return Err(format!("the shelf has another frame at offset {} of log {log}", self.next));
            }
            raw.check().map_err(|error| error.to_string())?;
            let found = self.bytes.slice(self.at..self.at + raw.len());
            self.at += raw.len();
            self.next += 1;
            if self.next > offset {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn walk(
    db: &sled::Db,
    log: LogId,
    offsets: impl Iterator<Item = u64>,
    each: &mut dyn FnMut(u64, Bytes) -> Result<(), String>,
) -> Result<(), String> {
    let mut cursor = Cursor { next: 0, at: 0, bytes: Bytes::new() };
    for offset in offsets {
        let mut found = cursor.seek(log, offset)?;
        if found.is_none()
            && let Some((first, bytes)) = record_of(db, log, offset)?
        {
            cursor = Cursor { next: first, at: 0, bytes };
            found = cursor.seek(log, offset)?;
        }
        if let Some(bytes) = found {
            each(offset, bytes)?;
        }
    }
    Ok(())
}

/// The frames at these offsets (ascending); those that are not here are left out.
pub(super) fn fetch(db: &sled::Db, log: LogId, offsets: &[u64]) -> Result<Vec<Frame>, String> {
    let mut frames = Vec::with_capacity(offsets.len());
    walk(db, log, offsets.iter().copied(), &mut |_, bytes| {
        let raw = Raw::read(&bytes).map_err(|error| error.to_string())?;
        frames.push(raw.to_frame(&bytes).map_err(|error| error.to_string())?);
        Ok(())
    })?;
    Ok(frames)
}

/// Appends the frames of a run to `body`; `None` if one of them is not here.
pub(super) fn copy_frames(db: &sled::Db, run: &Run, body: &mut Vec<u8>) -> Result<Option<()>, String> {
    let mut found = 0;
    let end = run.first.saturating_add(u64::from(run.count));
    walk(db, run.log, run.first..end, &mut |_, bytes| {
        body.extend_from_slice(&bytes);
        found += 1;
        Ok(())
    })?;
    Ok((found == run.count).then_some(()))
}
