//! The scrub: in the background it proves the segments that nobody needed at the start.

use super::feed::Order;
use super::recover::read_ends;
use super::shared::Shared;
use super::walk::{self, Point};

/// Proves these segments one by one. What is damaged is noted for operators and for the next start,
/// which refills it from the shelf or refuses.
pub(crate) fn run(shared: &Shared, segments: &[u64]) {
    for segment in segments {
        if shared.feed.order() != Order::Work {
            return;
        }
        if let Err(why) = check(shared, *segment) {
            tracing::error!(segment, why, "a sealed segment is damaged");
            shared
                .note(format!("segment {segment} is damaged ({why}); the next start repairs it or refuses"));
            if let Err(error) = shared.folder.add_suspect(*segment) {
                tracing::error!(segment, %error, "the damage could not be noted for the next start");
            }
        }
    }
}

fn check(shared: &Shared, segment: u64) -> Result<(), String> {
    let mut point = Point::default();
    if segment > 1 {
        let before = read_ends(&shared.folder.segment(segment - 1), &shared.store, segment - 1);
        let (_, ends) = before
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("the seal of segment {} is not whole", segment - 1))?;
        point = Point { heads: ends.seal.heads(), group: ends.last_group, time_ms: ends.seal.last_time_ms };
    }
    let bytes = shared.index.load(segment)?;
    let checked = walk::check_sealed(&bytes, &shared.store, segment, &mut point, &mut |_, _| ());
    checked
        .map(drop)
        .map_err(|broken| format!("byte {}, group {}: {}", broken.byte, broken.group, broken.why))
}
