//! A segment's file taken apart into groups and frames, and put together again in another way.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use taffrail_journal::LogId;

use crate::place::group_starts;

/// Bytes of a group's lead.
pub(crate) const LEAD: usize = 24;

/// Where a frame stands, and what it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) log: LogId,
    pub(crate) offset: u64,
    pub(crate) bytes: Range<usize>,
    /// Where the lead of its group begins.
    pub(crate) group: usize,
}

/// Every frame of a segment that is whole.
pub(crate) fn frames(segment: &[u8]) -> Vec<Placed> {
    let starts = group_starts(segment);
    let mut found = Vec::new();
    for group in starts.windows(2) {
        let mut at = group[0] + LEAD;
        while at < group[1] {
            let number = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap());
            let nonce = if segment[at + 4] == 1 { 16 } else { 0 };
            let len = 9 + number(at) as usize + 32 + nonce + number(at + 5) as usize + 32 + 4;
            let log = LogId(number(at + 10));
            let offset = u64::from_be_bytes(segment[at + 14..at + 22].try_into().unwrap());
            found.push(Placed { log, offset, bytes: at..at + len, group: group[0] });
            at += len;
        }
    }
    found
}

/// The frames of one log in it.
pub(crate) fn frames_of(segment: &[u8], log: LogId) -> Vec<Placed> {
    frames(segment).into_iter().filter(|placed| placed.log == log).collect()
}

/// Changes one byte where it stands, as nobody who writes to the file meanwhile would notice.
pub(crate) fn poke(path: &Path, at: usize, byte: u8) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[byte], at as u64).unwrap();
}

/// Replaces these bytes by others, of whatever length.
pub(crate) fn splice(segment: &[u8], changes: &[(Range<usize>, &[u8])]) -> Vec<u8> {
    let mut changes = changes.to_vec();
    changes.sort_by_key(|(range, _)| range.start);
    let (mut out, mut at) = (Vec::new(), 0);
    for (range, bytes) in changes {
        out.extend_from_slice(&segment[at..range.start]);
        out.extend_from_slice(bytes);
        at = range.end;
    }
    out.extend_from_slice(&segment[at..]);
    out
}

/// The same frames in other groups, each with a lead that is right for it; what stood behind them stays.
pub(crate) fn regroup(path: &Path, store: &[u8; 16], groups: &[Vec<&[u8]>]) {
    let segment = fs::read(path).unwrap();
    let starts = group_starts(&segment);
    let number: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let first_group = u64::from_be_bytes(segment[34..42].try_into().unwrap());
    let mut out = segment[..starts[0]].to_vec();
    for (group, frames) in (first_group..).zip(groups) {
        let body = frames.concat();
        let mut lead = b"TFGR".to_vec();
        lead.extend(group.to_be_bytes());
        lead.extend((frames.len() as u32).to_be_bytes());
        lead.extend((body.len() as u32).to_be_bytes());
        let checksum = crc32c::crc32c(&[&body, &store[..], &number.to_be_bytes(), &lead[..]].concat());
        out.extend(lead);
        out.extend(checksum.to_be_bytes());
        out.extend(body);
    }
    out.extend(&segment[*starts.last().unwrap()..]);
    fs::write(path, out).unwrap();
}

/// Makes the checksum of a frame right for its bytes.
pub(crate) fn made_good(frame: &[u8]) -> Vec<u8> {
    let body = &frame[..frame.len() - 4];
    [body, &crc32c::crc32c(body).to_be_bytes()].concat()
}
