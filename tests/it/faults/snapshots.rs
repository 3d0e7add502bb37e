//! Snapshots are never believed: whatever is wrong with them, the journal is folded instead.

use std::fs;
use std::path::Path;

use super::scene::{Scene, assert_refused, flip, hurt};
use crate::program::{Client, Data, Folded, Program};

/// A way to hurt a file.
type Hurt = fn(&Path);

/// A copy with the snapshots of a drain.
fn drained(scene: &Scene) -> Data {
    let data = scene.copy();
    assert_eq!(Program::start(data.path()).stop().code, Some(0));
    assert_eq!(data.snapshots().len(), 2, "instance and workspace");
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_hurt_is_ignored_and_said() {
    let scene = Scene::shared().await;
    let whole = drained(scene);
    let hurts: [(&str, Hurt); 4] = [
        ("emptied", |path| hurt(path, Vec::clear)),
        ("cut in two", |path| hurt(path, |bytes| bytes.truncate(bytes.len() / 2))),
        ("one bit", |path| hurt(path, |bytes| flip(bytes))),
        ("another build's", |path| hurt(path, |bytes| bytes[8] ^= 1)),
    ];
    for (name, how) in hurts {
        println!("{name}");
        let data = whole.copy();
        data.snapshots().iter().for_each(|path| how(path));
        let found = scene.nothing_is_lost(&data).await;
        assert_eq!(found.log().matches("a snapshot is ignored").count(), 2, "{}", found.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_store_is_ignored() {
    let scene = Scene::shared().await;
    let data = drained(scene);
    let other = Data::new();
    let program = Program::start(other.path());
    Client::stranger(&program.url).bootstrap().await;
    program.stop();
    take_snapshots(&data, &other);
    let found = scene.nothing_is_lost(&data).await;
    assert!(found.log().contains("they belong to another store"), "{}", found.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_beyond_the_end_says_that_entries_are_gone() {
    let scene = Scene::shared().await;
    let older = drained(scene);
    // The same logs, one entry further than the older directory.
    let newer = older.copy();
    scene.nothing_is_lost(&newer).await;
    take_snapshots(&older, &newer);
    assert_refused(&older, &["a snapshot of log", "the journal ends at", "without the folder `snapshots`"]);
    older.remove("snapshots");
    scene.nothing_is_lost(&older).await;
}

/// Puts the snapshots of one data directory in the place of another's.
fn take_snapshots(to: &Data, from: &Data) {
    for path in to.snapshots() {
        fs::remove_file(path).unwrap();
    }
    for path in from.snapshots() {
        fs::copy(&path, to.join("snapshots").join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_snapshots_and_without_them_the_world_is_the_same() {
    let scene = Scene::shared().await;
    let with = drained(scene);
    let without = with.copy();
    without.remove("snapshots");
    without.remove("shelf");
    let rebuilt = Folded::of(&without.frames());
    assert!(Folded::opened(&with).await == rebuilt);
    assert!(Folded::opened(&without).await == rebuilt);
}
