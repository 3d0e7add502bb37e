//! No byte of a frame can change without a proof saying so, and of no other log.

use std::fs;

use crate::place::{LOGS, append};
use crate::proof::Scene;
use crate::surgery::{frames, frames_of, poke, regroup};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use taffrail_journal::{BreakKind, LogId, Proof};

/// Every so many bytes of each frame are flipped: all of them take minutes.
const STEP: usize = 23;

fn expect_one_break(proof: &Proof, offset: u64, what: &str) {
    assert_eq!(proof.break_count, 1, "{what}: {:?}", proof.breaks);
    assert_eq!(proof.breaks[0].offset, offset, "{what}: {:?}", proof.breaks);
    assert!(matches!(proof.breaks[0].kind, BreakKind::Content | BreakKind::Gap), "{:?}", proof.breaks);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_byte_of_any_frame_is_one_break_of_its_log_while_appends_go_on() {
    let scene = Scene::new().await;
    let segments = [1, 2, scene.used_segments()].map(|number| scene.segment(number));
    let contents = segments.each_ref().map(|path| fs::read(path).unwrap());
    for (path, bytes) in segments.iter().zip(contents) {
        let placed = frames(&bytes);
        let all = placed.iter().flat_map(|placed| placed.bytes.clone().map(move |at| (at, placed)));
        for (at, placed) in all.step_by(STEP) {
            let (bit, log) = (at % 8, placed.log.0);
            poke(path, at, bytes[at] ^ (1 << bit));
            let what = format!("byte {} of {placed:?}, bit {bit}", at - placed.bytes.start);
            let (proof, other, mine, foreign) = tokio::join!(
                scene.prove(log, false),
                scene.prove(log % LOGS as u32 + 1, false),
                append(&scene.journal, placed.log, 1),
                append(&scene.journal, LogId(9), 1)
            );
            mine.and(foreign).unwrap();
            expect_one_break(&proof, placed.offset, &what);
            assert!(other.is_whole(), "{what}");
            poke(path, at, bytes[at]);
        }
    }
    for log in [1, 2, 3, 9] {
        assert!(scene.prove(log, false).await.is_whole());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_group_that_logs_share_each_bit_is_a_break_of_its_own_log_only() {
    let scene = Scene::new().await;
    let path = scene.segment(2);
    let apart = fs::read(&path).unwrap();
    let together = frames(&apart).iter().map(|placed| &apart[placed.bytes.clone()]).collect();
    regroup(&path, &scene.journal.store_id(), &[together]);
    for log in 1..=LOGS as u32 {
        assert!(scene.prove(log, false).await.is_whole());
    }
    let shared = fs::read(&path).unwrap();
    let hurt = &frames_of(&shared, LogId(2))[3];
    for at in hurt.bytes.clone() {
        for bit in 0..8 {
            poke(&path, at, shared[at] ^ (1 << bit));
            let what = format!("byte {} of {hurt:?}, bit {bit}", at - hurt.bytes.start);
            expect_one_break(&scene.prove(2, false).await, hurt.offset, &what);
            for other in [1, 3] {
                assert!(scene.prove(other, false).await.is_whole(), "{what}, log {other}");
            }
        }
        poke(&path, at, shared[at]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_are_too_strange_to_be_walked_over() {
    let scene = Scene::new().await;
    let path = scene.segment(2);
    let whole = fs::read(&path).unwrap();
    let placed = frames(&whole);
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..400 {
        let mut bytes = whole.clone();
        let mut hurt = [false; LOGS as usize + 1];
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(4096..bytes.len() - 64);
            let len = random.random_range(1..64);
            match random.random_range(0..3) {
                0 => random.fill_bytes(&mut bytes[at..at + len]),
                1 => bytes[at..at + len].fill(0),
                _ => bytes.copy_within(4096..4096 + len, at),
            }
        }
        for placed in &placed {
            hurt[placed.log.0 as usize] |= bytes[placed.bytes.clone()] != whole[placed.bytes.clone()];
        }
        fs::write(&path, &bytes).unwrap();
        for log in 1..=LOGS as u32 {
            let proof = scene.prove(log, false).await;
            assert!(!hurt[log as usize] || !proof.is_whole(), "round {round}, log {log}");
        }
        // The same frames in one group that says it is whole.
        let frames = placed.iter().map(|placed| &bytes[placed.bytes.clone()]).collect();
        fs::write(&path, &whole).unwrap();
        regroup(&path, &scene.journal.store_id(), &[frames]);
        for log in 1..=LOGS as u32 {
            let proof = scene.prove(log, false).await;
            assert_eq!(hurt[log as usize], !proof.is_whole(), "round {round}, log {log}: {:?}", proof.breaks);
        }
    }
    fs::write(&path, &whole).unwrap();
    assert!(scene.prove(1, false).await.is_whole());
}
