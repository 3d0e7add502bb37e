//! What an instance does by itself while it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Taffrail;

/// Longest time of last use that a crash may lose.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// Between two tries to finish what found no room.
const FOLLOW_UP_EVERY: Duration = Duration::from_secs(1);

/// How long the bytes of files may stay that nothing names any more.
const FREE_EVERY: Duration = Duration::from_secs(5);

/// The task; whoever started it joins it.
pub(super) struct Upkeep {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Upkeep {
    pub(super) fn start(app: &Arc<Taffrail>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let poisoned = app.store.as_ref().map(|store| store.journal.poisoned());
        let alarm = app.surroundings.alarm.clone();
        let app = Arc::downgrade(app);
        let task = tokio::spawn(async move {
            let poisoned = async {
                let Some(mut poisoned) = poisoned else { return std::future::pending().await };
                match poisoned.wait_for(Option::is_some).await.map(|why| why.clone()) {
                    Ok(why) => alarm.raise(why.unwrap_or_default()),
                    // The journal is gone, and this instance with it.
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = flush(app.clone()) => {}
                () = follow_up(app.clone()) => {}
                () = free(app) => {}
                () = poisoned => {}
                _ = stopped => {}
            }
        });
        Self { stop, task }
    }

    pub(super) async fn stop(self) {
        // A task that has ended by itself listens no more.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the upkeep ended badly");
        }
    }
}

/// Opens the workspaces whose own log found no room when they were registered.
async fn follow_up(app: Weak<Taffrail>) {
    loop {
        tokio::time::sleep(FOLLOW_UP_EVERY).await;
        let Some(app) = app.upgrade() else { return };
        app.open_late_ones().await;
    }
}

/// Removes the bytes of files that are gone from their issues.
async fn free(app: Weak<Taffrail>) {
    loop {
        tokio::time::sleep(FREE_EVERY).await;
        let Some(app) = app.upgrade() else { return };
        app.free_attachments().await;
    }
}

/// Writes the vault's times of last use down, and forgets what nobody waits for, every minute.
async fn flush(app: Weak<Taffrail>) {
    loop {
        tokio::time::sleep(FLUSH_EVERY).await;
        let Some(app) = app.upgrade() else { return };
        app.flush_vault().await;
        app.forget_answers().await;
    }
}
