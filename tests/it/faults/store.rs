//! Who may open a data directory: one process, of this format or a newer program.

use std::fs;

use super::scene::{Scene, assert_refused, hurt};
use crate::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_format_is_refused_by_name() {
    let scene = Scene::shared().await;
    let data = scene.copy();
    let store = fs::read_to_string(data.join("store")).unwrap();
    let newer = store.replacen("taffrail-journal 1", "taffrail-journal 2", 1);
    assert_ne!(newer, store);
    fs::write(data.join("store"), newer).unwrap();
    assert_refused(&data, &["store format 2 is newer than this program knows (1)"]);
    fs::write(data.join("store"), store).unwrap();
    scene.nothing_is_lost(&data).await.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_a_newer_format_is_refused_by_name() {
    let scene = Scene::shared().await;
    let data = scene.copy();
    // Magic, format, store, number, first group, digest; then the checksum of all that.
    const FIELDS: usize = 8 + 2 + 16 + 8 + 8 + 32;
    hurt(data.used_segments().last().unwrap(), |bytes| {
        bytes[9] += 1;
        let checksum = crc32c::crc32c(&bytes[..FIELDS]).to_be_bytes();
        bytes[FIELDS..FIELDS + 4].copy_from_slice(&checksum);
    });
    assert_refused(&data, &["segment format 2 is newer than this program knows (1)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_its_name_is_not_given_a_new_one() {
    let scene = Scene::shared().await;
    let data = scene.copy();
    fs::remove_file(data.join("store")).unwrap();
    assert_refused(&data, &["`store` is missing although segment 1 exists"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_data_directory_refuses_and_the_first_goes_on() {
    let scene = Scene::shared().await;
    let data = scene.copy();
    let first = Program::start(data.path());
    assert_refused(&data, &["in use by another process"]);
    first.kill();
    scene.nothing_is_lost(&data).await.assert_untouched();
}
