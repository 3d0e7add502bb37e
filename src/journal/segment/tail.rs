//! The memory tail: the newest frames, at least as long as the shelf does not hold them.

use std::collections::{HashMap, VecDeque};

use crate::{Frame, LogId};

/// Bytes of frames kept although they are shelved: readers that follow live find them here.
const KEEP_BYTES: usize = 4 << 20;

/// The newest frames of every log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    logs: HashMap<LogId, VecDeque<Frame>>,
    /// In commit order.
    groups: VecDeque<Group>,
    bytes: usize,
}

#[derive(Debug)]
struct Group {
    number: u64,
    bytes: usize,
    /// How many frames of which logs, in its own order.
    counts: Vec<(LogId, usize)>,
}

impl Tail {
    /// Takes in a durable group.
    pub(crate) fn push(&mut self, group: u64, bytes: usize, frames: Vec<Frame>) {
        let mut counts: Vec<(LogId, usize)> = Vec::new();
        let mut frames = frames.into_iter().peekable();
        while let Some(log) = frames.peek().map(|frame| frame.header.log) {
            let held = self.logs.entry(log).or_default();
            let before = held.len();
            while let Some(frame) = frames.next_if(|frame| frame.header.log == log) {
                held.push_back(frame);
            }
            counts.push((log, held.len() - before));
        }
        self.groups.push_back(Group { number: group, bytes, counts });
        self.bytes += bytes;
    }

    /// Lets go of the oldest groups: of shelved ones beyond a small rest, of any beyond `max` bytes.
    pub(crate) fn evict(&mut self, shelved: u64, max: usize) {
        let over = |bytes: usize, oldest: &mut Group| {
            bytes > max || (oldest.number <= shelved && bytes > KEEP_BYTES)
        };
        while let Some(oldest) = self.groups.pop_front_if(|oldest| over(self.bytes, oldest)) {
            self.bytes -= oldest.bytes;
            for (log, count) in oldest.counts {
                let Some(held) = self.logs.get_mut(&log) else { continue };
                held.drain(..count.min(held.len()));
                if held.is_empty() {
                    self.logs.remove(&log);
                }
            }
        }
    }

    /// The lowest offset of a log that is held.
    pub(crate) fn first(&self, log: LogId) -> Option<u64> {
        Some(self.logs.get(&log)?.front()?.header.offset)
    }

    /// Copies the frames at these offsets, all of which are held.
    pub(crate) fn copy(&self, log: LogId, offsets: impl Iterator<Item = u64>, out: &mut Vec<Frame>) {
        let Some(held) = self.logs.get(&log) else { return };
        let Some(first) = held.front().map(|frame| frame.header.offset) else { return };
        for offset in offsets {
            let at = offset.checked_sub(first).and_then(|at| usize::try_from(at).ok());
            out.extend(at.and_then(|at| held.get(at)).cloned());
        }
    }
}
