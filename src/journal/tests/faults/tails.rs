//! The last group, torn, cut or followed by what does not belong there.

use std::fs;

use crate::place::{Place, append, group_starts};
use taffrail_journal::{Frame, Journal, LogId, segment};

/// What is acknowledged before the last group, and what with it.
async fn two_groups_and_a_last_one(place: &Place) -> (Vec<Frame>, Vec<Frame>) {
    let before = place.fill(2).await;
    let (journal, _) = place.open().unwrap();
    append(&journal, LogId(1), 2).await.unwrap();
    drop(journal);
    // The third group stands alone in the active segment; two more fill it up.
    let (journal, all) = place.copy().open().unwrap();
    drop(journal);
    (before, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_group_torn_or_cut_at_any_byte_goes_and_nothing_else() {
    let place = Place::new();
    let (before, all) = two_groups_and_a_last_one(&place).await;
    let active = place.used_segments().len() - 1;
    let bytes = fs::read(&place.used_segments()[active]).unwrap();
    let starts = group_starts(&bytes);
    let (start, end) = (starts[starts.len() - 2], starts[starts.len() - 1]);
    for at in start..=end {
        let kept = if at == end { &all } else { &before };
        let torn = place.copy();
        let mut content = bytes.clone();
        content[at..].fill(0);
        fs::write(&torn.segments()[active], &content).unwrap();
        torn.expect(kept).await;
        if at % 16 == 0 || at == end {
            let cut = place.copy();
            fs::write(&cut.segments()[active], &bytes[..at]).unwrap();
            let journal = cut.expect(kept).await;
            let repairs = journal.health().repairs;
            assert!(!repairs.is_empty(), "a file shorter than it was prepared is told of, at byte {at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_its_header_is_damaged_once_the_next_one_is_prepared() {
    let place = Place::new();
    let (before, _) = two_groups_and_a_last_one(&place).await;
    let active = place.used_segments().len() - 1;
    let bytes = fs::read(&place.segments()[active]).unwrap();
    let prepared = format!("segments/{:012}.segment", active + 2);
    let zeroed = vec![0; bytes.len()];
    for hurt in [&bytes[..0], &bytes[..1], &bytes[..77], &bytes[..4095], &zeroed] {
        for next_is_prepared in [true, false] {
            let place = place.copy();
            let prepared = place.data.path().join(&prepared);
            fs::write(&place.segments()[active], hurt).unwrap();
            if next_is_prepared {
                fs::write(prepared, vec![0; 8 << 10]).unwrap();
                let why = place.expect_refusal(active as u64 + 1);
                assert!(why.contains("its header was durable"), "{why}");
                assert!(segment::verify(place.data.path()).is_err());
            } else {
                drop(fs::remove_file(prepared));
                place.expect(&before).await;
            }
        }
    }
    // Its header is whole: only the first group was torn.
    fs::write(&place.segments()[active], &bytes[..4096]).unwrap();
    fs::write(place.data.path().join(prepared), vec![0; 8 << 10]).unwrap();
    place.expect(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_bytes_behind_the_last_group_are_no_group() {
    let place = Place::new();
    let acknowledged = place.fill(3).await;
    let segments = place.used_segments();
    let bytes = fs::read(&segments[0]).unwrap();
    let starts = group_starts(&bytes);
    let end = starts[starts.len() - 1];
    let first_group = bytes[starts[0]..starts[1]].to_vec();
    for stale in
        [b"TFGR".to_vec(), vec![0xff; 300], first_group.clone(), [&[7; 5][..], &first_group].concat()]
    {
        let place = place.copy();
        let mut content = bytes.clone();
        content[end..end + stale.len()].copy_from_slice(&stale);
        fs::write(&place.segments()[0], content).unwrap();
        place.expect(&acknowledged).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_seal_is_written_anew() {
    let place = Place::new();
    let acknowledged = place.fill_and_drain(3).await;
    let path = &place.used_segments()[0];
    let bytes = fs::read(path).unwrap();
    let end = *group_starts(&bytes).last().unwrap();
    for at in end..bytes.len() {
        let torn = place.copy();
        fs::write(&torn.segments()[0], &bytes[..at]).unwrap();
        torn.expect(&acknowledged).await;
    }
    // A crash before the rest was cut off leaves zeros behind the seal.
    let padded = place.copy();
    fs::write(&padded.segments()[0], [&bytes[..], &[0; 999]].concat()).unwrap();
    padded.expect(&acknowledged).await;
}
