//! One running instance: opened from its data directory, drained at its end.
//!
//! ```text
//! snapshots -> journal opens, proves, streams frames -> folds -> writers -> follow-ups, vault and attachments swept -> ready
//! ```

mod account;
mod accounts;
mod attachments;
mod folds;
mod history;
mod options;
mod overview;
mod replay;
mod tenancy;
mod upkeep;
mod workspaces;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use imbl::OrdMap;
use taffrail_domain::issue::Attachment;
use taffrail_domain::{AttachmentId, LogTag, Time};
use taffrail_journal::{Journal, Position, SegmentJournal};
use taffrail_projections::{InstanceWorld, World};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};

pub use account::{AccountError, AuthError, Bootstrapped, IssuedToken, Session};
pub use attachments::AttachError;
pub use options::{BootError, Options};
pub use tenancy::RotatedSecret;

use crate::attachments::Attachments;
use crate::durable;
use crate::engine::{Driving, Reach};
use crate::output::Outputs;
use crate::search;
use crate::snapshot::Snapshots;
use crate::vault::Vault;
use crate::writer::{self, Alarm, Running, Surroundings, Writer};
pub(crate) use history::Read;

use folds::{Folds, log_id};
use overview::Overview;
use upkeep::Upkeep;
use workspaces::Office;

/// A boot replay longer than this is worth a snapshot at once.
const SNAPSHOT_AFTER_ENTRIES: u64 = 100_000;
/// What a mode says of who may do what.
const PERMISSIONS: u32 = 0o777;
/// What a mode says of everybody but the owner.
const OTHERS: u32 = 0o077;
/// How long the shelver may work on at a drain; the next start shelves the rest.
const SHELVE_PATIENCE: Duration = Duration::from_secs(10);

/// Everything one running instance has.
pub struct Taffrail {
    surroundings: Surroundings,
    store: Option<Store>,
    vault: Vault,
    instance: Writer<InstanceWorld>,
    workspaces: RwLock<HashMap<LogTag, Office>>,
    overview: Arc<Overview>,
    /// Set while a registered workspace waits for room to be opened.
    late: AtomicBool,
    /// When bootstrap closes by itself.
    bootstrap_until: Option<Instant>,
    /// The engines' tasks; they end before the writers.
    driving: Mutex<Vec<Driving>>,
    /// Where the indexes live.
    searches: search::Home,
    /// The indexes' tasks; they end before the writers.
    following: Mutex<Vec<search::Following>>,
    /// The writers' tasks.
    running: Mutex<Vec<Running>>,
    /// The whole output of runs.
    outputs: Outputs,
    /// The bytes of files at issues.
    attachments: Attachments,
    /// Shared while bytes are put into the store and named, alone while nameless ones are removed.
    naming: tokio::sync::RwLock<()>,
    /// Whether the journal may name bytes that no world knows of: then none are removed before the next start.
    may_be_named: AtomicBool,
    /// The files of each log when those that were gone were last removed.
    attached: Mutex<HashMap<LogTag, OrdMap<AttachmentId, Arc<Attachment>>>>,
    /// What steps of routines may ask over HTTP.
    reach: Reach,
    /// Set once streams are to end.
    closing: watch::Sender<bool>,
    /// Work that must not end half-way because its caller went away.
    errands: Mutex<JoinSet<()>>,
    upkeep: Mutex<Option<Upkeep>>,
}

/// What belongs to a journal on a disk.
struct Store {
    journal: Arc<SegmentJournal>,
    snapshots: Snapshots,
}

impl std::fmt::Debug for Taffrail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Taffrail(…)")
    }
}

impl Taffrail {
    /// Opens a data directory: folds what the journal says, finishes what a crash left half done and
    /// starts the writers.
    ///
    /// # Errors
    /// See [`BootError`].
    pub async fn open(options: Options) -> Result<Arc<Self>, BootError> {
        let started = Instant::now();
        make_private(&options.data).map_err(BootError::io("make the data directory"))?;
        let snapshots = Snapshots::open(&options.data).map_err(BootError::io("open the snapshots"))?;
        let (journal, folds) = replay::from_data(&options, &snapshots).await?;
        // Not before: the open journal is what keeps other processes out.
        snapshots.sweep().map_err(BootError::io("sweep the snapshots"))?;
        let store = Store { journal: Arc::new(journal), snapshots };
        let journal: Arc<dyn Journal> = Arc::clone(&store.journal) as _;
        tracing::info!(
            entries = folds.replayed,
            workspaces = folds.workspaces.len(),
            elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the journal is folded"
        );
        Self::start(options, journal, Some(store), folds).await
    }

    /// As [`Taffrail::open`], on a journal that is open already; nothing but the vault is kept in the
    /// data directory.
    ///
    /// # Errors
    /// See [`BootError`].
    pub async fn open_on(options: Options, journal: Arc<dyn Journal>) -> Result<Arc<Self>, BootError> {
        let folds = replay::from_journal(&journal).await?;
        Self::start(options, journal, None, folds).await
    }

