//! Stories of the writer, over a journal that answers when it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use taffrail_domain::instance::TokenRevoked;
use taffrail_domain::{Context, Draft, Face};
use taffrail_journal::{
    AppendError, BoxFuture, Frame, Health, MemoryJournal, Position, Proof, ReadError, Recorded, Unsealed,
};

use super::*;

/// A log that counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counter {
    head: Offset,
    time: Time,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
enum Count {
    /// So many entries, each with a body of so many bytes.
    Up(usize, usize),
    /// Only if the count is this.
    If(u64),
    Nothing,
    PanicInDecide,
    PanicInFold,
}

const BROKEN: &str = "broken";

impl World for Counter {
    type Command = Count;

    fn empty(_: LogTag) -> Self {
        Self::default()
    }

    fn log(&self) -> LogTag {
        LogTag(7)
    }

    fn head(&self) -> Offset {
        self.head
    }

    fn time(&self) -> Time {
        self.time
    }

    fn decide(&self, command: &Count, context: &Context<'_>) -> Result<Vec<Draft>, Rejection> {
        let draft = |subject: &str, bytes: usize| {
            let face = Face::new("counted", context.actor, "x", "");
            let face = Face { trace_id: Some("x".repeat(bytes).into()), ..face };
            Draft::public(subject, TokenRevoked { user_id: "u".into() }, face)
        };
        match command {
            Count::Up(entries, bytes) => Ok(vec![draft("up", *bytes); *entries]),
            Count::If(count) if *count == self.count => Ok(vec![draft("up", 0)]),
            Count::If(_) => Err(Rejection::conflict("counted", "another count")),
            Count::Nothing => Ok(vec![]),
            Count::PanicInDecide => panic!("as asked"),
            Count::PanicInFold => Ok(vec![draft("up", 0), draft(BROKEN, 0)]),
        }
    }

    fn apply(&mut self, entry: &Entry) {
        assert!(&*entry.subject != BROKEN, "as asked");
        (self.head, self.time) = (entry.offset, entry.time);
        self.count += 1;
    }
}

/// The journal in memory, behind a door: appends wait there until a test lets them through.
struct Door {
    inside: MemoryJournal,
    waiting: Mutex<VecDeque<oneshot::Sender<Option<AppendError>>>>,
    arrived: watch::Sender<usize>,
    is_open: AtomicBool,
}

impl Door {
    fn shut() -> Arc<Self> {
        Arc::new(Self {
            inside: MemoryJournal::new(),
            waiting: Mutex::default(),
            arrived: watch::Sender::new(0),
            is_open: AtomicBool::new(false),
        })
    }

    fn open() -> Arc<Self> {
        let door = Self::shut();
        door.is_open.store(true, Ordering::Relaxed);
        door
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<oneshot::Sender<Option<AppendError>>>> {
        self.waiting.lock().unwrap()
    }

    /// Waits until so many appends have arrived since the beginning.
    async fn arrivals(&self, count: usize) {
        self.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// Lets the oldest append through.
    fn admit(&self) {
        self.lock().pop_front().unwrap().send(None).unwrap();
    }

    /// Refuses the oldest append.
    fn refuse(&self, error: AppendError) {
        self.lock().pop_front().unwrap().send(Some(error)).unwrap();
    }
}

impl Journal for Door {
    fn append(
        &self,
        log: LogId,
        expected: u64,
        frames: Vec<Unsealed>,
    ) -> BoxFuture<'_, Result<u64, AppendError>> {
        if self.is_open.load(Ordering::Relaxed) {
            return self.inside.append(log, expected, frames);
        }
        let (verdict, decided) = oneshot::channel();
        self.lock().push_back(verdict);
        self.arrived.send_modify(|arrived| *arrived += 1);
        Box::pin(async move {
            match decided.await.unwrap() {
                None => self.inside.append(log, expected, frames).await,
                Some(error) => Err(error),
            }
        })
    }

    fn read(&self, log: LogId, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        self.inside.read(log, after, limit)
    }

    fn read_at(&self, log: LogId, offsets: Vec<u64>) -> BoxFuture<'_, Result<Vec<Frame>, ReadError>> {
        self.inside.read_at(log, offsets)
    }

