//! Restart, resume, clone and metrics from outside (`missions.md` 17, checks 6 to 8 and 12).

use serde_json::{Value, json};

use super::server::{OnMission, Reply, Server};

async fn act(mission: &OnMission<'_>, action: &str, body: &str) -> Reply {
    mission.server.post(format!("{}/{action}", mission.path())).body(body).send().await
}

/// A failed mission: one task done, one failed, one that waits for it.
async fn failed(server: &Server) -> (OnMission<'_>, [String; 3]) {
    let mission = server.mission("failed").await;
    let done = mission.task("done", &[]).await;
    let failing = mission.task("failing", &[&done]).await;
    let waiting = mission.task("waiting", &[&failing]).await;
    mission.start().await.expect(200);
    mission.complete(&done).await;
    mission.change_task(&failing, json!({ "status": "IN_PROGRESS" })).await.expect(200);
    let failure = json!({ "status": "FAILED", "error_message": "no", "token_count": 7 });
    mission.change_task(&failing, failure).await.expect(200);
    // What is left can never begin: the mission has failed in the same batch.
    assert_eq!(mission.show().await["status"], "FAILED");
    (mission, [done, failing, waiting])
}

fn task<'a>(mission: &'a Value, id: &str) -> &'a Value {
    mission["tasks"].as_array().unwrap().iter().find(|task| task["id"] == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_mission_resumes_where_it_failed() {
    let server = Server::begin().await;
    let (mission, [done, failing, waiting]) = failed(&server).await;
    let resumed = act(&mission, "resume", "").await.expect(200);
    assert_eq!(resumed, json!({ "id": mission.id, "status": "IN_PROGRESS", "reset_tasks": 2 }));
    let shown = mission.show().await;
    assert_eq!(shown["completed_at"], Value::Null);
    let stands = |id| (task(&shown, id)["status"].clone(), task(&shown, id)["iteration"].clone());
    assert_eq!(stands(&done), (json!("COMPLETED"), json!(1)));
    assert_eq!(stands(&failing), (json!("PENDING"), json!(2)));
    assert_eq!(stands(&waiting), (json!("BLOCKED"), json!(2)));
    let again = task(&shown, &failing);
    assert_eq!((&again["error_message"], &again["token_count"]), (&Value::Null, &json!(7)));
    let late = act(&mission, "resume", "{").await;
    late.refused(409, "can only resume FAILED missions, current status: IN_PROGRESS");
    let entries = mission.journal().await;
    let moves: Vec<&Value> = entries.iter().filter(|entry| entry["payload"]["reason"] == "resume").collect();
    assert_eq!(moves.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_mission_restarts_from_the_plan() {
    let server = Server::begin().await;
    let (mission, [done, failing, waiting]) = failed(&server).await;
    assert_eq!(
        act(&mission, "restart", "").await.expect(200),
        json!({ "id": mission.id, "status": "PLANNING" })
    );
    let shown = mission.show().await;
    for (id, status, iteration) in
        [(&done, "COMPLETED", 1), (&failing, "PENDING", 2), (&waiting, "BLOCKED", 2)]
    {
        assert_eq!(task(&shown, id)["status"], status);
        assert_eq!(task(&shown, id)["iteration"], iteration);
    }
    act(&mission, "restart", "").await.refused(409, "cannot restart mission in PLANNING state");
    mission.start().await.expect(200);
    let unknown =
        server.post(format!("/api/v1/crews/{}/missions/unknown/restart", mission.crew)).send().await;
    unknown.refused(404, "Mission not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_restarts_at_once_one_wins() {
    let server = Server::begin().await;
    let (mission, _) = failed(&server).await;
    let restarts = (0..20).map(|_| act(&mission, "restart", ""));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(restarts).await.into_iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[409; 19][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_the_plan_again() {
    let server = Server::begin().await;
    let (mission, _) = failed(&server).await;
    let cloned = act(&mission, "clone", "").await.expect(201);
    assert_eq!(cloned.as_object().unwrap().len(), 2);
    let clone = OnMission { server: &server, id: cloned["id"].as_str().unwrap().into(), ..mission.twin() };
    let shown = clone.show().await;
    assert_eq!((&shown["title"], &shown["status"]), (&json!("Ship the beta (copy)"), &json!("PLANNING")));
    let tasks = shown["tasks"].as_array().unwrap();
    let stands: Vec<_> =
        tasks.iter().map(|task| (task["status"].as_str(), task["iteration"].as_i64())).collect();
    assert_eq!(stands, [(Some("PENDING"), Some(1)), (Some("BLOCKED"), Some(1)), (Some("BLOCKED"), Some(1))]);
    assert_eq!(tasks[1]["depends_on"], json!(format!("[{}]", tasks[0]["id"])));
    assert_eq!(clone.journal().await[0]["payload"]["cloned_from"], json!(mission.id));
    let named = act(&mission, "clone", r#"{"title":"Once more"}"#).await.expect(201);
    let named = OnMission { id: named["id"].as_str().unwrap().into(), ..mission.twin() };
    assert_eq!(named.show().await["title"], "Once more");
    // A body that cannot be read names no title, and does not matter otherwise.
    act(&mission, "clone", "{").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_is_there_and_what_ended_today() {
    let server = Server::begin().await;
    let empty = server.get("/api/v1/mission-metrics").send().await.expect(200);
    assert_eq!(empty.as_object().unwrap().len(), 9);
    assert!(empty.as_object().unwrap().values().all(|value| value.as_f64() == Some(0.0)), "{empty}");
    let (mission, _) = failed(&server).await;
    let other = mission.another("Another").await;
    let metrics = server.get("/api/v1/mission-metrics").send().await.expect(200);
    assert_eq!((&metrics["total_missions"], &metrics["active_missions"]), (&json!(2), &json!(1)));
    assert_eq!((&metrics["failed_24h"], &metrics["completed_24h"]), (&json!(1), &json!(0)));
    assert_eq!((&metrics["tasks_completed_24h"], &metrics["tasks_failed_24h"]), (&json!(1), &json!(1)));
    assert_eq!(metrics["total_tokens_24h"], 7);
    server.delete(other.path()).send().await.expect(204);
    act(&mission, "restart", "").await.expect(200);
    let metrics = server.get("/api/v1/mission-metrics").send().await.expect(200);
    assert_eq!((&metrics["total_missions"], &metrics["failed_24h"]), (&json!(1), &json!(0)));
    let series = "/api/v1/metrics/timeseries?metric=active_missions&range=24h";
    let series = server.get(series).send().await.expect(200);
    let buckets = series["buckets"].as_array().unwrap();
    assert_eq!((buckets.len(), &buckets[23]["series"]["total"]), (24, &json!(1.0)));
    let wrong = server.get("/api/v1/metrics/timeseries").send().await;
    let detail = "invalid metric; must be one of issues_closed, cost_usd, runs_count, active_missions";
    wrong.refused(400, detail);
}
