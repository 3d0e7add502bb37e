//! A set of small numbers, as bits: what a list with several conditions is made of. Two sets of a hundred
//! thousand meet in a few microseconds, and a changed one shares all but a leaf with what it was.

use imbl::Vector;
use serde::{Deserialize, Serialize};

const WORD_BITS: u32 = u64::BITS;

/// A persistent set of ordinals.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bits {
    words: Vector<u64>,
    count: usize,
}

/// Zeros behind the last one make no difference.
impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

fn place(ordinal: u32) -> (usize, u64) {
    ((ordinal / WORD_BITS) as usize, 1 << (ordinal % WORD_BITS))
}

impl Bits {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn insert(&mut self, ordinal: u32) {
        let (at, bit) = place(ordinal);
        while self.words.len() <= at {
            self.words.push_back(0);
        }
        if let Some(word) = self.words.get_mut(at)
            && *word & bit == 0
        {
            *word |= bit;
            self.count += 1;
        }
    }

    pub(super) fn remove(&mut self, ordinal: u32) {
        let (at, bit) = place(ordinal);
        if self.words.get(at).is_none_or(|word| word & bit == 0) {
            return;
        }
        if let Some(word) = self.words.get_mut(at) {
            *word &= !bit;
            self.count -= 1;
        }
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        ordinals(self.words.iter().copied())
    }
}

fn ordinals(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
    (0..).zip(words).flat_map(|(at, word): (u32, u64)| {
        let mut left = word;
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros())?;
            left &= left - 1;
            Some(at * WORD_BITS + bit)
        })
    })
}

/// A set that is being narrowed down: plain words, thrown away with the answer.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    words: Vec<u64>,
}

impl Mask {
    pub(super) fn of(bits: &Bits) -> Self {
        Self { words: bits.words.iter().copied().collect() }
    }

    pub(super) fn of_ordinals(ordinals: impl IntoIterator<Item = u32>) -> Self {
        let mut mask = Self { words: vec![] };
        for ordinal in ordinals {
            let (at, bit) = place(ordinal);
            if mask.words.len() <= at {
                mask.words.resize(at + 1, 0);
            }
            mask.words[at] |= bit;
        }
        mask
    }

    /// Keeps what is in any of these.
    pub(super) fn keep_any<'a>(&mut self, sets: impl IntoIterator<Item = &'a Bits>) {
        let mut any = vec![0; self.words.len()];
        for set in sets {
            any.iter_mut().zip(&set.words).for_each(|(any, word)| *any |= word);
        }
        self.words.iter_mut().zip(any).for_each(|(word, any)| *word &= any);
    }

    pub(super) fn keep(&mut self, other: &Self) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words.iter_mut().zip(others).for_each(|(word, other)| *word &= other);
    }

    pub(super) fn drop_all(&mut self, set: &Bits) {
        self.words.iter_mut().zip(&set.words).for_each(|(word, gone)| *word &= !gone);
    }

    pub(super) fn contains(&self, ordinal: u32) -> bool {
        let (at, bit) = place(ordinal);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        ordinals(self.words.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(moves in prop::collection::vec((0..500u32, prop::bool::weighted(0.6)), 0..600)) {
            let (mut bits, mut plain) = (Bits::default(), BTreeSet::new());
            for (ordinal, joins) in moves {
                if joins {
                    bits.insert(ordinal);
                    plain.insert(ordinal);
                } else {
                    bits.remove(ordinal);
                    plain.remove(&ordinal);
                }
            }
            prop_assert_eq!(bits.len(), plain.len());
            prop_assert!(bits.iter().eq(plain.iter().copied()));
        }

        #[test]
        fn masks_meet_like_sets(
            one in prop::collection::btree_set(0..400u32, 0..200),
            two in prop::collection::btree_set(0..700u32, 0..200),
            three in prop::collection::btree_set(0..300u32, 0..200),
        ) {
            let bits = |set: &BTreeSet<u32>| {
                let mut bits = Bits::default();
                set.iter().for_each(|ordinal| bits.insert(*ordinal));
                bits
            };
            let mut mask = Mask::of(&bits(&one));
            mask.keep_any([&bits(&two), &bits(&three)]);
            let any: BTreeSet<u32> = two.union(&three).copied().collect();
            let expected: BTreeSet<u32> = one.intersection(&any).copied().collect();
            prop_assert!(mask.iter().eq(expected.iter().copied()));
            prop_assert_eq!(mask.len(), expected.len());
            mask.drop_all(&bits(&three));
            prop_assert!(mask.iter().eq(expected.difference(&three).copied()));
            mask.keep(&Mask::of_ordinals(two.iter().copied()));
            prop_assert!(mask.iter().all(|ordinal| mask.contains(ordinal) && two.contains(&ordinal)));
        }
    }
}
