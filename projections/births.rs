//! A sorted list of offsets that knows its length and finds the n-th without walking there: what a list
//! with `limit` and `offset` needs.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use taffrail_domain::Offset;

/// Offsets in one chunk at most: a change copies a chunk, a page walks over their number.
const CHUNK_MAX: usize = 512;

/// Ascending offsets, in chunks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Births {
    /// By a lower bound of what is in them and an upper bound of what is in those before; none is empty.
    chunks: OrdMap<Offset, Arc<Vec<Offset>>>,
    len: usize,
}

/// Equal lists may have been cut into other chunks.
impl PartialEq for Births {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.newest(0).eq(other.newest(0))
    }
}

impl Births {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Descending, without the first `skip`: whole chunks are passed at a step.
    pub(crate) fn newest(&self, skip: usize) -> impl Iterator<Item = Offset> + '_ {
        let mut passed = 0;
        let mut chunks = self.chunks.values().rev().peekable();
        while let Some(chunk) = chunks.next_if(|chunk| passed + chunk.len() <= skip) {
            passed += chunk.len();
        }
        chunks.flat_map(|chunk| chunk.iter().rev().copied()).skip(skip - passed)
    }

    pub(crate) fn insert(&mut self, offset: Offset) {
        let Some(first) = self.chunk_of(offset).or_else(|| self.lower_the_first_to(offset)) else {
            self.chunks.insert(offset, Arc::new(vec![offset]));
            self.len += 1;
            return;
        };
        let Some(chunk) = self.chunks.get_mut(&first) else { return };
        let Err(at) = chunk.binary_search(&offset) else { return };
        self.len += 1;
        if chunk.len() < CHUNK_MAX {
            Arc::make_mut(chunk).insert(at, offset);
            return;
        }
        // Mostly a new one comes last: it begins a chunk, and the one before stays full.
        let chunk = Arc::make_mut(chunk);
        let rest = if at == chunk.len() {
            vec![offset]
        } else {
            chunk.insert(at, offset);
            chunk.split_off(CHUNK_MAX / 2)
        };
        if let Some(first) = rest.first() {
            self.chunks.insert(*first, Arc::new(rest));
        }
    }

    pub(crate) fn remove(&mut self, offset: Offset) {
        let Some(first) = self.chunk_of(offset) else { return };
        let Some(chunk) = self.chunks.get_mut(&first) else { return };
        let Ok(at) = chunk.binary_search(&offset) else { return };
        self.len -= 1;
        if chunk.len() > 1 {
            Arc::make_mut(chunk).remove(at);
        } else {
            self.chunks.remove(&first);
        }
    }

    /// The chunk that an offset belongs to: none if it comes before all of them.
    fn chunk_of(&self, offset: Offset) -> Option<Offset> {
        self.chunks.range(..=offset).next_back().map(|(first, _)| *first)
    }

    /// Lets the first chunk begin at an offset before it, so that a key stays a lower bound when the chunk is split.
    fn lower_the_first_to(&mut self, offset: Offset) -> Option<Offset> {
        let first = *self.chunks.keys().next()?;
        let chunk = self.chunks.remove(&first)?;
        self.chunks.insert(offset, chunk);
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Offsets close together and many of them, so that chunks fill, split and vanish.
        #[test]
        fn it_is_a_sorted_set_with_an_index(
            moves in prop::collection::vec((0..4_000u64, prop::bool::weighted(0.7)), 0..6_000),
            skips in prop::collection::vec(0..5_000usize, 5),
        ) {
            let (mut births, mut plain) = (Births::default(), BTreeSet::new());
            for (offset, joins) in moves {
                if joins {
                    births.insert(Offset(offset));
                    plain.insert(Offset(offset));
                } else {
                    births.remove(Offset(offset));
                    plain.remove(&Offset(offset));
                }
            }
            prop_assert_eq!(births.len(), plain.len());
            for skip in skips.into_iter().chain([0]) {
                let found: Vec<Offset> = births.newest(skip).take(700).collect();
                let expected: Vec<Offset> = plain.iter().rev().skip(skip).take(700).copied().collect();
                prop_assert_eq!(found, expected);
            }
            prop_assert!(births.chunks.values().all(|chunk| (1..=CHUNK_MAX).contains(&chunk.len())));
        }

        #[test]
        fn what_comes_in_order_fills_its_chunks(count in 0..5_000usize) {
            let mut births = Births::default();
            (1..=count as u64).for_each(|offset| births.insert(Offset(offset)));
            prop_assert_eq!(births.chunks.len(), count.div_ceil(CHUNK_MAX));
        }
    }
}
