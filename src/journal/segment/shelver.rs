//! The shelver: one thread that copies durable groups into the shelf. Nothing waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::feed::{Order, QUIET};
use super::format::{Heads, Kind};
use super::shared::Shared;
use super::shelf::runs::{Name, RUN_REQUESTS};
use super::shelf::{End, Shelf, Shelved, Step};
use super::walk::Groups;
use crate::Recorded;
use crate::seal;

/// Most bytes of one step. A large step has few records per log, and each one costs sled a leaf.
const STEP_BYTES_MAX: usize = 2 << 20;
/// How long the shelver waits for room: sled must never see a full disk.
const ROOM_PAUSE: Duration = Duration::from_secs(1);
/// Groups after which a rebuild says how far it is.
const PROGRESS_GROUPS: u64 = 100_000;

/// Everything the shelving thread owns.
pub(crate) struct Shelver {
    shared: Arc<Shared>,
    shelf: Arc<Shelf>,
    /// All heads at the last shelved group.
    heads: Heads,
    group: u64,
    /// The last segment whose end the shelf knows.
    ended: u64,
    /// Requests of shelved groups that are not in a run yet, in commit order.
    requests: Vec<(Name, Recorded)>,
    /// Every request up to this group is in a run.
    requests_group: u64,
}

impl Shelver {
    /// Goes on where the shelf ends: with all heads there, and with the requests that are in no run.
    pub(crate) fn new(shared: Arc<Shared>, shelf: Arc<Shelf>, heads: Heads) -> Self {
        let (group, requests_group) = (shelf.shelved(), shelf.requests_shelved());
        let requests = shared.lock_requests().between(requests_group, group);
        Self { shared, shelf, heads, group, ended: 0, requests, requests_group }
    }

    /// Works until it is told to stop or the shelf fails; it is never joined by anybody who serves.
    pub(crate) fn run(mut self) {
        work_behind();
        let result = catch_unwind(AssertUnwindSafe(|| self.work()))
            .unwrap_or_else(|_| Err("the shelver panicked".into()));
        if let Err(why) = result {
            self.shelf.abandon(&why);
        }
        self.shared.feed.end();
        self.shared.evict();
    }

