//! Markers, lookup and the proof that nobody changed the journal (`journal.md` 3.5, 3.6, 4.2; check 13).

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::server::Server;

async fn verify(server: &Server, query: &str) -> Value {
    server.get(format!("/api/v1/admin/journal/verify{query}")).send().await.expect(200)
}

/// The one segment that holds everything.
fn segment(server: &Server) -> PathBuf {
    server.data().join("segments/000000000001.segment")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_in_a_running_journal() {
    let server = Server::begin().await;
    let mission = server.mission("proof").await;
    mission.task("find me in the segment", &[]).await;
    let whole = verify(&server, "").await;
    assert_eq!((&whole["ok"], whole.get("breaks")), (&json!(true), None));
    let head = server.app.workspace(&server.workspace.as_str().into()).unwrap().world();
    assert_eq!(whole["count"], json!(taffrail_projections::World::head(&*head).0));
    assert_eq!(whole["head_hash"].as_str().map(str::len), Some(64));

    let mut bytes = fs::read(segment(&server)).unwrap();
    let needle = b"find me in the segment";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at] ^= 1;
    fs::write(segment(&server), &bytes).unwrap();
    let broken = verify(&server, "").await;
    assert_eq!((&broken["ok"], &broken["break_count"]), (&json!(false), &json!(1)), "{broken}");
    let reason = broken["reason"].as_str().unwrap();
    assert!(reason.starts_with("content hash mismatch at seq"), "{reason}");
    assert_eq!(broken["breaks"][0]["kind"], "content");
    let entry = server.get(format!("/api/v1/journal/{}", broken["broken_id"].as_str().unwrap()));
    assert_eq!(entry.send().await.expect(200)["entry_type"], "task.created");

    // Appends go on meanwhile, and what is put right proves again.
    mission.task("another", &[]).await;
    let mut bytes = fs::read(segment(&server)).unwrap();
    bytes[at] ^= 1;
    fs::write(segment(&server), &bytes).unwrap();
    for query in ["", "?all=true"] {
        assert_eq!(verify(&server, query).await["ok"], true, "{query}");
    }
    let manager = server.member(Role::Manager).await;
    let asking = server.get("/api/v1/admin/journal/verify").with_token(&manager);
    asking.send().await.refused(403, "Forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_marked_and_the_chain_still_holds() {
    let server = Server::begin().await;
    let mission = server.mission("marks").await;
    let entry = mission.journal().await[0]["id"].as_str().unwrap().to_owned();
    let mark = async |entry: &str, body: &str| {
        server.post(format!("/api/v1/journal/{entry}/priority")).body(body).send().await
    };
    mark(&entry, "").await.refused(400, "invalid JSON body");
    let words = "priority must be one of: normal, high, pin, permanent";
    mark("unknown", r#"{"priority":"loud"}"#).await.refused(400, words);
    mark("unknown", r#"{"priority":"pin"}"#).await.refused(404, "entry not found");
    let marked = mark(&entry, r#"{"priority":"pin","reason":"keep"}"#).await.expect(200);
    assert_eq!(marked, json!({ "id": entry, "priority": "pin", "previous": "normal", "reason": "keep" }));
    let again = mark(&entry, r#"{"priority":"pin"}"#).await.expect(200);
    assert_eq!((&again["previous"], &again["reason"]), (&json!("pin"), &json!("")));
    let shown = server.get(format!("/api/v1/journal/{entry}")).send().await.expect(200);
    assert_eq!(shown["priority"], "pin");
    let pinned = server.get("/api/v1/journal?priority=pin").send().await.expect(200);
    assert_eq!((&pinned["count"], &pinned["entries"][0]["id"]), (&json!(1), &json!(entry)));
    let ledger = server.get("/api/v1/journal?entry_type=memory.priority_changed").send().await.expect(200);
    assert_eq!(
        (&ledger["count"], &ledger["entries"][0]["refs"]["parent_entry_id"]),
        (&json!(2), &json!(entry))
    );
    assert_eq!(ledger["entries"][0]["mission_id"], json!(mission.id));
    assert_eq!(verify(&server, "").await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_names_crews_agents_and_missions() {
    let server = Server::begin().await;
    let mission = server.mission("names").await;
    let gone = server.crew("gone").await;
    server.delete(format!("/api/v1/crews/{gone}")).send().await.expect(200);
    let names = server.get("/api/v1/journal/lookup").send().await.expect(200);
    assert_eq!(names["crews"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&names["agents"][0]["id"], &names["agents"][0]["crew_id"]),
        (&json!(mission.lead), &json!(mission.crew))
    );
    assert_eq!(
        names["missions"][0],
        json!({ "id": mission.id, "title": "Ship the beta", "status": "PLANNING" })
    );
}
