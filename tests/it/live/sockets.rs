//! `GET /ws` (`journal.md` 9).

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::listeners::{Ear, Listening};
use crate::http::server::Server;

async fn begin() -> (Server, Listening, Ear) {
    let server = Server::begin().await;
    let listening = Listening::start(&server.app).await;
    let (address, token, workspace) =
        (listening.address.clone(), server.token.clone(), server.workspace.clone());
    (server, listening, Ear { address, token, workspace })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_a_socket_once_in_either_form() {
    let (server, _listening, ear) = begin().await;
    let ticket = ear.ticket().await;
    let mut socket = ear.mute_socket(&format!("?token={ticket}")).await.unwrap();
    socket.subscribe(&format!("workspace:{}", server.workspace)).await;
    assert_eq!(ear.mute_socket(&format!("?token={ticket}")).await.err(), Some(401), "it was used");
    assert_eq!(ear.mute_socket(&format!("?token={}", ear.token)).await.err(), Some(401), "no ticket");
    let mut socket = ear.socket().await;
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await.unwrap(), json!({ "type": "pong", "payload": null }));
    let mut socket = ear.mute_socket("").await.unwrap();
    socket.say(json!({ "type": "auth", "token": "nonsense" })).await;
    assert_eq!(socket.next().await.unwrap()["payload"]["message"], "invalid or expired ws-token");
    assert_eq!(socket.next().await, None);
    let mut socket = ear.mute_socket("").await.unwrap();
    socket.say_raw("hello").await;
    let told = socket.next().await.unwrap()["payload"]["message"].as_str().unwrap().to_owned();
    assert!(told.starts_with("invalid auth message"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_gets_no_socket() {
    let (_server, _listening, ear) = begin().await;
    let from = async |origin: &str| ear.socket_from("", Some(origin)).await.err();
    assert_eq!(from("https://evil.example").await, Some(403));
    assert_eq!(from("null").await, Some(403));
    assert_eq!(from(&format!("http://{}/", ear.address)).await, None, "the client's base URL as it is");
    assert_eq!(from("http://localhost:3000").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_on_its_channels_with_its_place() {
    let (server, _listening, ear) = begin().await;
    let mission = server.mission("told").await;
    let mut socket = ear.socket().await;
    socket.subscribe(&format!("mission:{}", mission.id)).await;
    socket.subscribe(&format!("journal:{}", server.workspace)).await;
    let task = mission.task("a", &[]).await;
    let created = socket.next().await.unwrap();
    assert_eq!(
        (&created["type"], &created["payload"]),
        (&json!("task.created"), &json!({ "id": task, "title": "a", "status": "PENDING" }))
    );
    let entry = socket.next().await.unwrap();
    assert_eq!(
        (&entry["type"], &entry["payload"]["entry_type"]),
        (&json!("journal.entry"), &json!("task.created"))
    );
    assert_eq!(entry["payload"]["id"], entry["offset"]);
    mission.start().await.expect(200);
    let status = socket.wait_for("mission.status").await;
    assert_eq!(status["payload"], json!({ "id": mission.id, "status": "IN_PROGRESS" }));
    // What is told can be read.
    assert_eq!(mission.show().await["status"], "IN_PROGRESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_may_begin_in_the_past_and_says_when_it_is_there() {
    let (server, _listening, ear) = begin().await;
    let mission = server.mission("past").await;
    let before = mission.journal().await.last().unwrap()["id"].as_str().unwrap().to_owned();
    for number in 0..300 {
        mission.task(&format!("t{number}"), &[]).await;
    }
    let mut socket = ear.socket().await;
    let channel = format!("mission:{}", mission.id);
    socket.say(json!({ "type": "subscribe", "channel": channel, "payload": { "after": before } })).await;
    assert_eq!(socket.next().await.unwrap()["type"], "subscribed");
    let mut titles = vec![];
    let caught_up = loop {
        let frame = socket.next().await.unwrap();
        match frame["type"].as_str().unwrap() {
            "task.created" => titles.push(frame["payload"]["title"].as_str().unwrap().to_owned()),
            "caught_up" => break frame,
            other => panic!("{other}"),
        }
    };
    assert_eq!(titles, (0..300).map(|number| format!("t{number}")).collect::<Vec<_>>());
    assert!(caught_up["payload"]["offset"].as_str().unwrap() > before.as_str());
    mission.task("live", &[]).await;
    assert_eq!(socket.next().await.unwrap()["payload"]["title"], "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_what_is_not_theirs_and_older_clients_are_answered_as_ever() {
    let (server, other, _) = Server::begin().await.with_another_workspace().await;
    let listening = Listening::start(&server.app).await;
    let (address, token, workspace) =
        (listening.address.clone(), server.token.clone(), server.workspace.clone());
    let ear = Ear { address, token, workspace };
    let mut socket = ear.socket().await;
    for channel in [
        &format!("workspace:{other}"),
        "mission:unknown",
        "user:somebody",
        "nonsense",
        "crew:",
        "session:unknown",
    ] {
        socket.say(json!({ "type": "subscribe", "channel": channel })).await;
        let frame = socket.next().await.unwrap();
        let expected = json!({ "message": "access denied", "error": "access denied" });
        assert_eq!((&frame["type"], &frame["payload"]), (&json!("error"), &expected), "{channel}");
        assert_eq!(frame["channel"], *channel);
    }
    // Without a payload a subscription is not acknowledged.
    socket.say(json!({ "type": "subscribe", "channel": format!("workspace:{}", server.workspace) })).await;
    socket.say(json!({ "type": "subscribe", "channel": "providers" })).await;
    socket.say_raw("{").await;
    assert_eq!(socket.next().await.unwrap()["payload"]["message"], "malformed message frame");
    socket.say(json!({ "type": "dance" })).await;
    assert_eq!(socket.next().await.unwrap()["payload"]["message"], "unknown message type: dance");
    server.crew("heard").await;
    assert_eq!(socket.next().await.unwrap()["type"], "crew.created");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_the_socket_and_a_lost_membership_its_subscriptions() {
    let (server, _listening, ear) = begin().await;
    let issued = server.post("/api/v1/auth/cli-token").json(json!({})).send().await.expect(200);
    let mut revoked = Ear { token: issued["token"].as_str().unwrap().into(), ..ear.clone() }.socket().await;
    revoked.subscribe(&format!("workspace:{}", server.workspace)).await;
    server
        .delete(format!("/api/v1/auth/cli-tokens/{}", issued["id"].as_str().unwrap()))
        .send()
        .await
        .expect(200);
    assert_eq!(revoked.next().await.unwrap()["type"], "session_revoked");
    assert_eq!(revoked.next().await, None);
    let token = server.member(Role::Viewer).await;
    let mut removed = Ear { token, ..ear }.socket().await;
    let channel = format!("workspace:{}", server.workspace);
    removed.subscribe(&channel).await;
    let writer = server.app.workspace(&server.workspace.as_str().into()).unwrap();
    let world = writer.world();
    let viewer = world.state.roster.members.values().find(|member| member.role == Role::Viewer).unwrap();
    let command = taffrail_domain::roster::RosterCommand::RemoveMember { member: viewer.id.clone() }.into();
    let wish = taffrail::writer::Wish { command, actor: taffrail_domain::Actor::System, request: None };
    writer.execute(wish).await.unwrap();
    let frame = removed.wait_for("error").await;
    assert_eq!(
        (&frame["channel"], &frame["payload"]["message"]),
        (&json!(channel), &json!("access revoked"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_answered_by_a_worker_and_never_hangs_without_one() {
    let (server, _listening, ear) = begin().await;
    let crew = server.crew("talk").await;
    let agent = server.lead(&crew, "talker").await;
    let opened =
        server.post(format!("/api/v1/agents/{agent}/chats")).json(json!({ "origin": "CLI" })).send().await;
    let chat = opened.expect(201)["id"].as_str().unwrap().to_owned();
    let mut socket = ear.socket().await;
    let channel = format!("session:{chat}");
    // As the client does: without waiting for an answer.
    socket.say(json!({ "type": "subscribe", "channel": channel })).await;
    let say = |content: &str| {
        json!({ "type": "send_message", "channel": format!("agent:{agent}"),
            "payload": { "session_id": chat, "content": content } })
    };
    socket.say(say("hello")).await;
    let refused = socket.wait_for("chat_event").await;
    assert_eq!(refused["payload"]["type"], "error");
    let claim = async |wait: u32| {
        let body = json!({ "wait_seconds": wait });
        server.post("/api/v1/worker/tasks/claim").json(body).send().await
    };
    // A worker is there from its first question on.
    claim(0).await.expect(204);
    socket.say(say("hello again")).await;
    let work = claim(30).await.expect(200);
    assert_eq!(work["purpose"], "CHAT");
    assert!(work["brief"]["prompt"].as_str().unwrap().contains("hello again"));
    let report = json!({ "fence": work["fence"], "status": "COMPLETED", "result_summary": "hello yourself" });
    let path = format!("/api/v1/worker/tasks/{}", work["id"].as_str().unwrap());
    server.patch(path).json(report).send().await.expect(200);
    let said: Vec<Value> = [socket.wait_for("chat_event").await, socket.wait_for("chat_event").await].into();
    assert_eq!(said[0]["payload"]["content"], "hello yourself");
    assert_eq!((&said[1]["payload"]["type"], &said[1]["payload"]["content"]), (&json!("done"), &json!("")));
    let messages = server.get(format!("/api/v1/chats/{chat}/messages")).send().await.expect(200);
    let roles: Vec<_> =
        messages["messages"].as_array().unwrap().iter().map(|one| one["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant"]);
}
