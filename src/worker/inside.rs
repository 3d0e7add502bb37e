//! The worker inside `taffrail serve`: it looks at the worlds themselves to know when to ask, and asks over
//! the socket like any other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use taffrail_domain::work::Claim;
use taffrail_domain::{Text, WorkspaceId};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Link, Options, Worker, stopped};
use crate::boot::Taffrail;
use crate::config::Adapter;

/// It says that it is there at least so often.
const PRESENT: Duration = Duration::from_secs(30);
/// After it could not be asked.
const AGAIN: Duration = Duration::from_secs(1);

/// Works for every workspace until `stop` says so.
pub async fn run_inside(
    app: Arc<Taffrail>,
    adapters: Vec<Adapter>,
    options: Options,
    link: impl Fn(&WorkspaceId) -> Option<Link>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(options.concurrency));
    let mut instances = app.instance().watch();
    let mut known: HashSet<WorkspaceId> = HashSet::new();
    let mut tasks = JoinSet::new();
    loop {
        let world = Arc::clone(&instances.borrow_and_update());
        for id in world.state.workspaces.keys() {
            if app.workspace(id).is_none() || !known.insert(id.clone()) {
                continue;
            }
            for adapter in &adapters {
                let Some(link) = link(id) else { continue };
                let worker = Arc::new(Worker::new(link, adapter.clone(), options.clone()));
                let (app, places, stop) = (Arc::clone(&app), Arc::clone(&places), stop.clone());
                tasks.spawn(serve_workspace(app, id.clone(), worker, places, stop));
            }
        }
        tokio::select! {
            changed = instances.changed() => if changed.is_err() { break },
            // A workspace is registered before it is open.
            () = tokio::time::sleep(AGAIN), if world.state.workspaces.len() > known.len() => {}
            () = stopped(&mut stop) => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn serve_workspace(
    app: Arc<Taffrail>,
    id: WorkspaceId,
    worker: Arc<Worker>,
    places: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let Some(writer) = app.workspace(&id) else { return };
    let claim = Claim {
        cli_adapters: worker
            .adapter
            .cli_adapters
            .iter()
            .map(|adapter| Text::from(adapter.as_str()))
            .collect(),
        ..Claim::default()
    };
    let mut published = writer.watch();
    let mut present = interval(PRESENT);
    present.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut jobs = JoinSet::new();
    let mut not_before = Instant::now();
    loop {
        let has_work = published.borrow_and_update().state.claimable(&claim).is_some();
        tokio::select! {
            place = Arc::clone(&places).acquire_owned(), if has_work && not_before <= Instant::now() => {
                let Ok(place) = place else { break };
                match worker.claim(Duration::ZERO).await {
                    Ok(Some(work)) => {
                        let (worker, stop) = (Arc::clone(&worker), stop.clone());
                        jobs.spawn(async move {
                            worker.work(work, stop).await;
                            drop(place);
                        });
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the worker cannot ask for work");
                        not_before = Instant::now() + AGAIN;
                    }
                }
            }
            () = tokio::time::sleep_until(not_before), if not_before > Instant::now() => {}
            // Asking without having a place would take what another one could do: nothing is asked for.
            _ = present.tick() => app.desk(writer.log()).into_iter().for_each(|desk| desk.announce(&claim)),
            changed = published.changed(), if !has_work => if changed.is_err() { break },
            Some(_) = jobs.join_next(), if !jobs.is_empty() => {}
            () = stopped(&mut stop) => break,
        }
    }
    while jobs.join_next().await.is_some() {}
}
