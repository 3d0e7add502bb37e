//! A cheap hasher for keys that are already random or small: request ids are hashes themselves, tags
//! of logs are counted up. Whoever chooses an `Idempotency-Key` can try out hashes at home, so every
//! process starts from a secret of its own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// Maps keyed by log or request.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, Seeded>;

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));

/// Makes hashers that start from this process' secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(*SEED)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Mix;

    fn build_hasher(&self) -> Mix {
        Mix(self.0)
    }
}

/// Multiplies and rotates, eight bytes at a time.
#[derive(Debug)]
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
