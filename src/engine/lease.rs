//! How long a silent worker is waited for. Leases run on the monotonic clock: nobody loses work because
//! somebody set the time.

use std::collections::HashMap;
use std::time::Duration;

use taffrail_domain::{AssignmentId, Offset};
use tokio::time::Instant;

/// The lease of a worker that asks for none.
pub(super) const LEASE_DEFAULT: Duration = Duration::from_secs(60);
/// Shortest lease: one lost heartbeat must not cost an hour of work.
pub const LEASE_MIN: Duration = Duration::from_secs(5);
/// Longest lease: what a dead worker had must not wait for ever.
pub const LEASE_MAX: Duration = Duration::from_secs(60 * 60);

/// The leases of one workspace.
#[derive(Debug, Default)]
pub(super) struct Leases {
    all: HashMap<AssignmentId, Lease>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    fence: Offset,
    until: Instant,
}

impl Leases {
    /// A worker was heard of.
    pub(super) fn extend(&mut self, id: &AssignmentId, fence: Offset, lease: Duration) {
        self.all.insert(id.clone(), Lease { fence, until: Instant::now() + lease });
    }

    /// Forgets those that nobody holds any more, and waits a whole lease for those it has not heard of.
    pub(super) fn keep<'a>(&mut self, held: impl Iterator<Item = (&'a AssignmentId, Offset, Duration)>) {
        let mut before = std::mem::take(&mut self.all);
        for (id, fence, whole) in held {
            let known = before.remove(id).filter(|lease| lease.fence == fence);
            let lease = known.unwrap_or_else(|| Lease { fence, until: Instant::now() + whole });
            self.all.insert(id.clone(), lease);
        }
    }

    /// Those whose time is over.
    pub(super) fn over(&self) -> Vec<(AssignmentId, Offset)> {
        let now = Instant::now();
        let over = self.all.iter().filter(|(_, lease)| lease.until <= now);
        over.map(|(id, lease)| (id.clone(), lease.fence)).collect()
    }

    /// When the next one is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.all.values().map(|lease| lease.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_unless_it_is_extended_and_a_new_claim_gets_a_whole_one() {
        let (id, other) = (AssignmentId::from("a"), AssignmentId::from("b"));
        let mut leases = Leases::default();
        leases.keep([(&id, Offset(1), LEASE_DEFAULT), (&other, Offset(2), LEASE_DEFAULT)].into_iter());
        tokio::time::advance(LEASE_DEFAULT - Duration::from_secs(1)).await;
        leases.extend(&id, Offset(1), LEASE_DEFAULT);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(leases.over(), [(other.clone(), Offset(2))]);
        // Claimed anew under another fence: the old end does not count.
        leases.keep([(&other, Offset(9), LEASE_MIN)].into_iter());
        assert_eq!(leases.over(), []);
        assert_eq!(leases.next(), Some(Instant::now() + LEASE_MIN));
    }
}
