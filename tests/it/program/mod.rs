//! The real program: started on a data directory, killed at will, asked over HTTP; and what can be said
//! of its data directory from outside. Nothing here waits for a clock: only for a line, an answer or a
//! file.

mod client;
mod data;
mod process;

pub(crate) use client::{Account, Answer, Client, PASSWORD};
pub(crate) use data::{Data, Folded, decoded, is_public};
pub(crate) use process::{Ended, Program, eventually};

use std::sync::OnceLock;

/// The seed of this run: drawn once, printed, and taken from `TAFFRAIL_SEED` to repeat a run.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let told = std::env::var("TAFFRAIL_SEED").ok().map(|text| text.parse().unwrap());
        let seed = told.unwrap_or_else(rand::random);
        println!("TAFFRAIL_SEED={seed}");
        seed
    })
}
