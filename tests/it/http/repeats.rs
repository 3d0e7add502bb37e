//! `Idempotency-Key`: what is sent again under one name acts once (`DESIGN.md` 5).

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::server::{Reply, Server};

const KEY: &str = "idempotency-key";

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_answers_the_same_ids_and_the_resource_as_it_is_now() {
    let server = Server::begin().await;
    let mission = server.mission("repeat").await;
    let path = format!("{}/tasks", mission.path());
    let ask = || server.post(&*path).header(KEY, "task-1").json(json!({ "title": "Once" }));
    let first = ask().send().await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let cursor = first.header("taffrail-cursor").unwrap().to_owned();
    let task = first.expect(201);
    mission.change_task(task["id"].as_str().unwrap(), json!({ "title": "Renamed" })).await.expect(200);
    let again = ask().send().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("taffrail-cursor"), Some(&*cursor));
    let again = again.expect(201);
    assert_eq!((&again["id"], &again["title"]), (&task["id"], &json!("Renamed")));
    assert_eq!(mission.show().await["task_stats"]["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sort_of_write_can_be_repeated() {
    let server = Server::begin().await;
    let mission = server.mission("sorts").await;
    mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("x").await["id"].as_str().unwrap().to_owned();
    let start = format!("{}/start", mission.path());
    let again = async |method: &str, path: &str, body: Value| {
        let name = format!("{method}:{path}").replace('/', "-");
        let method: axum::http::Method = method.parse().unwrap();
        let ask = || server.ask(method.clone(), path).header(KEY, &*name).json(body.clone()).send();
        let (first, second) = (ask().await, ask().await);
        assert_eq!((first.status, &first.body), (second.status, &second.body), "{method} {path}");
        assert_eq!(second.header("idempotency-replayed"), Some("true"), "{method} {path}");
        assert_eq!(first.header("taffrail-cursor"), second.header("taffrail-cursor"));
    };
    again("POST", &start, json!({})).await;
    again("PATCH", &mission.path(), json!({ "title": "b" })).await;
    again("POST", &mission.checkpoints(), json!({})).await;
    again("POST", &format!("/api/v1/checkpoints/{checkpoint}/restore"), json!({})).await;
    again("POST", &format!("/api/v1/checkpoints/{checkpoint}/fork"), json!({})).await;
    again("DELETE", &format!("/api/v1/checkpoints/{checkpoint}"), json!({})).await;
    again("PATCH", &format!("/api/v1/agents/{}", mission.lead), json!({ "name": "New name" })).await;
    again("DELETE", &format!("/api/v1/agents/{}", mission.lead), json!({})).await;
    again("DELETE", &format!("/api/v1/crews/{}", mission.crew), json!({})).await;
}

/// Sends a write under a name made of it.
async fn named(server: &Server, (method, path, body): &(&str, String, Value)) -> Reply {
    let name = format!("{method}:{path}").replace('/', "-");
    server.ask(method.parse().unwrap(), path).header(KEY, name).json(body.clone()).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_answers_as_the_first_time_when_its_resource_is_gone() {
    let server = Server::begin().await;
    let mission = server.mission("gone").await;
    let task = mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("x").await["id"].as_str().unwrap().to_owned();
    let worker = json!({ "name": "Worker", "slug": "gone-worker", "crew_id": mission.crew });
    let another = json!({ "title": "Another", "lead_agent_id": mission.lead });
    let writes = [
        ("POST", "/api/v1/crews".into(), json!({ "name": "Brief", "slug": "brief" })),
        ("PATCH", format!("/api/v1/crews/{}", mission.crew), json!({ "name": "Renamed" })),
        ("POST", "/api/v1/agents".into(), worker),
        ("PATCH", format!("/api/v1/agents/{}", mission.lead), json!({ "name": "Renamed" })),
        ("POST", format!("/api/v1/crews/{}/missions", mission.crew), another),
        ("PATCH", mission.path(), json!({ "title": "Renamed" })),
        ("POST", format!("{}/start", mission.path()), json!({})),
        ("POST", format!("{}/tasks", mission.path()), json!({ "title": "Another" })),
        ("PATCH", format!("{}/tasks/{task}", mission.path()), json!({ "title": "Renamed" })),
        ("POST", mission.checkpoints(), json!({ "label": "another" })),
        ("POST", format!("/api/v1/checkpoints/{checkpoint}/restore"), json!({})),
        ("POST", format!("/api/v1/checkpoints/{checkpoint}/fork"), json!({})),
    ];
    let mut first = vec![];
    for write in &writes {
        first.push(named(&server, write).await);
    }
    mission.change(json!({ "title": "Later" })).await.expect(200);
    let brief = format!("/api/v1/crews/{}", first[0].text("id"));
    let checkpoint = format!("/api/v1/checkpoints/{checkpoint}");
    let another = format!("/api/v1/crews/{}/missions/{}", mission.crew, first[4].text("id"));
    for gone in [brief, checkpoint, another, format!("/api/v1/crews/{}", mission.crew)] {
        let reply = server.delete(gone).send().await;
        assert!(matches!(reply.status, 200 | 204), "{reply:?}");
    }
    for (write, first) in writes.iter().zip(&first) {
        let mut again = named(&server, write).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{write:?}");
        // The crew's agents went with it, and how many it has is asked of the roster as it is now.
        if write.0 == "PATCH" && again.body.get("_count").is_some() {
            again.body["_count"] = first.body["_count"].clone();
        }
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{write:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_for_two_wishes_is_refused_and_a_name_belongs_to_its_caller() {
    let server = Server::begin().await;
    let manager = server.member(Role::Manager).await;
    let ask = |slug: &str| {
        server.post("/api/v1/crews").header(KEY, "same").json(json!({ "name": "Crew", "slug": slug }))
    };
    ask("one").send().await.expect(201);
    let reused = ask("two").send().await;
    assert_eq!((reused.status, &*reused.text("code")), (422, "idempotency.key_reused"));
    ask("two").with_token(&manager).send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_decided_anew() {
    let server = Server::begin().await;
    let crew = server.crew("taken").await;
    let body = json!({ "name": "Crew", "slug": "taken" });
    let ask = || server.post("/api/v1/crews").header(KEY, "later").json(body.clone());
    ask().send().await.refused(409, "Crew slug already taken in this workspace");
    server.delete(format!("/api/v1/crews/{crew}")).send().await.expect(200);
    ask().send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_shown_twice() {
    let server = Server::begin().await;
    let ask = || server.post("/api/v1/auth/cli-token").header(KEY, "token").json(json!({}));
    ask().send().await.expect(200);
    let again = ask().send().await;
    assert_eq!((again.status, &*again.text("code")), (409, "idempotency.secret_shown"));
    assert_eq!(
        server.get("/api/v1/auth/cli-tokens").send().await.expect(200)["data"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_visible_and_short() {
    let server = Server::begin().await;
    for bad in ["", "two words", "tab\there", &"x".repeat(256)] {
        let reply = server.post("/api/v1/crews").header(KEY, bad).body("{}").send().await;
        reply.refused(400, "Idempotency-Key must be 1-255 visible ASCII characters");
    }
    let long = "x".repeat(255);
    let reply = server.post("/api/v1/crews").header(KEY, &*long).body("{}").send().await;
    reply.refused(400, "name must be 2-100 characters");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_known_after_a_restart() {
    let server = Server::begin().await;
    let body = json!({ "name": "Lasting", "slug": "lasting" });
    let first =
        server.post("/api/v1/crews").header(KEY, "lasting").json(body.clone()).send().await.expect(201);
    let server = server.reopened().await;
    let again = server.post("/api/v1/crews").header(KEY, "lasting").json(body).send().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(201)["id"], first["id"]);
}
