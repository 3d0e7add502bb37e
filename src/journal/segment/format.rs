//! A segment's bytes: one header, groups, one seal, zeros (see `FORMAT.md`).

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

use crate::codec::{self, Malformed};
use crate::seal::{self, Hash};
use crate::{LogId, Position};

/// The newest format this program reads and writes.
pub(crate) const FORMAT: u16 = 1;
/// The header has a block of its own, which no later write touches.
pub(crate) const HEADER_BLOCK: usize = 4096;
/// Magic, number, count, length, checksum.
pub(crate) const LEAD_BYTES: usize = MAGIC_BYTES + 8 + 4 + 4 + 4;
/// What a lead begins with.
pub(crate) const MAGIC_BYTES: usize = 4;

const SEGMENT_MAGIC: [u8; 8] = *b"TAFFRAIL";
const HEADER_BYTES: usize = 8 + 2 + 16 + 8 + 8 + 32;

/// Which store a segment belongs to.
pub(crate) type StoreId = [u8; 16];

/// Head and chain of every log, in order of log.
pub(crate) type Heads = BTreeMap<LogId, Position>;

/// Why the start of a file is not the header of a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("segment format {0} is newer than this program knows ({FORMAT})")]
    Newer(u16),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What a segment says of itself before its first group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Header {
    magic: [u8; 8],
    format: u16,
    /// The store it belongs to.
    pub(crate) store: StoreId,
    /// Its own number, from 1.
    pub(crate) segment: u64,
    /// Number that its first group has.
    pub(crate) first_group: u64,
    /// Digest of every log's head at the end of the segment before it.
    pub(crate) digest: Hash,
}

impl Header {
    pub(crate) fn new(store: StoreId, segment: u64, first_group: u64, digest: Hash) -> Self {
        Self { magic: SEGMENT_MAGIC, format: FORMAT, store, segment, first_group, digest }
    }

    /// The header's block.
    pub(crate) fn block(&self) -> Vec<u8> {
        let mut block = codec::encode(self);
        let checksum = crc32c::crc32c(&block);
        block.extend_from_slice(&checksum.to_be_bytes());
        block.resize(HEADER_BLOCK, 0);
        block
    }

    /// Reads the block at the start of a segment. A newer format is said by name.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, HeaderError> {
        let fields = bytes.get(..HEADER_BYTES).ok_or_else(|| Malformed::new("the header is cut short"))?;
        if codec::u32_at(bytes, HEADER_BYTES) != Some(crc32c::crc32c(fields)) {
            return Err(Malformed::new("the header's checksum does not match").into());
        }
        let header: Self = codec::decode(fields)?;
        if header.magic != SEGMENT_MAGIC {
            return Err(Malformed::new("this is not a segment").into());
        }
        if header.format > FORMAT { Err(HeaderError::Newer(header.format)) } else { Ok(header) }
    }
}

/// What stands behind a [`Lead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Frames that became durable together.
    Group,
    /// The end of a segment.
    Seal,
}

impl Kind {
    const fn magic(self) -> u32 {
        match self {
            Self::Group => u32::from_be_bytes(*b"TFGR"),
            Self::Seal => u32::from_be_bytes(*b"TFSL"),
        }
    }
}

/// What stands before the body of a group or seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) kind: Kind,
    /// The group's number; for a seal, that of the last group before it.
    pub(crate) number: u64,
    /// Frames in a group; heads in a seal.
    pub(crate) count: u32,
    /// Bytes behind the lead.
    pub(crate) len: u32,
}

impl Lead {
    /// The lead's bytes for a body with this CRC-32C.
    pub(crate) fn bytes(&self, store: &StoreId, segment: u64, body_crc: u32) -> [u8; LEAD_BYTES] {
        let mut bytes = [0; LEAD_BYTES];
        bytes[..12].copy_from_slice(&Self::name(self.kind, self.number));
        bytes[12..16].copy_from_slice(&self.count.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.len.to_be_bytes());
        let checksum = checksum(body_crc, store, segment, &bytes[..20]);
        bytes[20..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// What the lead of this group or seal begins with.
    pub(crate) fn name(kind: Kind, number: u64) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..MAGIC_BYTES].copy_from_slice(&kind.magic().to_be_bytes());
        bytes[MAGIC_BYTES..].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    /// The group or seal that starts `bytes`, if it is whole and belongs here; and its body.
    pub(crate) fn read<'a>(bytes: &'a [u8], store: &StoreId, segment: u64) -> Option<(Self, &'a [u8])> {
        let magic = codec::u32_at(bytes, 0)?;
        let kind = [Kind::Group, Kind::Seal].into_iter().find(|kind| kind.magic() == magic)?;
        let lead = Self {
            kind,
            number: codec::u64_at(bytes, 4)?,
            count: codec::u32_at(bytes, 12)?,
            len: codec::u32_at(bytes, 16)?,
        };
        let body = bytes.get(LEAD_BYTES..LEAD_BYTES.checked_add(lead.len as usize)?)?;
        let checksum = checksum(crc32c::crc32c(body), store, segment, &bytes[..20]);
        (codec::u32_at(bytes, 20) == Some(checksum)).then_some((lead, body))
    }
}

