//! The journal is all there is (check 20).

use serde_json::{Value, json};

use super::super::desk::text;
use super::super::server::Server;
use super::{begin, list, make};

/// A past with something of everything in it.
async fn live(server: &Server) {
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let label = make(server, "/api/v1/labels", json!({ "name": "bug", "color": "red" })).await;
    let project = make(server, "/api/v1/projects", json!({ "name": "App" })).await;
    let milestones = format!("/api/v1/projects/{project}/milestones");
    let milestone = make(server, &milestones, json!({ "name": "Beta" })).await;
    desk.create(
        json!({ "title": "Whole", "description": "of it", "labels": [label], "milestone_id": milestone }),
    )
    .await;
    desk.create(json!({ "title": "Part", "parent_issue_id": "ENG-1", "due_date": "2026-02-28" })).await;
    other.create(json!({ "title": "Elsewhere", "parent_issue_id": "ENG-1", "estimate": 3 })).await;
    let link = json!({ "target_identifier": "OPS-1", "relation_type": "blocks" });
    desk.post("ENG-1", "relations", link).await.expect(201);
    let said = desk.post("ENG-2", "comments", json!({ "body": "first" })).await.text("id");
    let comment = format!("{}/comments/{said}", desk.at("ENG-2"));
    server.patch(comment).json(json!({ "body": "better" })).send().await.expect(200);
    desk.change("ENG-2", json!({ "assignee_id": desk.hand, "priority": "urgent" })).await.expect(200);
    desk.post("ENG-2", "start", Value::Null).await.expect(200);
    let work = desk.claim().await;
    desk.report(&work, json!({ "status": "COMPLETED", "result_summary": "done" })).await.expect(200);
    let back = json!({ "action": "request_changes", "comment": "again" });
    desk.post("ENG-2", "review", back).await.expect(200);
    desk.bulk(&["ENG-1", "OPS-1"], json!({ "status": "TODO", "priority": "low" })).await.expect(200);
    desk.post("ENG-2", "move", json!({ "after": "ENG-1" })).await.expect(200);
    let gone = desk.issue("Gone").await;
    desk.delete(&gone).await.expect(204);
    for status in ["IN_PROGRESS", "DONE", "BACKLOG"] {
        other.change("OPS-1", json!({ "status": status })).await.expect(200);
    }
    let view = json!({ "name": "Mine", "filters_json": "{}" });
    make(server, "/api/v1/saved-views", view).await;
    let rule = json!({ "name": "A", "pattern": "nothing", "match_type": "exact" });
    make(server, "/api/v1/triage-rules", rule).await;
    let template = json!({ "crew_id": desk.crew, "title": "A", "cron_expression": "0 0 1 1 *" });
    make(server, "/api/v1/recurring-issues", template).await;
}

/// All that can be read of it, with the tags it comes with.
async fn all(server: &Server) -> Vec<(String, Option<String>, Value)> {
    let mut paths: Vec<String> = [
        "issues?sort=created_at",
        "issues?sort=priority",
        "issues?sort=sort_order",
        "issues?status=TODO",
        "issues?label=bug",
        "issues?search=part",
        "issues/search?q=whole",
        "issues/changes",
        "issues/export",
        "labels",
        "projects",
        "saved-views",
        "triage-rules",
        "recurring-issues",
        "runs",
        "journal?order=asc&limit=500",
        "journal/count",
        "journal?entry_type=mission.status_change&limit=500",
    ]
    .iter()
    .map(|path| format!("/api/v1/{path}"))
    .collect();
    for issue in list(server, "/api/v1/issues").await {
        let at = format!("/api/v1/crews/{}/issues/{}", text(&issue["crew_id"]), text(&issue["identifier"]));
        for what in ["", "/subtasks", "/comments", "/relations", "/activity", "/runs", "/state?at=head"] {
            paths.push(format!("{at}{what}"));
        }
    }
    for project in list(server, "/api/v1/projects").await {
        let at = format!("/api/v1/projects/{}", text(&project["id"]));
        paths.extend(["", "/stats", "/milestones"].map(|what| format!("{at}{what}")));
    }
    let mut read = vec![];
    for path in paths {
        let reply = server.get(&*path).send().await;
        let tag = reply.header("etag").map(str::to_owned);
        read.push((path, tag, reply.expect(200)));
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn check_20_a_replay_of_the_journal_is_what_was() {
    let server = begin().await;
    live(&server).await;
    let before = all(&server).await;
    assert_eq!(before.len(), 18 + 3 * 7 + 3);
    let server = server.reopened_without_snapshots().await;
    for (before, after) in before.iter().zip(all(&server).await) {
        assert_eq!(*before, after);
    }
    // And by the snapshot that the replay left.
    let server = server.reopened().await;
    for (before, after) in before.iter().zip(all(&server).await) {
        assert_eq!(*before, after);
    }
    let next = server.post("/api/v1/crews").json(json!({ "name": "Later", "slug": "later" }));
    next.send().await.expect(201);
}
