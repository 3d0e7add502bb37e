//! Walking over a segment's bytes: what is whole, where it first breaks, what stands behind.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::format::{HEADER_BLOCK, Header, Heads, Kind, Lead, Seal, StoreId};
use crate::codec::Malformed;
use crate::frame::Raw;
use crate::seal;
use crate::{Frame, LogId, Position};

/// Where something does not check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    /// Byte in the segment.
    pub(crate) byte: u64,
    /// The group it happened in, or that should have stood there.
    pub(crate) group: u64,
    pub(crate) why: String,
}

impl Break {
    fn new(byte: usize, group: u64, why: impl Into<String>) -> Self {
        Self { byte: byte as u64, group, why: why.into() }
    }
}

/// The state of all logs at one point of the journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    pub(crate) heads: Heads,
    /// Number of the last group.
    pub(crate) group: u64,
    /// The highest entry time so far in any log.
    pub(crate) time_ms: u64,
}

impl Point {
    pub(crate) fn digest(&self) -> seal::Hash {
        seal::digest(&self.heads)
    }
}

/// The groups that follow each other from `at` on: lead, where the whole of it stands, and its body.
pub(crate) struct Groups<'a> {
    bytes: &'a [u8],
    store: &'a StoreId,
    segment: u64,
    /// Where the next one should start.
    pub(crate) at: usize,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(bytes: &'a [u8], store: &'a StoreId, segment: u64) -> Self {
        Self::from(bytes, store, segment, HEADER_BLOCK)
    }

    pub(crate) fn from(bytes: &'a [u8], store: &'a StoreId, segment: u64, at: usize) -> Self {
        Self { bytes, store, segment, at }
    }
}

impl<'a> Iterator for Groups<'a> {
    type Item = (Lead, Range<usize>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (lead, body) = Lead::read(self.bytes.get(self.at..)?, self.store, self.segment)?;
        let start = self.at;
        self.at = start + super::format::LEAD_BYTES + body.len();
        Some((lead, start..self.at, body))
    }
}

/// The frames in a group's body, cut but not decoded.
pub(crate) struct Frames<'a> {
    body: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Raw<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.body.len() {
            return None;
        }
        let raw = Raw::read(&self.body[self.at..]);
        self.at = raw.as_ref().map_or(self.body.len(), |raw| self.at + raw.len());
        Some(raw)
    }
}

/// Checks a whole sealed segment that should follow `point`: header, group numbers, checksums,
/// offsets, commitments, chains, seal. Moves `point` to its end and gives every frame with its group
/// to `each` once it is proven. Says where the segment ends.
pub(crate) fn check_sealed(
    bytes: &Bytes,
    store: &StoreId,
    segment: u64,
    point: &mut Point,
    each: &mut dyn FnMut(u64, Frame),
) -> Result<usize, Break> {
    let first_group = point.group + 1;
    check_header(bytes, store, segment, point)?;
    let mut groups = Groups::new(bytes, store, segment);
    loop {
        let at = groups.at;
        match groups.next() {
            Some((lead, range, body)) if lead.kind == Kind::Group => {
                check_group(bytes, &lead, range.start, body, point, each)?;
            }
            Some((lead, range, body)) => {
                check_seal(&lead, range.start, body, first_group, point)?;
                return Ok(range.end);
            }
            None => return Err(Break::new(at, point.group + 1, "no whole group and no seal stands here")),
        }
    }
}

/// The header says what the segment before it said.
pub(crate) fn check_header(
    bytes: &[u8],
    store: &StoreId,
    segment: u64,
    point: &Point,
) -> Result<Header, Break> {
    let group = point.group + 1;
    let header = Header::read(bytes).map_err(|error| Break::new(0, group, error.to_string()))?;
    let why = if header.store != *store {
        "it belongs to another store".to_owned()
    } else if header.segment != segment {
        format!("the file holds segment {}", header.segment)
    } else if header.first_group != group {
        format!("its first group is {}", header.first_group)
    } else if header.digest != point.digest() {
        "its digest is not where the segment before it ended".to_owned()
    } else {
        return Ok(header);
    };
    Err(Break::new(0, group, why))
}

