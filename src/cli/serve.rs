//! `taffrail serve`

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use taffrail_domain::WorkspaceId;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::demo::{self, DemoError};
use super::socket::Socket;
use super::worker::{StopSignals, worker_name};
use super::{Serve, talk};
use crate::boot::{BootError, Options, Taffrail};
use crate::config::{Adapter, Config, ConfigError};
use crate::engine::Reach;
use crate::http::{self, Listen, Pipeline};
use crate::worker::{self, Link};

/// On an address that others can reach, bootstrap closes by itself (`platform.md` 0.1).
const BOOTSTRAP_WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long requests under way may take once the process is asked to stop.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);
/// As long as it takes to tell callers that something is wrong.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    /// The address is taken, not ours or none at all.
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    /// The instance did not open.
    #[error("cannot start: {0}")]
    Boot(#[from] BootError),
    /// The demo could not be seeded.
    #[error("cannot seed the demo: {0}")]
    Demo(#[from] DemoError),
    /// The configuration is none.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The internal API would be open to other machines.
    #[error("internal.on_loopback needs --listen on a loopback address")]
    InternalInTheOpen,
    /// The journal or a writer is out of order.
    #[error("stopped, because the journal cannot be trusted any more: {0}")]
    Failed(String),
    /// The system did not do what every program needs.
    #[error("{0}")]
    Io(#[from] io::Error),
}

pub(super) fn serve(arguments: Serve) -> Result<(), ServeError> {
    let runtime = Runtime::new()?;
    let served = runtime.block_on(run(arguments));
    // A failed disk may hold threads for ever; everything that matters was joined before.
    runtime.shutdown_background();
    served
}

async fn run(arguments: Serve) -> Result<(), ServeError> {
    let mut stop = StopSignals::new()?;
    let listen = |source| ServeError::Listen { address: arguments.listen.clone(), source };
    let listener = TcpListener::bind(&arguments.listen).await.map_err(listen)?;
    let address = listener.local_addr()?;
    let config = arguments.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let allows_private = arguments.routines_allow_private_http || config.routines.allow_private_http;
    let options = Options {
        accept_clock: arguments.accept_clock,
        bootstrap_window: (!address.ip().is_loopback()).then_some(BOOTSTRAP_WINDOW),
        reach: Reach { allows_private },
        ..Options::new(&arguments.data)
    };
    if config.internal.on_loopback && !address.ip().is_loopback() {
        return Err(ServeError::InternalInTheOpen);
    }
    let app = Taffrail::open(options).await?;
    let socket = Socket::open(&app, &arguments.data, config.internal.socket.as_deref())?;
    let demo = match arguments.demo {
        true => Some(demo::ready(&app, &arguments.data).await?),
        false => None,
    };
    let service = match config.internal.on_loopback {
        true => http::service_with_internal(Arc::clone(&app)),
        false => http::service(Arc::clone(&app)),
    };
    let server = Server::start(listener, service);
    let internal = Server::start(socket.listener, http::internal_service(Arc::clone(&app)));
    let working = Working::start(&app, &config, &arguments, &socket.path);
    talk::say(&format!("listening on http://{address}"))?;
    if let Some(demo) = demo {
        talk::say(&demo.text(address))?;
    }
    tokio::select! {
        () = stop.any() => tracing::info!("draining"),
        why = app.failed() => {
            app.close_streams();
            server.stop(FAREWELL).await;
            // Its journal may hang in the disk: it is left as it is.
            std::mem::forget(app);
            return Err(ServeError::Failed(why));
        }
    }
    // Agents end, or are given back, while the server still hears of it; then streams, which would never end.
    working.stop().await;
    app.close_streams();
    tokio::join!(server.stop(REQUEST_PATIENCE), internal.stop(REQUEST_PATIENCE));
    if let Err(error) = std::fs::remove_file(&socket.path) {
        tracing::debug!(%error, "the socket stays, and the next start replaces it");
    }
    app.drain().await;
    match app.failure() {
        Some(why) => Err(ServeError::Failed(why)),
        None => Ok(()),
    }
}

/// The task that accepts and answers requests.
struct Server {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(listener: impl Listen, service: Pipeline) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let until = async move {
            // A sender that is gone says the same.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let server = http::serve(listener, service, until);
        Self { stop, task: tokio::spawn(server) }
    }

    /// Accepts no more, and lets requests under way end, at most for `patience`.
    async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        match tokio::time::timeout(patience, &mut self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the server ended badly"),
            Err(_) => {
                tracing::warn!("requests that took too long were cut off");
                self.task.abort();
            }
        }
    }
}

/// The worker inside this process, for the adapters that its configuration enables.
struct Working {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// How long agents may go on once the process is asked to stop.
const AGENT_GRACE: Duration = Duration::from_secs(10);
/// How long a worker in the same process may be silent: what a kill interrupts goes on so long after the start.
const LEASE: Duration = Duration::from_secs(15);

impl Working {
    fn start(app: &Arc<Taffrail>, config: &Config, arguments: &Serve, socket: &Path) -> Self {
        let (stop, stopped) = watch::channel(false);
        let chosen = config.worker.adapters.iter().filter_map(|name| config.adapters.get(name)).cloned();
        let mut adapters: Vec<Adapter> = chosen.collect();
        if arguments.demo && adapters.is_empty() {
            adapters.extend(demo::adapter());
        }
        if adapters.is_empty() {
            return Self { stop, task: None };
        }
        let options = worker::Options {
            name: worker_name(),
            agents: vec![],
            concurrency: config.worker.concurrency.max(1),
            root: arguments.data.join("work"),
            lease: LEASE,
            grace: AGENT_GRACE,
        };
        let (token, socket) = (http::internal_token(app), socket.to_owned());
        let link = move |workspace: &WorkspaceId| {
            Link::to_socket(&socket, &token, Some(workspace.as_str()))
                .inspect_err(|error| tracing::error!(%error, "the worker has no way to its server"))
                .ok()
        };
        let run = worker::run_inside(Arc::clone(app), adapters, options, link, stopped);
        Self { stop, task: Some(tokio::spawn(run)) }
    }

    /// Lets agents end, or gives back what they have.
    async fn stop(self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the worker ended badly");
        }
    }
}
