//! Old requests on the shelf: sorted runs, each written in one go.
//!
//! Request ids are random, and one key each would cost sled a page per request. So the shelver
//! gathers them and writes a run: records of entries sorted by log and id, one behind the other in
//! the tree. A lookup asks every run once, the newest first; small runs are merged into the next.

use crate::{LogId, Recorded};

/// Requests at which a run is written; until then all of them are in memory.
pub(crate) const RUN_REQUESTS: usize = 50_000;
/// Requests at which a run is merged no further: merging holds all of them in memory.
pub(crate) const RUN_REQUESTS_MAX: usize = 400_000;
/// Entries in one record: about 16 KiB.
const RECORD_ENTRIES: usize = 372;
/// Log, id, fingerprint, first, last.
const ENTRY_BYTES: usize = 4 + 16 + 8 + 8 + 8;
const NAME_BYTES: usize = 4 + 16;

/// Log and request id.
pub(crate) type Name = (LogId, [u8; 16]);

/// The name as it stands in keys and entries: sorts like the name itself.
pub(crate) fn name_bytes((log, id): &Name) -> [u8; NAME_BYTES] {
    let mut bytes = [0; NAME_BYTES];
    bytes[..4].copy_from_slice(&log.0.to_be_bytes());
    bytes[4..].copy_from_slice(id);
    bytes
}

/// Cuts sorted entries into records, each with the name it starts with.
pub(crate) fn records(entries: &[(Name, Recorded)]) -> impl Iterator<Item = ([u8; NAME_BYTES], Vec<u8>)> {
    entries.chunks(RECORD_ENTRIES).map(|entries| {
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
        for (name, recorded) in entries {
            bytes.extend_from_slice(&name_bytes(name));
            bytes.extend_from_slice(&recorded.fingerprint);
            bytes.extend_from_slice(&recorded.first.to_be_bytes());
            bytes.extend_from_slice(&recorded.last.to_be_bytes());
        }
        (name_bytes(&entries[0].0), bytes)
    })
}

/// The entries of a record; none if it is not one.
pub(crate) fn entries(record: &[u8]) -> impl Iterator<Item = (Name, Recorded)> {
    record.chunks_exact(ENTRY_BYTES).filter_map(entry)
}

fn entry(bytes: &[u8]) -> Option<(Name, Recorded)> {
    let (log, rest) = bytes.split_first_chunk::<4>()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (fingerprint, rest) = rest.split_first_chunk::<8>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let last = rest.first_chunk::<8>()?;
    let (first, last) = (u64::from_be_bytes(*first), u64::from_be_bytes(*last));
    Some(((LogId(u32::from_be_bytes(*log)), *id), Recorded { fingerprint: *fingerprint, first, last }))
}

/// Looks a name up in a record.
pub(crate) fn find(record: &[u8], name: &Name) -> Option<Recorded> {
    let wanted = name_bytes(name);
    let (mut low, mut high) = (0, record.len() / ENTRY_BYTES);
    while low < high {
        let middle = low.midpoint(high);
        let bytes = &record[middle * ENTRY_BYTES..(middle + 1) * ENTRY_BYTES];
        match bytes[..NAME_BYTES].cmp(&wanted) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return entry(bytes).map(|(_, recorded)| recorded),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_its_record_and_no_other() {
        let recorded =
            |n: u32| Recorded { fingerprint: [n as u8; 8], first: u64::from(n), last: u64::from(n) + 1 };
        let all: Vec<_> =
            (0..1000u32).map(|n| ((LogId(n / 300), [(n % 300 / 2) as u8; 16]), recorded(n))).collect();
        let even: Vec<_> = all.iter().copied().step_by(2).collect();
        let records: Vec<_> = records(&even).collect();
        assert_eq!(records.len(), 2);
        let back: Vec<_> = records.iter().flat_map(|(_, record)| entries(record)).collect();
        assert_eq!(back, even);
        for (name, recorded) in &even {
            let record = records.iter().rev().find(|(first, _)| *first <= name_bytes(name));
            assert_eq!(record.and_then(|(_, record)| find(record, name)), Some(*recorded));
        }
        assert_eq!(find(&records[0].1, &(LogId(9), [0; 16])), None);
        assert_eq!(find(b"", &(LogId(9), [0; 16])), None);
    }
}
