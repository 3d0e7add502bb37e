//! How often agents may call (`platform.md` 8.1): the token of each has a bucket of its own. The other tokens are
//! those of the daemon and of workers, whose signs of life must not wait: they are not limited.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::token::Binding;
use crate::http::problem::Problem;

const PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();
const BURST: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The buckets. As many as there are agents: a token that was never given out fills none.
pub(in crate::http) struct Limits(RateLimiter<Arc<str>, HashMapStateStore<Arc<str>>, DefaultClock>);

impl Default for Limits {
    fn default() -> Self {
        Self(RateLimiter::hashmap(Quota::per_second(PER_SECOND).allow_burst(BURST)))
    }
}

impl Limits {
    /// One call more.
    ///
    /// # Errors
    /// 429, with the time after which there is room again.
    pub(super) fn count(&self, binding: &Binding) -> Result<(), Problem> {
        let Binding::Agent(_, agent) = binding else { return Ok(()) };
        self.0.check_key(&agent.as_str().into()).map_err(|full| {
            let wait = full.wait_time_from(DefaultClock::default().now());
            Problem::too_many(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_has_a_bucket_and_workers_have_none() {
        let limits = Limits::default();
        let (one, other) = (Binding::Agent("w".into(), "a".into()), Binding::Agent("w".into(), "b".into()));
        let granted = (0..2 * BURST.get()).filter(|_| limits.count(&one).is_ok()).count();
        assert!(granted >= BURST.get() as usize && granted < 2 * BURST.get() as usize, "{granted}");
        assert!(limits.count(&one).is_err() && limits.count(&other).is_ok());
        for free in [Binding::Master, Binding::Workspace("w".into()), Binding::Crew("w".into(), "c".into())] {
            assert!((0..2 * BURST.get()).all(|_| limits.count(&free).is_ok()), "{free:?}");
        }
    }
}
