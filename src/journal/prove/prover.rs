//! The walk itself: frames of one log in the order found, and what is wrong with that.

use super::track::Track;
use super::{BREAKS_KEPT, Break, BreakKind, Found, Proof, Soundness};
use crate::Position;

/// Gaps that may still be filled by frames out of place; older ones are reported as they are.
const GAPS_OPEN_MAX: usize = 1_000;

/// Proves one log up to a head.
pub(crate) struct Prover {
    head: Position,
    /// The walk's furthest point.
    main: Track,
    /// What was missing when the walk went on; a frame out of place may still fill it.
    gaps: Vec<Track>,
    /// A torn frame, until the next one tells whether it stood where it says.
    torn: Option<Found>,
    /// Whether the frame before was out of place: frames that were moved together are one break.
    in_disorder: bool,
    /// The last stretch that was found but cannot be read.
    unreadable: Option<(u64, u64)>,
    breaks: Vec<Break>,
    break_count: u64,
    /// The highest offset that a break is about.
    highest: u64,
    /// Breaks noted and gaps opened: both ever more.
    noted: u64,
}

impl Prover {
    pub(crate) fn new(head: Position) -> Self {
        Self {
            head,
            main: Track::new(&Position::default(), head.offset),
            gaps: Vec::new(),
            torn: None,
            in_disorder: false,
            unreadable: None,
            breaks: Vec::new(),
            break_count: 0,
            highest: 0,
            noted: 0,
        }
    }

    /// The next offset that the walk expects.
    pub(crate) fn next(&self) -> u64 {
        self.main.offset.saturating_add(1)
    }

    /// Where the walk stands, if there is no doubt.
    pub(crate) fn position(&self) -> Option<Position> {
        if self.torn.is_some() { None } else { self.main.position() }
    }

    /// Rises with everything that is wrong.
    pub(crate) fn noted(&self) -> u64 {
        self.noted
    }

    /// The head this walk goes up to.
    pub(crate) fn head(&self) -> &Position {
        &self.head
    }

    /// Leaves out a stretch that is proven to lead from `start` to `end`, if the walk stands at `start`.
    pub(crate) fn skip(&mut self, start: &Position, end: &Position) -> bool {
        self.settle_torn(start.offset.checked_add(1));
        let skips = self.main.is_at(start);
        if skips {
            self.main.move_to(end);
            self.in_disorder = false;
        }
        skips
    }

    /// Takes in the frame that was found next. One behind the head was not durable when the walk began.
    pub(crate) fn take(&mut self, found: Found) {
        if found.offset > self.head.offset {
            return;
        }
        if found.soundness == Soundness::Torn {
            return self.take_torn(found);
        }
        self.settle_torn(Some(found.offset));
        self.place(&found);
    }

    /// Its place is only believed once the next frame fits: the damaged bytes may be those of its place,
    /// and the frame another log's.
    fn take_torn(&mut self, found: Found) {
        if found.offset < self.next() {
            return;
        }
        if let Some(held) = self.torn {
            if found.offset == held.offset + 1 {
                self.place(&held);
            } else if held.offset == self.next() {
                return;
            }
        }
        self.torn = Some(found);
    }

    /// Decides on a torn frame, now that the offset behind it is known; `None` at the end.
    fn settle_torn(&mut self, next: Option<u64>) {
        let Some(torn) = self.torn.take() else { return };
        let is_expected = torn.offset == self.next();
        let is_ours = match next {
            Some(next) => next == torn.offset + 1 || (is_expected && next != torn.offset),
            None => is_expected || torn.offset == self.head.offset,
        };
        if is_ours {
            self.place(&torn);
        }
    }

    fn place(&mut self, found: &Found) {
        let expected = self.next();
        if found.offset < expected {
            return self.place_late(found);
        }
        self.in_disorder = false;
        self.check_content(found);
        if found.offset > expected {
            let missing = self.main.jump(found);
            self.open_gap(missing);
        } else if !self.main.follow(found) && found.soundness == Soundness::Whole {
            self.note_unlinked(found.offset);
        }
    }

