//! Live verification of one log: a walk over its frames that goes on behind every break.
//!
//! An engine feeds a prover with whatever it finds, in the order in which it stands there, and is
//! told every break. Nothing here reads files, and no bytes can make it panic.

mod prover;
#[cfg(test)]
mod tests;
mod track;

use crate::frame::Raw;
use crate::seal::{self, Hash};
use crate::{Frame, Position, codec};

pub(crate) use prover::Prover;

/// Breaks that a proof lists; all are counted.
pub const BREAKS_KEPT: usize = 100;

/// What a walk over a log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The durable head when the walk began. What was appended since then was not looked at.
    pub head: Position,
    /// The first offset that was really read this time; `head.offset + 1` if nothing had to be.
    /// Behind it, stretches that were proven before and have not changed since may have been skipped.
    pub verified_from: u64,
    /// The first [`BREAKS_KEPT`] breaks, by offset.
    pub breaks: Vec<Break>,
    /// How many there are in all.
    pub break_count: u64,
}

impl Proof {
    /// Whether nothing is broken.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.break_count == 0
    }
}

/// Where a log does not prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The offset it is about; of a gap, the first that is missing.
    pub offset: u64,
    /// What is wrong there.
    pub kind: BreakKind,
    /// The same as a sentence, which begins with the kind's own words.
    pub why: String,
}

/// What can be wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakKind {
    /// Frames are missing or cannot be read: `sequence gap:`.
    Gap,
    /// Frames stand where others should: `sequence disorder at seq`.
    Disorder,
    /// A frame does not follow from the one before it: `broken chain link at seq`.
    Link,
    /// A frame is not what was sealed: `content hash mismatch at seq`.
    Content,
}

impl Break {
    /// The words are those of the API page (journal.md 4.2), where an offset is called seq.
    fn new(kind: BreakKind, offset: u64, fact: &str) -> Self {
        let why = match kind {
            BreakKind::Gap => format!("sequence gap: {fact}"),
            BreakKind::Disorder => format!("sequence disorder at seq {offset}: {fact}"),
            BreakKind::Link => format!("broken chain link at seq {offset}: {fact}"),
            BreakKind::Content => format!("content hash mismatch at seq {offset}: {fact}"),
        };
        Self { offset, kind, why }
    }

    fn gap(first: u64, last: u64, what: &str) -> Self {
        let range = if first == last { format!("seq {first}") } else { format!("seq {first} to {last}") };
        Self::new(BreakKind::Gap, first, &format!("{range} {what}"))
    }
}

/// How much of a frame can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Soundness {
    /// Checksum and commitment hold.
    Whole,
    /// The body does not match its commitment.
    Altered,
    /// The checksum does not hold: nothing the frame says is certain, not even its place.
    Torn,
}

/// A frame as it was found: all that a proof needs of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) offset: u64,
    pub(crate) leaf: Hash,
    /// As stored.
    pub(crate) chain: Hash,
    pub(crate) soundness: Soundness,
}

impl Found {
    pub(crate) fn of_raw(raw: &Raw<'_>) -> Self {
        let soundness = match (raw.check(), raw.commitment_holds()) {
            (Err(_), _) => Soundness::Torn,
            (Ok(()), false) => Soundness::Altered,
            (Ok(()), true) => Soundness::Whole,
        };
        Self { offset: raw.place().1, leaf: raw.leaf(), chain: raw.chain(), soundness }
    }

    pub(crate) fn of_frame(frame: &Frame) -> Self {
        let holds = frame
            .content
            .as_ref()
            .is_none_or(|content| seal::commitment(&content.nonce, &content.body) == frame.commitment);
        Self {
            offset: frame.header.offset,
            leaf: seal::leaf(&codec::encode(&frame.header), &frame.commitment),
            chain: frame.chain,
            soundness: if holds { Soundness::Whole } else { Soundness::Altered },
        }
    }
}
