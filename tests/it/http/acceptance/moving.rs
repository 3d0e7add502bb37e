//! Statuses and patches (checks 5 to 7).

use serde_json::{Value, json};

use super::super::desk::{STATUSES, allowed, text};
use super::{Channel, begin, make};

#[tokio::test(flavor = "multi_thread")]
async fn check_05_every_cell_of_the_table_by_patch_and_by_bulk() {
    let server = begin().await;
    let desk = server.desk("table").await;
    for from in STATUSES {
        for to in STATUSES {
            let is_legal = allowed(from).contains(&to);
            let refusal = format!("Invalid status transition from {from} to {to}");
            let issue = desk.issue_in(from).await;
            let before = desk.show(&issue).await;
            let reply = desk.change(&issue, json!({ "status": to })).await;
            if is_legal {
                assert_eq!(reply.expect(200)["status"], to, "{from} to {to}");
                assert_eq!(*desk.log(&issue).await.last().unwrap(), format!("status_changed: {from} → {to}"));
            } else {
                reply.refused(400, &refusal);
                assert_eq!(desk.show(&issue).await, before, "{from} to {to}");
            }

            let issue = desk.issue_in(from).await;
            let before = desk.show(&issue).await;
            let told = desk.bulk(&[&issue], json!({ "status": to })).await.expect(200);
            assert_eq!(told["updated"], u64::from(is_legal), "{from} to {to}");
            if is_legal {
                assert_eq!(desk.show(&issue).await["status"], to);
                let line = format!("status_changed: {from} -> {to} (bulk)");
                assert_eq!(*desk.log(&issue).await.last().unwrap(), line);
            } else {
                assert_eq!(desk.show(&issue).await, before, "{from} to {to}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_06_done_stamps_the_time_and_the_way_back_clears_it() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.issue_in("REVIEW").await;
    assert_eq!(desk.show(&issue).await["completed_at"], Value::Null);
    let done = desk.change(&issue, json!({ "status": "DONE" })).await.expect(200);
    let at = text(&done["completed_at"]);
    assert!(at.len() == 20 && at.ends_with('Z') && at >= text(&done["created_at"]), "{at}");
    let back = desk.change(&issue, json!({ "status": "BACKLOG" })).await.expect(200);
    assert_eq!((&back["status"], &back["completed_at"]), (&json!("BACKLOG"), &Value::Null));
    // Many at once are no exception, nor is the other end.
    let issue = desk.issue_in("REVIEW").await;
    desk.bulk(&[&issue], json!({ "status": "CANCELLED" })).await.expect(200);
    assert!(desk.show(&issue).await["completed_at"].is_string());
    desk.bulk(&[&issue], json!({ "status": "TODO" })).await.expect(200);
    assert_eq!(desk.show(&issue).await["completed_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_07_an_empty_patch_is_refused_and_labels_alone_are_a_change() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    let label = make(&server, "/api/v1/labels", json!({ "name": "bug", "color": "red" })).await;
    let made = desk.create(json!({ "title": "One", "labels": [label] })).await;
    assert_eq!(made["labels"].as_array().unwrap().len(), 1);
    let mut channel = Channel::of(&desk).await;
    for nothing in [json!({}), json!({ "description": null })] {
        desk.change("ENG-1", nothing).await.refused(400, "No fields to update");
    }
    assert_eq!(desk.show("ENG-1").await, made);
    assert_eq!(channel.heard().await, []);
    let bare = desk.change("ENG-1", json!({ "labels": [] })).await.expect(200);
    assert_eq!(bare["labels"], json!([]));
    assert_eq!(desk.show("ENG-1").await, bare);
    let told = ("issue.updated".to_owned(), json!({ "id": made["id"], "identifier": "ENG-1" }));
    assert_eq!(channel.heard().await, [told]);
}
