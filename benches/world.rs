//! Question: what does a published world cost its one writer, beside a world behind a lock?
//!
//! A published world is cloned after every batch while readers hold the old one, so the next write
//! copies the nodes it touches. A locked one is changed in place, and readers wait. Guess: publishing
//! costs a few microseconds a batch, far below a sync, and readers never wait.
//!
//! `cargo bench --bench world` — CPU per entry over 200,000 entries; the ratio is published over locked.

mod kit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use taffrail_domain::{Entry, LogTag, Time};
use taffrail_projections::{WorkspaceWorld, World};

const LOG: LogTag = LogTag(1);

fn main() {
    let entries = entries(200_000);
    println!("{:>14} {:>18} {:>22} {:>7}", "batch", "behind a lock", "published each batch", "ratio");
    for batch in [1, 8, 64] {
        let mut rounds: Vec<(Duration, Duration)> =
            (0..5).map(|_| (in_place(&entries, batch), published(&entries, batch))).collect();
        rounds.sort();
        let (locked, published) = rounds[rounds.len() / 2];
        let each = |total: Duration| total.as_nanos() as f64 / entries.len() as f64 / 1_000.0;
        println!(
            "{batch:>14} {:>15.2} us {:>19.2} us {:>7.2}",
            each(locked),
            each(published),
            each(published) / each(locked)
        );
    }
}

fn entries(count: usize) -> Vec<Entry> {
    let (mut shop, mut batches) = kit::Workshop::open(LOG, &"ws".into(), &"cmi4q0x2a0000000000000001".into());
    while shop.world.head().0 < count as u64 {
        batches.extend(shop.mission().1);
    }
    let mut world = WorkspaceWorld::empty(LOG);
    let actor = shop.actor.clone();
    let drafts = batches.into_iter().flatten();
    drafts
        .map(|draft| {
            let offset = world.head().plus(1);
            let entry = draft.at(offset, Time(1_760_000_000_000 + offset.0), actor.clone());
            world.apply(&entry);
            entry
        })
        .collect()
}

fn in_place(entries: &[Entry], batch: usize) -> Duration {
    let world = std::sync::RwLock::new(WorkspaceWorld::empty(LOG));
    let started = Instant::now();
    for batch in entries.chunks(batch) {
        let mut world = world.write().expect("nobody panics");
        batch.iter().for_each(|entry| world.apply(entry));
    }
    started.elapsed()
}

/// The readers' world is the one before, until the next is there.
fn published(entries: &[Entry], batch: usize) -> Duration {
    let mut ahead = WorkspaceWorld::empty(LOG);
    let mut readers = Arc::new(ahead.clone());
    let started = Instant::now();
    for batch in entries.chunks(batch) {
        batch.iter().for_each(|entry| ahead.apply(entry));
        readers = Arc::new(ahead.clone());
    }
    let elapsed = started.elapsed();
    drop(readers);
    elapsed
}
