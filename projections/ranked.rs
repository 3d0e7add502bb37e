//! A sorted list that knows its length and finds the n-th without walking there: what a list with `limit` and
//! `offset` needs.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// Items in one chunk at most: a change copies a chunk, a page walks over their number.
const CHUNK_MAX: usize = 512;

/// Ascending items, none twice, in chunks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Ord + Clone + Serialize", deserialize = "T: Ord + Clone + Deserialize<'de>"))]
pub(crate) struct Ranked<T: Ord> {
    /// By a lower bound of what is in them and an upper bound of what is in those before; none is empty.
    chunks: OrdMap<T, Arc<Vec<T>>>,
    len: usize,
}

impl<T: Ord> Default for Ranked<T> {
    fn default() -> Self {
        Self { chunks: OrdMap::default(), len: 0 }
    }
}

/// Equal lists may have been cut into other chunks.
impl<T: Ord + Copy> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.ascending(0).eq(other.ascending(0))
    }
}

impl<T: Ord + Copy> Ranked<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Without the first `skip`: whole chunks are passed at a step.
    pub(crate) fn ascending(&self, skip: usize) -> impl Iterator<Item = T> + '_ {
        let (chunks, skip) = without(self.chunks.values(), skip);
        chunks.flat_map(|chunk| chunk.iter().copied()).skip(skip)
    }

    /// The greatest first, without the first `skip`.
    pub(crate) fn descending(&self, skip: usize) -> impl Iterator<Item = T> + '_ {
        let (chunks, skip) = without(self.chunks.values().rev(), skip);
        chunks.flat_map(|chunk| chunk.iter().rev().copied()).skip(skip)
    }

    /// How many there are before an item, which need not be there itself.
    pub(crate) fn rank(&self, item: T) -> usize {
        let mut before = 0;
        for chunk in self.chunks.values() {
            if chunk.last().is_some_and(|last| *last < item) {
                before += chunk.len();
            } else {
                return before + chunk.partition_point(|other| *other < item);
            }
        }
        before
    }

    pub(crate) fn contains(&self, item: T) -> bool {
        let chunk = self.chunk_of(item).and_then(|first| self.chunks.get(&first));
        chunk.is_some_and(|chunk| chunk.binary_search(&item).is_ok())
    }

    pub(crate) fn insert(&mut self, item: T) {
        let Some(first) = self.chunk_of(item).or_else(|| self.lower_the_first_to(item)) else {
            self.chunks.insert(item, Arc::new(vec![item]));
            self.len += 1;
            return;
        };
        let Some(chunk) = self.chunks.get_mut(&first) else { return };
        let Err(at) = chunk.binary_search(&item) else { return };
        self.len += 1;
        if chunk.len() < CHUNK_MAX {
            Arc::make_mut(chunk).insert(at, item);
            return;
        }
        // Mostly a new one comes last: it begins a chunk, and the one before stays full.
        let chunk = Arc::make_mut(chunk);
        let rest = if at == chunk.len() {
            vec![item]
        } else {
            chunk.insert(at, item);
            chunk.split_off(CHUNK_MAX / 2)
        };
        if let Some(first) = rest.first() {
            self.chunks.insert(*first, Arc::new(rest));
        }
    }

    pub(crate) fn remove(&mut self, item: T) {
        let Some(first) = self.chunk_of(item) else { return };
        let Some(chunk) = self.chunks.get_mut(&first) else { return };
        let Ok(at) = chunk.binary_search(&item) else { return };
        self.len -= 1;
        if chunk.len() > 1 {
            Arc::make_mut(chunk).remove(at);
        } else {
            self.chunks.remove(&first);
        }
    }

    /// The chunk that an item belongs to: none if it comes before all of them.
    fn chunk_of(&self, item: T) -> Option<T> {
        self.chunks.range(..=item).next_back().map(|(first, _)| *first)
    }

    /// Lets the first chunk begin at an item before it, so that a key stays a lower bound when the chunk is split.
    fn lower_the_first_to(&mut self, item: T) -> Option<T> {
        let first = *self.chunks.keys().next()?;
        let chunk = self.chunks.remove(&first)?;
        self.chunks.insert(item, chunk);
        Some(item)
    }
}

/// The chunks after the first `skip` items, and how many of these are left in them.
fn without<'a, T: 'a, I: Iterator<Item = &'a Arc<Vec<T>>>>(
    chunks: I,
    skip: usize,
) -> (impl Iterator<Item = &'a Arc<Vec<T>>>, usize) {
    let mut passed = 0;
    let mut chunks = chunks.peekable();
    while let Some(chunk) = chunks.next_if(|chunk| passed + chunk.len() <= skip) {
        passed += chunk.len();
    }
    (chunks, skip - passed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Items close together and many of them, so that chunks fill, split and vanish.
        #[test]
        fn it_is_a_sorted_set_with_an_index(
            moves in prop::collection::vec((0..4_000u64, prop::bool::weighted(0.7)), 0..6_000),
            skips in prop::collection::vec(0..5_000usize, 5),
        ) {
            let (mut ranked, mut plain) = (Ranked::default(), BTreeSet::new());
            for (item, joins) in moves {
                if joins {
                    ranked.insert(item);
                    plain.insert(item);
                } else {
                    ranked.remove(item);
                    plain.remove(&item);
                }
            }
            prop_assert_eq!(ranked.len(), plain.len());
            for skip in skips.into_iter().chain([0]) {
                let found: Vec<u64> = ranked.descending(skip).take(700).collect();
                let expected: Vec<u64> = plain.iter().rev().skip(skip).take(700).copied().collect();
                prop_assert_eq!(found, expected);
                let found: Vec<u64> = ranked.ascending(skip).take(700).collect();
                let expected: Vec<u64> = plain.iter().skip(skip).take(700).copied().collect();
                prop_assert_eq!(found, expected);
                // As any number, it may be there or not.
                let item = skip as u64;
                prop_assert_eq!(ranked.rank(item), plain.range(..item).count());
                prop_assert_eq!(ranked.contains(item), plain.contains(&item));
            }
            prop_assert!(ranked.chunks.values().all(|chunk| (1..=CHUNK_MAX).contains(&chunk.len())));
        }

        #[test]
        fn what_comes_in_order_fills_its_chunks(count in 0..5_000usize) {
            let mut ranked = Ranked::default();
            (1..=count as u64).for_each(|item| ranked.insert(item));
            prop_assert_eq!(ranked.chunks.len(), count.div_ceil(CHUNK_MAX));
        }
    }
}
