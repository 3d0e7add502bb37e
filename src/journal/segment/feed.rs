//! Durable groups on their way to the shelver, and what it is told to do.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// A durable group that is not shelved yet.
pub(crate) struct Fed {
    pub(crate) group: u64,
    pub(crate) segment: u64,
    pub(crate) body: Bytes,
    since: Instant,
}

/// What the shelver is to do when it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Work,
    /// Shelve everything, then end.
    Finish,
    /// End.
    Stop,
}

/// Over how long a pace is taken.
const PACE_WINDOW: Duration = Duration::from_millis(50);
/// Bytes in such a window that make a burst: 4 MiB/s, some 5,000 commands a second, far beyond what people
/// and agents do all day. Not near what a machine can do: a shelver that begins beside writers slows them,
/// and they would go on slowly, no longer looking like a burst.
const BURST_BYTES: usize = 200 << 10;
/// A burst is over when nothing came for so long.
pub(crate) const QUIET: Duration = Duration::from_millis(10);

/// How much came lately: in the window under way, and in the one before it.
struct Pace {
    began: Instant,
    bytes: usize,
    before: usize,
}

impl Pace {
    fn count(&mut self, bytes: usize, now: Instant) {
        if now.duration_since(self.began) >= PACE_WINDOW {
            (self.before, self.bytes, self.began) = (self.bytes, 0, now);
        }
        self.bytes += bytes;
    }

    fn bytes_lately(&self) -> usize {
        self.bytes.max(self.before)
    }
}

struct State {
    pace: Pace,
    groups: VecDeque<Fed>,
    bytes: usize,
    order: Order,
    ended: bool,
}

/// Bounded: what does not fit is read back from its segment.
pub(crate) struct Feed {
    state: Mutex<State>,
    changed: Condvar,
    bytes_max: usize,
}

impl Feed {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let pace = Pace { began: Instant::now(), bytes: 0, before: 0 };
        let state = State { pace, groups: VecDeque::new(), bytes: 0, order: Order::Work, ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn push(&self, group: u64, segment: u64, body: Bytes) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        let was_empty = state.groups.is_empty();
        let now = Instant::now();
        state.pace.count(body.len(), now);
        state.bytes += body.len();
        state.groups.push_back(Fed { group, segment, body, since: now });
        while state.bytes > self.bytes_max
            && let Some(oldest) = state.groups.pop_front()
        {
            state.bytes -= oldest.body.len();
        }
        if was_empty {
            self.changed.notify_all();
        }
    }

    /// The number of the oldest group here.
    pub(crate) fn first(&self) -> Option<u64> {
        self.lock().groups.front().map(|fed| fed.group)
    }

    /// The segment of the oldest group here.
    pub(crate) fn first_segment(&self) -> Option<u64> {
        self.lock().groups.front().map(|fed| fed.segment)
    }

    /// Waits until a step is due: enough bytes, long enough, or an order.
    pub(crate) fn wait(&self, bytes: usize, after: Duration) -> Order {
        let mut state = self.lock();
        loop {
            if state.order != Order::Work || state.bytes >= bytes {
                return state.order;
            }
            let Some(oldest) = state.groups.front().map(|fed| fed.since) else {
                state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            };
            let Some(left) = after.checked_sub(oldest.elapsed()) else { return state.order };
            // Nobody wakes the shelver for bytes: it looks again after a part of its time.
            let look_again = left.min(after / 20).max(Duration::from_millis(1));
            let waited = self.changed.wait_timeout(state, look_again);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Whether groups are coming in a burst: many bytes lately, and the last of them just now.
    pub(crate) fn is_bursting(&self) -> bool {
        let state = self.lock();
        let just_now = state.groups.back().is_some_and(|newest| newest.since.elapsed() < QUIET);
        just_now && state.pace.bytes_lately() >= BURST_BYTES
    }

    /// Waits for an order, at most this long.
    pub(crate) fn pause(&self, longest: Duration) -> Order {
        let state = self.lock();
        let idle = |state: &mut State| state.order == Order::Work;
        let waited = self.changed.wait_timeout_while(state, longest, idle);
        waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0.order
    }

    /// Takes the next group if it has this number; older ones are dropped.
    pub(crate) fn take(&self, group: u64) -> Option<Fed> {
        let mut state = self.lock();
        while let Some(first) = state.groups.front().map(|fed| fed.group)
            && first <= group
        {
            let fed = state.groups.pop_front()?;
            state.bytes -= fed.body.len();
            if first == group {
                return Some(fed);
            }
        }
        None
    }

    pub(crate) fn order(&self) -> Order {
        self.lock().order
    }

    pub(crate) fn give(&self, order: Order) {
        let mut state = self.lock();
        if state.order != Order::Stop {
            state.order = order;
        }
        self.changed.notify_all();
    }

    /// The shelver says that it works no more: nothing is kept for it.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.groups.clear();
        state.bytes = 0;
        self.changed.notify_all();
    }

    /// Waits until the shelver works no more; false if it still does at the deadline.
    pub(crate) fn wait_ended(&self, longest: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, longest, |state| !state.ended);
        waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0.ended
    }
}
