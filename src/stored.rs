//! Between the domain's entries and the journal's frames.

use taffrail_domain::{Actor, DecodeError, Draft, Entry, Offset, Time};
use taffrail_journal::{Frame, Header, ReadError, Request, Unsealed};

/// The frame that a draft becomes.
///
/// # Errors
/// If the event cannot be written as JSON.
pub fn unsealed(
    draft: &Draft,
    time: Time,
    actor: &Actor,
    request: Option<Request>,
) -> Result<Unsealed, DecodeError> {
    let stored = draft.encode()?;
    Ok(Unsealed {
        time_ms: time.0,
        kind: stored.kind,
        version: stored.version,
        subject: (&*draft.subject).into(),
        actor: actor.to_string().into(),
        request,
        body: stored.body.into(),
    })
}

/// The entry that a frame holds.
///
/// # Errors
/// See [`DecodeError`]; an erased frame is malformed, because nothing can be folded from it.
pub fn entry(frame: &Frame) -> Result<Entry, DecodeError> {
    let header = &frame.header;
    let erased = || DecodeError::Malformed { kind: header.kind.clone(), reason: "its body is erased".into() };
    let content = frame.content.as_ref().ok_or_else(erased)?;
    Entry::decode(
        Offset(header.offset),
        Time(header.time_ms),
        &header.subject,
        &header.actor,
        &header.kind,
        header.version,
        &content.body,
    )
}

/// As [`entry`], for a frame that was folded once and must be readable.
///
/// # Errors
/// `Damaged`, naming the offset.
pub fn readable(frame: &Frame) -> Result<Entry, ReadError> {
    let Header { log, offset, .. } = &frame.header;
    entry(frame).map_err(|error| ReadError::Damaged(format!("log {log} offset {offset}: {error}")))
}

/// The entries that frames hold, in their order.
///
/// # Errors
/// `Damaged`, naming the first offset whose frame does not decode.
pub fn entries(frames: &[Frame]) -> Result<Vec<Entry>, ReadError> {
    frames.iter().map(readable).collect()
}
