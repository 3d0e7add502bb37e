//! How issues come into being (checks 1 to 4).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::super::desk::{Desk, text};
use super::{begin, begin_with_another, entries};

#[tokio::test(flavor = "multi_thread")]
async fn check_01_the_first_issue_is_number_one_of_its_prefix_and_waits_in_the_backlog() {
    let server = begin().await;
    let desk = server.desk("engineering").await;
    let made = desk.try_create(json!({ "title": "First" })).await.expect(201);
    let expected = json!({
        "identifier": "ENG-1", "number": 1, "status": "BACKLOG", "priority": "none", "labels": [],
        "created_by": { "type": "user", "id": server.owner, "name": "Ada Lovelace" },
        "authored_via": "user_api",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    assert_eq!(server.get("/api/v1/issues/ENG-1").send().await.expect(200), made);
}

/// So many creates at once, to these crews in turn: the numbers they got.
async fn created_at_once(desks: &[&Desk<'_>], count: usize) -> BTreeSet<u64> {
    let asked = (0..count).map(|number| {
        let desk = desks[number % desks.len()];
        desk.try_create(json!({ "title": format!("Issue {number}") }))
    });
    let made: Vec<Value> = join_all(asked).await.into_iter().map(|reply| reply.expect(201)).collect();
    let numbers: BTreeSet<u64> = made.iter().map(|issue| issue["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), count, "a number was given twice");
    for issue in &made {
        assert_eq!(issue["identifier"], format!("ENG-{}", issue["number"]));
    }
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn check_02_crews_with_one_prefix_share_one_row_of_numbers() {
    let server = begin().await;
    let (one, two) = (server.desk("engineering").await, server.desk("engine").await);
    let made = [one.issue("a").await, two.issue("b").await, one.issue("c").await];
    assert_eq!(made, ["ENG-1", "ENG-2", "ENG-3"]);
    let numbers = created_at_once(&[&one, &two], 50).await;
    assert!(numbers.iter().copied().eq(4..=53), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_creates_at_once_over_a_port_leave_no_gap_and_no_twin() {
    let server = begin().await;
    let (one, two) = (server.desk("engineering").await, server.desk("engine").await);
    let numbers = created_at_once(&[&one, &two], 100).await;
    assert!(numbers.iter().copied().eq(1..=100), "{numbers:?}");
    assert_eq!(entries(&server, "mission.created").await, 100);
    // The row goes on where it was, also after a start that folds everything anew.
    let crew = one.crew.clone();
    let server = server.reopened_without_snapshots().await;
    let next = server.post(format!("/api/v1/crews/{crew}/issues")).json(json!({ "title": "Next" }));
    assert_eq!(next.send().await.expect(201)["identifier"], "ENG-101");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_03_the_number_of_a_deleted_issue_is_not_given_again() {
    let server = begin().await;
    let desk = server.desk("engineering").await;
    let (_, highest) = (desk.issue("a").await, desk.issue("b").await);
    desk.delete(&highest).await.expect(204);
    assert_eq!(desk.issue("c").await, "ENG-3");
    desk.delete("ENG-3").await.expect(204);
    let issues = desk.issues();
    let server = server.reopened_without_snapshots().await;
    let next = server.post(issues).json(json!({ "title": "d" })).send().await.expect(201);
    assert_eq!(next["identifier"], "ENG-4", "nor after a start");
    server.get("/api/v1/issues/ENG-3").send().await.refused(404, "Issue not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_04_a_refused_create_leaves_nothing_behind() {
    let (server, elsewhere) = begin_with_another().await;
    let desk = server.desk("engineering").await;
    let headless = server.crew("headless").await;
    let post = async |crew: &str, body: Value| {
        server.post(format!("/api/v1/crews/{crew}/issues")).json(body).send().await
    };
    let (crew, titled) = (&*desk.crew, json!({ "title": "x" }));
    let before = server.get("/api/v1/journal/count").send().await.expect(200);
    post(&headless, titled.clone()).await.refused(400, "Crew has no lead agent");
    post("cunknown", titled.clone()).await.refused(404, "Crew not found");
    post(&elsewhere.crew, titled.clone()).await.refused(404, "Crew not found");
    let alone = "routine_inputs provided without routine_id";
    for inputs in [json!({}), json!({ "a": 1 })] {
        post(crew, json!({ "title": "x", "routine_inputs": inputs })).await.refused(400, alone);
    }
    let nowhere = "parent_issue_id does not exist in this workspace";
    for parent in [&*elsewhere.issue, "THE-1", "cunknown"] {
        post(crew, json!({ "title": "x", "parent_issue_id": parent })).await.refused(400, nowhere);
    }
    assert_eq!(desk.list("").await, Vec::<Value>::new());
    assert_eq!(server.get("/api/v1/journal/count").send().await.expect(200), before, "nothing is persisted");
    let made = desk.create(titled).await;
    assert_eq!(text(&made["identifier"]), "ENG-1");
    assert_eq!(desk.issue("y").await, "ENG-2");
}
