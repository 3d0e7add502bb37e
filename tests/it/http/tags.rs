//! `ETag`, `If-None-Match`, `If-Match` on single resources, and what lists say of themselves.

use axum::http::Method;
use serde_json::{Value, json};

use super::server::{Reply, Server};

fn tag(reply: &Reply) -> String {
    reply.header("etag").unwrap_or_else(|| panic!("no tag: {reply:?}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_has_is_not_sent_again() {
    let server = Server::begin().await;
    let mission = server.mission("tags").await;
    mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("x").await["id"].as_str().unwrap().to_owned();
    let entry = mission.journal().await[0]["id"].as_str().unwrap().to_owned();
    let project = server.post("/api/v1/projects").json(json!({ "name": "App" })).send().await.text("id");
    for path in [
        mission.path(),
        format!("/api/v1/crews/{}", mission.crew),
        format!("/api/v1/agents/{}", mission.lead),
        format!("/api/v1/checkpoints/{checkpoint}"),
        format!("/api/v1/workspaces/{}", server.workspace),
        format!("/api/v1/journal/{entry}"),
        format!("/api/v1/projects/{project}"),
        "/api/v1/openapi.json".into(),
    ] {
        let first = server.get(&*path).send().await;
        assert!(first.header("cache-control") == Some("no-cache"), "{path}");
        let tag = tag(&first);
        for known in [tag.clone(), format!("W/{tag}"), format!("\"0-0\", {tag}"), "*".into()] {
            let again = server.get(&*path).header("if-none-match", known).send().await;
            assert_eq!((again.status, &again.body, again.header("etag")), (304, &Value::Null, Some(&*tag)));
        }
        let other = server.get(&*path).header("if-none-match", "\"0-00000000\"").send().await;
        assert_eq!(other.expect(200), first.body);
        let head = server.ask(Method::HEAD, &*path).send().await;
        assert_eq!((head.status, &head.body, head.header("etag")), (200, &Value::Null, Some(&*tag)));
    }
    assert!(server.get("/api/v1/missions").send().await.header("etag").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_do_not_overwrite_each_other() {
    let server = Server::begin().await;
    let mission = server.mission("two").await;
    let seen = tag(&server.get(mission.path()).send().await);
    let change = async |tag: &str, title: &str| {
        let asking = server.patch(mission.path()).header("if-match", tag);
        asking.json(json!({ "title": title })).send().await
    };
    let first = change(&seen, "Mine").await;
    let second = change(&seen, "Theirs").await;
    second.refused(412, "The resource has changed since it was read");
    assert_eq!(second.body["code"], "precondition.failed");
    let now = server.get(mission.path()).send().await;
    assert_eq!(
        (now.body["title"].as_str(), tag(&now)),
        (Some("Mine"), tag(&first)),
        "a write tells the new tag"
    );
    change(&tag(&now), "Mine again").await.expect(200);
    change("*", "Whatever it is").await.expect(200);
    change("W/\"1-00000000\"", "Weak").await.refused(412, "The resource has changed since it was read");
    // A task is part of its mission.
    let seen = tag(&server.get(mission.path()).send().await);
    let add = async || {
        let path = format!("{}/tasks", mission.path());
        server.post(path).header("if-match", &*seen).json(json!({ "title": "a" })).send().await
    };
    add().await.expect(201);
    add().await.refused(412, "The resource has changed since it was read");
    // What is refused anyway is refused for its own reason.
    let unknown = server.patch("/api/v1/crews/unknown").header("if-match", "\"1-0\"").json(json!({}));
    unknown.send().await.refused(404, "Crew not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn following_next_shows_every_mission_once() {
    let server = Server::begin().await;
    let mission = server.mission("pages").await;
    for number in 0..12 {
        mission.another(&format!("Mission {number}")).await;
    }
    let mut path = format!("/api/v1/missions?limit=5&workspace_id={}&status=PLANNING", server.workspace);
    let mut seen = vec![];
    loop {
        let reply = server.get(&*path).send().await;
        assert_eq!(reply.header("x-total-count"), Some("13"));
        let links = reply.header("link").unwrap().to_owned();
        seen.extend(reply.expect(200).as_array().unwrap().iter().map(|row| row["id"].clone()));
        let next = links.split(", ").find_map(|link| link.strip_suffix(">; rel=\"next\""));
        let Some(next) = next else { break };
        path = next.trim_start_matches('<').to_owned();
    }
    assert_eq!(seen.len(), 13);
    let all = server.get("/api/v1/missions?limit=100").send().await.expect(200);
    let all: Vec<Value> = all.as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(seen, all);
    for (path, total) in [
        ("/api/v1/crews", "1"),
        ("/api/v1/agents", "1"),
        ("/api/v1/workspaces", "1"),
        ("/api/v1/missions?status=nonsense", "0"),
        (&*format!("/api/v1/crews/{}/missions", mission.crew), "13"),
        (&*mission.checkpoints(), "0"),
    ] {
        assert_eq!(server.get(path).send().await.header("x-total-count"), Some(total), "{path}");
    }
    assert!(server.get("/api/v1/journal").send().await.header("x-total-count").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_path_does_not_have_say_which_it_has() {
    let server = Server::begin().await;
    let reply = server.ask(Method::OPTIONS, "/api/v1/missions").send().await;
    reply.refused(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    let reply = server.ask(Method::PUT, "/api/v1/checkpoints/x").send().await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET,HEAD,DELETE")));
    let long = format!("/api/v1/missions?status={}", "x".repeat(9_000));
    server.get(long).send().await.refused(414, "Request address too long");
}
