//! Waiting longer each time, and never in step with others.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(30);

/// Doubles from a quarter of a second to half a minute; a random part of it is waited.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    pub(super) async fn wait(&mut self) {
        let wait = self.next.mul_f64(0.5 + 0.5 * share());
        self.next = (self.next * 2).min(LAST);
        tokio::time::sleep(wait).await;
    }
}

/// Between 0 and 1; without randomness the middle.
fn share() -> f64 {
    let mut byte = [0; 1];
    getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0)
}
