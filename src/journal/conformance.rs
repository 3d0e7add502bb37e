//! One suite for every engine: what a [`Journal`] promises, whatever it stands on.
//!
//! It panics with a sentence where a promise is broken, so that it can be called from any test.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    AppendError, BATCH_FRAMES_MAX, FRAME_BYTES_MAX, Frame, Journal, LogId, Position, ReadError, Recorded,
    Request, Unsealed, seal,
};

/// A journal and the frames that opening it gave back.
pub type Opened = (Arc<dyn Journal>, Vec<Frame>);

/// Where a journal can be opened again and again. The one opened before is dropped first.
pub trait Place {
    /// Opens the journal, from nothing the first time.
    fn open(&mut self, from: &HashMap<LogId, Position>) -> Opened;
}

/// Checks every promise, each in a place of its own.
pub async fn check(make: &mut dyn FnMut() -> Box<dyn Place>) {
    offsets_are_dense_and_frames_come_back(&mut *make()).await;
    a_batch_stands_together_or_not_at_all(&mut *make()).await;
    two_batches_may_be_under_way(&mut *make()).await;
    what_is_too_large_is_refused(&mut *make()).await;
    reads_keep_to_their_limits(&mut *make()).await;
    heads_can_be_watched(&mut *make()).await;
    requests_are_remembered(&mut *make()).await;
    reopening_gives_everything_once(&mut *make()).await;
    many_tasks_and_logs_do_not_disturb_each_other(&mut *make()).await;
    a_log_proves_as_it_is_stored(&mut *make()).await;
    a_log_proves_while_it_grows(&mut *make()).await;
}

