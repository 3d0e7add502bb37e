//! Question: how much of a plain file's speed is left once frames are sealed, chained, grouped and
//! offered to readers, and what do commands cost on top of that?
//!
//! A plain file takes the same frames from the same number of callers, groups what waits, writes it
//! once and calls `fdatasync` once. Guess: the sync is the limit, so both are alike once many callers
//! share one.
//!
//! `cargo bench --bench append` — figures are medians of interleaved rounds in one run.

mod kit;

use std::fs::File;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use taffrail::boot::{Options, Taffrail};
use taffrail::stored::unsealed;
use taffrail::writer::Wish;
use taffrail_domain::mission::{MissionCommand, TaskPatch};
use taffrail_domain::{LogTag, Time};
use taffrail_journal::{AppendError, BoxFuture, Journal, LogId, Unsealed, frame, segment};
use tempfile::TempDir;
use tokio::sync::oneshot;

const CALLERS: [usize; 4] = [1, 16, 64, 256];
/// Logs that the callers share.
const WORKSPACES: usize = 4;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let frame = typical_frame();
    println!("one frame: {} B body", frame.body.len());
    println!(
        "{:>8} {:>14} {:>14} {:>7} {:>16} {:>16} {:>14} {:>16}",
        "callers",
        "plain file/s",
        "journal/s",
        "ratio",
        "plain p50/p99",
        "journal p50/p99",
        "commands/s",
        "cmd p50/p99"
    );
    for callers in CALLERS {
        let (mut plain, mut journal, mut commands) = (vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            kit::settle();
            plain.push(runtime.block_on(plain_file(callers, &frame)));
            kit::settle();
            journal.push(runtime.block_on(appends(callers, &frame)));
            kit::settle();
            commands.push(runtime.block_on(through_the_writer(callers)));
        }
        let (plain, journal, commands) = (median(plain), median(journal), median(commands));
        println!(
            "{callers:>8} {:>14.0} {:>14.0} {:>7.2} {:>16} {:>16} {:>14.0} {:>16}",
            plain.per_second,
            journal.per_second,
            journal.per_second / plain.per_second,
            plain.latencies(),
            journal.latencies(),
            commands.per_second,
            commands.latencies(),
        );
    }
    kit::settle();
    let (at_once, sustained) = runtime.block_on(ten_seconds(&frame));
    println!("\n256 callers for ten seconds: {at_once:.0}/s in the first, {sustained:.0}/s in the last five");
    println!("behind a burst of 200,000 frames the shelf lags: {}", runtime.block_on(shelver_lag(&frame)));
}

/// A task's status change, as the writer would store it.
fn typical_frame() -> Unsealed {
    let (mut shop, _) = kit::Workshop::open(LogTag(1), &"ws".into(), &"cmi4q0x2a0000000000000001".into());
    let (_, batches) = shop.mission();
    let drafts = batches.iter().flatten();
    let moved = drafts
        .rev()
        .find(|draft| draft.event.as_ref().is_some_and(|event| event.kind() == "task.status_change"));
    unsealed(moved.expect("tasks moved"), Time(1_760_000_000_000), &shop.actor, None).expect("encodes")
}

struct Figures {
    per_second: f64,
    micros: Vec<u64>,
}

impl Figures {
    fn of(started: Instant, mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        Self { per_second: micros.len() as f64 / started.elapsed().as_secs_f64(), micros }
    }

    fn latencies(&self) -> String {
        let at = |share: f64| self.micros[((self.micros.len() - 1) as f64 * share) as usize];
        format!("{}/{} us", at(0.5), at(0.99))
    }
}

fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(rounds.len() / 2)
}

/// Runs `callers` loops until the round is over; each returns its latencies.
async fn race<F, Fut>(callers: usize, one: F) -> Figures
where
    F: Fn(usize, Instant) -> Fut,
    Fut: Future<Output = Vec<u64>> + Send + 'static,
{
    race_for(ROUND, callers, one).await
}

async fn race_for<F, Fut>(time: Duration, callers: usize, one: F) -> Figures
where
    F: Fn(usize, Instant) -> Fut,
    Fut: Future<Output = Vec<u64>> + Send + 'static,
{
    let started = Instant::now();
    let end = started + time;
    let loops: Vec<_> = (0..callers).map(|caller| tokio::spawn(one(caller, end))).collect();
    let mut micros = vec![];
    for finished in loops {
        micros.extend(finished.await.expect("no loop panics"));
    }
    Figures::of(started, micros)
}

type Waiting = (Vec<u8>, oneshot::Sender<()>);
/// Where each workspace's log will stand once all under way is durable.
type Heads = Arc<[Mutex<u64>; WORKSPACES]>;

async fn plain_file(callers: usize, frame: &Unsealed) -> Figures {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    let bytes = sealed_bytes(frame).await;
    let (send, receive) = sync_channel::<Waiting>(1_024);
    let path = folder.path().join("plain");
    let committer = std::thread::spawn(move || commit_to_file(&path, &receive));
    let figures = race(callers, |_, end| {
        let (send, bytes) = (send.clone(), bytes.clone());
        async move {
            let mut micros = vec![];
            while Instant::now() < end {
                let asked = Instant::now();
                let (ack, acked) = oneshot::channel();
                send.send((bytes.clone(), ack)).expect("the committer lives");
                acked.await.expect("it answers");
                micros.push(asked.elapsed().as_micros() as u64);
            }
            micros
        }
    })
    .await;
    drop::<SyncSender<Waiting>>(send);
    committer.join().expect("the committer ends well");
    figures
}

