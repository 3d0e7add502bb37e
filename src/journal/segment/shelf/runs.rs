//! Old requests on the shelf: sorted runs, each written in one go.
//!
//! Request ids are random, and one key each would cost sled a page per request. So the shelver
//! gathers them and writes a run: records of entries sorted by log and id, one behind the other in
//! the tree. A lookup asks every run once, the newest first; small runs are merged into the next.

use std::collections::BTreeMap;

use super::keys::{number_key, run_key};
use crate::codec;
use crate::{LogId, Recorded};

/// Requests at which a run is written; until then all of them are in memory.
pub(crate) const RUN_REQUESTS: usize = 50_000;
/// Requests at which a run is merged no further: merging holds all of them in memory.
const RUN_REQUESTS_MAX: usize = 400_000;
/// Entries in one record: about 16 KiB.
const RECORD_ENTRIES: usize = 372;
/// Log, id, fingerprint, first, last.
const ENTRY_BYTES: usize = 4 + 16 + 8 + 8 + 8;
const NAME_BYTES: usize = 4 + 16;

/// Log and request id.
pub(crate) type Name = (LogId, [u8; 16]);

/// The name as it stands in keys and entries: sorts like the name itself.
fn name_bytes((log, id): &Name) -> [u8; NAME_BYTES] {
    let mut bytes = [0; NAME_BYTES];
    bytes[..4].copy_from_slice(&log.0.to_be_bytes());
    bytes[4..].copy_from_slice(id);
    bytes
}