/// A frame to append; the same `n` gives the same frame.
#[must_use]
pub fn unsealed(n: u64, request: Option<Request>) -> Unsealed {
    Unsealed {
        time_ms: 1_700_000_000_000 + n,
        kind: "mission.created".into(),
        version: 1,
        subject: format!("m_{n}").into(),
        actor: "user:u_1".into(),
        request,
        body: Bytes::from(format!(r#"{{"n":{n}}}"#)),
    }
}

fn batch(range: std::ops::Range<u64>) -> Vec<Unsealed> {
    range.map(|n| unsealed(n, None)).collect()
}

async fn appended(journal: &dyn Journal, log: LogId, expected: u64, frames: Vec<Unsealed>) -> u64 {
    journal.append(log, expected, frames).await.expect("the append goes through")
}

async fn read(journal: &dyn Journal, log: LogId, after: u64, limit: u32) -> Vec<Frame> {
    journal.read(log, after, limit).await.expect("the read goes through")
}

/// All frames of a log, proven from its beginning to its head.
pub async fn proven(journal: &dyn Journal, log: LogId) -> Vec<Frame> {
    let frames = read(journal, log, 0, u32::MAX).await;
    let mut position = Position::default();
    for frame in &frames {
        assert_eq!(frame.header.log, log, "a frame of another log");
        position = seal::follow(&position, frame).expect("the chain holds");
    }
    assert_eq!(position, journal.position(log), "the last frame is the head");
    frames
}

fn offsets(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.header.offset).collect()
}

async fn offsets_are_dense_and_frames_come_back(place: &mut dyn Place) {
    let (journal, replayed) = place.open(&HashMap::new());
    assert!(replayed.is_empty(), "a new journal is empty");
    assert_eq!(appended(&*journal, LogId(1), 0, batch(0..1)).await, 1);
    assert_eq!(appended(&*journal, LogId(1), 1, batch(1..4)).await, 4);
    assert_eq!(appended(&*journal, LogId(2), 0, batch(9..10)).await, 1);
    let frames = proven(&*journal, LogId(1)).await;
    assert_eq!(offsets(&frames), [1, 2, 3, 4]);
    for (n, frame) in (0..).zip(&frames) {
        let wanted = unsealed(n, None);
        let header = &frame.header;
        assert_eq!(
            (&header.kind, &header.subject, &header.actor),
            (&wanted.kind, &wanted.subject, &wanted.actor)
        );
        assert_eq!((header.time_ms, header.version, header.format), (wanted.time_ms, wanted.version, 1));
        assert_eq!(frame.content.as_ref().map(|content| &content.body), Some(&wanted.body));
    }
    assert_eq!(journal.logs().await, Ok(vec![LogId(1), LogId(2)]));
    assert_eq!(journal.position(LogId(7)), Position::default(), "a log nobody wrote to");
}

async fn a_batch_stands_together_or_not_at_all(place: &mut dyn Place) {
    let (journal, _) = place.open(&HashMap::new());
    appended(&*journal, LogId(1), 0, batch(0..2)).await;
    for wrong in [0, 1, 3, u64::MAX] {
        let refused = journal.append(LogId(1), wrong, batch(0..3)).await;
        assert_eq!(refused, Err(AppendError::Conflict { expected: wrong, actual: 2 }));
    }
    assert_eq!(proven(&*journal, LogId(1)).await.len(), 2, "nothing of a refused batch is there");
    assert_eq!(appended(&*journal, LogId(1), 2, batch(2..3)).await, 3);
}

async fn two_batches_may_be_under_way(place: &mut dyn Place) {
    let (journal, _) = place.open(&HashMap::new());
    for round in 0..50 {
        let first = journal.append(LogId(1), round * 5, batch(0..2));
        let second = journal.append(LogId(1), round * 5 + 2, batch(2..5));
        let (second, first) = tokio::join!(second, first);
        assert_eq!((first, second), (Ok(round * 5 + 2), Ok(round * 5 + 5)));
    }
    // Whoever stops waiting does not take the batch back.
    drop(journal.append(LogId(1), 250, batch(0..1)));
    assert_eq!(appended(&*journal, LogId(1), 251, batch(1..2)).await, 252);
    assert_eq!(proven(&*journal, LogId(1)).await.len(), 252);
}

async fn what_is_too_large_is_refused(place: &mut dyn Place) {
    let (journal, _) = place.open(&HashMap::new());
    let large = |bytes: usize| Unsealed { body: Bytes::from(vec![b' '; bytes]), ..unsealed(0, None) };
    let too_large = |result| assert!(matches!(result, Err(AppendError::TooLarge(_))), "{result:?}");
    too_large(journal.append(LogId(1), 0, vec![large(FRAME_BYTES_MAX)]).await);
    too_large(journal.append(LogId(1), 0, vec![large(FRAME_BYTES_MAX - 1000); 9]).await);
    too_large(journal.append(LogId(1), 0, batch(0..BATCH_FRAMES_MAX as u64 + 1)).await);
    too_large(journal.append(LogId(1), 0, Vec::new()).await);
    too_large(journal.append(LogId(1 << 24), 0, batch(0..1)).await);
    let kind = Unsealed { kind: "k".repeat(70_000).into(), ..unsealed(0, None) };
    too_large(journal.append(LogId(1), 0, vec![kind]).await);
    assert_eq!(*journal.head(LogId(1)).borrow(), 0);
    assert_eq!(appended(&*journal, LogId(1), 0, vec![large(FRAME_BYTES_MAX - 1000); 3]).await, 3);
    assert_eq!(appended(&*journal, LogId(1), 3, batch(0..BATCH_FRAMES_MAX as u64)).await, 4_099);
    assert_eq!(proven(&*journal, LogId(1)).await.len(), 4_099);
}

async fn reads_keep_to_their_limits(place: &mut dyn Place) {
    let (journal, _) = place.open(&HashMap::new());
    for n in 0..20 {
        appended(&*journal, LogId(1), n * 10, batch(n * 10..n * 10 + 10)).await;
        appended(&*journal, LogId(2), n, batch(n..n + 1)).await;
    }
    for (after, limit, wanted) in
        [(0, 5, 1..6), (3, 1, 4..5), (195, 10, 196..201), (200, 10, 0..0), (u64::MAX, 1, 0..0), (0, 0, 0..0)]
    {
        let found = read(&*journal, LogId(1), after, limit).await;
        assert_eq!(offsets(&found), wanted.collect::<Vec<_>>(), "after {after}, limit {limit}");
    }
    for wanted in [vec![1, 7, 200], vec![200, 7, 1], vec![5], vec![]] {
        let found = journal.read_at(LogId(1), wanted.clone()).await.expect("all of them are there");
        assert_eq!(offsets(&found), wanted);
    }
    for outside in [0, 201] {
        let refused = journal.read_at(LogId(1), vec![1, outside]).await;
        assert!(matches!(refused, Err(ReadError::Unavailable(_))), "{refused:?}");
    }
}

async fn heads_can_be_watched(place: &mut dyn Place) {
    let (journal, _) = place.open(&HashMap::new());
    let mut head = journal.head(LogId(5));
    assert_eq!(*head.borrow_and_update(), 0, "before the first frame");
    appended(&*journal, LogId(5), 0, batch(0..3)).await;
    assert!(head.has_changed().expect("the journal is there"), "an answer comes after its head has moved");
    assert_eq!(*head.borrow_and_update(), 3);
    appended(&*journal, LogId(6), 0, batch(0..1)).await;
    assert!(!head.has_changed().expect("the journal is there"), "another log moves nobody");
}

async fn requests_are_remembered(place: &mut dyn Place) {
    let request = |n: u8| Request { id: [n; 16], fingerprint: [n + 1; 8] };
    let (journal, _) = place.open(&HashMap::new());
    appended(&*journal, LogId(1), 0, batch(0..1)).await;
    let asked = (0..3).map(|n| unsealed(n, Some(request(7)))).collect();
    appended(&*journal, LogId(1), 1, asked).await;
    let nameless = vec![unsealed(9, Some(request(0)))];
    appended(&*journal, LogId(1), 4, nameless).await;
    let made = Recorded { fingerprint: [8; 8], first: 2, last: 4 };
    let refused = journal.append(LogId(1), 99, vec![unsealed(1, Some(request(3)))]).await;
    assert!(refused.is_err(), "the head is 5");
    assert_eq!(journal.recorded_recently(LogId(1), [7; 16]), Some(made));
    drop(journal);
    let (journal, _) = place.open(&HashMap::new());
    assert_eq!(journal.recorded(LogId(1), [7; 16]).await, Ok(Some(made)));
    for (log, id) in [(1, [3; 16]), (1, [0; 16]), (2, [7; 16])] {
        assert_eq!(journal.recorded(LogId(log), id).await, Ok(None), "log {log}, {id:?}");
    }
}

async fn reopening_gives_everything_once(place: &mut dyn Place) {
    let mut from = HashMap::new();
    let mut expected = BTreeMap::new();
    for round in 0..4u64 {
        let (journal, replayed) = place.open(&from);
        for log in [1, 2].map(LogId) {
            let head = *journal.head(log).borrow();
            assert_eq!(head, expected.get(&log).copied().unwrap_or(0), "nothing is missing");
            let skip = from.get(&log).map_or(0, |position: &Position| position.offset);
            let of_log: Vec<_> = replayed.iter().filter(|frame| frame.header.log == log).cloned().collect();
            assert_eq!(
                offsets(&of_log),
                (skip + 1..=head).collect::<Vec<_>>(),
                "each frame beyond `from` once"
            );
            assert_eq!(proven(&*journal, log).await.split_off(skip as usize), of_log);
            let last = appended(&*journal, log, head, batch(0..round + 3)).await;
            expected.insert(log, last);
        }
        if round == 1 {
            from.insert(LogId(1), journal.position(LogId(1)));
        }
    }
}

async fn many_tasks_and_logs_do_not_disturb_each_other(place: &mut dyn Place) {
    const LOGS: u32 = 8;
    const TASKS: u64 = 4;
    const FRAMES: u64 = 25;
    let (journal, _) = place.open(&HashMap::new());
    let mut tasks = tokio::task::JoinSet::new();
    for (log, _) in (0..LOGS).flat_map(|log| (0..TASKS).map(move |task| (LogId(log), task))) {
        let journal = journal.clone();
        tasks.spawn(async move {
            for n in 0..FRAMES {
                // Losing a race tells where the head is; some attempt of somebody always wins.
                let mut expected = *journal.head(log).borrow();
                while let Err(error) = journal.append(log, expected, batch(n..n + 1)).await {
                    let AppendError::Conflict { actual, .. } = error else { panic!("{error}") };
                    expected = actual;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no task fails");
    }
    for log in (0..LOGS).map(LogId) {
        assert_eq!(proven(&*journal, log).await.len() as u64, TASKS * FRAMES);
    }
    drop(journal);
    let (journal, replayed) = place.open(&HashMap::new());
    assert_eq!(replayed.len() as u64, u64::from(LOGS) * TASKS * FRAMES);
    assert_eq!(journal.logs().await, Ok((0..LOGS).map(LogId).collect()));
}

/// A log is whole up to its head; says from where on it was read.
async fn whole_from(journal: &dyn Journal, log: LogId, all: bool) -> u64 {
    let head = journal.position(log);
    let proof = journal.prove(log, all).await.expect("it can be looked at");
    assert_eq!((proof.break_count, proof.breaks), (0, Vec::new()), "nothing is broken");
    assert!(proof.head.offset >= head.offset, "all that was durable is looked at");
    assert!((1..=proof.head.offset + 1).contains(&proof.verified_from));
    proof.verified_from
}

async fn a_log_proves_as_it_is_stored(place: &mut dyn Place) {
    let (journal, _) = place.open(&HashMap::new());
    let fresh = journal.prove(LogId(1), false).await.expect("it can be looked at");
    assert_eq!((fresh.head, fresh.verified_from), (Position::default(), 1), "a log nobody wrote to");
    assert!(fresh.is_whole());
    for n in 0..200 {
        let head = *journal.head(LogId(1)).borrow();
        appended(&*journal, LogId(1), head, batch(n..n + n % 4 + 1)).await;
        appended(&*journal, LogId(2), n, batch(n..n + 1)).await;
    }
    assert_eq!(whole_from(&*journal, LogId(1), false).await, 1, "nothing was proven before");
    assert_eq!(whole_from(&*journal, LogId(2), true).await, 1);
    let proof = journal.prove(LogId(1), false).await.expect("it can be looked at");
    assert_eq!(proof.head, journal.position(LogId(1)));
    // How much of it is left out is the engine's affair; with `all`, nothing is.
    assert_eq!(whole_from(&*journal, LogId(1), true).await, 1);
    let head = *journal.head(LogId(1)).borrow();
    appended(&*journal, LogId(1), head, batch(0..5)).await;
    assert!(whole_from(&*journal, LogId(1), false).await <= head + 1, "what is new is read");
    drop(journal);
    let (journal, _) = place.open(&HashMap::new());
    assert_eq!(whole_from(&*journal, LogId(1), false).await, 1, "another process proves anew");
}

async fn a_log_proves_while_it_grows(place: &mut dyn Place) {
    const ROUNDS: u64 = 300;
    let (journal, _) = place.open(&HashMap::new());
    let grows = {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in 0..ROUNDS {
                let (one, other) = (batch(2 * n..2 * n + 2), batch(n..n + 1));
                let (one, other) = (journal.append(LogId(1), 2 * n, one), journal.append(LogId(2), n, other));
                let (one, other) = tokio::join!(one, other);
                one.and(other).expect("the append goes through");
            }
        })
    };
    while !grows.is_finished() {
        for all in [false, true] {
            let (one, other) =
                tokio::join!(whole_from(&*journal, LogId(1), all), whole_from(&*journal, LogId(2), all));
            assert!(!all || (one, other) == (1, 1));
            tokio::task::yield_now().await;
        }
    }
    grows.await.expect("the appends go through");
    assert_eq!(proven(&*journal, LogId(1)).await.len() as u64, 2 * ROUNDS);
    whole_from(&*journal, LogId(1), false).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Faults;
    use crate::segment;
    use crate::{MemoryJournal, Options};

    struct InMemory {
        journal: Arc<MemoryJournal>,
    }

    impl Place for InMemory {
        fn open(&mut self, from: &HashMap<LogId, Position>) -> Opened {
            self.journal = Arc::new(self.journal.crash());
            let mut frames = Vec::new();
            self.journal.replay(from, &mut |frame| frames.push(frame));
            (self.journal.clone(), frames)
        }
    }

    struct OnDisk {
        data: tempfile::TempDir,
        shelf: bool,
        segment_bytes: u64,
    }

    impl Place for OnDisk {
        fn open(&mut self, from: &HashMap<LogId, Position>) -> Opened {
            let mut frames = Vec::new();
            let mut options = Options::new(self.data.path());
            (options.shelf, options.segment_bytes) = (self.shelf, self.segment_bytes);
            let journal = segment::open(options, from, &mut |frame| frames.push(frame)).expect("it opens");
            (Arc::new(journal), frames)
        }
    }

    fn on_disk(shelf: bool, segment_bytes: u64) -> Box<dyn Place> {
        let data = tempfile::tempdir().expect("a folder");
        Box::new(OnDisk { data, shelf, segment_bytes })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_journal_in_memory_keeps_every_promise() {
        for turns_max in [0, 5] {
            let faults = Faults { seed: 1, turns_max, ..Faults::default() };
            let make = || Box::new(InMemory { journal: Arc::new(MemoryJournal::with_faults(faults)) });
            check(&mut || make()).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_journal_on_a_disk_keeps_every_promise() {
        check(&mut || on_disk(true, 16 << 20)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_journal_on_a_disk_keeps_every_promise_over_many_small_segments() {
        check(&mut || on_disk(false, 16 << 10)).await;
    }
}
