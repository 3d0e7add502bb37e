//! Which segment holds which offsets, and reading them from there.

use std::collections::BTreeMap;
use std::fs;
use std::sync::RwLock;

use bytes::Bytes;

use super::folder::Folder;
use super::format::{Heads, Kind, StoreId};
use super::tail::Run;
use super::walk::{Frames, Groups};
use crate::{Frame, LogId};

/// What one segment holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) first_group: u64,
    /// 0 while it has no group.
    pub(crate) last_group: u64,
    /// First and last offset of every log that has frames in it.
    ranges: BTreeMap<LogId, (u64, u64)>,
    /// Whether it is sealed, and so never changes any more.
    pub(crate) sealed: bool,
}

impl Held {
    /// A sealed segment between two states of all logs.
    pub(crate) fn between(before: &Heads, after: &Heads, first_group: u64, last_group: u64) -> Self {
        let ranges = after.iter().filter_map(|(log, end)| {
            let start = before.get(log).map_or(0, |position| position.offset);
            (end.offset > start).then_some((*log, (start + 1, end.offset)))
        });
        Self { first_group, last_group, ranges: ranges.collect(), sealed: true }
    }

    /// Adds frames that became durable in a further group.
    pub(crate) fn extend(&mut self, first_group: u64, group: u64, runs: &[Run]) {
        (self.first_group, self.last_group) = (first_group, group);
        for run in runs {
            self.ranges.entry(run.log).or_insert((run.first, run.last)).1 = run.last;
        }
    }
}

/// A segment in which frames of a log stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) segment: u64,
    pub(crate) first_group: u64,
    pub(crate) last_group: u64,
    /// The last offset of the log in it.
    pub(crate) last: u64,
    pub(crate) sealed: bool,
}

/// All segments of a journal.
#[derive(Debug)]
pub(crate) struct Index {
    folder: Folder,
    store: StoreId,
    segments: RwLock<BTreeMap<u64, Held>>,
}

impl Index {
    pub(crate) fn new(folder: Folder, store: StoreId, segments: BTreeMap<u64, Held>) -> Self {
        Self { folder, store, segments: RwLock::new(segments) }
    }

    /// Changes what is known of one segment.
    pub(crate) fn update(&self, segment: u64, change: impl FnOnce(&mut Held)) {
        let mut segments = self.segments.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(segments.entry(segment).or_default());
    }

    /// The segment that holds a group, and what is known of it.
    pub(crate) fn of_group(&self, group: u64) -> Option<(u64, Held)> {
        self.find(|held| held.first_group <= group && group <= held.last_group)
    }

    /// The segments that hold frames of a log up to `head`, ascending.
    pub(crate) fn holders(&self, log: LogId, head: u64) -> Vec<Holder> {
        let segments = self.segments.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let holder = |(segment, held): (&u64, &Held)| {
            let (first, last) = *held.ranges.get(&log)?;
            let Held { first_group, last_group, sealed, .. } = *held;
            (first <= head).then_some(Holder { segment: *segment, first_group, last_group, last, sealed })
        };
        segments.iter().filter_map(holder).collect()
    }

    /// Bytes of the segments that hold anything behind this group.
    pub(crate) fn bytes_behind(&self, group: u64) -> u64 {
        let segments = self.segments.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let behind = segments.iter().filter(|(_, held)| held.last_group > group);
        let len = |number: &u64| fs::metadata(self.folder.segment(*number)).map_or(0, |file| file.len());
        behind.map(|(number, _)| len(number)).sum()
    }

    fn find(&self, wanted: impl Fn(&Held) -> bool) -> Option<(u64, Held)> {
        let segments = self.segments.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        segments.iter().rev().find(|(_, held)| wanted(held)).map(|(number, held)| (*number, held.clone()))
    }

    /// The bytes of a segment.
    pub(crate) fn load(&self, segment: u64) -> Result<Bytes, String> {
        let path = self.folder.segment(segment);
        fs::read(&path).map(Bytes::from).map_err(|error| format!("read segment {segment}: {error}"))
    }

    /// The frames at these offsets (ascending), from the segments that hold them.
    pub(crate) fn fetch(&self, log: LogId, offsets: &[u64]) -> Result<Vec<Frame>, String> {
        let mut frames = Vec::with_capacity(offsets.len());
        while let Some(next) = offsets.get(frames.len()) {
            let holds = |held: &Held| {
                held.ranges.get(&log).is_some_and(|(first, last)| first <= next && next <= last)
            };
            let (segment, _) =
                self.find(holds).ok_or_else(|| format!("no segment holds offset {next} of log {log}"))?;
            let before = frames.len();
            self.fetch_from(segment, log, &offsets[before..], &mut frames)?;
            if frames.len() == before {
                return Err(format!("segment {segment} does not give offset {next} of log {log}"));
            }
        }
        Ok(frames)
    }

    /// Appends those of the wanted frames that stand in this segment, up to the first that does not.
    fn fetch_from(
        &self,
        segment: u64,
        log: LogId,
        wanted: &[u64],
        frames: &mut Vec<Frame>,
    ) -> Result<(), String> {
        let bytes = self.load(segment)?;
        let mut wanted = wanted.iter().peekable();
        for (lead, _, body) in Groups::new(&bytes, &self.store, segment) {
            if lead.kind == Kind::Seal || wanted.peek().is_none() {
                break;
            }
            for raw in Frames::new(body) {
                let raw = raw.map_err(|error| error.to_string())?;
                let (in_log, offset) = raw.place();
                if in_log == log && wanted.next_if(|next| **next == offset).is_some() {
                    raw.check().map_err(|error| error.to_string())?;
                    frames.push(raw.to_frame(&bytes).map_err(|error| error.to_string())?);
                }
            }
        }
        Ok(())
    }
}
