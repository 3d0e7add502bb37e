//! Sealed segments (step 6): missing, swapped or damaged, with and without a shelf to refill them from.

use std::fs;
use std::path::Path;

use super::scene::{Scene, assert_refused, flip, group_starts, hurt};
use crate::program::{Client, Data, Program};

/// The sealed segment that is hurt: neither the first nor the last.
const HURT: usize = 2;

/// A way to hurt a segment's file, and what a refusal says of it.
type Hurt = (&'static str, fn(&Path), &'static str);

const HURTS: [Hurt; 6] = [
    ("missing", |path| fs::remove_file(path).unwrap(), "missing"),
    ("emptied", |path| fs::write(path, b"").unwrap(), "empty"),
    ("header flipped", |path| hurt(path, |bytes| flip(&mut bytes[..70])), "byte "),
    ("group flipped", |path| hurt(path, |bytes| flip_first_group(bytes)), "byte 4096"),
    ("zeroed", |path| hurt(path, |bytes| bytes.fill(0)), "byte "),
    ("cut in two", |path| hurt(path, |bytes| bytes.truncate(group_starts(bytes)[1] + 7)), "byte "),
];

fn flip_first_group(bytes: &mut [u8]) {
    let starts = group_starts(bytes);
    flip(&mut bytes[starts[0]..starts[1]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_segment_that_is_hurt_is_refilled_from_the_shelf() {
    let scene = Scene::shared().await;
    for (name, how, _) in HURTS {
        println!("{name}");
        let data = scene.copy();
        let path = &data.segments()[HURT - 1];
        let original = fs::read(path).unwrap();
        how(path);
        scene.nothing_is_lost(&data).await.assert_repaired(&format!("segment {HURT}: "));
        assert_eq!(fs::read(path).unwrap(), original, "byte by byte");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_shelf_a_sealed_segment_that_is_hurt_stops_the_start_by_name() {
    let scene = Scene::shared().await;
    for (name, how, why) in HURTS {
        println!("{name}");
        let data = scene.without_shelf();
        let path = data.segments()[HURT - 1].clone();
        how(&path);
        let before = all_bytes(&data);
        // A header alone can be written anew: its neighbours say what stood there.
        if name == "header flipped" {
            scene.nothing_is_lost(&data).await.assert_repaired("header or seal was written anew");
            continue;
        }
        assert_refused(&data, &[&format!("segment {HURT} "), why, "group "]);
        assert_eq!(all_bytes(&data), before, "a refused start changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_segments_are_put_right_or_refused() {
    let scene = Scene::shared().await;
    let swap = |data: &Data| {
        let (one, other) = (&data.segments()[HURT - 1], &data.segments()[HURT]);
        let bytes = fs::read(one).unwrap();
        fs::rename(other, one).unwrap();
        fs::write(other, bytes).unwrap();
    };
    let data = scene.copy();
    swap(&data);
    scene.nothing_is_lost(&data).await.assert_repaired("refilled from the shelf");
    let data = scene.without_shelf();
    swap(&data);
    assert_refused(&data, &[&format!("segment {HURT} "), "byte ", "group "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_another_store_is_never_taken_for_one_of_ours() {
    let scene = Scene::shared().await;
    let data = scene.without_shelf();
    fs::write(&data.segments()[HURT - 1], foreign_segment().await).unwrap();
    assert_refused(&data, &[&format!("segment {HURT} "), "byte ", "group "]);
}

/// The second segment of another data directory.
async fn foreign_segment() -> Vec<u8> {
    let other = Data::new();
    let program = Program::start(other.path());
    let account = Client::stranger(&program.url).bootstrap().await;
    program.kill();
    let program = Program::start(other.path());
    Client::of(&program.url, &account).crew("foreign").await;
    program.stop();
    fs::read(&other.used_segments()[HURT - 1]).unwrap()
}

/// Every segment's bytes.
fn all_bytes(data: &Data) -> Vec<Vec<u8>> {
    data.segments().iter().map(|path| fs::read(path).unwrap()).collect()
}
