//! What issues were, and how they came to be what they are (`issues.md` 10; check 20).

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::desk::{Desk, text};
use super::server::Server;

/// The journal's entries of an issue, oldest first.
async fn entries(desk: &Desk<'_>, issue: &str) -> Vec<Value> {
    let id = text(&desk.show(issue).await["id"]);
    let path = format!("/api/v1/journal?mission_id={id}&order=asc&limit=500");
    desk.server.get(path).send().await.expect(200)["entries"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_what_changed_in_the_words_of_the_page_and_nothing_that_did_not() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let (issue, parent) = (desk.issue("One").await, desk.issue("Parent").await);
    let change = async |patch: Value| drop(desk.change(&issue, patch).await.expect(200));
    change(json!({ "status": "TODO" })).await;
    change(json!({ "assignee_id": desk.hand })).await;
    change(json!({ "assignee_id": desk.hand, "priority": "none" })).await;
    change(json!({ "priority": "urgent", "status": "IN_PROGRESS" })).await;
    change(json!({ "assignee_id": "" })).await;
    change(json!({ "description": "žluťoučký" })).await;
    change(json!({ "description": "kůň" })).await;
    change(json!({ "description": "kůň" })).await;
    change(json!({ "description": "" })).await;
    change(json!({ "parent_issue_id": parent })).await;
    change(json!({ "parent_issue_id": "" })).await;
    change(json!({ "title": "Two", "due_date": "2026-01-01", "estimate": 3, "sort_order": 4.0 })).await;
    desk.bulk(&[&issue], json!({ "status": "DONE", "priority": "low" })).await.expect(200);
    let log = desk.log(&issue).await;
    let expected = [
        "created: One".into(),
        "status_changed: BACKLOG → TODO".into(),
        format!("assignee_changed: assignee_id: {}", desk.hand),
        "status_changed: TODO → IN_PROGRESS".into(),
        "priority_changed: urgent".into(),
        "assignee_changed: assignee_id: ".into(),
        "description_changed: description set (9 chars)".into(),
        "description_changed: description updated (9 → 3 chars)".into(),
        "description_changed: description cleared (was 3 chars)".into(),
        "parent_changed: ENG-2".into(),
        "parent_changed: ".into(),
        "status_changed: IN_PROGRESS -> DONE (bulk)".into(),
        "priority_changed: low (bulk)".into(),
    ];
    assert_eq!(log, expected);

    // Each line is an entry of the journal, which automations read by these keys.
    let lines = desk.read(&issue, "activity").await;
    let keys =
        ["action", "actor_id", "actor_name", "actor_type", "created_at", "details", "id", "mission_id"];
    assert_eq!(lines[0].as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!((&lines[0]["actor_type"], &lines[0]["actor_name"]), (&json!("user"), &json!("Ada Lovelace")));
    let entries = entries(&desk, &issue).await;
    // Other changes are told by entries that are no lines.
    let entries: Vec<_> =
        entries.into_iter().filter(|entry| entry["payload"]["action"] != "updated").collect();
    assert_eq!(entries.len(), lines.len());
    for (entry, line) in entries.iter().zip(lines.iter().rev()) {
        assert_eq!((&entry["id"], &entry["payload"]["action"]), (&line["id"], &line["action"]));
        assert_eq!(entry["payload"]["details"], line["details"]);
        assert_eq!(
            (&entry["refs"]["activity_id"], &entry["refs"]["mission_id"]),
            (&line["id"], &line["mission_id"])
        );
        let kind = match &*text(&line["action"]) {
            "created" => "mission.created",
            "assignee_changed" => "mission.assigned",
            _ => "mission.status_change",
        };
        assert_eq!(entry["entry_type"], kind);
        let summary = match &*text(&line["details"]) {
            "" => text(&line["action"]),
            details => format!("{}: {details}", text(&line["action"])),
        };
        assert_eq!(entry["summary"], summary);
    }
    let moved = &entries[1]["payload"];
    assert_eq!((&moved["from"], &moved["to"]), (&json!("BACKLOG"), &json!("TODO")));
    desk.post(&issue, "comments", json!({ "body": "x".repeat(300) })).await.expect(201);
    let path = "/api/v1/journal?entry_type=mission.comment";
    let said = server.get(path).send().await.expect(200)["entries"][0]["payload"].clone();
    assert_eq!((text(&said["body"]).len(), &said["mission_id"]), (200, &lines[0]["mission_id"]));
    let journal = server.get("/api/v1/journal?limit=500").send().await.expect(200).to_string();
    assert!(!journal.contains("luťoučký"), "a description is nobody's business");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_in_pages_and_names_its_actors_while_they_are_there() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.issue("One").await;
    let manager = server.member(Role::Manager).await;
    for number in 0..119 {
        let priority = if number % 2 == 0 { "low" } else { "high" };
        let asking = server.patch(desk.at(&issue)).with_token(&manager);
        asking.json(json!({ "priority": priority })).send().await.expect(200);
    }
    let all = async |query: &str| desk.read(&issue, &format!("activity?{query}")).await;
    assert_eq!(all("").await.len(), 50);
    for (query, count) in [("limit=0", 50), ("limit=x", 50), ("limit=7", 7), ("limit=1000", 100)] {
        assert_eq!(all(query).await.len(), count, "{query}");
    }
    let first = all("limit=100").await;
    let rest = all(&format!("limit=100&before={}", text(&first[99]["id"]))).await;
    assert_eq!(rest.len(), 20);
    assert_eq!((&rest[19]["action"], &rest[19]["actor_name"]), (&json!("created"), &json!("Ada Lovelace")));
    assert!(all(&format!("before={}", text(&rest[19]["id"]))).await.is_empty());
    let mut ids: Vec<String> = first.iter().chain(&rest).map(|line| text(&line["id"])).collect();
    assert!(ids.is_sorted_by(|one, other| one > other), "newest first");
    ids.dedup();
    assert_eq!(ids.len(), 120);
    let at = format!("{}/activity", desk.at(&issue));
    server.get(format!("{at}?before=nonsense")).send().await.refused(400, "bad before");
    server.get(format!("{}/activity", desk.at("ENG-9"))).send().await.refused(404, "Issue not found");
    assert_eq!(server.get(&*at).send().await.header("x-total-count"), Some("120"));
    assert_eq!(first[0]["actor_name"], "manager");
    let writer = server.app.workspace(&server.workspace.as_str().into()).unwrap();
    let world = writer.world();
    let member = world.state.roster.members.values().find(|member| member.role == Role::Manager).unwrap();
    let command = taffrail_domain::roster::RosterCommand::RemoveMember { member: member.id.clone() }.into();
    let wish = taffrail::writer::Wish { command, actor: taffrail_domain::Actor::System, request: None };
    writer.execute(wish).await.unwrap();
    let line = all("limit=1").await.remove(0);
    assert!(line.get("actor_name").is_none() && line["actor_id"] == first[0]["actor_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_shown_as_it_was_at_an_entry_a_checkpoint_and_a_time() {
    let server = Server::begin().await;
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let before_it_all = "2020-01-01T00:00:00Z";
    let issue = desk.assigned("One").await;
    let id = text(&desk.show(&issue).await["id"]);
    let foreign = other.issue("Other").await;
    let state = async |at: &str| server.get(format!("{}/state?at={at}", desk.at(&issue))).send().await;
    let last = async || text(&entries(&desk, &issue).await.last().unwrap()["id"]);
    let mut points = vec![(last().await, desk.show(&issue).await)];
    for patch in [
        json!({ "status": "TODO" }),
        json!({ "priority": "high", "title": "Two" }),
        json!({ "assignee_id": "" }),
    ] {
        desk.change(&issue, patch).await.expect(200);
        points.push((last().await, desk.show(&issue).await));
    }
    let checkpoint =
        server.post(format!("/api/v1/missions/{id}/checkpoints")).json(json!({ "label": "x" })).send().await;
    let checkpoint = checkpoint.text("id");
    let (_, marked) = points.last().unwrap().clone();
    desk.change(&issue, json!({ "assignee_id": desk.hand })).await.expect(200);
    desk.post(&issue, "start", Value::Null).await.expect(200);
    desk.post(&issue, "comments", json!({ "body": "a" })).await.expect(201);
    points.push((last().await, desk.show(&issue).await));
    desk.change(&issue, json!({ "status": "DONE" })).await.expect(200);
    for (at, shown) in &points {
        let then = state(at).await.expect(200);
        for (name, value) in shown.as_object().unwrap() {
            assert_eq!(then[name], *value, "{name} at {at}");
        }
        assert_eq!(then["offset"], *at);
        assert!(text(&then["state_hash"]).starts_with("h1:"));
    }
    let then = state(&checkpoint).await.expect(200);
    assert_eq!(
        (&then["status"], &then["assignee_id"], &then["tasks"]),
        (&marked["status"], &Value::Null, &json!([]))
    );
    let now = state("head").await.expect(200);
    assert_eq!((&now["status"], now["tasks"].as_array().unwrap().len()), (&json!("DONE"), 1));
    assert_eq!(state("9000-01-01T00:00:00Z").await.expect(200), now);

    let not_here = "at is not in the life of this issue";
    state(before_it_all).await.refused(409, not_here);
    let elsewhere = text(&entries(&other, &foreign).await[0]["id"]);
    state(&elsewhere).await.refused(409, not_here);
    let mission = server.mission("mission").await;
    let own = mission.checkpoint_after_a_task().await;
    state(&own).await.refused(409, not_here);
    state("chk_0000000000000000").await.refused(404, "checkpoint not found");
    state("j_0000000000000001").await.refused(404, "entry not found");
    assert_eq!(state("").await.body["error"], "at is required");
    for bad in ["yesterday", "j_x", "2026-01-01"] {
        assert_eq!(state(bad).await.status, 400, "{bad}");
    }
    let unknown = server.get(format!("{}/state?at=head", other.at(&issue))).send().await;
    unknown.refused(404, "Issue not found");

    let diff = async |query: &str| server.get(format!("{}/diff?{query}", desk.at(&issue))).send().await;
    diff("").await.refused(400, "from is required");
    diff(&format!("from={before_it_all}")).await.refused(409, "from is not in the life of this issue");
    let elsewhere = diff(&format!("from={}&to={elsewhere}", points[0].0)).await;
    elsewhere.refused(409, "to is not in the life of this issue");
    diff("from=chk_0000000000000000").await.refused(404, "checkpoint not found");
    let same = diff(&format!("from={}&to={}", points[1].0, points[1].0)).await.expect(200);
    assert_eq!((&same["fields"], &same["entries"]), (&json!([]), &json!(0)));
    let told = diff(&format!("from={}&to={}", points[0].0, points[2].0)).await.expect(200);
    let fields: Vec<(String, Value, Value)> = told["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| (text(&field["field"]), field["from"].clone(), field["to"].clone()))
        .collect();
    let expected = [
        ("priority".into(), json!("none"), json!("high")),
        ("status".into(), json!("BACKLOG"), json!("TODO")),
        ("title".into(), json!("One"), json!("Two")),
    ];
    assert_eq!(fields, expected);
    let first = state(&points[0].0).await.expect(200);
    assert_eq!(told["from"], json!({ "offset": points[0].0, "state_hash": first["state_hash"] }));
    let to_head = diff(&format!("from={checkpoint}")).await.expect(200);
    assert_eq!(to_head["tasks"]["added"], json!([now["tasks"][0]["id"]]));
    assert_eq!(to_head["to"]["state_hash"], now["state_hash"]);
    let back = diff(&format!("from=head&to={checkpoint}")).await.expect(200);
    assert_eq!(
        (&back["tasks"]["removed"], &back["entries"]),
        (&to_head["tasks"]["added"], &to_head["entries"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_are_the_same_after_a_start_with_and_without_snapshots() {
    let server = Server::begin().await;
    let crew = {
        let desk = server.desk("eng").await;
        let (one, two) = (desk.assigned("One").await, desk.issue("Two").await);
        desk.change(&two, json!({ "parent_issue_id": one, "due_date": "2026-01-01", "priority": "high" }))
            .await
            .expect(200);
        desk.post(&one, "comments", json!({ "body": "a" })).await.expect(201);
        let link = json!({ "target_identifier": two, "relation_type": "blocks" });
        desk.post(&one, "relations", link).await.expect(201);
        desk.post(&one, "start", Value::Null).await.expect(200);
        let work = desk.claim().await;
        desk.report(&work, json!({ "status": "COMPLETED", "result_summary": "done" })).await.expect(200);
        let gone = desk.issue("Three").await;
        desk.delete(&gone).await.expect(204);
        desk.crew.clone()
    };
    async fn all(server: &Server, crew: &str) -> Vec<Value> {
        let mut shown = vec![];
        for path in [
            "?sort=priority",
            "?due_before=2027-01-01",
            "?order=asc&limit=1",
            "/changes",
            "/ENG-1",
            "/export",
        ] {
            let reply = server.get(format!("/api/v1/issues{path}")).send().await;
            shown.extend([json!(reply.header("x-next-cursor")), json!(reply.header("etag"))]);
            shown.push(reply.expect(200));
        }
        for path in ["subtasks", "comments", "relations", "activity", "runs", "state?at=head"] {
            let path = format!("/api/v1/crews/{crew}/issues/ENG-1/{path}");
            shown.push(server.get(path).send().await.expect(200));
        }
        shown.push(server.get("/api/v1/journal?limit=500").send().await.expect(200));
        shown
    }
    let before = all(&server, &crew).await;
    let server = server.reopened().await;
    assert_eq!(all(&server, &crew).await, before);
    let server = server.reopened_without_snapshots().await;
    assert_eq!(all(&server, &crew).await, before);
    let made = server.post(format!("/api/v1/crews/{crew}/issues")).json(json!({ "title": "a" })).send().await;
    assert_eq!(made.text("identifier"), "ENG-4", "what is gone keeps its number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_under_one_name_acts_once_also_when_its_issue_is_gone() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let (one, two) = (desk.assigned("One").await, desk.issue("Two").await);
    let said = desk.post(&one, "comments", json!({ "body": "first" })).await.text("id");
    let gone_comment = desk.post(&two, "comments", json!({ "body": "brief" })).await.text("id");
    let at = |issue: &str, what: &str| format!("{}{what}", desk.at(issue));
    let link = json!({ "target_identifier": two, "relation_type": "blocks" });
    let writes = [
        ("POST", desk.issues(), json!({ "title": "Three", "parent_issue_id": one })),
        ("PATCH", at(&one, ""), json!({ "title": "Changed" })),
        ("POST", at(&one, "/comments"), json!({ "body": "said" })),
        ("PATCH", at(&one, &format!("/comments/{said}")), json!({ "body": "better" })),
        ("DELETE", at(&two, &format!("/comments/{gone_comment}")), json!({})),
        ("POST", at(&one, "/relations"), link),
        ("POST", at(&one, "/move"), json!({ "after": two })),
        (
            "PATCH",
            "/api/v1/issues/bulk?detail=1".into(),
            json!({ "ids": [one, two, "x"], "updates": { "priority": "high" } }),
        ),
        ("POST", at(&one, "/start"), json!({})),
        ("POST", at(&one, "/review"), json!({ "action": "request_changes" })),
        ("POST", at(&one, "/start"), json!({ "again": true })),
        ("POST", at(&one, "/stop"), json!({})),
        ("POST", at(&one, "/retry"), json!({})),
        ("POST", format!("{}/import", desk.issues()), json!({ "title": "Four", "external_id": "x-4" })),
    ];
    let send = async |number: usize, (method, path, body): &(&str, String, Value)| {
        let asking =
            server.ask(method.parse().unwrap(), path).header("idempotency-key", format!("key-{number}"));
        asking.json(body.clone()).send().await
    };
    let mut first = vec![];
    for (number, write) in writes.iter().enumerate() {
        let reply = send(number, write).await;
        assert!(reply.status < 300, "{write:?}: {reply:?}");
        first.push(reply);
    }
    let again = send(0, &("POST", desk.issues(), json!({ "title": "Other" }))).await;
    assert_eq!(again.status, 422, "{again:?}");
    let count = desk.list("").await.len();
    for round in ["here", "gone"] {
        if round == "gone" {
            desk.post(&one, "stop", Value::Null).await.expect(200);
            let path = at(&one, &format!("/comments/{said}"));
            server.delete(path).send().await.expect(204);
            for issue in [&one, &two] {
                desk.delete(issue).await.expect(204);
            }
            desk.delete("ENG-3").await.expect(204);
        }
        for (number, (write, first)) in writes.iter().zip(&first).enumerate() {
            let again = send(number, write).await;
            let shown = format!("{round}: {write:?}: {again:?}");
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{shown}");
            assert_eq!(again.header("taffrail-cursor"), first.header("taffrail-cursor"), "{shown}");
            assert_eq!(again.status, first.status, "{shown}");
            for name in ["id", "identifier", "updated", "action", "created"] {
                assert_eq!(again.body[name], first.body[name], "{shown}");
            }
            if round == "gone" && write.1.contains("/comments") {
                assert_eq!(again.body["body"], first.body["body"], "{shown}");
            }
        }
        assert_eq!(desk.list("").await.len(), if round == "here" { count } else { count - 3 });
    }
    let gone = desk.issue("Five").await;
    let delete = async || server.delete(desk.at(&gone)).header("idempotency-key", "del").send().await;
    assert_eq!(delete().await.status, 204);
    let again = delete().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (204, Some("true")));
}