    fn work(&mut self) -> Result<(), String> {
        loop {
            if self.gives_way() && self.shared.feed.pause(QUIET) == Order::Work {
                continue;
            }
            let behind = self.group < self.shared.last_group();
            if self.shared.feed.first().is_none_or(|first| first > self.group + 1) && behind {
                if self.catch_up()? == Order::Stop {
                    return Ok(());
                }
                continue;
            }
            let options = &self.shared.options;
            match self.shared.feed.wait(options.shelve_bytes, options.shelve_after) {
                Order::Stop => return Ok(()),
                Order::Finish if self.group == self.shared.last_group() => return self.finish(),
                Order::Work | Order::Finish => {
                    if self.step()? == Order::Stop {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether writers have the disk to themselves: sled writes everything more than twice, and a burst
    /// is over sooner without it. The lag is bounded all the same.
    fn gives_way(&self) -> bool {
        let (_, lag) = self.shared.lag();
        lag < self.shared.options.burst_bytes_max && self.shared.feed.is_bursting()
    }

    /// One step from memory.
    fn step(&mut self) -> Result<Order, String> {
        if self.wait_for_room() == Order::Stop {
            return Ok(Order::Stop);
        }
        let mut step = Step::default();
        self.note_end(&mut step)?;
        let mut segment = None;
        let mut next = self.group + 1;
        while step.bytes() < STEP_BYTES_MAX
            && segment.is_none_or(|segment| self.shared.feed.first_segment() == Some(segment))
            && let Some(fed) = self.shared.feed.take(next)
        {
            step.add_group(fed.group, fed.segment, &fed.body).map_err(|error| error.to_string())?;
            segment = Some(fed.segment);
            next += 1;
        }
        self.apply(step, false)?;
        Ok(self.shared.feed.order())
    }

    /// What is left once everything is shelved: the end of the segment, and requests in no run yet.
    fn finish(&mut self) -> Result<(), String> {
        if self.wait_for_room() == Order::Stop {
            return Ok(());
        }
        let mut step = Step::default();
        self.note_end(&mut step)?;
        self.apply(step, true)
    }

    /// Everything of one segment that is not in memory any more, or never was.
    fn catch_up(&mut self) -> Result<Order, String> {
        let first = self.group + 1;
        let (segment, held) =
            self.shared.index.of_group(first).ok_or_else(|| format!("no segment holds group {first}"))?;
        let bytes = self.shared.index.load(segment)?;
        let mut step = Step::default();
        self.note_end(&mut step)?;
        let store = self.shared.store;
        for (lead, _, body) in Groups::new(&bytes, &store, segment) {
            if lead.kind == Kind::Seal || lead.number > held.last_group {
                break;
            }
            if lead.number < first {
                continue;
            }
            step.add_group(lead.number, segment, body).map_err(|error| error.to_string())?;
            if step.bytes() >= STEP_BYTES_MAX {
                if self.wait_for_room() == Order::Stop {
                    return Ok(Order::Stop);
                }
                self.apply(std::mem::take(&mut step), false)?;
                self.say_progress(first);
            }
        }
        if self.wait_for_room() == Order::Stop {
            return Ok(Order::Stop);
        }
        self.apply(step, false)?;
        if self.group < first {
            return Err(format!("segment {segment} does not give group {first}"));
        }
        Ok(self.shared.feed.order())
    }

    fn say_progress(&self, first: u64) {
        let (done, last) = (self.group, self.shared.last_group());
        if done / PROGRESS_GROUPS > first / PROGRESS_GROUPS {
            tracing::info!(group = done, last_group = last, "the shelf is catching up");
        }
    }

    /// Adds where the segment of the last shelved group ended, once it is sealed.
    fn note_end(&mut self, step: &mut Step) -> Result<(), String> {
        let Some((segment, held)) = self.shared.index.of_group(self.group) else { return Ok(()) };
        if !held.sealed || held.last_group != self.group || self.ended == segment {
            return Ok(());
        }
        self.ended = segment;
        if self.shelf.end_of(segment)?.is_none() {
            step.add_end(segment, End { last_group: self.group, digest: seal::digest(&self.heads) });
        }
        Ok(())
    }

    /// Writes a step; with it a run, once there are enough requests for one or at the very end.
    fn apply(&mut self, mut step: Step, finish: bool) -> Result<(), String> {
        self.heads.extend(step.heads());
        let group = step.last_group().unwrap_or(self.group);
        self.requests.append(&mut step.take_requests());
        let with_run = self.requests.len() >= RUN_REQUESTS || (finish && !self.requests.is_empty());
        if with_run {
            self.shelf.add_run(&mut step, &self.requests)?;
        }
        if with_run || self.requests.is_empty() {
            self.requests.clear();
            self.requests_group = group;
        }
        if step.is_empty() && self.requests_group == self.shelf.requests_shelved() {
            return Ok(());
        }
        let (store, requests_group, digest) =
            (self.shared.store, self.requests_group, seal::digest(&self.heads));
        self.shelf.apply(&step, &Shelved { store, group, requests_group, digest })?;
        self.group = group;
        self.shared.shelved_more(step.bytes() as u64);
        Ok(())
    }

    fn wait_for_room(&self) -> Order {
        loop {
            let order = self.shared.feed.order();
            if order == Order::Stop || self.shared.room.has_free_bytes() {
                return order;
            }
            if self.shared.feed.pause(ROOM_PAUSE) == Order::Finish {
                // A drain does not wait for room: what is missing is shelved after the next start.
                return Order::Stop;
            }
        }
    }
}

/// Lets the threads go first that somebody waits for; a system that does not allow it loses nothing
/// but time.
fn work_behind() {
    const NICE: i32 = 10;
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the shelver runs at normal priority");
    }
}
