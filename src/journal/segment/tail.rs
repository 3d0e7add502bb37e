//! The memory tail: the newest frames, at least as long as the shelf does not hold them.

use std::collections::{HashMap, VecDeque};

use crate::{Frame, LogId};

/// Bytes of frames kept although they are shelved: readers that follow live find them here.
const KEEP_BYTES: usize = 4 << 20;

/// The newest frames of every log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    logs: HashMap<LogId, VecDeque<Frame>>,
    /// In commit order: number, bytes, and how many frames of which logs.
    groups: VecDeque<(u64, usize, Vec<(LogId, usize)>)>,
    bytes: usize,
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
        self.groups.push_back((group, bytes, counts));
        self.bytes += bytes;
    }

    /// Lets go of the oldest groups: of shelved ones beyond a small rest, of any beyond `max` bytes.
    pub(crate) fn evict(&mut self, shelved: u64, max: usize) {
        while let Some((group, bytes, _)) = self.groups.front()
            && (self.bytes > max || (*group <= shelved && self.bytes > KEEP_BYTES))
        {
            self.bytes -= *bytes;
            for (log, count) in self.groups.pop_front().map(|group| group.2).unwrap_or_default() {
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