    fn recorded(&self, log: LogId, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Recorded>, ReadError>> {
        self.inside.recorded(log, id)
    }

    fn recorded_recently(&self, log: LogId, id: [u8; 16]) -> Option<Recorded> {
        self.inside.recorded_recently(log, id)
    }

    fn head(&self, log: LogId) -> watch::Receiver<u64> {
        self.inside.head(log)
    }

    fn position(&self, log: LogId) -> Position {
        Journal::position(&self.inside, log)
    }

    fn prove(&self, log: LogId, all: bool) -> BoxFuture<'_, Result<Proof, ReadError>> {
        self.inside.prove(log, all)
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, ReadError>> {
        self.inside.logs()
    }

    fn has_room(&self) -> bool {
        self.inside.has_room()
    }

    fn health(&self) -> Health {
        self.inside.health()
    }
}

/// A writer over a journal, the alarm it may raise, and its task.
struct Scene {
    door: Arc<Door>,
    writer: Writer<Counter>,
    alarm: Alarm,
    running: Running,
}

impl Scene {
    fn over(door: Arc<Door>) -> Self {
        let alarm = Alarm::default();
        let surroundings = Surroundings {
            journal: Arc::clone(&door) as Arc<dyn Journal>,
            clock: Arc::new(|| Time(1_000)),
            alarm: alarm.clone(),
        };
        let (writer, running) = start(Counter::default(), &surroundings);
        Self { door, writer, alarm, running }
    }

    /// Wishes something; the answer is waited for later. Wishes arrive in the order they are made.
    async fn wish(&self, command: Count, request: Option<Request>) -> Answer {
        let writer = self.writer.clone();
        let wish = Wish { command, actor: Actor::System, request };
        let answer = tokio::spawn(async move { writer.execute(wish).await });
        // On a runtime of one thread the wish is in the queue, and taken from it, after a few turns.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        Answer(answer)
    }

    fn count(&self) -> u64 {
        self.writer.world().count
    }
}

struct Answer(JoinHandle<Result<Executed<Counter>, ExecuteError>>);

impl Answer {
    async fn get(self) -> Result<Executed<Counter>, ExecuteError> {
        self.0.await.unwrap()
    }

