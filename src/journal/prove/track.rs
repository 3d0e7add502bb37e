//! One stretch of a log while it is walked over.

use super::Found;
use crate::Position;
use crate::seal::{self, Hash};

/// The frames behind `offset` up to `until` are still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) offset: u64,
    pub(super) until: u64,
    /// What the next frame may follow from: the chain as the last one stored it, and as it should have
    /// been. They differ only behind a frame that was altered, so that it is one break and not two.
    chains: [Hash; 2],
    /// The frame behind `until`, if it was found already.
    behind: Option<Found>,
}

impl Track {
    pub(super) fn new(start: &Position, until: u64) -> Self {
        Self { offset: start.offset, until, chains: [start.chain; 2], behind: None }
    }

    /// Where it stands, if there is no doubt.
    pub(super) fn position(&self) -> Option<Position> {
        let [chain, other] = self.chains;
        (chain == other).then_some(Position { offset: self.offset, chain })
    }

    /// Whether it may stand here.
    pub(super) fn is_at(&self, position: &Position) -> bool {
        self.offset == position.offset && self.chains.contains(&position.chain)
    }

    /// Moves to a place that is proven.
    pub(super) fn move_to(&mut self, position: &Position) {
        *self = Self { until: self.until, behind: self.behind, ..Self::new(position, self.until) };
    }

    /// Takes in the next frame; says whether it follows.
    pub(super) fn follow(&mut self, found: &Found) -> bool {
        let follows = self.leads_to(found);
        let recomputed = if follows { found.chain } else { seal::link(&self.chains[0], &found.leaf) };
        (self.offset, self.chains) = (found.offset, [found.chain, recomputed]);
        follows
    }

    /// Goes on behind a frame further on; gives back what is missing before it, if anything is.
    pub(super) fn jump(&mut self, found: &Found) -> Self {
        let missing = Self { until: found.offset.saturating_sub(1), behind: Some(*found), ..*self };
        (self.offset, self.chains) = (found.offset, [found.chain; 2]);
        missing
    }

    /// Whether this offset is still to come.
    pub(super) fn misses(&self, offset: u64) -> bool {
        self.offset < offset && offset <= self.until
    }

    /// Once all has come: the frame behind it, if that does not follow.
    pub(super) fn unlinked(&self) -> Option<u64> {
        let behind = self.behind.filter(|behind| !self.leads_to(behind));
        behind.map(|behind| behind.offset)
    }

    fn leads_to(&self, found: &Found) -> bool {
        let [stored, recomputed] = &self.chains;
        seal::link(stored, &found.leaf) == found.chain
            || (stored != recomputed && seal::link(recomputed, &found.leaf) == found.chain)
    }
}