/// The plainest group commit there is, into a file whose blocks exist already.
fn commit_to_file(path: &std::path::Path, receive: &Receiver<Waiting>) {
    let mut file = File::create(path).expect("creates");
    file.write_all(&vec![0; 256 << 20]).and_then(|()| file.sync_all()).expect("room");
    let mut file = File::options().write(true).open(path).expect("opens");
    while let Ok(first) = receive.recv() {
        let (mut group, mut waiting) = (first.0, vec![first.1]);
        for (bytes, ack) in receive.try_iter() {
            group.extend(bytes);
            waiting.push(ack);
        }
        file.write_all(&group).and_then(|()| file.sync_data()).expect("writes");
        for ack in waiting {
            let _ = ack.send(()); // A caller whose round is over does not wait any more.
        }
    }
}

/// The frame as a segment holds it.
async fn sealed_bytes(unsealed: &Unsealed) -> Vec<u8> {
    let journal = taffrail_journal::MemoryJournal::new();
    journal.append(LogId(1), 0, vec![unsealed.clone()]).await.expect("appends");
    let frames = journal.read(LogId(1), 0, 1).await.expect("reads");
    frame::encode(&frames[0])
}

fn open(folder: &TempDir) -> Arc<segment::SegmentJournal> {
    let options = segment::Options::new(folder.path());
    Arc::new(segment::open(options, &Default::default(), &mut |_| ()).expect("opens"))
}

async fn appends(callers: usize, frame: &Unsealed) -> Figures {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    append_for(ROUND, callers, &open(&folder), &Heads::default(), frame).await
}

async fn append_for(
    time: Duration,
    callers: usize,
    journal: &Arc<segment::SegmentJournal>,
    heads: &Heads,
    frame: &Unsealed,
) -> Figures {
    race_for(time, callers, |caller, end| {
        let (journal, frame, heads) = (Arc::clone(journal), frame.clone(), Arc::clone(heads));
        async move {
            let mut micros = vec![];
            while Instant::now() < end {
                let asked = Instant::now();
                let workspace = caller % WORKSPACES;
                let appended = next_append(&journal, &heads[workspace], workspace, &frame);
                appended.await.expect("appends");
                micros.push(asked.elapsed().as_micros() as u64);
            }
            micros
        }
    })
    .await
}

/// One frame behind whatever this workspace's callers have under way: a batch takes its place when
/// `append` is called.
fn next_append<'j>(
    journal: &'j segment::SegmentJournal,
    head: &Mutex<u64>,
    workspace: usize,
    frame: &Unsealed,
) -> BoxFuture<'j, Result<u64, AppendError>> {
    let mut head = head.lock().expect("nobody panics");
    let append = journal.append(LogId(workspace as u32 + 1), *head, vec![frame.clone()]);
    *head += 1;
    append
}

/// The same number of callers, each giving commands to the one writer of one workspace.
async fn through_the_writer(callers: usize) -> Figures {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    let owner = "cmi4q0x2a0000000000000001".into();
    let mut shop = kit::seed(folder.path(), &owner, 0);
    let app = Taffrail::open(Options::new(folder.path())).await.expect("opens");
    let workspace = app.workspace_of_log(LogTag(1)).expect("it was seeded");
    let mut lanes = vec![];
    for _ in 0..callers {
        lanes.push(kit::lane(&mut shop, &workspace).await);
    }
    let figures = race(callers, |caller, end| {
        let (workspace, actor, lane) = (workspace.clone(), shop.actor.clone(), lanes[caller].clone());
        async move {
            let mut micros = vec![];
            while Instant::now() < end {
                let summary = Some(format!("step {} of this lane is done", micros.len()));
                let patch = TaskPatch { result_summary: summary, ..TaskPatch::default() };
                let (crew, mission, task) = lane.clone();
                let command = MissionCommand::UpdateTask { crew, mission, task, patch }.into();
                let asked = Instant::now();
                let wish = Wish { command, actor: actor.clone(), request: None };
                workspace.execute(wish).await.expect("it is accepted");
                micros.push(asked.elapsed().as_micros() as u64);
            }
            micros
        }
    })
    .await;
    app.drain().await;
    figures
}

/// Appends per second in the first second and in the last five of ten: what the shelver costs once it
/// may fall behind no further.
async fn ten_seconds(frame: &Unsealed) -> (f64, f64) {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    let journal = open(&folder);
    let mut seconds = vec![];
    let heads: Heads = Arc::default();
    for _ in 0..10 {
        seconds.push(append_for(Duration::from_secs(1), 256, &journal, &heads, frame).await.per_second);
    }
    (seconds[0], seconds[5..].iter().sum::<f64>() / 5.0)
}

/// Groups behind at the end of a burst, and how long until there are none.
async fn shelver_lag(frame: &Unsealed) -> String {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    let journal = open(&folder);
    let mut head = 0;
    for _ in 0..200 {
        head = journal.append(LogId(1), head, vec![frame.clone(); 1_000]).await.expect("appends");
    }
    let (behind, since) = (journal.health(), Instant::now());
    while journal.health().shelver_lag_groups > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (groups, bytes) = (behind.shelver_lag_groups, behind.shelver_lag_bytes >> 10);
    format!("{groups} groups, {bytes} KiB; caught up {} ms later", since.elapsed().as_millis())
}