/// Cuts sorted entries into records, each with the name it starts with.
pub(super) fn records(entries: &[(Name, Recorded)]) -> impl Iterator<Item = ([u8; NAME_BYTES], Vec<u8>)> {
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
fn entries_of(record: &[u8]) -> impl Iterator<Item = (Name, Recorded)> {
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
fn find(record: &[u8], name: &Name) -> Option<Recorded> {
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

/// A run about to be written. Numbers only grow, so that a reader can tell that there is a newer one.
pub(super) struct NewRun {
    pub(super) number: u64,
    /// Sorted by name; of one name, the last one made.
    pub(super) entries: Vec<(Name, Recorded)>,
    /// Keys of the small run that is merged into it.
    pub(super) replaced: Vec<sled::IVec>,
}

/// The number of the newest run below `before`.
fn run_below(db: &sled::Db, before: u64) -> Result<Option<u64>, String> {
    let found = db.get_lt(number_key(b'r', before)).map_err(|error| error.to_string())?;
    let key = found.map(|(key, _)| key).filter(|key| key.first() == Some(&b'r'));
    Ok(key.and_then(|key| codec::u64_at(&key, 1)))
}

/// The batch that a request made, from the newest run that knows it.
pub(super) fn find_in_all(db: &sled::Db, name: &Name) -> Result<Option<Recorded>, String> {
    let mut newest = run_below(db, u64::MAX)?;
    loop {
        if let Some(recorded) = find_up_to(db, newest, name)? {
            return Ok(Some(recorded));
        }
        // Runs that we had not looked at yet may have been merged into a newer one meanwhile.
        let now = run_below(db, u64::MAX)?;
        if now == newest {
            return Ok(None);
        }
        newest = now;
    }
}

/// The same without the runs behind `newest`.
fn find_up_to(db: &sled::Db, newest: Option<u64>, name: &Name) -> Result<Option<Recorded>, String> {
    let mut before = newest.map_or(0, |newest| newest + 1);
    while let Some(run) = run_below(db, before)? {
        // The smallest key that is greater than the one we look for.
        let mut behind = run_key(run, &name_bytes(name));
        behind.push(0);
        let record = db.get_lt(&behind).map_err(|error| error.to_string())?;
        let record = record.filter(|(key, _)| key.starts_with(&number_key(b'r', run)));
        if let Some(recorded) = record.and_then(|(_, record)| find(&record, name)) {
            return Ok(Some(recorded));
        }
        before = run;
    }
    Ok(None)
}

/// A run of these requests and of the small runs before it, so that there are never many.
pub(super) fn new_run(db: &sled::Db, requests: &[(Name, Recorded)]) -> Result<NewRun, String> {
    let number = run_below(db, u64::MAX)?.unwrap_or(0) + 1;
    let mut entries: BTreeMap<_, _> = requests.iter().copied().collect();
    let (mut replaced, mut before) = (Vec::new(), number);
    while let Some(run) = run_below(db, before)? {
        let most = (2 * entries.len()).min(RUN_REQUESTS_MAX.saturating_sub(entries.len()));
        let Some(older) = run_up_to(db, run, most)? else { break };
        for (key, record) in older {
            for (name, recorded) in entries_of(&record) {
                entries.entry(name).or_insert(recorded);
            }
            replaced.push(key);
        }
        before = run;
    }
    Ok(NewRun { number, entries: entries.into_iter().collect(), replaced })
}

/// The records of a run, unless it holds more than `most` requests.
fn run_up_to(db: &sled::Db, run: u64, most: usize) -> Result<Option<Vec<(sled::IVec, sled::IVec)>>, String> {
    let (mut records, mut requests) = (Vec::new(), 0);
    for record in db.scan_prefix(number_key(b'r', run)) {
        let record = record.map_err(|error| error.to_string())?;
        requests += entries_of(&record.1).count();
        if requests > most {
            return Ok(None);
        }
        records.push(record);
    }
    Ok(Some(records))
}

#[cfg(test)]
mod tests {
    use super::super::Shelved;
    use super::super::step::Step;
    use super::*;

    #[test]
    fn a_request_is_found_while_its_run_is_merged_into_another() {
        let folder = tempfile::tempdir().unwrap();
        let db = sled::Config::new().path(folder.path()).open().unwrap();
        let recorded = Recorded { fingerprint: [1; 8], first: 1, last: 1 };
        let shelved = Shelved { store: [0; 16], group: 0, requests_group: 0, digest: [0; 32] };
        let merge = |names: std::ops::Range<u32>| {
            let requests: Vec<_> = names.map(|n| ((LogId(n), [7; 16]), recorded)).collect();
            let mut step = Step::default();
            step.set_run(new_run(&db, &requests).unwrap());
            db.apply_batch(step.batch(&shelved)).unwrap();
        };
        // The oldest run holds the name; each newer one is too small to take it in, until one is not.
        for _ in 0..200 {
            db.clear().unwrap();
            merge(0..64);
            merge(100..108);
            std::thread::scope(|scope| {
                let merging = scope.spawn(|| merge(200..300));
                while !merging.is_finished() {
                    assert_eq!(find_in_all(&db, &(LogId(5), [7; 16])), Ok(Some(recorded)));
                }
            });
            assert_eq!(find_in_all(&db, &(LogId(9_999), [7; 16])), Ok(None));
        }
    }

    #[test]
    fn every_name_is_found_in_its_record_and_no_other() {
        let recorded =
            |n: u32| Recorded { fingerprint: [n as u8; 8], first: u64::from(n), last: u64::from(n) + 1 };
        let all: Vec<_> =
            (0..1000u32).map(|n| ((LogId(n / 300), [(n % 300 / 2) as u8; 16]), recorded(n))).collect();
        let even: Vec<_> = all.iter().copied().step_by(2).collect();
        let records: Vec<_> = records(&even).collect();
        assert_eq!(records.len(), 2);
        let back: Vec<_> = records.iter().flat_map(|(_, record)| entries_of(record)).collect();
        assert_eq!(back, even);
        for (name, recorded) in &even {
            let record = records.iter().rev().find(|(first, _)| *first <= name_bytes(name));
            assert_eq!(record.and_then(|(_, record)| find(record, name)), Some(*recorded));
        }
        assert_eq!(find(&records[0].1, &(LogId(9), [0; 16])), None);
        assert_eq!(find(b"", &(LogId(9), [0; 16])), None);
    }
}
