//! Damage that is no torn tail: repaired or refused by name, never cut.

use std::collections::HashMap;
use std::fs;

use crate::place::{Place, assert_same, by_place, flip, group_starts, overwrite};
use taffrail_journal::segment::{self, OpenError};
use taffrail_journal::{Frame, Journal, LogId, Position};

/// All acknowledged frames, or a refusal. `may_lose` are those of the last group.
fn all_or_refused(place: &Place, acknowledged: &[Frame], without_last: &[Frame]) -> bool {
    match place.open() {
        Ok((_, found)) if found.len() == acknowledged.len() => assert_same(&found, acknowledged),
        Ok((_, found)) => assert_same(&found, without_last),
        Err(OpenError::Damaged { .. }) => return true,
        Err(OpenError::Format(why)) => assert!(why.contains("newer"), "{why}"),
        Err(other) => panic!("{other}"),
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_flipped_anywhere_is_repaired_or_refused_but_never_lost() {
    let place = Place::new();
    let acknowledged = place.fill(14).await;
    let segments = place.used_segments();
    assert!(segments.len() >= 2, "the journal has rotated");
    let (last_bytes, before_last) = (fs::read(&segments[segments.len() - 1]).unwrap(), place.copy());
    let starts = group_starts(&last_bytes);
    assert!(starts.len() > 2, "the last group is not alone in its segment");
    let mut cut = last_bytes.clone();
    cut[starts[starts.len() - 2]..].fill(0);
    fs::write(&before_last.segments()[segments.len() - 1], cut).unwrap();
    let (_, without_last) = before_last.open().unwrap();
    assert!(without_last.len() < acknowledged.len());
    let mut refused = 0;
    for (n, path) in segments.iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // The header's block is zero behind its fields; groups are hurt at every third byte.
        for at in (0..80).chain((4096..used).step_by(3)) {
            let hurt = place.copy();
            flip(&hurt.segments()[n], at, (at % 8) as u8);
            refused += usize::from(all_or_refused(&hurt, &acknowledged, &without_last));
        }
    }
    assert!(refused > 100, "most damage cannot be repaired without a shelf: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_with_a_whole_group_behind_it_is_refused_by_name_and_changes_nothing() {
    let place = Place::new();
    place.fill(3).await;
    let path = &place.used_segments()[0];
    let bytes = fs::read(path).unwrap();
    let second = group_starts(&bytes)[1];
    overwrite(path, second + 40, &[0xaa; 8]);
    let hurt = fs::read(path).unwrap();
    for _ in 0..2 {
        match place.open() {
            Err(OpenError::Damaged { segment, byte, group, .. }) => {
                assert_eq!((segment, byte, group), (1, second as u64, 2));
            }
            other => panic!("{:?}", other.map(|(_, frames)| frames.len())),
        }
        assert_eq!(fs::read(path).unwrap(), hurt, "a refused start leaves everything as it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_segment_missing_swapped_or_foreign_is_refused_by_name() {
    let place = Place::new();
    place.fill(60).await;
    let count = place.used_segments().len();
    assert!(count >= 5);
    for missing in 0..count {
        let hurt = place.copy();
        fs::remove_file(&hurt.segments()[missing]).unwrap();
        hurt.expect_refusal(missing as u64 + 1);
    }
    let swapped = place.copy();
    let (second, third) = (swapped.segments()[1].clone(), swapped.segments()[2].clone());
    let bytes = fs::read(&second).unwrap();
    fs::copy(&third, &second).unwrap();
    fs::write(&third, bytes).unwrap();
    let why = swapped.expect_refusal(2);
    assert!(why.contains("segment 3"), "{why}");
    let foreign = Place::new();
    foreign.fill(60).await;
    fs::copy(&foreign.segments()[1], &place.segments()[1]).unwrap();
    let why = place.expect_refusal(2);
    assert!(why.contains("another store"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_header_or_seal_follows_from_its_neighbours() {
    let place = Place::new();
    let acknowledged = place.fill(60).await;
    let segments = place.used_segments();
    for (n, path) in segments.iter().enumerate() {
        let hurt = place.copy();
        overwrite(&hurt.segments()[n], 0, &[0; 78]);
        let journal = hurt.expect(&acknowledged).await;
        assert!(!journal.health().repairs.is_empty() || n == segments.len() - 1);
        let bytes = fs::read(path).unwrap();
        let end = *group_starts(&bytes).last().unwrap();
        if n + 1 < segments.len() {
            let hurt = place.copy();
            fs::write(&hurt.segments()[n], &bytes[..end]).unwrap();
            hurt.expect(&acknowledged).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_segment_is_refused_by_name() {
    let place = Place::new();
    place.fill(1).await;
    let path = &place.used_segments()[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[9] = 2;
    let checksum = crc32c::crc32c(&bytes[..74]).to_be_bytes();
    bytes[74..78].copy_from_slice(&checksum);
    fs::write(path, bytes).unwrap();
    let refused = place.open().map(|_| ()).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Format(why) if why.contains("segment format 2 is newer")),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_counts_from_zero_is_no_end_of_the_segment_before() {
    let place = Place::new();
    place.fill(60).await;
    let [.., last, _] = &place.used_segments()[..] else { panic!("it has rotated") };
    fs::write(last, b"").unwrap();
    let path = &place.used_segments()[place.used_segments().len() - 1];
    let store = fs::read_to_string(place.data.path().join("store")).unwrap();
    let id = store.lines().nth(1).unwrap();
    let id: Vec<u8> = (0..16).map(|n| u8::from_str_radix(&id[2 * n..2 * n + 2], 16).unwrap()).collect();
    let number: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let mut lead = [&b"TFGR"[..], &[0; 16]].concat();
    let checksum = crc32c::crc32c(&[&id[..], &number.to_be_bytes(), &lead].concat());
    lead.extend(checksum.to_be_bytes());
    overwrite(path, 0, &[0; 4096]);
    overwrite(path, 4096, &lead);
    place.expect_refusal(number - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_not_on_the_chain_is_named() {
    let place = Place::new();
    let acknowledged = place.fill(40).await;
    let (journal, _) = place.open().unwrap();
    let good = journal.position(LogId(1));
    drop(journal);
    for (offset, chain) in [(good.offset, [9; 32]), (2, good.chain)] {
        let from = HashMap::from([(LogId(1), Position { offset, chain })]);
        match place.open_from(&from) {
            Err(OpenError::SnapshotMismatch { logs }) => assert_eq!(logs, [LogId(1)]),
            other => panic!("{:?}", other.map(|(_, frames)| frames.len())),
        }
    }
    let from = HashMap::from([(LogId(1), Position { offset: good.offset + 1, chain: good.chain })]);
    match place.open_from(&from) {
        Err(OpenError::Damaged { why, .. }) => {
            let missing =
                format!("stands at offset {}, the journal ends at {}", good.offset + 1, good.offset);
            assert!(why.contains(&missing), "{why}");
        }
        other => panic!("{:?}", other.map(|(_, frames)| frames.len())),
    }
    let middle = by_place(&acknowledged)[&(LogId(1), 5)];
    let middle = Position { offset: 5, chain: middle.chain };
    let from = HashMap::from([(LogId(1), middle), (LogId(2), Position::default())]);
    let (_, found) = place.open_from(&from).unwrap();
    let beyond = |frame: &&Frame| frame.header.log != LogId(1) || frame.header.offset > 5;
    assert_same(&found, &acknowledged.iter().filter(beyond).cloned().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_names_the_first_break() {
    let place = Place::new();
    place.fill(60).await;
    assert!(segment::verify(place.data.path()).unwrap().torn.is_none());
    let path = &place.used_segments()[1];
    let second = group_starts(&fs::read(path).unwrap())[1];
    flip(path, second + 50, 3);
    match segment::verify(place.data.path()) {
        Err(segment::VerifyError::Broken { segment, byte, .. }) => {
            assert_eq!((segment, byte), (2, second as u64))
        }
        other => panic!("{other:?}"),
    }
}