    async fn start(
        options: Options,
        journal: Arc<dyn Journal>,
        store: Option<Store>,
        folds: Folds,
    ) -> Result<Arc<Self>, BootError> {
        let data = options.data.clone();
        let vault = spawn_blocking(move || Vault::open(&data)).await.map_err(|_| BootError::Panicked)?;
        let vault = vault.map_err(BootError::io("open the vault"))?;
        let outputs = Outputs::open(&options.data).map_err(BootError::io("open the outputs"))?;
        let attachments = Attachments::open(&options.data).map_err(BootError::io("open the attachments"))?;
        for log in journal.logs().await? {
            folds.check(LogTag(log.0), journal.position(log))?;
        }
        let alarm = Alarm::default();
        let surroundings = Surroundings { journal, clock: options.clock, alarm };
        let overview = Arc::new(Overview::default());
        let witness = overview.of_instance(&folds.instance);
        let searches = store.as_ref().map_or_else(search::Home::in_memory, |store| {
            search::Home::on_disk(&options.data, store.journal.store_id())
        });
        let (instance, running) = writer::start_witnessed(folds.instance.clone(), &surroundings, witness);
        let app = Arc::new(Self {
            surroundings,
            store,
            vault,
            instance,
            workspaces: RwLock::default(),
            overview,
            late: AtomicBool::new(false),
            bootstrap_until: options.bootstrap_window.map(|window| Instant::now() + window),
            driving: Mutex::default(),
            searches,
            following: Mutex::default(),
            running: Mutex::new(vec![running]),
            outputs,
            attachments,
            naming: tokio::sync::RwLock::default(),
            may_be_named: AtomicBool::new(false),
            attached: Mutex::default(),
            reach: options.reach,
            closing: watch::Sender::new(false),
            errands: Mutex::default(),
            upkeep: Mutex::default(),
        });
        app.save_long_replays(&folds);
        app.start_workspaces(folds.workspaces).await?;
        app.sweep_vault().await?;
        app.sweep_attachments().await?;
        app.forget_answers().await;
        *lock(&app.upkeep) = Some(Upkeep::start(&app));
        Ok(app)
    }

    /// Removes what a crash left in the vault without its fact.
    async fn sweep_vault(&self) -> Result<(), BootError> {
        let world = self.instance.world();
        let (users, tokens) = (&world.state.users, &world.state.tokens);
        let webhooks = self.webhook_secrets();
        let swept = self.vault.sweep(
            |user| users.contains_key(user),
            |token| tokens.contains_key(token),
            |secret| webhooks.contains(secret),
        );
        let swept = swept.await.map_err(BootError::io("sweep the vault"))?;
        if swept > 0 {
            tracing::info!(files = swept, "files without a fact were removed from the vault");
        }
        Ok(())
    }

    /// Step 12: takes no more commands, answers those that wait, seals the journal and, unless
    /// [`Taffrail::failure`] says why not, writes snapshots. A second call finds nothing to do.
    pub async fn drain(&self) {
        let mut errands = std::mem::take(&mut *lock(&self.errands));
        while errands.join_next().await.is_some() {}
        self.close_streams();
        let driving = std::mem::take(&mut *lock(&self.driving));
        for engine in driving {
            engine.stop().await;
        }
        let following = std::mem::take(&mut *lock(&self.following));
        for follower in following {
            follower.stop().await;
        }
        let running = std::mem::take(&mut *lock(&self.running));
        for writer in running {
            writer.stop().await;
        }
        let upkeep = lock(&self.upkeep).take();
        if let Some(upkeep) = upkeep {
            upkeep.stop().await;
        }
        self.flush_vault().await;
        if let Some(store) = &self.store {
            self.drain_journal(store).await;
        }
        // Nobody watches the journal any more: what went wrong at its end is seen here or never.
        if let Some(why) = self.journal().health().poisoned {
            self.surroundings.alarm.raise(why);
        }
        if let (Some(store), None) = (&self.store, self.failure()) {
            self.save_all(store).await;
        }
    }

    async fn drain_journal(&self, store: &Store) {
        let journal = Arc::clone(&store.journal);
        match spawn_blocking(move || journal.drain(SHELVE_PATIENCE)).await {
            Ok(drained) => tracing::info!(drained.shelved, drained.sealed, "the journal is drained"),
            Err(error) => {
                tracing::error!(%error, "the journal could not be drained");
                self.surroundings.alarm.raise("the drain of the journal panicked");
            }
        }
    }

