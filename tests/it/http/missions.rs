//! Missions: shapes, lists, transitions, delete, start (`missions.md` 17, checks 1 to 5).

use serde_json::{Value, json};

use super::server::Server;

const STATUSES: [&str; 6] = ["PLANNING", "IN_PROGRESS", "REVIEW", "COMPLETED", "FAILED", "CANCELLED"];

/// How a fresh mission gets to a status.
fn way_to(status: &str) -> &'static [&'static str] {
    match status {
        "PLANNING" => &[],
        "IN_PROGRESS" => &["IN_PROGRESS"],
        "REVIEW" => &["IN_PROGRESS", "REVIEW"],
        "COMPLETED" => &["IN_PROGRESS", "REVIEW", "COMPLETED"],
        "FAILED" => &["IN_PROGRESS", "FAILED"],
        _ => &["CANCELLED"],
    }
}

fn allowed(from: &str) -> &'static [&'static str] {
    match from {
        "PLANNING" => &["IN_PROGRESS", "CANCELLED"],
        "IN_PROGRESS" => &["REVIEW", "FAILED", "CANCELLED"],
        "REVIEW" => &["COMPLETED", "IN_PROGRESS", "FAILED", "CANCELLED"],
        _ => &[],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_is_created_with_a_lead_of_its_crew_or_refused_in_order() {
    let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
    let crew = server.crew("alpha").await;
    let lead = server.lead(&crew, "alpha-lead").await;
    let hand = json!({ "name": "Hand", "slug": "hand", "crew_id": crew });
    let hand = server.post("/api/v1/agents").json(hand).send().await.expect(201)["id"].clone();
    let path = format!("/api/v1/crews/{crew}/missions");
    let refused = async |body: &str, detail: &str| {
        server.post(&*path).body(body).send().await.refused(400, detail);
    };
    refused("", "Invalid JSON body").await;
    refused(r#"{"title":""}"#, "title is required").await;
    refused(r#"{"title":"a"}"#, "lead_agent_id is required").await;
    refused(r#"{"title":"a","lead_agent_id":"unknown"}"#, "lead agent not found in crew").await;
    refused(&format!(r#"{{"title":"a","lead_agent_id":{hand}}}"#), "agent must have LEAD role").await;
    let foreign = server.post(&*path).with_token(&stranger).in_workspace(&other);
    let foreign = foreign.json(json!({ "title": "a", "lead_agent_id": lead })).send().await;
    foreign.refused(400, "lead agent not found in crew");

    let body = json!({ "title": " Ship ", "lead_agent_id": lead, "workflow_template": "any" });
    let made = server.post(&*path).json(body).send().await;
    assert!(made.header("taffrail-cursor").is_some());
    let made = made.expect(201);
    let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert!(!keys.iter().any(|key| *key == "tasks" || *key == "task_stats"));
    for unset in ["description", "plan", "total_token_count", "total_estimated_cost", "completed_at"] {
        assert_eq!(made.get(unset), Some(&Value::Null), "{unset}");
    }
    assert_eq!((&made["title"], &made["status"]), (&json!(" Ship "), &json!("PLANNING")));
    assert_eq!((&made["lead_agent_slug"], &made["workflow_template"]), (&json!("alpha-lead"), &json!("any")));
    assert!(made["trace_id"].as_str().unwrap().starts_with("mission-c"));
    let created_at = made["created_at"].as_str().unwrap();
    assert!(created_at.len() == 20 && created_at.ends_with('Z'), "{created_at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_shows_its_tasks_alone_and_in_lists_on_request() {
    let server = Server::begin().await;
    let mission = server.mission("shapes").await;
    let bare = mission.show().await;
    assert_eq!(bare["tasks"], json!([]));
    assert_eq!(bare["task_stats"]["total"], 0);
    let list = async |query: &str| {
        server.get(format!("/api/v1/missions?{query}")).send().await.expect(200)[0].clone()
    };
    assert_eq!(list("include_tasks=true").await["tasks"], json!([]));
    for query in ["", "include_tasks=True", "include_tasks=1"] {
        let row = list(query).await;
        assert!(row.get("tasks").is_none() && row["task_stats"]["awaiting_approval"] == 0, "{query}");
    }
    let path = format!("/api/v1/crews/{}/missions?include_tasks=true", mission.crew);
    assert!(server.get(path).send().await.expect(200)[0].get("tasks").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn mission_lists_are_newest_first_and_never_refused() {
    let server = Server::begin().await;
    let first = server.mission("lists").await;
    for number in 0..24 {
        first.another(&format!("m{number}")).await;
    }
    let titles = async |path: &str| {
        let list = server.get(path).send().await.expect(200);
        let title = |mission: &Value| mission["title"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(title).collect::<Vec<_>>()
    };
    for query in ["", "limit=0", "limit=-1", "limit=abc", "limit="] {
        assert_eq!(titles(&format!("/api/v1/missions?{query}")).await.len(), 20, "{query}");
    }
    assert_eq!(titles("/api/v1/missions?limit=1000").await.len(), 25);
    assert_eq!(titles("/api/v1/missions?limit=2&offset=1").await, ["m22", "m21"]);
    assert_eq!(titles("/api/v1/missions?offset=abc&limit=1").await, ["m23"]);
    assert!(titles("/api/v1/missions?status=planning").await.is_empty());
    assert!(titles("/api/v1/missions?status=IN_PROGRESS").await.is_empty());
    assert_eq!(titles("/api/v1/missions?status=").await.len(), 20);
    assert!(titles("/api/v1/crews/unknown/missions").await.is_empty());
    first.start().await.expect(200);
    assert_eq!(titles("/api/v1/missions?status=IN_PROGRESS").await, ["Ship the beta"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_of_the_table_is_taken_and_every_other_refused() {
    let server = Server::begin().await;
    let first = server.mission("table").await;
    for from in STATUSES {
        for to in STATUSES {
            let mission = first.another(&format!("{from} to {to}")).await;
            for step in way_to(from) {
                mission.change(json!({ "status": step })).await.expect(200);
            }
            let reply = mission.change(json!({ "status": to, "title": "changed" })).await;
            if allowed(from).contains(&to) {
                let changed = reply.expect(200);
                let ended = ["COMPLETED", "FAILED", "CANCELLED"].contains(&to);
                assert_eq!(changed["completed_at"].is_string(), ended, "{from} to {to}");
                assert_eq!((&changed["status"], &changed["title"]), (&json!(to), &json!("changed")));
                assert!(changed.get("tasks").is_none() && changed.get("task_stats").is_none());
            } else {
                reply.refused(400, &format!("Invalid status transition from {from} to {to}"));
                assert_eq!(mission.show().await["title"], format!("{from} to {to}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_checks_the_body_then_the_mission_then_the_status() {
    let server = Server::begin().await;
    let mission = server.mission("order").await;
    let unknown = format!("/api/v1/crews/{}/missions/unknown", mission.crew);
    server.patch(&*unknown).body("{").send().await.refused(400, "Invalid JSON body");
    server.patch(&*unknown).body("{}").send().await.refused(404, "Mission not found");
    let reply = mission.change(json!({ "status": "" })).await;
    reply.refused(400, "Invalid status transition from PLANNING to ");
    let before = mission.show().await;
    let same = server.patch(mission.path()).body("null").send().await;
    assert!(same.header("taffrail-cursor").is_some());
    assert_eq!(same.expect(200)["updated_at"], before["updated_at"]);
    assert_eq!(mission.show().await, before);
    let edited =
        mission.change(json!({ "title": "", "plan": "1. go", "description": null })).await.expect(200);
    assert_eq!(
        (&edited["title"], &edited["plan"], &edited["description"]),
        (&json!(""), &json!("1. go"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_planned_or_cancelled_mission_is_deleted_and_only_once() {
    let server = Server::begin().await;
    let first = server.mission("delete").await;
    for status in STATUSES {
        let mission = first.another(status).await;
        for step in way_to(status) {
            mission.change(json!({ "status": step })).await.expect(200);
        }
        let delete = || server.delete(mission.path());
        if ["PLANNING", "CANCELLED"].contains(&status) {
            let gone = delete().send().await;
            assert!(gone.header("taffrail-cursor").is_some());
            assert_eq!(gone.expect(204), Value::Null);
            delete().send().await.refused(404, "Mission not found");
            server.get(mission.path()).send().await.refused(404, "Mission not found");
        } else {
            delete().send().await.refused(400, "Only PLANNING or CANCELLED missions can be deleted");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_mission_starts_once_and_says_so_in_two_keys() {
    let server = Server::begin().await;
    let mission = server.mission("start").await;
    let started = server.post(format!("{}/start", mission.path())).body("not json").send().await.expect(200);
    assert_eq!(started, json!({ "id": mission.id, "status": "IN_PROGRESS" }));
    mission.start().await.refused(400, "cannot start mission in IN_PROGRESS state, must be PLANNING");
    let unknown = server.post(format!("/api/v1/crews/{}/missions/unknown/start", mission.crew)).send().await;
    unknown.refused(404, "Mission not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_and_all_behind_it_stops_a_start() {
    let server = Server::begin().await;
    let mission = server.mission("cycle").await;
    let one = mission.task("one", &[]).await;
    let two = mission.task("two", &[&one]).await;
    mission.task("behind", &[&two]).await;
    let list = json!([two]).to_string();
    mission.change_task(&one, json!({ "depends_on": list })).await.expect(200);
    let detail = "Invalid task DAG: circular dependency detected: 3 tasks involved in cycle";
    mission.start().await.refused(400, detail);
    mission.change(json!({ "status": "IN_PROGRESS" })).await.refused(400, detail);
    assert_eq!(mission.show().await["status"], "PLANNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_names_its_lead_after_the_lead_is_deleted() {
    let server = Server::begin().await;
    let mission = server.mission("gone").await;
    server.delete(format!("/api/v1/agents/{}", mission.lead)).send().await.expect(200);
    assert_eq!(mission.show().await["lead_agent_name"], "Lead gone-lead");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_shows_the_last_change_and_the_names_of_now() {
    let server = Server::begin().await;
    let mission = server.mission("fresh").await;
    let hand = json!({ "name": "Hand", "slug": "hand", "crew_id": mission.crew });
    let hand = server.post("/api/v1/agents").json(hand).send().await.text("id");
    let task = json!({ "title": "a", "assigned_agent_id": hand });
    let task = mission.try_task(task).await.text("id");
    // The state as of now is never one that was kept.
    let alike = async |what: &str| {
        let path = format!("/api/v1/missions/{}/state?at=9000-01-01T00:00:00Z", mission.id);
        let mut now = server.get(path).send().await.expect(200);
        for own in ["offset", "state_hash"] {
            now.as_object_mut().unwrap().remove(own);
        }
        for _ in 0..2 {
            assert_eq!(mission.show().await, now, "{what}");
            let all = server.get("/api/v1/missions?include_tasks=true").send().await.expect(200);
            assert_eq!(all[0], now, "{what}, listed with its tasks");
            let mut row = now.clone();
            row.as_object_mut().unwrap().remove("tasks");
            for list in ["/api/v1/missions".into(), format!("/api/v1/crews/{}/missions", mission.crew)] {
                assert_eq!(server.get(list).send().await.expect(200), json!([row]), "{what}, listed");
            }
        }
        now
    };
    let rename = async |agent: &str, name: &str| {
        let path = format!("/api/v1/agents/{agent}");
        server.patch(path).json(json!({ "name": name })).send().await.expect(200);
    };
    alike("created").await;
    mission.change(json!({ "title": "Another", "plan": "# Plan" })).await.expect(200);
    alike("changed").await;
    rename(&mission.lead, "Leader").await;
    assert_eq!(alike("LEAD renamed").await["lead_agent_name"], "Leader");
    rename(&hand, "Right hand").await;
    assert_eq!(alike("agent of a task renamed").await["tasks"][0]["agent_name"], "Right hand");
    mission.start().await.expect(200);
    mission.complete(&task).await;
    assert_eq!(alike("worked on").await["task_stats"]["completed"], 1);
    assert!(server.delete(format!("/api/v1/agents/{hand}")).send().await.status < 300);
    alike("agent deleted").await;
    mission.change(json!({ "status": "CANCELLED" })).await.expect(200);
    alike("cancelled").await;
    server.delete(mission.path()).send().await.expect(204);
    assert_eq!(server.get("/api/v1/missions").send().await.expect(200), json!([]));
}
