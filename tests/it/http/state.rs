//! A mission as it was (`journal.md` 11.2).

use serde_json::{Value, json};

use super::server::{OnMission, Reply, Server};

async fn state(mission: &OnMission<'_>, at: &str) -> Reply {
    let at = at.replace('+', "%2B");
    mission.server.get(format!("/api/v1/missions/{}/state?at={at}", mission.id)).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_at_an_entry_is_what_was_live_then() {
    let server = Server::begin().await;
    let mission = server.mission("then").await;
    let mut live = vec![mission.show().await];
    let task = mission.task("a", &[]).await;
    live.push(mission.show().await);
    mission.start().await.expect(200);
    live.push(mission.show().await);
    mission.change_task(&task, json!({ "status": "IN_PROGRESS" })).await.expect(200);
    live.push(mission.show().await);
    let journal = mission.journal().await;
    assert_eq!(journal.len(), live.len());
    for (entry, live) in journal.iter().zip(&live) {
        let mut then = state(&mission, entry["id"].as_str().unwrap()).await.expect(200);
        let then = then.as_object_mut().unwrap();
        assert_eq!(then.remove("offset").as_ref(), Some(&entry["id"]));
        assert!(then.remove("state_hash").unwrap().as_str().unwrap().starts_with("h1:"));
        assert_eq!(Value::Object(then.clone()), *live);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_and_a_time_are_points_too() {
    let server = Server::begin().await;
    let mission = server.mission("points").await;
    mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("x").await;
    mission.start().await.expect(200);
    let then = state(&mission, checkpoint["id"].as_str().unwrap()).await.expect(200);
    assert_eq!(then["offset"], checkpoint["journal_cursor"]);
    assert_eq!(then["state_hash"], checkpoint["state"]["meta"]["state_hash"]);
    assert_eq!(then["status"], "PLANNING");
    let now = state(&mission, "9000-01-01T00:00:00+02:00").await.expect(200);
    assert_eq!(now["status"], "IN_PROGRESS");
    assert_eq!(now["offset"], mission.journal().await.last().unwrap()["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_is_none_is_refused_by_its_sort() {
    let server = Server::begin().await;
    let mission = server.mission("none").await;
    let other = mission.another("Other").await;
    let foreign = other.journal().await[0]["id"].as_str().unwrap().to_owned();
    state(&mission, "").await.refused(400, "at is required");
    assert_eq!(state(&mission, "yesterday").await.status, 400);
    assert_eq!(state(&mission, "j_12").await.status, 400);
    state(&mission, "j_000001ffffffffff").await.refused(404, "entry not found");
    state(&mission, "chk_0000000000000000").await.refused(404, "checkpoint not found");
    state(&mission, &foreign).await.refused(409, "at is not in the life of this mission");
    state(&mission, "2000-01-01T00:00:00Z").await.refused(409, "at is not in the life of this mission");
    let unknown = server.get("/api/v1/missions/unknown/state?at=2000-01-01T00:00:00Z").send().await;
    unknown.refused(404, "mission not found");
}
