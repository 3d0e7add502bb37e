//! Says that this process must end, and why.

use tokio::sync::watch;

/// Raised when the journal can no longer be trusted or a writer is gone; never lowered.
#[derive(Clone, Debug)]
pub struct Alarm(watch::Sender<Option<String>>);

impl Default for Alarm {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Alarm {
    /// Raises it; the first reason stays.
    pub fn raise(&self, why: impl Into<String>) {
        self.0.send_if_modified(|reason| {
            let is_first = reason.is_none();
            reason.get_or_insert_with(|| why.into());
            is_first
        });
    }

    /// The reason, if it was raised.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Waits until it is raised.
    pub async fn raised(&self) -> String {
        let mut reasons = self.0.subscribe();
        match reasons.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender lives in `self`: the channel cannot close, and only `Some` ends the wait.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
