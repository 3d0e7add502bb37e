//! One step of the shelver: whole groups, gathered by log, written in one batch.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

use super::keys::{frames_key, number_key, run_key};
use super::runs::{self, Name, NewRun};
use super::{End, RECORD_BYTES_MAX, Shelved};
use crate::codec::{self, Malformed};
use crate::frame::Raw;
use crate::segment::requests;
use crate::segment::walk::Frames;
use crate::{LogId, Position, Recorded};

/// Encoded bytes of [`Contents`] without its runs, and of a [`Run`].
const CONTENTS_BYTES: usize = 8 + 8 + 8;
const RUN_BYTES: usize = 4 + 8 + 4;

/// Which frames a group holds, in its own order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Contents {
    pub(super) group: u64,
    pub(super) segment: u64,
    pub(super) runs: Vec<Run>,
}

/// Frames of one log that follow each other in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Run {
    pub(super) log: LogId,
    pub(super) first: u64,
    pub(super) count: u32,
}

/// One step of the shelver: whole groups, gathered by log.
#[derive(Default)]
pub(crate) struct Step {
    frames: BTreeMap<LogId, Vec<Record>>,
    contents: Vec<Contents>,
    requests: Vec<(Name, Recorded)>,
    run: Option<NewRun>,
    ends: Vec<(u64, End)>,
    heads: BTreeMap<LogId, Position>,
    bytes: usize,
}

struct Record {
    first: u64,
    bytes: Vec<u8>,
}

impl Step {
    /// Adds a group's body.
    pub(crate) fn add_group(&mut self, group: u64, segment: u64, body: &[u8]) -> Result<(), Malformed> {
        let mut contents = Contents { group, segment, runs: Vec::new() };
        let mut frames = Frames::new(body).peekable();
        let mut at = 0;
        while let Some(raw) = frames.next() {
            let mut raw = raw?;
            let (log, first) = raw.place();
            let records = self.frames.entry(log).or_default();
            let mut count = 1;
            loop {
                add_frame(records, first + u64::from(count) - 1, &body[at..at + raw.len()]);
                at += raw.len();
                if let Some(request) = raw.request()? {
                    requests::note(&mut self.requests, log, first + u64::from(count) - 1, &request);
                }
                let follows = |next: &Result<Raw<'_>, Malformed>| {
                    next.as_ref().is_ok_and(|next| next.place() == (log, first + u64::from(count)))
                };
                let Some(next) = frames.next_if(follows) else { break };
                raw = next?;
                count += 1;
            }
            let offset = first + u64::from(count) - 1;
            self.heads.insert(log, Position { offset, chain: raw.chain() });
            contents.runs.push(Run { log, first, count });
        }
        self.contents.push(contents);
        self.bytes += body.len();
        Ok(())
    }

    /// The requests of the groups so far, in commit order.
    pub(crate) fn take_requests(&mut self) -> Vec<(Name, Recorded)> {
        std::mem::take(&mut self.requests)
    }

    /// Adds where a segment ended.
    pub(crate) fn add_end(&mut self, segment: u64, end: End) {
        self.ends.push((segment, end));
    }

    /// Where the logs stand whose frames are in this step.
    pub(crate) fn heads(&self) -> &BTreeMap<LogId, Position> {
        &self.heads
    }

    /// The last group added.
    pub(crate) fn last_group(&self) -> Option<u64> {
        self.contents.last().map(|contents| contents.group)
    }

    /// Bytes of the groups so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.ends.is_empty()
    }

    /// Adds a run of old requests.
    pub(super) fn set_run(&mut self, run: NewRun) {
        self.run = Some(run);
    }

    /// The batch that writes all of it.
    pub(super) fn batch(&self, shelved: &Shelved) -> sled::Batch {
        let mut batch = sled::Batch::default();
        for (log, records) in &self.frames {
            for record in records {
                for (piece, bytes) in (0u16..).zip(record.bytes.chunks(RECORD_BYTES_MAX)) {
                    batch.insert(frames_key(*log, record.first, piece), bytes);
                }
            }
        }
        let mut rest = &self.contents[..];
        while let Some(first) = rest.first() {
            let mut bytes = 0;
            let fits = |contents: &&Contents| {
                bytes += CONTENTS_BYTES + contents.runs.len() * RUN_BYTES;
                bytes <= RECORD_BYTES_MAX
            };
            let (record, behind) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            batch.insert(number_key(b'g', first.group), codec::encode(&record));
            rest = behind;
        }
        if let Some(run) = &self.run {
            for key in &run.replaced {
                batch.remove(key);
            }
            for (name, record) in runs::records(&run.entries) {
                batch.insert(run_key(run.number, &name), record);
            }
        }
        for (segment, end) in &self.ends {
            batch.insert(number_key(b'z', *segment), codec::encode(end));
        }
        batch.insert(b"s", codec::encode(shelved));
        batch
    }
}

fn add_frame(records: &mut Vec<Record>, offset: u64, bytes: &[u8]) {
    match records.last_mut() {
        Some(record) if record.bytes.len() + bytes.len() <= RECORD_BYTES_MAX => {
            record.bytes.extend_from_slice(bytes);
        }
        _ => records.push(Record { first: offset, bytes: bytes.to_vec() }),
    }
}
