//! What a disk can do to a journal, and what must be left of it.
//!
//! The property behind all of these: after reopening, every acknowledged frame is there and proves,
//! or the start is refused naming the place. Only the last group may go, if nothing behind it and
//! nothing on the shelf ever saw it.
#![allow(clippy::unwrap_used)]

mod place;
mod surgery;

mod damage;
mod disk;
mod proof;
mod proof_of_flips;
mod shelf;
mod tails;
