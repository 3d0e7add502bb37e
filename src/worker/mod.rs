//! A worker: claims what agents are given, runs a real process for each, tells what it does and what came
//! out. The same one runs as a program of its own and inside `taffrail serve`; both speak HTTP to the
//! server, over TCP or over its socket.
//!
//! It keeps nothing: what it has when it dies is given to another one when its lease is over.

mod answer;
mod backoff;
mod guard;
mod inside;
mod job;
mod link;
mod process;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use guard::guard;
pub use inside::run_inside;
pub use link::{Link, LinkError};

use crate::config::Adapter;
use backoff::Backoff;
use link::{ClaimWish, Work};

/// How long one request for work may wait at the server.
const WAIT: Duration = Duration::from_secs(25);

/// Waits until the worker is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone says the same.
    drop(stop.wait_for(|stop| *stop).await);
}

/// What a worker is told to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it calls itself.
    pub name: String,
    /// Its agents, by slug or id; all without any.
    pub agents: Vec<String>,
    /// How many processes at a time.
    pub concurrency: usize,
    /// Where working directories are.
    pub root: PathBuf,
    /// How long it may be silent.
    pub lease: Duration,
    /// How long processes may go on once it is to stop.
    pub grace: Duration,
}

/// A worker for one adapter.
#[derive(Debug)]
pub struct Worker {
    link: Link,
    adapter: Adapter,
    options: Options,
}

impl Worker {
    /// Makes one; nothing happens before [`Worker::run`].
    #[must_use]
    pub fn new(link: Link, adapter: Adapter, options: Options) -> Self {
        Self { link, adapter, options }
    }

    /// Works until `stop` says so; then what is under way may end, or is given back.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let mut slots = JoinSet::new();
        for _ in 0..self.options.concurrency {
            let (worker, stop) = (Arc::clone(&self), stop.clone());
            slots.spawn(async move { worker.fill_slot(stop).await });
        }
        while slots.join_next().await.is_some() {}
    }

    /// One process after the other.
    async fn fill_slot(&self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::default();
        while !*stop.borrow() {
            let claimed = tokio::select! {
                claimed = self.claim(WAIT) => claimed,
                () = stopped(&mut stop) => return,
            };
            match claimed {
                Ok(Some(work)) => {
                    backoff.reset();
                    self.work(work, stop.clone()).await;
                }
                Ok(None) => backoff.reset(),
                Err(error) => {
                    tracing::warn!(%error, "no work can be asked for; tried again");
                    tokio::select! {
                        () = backoff.wait() => {}
                        () = stopped(&mut stop) => return,
                    }
                }
            }
        }
    }

    /// Asks for work, and waits for it at most so long.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub(crate) async fn claim(&self, wait: Duration) -> Result<Option<Work>, LinkError> {
        let wish = ClaimWish {
            agents: (!self.options.agents.is_empty()).then_some(&self.options.agents),
            cli_adapters: (!self.adapter.cli_adapters.is_empty()).then_some(&self.adapter.cli_adapters),
            worker: &self.options.name,
            lease_seconds: self.options.lease.as_secs(),
            wait_seconds: wait.as_secs(),
        };
        self.link.claim(&wish, wait).await
    }

    /// Runs one process to its end.
    pub(crate) async fn work(&self, work: Work, stop: watch::Receiver<bool>) {
        job::run(&self.link, &self.adapter, &self.options, work, stop).await;
    }
}