    fn is_there(&self) -> bool {
        self.0.is_finished()
    }
}

fn named(id: u8, fingerprint: u8) -> Option<Request> {
    Some(Request { id: [id; 16], fingerprint: [fingerprint; 8] })
}

#[tokio::test]
async fn what_is_answered_is_published_and_durable() {
    let scene = Scene::over(Door::open());
    let executed = scene.wish(Count::Up(2, 0), None).await.get().await.unwrap();
    assert_eq!((executed.world.count, executed.entries.len(), executed.replayed), (2, 2, false));
    assert_eq!(scene.count(), 2);
    assert_eq!(*scene.door.head(LogId(7)).borrow(), 2);
    assert_eq!(executed.world, scene.writer.world());
}

#[tokio::test]
async fn every_answer_waits_for_the_head_it_was_decided_on() {
    let scene = Scene::over(Door::shut());
    let accepted = scene.wish(Count::Up(1, 0), None).await;
    let rejected = scene.wish(Count::If(9), None).await;
    let unchanged = scene.wish(Count::Nothing, None).await;
    scene.door.arrivals(1).await;
    assert!(!accepted.is_there() && !rejected.is_there() && !unchanged.is_there());
    assert_eq!(scene.count(), 0, "nobody sees what is not durable");
    scene.door.admit();
    assert_eq!(accepted.get().await.unwrap().world.count, 1);
    assert!(matches!(rejected.get().await, Err(ExecuteError::Rejected(_))));
    let unchanged = unchanged.get().await.unwrap();
    assert_eq!((unchanged.world.count, unchanged.entries.len()), (1, 0));
}

#[tokio::test]
async fn two_batches_are_with_the_journal_and_the_rest_is_merged_into_one() {
    let scene = Scene::over(Door::shut());
    let mut answers = vec![];
    for _ in 0..10 {
        answers.push(scene.wish(Count::Up(1, 0), None).await);
    }
    scene.door.arrivals(2).await;
    assert_eq!(*scene.door.arrived.borrow(), 2);
    scene.door.admit();
    scene.door.arrivals(3).await;
    scene.door.admit();
    scene.door.admit();
    for answer in answers {
        answer.get().await.unwrap();
    }
    assert_eq!((scene.count(), *scene.door.arrived.borrow()), (10, 3));
}

#[tokio::test]
async fn what_joins_a_batch_later_is_no_part_of_an_answer() {
    let scene = Scene::over(Door::shut());
    let mut answers = vec![];
    for _ in 0..5 {
        answers.push(scene.wish(Count::Up(1, 0), None).await);
    }
    scene.door.arrivals(2).await;
    scene.door.admit();
    scene.door.arrivals(3).await;
    scene.door.admit();
    scene.door.admit();
    for (before, answer) in answers.into_iter().enumerate() {
        let executed = answer.get().await.unwrap();
        assert_eq!(executed.world.count, before as u64 + 1, "the world behind its own entries");
    }
}

#[tokio::test]
async fn merging_stops_but_never_splits_a_command() {
    let scene = Scene::over(Door::shut());
    let mut answers = vec![];
    for entries in [1, 1, 200, 100, 1, BATCH_ENTRIES, 1] {
        answers.push(scene.wish(Count::Up(entries, 0), None).await);
    }
    let mut heads = vec![];
    for arrivals in 2.. {
        scene.door.admit();
        let before = scene.writer.world().head;
        scene.writer.watch().wait_for(|world| world.head > before).await.unwrap();
        heads.push(scene.count());
        if heads.last() == Some(&(304 + BATCH_ENTRIES as u64)) {
            break;
        }
        scene.door.arrivals(arrivals).await;
    }
    // 200 and 100 merge; then 240 are passed. The largest batch there is stands alone.
    assert_eq!(heads, [1, 2, 302, 303, 303 + BATCH_ENTRIES as u64, 304 + BATCH_ENTRIES as u64]);
}

const BATCH_ENTRIES: usize = taffrail_journal::BATCH_FRAMES_MAX;

#[tokio::test]
async fn more_than_a_batch_holds_is_refused_before_it_is_folded() {
    let scene = Scene::over(Door::open());
    for too_large in [Count::Up(BATCH_ENTRIES + 1, 0), Count::Up(1, 5 << 20), Count::Up(40, 1 << 20)] {
        let answer = scene.wish(too_large, None).await.get().await;
        assert_eq!(answer.unwrap_err(), ExecuteError::TooLarge, "{too_large:?}");
    }
    assert_eq!(scene.wish(Count::If(0), None).await.get().await.unwrap().world.count, 1);
}

#[tokio::test]
async fn no_room_is_said_before_anything_is_decided() {
    let scene = Scene::over(Door::open());
    scene.door.inside.set_room(false);
    assert_eq!(scene.wish(Count::Up(1, 0), None).await.get().await.unwrap_err(), ExecuteError::Full);
    scene.door.inside.set_room(true);
    assert_eq!(scene.wish(Count::If(0), None).await.get().await.unwrap().world.count, 1);
}

#[tokio::test]
async fn a_full_disk_takes_back_what_was_decided_and_decides_the_rest_again() {
    let scene = Scene::over(Door::shut());
    let first = scene.wish(Count::Up(5, 0), named(1, 1)).await;
    let second = scene.wish(Count::If(5), None).await;
    let third = scene.wish(Count::If(0), None).await;
    scene.door.arrivals(2).await;
    scene.door.refuse(AppendError::Full);
    // The second batch finds another head than it expects: that is no bug after a refusal.
    scene.door.admit();
    assert_eq!(first.get().await.unwrap_err(), ExecuteError::Full);
    assert!(matches!(second.get().await, Err(ExecuteError::Rejected(_))), "there are no five any more");
    scene.door.arrivals(3).await;
    scene.door.admit();
    assert_eq!(third.get().await.unwrap().world.count, 1);
    assert_eq!(scene.alarm.reason(), None);
    // The refused request left no trace: it may be asked again.
    let again = scene.wish(Count::Up(5, 0), named(1, 1)).await;
    scene.door.arrivals(4).await;
    scene.door.admit();
    let again = again.get().await.unwrap();
    assert_eq!((again.world.count, again.replayed), (6, false));
}

#[tokio::test]
async fn a_full_disk_refuses_later_batches_too() {
    let scene = Scene::over(Door::shut());
    let first = scene.wish(Count::Up(1, 0), None).await;
    let second = scene.wish(Count::Up(1, 0), None).await;
    scene.door.arrivals(2).await;
    scene.door.refuse(AppendError::Full);
    scene.door.refuse(AppendError::Full);
    assert_eq!(first.get().await.unwrap_err(), ExecuteError::Full);
    assert_eq!(second.get().await.unwrap_err(), ExecuteError::Full);
    assert_eq!(scene.count(), 0);
}

#[tokio::test]
async fn a_conflict_out_of_nothing_is_a_bug_and_stops_the_writer() {
    let scene = Scene::over(Door::shut());
    let first = scene.wish(Count::Up(1, 0), None).await;
    scene.door.arrivals(1).await;
    scene.door.refuse(AppendError::Conflict { expected: 0, actual: 3 });
    assert_eq!(first.get().await.unwrap_err(), ExecuteError::Unavailable);
    assert!(scene.alarm.raised().await.contains("found 3"));
    assert_eq!(scene.wish(Count::Nothing, None).await.get().await.unwrap_err(), ExecuteError::Unavailable);
}

#[tokio::test]
async fn a_poisoned_journal_leaves_every_outcome_unknown() {
    let scene = Scene::over(Door::shut());
    let first = scene.wish(Count::Up(1, 0), None).await;
    let second = scene.wish(Count::Up(1, 0), None).await;
    let third = scene.wish(Count::Nothing, None).await;
    scene.door.arrivals(2).await;
    for _ in 0..2 {
        scene.door.refuse(AppendError::Poisoned("the sync failed".into()));
    }
    for answer in [first, second, third] {
        assert_eq!(answer.get().await.unwrap_err(), ExecuteError::Unavailable);
    }
    assert_eq!(scene.alarm.reason().as_deref(), Some("the sync failed"));
    assert_eq!(scene.count(), 0);
}

#[tokio::test]
async fn a_panic_costs_its_own_command_and_nothing_else() {
    let scene = Scene::over(Door::shut());
    let before = scene.wish(Count::Up(3, 0), None).await;
    let beside = scene.wish(Count::Up(2, 0), None).await;
    let merged = scene.wish(Count::If(5), None).await;
    let decide = scene.wish(Count::PanicInDecide, None).await;
    let fold = scene.wish(Count::PanicInFold, named(1, 1)).await;
    let after = scene.wish(Count::If(6), None).await;
    scene.door.arrivals(2).await;
    scene.door.admit();
    scene.door.admit();
    scene.door.arrivals(3).await;
    scene.door.admit();
    assert_eq!(before.get().await.unwrap().world.count, 3);
    assert_eq!(beside.get().await.unwrap().world.count, 5);
    assert_eq!(merged.get().await.unwrap().entries[0].offset, Offset(6));
    assert_eq!(decide.get().await.unwrap_err(), ExecuteError::Panicked);
    assert_eq!(fold.get().await.unwrap_err(), ExecuteError::Panicked);
    assert_eq!(after.get().await.unwrap().entries[0].offset, Offset(7));
    assert_eq!((scene.count(), scene.alarm.reason()), (7, None));
}

#[tokio::test]
async fn a_repeat_acts_once_and_gives_the_same_entries() {
    let scene = Scene::over(Door::open());
    let first = scene.wish(Count::Up(2, 0), named(1, 1)).await.get().await.unwrap();
    scene.wish(Count::Up(1, 0), None).await.get().await.unwrap();
    let repeat = scene.wish(Count::Up(2, 0), named(1, 1)).await.get().await.unwrap();
    assert_eq!((repeat.entries, repeat.replayed), (first.entries, true));
    assert_eq!((repeat.world.count, scene.count()), (3, 3));
    let other = scene.wish(Count::Up(1, 0), named(1, 2)).await.get().await;
    assert_eq!(other.unwrap_err(), ExecuteError::KeyReused);
}

#[tokio::test]
async fn a_repeat_in_flight_waits_for_the_first() {
    let scene = Scene::over(Door::shut());
    let first = scene.wish(Count::Up(2, 0), named(1, 1)).await;
    let repeat = scene.wish(Count::Up(2, 0), named(1, 1)).await;
    let other = scene.wish(Count::Up(2, 0), named(1, 2)).await;
    scene.door.arrivals(1).await;
    assert!(!repeat.is_there() && !other.is_there());
    scene.door.admit();
    let (first, repeat) = (first.get().await.unwrap(), repeat.get().await.unwrap());
    assert_eq!((first.replayed, repeat.replayed), (false, true));
    assert_eq!(first.entries, repeat.entries);
    assert_eq!(other.get().await.unwrap_err(), ExecuteError::KeyReused);
    assert_eq!(scene.count(), 2);
}

#[tokio::test]
async fn a_repeat_is_known_after_a_restart() {
    let scene = Scene::over(Door::open());
    let first = scene.wish(Count::Up(2, 0), named(1, 1)).await.get().await.unwrap();
    scene.running.stop().await;
    let surroundings = Surroundings {
        journal: Arc::clone(&scene.door) as Arc<dyn Journal>,
        clock: Arc::new(|| Time(1_000)),
        alarm: Alarm::default(),
    };
    let (writer, _running) = start(Counter::clone(&first.world), &surroundings);
    let wish = Wish { command: Count::Up(2, 0), actor: Actor::System, request: named(1, 1) };
    let repeat = writer.execute(wish).await.unwrap();
    assert_eq!((repeat.entries, repeat.replayed, writer.world().count), (first.entries, true, 2));
}

#[tokio::test]
async fn a_rejection_is_decided_anew() {
    let scene = Scene::over(Door::open());
    let early = scene.wish(Count::If(1), named(1, 1)).await.get().await;
    assert!(matches!(early, Err(ExecuteError::Rejected(_))));
    scene.wish(Count::Up(1, 0), None).await.get().await.unwrap();
    assert!(!scene.wish(Count::If(1), named(1, 1)).await.get().await.unwrap().replayed);
}

#[tokio::test]
async fn a_writer_that_is_stopped_answers_what_was_asked_before() {
    let scene = Scene::over(Door::shut());
    let (first, second) = (scene.wish(Count::Up(1, 0), None).await, scene.wish(Count::Up(1, 0), None).await);
    let (writer, door) = (scene.writer.clone(), Arc::clone(&scene.door));
    let stopped = tokio::spawn(scene.running.stop());
    door.arrivals(2).await;
    door.admit();
    door.admit();
    stopped.await.unwrap();
    assert_eq!(first.get().await.unwrap().world.count, 1);
    assert_eq!(second.get().await.unwrap().world.count, 2);
    let late = Wish { command: Count::Nothing, actor: Actor::System, request: None };
    assert_eq!(writer.execute(late).await.unwrap_err(), ExecuteError::Busy);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_busy_after_two_seconds() {
    let scene = Scene::over(Door::shut());
    // Two batches in flight, one full batch open, and then the queue.
    let mut answers = vec![];
    for entries in [1, 1, 240] {
        answers.push(scene.wish(Count::Up(entries, 0), None).await);
    }
    for _ in 0..QUEUE_WISHES {
        answers.push(scene.wish(Count::Nothing, None).await);
    }
    let late = scene.wish(Count::Nothing, None).await;
    assert_eq!(late.get().await.unwrap_err(), ExecuteError::Busy);
    assert!(answers.iter().all(|answer| !answer.is_there()));
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_an_offset_but_not_for_ever() {
    let scene = Scene::over(Door::open());
    let writer = scene.writer.clone();
    let reader = tokio::spawn(async move { writer.world_at(Offset(1)).await.map(|world| world.count) });
    scene.wish(Count::Up(1, 0), None).await.get().await.unwrap();
    assert_eq!(reader.await.unwrap(), Some(1));
    assert!(scene.writer.world_at(Offset(2)).await.is_none());
}
