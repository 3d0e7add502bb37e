//! Issues and each other: parents, parts and links (checks 8, 10, 11 and 13).

use serde_json::{Value, json};

use super::super::desk::{Desk, text};
use super::{begin, entries};

async fn below(desk: &Desk<'_>, issue: &str, parent: &str) -> super::Reply {
    desk.change(issue, json!({ "parent_issue_id": parent })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn check_08_no_door_lets_a_circle_in() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    for title in ["a", "b", "c", "apart"] {
        desk.issue(title).await;
    }
    let circle = "parent_issue_id would create a cycle";
    below(&desk, "ENG-2", "ENG-1").await.expect(200);
    let before = desk.show("ENG-1").await;
    below(&desk, "ENG-1", "ENG-2").await.refused(400, circle);
    below(&desk, "ENG-3", "ENG-2").await.expect(200);
    below(&desk, "ENG-1", "ENG-3").await.refused(400, circle);
    below(&desk, "ENG-1", "ENG-1").await.refused(400, "parent_issue_id cannot be the issue itself");
    assert_eq!(desk.show("ENG-1").await, before, "nothing of it stayed");
    // A file of issues is another door. A circle that stands nonetheless needs a journal that nobody here
    // could have written: the stories hold that it is none of the others' business.
    let rows = ["a", "b"].map(|title| {
        let parent = if title == "a" { "b" } else { "a" };
        json!({ "external_id": title, "title": title, "parent": parent }).to_string()
    });
    let import = server.post(format!("{}/import?format=ndjson", desk.issues())).body(rows.join("\n"));
    let refused = import.send().await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(refused.text("error"), "issue 1: parent_issue_id would create a cycle");
    // What stands apart may go anywhere in the line, and the line under it.
    below(&desk, "ENG-4", "ENG-3").await.expect(200);
    below(&desk, "ENG-4", "ENG-1").await.expect(200);
    below(&desk, "ENG-4", "").await.expect(200);
    let moved = below(&desk, "ENG-1", "ENG-4").await.expect(200);
    assert_eq!(moved["parent_issue_id"], desk.show("ENG-4").await["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_10_sub_issues_stand_whole_and_in_their_order_by_either_name_of_their_parent() {
    let server = begin().await;
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let parent = desk.create(json!({ "title": "Whole" })).await;
    let id = text(&parent["id"]);
    let label = super::make(&server, "/api/v1/labels", json!({ "name": "bug", "color": "red" })).await;
    // Later ones first, and two of one place in the order of their age; one of them of another crew.
    for (desk, title, order) in
        [(&desk, "third", 2.0), (&desk, "first", -1.0), (&other, "second", 0.5), (&desk, "fourth", 2.0)]
    {
        let draft = json!({ "title": title, "parent_issue_id": id, "labels": [label] });
        let made = text(&desk.create(draft).await["identifier"]);
        desk.change(&made, json!({ "sort_order": order })).await.expect(200);
        desk.post(&made, "comments", json!({ "body": "x" })).await.expect(201);
    }
    let parts = desk.read("ENG-1", "subtasks").await;
    assert_eq!(desk.read(&id, "subtasks").await, parts);
    let titles: Vec<String> = parts.iter().map(|part| text(&part["title"])).collect();
    assert_eq!(titles, ["first", "second", "third", "fourth"]);
    for part in &parts {
        let alone = server.get(format!("/api/v1/issues/{}", text(&part["id"]))).send().await.expect(200);
        assert_eq!(*part, alone, "whole, as it is shown alone");
        let counts = (&part["labels"][0]["name"], &part["comment_count"]);
        assert_eq!(counts, (&json!("bug"), &json!(1)));
    }
    let childless = text(&parts[0]["identifier"]);
    assert_eq!(desk.read(&childless, "subtasks").await, Vec::<Value>::new());
    assert_eq!(desk.show("ENG-1").await["sub_issues_count"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_11_a_link_is_made_once_seen_from_both_ends_and_deleted_once() {
    let server = begin().await;
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let (a, b) = (desk.issue("a").await, other.issue("b").await);
    let relate = async |desk: &Desk<'_>, issue: &str, to: &str, how: &str| {
        desk.post(issue, "relations", json!({ "target_identifier": to, "relation_type": how })).await
    };
    let made = relate(&desk, &a, &b, "blocks").await.expect(201);
    assert_eq!(made, json!({ "id": made["id"], "status": "ok" }));
    relate(&other, &b, &a, "blocked_by").await.refused(409, "Relation already exists");
    relate(&desk, &a, &b, "blocks").await.refused(409, "Relation already exists");
    let seen = async |desk: &Desk<'_>, issue: &str| {
        let links = desk.read(issue, "relations").await;
        assert_eq!(links.len(), 1, "{links:?}");
        assert_eq!(links[0]["id"], made["id"]);
        (text(&links[0]["relation_type"]), text(&links[0]["target_identifier"]))
    };
    assert_eq!(seen(&desk, &a).await, ("blocks".into(), "OPS-1".into()));
    assert_eq!(seen(&other, &b).await, ("blocked_by".into(), "ENG-1".into()));
    relate(&desk, &a, &a, "relates_to").await.refused(400, "Cannot relate an issue to itself");
    relate(&desk, &a, "OPS-77", "blocks").await.refused(404, "Target issue not found: OPS-77");
    let path = format!("/api/v1/relations/{}", text(&made["id"]));
    assert_eq!(server.delete(&*path).send().await.expect(200), json!({ "status": "ok" }));
    server.delete(&*path).send().await.refused(404, "Relation not found");
    assert_eq!(other.read(&b, "relations").await, Vec::<Value>::new());
    relate(&other, &b, &a, "blocked_by").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_13_only_what_is_not_begun_is_deleted_and_its_parts_live_on() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    let begun = desk.issue_in("TODO").await;
    desk.delete(&begun).await.refused(400, "Only BACKLOG or CANCELLED issues can be deleted");
    assert_eq!(desk.show(&begun).await["status"], "TODO");
    let parent = desk.issue("Whole").await;
    let mut parts = vec![];
    for title in ["one", "two"] {
        let made = desk.create(json!({ "title": title, "parent_issue_id": parent })).await;
        parts.push(text(&made["identifier"]));
    }
    let deleted = desk.delete(&parent).await;
    assert_eq!((deleted.status, deleted.body), (204, Value::Null));
    desk.delete(&parent).await.refused(404, "Issue not found");
    for part in &parts {
        let shown = desk.show(part).await;
        assert_eq!((&shown["parent_issue_id"], &shown["status"]), (&Value::Null, &json!("BACKLOG")));
        assert_eq!(desk.log(part).await.last().unwrap(), "parent_changed: ");
    }
    assert_eq!(desk.list("").await.len(), 3);
    assert_eq!(entries(&server, "mission.created").await, 4, "what was said of it stays in the journal");
}
