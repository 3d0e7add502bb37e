//! The shelf is a copy: emptied, truncated, flipped or foreign, it is made again and nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};

use super::scene::{Scene, flip, hurt};
use crate::program::Data;

/// A way to hurt a file.
type Hurt = fn(&Path);

/// The file that holds the shelf's records.
fn largest_file(data: &Data) -> PathBuf {
    let files = data.shelf_files();
    files.into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_shelf_is_filled_again() {
    let scene = Scene::shared().await;
    let data = scene.without_shelf();
    scene.nothing_is_lost(&data).await;
    assert!(fs::metadata(largest_file(&data)).unwrap().len() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hurt_shelf_is_moved_aside_and_rebuilt() {
    let scene = Scene::shared().await;
    let hurts: [(&str, Hurt); 4] = [
        ("cut in two", |path| hurt(path, |bytes| bytes.truncate(bytes.len() / 2))),
        ("cut to nothing", |path| hurt(path, Vec::clear)),
        ("zeroed", |path| hurt(path, |bytes| bytes.fill(0))),
        ("one bit of what it holds", |path| {
            hurt(path, |bytes| {
                let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
                flip(&mut bytes[..used]);
            })
        }),
    ];
    for (name, how) in hurts {
        println!("{name}");
        let data = scene.copy();
        how(&largest_file(&data));
        scene.nothing_is_lost(&data).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shelf_that_is_not_readable_at_all_is_said_in_health_and_log() {
    let scene = Scene::shared().await;
    let data = scene.copy();
    for path in data.shelf_files() {
        hurt(&path, |bytes| bytes.fill(0xff));
    }
    scene.nothing_is_lost(&data).await.assert_repaired("the shelf was moved aside and is being rebuilt");
    assert!(data.join("shelf.aside").is_dir(), "kept for whoever wants to know why");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shelf_left_alone_needs_no_repair() {
    let scene = Scene::shared().await;
    let found = scene.nothing_is_lost(&scene.copy()).await;
    found.assert_untouched();
}
