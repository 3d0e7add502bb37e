//! A frame's bytes: prefix, header, commitment, nonce, body, chain, checksum (see `FORMAT.md`).
//!
//! Bodies are never copied on the way in: they are slices of the buffer a segment was read into.

use bytes::Bytes;

use crate::codec::{self, Malformed};
use crate::seal;
use crate::{Content, FRAME_BYTES_MAX, Frame, Header, LogId, Position, Request};

/// The only frame format so far.
pub(crate) const FRAME_FORMAT: u8 = 1;
/// Header length, state, body length.
pub(crate) const PREFIX_BYTES: usize = 9;
/// Commitment, nonce, chain, checksum.
pub(crate) const CONTENT_FIXED_BYTES: usize = 32 + 16 + 32 + 4;
/// An encoded header without the bytes of its strings and request.
pub(crate) const HEADER_FIXED_BYTES: usize = 1 + 4 + 8 + 8 + 8 + 2 + 8 + 8 + 1;
/// Most bytes a header may take: names are short, bodies are where the bytes belong.
pub(crate) const HEADER_BYTES_MAX: usize = 64 << 10;

/// Nonce and body are there.
const WHOLE: u8 = 1;
/// Nonce and body were taken away.
const ERASED: u8 = 0;

/// Appends prefix and header; returns where the frame starts. [`finish`] must follow.
pub(crate) fn begin(header: &Header, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    codec::encode_into(header, out);
    start
}

/// Fills the prefix in and appends everything behind the header.
pub(crate) fn finish(frame: &Frame, start: usize, out: &mut Vec<u8>) {
    let header_len = out.len() - start - PREFIX_BYTES;
    let (state, body_len) = match &frame.content {
        Some(content) => (WHOLE, content.body.len()),
        None => (ERASED, 0),
    };
    out[start..start + 4].copy_from_slice(&length(header_len).to_be_bytes());
    out[start + 4] = state;
    out[start + 5..start + 9].copy_from_slice(&length(body_len).to_be_bytes());
    out.extend_from_slice(&frame.commitment);
    if let Some(content) = &frame.content {
        out.extend_from_slice(&content.nonce);
        out.extend_from_slice(&content.body);
    }
    out.extend_from_slice(&frame.chain);
    let checksum = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("frames are bounded far below 4 GiB before they are encoded")
}

/// The bytes of a sealed frame, as they stand in a segment.
#[must_use]
pub fn encode(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    let start = begin(&frame.header, &mut out);
    finish(frame, start, &mut out);
    out
}

/// The frame at the start of `bytes` and how many bytes it takes. Its body is a slice of `bytes`.
/// Lengths and checksum are checked; hashes are checked by [`crate::seal::follow`].
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(bytes: &Bytes) -> Result<(Frame, usize), Malformed> {
    let raw = Raw::read(bytes)?;
    raw.check()?;
    Ok((raw.to_frame(bytes)?, raw.len()))
}

/// A frame's bytes cut into their parts, nothing decoded yet.
pub(crate) struct Raw<'a> {
    bytes: &'a [u8],
    header_len: usize,
    erased: bool,
    body_len: usize,
}

