//! The last segment (steps 7 and 8): torn and cut, damaged and restored, damaged and refused.

use std::fs;
use std::ops::Range;

use super::scene::{Scene, assert_refused, flip, group_starts, hurt};
use crate::program::Data;

/// A way to hurt the last group, whose bytes stand at `range`.
type Hurt = fn(&mut Vec<u8>, Range<usize>);

const HURTS: [(&str, Hurt); 4] = [
    ("cut off", |bytes, group| bytes.truncate(group.start + group.len() / 2)),
    ("garbage", |bytes, group| bytes[group.start + group.len() / 2..].fill(0xa5)),
    ("zeroed in the middle", |bytes, group| {
        let third = group.len() / 3;
        bytes[group.start + third..group.end - third].fill(0);
    }),
    ("one bit", |bytes, group| flip(&mut bytes[group])),
];

/// The last segment that holds something, and where its groups begin.
fn last_segment(data: &Data) -> (std::path::PathBuf, Vec<usize>) {
    let path = data.used_segments().pop().unwrap();
    let starts = group_starts(&fs::read(&path).unwrap());
    (path, starts)
}

fn last_group(starts: &[usize]) -> Range<usize> {
    starts[starts.len() - 2]..starts[starts.len() - 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_group_that_nobody_else_holds_is_cut_like_a_torn_one() {
    let scene = Scene::shared().await;
    let whole = scene.with_an_unshelved_group().await;
    for (name, how) in HURTS {
        let data = whole.copy();
        let (path, starts) = last_segment(&data);
        assert_eq!(starts.len(), 2, "one group stands alone there");
        hurt(&path, |bytes| how(bytes, last_group(&starts)));
        println!("{name}");
        // The scene is from before that group.
        scene.nothing_is_lost(&data).await.assert_repaired("a torn group was cut at byte 4096");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_segment_that_is_missing_stops_the_start_once_the_next_one_is_prepared() {
    let scene = Scene::shared().await;
    let data = scene.with_an_unshelved_group().await;
    let (path, _) = last_segment(&data);
    let number = data.used_segments().len();
    fs::remove_file(path).unwrap();
    assert_refused(&data, &[&format!("segment {number} "), "byte 0", "it must have been there"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_last_group_is_restored_from_the_shelf() {
    let scene = Scene::shared().await;
    for (name, how) in HURTS {
        let data = scene.copy();
        let (path, starts) = last_segment(&data);
        hurt(&path, |bytes| {
            // As a killed process leaves it, without a seal.
            bytes.truncate(*starts.last().unwrap());
            how(bytes, last_group(&starts));
        });
        println!("{name}");
        scene.nothing_is_lost(&data).await.assert_repaired("refilled from the shelf");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_last_segment_with_a_whole_group_behind_it_is_repaired_or_refused() {
    let scene = Scene::shared().await;
    for (name, how) in HURTS.into_iter().filter(|(name, _)| !["cut off", "garbage"].contains(name)) {
        println!("{name}");
        let hurt_second = |data: &Data| {
            let (path, starts) = last_segment(data);
            hurt(&path, |bytes| how(bytes, starts[1]..starts[2]));
            (path, starts)
        };
        let data = scene.copy();
        hurt_second(&data);
        scene.nothing_is_lost(&data).await.assert_repaired("refilled from the shelf");
        let data = scene.without_shelf();
        let (path, starts) = hurt_second(&data);
        let before = fs::read(&path).unwrap();
        let segment = format!("segment {} ", data.used_segments().len());
        assert_refused(&data, &[&segment, &format!("byte {}", starts[1]), "group "]);
        assert_eq!(fs::read(&path).unwrap(), before, "a refused start changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_behind_the_last_group_is_no_group() {
    let scene = Scene::shared().await;
    for data in [scene.copy(), scene.without_shelf()] {
        let (path, starts) = last_segment(&data);
        hurt(&path, |bytes| {
            // In the place of the seal.
            bytes.truncate(*starts.last().unwrap());
            bytes.extend([0x5a; 5_000]);
        });
        scene.nothing_is_lost(&data).await;
    }
}
