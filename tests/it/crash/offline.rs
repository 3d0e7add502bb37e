//! What a killed process left on the disk, looked at without it.

use std::collections::{HashMap, HashSet};

use taffrail_domain::checkpoint::CheckpointEvent;
use taffrail_domain::mission::MissionEvent;
use taffrail_domain::{Entry, EntryId, Event, LogTag, Offset};
use taffrail_journal::{Frame, LogId};

use super::hand::Hand;
use crate::program::{Data, Folded, decoded, is_public};

/// Proves a copy of a data directory: chains, dense offsets, whole batches, every acknowledged write, and
/// that snapshots, shelf and replay tell of the same worlds. Gives the ids of the public entries.
pub(super) async fn prove(data: &Data, hands: &[Hand]) -> Vec<String> {
    let copy = data.copy();
    let verified = copy.verify();
    let opened = Folded::opened(&copy).await;
    copy.remove("shelf");
    copy.remove("snapshots");
    let frames = copy.frames();
    let folded = Folded::of(&frames);
    assert!(folded == opened, "what was opened differs from its rebuild");
    for (log, position) in &verified.heads {
        assert_eq!(folded.head(LogTag(log.0)), Offset(position.offset), "log {log}");
    }
    assert_eq!(copy.verify().heads, verified.heads, "opening moved a head");

    assert_batches_are_whole(&frames);
    for hand in hands {
        assert_acknowledged(&frames, &hand.cursors);
    }
    let public = frames.iter().filter(|frame| is_public(frame));
    public
        .map(|frame| EntryId::new(LogTag(frame.header.log.0), Offset(frame.header.offset)).to_string())
        .collect()
}

/// The frames of one request stand together; a fork's are all there, in their order.
fn assert_batches_are_whole(frames: &[Frame]) {
    let mut by_log: HashMap<LogId, Vec<&Frame>> = HashMap::new();
    for frame in frames {
        by_log.entry(frame.header.log).or_default().push(frame);
    }
    for frames in by_log.values() {
        let mut seen = HashSet::new();
        for batch in frames
            .chunk_by(|one, next| one.header.request.is_some() && one.header.request == next.header.request)
        {
            let Some(request) = batch[0].header.request else { continue };
            assert!(
                seen.insert(request.id),
                "two batches of one request, the second at {:?}",
                batch[0].header
            );
            let entries: Vec<Entry> = batch.iter().map(|frame| decoded(frame)).collect();
            assert_fork_is_whole(&entries);
        }
    }
}

fn assert_fork_is_whole(batch: &[Entry]) {
    let sorts: Vec<char> = batch
        .iter()
        .map(|entry| match &entry.event {
            Some(Event::Mission(MissionEvent::MissionCreated(created))) if created.fork_of.is_some() => 'm',
            Some(Event::Mission(MissionEvent::TaskCreated(_))) => 't',
            Some(Event::Checkpoint(CheckpointEvent::CheckpointCreated(created)))
                if created.fork_of.is_some() =>
            {
                'c'
            }
            Some(Event::Checkpoint(CheckpointEvent::Forked(_))) => 'f',
            _ => '-',
        })
        .collect();
    if sorts.iter().any(|sort| "mcf".contains(*sort)) {
        let between = &sorts[1..sorts.len() - 2];
        let is_whole =
            sorts[0] == 'm' && between.iter().all(|sort| *sort == 't') && sorts.ends_with(&['c', 'f']);
        assert!(is_whole, "half a fork: {sorts:?}");
    }
}

/// Every cursor names the last entry of a batch that a named request made.
fn assert_acknowledged(frames: &[Frame], cursors: &[String]) {
    let requests: HashMap<(LogTag, Offset), _> = frames
        .iter()
        .map(|frame| ((LogTag(frame.header.log.0), Offset(frame.header.offset)), frame.header.request))
        .collect();
    let mut seen = HashSet::new();
    for cursor in cursors {
        let EntryId { log, offset } = EntryId::parse(cursor).unwrap();
        let request = requests.get(&(log, offset)).unwrap_or_else(|| panic!("{cursor} is gone")).unwrap();
        assert!(seen.insert(request.id), "{cursor}");
        let behind = requests.get(&(log, offset.plus(1))).copied().flatten();
        assert_ne!(behind, Some(request), "{cursor} is not the end of its batch");
    }
}
