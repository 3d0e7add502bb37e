//! Which workers are there: those that ask for work now, or did a moment ago.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use taffrail_domain::work::Claim;
use taffrail_domain::{AgentId, Workspace};
use tokio::time::Instant;

/// How long a worker that was heard of is thought to be there: it works, or comes back.
const STAYS: Duration = Duration::from_secs(90);
/// Sorts of workers that are told apart; of more, those heard of longest ago are forgotten.
const SORTS_MAX: usize = 1_024;

/// What the workers of one workspace take, and until when that is believed.
#[derive(Debug, Default)]
pub(super) struct Presence {
    sorts: Mutex<Vec<(Claim, Instant)>>,
}

impl Presence {
    /// A worker was heard of; whether one of its sort was not there before.
    pub(super) fn note(&self, claim: &Claim) -> bool {
        let now = Instant::now();
        let mut sorts = self.sorts.lock().unwrap_or_else(PoisonError::into_inner);
        sorts.retain(|(_, until)| *until > now);
        // Which one of its sort it is does not matter.
        let sort = Claim { worker: "".into(), only: None, lease_ms: 0, ..claim.clone() };
        if let Some((_, until)) = sorts.iter_mut().find(|(known, _)| *known == sort) {
            *until = now + STAYS;
            return false;
        }
        if sorts.len() >= SORTS_MAX {
            sorts.remove(0);
        }
        sorts.push((sort, now + STAYS));
        true
    }

    /// Whether somebody would take an agent's work.
    pub(super) fn has_worker(&self, agent: &AgentId, state: &Workspace) -> bool {
        let now = Instant::now();
        let sorts = self.sorts.lock().unwrap_or_else(PoisonError::into_inner);
        sorts.iter().any(|(claim, until)| *until > now && claim.covers(agent, state))
    }
}
