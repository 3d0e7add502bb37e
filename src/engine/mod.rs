//! The engine of missions and routines: what is due becomes a command (`missions.md` 9, 15).
//!
//! It keeps nothing that a crash could lose. What is due is asked of the world again after each entry, on a
//! timer and at the start; a command that was given before has the same name, and a name acts once. Only
//! who is there to work, and how long a silent worker is waited for, is known here alone: at the start every
//! worker has a whole lease to be heard of again.

mod desk;
mod drive;
mod fetch;
mod lease;
mod presence;

use std::sync::Arc;

use taffrail_domain::Time;
use taffrail_projections::WorkspaceWorld;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use desk::{Beat, Claimed, Desk, DeskError};
pub use fetch::Reach;
pub use lease::{LEASE_MAX, LEASE_MIN};

use crate::writer::Writer;

/// Tells the time.
type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// The task that drives one workspace's missions; whoever started it joins it.
pub struct Driving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Driving {
    /// Asks for nothing more, and waits until what was asked is answered.
    pub async fn stop(self) {
        // A task that has ended by itself listens no more.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "an engine ended badly");
        }
    }
}

/// Starts to drive a workspace's missions and routines; `reach` says what steps of routines may ask.
pub fn start(writer: &Writer<WorkspaceWorld>, clock: &Clock, reach: Reach) -> (Arc<Desk>, Driving) {
    let desk = Arc::new(Desk::new(writer.clone()));
    let (stop, stopped) = oneshot::channel();
    let drive = drive::Drive::new(Arc::clone(&desk), writer.clone(), Arc::clone(clock), reach);
    let task = tokio::spawn(drive.run(stopped));
    (desk, Driving { stop, task })
}
