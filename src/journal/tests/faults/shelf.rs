//! What the shelf gives back, and what becomes of a shelf that is hurt.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::place::{Place, append, assert_same, fill, flip, group_starts, overwrite, unsealed};
use taffrail_journal::segment::{self, OpenError};
use taffrail_journal::{Frame, Journal, LogId, SegmentJournal};

fn positions(place: &Place) -> std::collections::HashMap<LogId, taffrail_journal::Position> {
    segment::verify(place.data.path()).unwrap().heads.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_lost_of_segments_comes_back_byte_by_byte() {
    let place = Place::with_shelf();
    let acknowledged = place.fill_and_drain(40).await;
    let originals: Vec<_> = place.used_segments().iter().map(|path| fs::read(path).unwrap()).collect();
    for (n, original) in originals.iter().enumerate() {
        let starts = group_starts(original);
        let hurts: [&dyn Fn(&Path); 5] = [
            &|path| fs::remove_file(path).unwrap(),
            &|path| fs::write(path, b"").unwrap(),
            &|path| overwrite(path, 0, &[0xff; 5000]),
            &|path| overwrite(path, starts[0] + 30, &[1; 4]),
            &|path| fs::write(path, &original[..starts[starts.len() - 2] + 9]).unwrap(),
        ];
        for hurt in hurts {
            let hurt_place = place.copy();
            hurt(&hurt_place.segments()[n]);
            let (journal, found) = hurt_place.open().unwrap();
            assert_same(&found, &acknowledged);
            assert!(journal.health().repairs.iter().any(|repair| repair.contains("refilled from the shelf")));
            assert_eq!(&fs::read(&hurt_place.segments()[n]).unwrap(), original);
        }
    }
    let swapped = place.copy();
    let (first, second) = (swapped.segments()[0].clone(), swapped.segments()[1].clone());
    fs::write(&first, &originals[1]).unwrap();
    fs::write(&second, &originals[0]).unwrap();
    swapped.expect(&acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_last_group_that_was_shelved_is_restored() {
    let place = Place::with_shelf();
    let (journal, _) = place.open().unwrap();
    fill(&journal, 5).await;
    wait_until_shelved(&journal).await;
    drop(journal);
    let (_, acknowledged) = place.copy().open().unwrap();
    let path = &place.used_segments()[0];
    let starts = group_starts(&fs::read(path).unwrap());
    let last = starts[starts.len() - 2];
    for at in [last, last + 10, last + 60] {
        let hurt = place.copy();
        overwrite(&hurt.segments()[0], at, &[0xee; 9]);
        let journal = hurt.expect(&acknowledged).await;
        assert!(journal.health().repairs.iter().any(|repair| repair.contains("refilled")));
    }
}

/// Waits until the shelf has everything.
async fn wait_until_shelved(journal: &SegmentJournal) {
    while journal.health().shelver_lag_groups > 0 {
        tokio::task::yield_now().await;
    }
}

fn shelf_files(place: &Place) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![place.shelf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Opens, finds everything in every way, and ends with a whole shelf again.
async fn nothing_is_lost(place: &Place, acknowledged: &[Frame]) {
    let journal = place.expect(acknowledged).await;
    for log in journal.logs().await.unwrap() {
        let wanted: Vec<_> = acknowledged.iter().filter(|frame| frame.header.log == log).cloned().collect();
        assert_same(&journal.read(log, 0, wanted.len() as u32).await.unwrap(), &wanted);
    }
    assert_eq!(journal.health().shelf_abandoned, None);
    assert!(journal.drain(Duration::from_secs(60)).shelved);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shelf_emptied_truncated_or_flipped_is_rebuilt() {
    let place = Place::with_shelf();
    let acknowledged = place.fill_and_drain(40).await;
    let emptied = place.copy();
    fs::remove_dir_all(emptied.shelf()).unwrap();
    nothing_is_lost(&emptied, &acknowledged).await;
    for file in 0..shelf_files(&place).len() {
        let truncated = place.copy();
        let path = &shelf_files(&truncated)[file];
        let len = fs::metadata(path).unwrap().len();
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len / 2).unwrap();
        nothing_is_lost(&truncated, &acknowledged).await;
        for part in [0, 1, 3] {
            let flipped = place.copy();
            let path = &shelf_files(&flipped)[file];
            let bytes = fs::read(path).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            if !bytes.is_empty() {
                flip(path, used * part / 4, 2);
            }
            nothing_is_lost(&flipped, &acknowledged).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shelf_of_another_journal_is_moved_aside() {
    let (place, other) = (Place::with_shelf(), Place::with_shelf());
    let acknowledged = place.fill_and_drain(10).await;
    other.fill_and_drain(12).await;
    fs::remove_dir_all(place.shelf()).unwrap();
    fs::rename(other.shelf(), place.shelf()).unwrap();
    nothing_is_lost(&place, &acknowledged).await;
    assert!(place.data.path().join("shelf.aside").is_dir());
}

fn shelf_bytes(place: &Place) -> Vec<Vec<u8>> {
    shelf_files(place).iter().map(|path| fs::read(path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_a_shelf_is_left_alone_and_used_again_at_the_next_start() {
    let mut place = Place::with_shelf();
    let acknowledged = place.fill_and_drain(40).await;
    let (before, free_bytes) = (shelf_bytes(&place), place.options.free_bytes.clone());
    let read_all = async |journal: &SegmentJournal| {
        let wanted: Vec<_> =
            acknowledged.iter().filter(|frame| frame.header.log == LogId(1)).cloned().collect();
        assert_same(&journal.read(LogId(1), 0, 1_000).await.unwrap(), &wanted);
    };
    for _ in 0..2 {
        place.options.free_bytes = Arc::new(|_: &Path| Ok((64 << 20) - 1));
        let (journal, found) = place.open().unwrap();
        assert_same(&found, &acknowledged);
        read_all(&journal).await;
        assert!(journal.health().shelf_abandoned.is_some_and(|why| why.contains("no room")));
        assert_eq!(append(&journal, LogId(1), 1).await, Err(taffrail_journal::AppendError::Full));
        drop(journal);
        assert_eq!(shelf_bytes(&place), before);
        assert!(!place.data.path().join("shelf.aside").exists());
    }
    // What may have been acknowledged is not cut unless the shelf can be asked.
    let torn = place.copy();
    let path = torn.used_segments().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let end = *group_starts(&bytes).last().unwrap();
    fs::write(&path, &bytes[..end - 1]).unwrap();
    let refused = torn.open().map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("ask the shelf"), "{refused}");
    place.options.free_bytes = free_bytes;
    let (journal, _) = place.open().unwrap();
    read_all(&journal).await;
    assert!(journal.health().repairs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_without_room_ends_at_once_and_the_next_start_shelves_the_rest() {
    let mut place = Place::with_shelf();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let asked = free.clone();
    place.options.free_bytes = Arc::new(move |_: &Path| Ok(asked.load(Ordering::SeqCst)));
    // Nothing is due before the drain.
    (place.options.shelve_bytes, place.options.shelve_after) = (usize::MAX, Duration::from_secs(3_600));
    for shelved_before in [true, false] {
        let (journal, _) = place.open().unwrap();
        if shelved_before {
            // Only the requests' run and the segment's end are left.
            free.store(0, Ordering::SeqCst);
        } else {
            fill(&journal, 6).await;
            free.store(0, Ordering::SeqCst);
        }
        let (started, deadline) = (std::time::Instant::now(), Duration::from_secs(30));
        let drained = journal.drain(deadline);
        assert!(started.elapsed() < deadline);
        assert_eq!(drained, segment::Drained { shelved: shelved_before, sealed: true });
        drop(journal);
        free.store(u64::MAX, Ordering::SeqCst);
    }
    place.options.shelve_after = Duration::from_millis(1);
    let (_, acknowledged) = place.open().unwrap();
    let (journal, _) = place.open().unwrap();
    assert!(journal.health().repairs.is_empty());
    drop(journal);
    nothing_is_lost(&place, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_make_no_blob_on_the_shelf() {
    const BODY_BYTES: usize = 2 << 20;
    let mut place = Place::with_shelf();
    (place.options.segment_bytes, place.options.requests_kept) = (16 << 20, 10);
    let (journal, _) = place.open().unwrap();
    for offset in 1..=50 {
        let body = vec![b'x'; BODY_BYTES].into();
        let frame = taffrail_journal::Unsealed { body, ..unsealed(LogId(1), offset, offset) };
        journal.append(LogId(1), offset - 1, vec![frame]).await.unwrap();
    }
    assert!(journal.drain(Duration::from_secs(60)).shelved);
    let blobs = fs::read_dir(place.shelf().join("blobs")).map_or(0, Iterator::count);
    assert_eq!(blobs, 0, "sled does not sync them");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_in_bytes_counts_from_nothing_once_the_shelf_has_caught_up() {
    let mut place = Place::with_shelf();
    place.fill_and_drain(40).await;
    fs::remove_dir_all(place.shelf()).unwrap();
    place.options.shelve_bytes = usize::MAX;
    let (journal, _) = place.open().unwrap();
    // The shelver may still be counting when the next group comes; not every time.
    let mut seen = Vec::new();
    for _ in 0..10 {
        wait_until_shelved(&journal).await;
        append(&journal, LogId(1), 1).await.unwrap();
        seen.push(journal.health().shelver_lag_bytes);
    }
    assert!(seen.iter().any(|bytes| (1..1_000).contains(bytes)), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_copy_that_was_put_aside_stays_until_its_replacement_has_caught_up() {
    let place = Place::with_shelf();
    let acknowledged = place.fill_and_drain(40).await;
    let (aside, filling) = (place.data.path().join("shelf.aside"), place.data.path().join("shelf.filling"));
    // As two starts leave it of which the first failed for a passing reason, and nothing caught up.
    fs::rename(place.shelf(), &aside).unwrap();
    fs::write(&filling, b"").unwrap();
    fs::create_dir(place.shelf()).unwrap();
    fs::write(place.data.path().join("shelf.abandoned"), b"").unwrap();
    let held = fs::read_dir(&aside).unwrap().count();
    assert!(held > 1);
    nothing_is_lost(&place, &acknowledged).await;
    assert_eq!(fs::read_dir(&aside).unwrap().count(), held);
    assert!(!filling.exists(), "it has caught up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_start_leaves_a_shelf_that_failed_where_it_is() {
    let place = Place::with_shelf();
    place.fill_and_drain(40).await;
    fs::write(place.data.path().join("shelf.abandoned"), b"").unwrap();
    let path = &place.used_segments()[1];
    flip(path, group_starts(&fs::read(path).unwrap())[0] + 50, 3);
    place.expect_refusal(2);
    assert!(place.shelf().exists() && !place.data.path().join("shelf.aside").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shelf_that_has_seen_more_than_the_segments_stops_the_start() {
    let place = Place::with_shelf();
    place.fill_and_drain(6).await;
    let older = place.copy();
    let (journal, _) = place.open().unwrap();
    append(&journal, LogId(1), 1).await.unwrap();
    wait_until_shelved(&journal).await;
    drop(journal);
    // The newest segment is gone, and nothing says that the shelf saw all of it.
    fs::remove_dir_all(older.shelf()).unwrap();
    fs::rename(place.shelf(), older.shelf()).unwrap();
    match older.open() {
        Err(OpenError::Damaged { segment, .. }) => assert_eq!(segment, 2),
        other => panic!("{:?}", other.map(|(_, frames)| frames.len())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_segment_that_nobody_needs_is_scrubbed_and_repaired_at_the_next_start() {
    let place = Place::with_shelf();
    let acknowledged = place.fill_and_drain(40).await;
    let from = positions(&place);
    let path = &place.used_segments()[0];
    let original = fs::read(path).unwrap();
    overwrite(path, group_starts(&original)[0] + 30, &[1; 4]);
    let (journal, frames) = place.open_from(&from).unwrap();
    assert!(frames.is_empty(), "snapshots cover everything");
    while journal.health().repairs.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(journal.health().repairs[0].contains("segment 1 is damaged"));
    drop(journal);
    let (_journal, _) = place.open_from(&from).unwrap();
    assert_eq!(fs::read(path).unwrap(), original);
    assert_eq!(segment::verify(place.data.path()).unwrap().heads.len(), 3);
    assert!(!acknowledged.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_requests_are_found_on_the_shelf() {
    let mut place = Place::with_shelf();
    (place.options.requests_kept, place.options.requests_max) = (3, 1_000);
    let acknowledged = place.fill_and_drain(30).await;
    place.fill_and_drain(30).await;
    let from = positions(&place);
    let (journal, _) = place.open_from(&from).unwrap();
    for frame in &acknowledged {
        let request = frame.header.request.unwrap();
        assert_eq!(journal.recorded_recently(frame.header.log, request.id), None, "nothing was scanned");
        let recorded = journal.recorded(frame.header.log, request.id).await.unwrap().unwrap();
        assert!((recorded.first..=recorded.last).contains(&frame.header.offset));
    }
    assert_eq!(journal.recorded(LogId(1), [9; 16]).await, Ok(None));
    drop(journal);
    // Without the shelf all segments are looked at, whatever the snapshots cover.
    place.options.shelf = false;
    let (journal, frames) = place.open_from(&from).unwrap();
    assert!(frames.is_empty(), "they cover everything");
    for frame in &acknowledged {
        let request = frame.header.request.unwrap();
        assert!(journal.recorded(frame.header.log, request.id).await.unwrap().is_some());
    }
    assert_eq!(journal.recorded(LogId(1), [9; 16]).await, Ok(None));
    drop(journal);
    // What memory cannot hold, nobody may act on.
    place.options.requests_max = 3;
    let (journal, _) = place.open_from(&from).unwrap();
    assert!(journal.recorded(LogId(1), [9; 16]).await.is_err());
}