    /// A frame behind which the walk already is: out of place, or there twice.
    fn place_late(&mut self, found: &Found) {
        if !self.in_disorder {
            self.in_disorder = true;
            let fact = format!("it stands behind seq {}", self.main.offset);
            self.note(Break::new(BreakKind::Disorder, found.offset, &fact));
        }
        let Some(at) = self.gaps.iter().position(|gap| gap.misses(found.offset)) else { return };
        self.check_content(found);
        let mut gap = self.gaps.swap_remove(at);
        if found.offset > gap.offset + 1 {
            let missing = gap.jump(found);
            self.gaps.push(missing);
        } else if !gap.follow(found) && found.soundness == Soundness::Whole {
            self.note_unlinked(found.offset);
        }
        if gap.offset < gap.until {
            self.gaps.push(gap);
        } else if let Some(behind) = gap.unlinked() {
            self.note_unlinked(behind);
        }
    }

    fn check_content(&mut self, found: &Found) {
        let fact = match found.soundness {
            Soundness::Whole => return,
            Soundness::Altered => "the body does not match its commitment",
            Soundness::Torn => "the stored bytes do not match their checksum",
        };
        self.note(Break::new(BreakKind::Content, found.offset, fact));
    }

    fn note_unlinked(&mut self, offset: u64) {
        let fact = format!("it does not follow from seq {}", offset.saturating_sub(1));
        self.note(Break::new(BreakKind::Link, offset, &fact));
    }

    fn open_gap(&mut self, missing: Track) {
        self.noted += 1;
        if self.gaps.len() == GAPS_OPEN_MAX {
            let oldest = self.gaps.remove(0);
            self.note_missing(&oldest);
        }
        self.gaps.push(missing);
    }

    fn note_missing(&mut self, gap: &Track) {
        let (first, last) = (gap.offset.saturating_add(1), gap.until);
        let what = if first == last { "is missing" } else { "are missing" };
        self.note(Break::gap(first, last, what));
    }

    /// These frames were found, but in a group that nobody can read. Stretches that touch are one.
    pub(crate) fn note_unreadable(&mut self, first: u64, last: u64) {
        match &mut self.unreadable {
            Some((_, end)) if end.checked_add(1) == Some(first) => {
                *end = last;
                self.noted += 1;
            }
            _ => {
                self.settle_unreadable();
                self.unreadable = Some((first, last));
                self.noted += 1;
            }
        }
    }

    fn settle_unreadable(&mut self) {
        if let Some((first, last)) = self.unreadable.take() {
            self.note(Break::gap(first, last, "cannot be read: the lead of their group is damaged"));
        }
    }

    fn note(&mut self, broken: Break) {
        self.noted += 1;
        self.break_count += 1;
        self.highest = self.highest.max(broken.offset);
        self.breaks.push(broken);
        if self.breaks.len() == 2 * BREAKS_KEPT {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.breaks.sort_by_key(|broken| broken.offset);
        self.breaks.truncate(BREAKS_KEPT);
    }

    /// What was found, now that there is nothing more.
    pub(crate) fn finish(mut self, verified_from: u64) -> Proof {
        self.settle_torn(None);
        self.settle_unreadable();
        if self.main.offset < self.head.offset {
            self.gaps.push(self.main);
        } else if !self.main.is_at(&self.head) && self.highest < self.head.offset {
            let fact = "it is not the frame that was appended last";
            self.note(Break::new(BreakKind::Link, self.head.offset, fact));
        }
        for gap in std::mem::take(&mut self.gaps) {
            self.note_missing(&gap);
        }
        self.keep_first();
        let Self { head, breaks, break_count, .. } = self;
        Proof { head, verified_from, breaks, break_count }
    }
}
