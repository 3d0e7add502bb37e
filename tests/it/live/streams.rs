//! `GET /api/v1/journal/stream` (`journal.md` 3.4).

use serde_json::json;
use taffrail_domain::roster::{Role, RosterCommand};
use taffrail_domain::{Actor, WorkspaceId};

use super::listeners::{Ear, Listening};
use crate::http::server::Server;

async fn begin() -> (Server, Listening, Ear) {
    let server = Server::begin().await;
    let listening = Listening::start(&server.app).await;
    let (address, token, workspace) =
        (listening.address.clone(), server.token.clone(), server.workspace.clone());
    (server, listening, Ear { address, token, workspace })
}

/// The ids of all public entries, oldest first.
async fn all(server: &Server, query: &str) -> Vec<String> {
    let path = format!("/api/v1/journal?order=asc&limit=500&{query}");
    let page = server.get(path).send().await.expect(200);
    page["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_client_gets_the_newest_and_then_what_comes_as_the_list_shows_it() {
    let (server, _listening, ear) = begin().await;
    let mission = server.mission("fresh").await;
    for number in 0..60 {
        mission.task(&format!("t{number}"), &[]).await;
    }
    let known = all(&server, "").await;
    let mut stream = ear.sse("", None).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.ids(50).await, known[known.len() - 50..]);
    mission.change(json!({ "title": "Changed" })).await.expect(200);
    let event = stream.next().await.unwrap();
    let shown = server.get(format!("/api/v1/journal/{}", event.id)).send().await.expect(200);
    assert_eq!((event.name.as_str(), event.data), ("entry", shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_behind_what_it_has_with_every_filter() {
    let (server, _listening, ear) = begin().await;
    let mission = server.mission("resume").await;
    for number in 0..300 {
        mission.task(&format!("t{number}"), &[]).await;
    }
    let known = all(&server, "").await;
    let mut stream = ear.sse("", Some(&known[2])).await;
    assert_eq!(stream.ids(known.len() - 3).await, known[3..]);
    let mut stream = ear.sse(&format!("after={}", known[2]), None).await;
    assert_eq!(stream.ids(known.len() - 3).await, known[3..]);
    let filter = "entry_type=task.created";
    let tasks = all(&server, filter).await;
    let mut stream = ear.sse(&format!("{filter}&mission_id={}", mission.id), Some(&known[0])).await;
    assert_eq!(stream.ids(300).await, tasks);
    mission.change(json!({ "title": "Not asked for" })).await.expect(200);
    let task = mission.task("asked for", &[]).await;
    assert_eq!(stream.next().await.unwrap().data["payload"]["task_id"], json!(task));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_phrase_tells_what_holds_it_then_and_now() {
    let (server, _listening, ear) = begin().await;
    let mission = server.mission("phrase").await;
    for number in 0..60 {
        mission.task(&format!("needle {number}"), &[]).await;
        mission.task(&format!("straw {number}"), &[]).await;
    }
    let needles = all(&server, "q=needle").await;
    assert_eq!(needles.len(), 60);
    let mut fresh = ear.sse("q=needles", None).await;
    assert_eq!(fresh.ids(50).await, needles[10..]);
    let mut resumed = ear.sse("q=needle", Some(&needles[5])).await;
    assert_eq!(resumed.ids(54).await, needles[6..]);
    mission.task("straw", &[]).await;
    let task = mission.task("one more needle", &[]).await;
    for stream in [&mut fresh, &mut resumed] {
        assert_eq!(stream.next().await.unwrap().data["payload"]["task_id"], json!(task));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_makes_no_sense_is_a_fresh_start_and_one_beyond_the_end_a_reset() {
    let (server, _listening, ear) = begin().await;
    let known = all(&server, "").await;
    let mut stream = ear.sse("", Some("j_0000990000000001")).await;
    assert_eq!(stream.ids(known.len()).await, known, "another log's");
    let beyond = format!("{}ffffffffff", &known[0][..8]);
    let mut stream = ear.sse("", Some(&beyond)).await;
    let reset = stream.next().await.unwrap();
    assert_eq!(
        (reset.name.as_str(), reset.data["oldest"].as_str()),
        ("reset", Some(&*format!("{}0000000001", &known[0][..8])))
    );
    assert_eq!(stream.ids(known.len()).await, known);
    for (query, status, text) in [
        ("limit=0", 400, "limit must be 1..500"),
        ("since=never", 400, "bad since"),
        ("after=nonsense", 400, "bad after"),
    ] {
        let stream = ear.sse(query, None).await;
        assert_eq!(stream.status, status, "{query}");
        assert!(stream.body().await.contains(text), "{query}");
    }
    let stranger = Ear { token: "crewship_cli_00".into(), ..ear.clone() };
    assert_eq!(stranger.sse("", None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_listen_any_more_hears_no_more() {
    let (server, _listening, ear) = begin().await;
    let token = server.member(Role::Viewer).await;
    let viewer = Ear { token, ..ear.clone() };
    let mut removed = viewer.sse("", None).await;
    assert!(removed.next().await.is_some());
    let writer = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    let world = writer.world();
    let viewer = world.state.roster.members.values().find(|member| member.role == Role::Viewer).unwrap();
    let command = RosterCommand::RemoveMember { member: viewer.id.clone() }.into();
    let wish = taffrail::writer::Wish { command, actor: Actor::System, request: None };
    writer.execute(wish).await.unwrap();
    while removed.next().await.is_some() {}
    let issued = server.post("/api/v1/auth/cli-token").json(json!({})).send().await.expect(200);
    let mut revoked = Ear { token: issued["token"].as_str().unwrap().into(), ..ear }.sse("", None).await;
    assert!(revoked.next().await.is_some());
    let path = format!("/api/v1/auth/cli-tokens/{}", issued["id"].as_str().unwrap());
    server.delete(path).send().await.expect(200);
    while revoked.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_instance_does() {
    let (server, _listening, ear) = begin().await;
    let mut stream = ear.sse("", None).await;
    let mut socket = ear.socket().await;
    socket.subscribe(&format!("workspace:{}", server.workspace)).await;
    assert!(stream.next().await.is_some());
    server.app.close_streams();
    while stream.next().await.is_some() {}
    while socket.next().await.is_some() {}
}
