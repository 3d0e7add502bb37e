//! A cheap hasher for keys that are already random or small: request ids are hashes themselves, tags
//! of logs are counted up. Nobody outside chooses them.

use std::hash::{BuildHasherDefault, Hasher};

/// Maps keyed by log or request.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Mix>>;

/// Multiplies and rotates, eight bytes at a time.
#[derive(Debug, Default)]
pub(crate) struct Mix(u64);

impl Mix {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_usize(&mut self, _: usize) {
        // Lengths of arrays: the same for every key of a map.
    }

    fn finish(&self) -> u64 {
        // The map takes the bucket from the low and the tag from the high bits.
        self.0 ^ (self.0 >> 32)
    }
}
