//! The frames of one log in a segment's bytes, damaged or not: for a walk that goes on behind breaks.
//!
//! Whole groups are believed to be cut where their frames say. Between them every frame is looked for
//! that still checks, so that damage costs no more frames than it touched.

mod part;

use crate::LogId;
use crate::codec;
use crate::frame::Raw;
use crate::prove::{Found, Prover};
use crate::segment::format::{HEADER_BLOCK, Kind, LEAD_BYTES, Lead, MAGIC_BYTES, StoreId};
use crate::segment::walk::{self, Frames, Groups};
pub(crate) use part::Budget;
use part::Part;

/// A segment and the log that is looked for in it.
pub(crate) struct Remains<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) store: &'a StoreId,
    pub(crate) segment: u64,
    pub(crate) first_group: u64,
    /// Nothing behind this group was durable when the walk began.
    pub(crate) last_group: u64,
    pub(crate) log: LogId,
    pub(crate) budget: Budget,
}

impl Remains<'_> {
    /// Gives every frame of the log that can be found, in the order in which they stand.
    pub(crate) fn give(&self, prover: &mut Prover) {
        let (mut at, mut group) = (HEADER_BLOCK, self.first_group.saturating_sub(1));
        loop {
            let mut groups = Groups::from(self.bytes, self.store, self.segment, at);
            for (lead, _, body) in groups.by_ref() {
                if lead.kind == Kind::Group {
                    group = lead.number;
                    self.give_group(body, group, prover);
                }
                if lead.kind == Kind::Seal || group >= self.last_group {
                    return;
                }
            }
            let rest = self.bytes.get(groups.at..).unwrap_or_default();
            if walk::is_zero(rest) {
                return;
            }
            let next = self.next_whole(groups.at + 1, group);
            let damaged = &rest[..next.map_or(rest.len(), |next| next - groups.at)];
            self.give_damaged(damaged, true, group.saturating_add(1), prover);
            match next {
                Some(next) => at = next,
                None => return,
            }
        }
    }

    fn give_group(&self, body: &[u8], group: u64, prover: &mut Prover) {
        if Frames::new(body).all(|raw| raw.is_ok_and(|raw| raw.check().is_ok())) {
            Frames::new(body).flatten().for_each(|raw| self.give_frame(&raw, prover));
        } else {
            // The group was made good around frames that were not.
            let part = Part::take(self, body, prover);
            self.give_damaged(&body[part.len..], false, group.saturating_add(1), prover);
        }
    }

    fn give_frame(&self, raw: &Raw<'_>, prover: &mut Prover) {
        if raw.place().0 == self.log {
            prover.take(Found::of_raw(raw));
        }
    }

    /// Where a whole group or seal stands next that can follow group `after`.
    fn next_whole(&self, from: usize, after: u64) -> Option<usize> {
        let mut at = from;
        loop {
            at = walk::next_magic(self.bytes, at)?;
            let bytes = &self.bytes[at..];
            // The cheap question first: a magic may stand in a body, too.
            let (number, len) = (codec::u64_at(bytes, 4)?, codec::u32_at(bytes, 16)?);
            if (after..=self.last_group).contains(&number)
                && self.budget.spend(len as usize)
                && Lead::read(bytes, self.store, self.segment).is_some()
            {
                return Some(at);
            }
            at += 1;
        }
    }

    /// What stands between whole groups: one damaged group, or several. `is_lead` says whether it surely
    /// begins with what is left of a lead: bytes that look like one may stand in a damaged frame.
    fn give_damaged(&self, bytes: &[u8], is_lead: bool, group: u64, prover: &mut Prover) {
        let (mut at, mut group, mut is_lead) = (0, group, is_lead);
        let mut noted = prover.noted();
        while let Some((lead, behind)) = bytes.get(at..).and_then(|rest| rest.split_at_checked(LEAD_BYTES)) {
            if walk::is_zero(lead) && walk::is_zero(behind) {
                return;
            }
            if !is_lead && lead[..12] != Lead::name(Kind::Group, group) {
                at += MAGIC_BYTES;
                at += Part::take(self, &bytes[at..], prover).len;
                continue;
            }
            let part = Part::take(self, behind, prover);
            // Where frames are broken, they say so themselves. Where they are not, yet nobody can read
            // their group, its lead is.
            if let Some((first, last)) = part.of_log
                && prover.noted() == noted
                && self.is_damaged(lead, group, &part, &behind[..part.len])
            {
                prover.note_unreadable(first, last);
                noted = prover.noted();
            }
            at += LEAD_BYTES + part.len;
            (group, is_lead) = (group.saturating_add(1), part.is_sound);
        }
    }

    /// Whether the lead is what keeps a group of sound frames from being whole.
    fn is_damaged(&self, lead: &[u8], number: u64, part: &Part, body: &[u8]) -> bool {
        let Ok(len) = u32::try_from(body.len()) else { return false };
        let right = Lead { kind: Kind::Group, number, count: part.count, len };
        let right = right.bytes(self.store, self.segment, crc32c::crc32c(body));
        let is_named = lead[..12] == right[..12];
        let (fields_fit, checksum_fits) = (lead[..20] == right[..20], lead[20..] == right[20..]);
        // With neither, a frame was taken out or put in, of whichever log.
        part.is_sound && (!is_named || fields_fit != checksum_fits)
    }
}
