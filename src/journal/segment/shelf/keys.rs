//! The keys of the shelf's tree.

use crate::LogId;

/// Frames of a log from this offset on, or a piece of a large one.
pub(super) fn frames_key(log: LogId, first: u64, piece: u16) -> Vec<u8> {
    let mut key = vec![b'f'];
    key.extend_from_slice(&log.0.to_be_bytes());
    key.extend_from_slice(&first.to_be_bytes());
    key.extend_from_slice(&piece.to_be_bytes());
    key
}

/// What is kept by one number.
pub(super) fn number_key(kind: u8, number: u64) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The record of a run that starts with this name.
pub(super) fn run_key(run: u64, name: &[u8]) -> Vec<u8> {
    let mut key = number_key(b'r', run);
    key.extend_from_slice(name);
    key
}
