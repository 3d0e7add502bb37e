//! The committer: one thread, one write and one sync per group. The commit point.

use std::fs::{File, OpenOptions};
use std::io;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::format::{HEADER_BLOCK, Header, Kind, LEAD_BYTES, Lead, Seal};
use super::pipe::{Gathered, Pipe};
use super::shared::Shared;
use super::tail::Run;
use super::walk::Point;
use crate::AppendError;

/// The segment that groups are written to.
struct Active {
    file: File,
    segment: u64,
    first_group: u64,
    /// Where the next group goes.
    at: u64,
    /// Bytes that the file surely has.
    len: u64,
}

/// Everything the committing thread owns.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    pipe: Arc<Pipe>,
    active: Option<Active>,
    next_segment: u64,
    /// Durable state of all logs.
    point: Point,
}

/// Sees to it that nobody waits for a committer that panicked.
struct Guard {
    shared: Arc<Shared>,
    pipe: Arc<Pipe>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            const WHY: &str = "the committer panicked";
            self.shared.poison(WHY);
            self.pipe.give_up(&AppendError::Poisoned(WHY.into()));
        }
    }
}

/// Why a group was not committed.
enum Failure {
    /// Nothing was written.
    Full(String),
    /// Nobody knows what was written.
    Poison(String),
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, pipe: Arc<Pipe>, point: Point, next_segment: u64) -> Self {
        shared.room.want(next_segment);
        Self { shared, pipe, active: None, next_segment, point }
    }

    /// Works until the pipe is closed; gives itself back so that the segment can be sealed.
    pub(crate) fn run(mut self) -> Self {
        let _guard = Guard { shared: self.shared.clone(), pipe: self.pipe.clone() };
        let mut capacity = 0;
        while let Some(mut gathered) = self.pipe.take(capacity) {
            capacity = gathered.bytes.len();
            match self.commit(&mut gathered) {
                Ok(()) => self.publish(gathered),
                Err(error) => self.pipe.reset(gathered, &error),
            }
        }
        self
    }

    fn commit(&mut self, gathered: &mut Gathered) -> Result<(), AppendError> {
        if let Some(why) = self.shared.poisoned() {
            return Err(AppendError::Poisoned(why));
        }
        self.write(gathered).map_err(|failure| match failure {
            Failure::Full(why) => {
                tracing::warn!(why, "a group was refused for want of room");
                AppendError::Full
            }
            Failure::Poison(why) => {
                self.shared.poison(&why);
                AppendError::Poisoned(why)
            }
        })
    }

    /// One write and one sync: afterwards the group is durable.
    fn write(&mut self, gathered: &mut Gathered) -> Result<(), Failure> {
        let disk = self.shared.options.disk.clone();
        let group = self.point.group + 1;
        let logs = self.point.heads.len() + gathered.waiting.len();
        let needed = gathered.bytes.len() as u64 + Seal::len_for(logs) as u64;
        let too_large = || Failure::Full("the group is too large to be counted".into());
        let len = u32::try_from(gathered.bytes.len() - LEAD_BYTES).map_err(|_| too_large())?;
        let count = u32::try_from(gathered.frames).map_err(|_| too_large())?;
        let store = self.shared.store;
        let active = self.make_room(needed)?;
        let lead = Lead { kind: Kind::Group, number: group, count, len };
        let lead = lead.bytes(&store, active.segment, gathered.body_crc);
        gathered.bytes[..LEAD_BYTES].copy_from_slice(&lead);
        let poison = |what: &str, error: io::Error| {
            Failure::Poison(format!("{what} of group {group} in segment {}: {error}", active.segment))
        };
        disk.write(&active.file, &gathered.bytes, active.at).map_err(|error| poison("write", error))?;
        disk.sync(&active.file).map_err(|error| poison("sync", error))?;
        active.at += gathered.bytes.len() as u64;
        self.point.group = group;
        for waiting in &gathered.waiting {
            self.point.heads.insert(waiting.log, waiting.head);
        }
        self.point.time_ms = self.point.time_ms.max(gathered.time_ms);
        Ok(())
    }

    /// Moves heads and memory on, then answers.
    fn publish(&self, gathered: Gathered) {
        let Gathered { bytes, requests, waiting, .. } = gathered;
        let body = Bytes::from(bytes).slice(LEAD_BYTES..);
        let mut at = 0;
        let runs: Vec<_> = waiting
            .iter()
            .map(|batch| {
                at += batch.len;
                let bytes = body.slice(at - batch.len..at);
                Run { log: batch.log, first: batch.first, last: batch.head.offset, bytes }
            })
            .collect();
        if let Some(active) = &self.active {
            self.shared
                .index
                .update(active.segment, |held| held.extend(active.first_group, self.point.group, &runs));
            self.shared.publish(&self.point, active.segment, body, runs, &requests, &waiting);
        }
        for batch in waiting {
            // Whoever does not wait any more does not want to know.
            drop(batch.answer.send(Ok(batch.head.offset)));
        }
    }

    /// The active segment with room for `needed` bytes; seals the old one and begins the next if it
    /// has none.
    fn make_room(&mut self, needed: u64) -> Result<&mut Active, Failure> {
        let fits = self.active.as_ref().is_some_and(|active| active.at + needed <= active.len);
        let has_groups = self.active.as_ref().is_some_and(|active| active.at > HEADER_BLOCK as u64);
        if !fits && has_groups {
            self.seal_segment().map_err(|error| Failure::Poison(format!("seal: {error}")))?;
        }
        if self.active.is_none() {
            self.active = Some(self.begin_segment()?);
        }
        let disk = self.shared.options.disk.clone();
        let Some(active) = &mut self.active else { return Err(Failure::Full("no segment is open".into())) };
        if active.at + needed > active.len {
            // One batch larger than a whole segment: its segment grows before anything is written.
            let reserved = disk.reserve(&active.file, active.at + needed);
            reserved.map_err(|error| Failure::Full(error.to_string()))?;
            active.len = active.at + needed;
        }
        Ok(active)
    }

    /// Takes the prepared file into use: its header is durable before its first group.
    fn begin_segment(&mut self) -> Result<Active, Failure> {
        let segment = self.next_segment;
        self.shared.room.take(segment).map_err(Failure::Full)?;
        let path = self.shared.folder.segment(segment);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(|error| Failure::Full(format!("open segment {segment}: {error}")))?;
        let disk = &self.shared.options.disk;
        let first_group = self.point.group + 1;
        let header = Header::new(self.shared.store, segment, first_group, self.point.digest());
        disk.write(&file, &header.block(), 0)
            .and_then(|()| disk.sync(&file))
            .map_err(|error| Failure::Poison(format!("begin segment {segment}: {error}")))?;
        self.next_segment += 1;
        self.shared.room.want(self.next_segment);
        let len = self.shared.options.segment_bytes;
        Ok(Active { file, segment, first_group, at: HEADER_BLOCK as u64, len })
    }

    /// Puts the seal behind the last group and makes it durable. The unused rest is cut off later.
    fn seal_segment(&mut self) -> io::Result<()> {
        let Some(active) = self.active.take() else { return Ok(()) };
        let disk = &self.shared.options.disk;
        let seal = Seal::new(active.first_group, self.point.time_ms, &self.point.heads);
        let bytes = seal.bytes(&self.shared.store, active.segment, self.point.group);
        disk.write(&active.file, &bytes, active.at)?;
        disk.sync(&active.file)?;
        self.shared.room.trim(active.segment, active.at + bytes.len() as u64);
        self.shared.index.update(active.segment, |held| held.sealed = true);
        Ok(())
    }

    /// Step 12: seals the segment unless it is empty or the journal is poisoned.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let has_groups = self.active.as_ref().is_some_and(|active| active.at > HEADER_BLOCK as u64);
        if has_groups && self.shared.poisoned().is_none() {
            self.seal_segment()?;
        }
        Ok(())
    }
}
