//! `taffrail worker`

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{Worker as Arguments, talk};
use crate::config::{Config, ConfigError};
use crate::worker::{Link, LinkError, Options, Worker};

const CONCURRENCY_MAX: usize = 256;
const LEASE_SECONDS: std::ops::RangeInclusive<u64> = 5..=3_600;

/// Why the worker did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    /// The configuration is none.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// It does not have what the command line names.
    #[error("{file}: there is no [adapters.{name}]")]
    NoAdapter { file: String, name: String },
    /// A number that makes no sense.
    #[error("{0}")]
    Number(String),
    /// No client can be made.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// The system did not do what every program needs.
    #[error("{0}")]
    Io(#[from] io::Error),
}

pub(super) fn work(arguments: Arguments) -> Result<(), WorkerError> {
    let runtime = Runtime::new()?;
    let worked = runtime.block_on(run(arguments));
    runtime.shutdown_background();
    worked
}

async fn run(arguments: Arguments) -> Result<(), WorkerError> {
    let mut signals = StopSignals::new()?;
    let config = Config::read(&arguments.config)?;
    let adapter = config.adapters.get(&arguments.adapter).cloned().ok_or_else(|| WorkerError::NoAdapter {
        file: arguments.config.display().to_string(),
        name: arguments.adapter.clone(),
    })?;
    if !(1..=CONCURRENCY_MAX).contains(&arguments.concurrency) {
        return Err(WorkerError::Number(format!("--concurrency must be 1-{CONCURRENCY_MAX}")));
    }
    if !LEASE_SECONDS.contains(&arguments.lease) {
        let (least, most) = (LEASE_SECONDS.start(), LEASE_SECONDS.end());
        return Err(WorkerError::Number(format!("--lease must be {least}-{most}")));
    }
    let workspace = arguments.workspace.as_deref();
    let link = match (&arguments.socket, &arguments.server) {
        (Some(socket), _) => Link::to_socket(socket, &arguments.token, workspace)?,
        (None, server) => {
            Link::to_server(server.as_deref().unwrap_or_default(), &arguments.token, workspace)?
        }
    };
    let options = Options {
        name: worker_name(),
        agents: arguments.agents,
        concurrency: arguments.concurrency,
        root: arguments.workdir,
        lease: Duration::from_secs(arguments.lease),
        grace: Duration::from_secs(arguments.grace),
    };
    let (stop, stopped) = watch::channel(false);
    talk::say(&format!("working as {} with adapter {}", options.name, adapter.name))?;
    let working = tokio::spawn(Arc::new(Worker::new(link, adapter, options)).run(stopped));
    signals.any().await;
    tracing::info!("stopping: agents may end, or are given back");
    stop.send_replace(true);
    tokio::select! {
        ended = working => if let Err(error) = ended { tracing::error!(%error, "the worker ended badly") },
        // Asked twice: what it has goes back when its lease is over.
        () = signals.any() => {}
    }
    Ok(())
}

/// What this worker calls itself: machine and process.
pub(super) fn worker_name() -> String {
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{node}:{}", std::process::id())
}

/// What asks the process to stop.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on: a signal that comes during the start is not lost.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
