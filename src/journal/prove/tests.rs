//! What a walk says of every way in which a log can be hurt.

use bytes::Bytes;
use proptest::prelude::*;

use super::{BREAKS_KEPT, BreakKind, Found, Proof, Prover, Soundness};
use crate::seal::{self, Sealer};
use crate::{Journal, LogId, MemoryJournal, Position, Unsealed, conformance};

/// So many frames as they were sealed, and where they end.
fn sealed(count: u64) -> (Vec<Found>, Position) {
    let (mut sealer, mut position) = (Sealer::seeded([3; 32]), Position::default());
    let unsealed = |n: u64| Unsealed {
        time_ms: n,
        kind: "mission.created".into(),
        version: 1,
        subject: "m_1".into(),
        actor: "user:u_1".into(),
        request: None,
        body: Bytes::from(format!("{n}")),
    };
    let mut seal = |n| sealer.seal(LogId(1), &mut position, unsealed(n), &mut Vec::new());
    let frames: Vec<_> = (1..=count).map(|n| Found::of_frame(&seal(n))).collect();
    (frames, position)
}

fn proof(head: Position, frames: &[Found]) -> Proof {
    let mut prover = Prover::new(head);
    frames.iter().for_each(|found| prover.take(*found));
    prover.finish(1)
}

/// The breaks of ten frames after they were hurt.
fn breaks(hurt: impl FnOnce(&mut Vec<Found>)) -> Vec<String> {
    let (mut frames, head) = sealed(10);
    hurt(&mut frames);
    let proof = proof(head, &frames);
    assert_eq!(proof.breaks.len() as u64, proof.break_count);
    proof.breaks.into_iter().map(|broken| broken.why).collect()
}

const ALTERED: &str = "content hash mismatch at seq 5: the body does not match its commitment";
const TORN: &str = "content hash mismatch at seq 5: the stored bytes do not match their checksum";

#[test]
fn an_untouched_log_proves_whether_all_of_it_is_read_or_not() {
    let (frames, head) = sealed(10);
    assert!(proof(head, &frames).is_whole());
    assert!(proof(Position::default(), &[]).is_whole());
    let middle = Position { offset: 4, chain: frames[3].chain };
    assert!(proof(middle, &frames).is_whole(), "what was appended later is not looked at");
    let mut prover = Prover::new(head);
    assert!(prover.skip(&Position::default(), &middle));
    assert!(!prover.skip(&Position::default(), &middle), "it does not stand there any more");
    assert_eq!((prover.next(), prover.position()), (5, Some(middle)));
    frames[4..].iter().for_each(|found| prover.take(*found));
    assert!(prover.finish(5).is_whole());
}

#[test]
fn one_altered_frame_is_one_break_whatever_was_altered() {
    assert_eq!(breaks(|frames| frames[4].soundness = Soundness::Altered), [ALTERED]);
    for touch_leaf in [true, false] {
        let alter = move |found: &mut Found| {
            (if touch_leaf { &mut found.leaf } else { &mut found.chain })[7] ^= 1;
        };
        let torn = breaks(|frames| {
            alter(&mut frames[4]);
            frames[4].soundness = Soundness::Torn;
        });
        assert_eq!(torn, [TORN]);
        let made_good = breaks(|frames| alter(&mut frames[4]));
        assert_eq!(made_good, ["broken chain link at seq 5: it does not follow from seq 4"]);
        let last = breaks(|frames| alter(&mut frames[9]));
        assert_eq!(last, ["broken chain link at seq 10: it does not follow from seq 9"]);
    }
}

#[test]
fn a_frame_that_was_forged_with_all_its_hashes_breaks_what_follows_or_is_not_the_head() {
    let forge = |frames: &mut Vec<Found>, at: usize| {
        frames[at].leaf = [1; 32];
        frames[at].chain = seal::link(&frames[at - 1].chain, &frames[at].leaf);
    };
    let within = breaks(|frames| forge(frames, 4));
    assert_eq!(within, ["broken chain link at seq 6: it does not follow from seq 5"]);
    let last = breaks(|frames| forge(frames, 9));
    assert_eq!(last, ["broken chain link at seq 10: it is not the frame that was appended last"]);
}