/// One whole group: its number, and every frame in it.
pub(crate) fn check_group(
    bytes: &Bytes,
    lead: &Lead,
    start: usize,
    body: &[u8],
    point: &mut Point,
    each: &mut dyn FnMut(u64, Frame),
) -> Result<(), Break> {
    let group = point.group + 1;
    if lead.number != group {
        return Err(Break::new(start, group, format!("group {} stands here", lead.number)));
    }
    let mut count = 0u32;
    let mut at = start + super::format::LEAD_BYTES;
    // Frames of one log mostly stand together: its head is looked up once for all of them.
    let mut current: Option<(LogId, Position)> = None;
    for raw in Frames::new(body) {
        let fail = |error: Malformed| Break::new(at, group, error.0);
        let raw = raw.map_err(fail)?;
        raw.check().map_err(fail)?;
        let (log, _) = raw.place();
        let previous = match current {
            Some((same, position)) if same == log => position,
            _ => {
                current.into_iter().for_each(|(log, position)| {
                    point.heads.insert(log, position);
                });
                point.heads.get(&log).copied().unwrap_or_default()
            }
        };
        current = Some((log, raw.follow(&previous).map_err(fail)?));
        let frame = raw.to_frame(bytes).map_err(fail)?;
        point.time_ms = point.time_ms.max(frame.header.time_ms);
        each(group, frame);
        count += 1;
        at += raw.len();
    }
    current.into_iter().for_each(|(log, position)| {
        point.heads.insert(log, position);
    });
    if count != lead.count {
        return Err(Break::new(start, group, format!("{count} frames stand where {} should", lead.count)));
    }
    point.group = group;
    Ok(())
}

fn check_seal(lead: &Lead, at: usize, body: &[u8], first_group: u64, point: &Point) -> Result<(), Break> {
    let fail = |why: String| Break::new(at, point.group, why);
    let seal = Seal::read(body).map_err(|error| fail(error.0))?;
    if lead.number != point.group || seal.first_group != first_group {
        return Err(fail(format!("the seal is for groups {} to {}", seal.first_group, lead.number)));
    }
    if seal.heads() != point.heads {
        return Err(fail("the seal's heads are not where the groups end".to_owned()));
    }
    Ok(())
}

/// Everything whole in a segment's file, whatever stands between.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Groups by number; the first of a number counts.
    pub(crate) groups: BTreeMap<u64, Range<usize>>,
    /// The seal and the number of the last group it speaks for.
    pub(crate) seal: Option<(u64, Seal)>,
    /// First byte that does not belong to anything whole, counted from an unbroken start.
    pub(crate) broken_at: usize,
    /// Whether nothing but zeros follows there.
    pub(crate) clean_end: bool,
}

impl Survey {
    /// Walks over the file; behind a break it looks for anything whole at every byte.
    pub(crate) fn of(bytes: &[u8], store: &StoreId, segment: u64) -> Self {
        let mut survey = Self { clean_end: true, ..Self::default() };
        let mut at = HEADER_BLOCK;
        loop {
            let mut groups = Groups::from(bytes, store, segment, at);
            for (lead, range, body) in groups.by_ref() {
                match lead.kind {
                    Kind::Group => drop(survey.groups.entry(lead.number).or_insert(range)),
                    Kind::Seal => {
                        if let Ok(seal) = Seal::read(body) {
                            survey.seal.get_or_insert((lead.number, seal));
                        }
                    }
                }
            }
            if survey.broken_at == 0 {
                survey.broken_at = groups.at;
                let rest = bytes.get(groups.at..).unwrap_or_default();
                survey.clean_end = is_zero(rest);
                if survey.clean_end {
                    return survey;
                }
            }
            match next_magic(bytes, groups.at + 1) {
                Some(next) => at = next,
                None => return survey,
            }
        }
    }

    /// Whether the file holds nothing of this segment.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.seal.is_none()
    }
}

/// Where the first bytes of a group or seal stand next: both begin with `TF`.
pub(crate) fn next_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(4).position(|window| window == b"TFGR" || window == b"TFSL").map(|found| from + found)
}

/// Whether there is nothing but zeros: most of a segment that is being filled.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Comparing blocks is memcmp, also where nothing is optimised.
    const ZEROS: [u8; 4_096] = [0; 4_096];
    bytes.chunks(ZEROS.len()).all(|block| *block == ZEROS[..block.len()])
}
