//! Sealing: nonces, commitments, leaves and the chain. Only this crate seals frames.
//!
//! commitment = HMAC-SHA-256(nonce, body); leaf = SHA-256(0x00 ‖ header ‖ commitment);
//! chain = SHA-256(previous ‖ leaf). The body enters the chain only through its commitment, so an
//! erased frame still proves its place.

use hmac::{Hmac, KeyInit, Mac};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::codec;
use crate::frame::{self, FRAME_FORMAT};
use crate::{Content, FRAME_BYTES_MAX, Frame, Header, LogId, Position, Unsealed};

/// Stands before the bytes of a leaf, so that no leaf is ever taken for an inner node of a tree.
const LEAF: u8 = 0x00;
/// Stands before the heads of all logs, so that their digest is never taken for anything else.
const HEADS: u8 = 0x02;

/// A hash: 32 bytes of SHA-256.
pub type Hash = [u8; 32];

/// HMAC-SHA-256(nonce, body).
#[must_use]
pub fn commitment(nonce: &[u8; 16], body: &[u8]) -> Hash {
    let mut mac = Hmac::<Sha256>::new_from_slice(nonce).expect("HMAC takes a key of any length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// SHA-256(0x00 ‖ header ‖ commitment), over the header's encoded bytes.
#[must_use]
pub fn leaf(header: &[u8], commitment: &Hash) -> Hash {
    Sha256::new().chain_update([LEAF]).chain_update(header).chain_update(commitment).finalize().into()
}

/// SHA-256(previous ‖ leaf).
#[must_use]
pub fn link(previous: &Hash, leaf: &Hash) -> Hash {
    Sha256::new().chain_update(previous).chain_update(leaf).finalize().into()
}

/// SHA-256 over every log with its head and chain, in order of log.
#[must_use]
pub fn digest<'a>(heads: impl IntoIterator<Item = (&'a LogId, &'a Position)>) -> Hash {
    let mut hash = Sha256::new().chain_update([HEADS]);
    for (log, position) in heads {
        hash.update(log.0.to_be_bytes());
        hash.update(position.offset.to_be_bytes());
        hash.update(position.chain);
    }
    hash.finalize().into()
}

/// The position after `frame`, if it follows `previous` and its hashes hold.
///
/// # Errors
/// A sentence naming what does not hold: offset, commitment or chain.
pub fn follow(previous: &Position, frame: &Frame) -> Result<Position, codec::Malformed> {
    let header = codec::encode(&frame.header);
    if let Some(content) = &frame.content
        && commitment(&content.nonce, &content.body) != frame.commitment
    {
        return Err(codec::Malformed::new("the body does not match its commitment"));
    }
    follow_raw(previous, frame.header.offset, &header, &frame.commitment, &frame.chain)
}

/// The position after a frame whose commitment is already checked.
pub(crate) fn follow_raw(
    previous: &Position,
    offset: u64,
    header: &[u8],
    commitment: &Hash,
    chain: &Hash,
) -> Result<Position, codec::Malformed> {
    if previous.offset.checked_add(1) != Some(offset) {
        return Err(codec::Malformed::new(format!("offset {offset} follows offset {}", previous.offset)));
    }
    if link(&previous.chain, &leaf(header, commitment)) != *chain {
        return Err(codec::Malformed::new(format!("the chain breaks at offset {offset}")));
    }
    Ok(Position { offset, chain: *chain })
}

/// Turns what writers hand over into sealed frames. Holds the generator of nonces, so that no
/// frame costs a system call.
pub(crate) struct Sealer {
    nonces: StdRng,
}

impl Sealer {
    /// Seeded by the operating system.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self::seeded(seed))
    }

    /// The same seed gives the same nonces: for golden files and seeded tests.
    pub(crate) fn seeded(seed: [u8; 32]) -> Self {
        Self { nonces: StdRng::from_seed(seed) }
    }

    /// Seals one frame behind `position`, moves `position` on and appends the frame's bytes to `out`.
    /// The caller has checked its size with [`sealed_len`].
    pub(crate) fn seal(
        &mut self,
        log: LogId,
        position: &mut Position,
        unsealed: Unsealed,
        out: &mut Vec<u8>,
    ) -> Frame {
        let mut nonce = [0; 16];
        self.nonces.fill_bytes(&mut nonce);
        let Unsealed { time_ms, kind, version, subject, actor, request, body } = unsealed;
        let offset = position.offset + 1;
        let header =
            Header { format: FRAME_FORMAT, log, offset, time_ms, kind, version, subject, actor, request };
        let commitment = commitment(&nonce, &body);
        let start = frame::begin(&header, out);
        let chain = link(&position.chain, &leaf(&out[start + frame::PREFIX_BYTES..], &commitment));
        let frame = Frame { header, commitment, content: Some(Content { nonce, body }), chain };
        frame::finish(&frame, start, out);
        *position = Position { offset, chain };
        frame
    }
}

/// How many bytes the frame will take once sealed, or why it may not be that many.
pub(crate) fn sealed_len(unsealed: &Unsealed) -> Result<usize, &'static str> {
    let header = frame::HEADER_FIXED_BYTES
        + unsealed.kind.len()
        + unsealed.subject.len()
        + unsealed.actor.len()
        + unsealed.request.map_or(0, |_| 24);
    let len = frame::PREFIX_BYTES + header + frame::CONTENT_FIXED_BYTES + unsealed.body.len();
    if header > frame::HEADER_BYTES_MAX {
        return Err("a frame's header is over 64 KiB");
    }
    if len > FRAME_BYTES_MAX {
        return Err("a frame is over 4 MiB");
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn unsealed(body: &str) -> Unsealed {
        Unsealed {
            time_ms: 7,
            kind: "mission.created".into(),
            version: 1,
            subject: "m_1".into(),
            actor: "user:u_1".into(),
            request: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn sealed_frames_follow_each_other_and_say_their_length() {
        let mut sealer = Sealer::seeded([1; 32]);
        let (mut position, mut proven) = (Position::default(), Position::default());
        for body in ["{}", r#"{"a":1}"#] {
            let mut out = Vec::new();
            let frame = sealer.seal(LogId(3), &mut position, unsealed(body), &mut out);
            assert_eq!(Ok(out.len()), sealed_len(&unsealed(body)));
            proven = follow(&proven, &frame).unwrap();
        }
        assert_eq!(proven, position);
        assert_eq!(proven.offset, 2);
    }

    #[test]
    fn an_erased_frame_still_proves_its_place_and_a_changed_one_does_not() {
        let mut sealer = Sealer::seeded([1; 32]);
        let mut frame =
            sealer.seal(LogId(3), &mut Position::default(), unsealed(r#"{"secret":1}"#), &mut Vec::new());
        let mut changed = frame.clone();
        changed.content.as_mut().unwrap().body = Bytes::from_static(br#"{"secret":2}"#);
        assert!(follow(&Position::default(), &changed).is_err());
        let mut moved = frame.clone();
        moved.header.time_ms += 1;
        assert!(follow(&Position::default(), &moved).is_err());
        frame.content = None;
        assert!(follow(&Position::default(), &frame).is_ok());
    }
}