#[test]
fn a_torn_frame_of_another_log_that_seems_to_stand_here_is_no_break() {
    let (frames, _) = sealed(10);
    let strays = |at: usize, offset: u64| {
        let stray = Found { offset, leaf: [9; 32], chain: [8; 32], soundness: Soundness::Torn };
        breaks(|frames| frames.insert(at, stray))
    };
    for at in 0..=frames.len() {
        for offset in [0, 1, at as u64, at as u64 + 1, at as u64 + 2, 10, 11, u64::MAX] {
            assert_eq!(strays(at, offset), Vec::<String>::new(), "{offset} before frame {at}");
        }
    }
}

#[test]
fn missing_frames_are_one_gap_with_its_first_and_last() {
    let missing = |range: std::ops::Range<usize>| breaks(|frames| drop(frames.drain(range)));
    assert_eq!(missing(4..5), ["sequence gap: seq 5 is missing"]);
    assert_eq!(missing(0..3), ["sequence gap: seq 1 to 3 are missing"]);
    assert_eq!(missing(7..10), ["sequence gap: seq 8 to 10 are missing"]);
    assert_eq!(missing(0..10), ["sequence gap: seq 1 to 10 are missing"]);
    // The place itself was damaged.
    for offset in [0, 2, 77, u64::MAX] {
        let lost = breaks(|frames| {
            frames[4].offset = offset;
            frames[4].soundness = Soundness::Torn;
        });
        assert_eq!(lost, ["sequence gap: seq 5 is missing"]);
    }
    let beside_damage = breaks(|frames| {
        frames[4].soundness = Soundness::Torn;
        frames.remove(5);
        frames.remove(3);
    });
    assert_eq!(beside_damage, ["sequence gap: seq 4 to 6 are missing"]);
    let before_damage = breaks(|frames| {
        frames[4].soundness = Soundness::Torn;
        frames.remove(3);
    });
    assert_eq!(before_damage, ["sequence gap: seq 4 is missing", TORN]);
}

#[test]
fn frames_out_of_place_are_one_disorder_for_what_was_moved_together() {
    let behind =
        |first: u64, last: u64| format!("sequence disorder at seq {first}: it stands behind seq {last}");
    assert_eq!(breaks(|frames| frames.swap(4, 5)), [behind(5, 6)]);
    assert_eq!(breaks(|frames| frames.swap(2, 7)), [behind(4, 8)]);
    assert_eq!(breaks(|frames| frames.swap(0, 9)), [behind(2, 10)]);
    assert_eq!(breaks(|frames| frames[2..8].rotate_left(3)), [behind(3, 8)]);
    let twice = breaks(|frames| frames.insert(6, frames[3]));
    assert_eq!(twice, [behind(4, 6)]);
    let copied_over = breaks(|frames| frames[4] = frames[3]);
    assert_eq!(copied_over, [behind(4, 4), "sequence gap: seq 5 is missing".into()]);
    let moved_and_altered = breaks(|frames| {
        frames[3].leaf[0] ^= 1;
        frames.swap(3, 7);
    });
    assert_eq!(moved_and_altered[0], "broken chain link at seq 4: it does not follow from seq 3");
    assert_eq!(moved_and_altered[1..], [behind(5, 8)]);
}

#[test]
fn what_was_found_but_cannot_be_read_is_a_gap_and_stretches_that_touch_are_one() {
    let (frames, head) = sealed(10);
    let mut prover = Prover::new(head);
    frames.iter().for_each(|found| prover.take(*found));
    for (first, last) in [(2, 3), (4, 4), (6, 6)] {
        prover.note_unreadable(first, last);
    }
    let proof = prover.finish(1);
    let why: Vec<_> = proof.breaks.iter().map(|broken| &*broken.why).collect();
    assert_eq!(
        why,
        [
            "sequence gap: seq 2 to 4 cannot be read: the lead of their group is damaged",
            "sequence gap: seq 6 cannot be read: the lead of their group is damaged"
        ]
    );
}

#[test]
fn all_breaks_are_counted_and_the_first_are_kept() {
    let (mut frames, head) = sealed(4_000);
    frames.retain(|found| found.offset.is_multiple_of(2));
    let proof = proof(head, &frames);
    assert_eq!(proof.break_count, 2_000);
    let offsets: Vec<_> = proof.breaks.iter().map(|broken| broken.offset).collect();
    assert_eq!(offsets, (0..BREAKS_KEPT as u64).map(|n| 2 * n + 1).collect::<Vec<_>>());
    assert!(proof.breaks.iter().all(|broken| broken.kind == BreakKind::Gap));
}

