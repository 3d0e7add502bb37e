//! Projects, labels, order, and issues that come by themselves (checks 16, 17 and 19).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use taffrail::writer::Clock;
use taffrail_domain::Time;
use taffrail_domain::roster::Role;

use super::super::desk::text;
use super::super::server::{Reply, Server};
use super::{begin, entries, list, make};

#[tokio::test(flavor = "multi_thread")]
async fn check_16_a_project_tells_how_far_it_is_and_leaves_its_issues() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    let project = make(&server, "/api/v1/projects", json!({ "name": "App" })).await;
    let path = format!("/api/v1/projects/{project}");
    let milestone = make(&server, &format!("{path}/milestones"), json!({ "name": "Beta" })).await;
    for number in 0..12 {
        let draft = json!({ "title": "x", "project_id": project, "milestone_id": milestone });
        let issue = text(&desk.create(draft).await["identifier"]);
        let way: &[&str] = if number < 8 { &["IN_PROGRESS", "DONE"] } else { &[] };
        for status in way {
            desk.change(&issue, json!({ "status": status })).await.expect(200);
        }
    }
    let shown = server.get(&*path).send().await.expect(200);
    let counts = ["issue_count", "done_count", "progress"].map(|name| shown[name].as_u64().unwrap());
    assert_eq!(counts, [12, 8, 66]);
    server.delete(&*path).send().await.expect(204);
    server.get(&*path).send().await.refused(404, "Project not found");
    let left = desk.list("").await;
    assert_eq!(left.len(), 12);
    for issue in &left {
        assert_eq!((&issue["project_id"], &issue["milestone_id"]), (&Value::Null, &Value::Null));
        assert!(issue.get("project_name").is_none_or(Value::is_null), "{issue}");
    }
    assert_eq!(left.iter().filter(|issue| issue["status"] == "DONE").count(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_17_labels_clash_are_renamed_by_managers_and_detach_when_they_go() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    let manager = server.member(Role::Manager).await;
    let labels = "/api/v1/labels";
    let bug = make(&server, labels, json!({ "name": "bug", "color": "red" })).await;
    let ui = make(&server, labels, json!({ "name": "ui", "color": "blue" })).await;
    let taken = "A label named \"bug\" already exists in this workspace";
    server.post(labels).json(json!({ "name": "bug", "color": "x" })).send().await.refused(409, taken);
    let path = format!("{labels}/{ui}");
    server.patch(&*path).json(json!({ "name": "bug" })).send().await.refused(409, taken);
    make(&server, labels, json!({ "name": "Bug", "color": "x" })).await;

    let renamed = server.patch(&*path).with_token(&manager).json(json!({ "name": "face" })).send().await;
    assert_eq!(renamed.expect(200)["name"], "face");
    server.delete(&*path).with_token(&manager).send().await.refused(403, "Forbidden");

    desk.create(json!({ "title": "x", "labels": [bug, ui] })).await;
    server.delete(format!("{labels}/{bug}")).send().await.expect(204);
    server.delete(format!("{labels}/{bug}")).send().await.refused(404, "Label not found");
    let names: Vec<String> =
        desk.show("ENG-1").await["labels"].as_array().unwrap().iter().map(|l| text(&l["name"])).collect();
    assert_eq!(names, ["face"]);
    assert_eq!(desk.list("label=bug").await.len(), 0);
    // Its name is free again.
    make(&server, labels, json!({ "name": "bug", "color": "red" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_19_the_most_urgent_comes_first_and_pages_do_not_overlap() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    let words = ["low", "none", "urgent", "medium", "high"];
    for number in 0..25 {
        desk.create(json!({ "title": "x", "priority": words[number % words.len()] })).await;
    }
    let whole = desk.list("sort=priority").await;
    let seen: Vec<String> = whole.iter().map(|issue| text(&issue["priority"])).collect();
    let expected: Vec<&str> =
        ["urgent", "high", "medium", "low", "none"].iter().flat_map(|word| [*word; 5]).collect();
    assert_eq!(seen, expected);
    for pair in whole.windows(2).filter(|pair| pair[0]["priority"] == pair[1]["priority"]) {
        assert!(text(&pair[0]["id"]) > text(&pair[1]["id"]), "of equals the greater id is first");
    }
    // However it is cut, and whatever happens to what is not asked for, the row is one row.
    for limit in [1, 4, 7, 10] {
        let mut paged = vec![];
        for offset in (0..25).step_by(limit) {
            paged.extend(desk.list(&format!("sort=priority&limit={limit}&offset={offset}")).await);
        }
        assert_eq!(paged, whole, "{limit} at a time");
    }
    let mut paged = vec![];
    let mut path = "/api/v1/issues?sort=priority&limit=10".to_owned();
    loop {
        let page = server.get(&*path).send().await;
        let next = next_page(&page);
        paged.extend(page.expect(200).as_array().unwrap().clone());
        let Some(next) = next else { break };
        path = next;
    }
    assert_eq!(paged, whole, "by cursor");
}

/// Where the list goes on, if it does.
fn next_page(page: &Reply) -> Option<String> {
    let mut links = page.header("link")?.split(", ");
    links.find_map(|link| Some(link.strip_suffix("; rel=\"next\"")?.trim_matches(['<', '>']).to_owned()))
}

/// A clock that goes where it is told to.
fn clock(from: Time) -> (Clock, impl Fn(u64)) {
    let now = Arc::new(AtomicU64::new(from.0));
    let shown = Arc::clone(&now);
    let clock: Clock = Arc::new(move || Time(shown.load(Ordering::Relaxed)));
    let pass = move |ms| {
        now.fetch_add(ms, Ordering::Relaxed);
    };
    (clock, pass)
}

/// Waits until so many issues are there.
async fn until_issues(server: &Server, count: usize) {
    let writer = server.app.workspace(&server.workspace.as_str().into()).unwrap();
    let mut published = writer.watch();
    drop(published.wait_for(|world| world.state.issues.all.len() >= count).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_issue_comes_once_for_each_time_and_once_for_all_that_were_missed() {
    const MINUTE: u64 = 60_000;
    // A Thursday, ten to nine.
    let (clock, pass) = clock(Time(1_767_862_200_000));
    let server = Server::begin_at(clock).await.on_a_port().await;
    let desk = server.desk("eng").await;
    let label = make(&server, "/api/v1/labels", json!({ "name": "chore", "color": "red" })).await;
    let template = json!({
        "crew_id": desk.crew, "title": "Water the plants", "cron_expression": "0 9 * * *", "priority": "high",
        "assignee_type": "agent", "assignee_id": desk.hand, "labels_json": json!([label]).to_string(),
    });
    let made = server.post("/api/v1/recurring-issues").json(template).send().await.expect(201);
    assert_eq!((&made["next_run"], &made["run_count"]), (&json!("2026-01-08T09:00:00Z"), &json!(0)));
    pass(11 * MINUTE);
    // The engine looks at the clock every half minute, and soon after somebody came.
    desk.agent("AGENT", "another").await;
    until_issues(&server, 1).await;
    let issue = desk.show("ENG-1").await;
    for (name, value) in [
        ("title", json!("Water the plants")),
        ("status", json!("BACKLOG")),
        ("priority", json!("high")),
        ("authored_via", json!("recurring")),
        ("assignee_id", json!(desk.hand)),
        ("created_at", json!("2026-01-08T09:01:00Z")),
    ] {
        assert_eq!(issue[name], value, "{name}");
    }
    assert_eq!(
        (&issue["created_by"]["id"], &issue["labels"][0]["name"]),
        (&json!(server.owner), &json!("chore"))
    );
    assert_eq!(desk.log("ENG-1").await, ["created: Water the plants"]);
    let shown = async |server: &Server| list(server, "/api/v1/recurring-issues").await.remove(0);
    let after = shown(&server).await;
    assert_eq!(
        (&after["next_run"], &after["last_run"], &after["run_count"]),
        (&json!("2026-01-09T09:00:00Z"), &json!("2026-01-08T09:01:00Z"), &json!(1))
    );

    // It stands still for three days: what was missed comes once, by the start itself.
    pass(3 * 24 * 60 * MINUTE);
    let server = server.reopened().await;
    until_issues(&server, 2).await;
    let after = shown(&server).await;
    assert_eq!((&after["next_run"], &after["run_count"]), (&json!("2026-01-12T09:00:00Z"), &json!(2)));
    // Off it is silent; and what has come stays when it goes.
    let path = format!("/api/v1/recurring-issues/{}", text(&made["id"]));
    server.patch(&*path).json(json!({ "enabled": false })).send().await.expect(200);
    pass(2 * 24 * 60 * MINUTE);
    let server = server.reopened().await;
    assert_eq!(shown(&server).await["next_run"], Value::Null);
    server.delete(&*path).send().await.expect(204);
    assert_eq!(list(&server, "/api/v1/issues").await.len(), 2);
    assert_eq!(entries(&server, "mission.created").await, 2);
}