/// The body comes first, so that it can be summed up before number and segment are known.
fn checksum(body_crc: u32, store: &StoreId, segment: u64, lead: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(body_crc, store);
    let crc = crc32c::crc32c_append(crc, &segment.to_be_bytes());
    crc32c::crc32c_append(crc, lead)
}

/// What a segment says of itself behind its last group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Seal {
    /// Number of its first group.
    pub(crate) first_group: u64,
    /// The highest entry time so far in any log.
    pub(crate) last_time_ms: u64,
    /// Every log with its head and chain, in order of log.
    pub(crate) heads: Vec<(LogId, Position)>,
    /// Digest of `heads`.
    pub(crate) digest: Hash,
    /// Bytes of the whole seal, so that it is found from the end of the file.
    len: u32,
}

impl Seal {
    pub(crate) fn new(first_group: u64, last_time_ms: u64, heads: &Heads) -> Self {
        let digest = seal::digest(heads);
        let heads: Vec<_> = heads.iter().map(|(log, position)| (*log, *position)).collect();
        let len = u32::try_from(Self::len_for(heads.len())).expect("2^24 logs of 44 bytes stay below 4 GiB");
        Self { first_group, last_time_ms, heads, digest, len }
    }

    /// How many bytes a seal over this many logs takes.
    pub(crate) fn len_for(logs: usize) -> usize {
        LEAD_BYTES + 8 + 8 + 8 + logs * 44 + 32 + 4
    }

    /// The seal's bytes, lead and all.
    pub(crate) fn bytes(&self, store: &StoreId, segment: u64, last_group: u64) -> Vec<u8> {
        let body = codec::encode(self);
        let lead = Lead {
            kind: Kind::Seal,
            number: last_group,
            count: u32::try_from(self.heads.len()).expect("tags have 24 bits"),
            len: self.len - LEAD_BYTES as u32,
        };
        let mut bytes = lead.bytes(store, segment, crc32c::crc32c(&body)).to_vec();
        bytes.extend_from_slice(&body);
        bytes
    }

    /// The seal in this body, if its digest holds.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let seal: Self = codec::decode(body)?;
        if seal::digest(&seal.heads()) != seal.digest {
            return Err(Malformed::new("the seal's digest does not match its heads"));
        }
        Ok(seal)
    }

    /// The heads as a map.
    pub(crate) fn heads(&self) -> Heads {
        self.heads.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_a_newer_format_is_named() {
        let header = Header::new([1; 16], 2, 3, [4; 32]);
        assert_eq!(Header::read(&header.block()), Ok(header));
        let newer = Header { format: FORMAT + 1, ..header };
        assert_eq!(Header::read(&newer.block()), Err(HeaderError::Newer(2)));
        let mut flipped = header.block();
        flipped[20] ^= 1;
        assert!(Header::read(&flipped).is_err());
    }

    #[test]
    fn a_seal_reads_back_from_its_end_and_only_where_it_belongs() {
        let heads = Heads::from([
            (LogId(1), Position { offset: 9, chain: [7; 32] }),
            (LogId(4), Position::default()),
        ]);
        let seal = Seal::new(5, 1_000, &heads);
        let bytes = seal.bytes(&[1; 16], 2, 8);
        assert_eq!(bytes.len(), Seal::len_for(2));
        assert_eq!(codec::u32_at(&bytes, bytes.len() - 4), Some(bytes.len() as u32));
        let (lead, body) = Lead::read(&bytes, &[1; 16], 2).unwrap();
        assert_eq!((lead.kind, lead.number, lead.count), (Kind::Seal, 8, 2));
        assert_eq!(Seal::read(body), Ok(seal));
        assert!(Lead::read(&bytes, &[1; 16], 3).is_none(), "another segment");
        assert!(Lead::read(&bytes, &[2; 16], 2).is_none(), "another store");
    }
}
