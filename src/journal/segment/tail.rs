//! The memory tail: the newest frames, at least as long as the shelf does not hold them.
//!
//! They are kept as they were written, and shared with the shelver: no second copy, and nothing is
//! decoded that nobody reads.

use std::collections::VecDeque;

use bytes::Bytes;

use super::hash::Map;
use super::walk::Frames;
use crate::codec::Malformed;
use crate::{Frame, LogId};

/// Bytes of frames kept although they are shelved: readers that follow live find them here.
const KEEP_BYTES: usize = 4 << 20;

/// The newest frames of every log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    logs: Map<LogId, VecDeque<Run>>,
    /// In commit order.
    groups: VecDeque<Group>,
    bytes: usize,
}

/// Frames of one log that were appended together.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) log: LogId,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// A slice of their group's body.
    pub(crate) bytes: Bytes,
}

#[derive(Debug)]
struct Group {
    number: u64,
    bytes: usize,
    /// The log of each run.
    logs: Vec<LogId>,
}

impl Tail {
    /// Takes in a durable group.
    pub(crate) fn push(&mut self, group: u64, runs: Vec<Run>) {
        let bytes = runs.iter().map(|run| run.bytes.len()).sum();
        let logs = runs.iter().map(|run| run.log).collect();
        for run in runs {
            self.logs.entry(run.log).or_default().push_back(run);
        }
        self.groups.push_back(Group { number: group, bytes, logs });
        self.bytes += bytes;
    }

    /// Lets go of the oldest groups: of shelved ones beyond a small rest, of any beyond `max` bytes.
    pub(crate) fn evict(&mut self, shelved: u64, max: usize) {
        let over = |bytes: usize, oldest: &mut Group| {
            bytes > max || (oldest.number <= shelved && bytes > KEEP_BYTES)
        };
        while let Some(oldest) = self.groups.pop_front_if(|oldest| over(self.bytes, oldest)) {
            self.bytes -= oldest.bytes;
            for log in oldest.logs {
                let Some(runs) = self.logs.get_mut(&log) else { continue };
                runs.pop_front();
                if runs.is_empty() {
                    self.logs.remove(&log);
                }
            }
        }
    }

    /// The lowest offset of a log that is held.
    pub(crate) fn first(&self, log: LogId) -> Option<u64> {
        Some(self.logs.get(&log)?.front()?.first)
    }

    /// The runs that hold these offsets (ascending).
    pub(crate) fn runs(&self, log: LogId, offsets: &[u64]) -> Vec<Run> {
        let mut found = Vec::new();
        let Some(runs) = self.logs.get(&log) else { return found };
        let mut left = offsets;
        while let Some(next) = left.first() {
            let at = runs.partition_point(|run| run.last < *next);
            let Some(run) = runs.get(at) else { break };
            found.push(run.clone());
            left = &left[left.partition_point(|offset| *offset <= run.last)..];
        }
        found
    }
}

/// The frames at these offsets (ascending) out of the runs that hold them.
pub(crate) fn decode(runs: &[Run], offsets: &[u64]) -> Result<Vec<Frame>, Malformed> {
    let mut frames = Vec::with_capacity(offsets.len());
    let mut wanted = offsets.iter().peekable();
    for run in runs {
        for (raw, offset) in Frames::new(&run.bytes).zip(run.first..) {
            let raw = raw?;
            if wanted.next_if(|next| **next == offset).is_some() {
                frames.push(raw.to_frame(&run.bytes)?);
            }
        }
    }
    Ok(frames)
}