#[tokio::test]
async fn a_log_in_memory_that_was_tampered_with_says_so_and_is_proven_anew() {
    let journal = MemoryJournal::new();
    let frames = (0..5).map(|n| conformance::unsealed(n, None)).collect();
    journal.append(LogId(1), 0, frames).await.unwrap();
    assert_eq!(journal.prove(LogId(1), false).await.unwrap().verified_from, 1);
    assert_eq!(journal.prove(LogId(1), false).await.unwrap().verified_from, 6, "nothing is new");
    let mut taken = Vec::new();
    journal.tamper(LogId(1), |frames| taken.extend(frames.drain(2..3)));
    let proof = journal.prove(LogId(1), false).await.unwrap();
    assert_eq!((proof.verified_from, &*proof.breaks[0].why), (1, "sequence gap: seq 3 is missing"));
    journal.tamper(LogId(1), |frames| frames.insert(2, taken.remove(0)));
    assert!(journal.prove(LogId(1), false).await.unwrap().is_whole());
}

#[derive(Clone, Debug)]
enum Hurt {
    Remove(usize),
    Swap(usize, usize),
    Copy(usize, usize),
    Alter(usize, u8),
    Renumber(usize, u64),
    Replace(usize, u64, bool),
}

fn any_hurt() -> impl Strategy<Value = Hurt> {
    let at = 0..12usize;
    prop_oneof![
        at.clone().prop_map(Hurt::Remove),
        (at.clone(), at.clone()).prop_map(|(one, other)| Hurt::Swap(one, other)),
        (at.clone(), at.clone()).prop_map(|(from, to)| Hurt::Copy(from, to)),
        (at.clone(), any::<u8>()).prop_map(|(at, how)| Hurt::Alter(at, how)),
        (at.clone(), any::<u64>()).prop_map(|(at, offset)| Hurt::Renumber(at, offset)),
        (at, 0..14u64, any::<bool>()).prop_map(|(at, offset, torn)| Hurt::Replace(at, offset, torn)),
    ]
}

impl Hurt {
    fn apply(&self, frames: &mut Vec<Found>) {
        let len = frames.len().max(1);
        match *self {
            _ if frames.is_empty() => {}
            Self::Remove(at) => drop(frames.remove(at % len)),
            Self::Swap(one, other) => frames.swap(one % len, other % len),
            Self::Copy(from, to) => frames.insert(to % len, frames[from % len]),
            Self::Alter(at, how) => match how % 4 {
                0 => frames[at % len].leaf[0] ^= 1 | how,
                1 => frames[at % len].chain[0] ^= 1 | how,
                2 => frames[at % len].soundness = Soundness::Altered,
                _ => frames[at % len].soundness = Soundness::Torn,
            },
            Self::Renumber(at, offset) => frames[at % len].offset = offset,
            Self::Replace(at, offset, torn) => {
                let soundness = if torn { Soundness::Torn } else { Soundness::Whole };
                frames[at % len] = Found { offset, leaf: [1; 32], chain: [2; 32], soundness };
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_done_to_frames_is_noticed(hurts in prop::collection::vec(any_hurt(), 1..5)) {
        let (whole, head) = sealed(12);
        let mut frames = whole.clone();
        hurts.iter().for_each(|hurt| hurt.apply(&mut frames));
        let proof = proof(head, &frames);
        prop_assert_eq!(proof.breaks.len() as u64, proof.break_count);
        prop_assert!(proof.breaks.is_sorted_by_key(|broken| broken.offset));
        let same = |one: &Found, other: &Found| {
            (one.offset, one.leaf, one.chain, one.soundness) == (other.offset, other.leaf, other.chain, other.soundness)
        };
        // What is believed of the frames found is either all of them in order, or something is broken.
        let believed: Vec<_> = frames
            .iter()
            .filter(|found| found.offset <= head.offset && found.soundness != Soundness::Torn)
            .collect();
        let is_whole = believed.len() == whole.len() && believed.iter().zip(&whole).all(|(one, other)| same(one, other));
        prop_assert_eq!(proof.is_whole(), is_whole, "{:?}", proof.breaks);
    }
}