impl<'a> Raw<'a> {
    /// Finds the end of the frame that starts `bytes`. Checks lengths only.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let short = || Malformed::new("a frame is cut short");
        let header_len = codec::u32_at(bytes, 0).ok_or_else(short)? as usize;
        let state = *bytes.get(4).ok_or_else(short)?;
        let body_len = codec::u32_at(bytes, 5).ok_or_else(short)? as usize;
        let erased = match state {
            WHOLE => false,
            ERASED if body_len == 0 => true,
            _ => return Err(Malformed::new("a frame is neither whole nor erased")),
        };
        if !(HEADER_FIXED_BYTES..=HEADER_BYTES_MAX).contains(&header_len) || body_len > FRAME_BYTES_MAX {
            return Err(Malformed::new("a frame claims an impossible length"));
        }
        let raw = Self { bytes, header_len, erased, body_len };
        let bytes = bytes.get(..raw.len()).ok_or_else(short)?;
        Ok(Self { bytes, ..raw })
    }

    /// Bytes from prefix to checksum.
    pub(crate) fn len(&self) -> usize {
        self.body_at() + self.body_len + 32 + 4
    }

    fn body_at(&self) -> usize {
        PREFIX_BYTES + self.header_len + 32 + if self.erased { 0 } else { 16 }
    }

    fn header(&self) -> &'a [u8] {
        &self.bytes[PREFIX_BYTES..PREFIX_BYTES + self.header_len]
    }

    fn hash_at(&self, at: usize) -> [u8; 32] {
        self.bytes[at..at + 32].try_into().expect("a slice of 32 bytes")
    }

    fn commitment(&self) -> [u8; 32] {
        self.hash_at(PREFIX_BYTES + self.header_len)
    }

    /// The chain hash it claims.
    pub(crate) fn chain(&self) -> [u8; 32] {
        self.hash_at(self.body_at() + self.body_len)
    }

    fn nonce(&self) -> [u8; 16] {
        let at = self.body_at() - 16;
        self.bytes[at..at + 16].try_into().expect("a slice of 16 bytes")
    }

    /// The log and offset it claims, without decoding the rest.
    pub(crate) fn place(&self) -> (LogId, u64) {
        let header = self.header();
        let log = codec::u32_at(header, 1).expect("every header is longer than its first fields");
        let offset = codec::u64_at(header, 5).expect("every header is longer than its first fields");
        (LogId(log), offset)
    }

    /// The request that made it, without decoding the rest.
    pub(crate) fn request(&self) -> Result<Option<Request>, Malformed> {
        let header = self.header();
        let cut = || Malformed::new("a frame's header is cut short");
        let mut at = 21;
        // Kind, then two bytes of version; subject; actor: each with its length before it.
        for behind in [2, 0, 0] {
            let len = codec::u64_at(header, at).and_then(|len| usize::try_from(len).ok()).ok_or_else(cut)?;
            at = len.checked_add(at + 8 + behind).ok_or_else(cut)?;
        }
        codec::decode(header.get(at..).ok_or_else(cut)?)
    }

    /// The checksum holds: the disk gave back what was written.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        let (bytes, checksum) = self.bytes.split_at(self.bytes.len() - 4);
        if crc32c::crc32c(bytes).to_be_bytes() != checksum {
            return Err(Malformed::new("a frame's checksum does not match"));
        }
        Ok(())
    }

    /// The body is the one that was sealed, or was erased.
    pub(crate) fn commitment_holds(&self) -> bool {
        let body = &self.bytes[self.body_at()..self.body_at() + self.body_len];
        self.erased || seal::commitment(&self.nonce(), body) == self.commitment()
    }

    /// What it adds to the chain.
    pub(crate) fn leaf(&self) -> seal::Hash {
        seal::leaf(self.header(), &self.commitment())
    }

    /// The position behind it, if commitment and chain hold.
    pub(crate) fn follow(&self, previous: &Position) -> Result<Position, Malformed> {
        if !self.commitment_holds() {
            return Err(Malformed::new("the body does not match its commitment"));
        }
        seal::follow_raw(previous, self.place().1, self.header(), &self.commitment(), &self.chain())
    }

    /// The frame itself; `buffer` must be what [`Raw::read`] was given.
    pub(crate) fn to_frame(&self, buffer: &Bytes) -> Result<Frame, Malformed> {
        let header: Header = codec::decode(self.header())?;
        if header.format != FRAME_FORMAT {
            return Err(Malformed::new(format!(
                "frame format {} is not known (newest known: {FRAME_FORMAT})",
                header.format
            )));
        }
        let body_at = self.body_at();
        let content = (!self.erased).then(|| Content {
            nonce: self.nonce(),
            body: buffer.slice_ref(&self.bytes[body_at..body_at + self.body_len]),
        });
        Ok(Frame { header, commitment: self.commitment(), content, chain: self.chain() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        let header = (any::<u64>(), any::<u64>(), ".{0,40}", any::<u16>(), ".{0,40}", any::<Option<u64>>());
        (header, any::<[u8; 32]>(), any::<Option<Vec<u8>>>(), any::<[u8; 32]>()).prop_map(
            |((offset, time_ms, kind, version, subject, request), commitment, body, chain)| Frame {
                header: Header {
                    format: FRAME_FORMAT,
                    log: LogId(7),
                    offset,
                    time_ms,
                    kind: kind.into(),
                    version,
                    subject: subject.into(),
                    actor: "user:u_1".into(),
                    request: request.map(|n| Request { id: [3; 16], fingerprint: n.to_be_bytes() }),
                },
                commitment,
                content: body.map(|body| Content { nonce: [9; 16], body: body.into() }),
                chain,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(frame in any_frame()) {
            let bytes = Bytes::from(encode(&frame));
            let (decoded, len) = decode(&bytes).unwrap();
            prop_assert_eq!(len, bytes.len());
            prop_assert_eq!(Raw::read(&bytes).unwrap().place(), (frame.header.log, frame.header.offset));
            prop_assert_eq!(Raw::read(&bytes).unwrap().request().unwrap(), frame.header.request);
            prop_assert_eq!(decoded, frame);
        }

        #[test]
        fn a_flipped_bit_is_noticed(frame in any_frame(), at in any::<proptest::sample::Index>(), bit in 0..8) {
            let mut bytes = encode(&frame);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert!(decode(&Bytes::from(bytes)).is_err());
        }

        #[test]
        fn no_bytes_are_too_strange_to_refuse(bytes in any::<Vec<u8>>()) {
            prop_assert!(decode(&Bytes::from(bytes)).is_err());
        }
    }
}
