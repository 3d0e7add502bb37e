//! `taffrail serve`

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::demo::{self, DemoError};
use super::{Serve, talk};
use crate::boot::{BootError, Options, Taffrail};
use crate::http;

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
    let options = Options {
        accept_clock: arguments.accept_clock,
        bootstrap_window: (!address.ip().is_loopback()).then_some(BOOTSTRAP_WINDOW),
        ..Options::new(&arguments.data)
    };
    let app = Taffrail::open(options).await?;
    let demo = match arguments.demo {
        true => Some(demo::ready(&app, &arguments.data).await?),
        false => None,
    };
    let server = Server::start(listener, &app);
    talk::say(&format!("listening on http://{address}"))?;
    if let Some(demo) = demo {
        talk::say(&demo.text(address))?;
    }
    tokio::select! {
        () = stop.any() => tracing::info!("draining"),
        why = app.failed() => {
            server.stop(FAREWELL).await;
            // Its journal may hang in the disk: it is left as it is.
            std::mem::forget(app);
            return Err(ServeError::Failed(why));
        }
    }
    server.stop(REQUEST_PATIENCE).await;
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
    fn start(listener: TcpListener, app: &Arc<Taffrail>) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let until = async move {
            // A sender that is gone says the same.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let server = http::serve(listener, http::service(Arc::clone(app)), until);
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

/// What asks the process to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on: a signal that comes during the start is not lost.
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
