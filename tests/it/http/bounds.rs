//! What one request may hold of the journal, and of the runtime.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use super::server::{OnMission, Server};
use super::watched::Watched;

/// More than two pages of offsets, and not a multiple of one.
const CHANGES: usize = 300;
const PAGE_OFFSETS: usize = 128;

async fn retitle_often(mission: &OnMission<'_>) {
    for number in 0..CHANGES {
        mission.change(json!({ "title": format!("Title {number}") })).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_past_is_folded_page_by_page() {
    let journal = Watched::new();
    let server = Server::begin_on(&journal).await;
    let mission = server.mission("long").await;
    retitle_often(&mission).await;
    let entries = mission.journal().await;
    let last_but_one = entries[entries.len() - 2]["id"].as_str().unwrap();
    let path = format!("/api/v1/missions/{}/state?at={last_but_one}", mission.id);
    let then = server.get(path).send().await.expect(200);
    assert_eq!(then["title"], format!("Title {}", CHANGES - 2));
    assert!(journal.largest_read() <= PAGE_OFFSETS, "{}", journal.largest_read());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_divergence_is_read_page_by_page_and_listed_whole() {
    let journal = Watched::new();
    let server = Server::begin_on(&journal).await;
    let mission = server.mission("drift").await;
    mission.task("anchor", &[]).await;
    let checkpoint = mission.checkpoint("before").await;
    retitle_often(&mission).await;
    let path = format!("/api/v1/checkpoints/{}/restore", checkpoint["id"].as_str().unwrap());
    let told = server.post(path).send().await.expect(200);
    assert_eq!(told["divergence_count"], CHANGES);
    assert_eq!(told["warn_divergence"].as_array().unwrap().len(), CHANGES);
    let drift = &mission.journal().await[3..][..CHANGES];
    let ids = |entries: &[Value]| entries.iter().map(|entry| entry["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(told["diverged_entries"].as_array().unwrap()), ids(drift));
    assert!(journal.largest_read() <= PAGE_OFFSETS, "{}", journal.largest_read());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_entries_ends_early_and_says_where_to_go_on() {
    let server = Server::begin_on(&Watched::new()).await;
    let mission = server.mission("large").await;
    for number in 0..12 {
        let plan = format!("{number} {}", "x".repeat(900 << 10));
        mission.change(json!({ "plan": plan })).await.expect(200);
    }
    let (mut cursor, mut pages, mut seen) = (String::new(), vec![], vec![]);
    loop {
        let path = format!("/api/v1/journal?mission_id={}&order=asc&limit=100&cursor={cursor}", mission.id);
        let page = server.get(path.replace('|', "%7C")).send().await.expect(200);
        pages.push(page["count"].as_u64().unwrap());
        seen.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["id"].clone()));
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    // The creation and nine changes of 900 KiB are the first to reach 8 MiB.
    assert_eq!(pages, [11, 2]);
    seen.dedup();
    assert_eq!(seen.len(), 13);
}

/// Goes on with it once, without waiting.
fn once<T>(asking: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    asking.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_scan_of_the_journal_leaves_the_runtime_to_others() {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let server = Server::begin_on(&Watched::new()).await;
        // The one thread beside the runtime is taken: what needs it cannot be done at once.
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let taken = spawn_blocking(move || wait.recv());
        let mut count = pin!(server.get("/api/v1/journal/count?severity=error").send());
        let mut list = pin!(server.get("/api/v1/journal?severity=error").send());
        assert!(once(pin!(server.get("/api/v1/crews").send())).is_ready());
        assert!(once(count.as_mut()).is_pending() && once(list.as_mut()).is_pending());
        drop(done);
        taken.await.unwrap().unwrap_err();
        assert_eq!(count.await.expect(200)["total"], 0);
        assert_eq!(list.await.expect(200)["count"], 0);
    });
}