    /// Writes every log's world down, if it stands where the journal ends.
    async fn save_all(&self, store: &Store) {
        let worlds: Vec<_> = self.open_writers().iter().map(Writer::world).collect();
        let save = Save::new(store);
        let instance = self.instance.world();
        let saved = spawn_blocking(move || {
            save.world(&*instance);
            worlds.iter().for_each(|world| save.world(&**world));
        });
        if let Err(error) = saved.await {
            tracing::error!(%error, "snapshots could not be written");
        }
    }

    /// After a long replay the next start shall be short even if this process is killed.
    fn save_long_replays(&self, folds: &Folds) {
        let Some(store) = &self.store else { return };
        if folds.replayed <= SNAPSHOT_AFTER_ENTRIES {
            return;
        }
        let save = Save::new(store);
        let (instance, workspaces) = (folds.instance.clone(), folds.workspaces.clone());
        // The positions must be those of these worlds: no writer has started to append yet.
        let positions: HashMap<LogTag, Position> = std::iter::once(LogTag::INSTANCE)
            .chain(workspaces.keys().copied())
            .map(|log| (log, store.journal.position(log_id(log))))
            .collect();
        lock(&self.errands).spawn_blocking(move || {
            save.at(&positions, &instance);
            workspaces.values().for_each(|world| save.at(&positions, world));
        });
    }

    /// Waits until this process must end, and says why.
    pub async fn failed(&self) -> String {
        self.surroundings.alarm.raised().await
    }

    /// Why this process must end, if it must.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.surroundings.alarm.reason()
    }

    /// The writer of the instance log.
    #[must_use]
    pub fn instance(&self) -> &Writer<InstanceWorld> {
        &self.instance
    }

    /// The side store.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.surroundings.journal
    }

    /// The whole output of runs.
    #[must_use]
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// The bytes of files at issues.
    #[must_use]
    pub fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// Asks every stream to end: a drain would wait for them for ever.
    pub fn close_streams(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until streams are to end.
    pub async fn closing(&self) {
        // A sender that is gone says the same.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> Time {
        (self.surroundings.clock)()
    }

    /// How far the clock is behind the last entry, in ms; new entries get that one's time until then.
    #[must_use]
    pub fn clock_behind_ms(&self) -> u64 {
        self.overview.last_time().0.saturating_sub(self.now().0)
    }

    /// Does work to its end, even if whoever waits for it goes away. `None` if it panicked.
    async fn errand<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, result) = oneshot::channel();
        {
            let mut errands = lock(&self.errands);
            while errands.try_join_next().is_some() {}
            errands.spawn(async move {
                // The caller may have gone; the work is done all the same.
                let _ = done.send(work.await);
            });
        }
        result.await.ok()
    }

    /// Forgets credentials that agents have asked for, or will not ask for any more.
    async fn forget_answers(&self) {
        if let Err(error) = self.vault.sweep_answers(self.now()).await {
            tracing::warn!(%error, "a credential that nobody waits for could not be removed; tried again");
        }
    }

    async fn flush_vault(&self) {
        if let Err(error) = self.vault.flush().await {
            tracing::warn!(%error, "the times of last use could not be written");
        }
    }
}

/// Makes a data directory that only its owner may enter. One that exists keeps its mode: it may be
/// shared on purpose, or by mistake, and only its owner knows.
fn make_private(data: &Path) -> std::io::Result<()> {
    durable::make_folder(data)?;
    let mode = std::fs::metadata(data)?.permissions().mode() & PERMISSIONS;
    if mode & OTHERS != 0 {
        let mode = format!("{mode:03o}");
        tracing::warn!(path = %data.display(), mode, "others may enter the data directory; chmod 700 keeps them out");
    }
    Ok(())
}

/// Saves worlds of one store.
struct Save {
    journal: Arc<SegmentJournal>,
    snapshots: Snapshots,
}

impl Save {
    fn new(store: &Store) -> Self {
        Self { journal: Arc::clone(&store.journal), snapshots: store.snapshots.clone() }
    }

    /// Saves a world at the journal's end.
    fn world<W: World>(&self, world: &W) {
        let position = self.journal.position(log_id(world.log()));
        if world.head().0 == position.offset && position.offset > 0 {
            self.save(position, world);
        }
    }

    /// Saves a world at a position noted before.
    fn at<W: World>(&self, positions: &HashMap<LogTag, Position>, world: &W) {
        let position = positions.get(&world.log()).filter(|position| position.offset == world.head().0);
        position.into_iter().for_each(|position| self.save(*position, world));
    }

    /// A snapshot that cannot be written costs the next start time, nothing else. The last room is the
    /// journal's: a snapshot takes none of it.
    fn save<W: World>(&self, position: Position, world: &W) {
        if !self.journal.has_room() {
            tracing::warn!(log = world.log().0, "no room for a snapshot");
            return;
        }
        if let Err(error) = self.snapshots.save(self.journal.store_id(), position, world) {
            tracing::warn!(log = world.log().0, %error, "a snapshot could not be written");
        }
    }
}

/// A lock whose holder panicked guards plain collections: they are whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
