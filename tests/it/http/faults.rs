//! What callers hear when the disk does not do its part (`DESIGN.md` 3, `platform.md` 9.1).

use std::sync::Arc;

use serde_json::json;
use taffrail_journal::MemoryJournal;

use super::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_until_there_is_room_and_reads_go_on() {
    let journal = Arc::new(MemoryJournal::new());
    let server = Server::begin_on(&journal).await;
    let mission = server.mission("full").await;
    let before = mission.show().await;
    journal.set_room(false);
    let refused = mission.start().await;
    assert_eq!((refused.status, &*refused.text("code")), (503, "disk_full"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(mission.show().await, before);
    let ready = server.get("/readyz").send().await.expect(200);
    assert_eq!((&ready["status"], &ready["checks"]["journal_full"]), (&json!(true), &json!(true)));
    journal.set_room(true);
    mission.start().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_more_is_taken_and_the_cause_is_not_told() {
    let journal = Arc::new(MemoryJournal::new());
    let server = Server::begin_on(&journal).await;
    let mission = server.mission("poisoned").await;
    journal.poison("the disk said no: /dev/secret");
    for _ in 0..2 {
        let refused = mission.start().await;
        assert_eq!((refused.status, &*refused.text("code")), (503, "outcome_unknown"));
        assert!(!refused.body.to_string().contains("secret"));
    }
    assert_eq!(mission.show().await["status"], "PLANNING");
    let ready = server.get("/readyz").send().await.expect(503);
    assert_eq!((&ready["status"], &ready["checks"]["journal_poisoned"]), (&json!(false), &json!(true)));
    assert!(!ready.to_string().contains("secret"));
    server.get("/api/health").send().await.expect(200);
}
