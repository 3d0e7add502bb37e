//! Many callers at once: one order for all of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::server::{Reply, Server};

/// Runs `count` requests at once and gathers the answers.
async fn at_once<F>(count: usize, ask: impl Fn(usize) -> F) -> Vec<Reply>
where
    F: Future<Output = Reply> + Send + 'static,
{
    let mut asked = JoinSet::new();
    (0..count).for_each(|number| drop(asked.spawn(ask(number))));
    asked.join_all().await
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

fn shared(server: Server) -> &'static Server {
    // Tasks need it for as long as they like; the test process ends with them.
    Box::leak(Box::new(server))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_starts_at_once_one_starts_the_mission() {
    let server = shared(Server::begin().await);
    let path = format!("{}/start", server.mission("race").await.path());
    let replies = at_once(50, |_| server.post(&*path).send()).await;
    assert_eq!(count(&replies, 200), 1);
    assert_eq!(count(&replies, 409) + count(&replies, 400), 49);
    let lost = replies.iter().filter(|reply| reply.status == 409);
    lost.for_each(|reply| reply.refused(409, "Mission was already started by another request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_tasks_created_at_once_stand_in_one_row() {
    let server = shared(Server::begin().await);
    let mission = server.mission("many").await;
    let path = format!("{}/tasks", mission.path());
    let replies =
        at_once(200, |number| server.post(&*path).json(json!({ "title": number.to_string() })).send()).await;
    assert_eq!(count(&replies, 201), 200);
    let shown = mission.show().await;
    assert_eq!((shown["tasks"].as_array().unwrap().len(), &shown["task_stats"]["total"]), (200, &json!(200)));
    let told: BTreeSet<String> =
        replies.iter().map(|reply| reply.header("taffrail-cursor").unwrap().to_owned()).collect();
    let journal: Vec<Value> = mission.journal().await;
    let ids: Vec<&str> = journal[1..].iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert!(told.iter().eq(ids.iter()));
    let number = |id: &str| u64::from_str_radix(&id[2..], 16).unwrap();
    assert!(ids.windows(2).all(|pair| number(pair[1]) == number(pair[0]) + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_crews_with_one_slug_one_gets_it() {
    let server = shared(Server::begin().await);
    let body = json!({ "name": "Twin", "slug": "twin" });
    let replies = at_once(2, |_| server.post("/api/v1/crews").json(body.clone()).send()).await;
    assert_eq!((count(&replies, 201), count(&replies, 409)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_promotions_at_once_leave_one_lead() {
    let server = shared(Server::begin().await);
    let crew = server.crew("leads").await;
    let mut agents = vec![];
    for slug in ["left", "right"] {
        let body = json!({ "name": slug, "slug": slug, "crew_id": crew });
        let agent = server.post("/api/v1/agents").json(body).send().await.expect(201);
        agents.push(format!("/api/v1/agents/{}", agent["id"].as_str().unwrap()));
    }
    let lead = json!({ "agent_role": "LEAD" });
    let replies = at_once(2, |number| server.patch(&*agents[number]).json(lead.clone()).send()).await;
    assert_eq!(count(&replies, 200), 2);
    let list = server.get(format!("/api/v1/agents?crew_id={crew}")).send().await.expect(200);
    let leads = list.as_array().unwrap().iter().filter(|agent| agent["agent_role"] == "LEAD").count();
    assert_eq!(leads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_named_request_sent_many_times_at_once_acts_once() {
    let server = shared(Server::begin().await);
    let body = json!({ "name": "Once", "slug": "once" });
    let ask = |_| server.post("/api/v1/crews").header("idempotency-key", "k").json(body.clone()).send();
    let replies = at_once(20, ask).await;
    assert_eq!(count(&replies, 201), 20);
    let ids: BTreeSet<String> = replies.iter().map(|reply| reply.text("id")).collect();
    assert_eq!(ids.len(), 1);
    let firsts = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).count();
    assert_eq!(firsts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_racing_a_start_never_deletes_a_running_mission() {
    let server = shared(Server::begin().await);
    let first = server.mission("gone").await;
    for number in 0..10 {
        let mission = first.another(&number.to_string()).await;
        let (start, delete) = tokio::join!(mission.start(), server.delete(mission.path()).send());
        match (start.status, delete.status) {
            (200, 400) => assert_eq!(mission.show().await["status"], "IN_PROGRESS"),
            (404, 204) => server.get(mission.path()).send().await.refused(404, "Mission not found"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pages_while_others_write_misses_nothing_and_sees_nothing_twice() {
    const TASKS: usize = 300;
    let server = shared(Server::begin().await);
    let mission = server.mission("paged").await;
    let tasks = format!("{}/tasks", mission.path());
    let writing =
        tokio::spawn(at_once(TASKS, move |_| server.post(&*tasks).json(json!({ "title": "t" })).send()));
    let (mut seen, mut after) = (vec![], String::new());
    while seen.len() < TASKS {
        let path = format!("/api/v1/journal?entry_type=task.created&order=asc&limit=7&after={after}");
        let page = server.get(path).send().await.expect(200);
        let ids =
            page["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        after = seen.last().cloned().unwrap_or_default();
    }
    assert_eq!(count(&writing.await.unwrap(), 201), TASKS);
    let total = server.get("/api/v1/journal/count?entry_type=task.created").send().await.expect(200);
    assert_eq!(total["total"], json!(seen.len()));
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_issues_created_at_once_have_a_hundred_numbers_in_a_row() {
    let server = shared(Server::begin().await);
    // Both begin with the same three letters, and share one row of numbers.
    let crews = [server.desk("engineering").await.issues(), server.desk("engine").await.issues()];
    let ask = |number: usize| server.post(&*crews[number % 2]).json(json!({ "title": "t" })).send();
    let replies = at_once(100, ask).await;
    assert_eq!(count(&replies, 201), 100);
    let numbers: BTreeSet<u64> = replies.iter().map(|reply| reply.body["number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=100), "{numbers:?}");
    assert!(replies.iter().all(|reply| reply.text("identifier") == format!("ENG-{}", reply.body["number"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_approval_and_a_stop_at_once_one_decides() {
    let server = shared(Server::begin().await);
    let desk = server.desk("eng").await;
    for _ in 0..10 {
        let issue = desk.issue_in("REVIEW").await;
        let approve = desk.post(&issue, "review", json!({ "action": "approve" }));
        let (approved, stopped) = tokio::join!(approve, desk.post(&issue, "stop", Value::Null));
        let status = desk.show(&issue).await["status"].clone();
        match (approved.status, stopped.status) {
            (200, 400) => assert_eq!(status, "DONE"),
            (400, 200) => assert_eq!(status, "CANCELLED"),
            other => panic!("{other:?}"),
        }
    }
}
