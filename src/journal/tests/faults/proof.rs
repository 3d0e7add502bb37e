//! What a live proof says of segment files that somebody else had a hand on.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use crate::place::{LOGS, Place, append, fill, group_starts, overwrite};
use crate::surgery::{LEAD, Placed, frames, frames_of, made_good, poke, regroup, splice};
use taffrail_journal::{Journal, LogId, Position, Proof, SegmentJournal};

/// A journal over several small segments that stays open while its files are hurt.
pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) journal: SegmentJournal,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::at(Place::new()).await
    }

    async fn at(place: Place) -> Self {
        let (journal, _) = place.open().unwrap();
        fill(&journal, 60).await;
        let scene = Self { place, journal };
        // The open segment holds something of every log, too.
        while (1..=LOGS as u32).any(|log| scene.open_frames(log).is_empty()) {
            fill(&scene.journal, LOGS).await;
        }
        assert!(scene.used_segments() >= 5, "the journal has rotated");
        scene
    }

    /// The frames of a log in the segment that is written to.
    fn open_frames(&self, log: u32) -> Vec<Placed> {
        frames_of(&fs::read(self.segment(self.used_segments())).unwrap(), LogId(log))
    }

    pub(crate) async fn prove(&self, log: u32, all: bool) -> Proof {
        self.journal.prove(LogId(log), all).await.unwrap()
    }

    /// What is broken in a log, by the default call.
    pub(crate) async fn breaks(&self, log: u32) -> Vec<String> {
        let proof = self.prove(log, false).await;
        assert_eq!(proof.head, self.journal.position(LogId(log)));
        assert_eq!(proof.breaks.len() as u64, proof.break_count);
        proof.breaks.into_iter().map(|broken| broken.why).collect()
    }

    /// Nothing is broken in any log but this one.
    async fn expect_others_whole(&self, but: u32) {
        for log in (1..=LOGS as u32).filter(|log| *log != but) {
            assert_eq!(self.breaks(log).await, Vec::<String>::new(), "log {log}");
        }
    }

    /// Proves until the files are old enough for that to be remembered; says from where on it is read
    /// each time.
    async fn prove_until_remembered(&self, log: u32) -> u64 {
        loop {
            let proof = self.prove(log, false).await;
            assert!(proof.is_whole());
            let first = self.open_frames(log).first().map_or(proof.head.offset + 1, |placed| placed.offset);
            if proof.verified_from == first {
                return proof.verified_from;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn segment(&self, number: usize) -> PathBuf {
        self.place.data.path().join(format!("segments/{number:012}.segment"))
    }

    /// How many segments hold something; the next one may be being prepared meanwhile.
    pub(crate) fn used_segments(&self) -> usize {
        let is_used = |number: &usize| {
            fs::read(self.segment(*number)).is_ok_and(|bytes| bytes.iter().any(|byte| *byte != 0))
        };
        (1..).take_while(is_used).count()
    }

    fn store(&self) -> [u8; 16] {
        self.journal.store_id()
    }
}

fn gap(first: u64, last: u64) -> String {
    match first == last {
        true => format!("sequence gap: seq {first} is missing"),
        false => format!("sequence gap: seq {first} to {last} are missing"),
    }
}

fn unreadable(first: u64, last: u64) -> String {
    let range = if first == last { format!("{first}") } else { format!("{first} to {last}") };
    format!("sequence gap: seq {range} cannot be read: the lead of their group is damaged")
}

fn torn(offset: u64) -> String {
    format!("content hash mismatch at seq {offset}: the stored bytes do not match their checksum")
}

fn disorder(offset: u64, behind: u64) -> String {
    format!("sequence disorder at seq {offset}: it stands behind seq {behind}")
}

const NOTHING: [String; 0] = [];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_proven_is_read_again_only_if_its_file_was_touched() {
    let scene = Scene::new().await;
    assert_eq!(scene.prove(1, false).await.verified_from, 1);
    let first_open = scene.prove_until_remembered(1).await;
    assert!(first_open > 1);
    assert_eq!(scene.prove(1, true).await.verified_from, 1);
    fill(&scene.journal, 3).await;
    assert!(scene.prove(1, false).await.verified_from >= first_open);
    // A byte in an old segment that was proven long ago.
    let path = scene.segment(2);
    let bytes = fs::read(&path).unwrap();
    let hurt = &frames_of(&bytes, LogId(1))[1];
    poke(&path, hurt.bytes.start + 60, bytes[hurt.bytes.start + 60] ^ 1);
    let proof = scene.prove(1, false).await;
    assert_eq!((proof.break_count, &proof.breaks[0].why), (1, &torn(hurt.offset)));
    assert_eq!(proof.verified_from, frames_of(&bytes, LogId(1))[0].offset, "what is before it was left out");
    assert_eq!(scene.breaks(1).await, [torn(hurt.offset)], "a break is never taken for proven");
    scene.expect_others_whole(1).await;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(scene.breaks(1).await, NOTHING);
    scene.prove_until_remembered(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_record_is_a_gap_wherever_it_stood() {
    let scene = Scene::new().await;
    let open = scene.used_segments();
    for segment in [2, open] {
        let path = scene.segment(segment);
        let bytes = fs::read(&path).unwrap();
        let all = frames(&bytes);
        for removed in &all[1..all.len() - 1] {
            let expected = [gap(removed.offset, removed.offset)];
            fs::write(&path, splice(&bytes, &[(removed.bytes.clone(), &[])])).unwrap();
            assert_eq!(scene.breaks(removed.log.0).await, expected, "{removed:?}");
            scene.expect_others_whole(removed.log.0).await;
            fs::write(&path, &bytes).unwrap();
            let left = all.iter().filter(|placed| *placed != removed);
            let left: Vec<_> = left.map(|placed| &bytes[placed.bytes.clone()]).collect();
            regroup(&path, &scene.store(), &[left]);
            assert_eq!(scene.breaks(removed.log.0).await, expected, "{removed:?}, made good");
            scene.expect_others_whole(removed.log.0).await;
            fs::write(&path, &bytes).unwrap();
        }
    }
    assert_eq!(scene.breaks(1).await, NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_tail_is_a_gap_up_to_the_head() {
    let scene = Scene::new().await;
    let open = scene.segment(scene.used_segments());
    let bytes = fs::read(&open).unwrap();
    for cut in frames(&bytes) {
        for at in [cut.bytes.start, cut.bytes.start + 5, cut.bytes.end - 1] {
            fs::write(&open, &bytes[..at]).unwrap();
            let head = scene.journal.position(cut.log).offset;
            assert_eq!(scene.breaks(cut.log.0).await, [gap(cut.offset, head)], "cut at byte {at}");
        }
    }
    fs::write(&open, &bytes).unwrap();
    scene.expect_others_whole(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_records_that_changed_places_are_one_disorder() {
    let scene = Scene::new().await;
    let path = scene.segment(3);
    let bytes = fs::read(&path).unwrap();
    let of_log = frames_of(&bytes, LogId(2));
    let at = |placed: &Placed| &bytes[placed.bytes.clone()];
    for (one, other) in [(0, 1), (1, 2), (1, 3), (0, 3)] {
        let (one, other) = (&of_log[one], &of_log[other]);
        let behind = other.offset;
        // What stood between them, or else the first, now comes behind the second.
        let expected = [disorder(one.offset + u64::from(one.offset + 1 < other.offset), behind)];
        let swapped = [(one.bytes.clone(), at(other)), (other.bytes.clone(), at(one))];
        fs::write(&path, splice(&bytes, &swapped)).unwrap();
        assert_eq!(scene.breaks(2).await, expected);
        scene.expect_others_whole(2).await;
        fs::write(&path, &bytes).unwrap();
        let mut order: Vec<_> = frames(&bytes).iter().map(|placed| placed.bytes.clone()).collect();
        let place = |wanted: &Placed| order.iter().position(|range| *range == wanted.bytes).unwrap();
        let (first, second) = (place(one), place(other));
        order.swap(first, second);
        regroup(&path, &scene.store(), &[order.into_iter().map(|range| &bytes[range]).collect()]);
        assert_eq!(scene.breaks(2).await, expected, "made good");
        scene.expect_others_whole(2).await;
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(scene.breaks(2).await, NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_altered_and_made_good_breaks_by_its_hashes() {
    let scene = Scene::new().await;
    let path = scene.segment(2);
    let bytes = fs::read(&path).unwrap();
    let all = frames(&bytes);
    let hurt = all[4].clone();
    let with = |at: usize| {
        let mut frame = bytes[hurt.bytes.clone()].to_vec();
        frame[at] ^= 1;
        made_good(&frame)
    };
    let (header, body, chain) = (40, hurt.bytes.len() - 38, hurt.bytes.len() - 9);
    let content = "the body does not match its commitment";
    let link = format!("it does not follow from seq {}", hurt.offset - 1);
    for (at, expected) in [
        (header, format!("broken chain link at seq {}: {link}", hurt.offset)),
        (chain, format!("broken chain link at seq {}: {link}", hurt.offset)),
        (body, format!("content hash mismatch at seq {}: {content}", hurt.offset)),
    ] {
        let frame = with(at);
        let put = |placed: &Placed| match placed.bytes == hurt.bytes {
            true => frame.clone(),
            false => bytes[placed.bytes.clone()].to_vec(),
        };
        let put: Vec<_> = all.iter().map(put).collect();
        regroup(&path, &scene.store(), &[put.iter().map(|frame| &frame[..]).collect()]);
        assert_eq!(scene.breaks(hurt.log.0).await, [expected]);
        scene.expect_others_whole(hurt.log.0).await;
        fs::write(&path, &bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_gone_or_cannot_be_read_is_a_gap_for_what_it_held() {
    let scene = Scene::new().await;
    scene.prove_until_remembered(1).await;
    for segment in [1, 3, scene.used_segments()] {
        let path = scene.segment(segment);
        let bytes = fs::read(&path).unwrap();
        let hurts: [&dyn Fn(); 4] = [
            &|| fs::remove_file(&path).unwrap(),
            &|| {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
            },
            &|| fs::write(&path, b"").unwrap(),
            &|| overwrite(&path, 0, &vec![0x5a; bytes.len()]),
        ];
        for hurt in hurts {
            hurt();
            for log in 1..=LOGS as u32 {
                let held = frames_of(&bytes, LogId(log));
                let (first, last) = (held[0].offset, held[held.len() - 1].offset);
                assert_eq!(scene.breaks(log).await, [gap(first, last)]);
            }
            drop(fs::remove_dir(&path));
            fs::write(&path, &bytes).unwrap();
            scene.expect_others_whole(0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_lead_is_damaged_is_a_gap_for_the_log_it_holds() {
    let scene = Scene::new().await;
    for segment in [2, scene.used_segments()] {
        let path = scene.segment(segment);
        let bytes = fs::read(&path).unwrap();
        let starts = group_starts(&bytes);
        for start in [starts[0], starts[1], starts[starts.len() - 2]] {
            let held: Vec<_> = frames(&bytes).into_iter().filter(|placed| placed.group == start).collect();
            let log = held[0].log.0;
            let expected = [unreadable(held[0].offset, held[held.len() - 1].offset)];
            for (at, byte) in (start..).zip(&bytes[start..start + LEAD]) {
                poke(&path, at, byte ^ 0x10);
                assert_eq!(scene.breaks(log).await, expected, "byte {} of the lead", at - start);
                scene.expect_others_whole(log).await;
                poke(&path, at, *byte);
            }
            overwrite(&path, start, &[0xee; LEAD]);
            assert_eq!(scene.breaks(log).await, expected, "nothing is left of the lead");
            scene.expect_others_whole(log).await;
            overwrite(&path, start, &bytes[start..start + LEAD]);
        }
        // Two in a row.
        let held: Vec<_> =
            frames(&bytes).into_iter().filter(|placed| starts[..2].contains(&placed.group)).collect();
        starts[..2].iter().for_each(|start| poke(&path, start + 20, bytes[start + 20] ^ 1));
        for log in 1..=LOGS as u32 {
            let of_log: Vec<_> = held.iter().filter(|placed| placed.log.0 == log).collect();
            let expected = of_log.first().zip(of_log.last());
            let expected = expected.map(|(first, last)| unreadable(first.offset, last.offset));
            assert_eq!(scene.breaks(log).await, expected.into_iter().collect::<Vec<_>>());
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_changed_places_are_out_of_order() {
    let scene = Scene::new().await;
    let (second, third) = (scene.segment(2), scene.segment(3));
    let contents = [fs::read(&second).unwrap(), fs::read(&third).unwrap()];
    fs::write(&second, &contents[1]).unwrap();
    fs::write(&third, &contents[0]).unwrap();
    for log in 1..=LOGS as u32 {
        let [one, other] = contents.each_ref().map(|bytes| frames_of(bytes, LogId(log)));
        assert_eq!(scene.breaks(log).await, [disorder(one[0].offset, other[other.len() - 1].offset)]);
    }
    fs::write(&second, &contents[0]).unwrap();
    fs::write(&third, &contents[1]).unwrap();
    scene.expect_others_whole(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_copy_on_the_shelf_hides_nothing_and_repairs_it_at_the_next_start() {
    let scene = Scene::at(Place::with_shelf()).await;
    let path = scene.segment(2);
    let bytes = fs::read(&path).unwrap();
    let hurt = &frames_of(&bytes, LogId(3))[2];
    while scene.journal.health().shelver_lag_groups > 0 {
        tokio::task::yield_now().await;
    }
    poke(&path, hurt.bytes.start + 60, bytes[hurt.bytes.start + 60] ^ 1);
    assert_eq!(
        scene.journal.read(LogId(3), 0, u32::MAX).await.unwrap().len() as u64,
        scene.prove(3, true).await.head.offset
    );
    assert_eq!(scene.breaks(3).await, [torn(hurt.offset)]);
    let Scene { place, journal } = scene;
    drop(journal);
    let (journal, _) = place.open().unwrap();
    assert!(!journal.health().repairs.is_empty());
    let scene = Scene { place, journal };
    scene.expect_others_whole(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_no_start_had_to_read_is_read_to_be_proven() {
    let place = Place::with_shelf();
    place.fill_and_drain(60).await;
    let path = place.segments()[1].clone();
    let bytes = fs::read(&path).unwrap();
    let hurt = &frames_of(&bytes, LogId(2))[1];
    poke(&path, hurt.bytes.end - 5, bytes[hurt.bytes.end - 5] ^ 1);
    let from = [1, 2, 3].map(|log| (LogId(log), Position { offset: 0, chain: [0; 32] }));
    let mut from: HashMap<_, _> = from.into_iter().collect();
    {
        let (journal, _) = place.copy().open().unwrap();
        from.iter_mut().for_each(|(log, position)| *position = journal.position(*log));
    }
    let (journal, replayed) = place.open_from(&from).unwrap();
    assert!(replayed.is_empty(), "snapshots cover everything");
    let scene = Scene { place, journal };
    assert_eq!(scene.breaks(2).await, [torn(hurt.offset)]);
    scene.expect_others_whole(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn walks_wait_for_each_other_and_one_that_nobody_waits_for_ends() {
    let scene = Scene::new().await;
    for _ in 0..50 {
        let started = scene.journal.prove(LogId(1), true);
        tokio::select! {
            biased;
            _ = started => {}
            () = tokio::task::yield_now() => {}
        }
    }
    let (one, other, third) = tokio::join!(scene.prove(1, true), scene.prove(2, true), scene.prove(1, true));
    assert!(one.is_whole() && other.is_whole());
    assert_eq!(one, third);
    append(&scene.journal, LogId(1), 3).await.unwrap();
    assert_eq!(scene.breaks(1).await, NOTHING);
}
