//! One damaged group: its frames as far as they can be cut, and looking for the next one.

use std::cell::Cell;
use std::collections::HashMap;

use super::{LEAD_BYTES, Remains};
use crate::LogId;
use crate::frame::Raw;
use crate::prove::{Found, Prover};
use crate::seal::Hash;
use crate::segment::walk;

/// Bytes that searches may sum up, as a multiple of the segment's: stored bytes that look like the
/// beginnings of many large groups or frames must not cost more than that.
const SEARCH_FACTOR: usize = 4;

/// What could be cut of the body of one damaged group.
pub(super) struct Part {
    /// Where it ends: at the next lead, or with the bytes.
    pub(super) len: usize,
    /// Frames that check.
    pub(super) count: u32,
    /// Whether there is nothing but such frames, those of each log one behind the other.
    pub(super) is_sound: bool,
    /// First and last offset of the log that is looked for.
    pub(super) of_log: Option<(u64, u64)>,
    /// The last offset of each log.
    lasts: HashMap<LogId, u64>,
}

impl Part {
    pub(super) fn take(remains: &Remains<'_>, bytes: &[u8], prover: &mut Prover) -> Self {
        let mut part = Self { len: 0, count: 0, is_sound: true, of_log: None, lasts: HashMap::new() };
        let search = Search { bytes, budget: &remains.budget };
        while part.len < bytes.len() {
            match Raw::read(&bytes[part.len..]) {
                Ok(raw) if raw.check().is_ok() => {
                    part.count = part.count.saturating_add(1);
                    part.note_place(&raw, remains.log, prover.head().offset);
                    remains.give_frame(&raw, prover);
                    part.len += raw.len();
                }
                Ok(raw) => {
                    part.is_sound = false;
                    let is_affordable = remains.budget.spend(raw.len());
                    part.len = if is_affordable {
                        part.take_torn(remains, &raw, &search, prover)
                    } else {
                        bytes.len()
                    };
                }
                Err(_) if search.is_lead(part.len) || walk::is_zero(&bytes[part.len..]) => break,
                Err(_) => {
                    part.is_sound = false;
                    part.len = search.next(part.len + 1);
                }
            }
        }
        part
    }

    /// A frame that does not check; says where the next thing begins.
    fn take_torn(
        &self,
        remains: &Remains<'_>,
        raw: &Raw<'_>,
        search: &Search<'_>,
        prover: &mut Prover,
    ) -> usize {
        let mut found = Found::of_raw(raw);
        let mut end = self.len + raw.len();
        if !search.is_known(end) {
            // Its length is what is damaged: its chain stands before whatever can be recognised next.
            end = search.next(self.len + 1);
            found.chain = chain_before(search.bytes, end).unwrap_or(found.chain);
        }
        if raw.place().0 == remains.log {
            prover.take(found);
        }
        end
    }

    fn note_place(&mut self, raw: &Raw<'_>, wanted: LogId, head: u64) {
        let (log, offset) = raw.place();
        let last = self.lasts.insert(log, offset);
        self.is_sound &= last.is_none_or(|last| last.checked_add(1) == Some(offset));
        if log == wanted && offset <= head {
            self.of_log = Some((self.of_log.map_or(offset, |(first, _)| first), offset));
        }
    }
}

/// The chain hash of a frame that ends here.
fn chain_before(bytes: &[u8], end: usize) -> Option<Hash> {
    bytes.get(end.checked_sub(36)?..end.checked_sub(4)?)?.try_into().ok()
}

/// Looking for the next thing that can be recognised.
struct Search<'a> {
    bytes: &'a [u8],
    budget: &'a Budget,
}

impl<'a> Search<'a> {
    /// Where the next lead or sound frame begins; the end if there is none.
    fn next(&self, from: usize) -> usize {
        let end = self.bytes.len();
        (from..end).find(|at| self.has_magic(*at) || self.is_sound_frame(*at)).unwrap_or(end)
    }

    /// Whether a damaged frame may well end here.
    fn is_known(&self, at: usize) -> bool {
        self.has_magic(at) || self.plausible_frame(at).is_some() || walk::is_zero(&self.bytes[at..])
    }

    /// Whether a lead stands here, or what is left of one before a sound frame.
    fn is_lead(&self, at: usize) -> bool {
        self.has_magic(at) || self.is_sound_frame(at.saturating_add(LEAD_BYTES))
    }

    fn has_magic(&self, at: usize) -> bool {
        self.bytes.get(at..at.saturating_add(4)).is_some_and(|magic| magic == b"TFGR" || magic == b"TFSL")
    }

    /// The frame that begins here, if its header is laid out as one.
    fn plausible_frame(&self, at: usize) -> Option<Raw<'a>> {
        let raw = Raw::read(self.bytes.get(at..)?).ok()?;
        raw.request().is_ok().then_some(raw)
    }

    fn is_sound_frame(&self, at: usize) -> bool {
        self.plausible_frame(at).is_some_and(|raw| self.budget.spend(raw.len()) && raw.check().is_ok())
    }
}

/// Bytes that may still be summed up.
pub(crate) struct Budget(Cell<usize>);

impl Budget {
    pub(crate) fn of(segment: &[u8]) -> Self {
        Self(Cell::new(segment.len().saturating_mul(SEARCH_FACTOR)))
    }

    /// Whether so many more may be.
    pub(super) fn spend(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }
}
