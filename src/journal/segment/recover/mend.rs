//! Steps 6 to 8: putting a segment together again from what is whole in it and what the shelf has.

use std::io;

use bytes::Bytes;

use super::{Recovery, Scan, cut_short, damaged, torn_group_cut};
use crate::seal::Hash;
use crate::segment::format::{Header, HeaderError, Kind, Lead, Seal, StoreId};
use crate::segment::options::OpenError;
use crate::segment::walk::{self, Break, Groups, Point, Survey};

impl Recovery<'_> {
    /// The segment as it must have been, without its seal, or why it cannot be known.
    pub(super) fn mend(
        &self,
        segment: u64,
        bytes: &Bytes,
        broken: &Break,
        last: bool,
    ) -> Result<Mended, OpenError> {
        let first_group = self.found.point.group + 1;
        if let Err(newer @ HeaderError::Newer(_)) = Header::read(bytes) {
            return Err(OpenError::Format(newer.to_string()));
        }
        let survey = Survey::of(bytes, &self.store, segment);
        let refuse = |group, why: String| {
            let byte = if survey.is_empty() { broken.byte } else { survey.broken_at as u64 };
            Err(damaged(segment, Break { byte, group, why }))
        };
        if last && !survey.clean_end && self.left_shelf_alone() {
            let what =
                format!("ask the shelf whether segment {segment} was torn at byte {}", survey.broken_at);
            return Err(OpenError::io(what)(io::ErrorKind::StorageFull.into()));
        }
        let end = match self.known_end(segment, &survey)? {
            Some(end) => Some(end),
            // Only a file that is still this segment's can be believed to have ended where it breaks.
            None if last && (Header::read(bytes).is_ok() || !survey.groups.is_empty()) => None,
            None if last || bytes.is_empty() => {
                return refuse(first_group, "the segment is gone and nothing says where it ended".into());
            }
            None => return refuse(first_group, broken.why.clone()),
        };
        let highest = survey.groups.keys().next_back().copied().unwrap_or(0);
        let last_group = match &end {
            Some((last_group, _)) => *last_group,
            None => highest.max(self.shelved_in(segment)),
        };
        if highest > last_group || last_group < first_group {
            return refuse(last_group + 1, broken.why.clone());
        }
        let mut out = Header::new(self.store, segment, first_group, self.found.point.digest()).block();
        let mut refilled = 0u64;
        for group in first_group..=last_group {
            if let Some(range) = survey.groups.get(&group) {
                out.extend_from_slice(&bytes[range.clone()]);
            } else if self.refill(segment, group, &mut out) {
                refilled += 1;
            } else {
                return refuse(group, format!("{}, and the shelf does not have it", broken.why));
            }
        }
        let mut notes = Vec::new();
        if last && survey.seal.is_none() && (bytes.len() as u64) < self.options.segment_bytes {
            notes.push(cut_short(segment, bytes.len() as u64));
        }
        if refilled > 0 {
            notes.push(format!("segment {segment}: {refilled} groups were refilled from the shelf"));
        } else if end.is_some() {
            notes.push(format!("segment {segment}: header or seal was written anew ({})", broken.why));
        } else if !survey.clean_end {
            notes.push(torn_group_cut(segment, survey.broken_at));
        }
        Ok(Mended { bytes: out.into(), digest: end.and_then(|(_, digest)| digest), notes })
    }

    /// Where a segment ended, if anything says so: the header behind it, its own seal, the shelf, or
    /// the first group behind it.
    fn known_end(&self, segment: u64, survey: &Survey) -> Result<Option<(u64, Option<Hash>)>, OpenError> {
        let next = self.load(segment + 1)?;
        if let Ok(header) = Header::read(&next)
            && header.store == self.store
            && header.segment == segment + 1
        {
            return Ok(Some((header.first_group.saturating_sub(1), Some(header.digest))));
        }
        if let Some((last_group, seal)) = &survey.seal {
            return Ok(Some((*last_group, Some(seal.digest))));
        }
        if let Some(end) = self.ask_shelf(|shelf, _| shelf.end_of(segment)).flatten() {
            return Ok(Some((end.last_group, Some(end.digest))));
        }
        let behind = Groups::new(&next, &self.store, segment + 1).next();
        let first_behind = behind.filter(|(lead, ..)| lead.kind == Kind::Group).map(|(lead, ..)| lead.number);
        // Groups count from 1: a lead that says 0 is none of ours, whatever its checksum.
        Ok(first_behind.and_then(|number| number.checked_sub(1)).map(|last_group| (last_group, None)))
    }

    /// The last group that the shelf saw in this segment; 0 if none.
    fn shelved_in(&self, segment: u64) -> u64 {
        let last = self.ask_shelf(|shelf, shelved| Ok((shelf.segment_of(shelved.group)?, shelved.group)));
        last.filter(|(in_segment, _)| *in_segment == Some(segment)).map_or(0, |(_, group)| group)
    }

    fn refill(&self, segment: u64, group: u64, out: &mut Vec<u8>) -> bool {
        let shelved = self.ask_shelf(|shelf, _| shelf.group(group)).flatten();
        let Some(shelved) = shelved.filter(|shelved| shelved.segment == segment) else { return false };
        let Ok(len) = u32::try_from(shelved.body.len()) else { return false };
        let lead = Lead { kind: Kind::Group, number: group, count: shelved.count, len };
        out.extend_from_slice(&lead.bytes(&self.store, segment, crc32c::crc32c(&shelved.body)));
        out.extend_from_slice(&shelved.body);
        true
    }
}

/// A segment put together again, without its seal.
pub(super) struct Mended {
    pub(super) bytes: Bytes,
    /// The digest it must end with, if that is known.
    pub(super) digest: Option<Hash>,
    pub(super) notes: Vec<String>,
}

/// Proves the groups of a segment that has no seal yet, and makes the seal.
pub(super) fn check_groups(
    bytes: &Bytes,
    store: &StoreId,
    segment: u64,
    point: &mut Point,
    scan: &mut Scan,
) -> Result<Seal, Break> {
    let first_group = point.group + 1;
    for (lead, range, body) in Groups::new(bytes, store, segment) {
        walk::check_group(bytes, &lead, range.start, body, point, &mut scan.each())?;
    }
    Ok(Seal::new(first_group, point.time_ms, &point.heads))
}
