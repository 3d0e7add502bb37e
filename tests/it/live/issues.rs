//! What subscribers of a workspace hear of its issues (`issues.md` 10.4).

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::listeners::{Ear, Listening, Socket};
use crate::http::desk::{Desk, text};
use crate::http::server::Server;

/// What was told on the workspace's channel up to now, in order: sort and payload.
async fn heard(socket: &mut Socket, desk: &Desk<'_>) -> Vec<(String, Value)> {
    static TIMES: AtomicU32 = AtomicU32::new(0);
    // A crew that is changed is the last thing to be heard.
    let path = format!("/api/v1/crews/{}", desk.crew);
    let description = TIMES.fetch_add(1, Ordering::Relaxed).to_string();
    desk.server.patch(path).json(json!({ "description": description })).send().await.expect(200);
    let mut frames = vec![];
    loop {
        let frame = socket.next().await.unwrap();
        if frame["type"] == "crew.updated" {
            return frames;
        }
        assert_eq!(frame["channel"], format!("workspace:{}", desk.server.workspace));
        frames.push((text(&frame["type"]), frame["payload"].clone()));
    }
}

fn kinds(frames: &[(String, Value)]) -> Vec<&str> {
    frames.iter().map(|(kind, _)| kind.as_str()).collect()
}

/// The frames about issues.
fn of_issues(frames: Vec<(String, Value)>) -> Vec<(String, Value)> {
    frames.into_iter().filter(|(kind, _)| kind.starts_with("issue")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wish_about_an_issue_is_told_once_to_its_workspace() {
    let server = Server::begin().await;
    let listening = Listening::start(&server.app).await;
    let (address, token, workspace) =
        (listening.address.clone(), server.token.clone(), server.workspace.clone());
    let ear = Ear { address, token, workspace };
    let desk = server.desk("eng").await;
    let mut socket = ear.socket().await;
    socket.subscribe(&format!("workspace:{}", server.workspace)).await;

    let made = desk.create(json!({ "title": "One" })).await;
    let id = text(&made["id"]);
    let told = |kind: &str, payload: Value| vec![(kind.to_owned(), payload)];
    let created = json!({ "id": id, "identifier": "ENG-1", "title": "One" });
    assert_eq!(heard(&mut socket, &desk).await, told("issue.created", created));
    let named = json!({ "id": id, "identifier": "ENG-1" });
    for patch in [
        json!({ "title": "Two", "priority": "high", "description": "x", "assignee_id": desk.hand }),
        json!({ "estimate": 5 }),
    ] {
        desk.change("ENG-1", patch).await.expect(200);
        assert_eq!(heard(&mut socket, &desk).await, told("issue.updated", named.clone()));
    }
    desk.change("ENG-1", json!({ "status": "TODO" })).await.expect(200);
    let moved = json!({ "id": id, "identifier": "ENG-1", "status": "TODO" });
    assert_eq!(heard(&mut socket, &desk).await, told("issue.updated", moved));
    desk.change("ENG-1", json!({ "title": "Two" })).await.expect(200);
    desk.change("ENG-1", json!({ "title": "" })).await.refused(400, "title is required");
    assert_eq!(heard(&mut socket, &desk).await, [], "what changes nothing is nothing");

    let said = desk.post("ENG-1", "comments", json!({ "body": "a" })).await.text("id");
    assert_eq!(heard(&mut socket, &desk).await, told("issue.updated", named.clone()));
    server.delete(format!("{}/comments/{said}", desk.at("ENG-1"))).send().await.expect(204);
    assert_eq!(heard(&mut socket, &desk).await, told("issue.updated", named.clone()));

    let file = server.upload(&desk.at("ENG-1"), "a.txt", b"a").await.text("id");
    assert_eq!(heard(&mut socket, &desk).await, told("issue.updated", named.clone()));
    server.delete(format!("{}/attachments/{file}", desk.at("ENG-1"))).send().await.expect(200);
    assert_eq!(heard(&mut socket, &desk).await, told("issue.updated", named.clone()));

    // A link is told of at both ends.
    let other = text(&desk.create(json!({ "title": "Other", "parent_issue_id": "ENG-1" })).await["id"]);
    assert_eq!(kinds(&heard(&mut socket, &desk).await), ["issue.created"]);
    let link = json!({ "target_identifier": "ENG-2", "relation_type": "blocks" });
    let link = desk.post("ENG-1", "relations", link).await.text("id");
    let both = vec![
        ("issue.updated".to_owned(), named.clone()),
        ("issue.updated".to_owned(), json!({ "id": other, "identifier": "ENG-2" })),
    ];
    assert_eq!(heard(&mut socket, &desk).await, both);
    server.delete(format!("/api/v1/relations/{link}")).send().await.expect(200);
    assert_eq!(heard(&mut socket, &desk).await, both);

    // Many at once are told of once, with a text for a number.
    desk.bulk(&["ENG-1", "ENG-2"], json!({ "priority": "low" })).await.expect(200);
    assert_eq!(heard(&mut socket, &desk).await, told("issues.bulk_updated", json!({ "count": "2" })));
    desk.bulk(&["ENG-1", "ENG-2"], json!({ "priority": "low" })).await.expect(200);
    assert_eq!(heard(&mut socket, &desk).await, []);

    desk.post("ENG-1", "start", Value::Null).await.expect(200);
    let started = json!({ "id": id, "identifier": "ENG-1", "status": "IN_PROGRESS" });
    let frames = heard(&mut socket, &desk).await;
    assert!(frames.iter().any(|(kind, task)| kind == "task.updated" && task["mission_id"] == json!(id)));
    assert_eq!(of_issues(frames), told("issue.started", started.clone()));
    let work = desk.claim().await;
    desk.report(&work, json!({ "status": "COMPLETED", "result_summary": "done" })).await.expect(200);
    let frames = heard(&mut socket, &desk).await;
    let moved = json!({ "id": id, "crew_id": desk.crew, "title": "Two", "status": "REVIEW" });
    assert!(frames.contains(&("mission.updated".into(), moved)), "{frames:?}");
    let moved = json!({ "id": id, "identifier": "ENG-1", "status": "REVIEW" });
    assert!(frames.contains(&("issue.updated".into(), moved)), "{frames:?}");
    assert_eq!(kinds(&frames).iter().filter(|kind| **kind == "inbox.updated").count(), 1);

    desk.post("ENG-1", "review", json!({ "action": "request_changes" })).await.expect(200);
    let moved = json!({ "id": id, "identifier": "ENG-1", "status": "TODO" });
    assert!(heard(&mut socket, &desk).await.contains(&("issue.updated".into(), moved)));
    desk.post("ENG-1", "start", Value::Null).await.expect(200);
    desk.post("ENG-1", "stop", Value::Null).await.expect(200);
    let frames = of_issues(heard(&mut socket, &desk).await);
    let stopped = json!({ "id": id, "identifier": "ENG-1", "status": "CANCELLED" });
    let both = [("issue.started".to_owned(), started.clone()), ("issue.updated".to_owned(), stopped)];
    assert_eq!(frames, both);
    desk.post("ENG-1", "retry", Value::Null).await.expect(200);
    assert_eq!(of_issues(heard(&mut socket, &desk).await), told("issue.started", started));
    desk.post("ENG-1", "stop", Value::Null).await.expect(200);
    heard(&mut socket, &desk).await;

    // Its parts are told of, and then it is gone.
    desk.delete("ENG-1").await.expect(204);
    let frames = of_issues(heard(&mut socket, &desk).await);
    let gone = vec![
        ("issue.updated".to_owned(), json!({ "id": other, "identifier": "ENG-2" })),
        ("issue.deleted".to_owned(), named),
    ];
    assert_eq!(frames, gone);
}
