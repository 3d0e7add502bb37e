//! Issues and what people do with them (`issues.md` 3 to 9, 11; checks 1 to 13, 18).

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::desk::{Desk, STATUSES, allowed, text};
use super::server::Server;

/// Every member of an issue that nothing is bound to, of section 3.
const MEMBERS: [&str; 31] = [
    "id",
    "workspace_id",
    "crew_id",
    "crew_name",
    "crew_slug",
    "number",
    "identifier",
    "title",
    "description",
    "status",
    "priority",
    "assignee_type",
    "assignee_id",
    "created_by",
    "authored_via",
    "due_date",
    "sort_order",
    "mission_type",
    "lead_agent_id",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "labels",
    "project_id",
    "estimate",
    "parent_issue_id",
    "milestone_id",
    "sub_issues_count",
    "comment_count",
    "version",
];

fn members(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_issue_has_everything_an_issue_has_and_is_the_same_wherever_it_is_shown() {
    let server = Server::begin().await;
    let desk = server.desk("engineering").await;
    let made = desk.try_create(json!({ "title": "  Mend it ", "status": "DONE", "number": 9 })).await;
    let tag = made.header("etag").unwrap().to_owned();
    assert!(made.header("taffrail-cursor").is_some());
    let made = made.expect(201);
    assert_eq!(members(&made), MEMBERS.into());
    for unset in [
        "description",
        "assignee_type",
        "assignee_id",
        "due_date",
        "started_at",
        "completed_at",
        "project_id",
        "estimate",
        "parent_issue_id",
        "milestone_id",
    ] {
        assert_eq!(made[unset], Value::Null, "{unset}");
    }
    let expected = json!({
        "identifier": "ENG-1", "number": 1, "title": "Mend it", "status": "BACKLOG", "priority": "none",
        "labels": [], "mission_type": "issue", "authored_via": "user_api", "sort_order": 0.0,
        "sub_issues_count": 0, "comment_count": 0, "lead_agent_id": desk.lead, "crew_id": desk.crew,
        "crew_name": "Crew engineering", "crew_slug": "engineering", "workspace_id": server.workspace,
        "created_by": { "type": "user", "id": server.owner, "name": "Ada Lovelace" },
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    assert!(text(&made["created_at"]).ends_with('Z') && text(&made["created_at"]).len() == 20);
    assert!(tag.starts_with(&format!("\"{}-", made["version"])), "{tag}");

    let id = text(&made["id"]);
    for path in ["/api/v1/issues/ENG-1", "/api/v1/issues/eng-1", &*format!("/api/v1/issues/{id}")] {
        let shown = server.get(path).send().await;
        assert_eq!(shown.header("etag"), Some(&*tag), "{path}");
        assert_eq!(shown.expect(200), made, "{path}");
    }
    assert_eq!(desk.show("Eng-1").await, made);
    assert_eq!(desk.show(&id).await, made);
    assert_eq!(desk.list("").await, std::slice::from_ref(&made));
    let other = server.desk("other").await;
    let elsewhere = server.get(other.at("ENG-1")).send().await;
    elsewhere.refused(404, "Issue not found");
    server.get("/api/v1/issues/ENG-2").send().await.refused(404, "Issue not found");

    let all = json!({
        "title": "A part", "description": "of it", "priority": "high", "assignee_type": "agent",
        "assignee_id": desk.hand, "due_date": "2026-02-28", "estimate": 5, "parent_issue_id": "ENG-1",
        "labels": [], "routine_inputs": null, "project_id": "", "milestone_id": "", "routine_id": "",
    });
    let child = desk.create(all).await;
    let mut expected: BTreeSet<&str> = MEMBERS.into();
    expected.insert("assignee_name");
    assert_eq!(members(&child), expected);
    assert_eq!(
        (&child["assignee_name"], &child["parent_issue_id"]),
        (&json!("engineering-hand"), &json!(id))
    );
    assert_eq!((&child["priority"], &child["estimate"]), (&json!("high"), &json!(5)));
    assert_eq!(desk.read("ENG-1", "subtasks").await, [child]);
    let changed = desk.change("ENG-2", json!({ "sort_order": 2.5 })).await;
    let tag = changed.header("etag").unwrap().to_owned();
    let changed = changed.expect(200);
    let shown = server.get(desk.at("ENG-2")).send().await;
    assert_eq!(shown.header("etag"), Some(&*tag), "a write tells the tag that a read would");
    assert_eq!(shown.expect(200), changed);
    assert_eq!(desk.read("ENG-1", "subtasks").await, std::slice::from_ref(&changed));
    assert_eq!(desk.list("sort=created_at").await[0], changed);
    assert_eq!(desk.show("ENG-1").await["sub_issues_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_belong_to_the_prefix_and_are_never_given_twice() {
    let server = Server::begin().await;
    let one = server.desk("engineering").await;
    let two = server.desk("engine").await;
    let three = server.desk("a-team").await;
    let mut made = vec![];
    for desk in [&one, &two, &one, &three] {
        made.push(desk.issue("x").await);
    }
    assert_eq!(made, ["ENG-1", "ENG-2", "ENG-3", "A-T-1"]);
    // A failed create, and one that is gone, leave nothing that could be given again.
    one.try_create(json!({ "title": "" })).await.refused(400, "title is required");
    one.delete("ENG-3").await.expect(204);
    assert_eq!(two.issue("x").await, "ENG-4");
    // Another prefix has numbers of its own; coming back goes on where it was.
    let crew = format!("/api/v1/crews/{}", one.crew);
    server.patch(&*crew).json(json!({ "issue_prefix": "core" })).send().await.expect(200);
    assert_eq!((one.issue("x").await, two.issue("x").await), ("CORE-1".into(), "ENG-5".into()));
    assert_eq!(one.show("ENG-1").await["identifier"], "ENG-1", "what has a name keeps it");
    server.patch(&*crew).json(json!({ "issue_prefix": "" })).send().await.expect(200);
    assert_eq!(one.issue("x").await, "ENG-6");
    server.delete(&*crew).send().await.expect(200);
    server.get("/api/v1/issues/ENG-6").send().await.refused(404, "Issue not found");
    assert_eq!(two.issue("x").await, "ENG-7", "not even those of a crew that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_refused_for_the_first_thing_that_is_wrong_and_leaves_nothing() {
    let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
    let desk = server.desk("eng").await;
    let foreign = {
        let asking = server.post("/api/v1/crews").with_token(&stranger).in_workspace(&other);
        let crew = asking.json(json!({ "name": "Foreign", "slug": "foreign" })).send().await.text("id");
        let lead = json!({ "name": "Lead", "slug": "lead", "crew_id": crew, "agent_role": "LEAD" });
        let asking = server.post("/api/v1/agents").with_token(&stranger).in_workspace(&other);
        let agent = asking.json(lead).send().await.text("id");
        let asking = server.post(format!("/api/v1/crews/{crew}/issues"));
        let asking = asking.with_token(&stranger).in_workspace(&other);
        let issue = asking.json(json!({ "title": "Secret" })).send().await.text("id");
        (crew, agent, issue)
    };
    let refused = async |body: Value, status: u16, detail: &str| {
        desk.try_create(body).await.refused(status, detail);
    };
    for body in ["", "{", "[]", r#"{"title":5}"#, r#"{"title":"a","estimate":1.5}"#] {
        server.post(desk.issues()).body(body).send().await.refused(400, "Invalid JSON body");
    }
    let wrong =
        json!({ "routine_inputs": {}, "assignee_id": "x", "parent_issue_id": "x", "project_id": "x" });
    let with = |more: Value| {
        let mut body = wrong.clone();
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    refused(wrong.clone(), 400, "title is required").await;
    refused(json!({ "title": " \t" }), 400, "title is required").await;
    refused(json!({ "title": "é".repeat(501) }), 400, "title must be at most 500 characters").await;
    let elsewhere = async |crew: &str| {
        server.post(format!("/api/v1/crews/{crew}/issues")).json(with(json!({ "title": "a" }))).send().await
    };
    elsewhere("unknown").await.refused(404, "Crew not found");
    elsewhere(&foreign.0).await.refused(404, "Crew not found");
    let gone = server.crew("gone").await;
    server.delete(format!("/api/v1/crews/{gone}")).send().await.expect(200);
    elsewhere(&gone).await.refused(404, "Crew not found");
    elsewhere(&server.crew("headless").await).await.refused(400, "Crew has no lead agent");
    let titled = |more: Value| {
        let mut body = with(json!({ "title": "a" }));
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    let alone = "routine_inputs provided without routine_id";
    refused(titled(json!({})), 400, alone).await;
    refused(titled(json!({ "routine_inputs": "text" })), 400, alone).await;
    let routine = "routine_id does not exist in this workspace";
    refused(titled(json!({ "routine_id": "x" })), 400, routine).await;
    let bare = json!({ "routine_inputs": null });
    let kind = "assignee_type must be 'user' or 'agent' when assignee_id is set";
    refused(titled(bare.clone()), 400, kind).await;
    refused(titled(json!({ "routine_inputs": null, "assignee_type": "robot" })), 400, kind).await;
    let nobody = "assignee_id does not exist in this workspace";
    for (kind, id) in
        [("user", "x"), ("agent", &*foreign.1), ("user", &*desk.hand), ("agent", &*server.owner)]
    {
        let body = json!({ "routine_inputs": null, "assignee_type": kind, "assignee_id": id });
        refused(titled(body), 400, nobody).await;
    }
    let assigned = json!({ "routine_inputs": null, "assignee_type": "user", "assignee_id": server.owner });
    refused(titled(assigned), 400, "parent_issue_id does not exist in this workspace").await;
    for parent in [&*foreign.2, "FOR-1"] {
        let body = json!({ "title": "a", "parent_issue_id": parent, "project_id": "x" });
        refused(body, 400, "parent_issue_id does not exist in this workspace").await;
    }
    let body = json!({ "title": "a", "project_id": "x", "milestone_id": "x" });
    refused(body, 400, "project_id does not exist in this workspace").await;
    refused(
        json!({ "title": "a", "milestone_id": "x" }),
        400,
        "milestone_id does not exist in this workspace",
    )
    .await;
    refused(json!({ "title": "a", "labels": ["x"] }), 400, "label x does not exist in this workspace").await;
    let priority = "priority must be one of: none, low, medium, high, urgent";
    refused(json!({ "title": "a", "priority": "URGENT" }), 400, priority).await;
    for day in ["2026-02-29", "2026-2-1", "tomorrow", "2026-01-01T00:00:00", "20260101"] {
        let detail = "due_date must be YYYY-MM-DD or an RFC 3339 timestamp";
        refused(json!({ "title": "a", "due_date": day }), 400, detail).await;
    }
    assert_eq!(desk.list("").await, Vec::<Value>::new());
    // Type alone is nobody, an empty word the default, and a date is kept as it was sent.
    let made = json!({ "title": "é".repeat(500), "priority": "", "assignee_type": "user",
        "due_date": "2026-02-28T10:00:00+02:00" });
    let made = desk.create(made).await;
    assert_eq!((&made["identifier"], &made["priority"]), (&json!("ENG-1"), &json!("none")));
    assert_eq!(
        (&made["assignee_type"], &made["due_date"]),
        (&Value::Null, &json!("2026-02-28T10:00:00+02:00"))
    );
    let mine =
        desk.create(json!({ "title": "m", "assignee_type": "user", "assignee_id": server.owner })).await;
    assert_eq!(mine["assignee_name"], "Ada Lovelace");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_of_the_table_is_taken_or_refused_by_patch_and_by_bulk() {
    let server = Server::begin().await;
    let desk = server.desk("table").await;
    for to in STATUSES {
        let mut ids = vec![];
        for from in STATUSES {
            let issue = desk.issue_in(from).await;
            let before = desk.show(&issue).await;
            let reply = desk.change(&issue, json!({ "status": to, "title": "changed" })).await;
            if allowed(from).contains(&to) {
                let after = reply.expect(200);
                assert_eq!((&after["status"], &after["title"]), (&json!(to), &json!("changed")));
                let is_completed = ["DONE", "CANCELLED"].contains(&to);
                assert_eq!(after["completed_at"].is_string(), is_completed, "{from} to {to}");
                let was_begun = before["started_at"].is_string() || to == "IN_PROGRESS";
                assert_eq!(after["started_at"].is_string(), was_begun, "{from} to {to}");
            } else {
                reply.refused(400, &format!("Invalid status transition from {from} to {to}"));
                assert_eq!(desk.show(&issue).await, before, "{from} to {to}");
            }
            ids.push(desk.issue_in(from).await);
        }
        let named: Vec<&str> = ids.iter().map(String::as_str).collect();
        let told = desk.bulk(&named, json!({ "status": to, "priority": "high" })).await.expect(200);
        let can = |from: &&str| allowed(from).contains(&to);
        assert_eq!(told["updated"], STATUSES.iter().filter(|from| can(from)).count(), "{to}");
        for (place, from) in STATUSES.iter().enumerate() {
            let shown = desk.show(&ids[place]).await;
            let result = &told["results"][place];
            if can(from) {
                assert_eq!((&shown["status"], &shown["priority"]), (&json!(to), &json!("high")));
                assert_eq!(*result, json!({ "id": ids[place], "applied": true }));
                assert_eq!(desk.log(&ids[place]).await.last().unwrap(), "priority_changed: high (bulk)");
                let moved = format!("status_changed: {from} -> {to} (bulk)");
                assert!(desk.log(&ids[place]).await.contains(&moved), "{moved}");
            } else {
                let reason = format!("Invalid status transition from {from} to {to}");
                assert_eq!((&shown["status"], &shown["priority"]), (&json!(from), &json!("none")));
                assert_eq!((&result["applied"], &result["reason"]), (&json!(false), &json!(reason)));
            }
        }
    }
    let issue = desk.issue("words").await;
    for word in ["DUPLICATE", "COMPLETED", "PLANNING", "RESUMING", "todo", ""] {
        let detail = format!("Invalid status transition from BACKLOG to {word}");
        desk.change(&issue, json!({ "status": word })).await.refused(400, &detail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_changes_what_it_names_or_nothing_at_all() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.issue("One").await;
    server.patch(desk.at("ENG-9")).body("{").send().await.refused(400, "Invalid JSON body");
    server.patch(desk.at("ENG-9")).body("{}").send().await.refused(404, "Issue not found");
    let refused = async |patch: Value, detail: &str| desk.change(&issue, patch).await.refused(400, detail);
    let before = desk.show(&issue).await;
    for nothing in [json!({}), json!({ "description": null }), json!({ "title": null, "labels": null })] {
        refused(nothing, "No fields to update").await;
    }
    refused(json!({ "title": "" }), "title is required").await;
    refused(json!({ "priority": "" }), "priority must be one of: none, low, medium, high, urgent").await;
    refused(json!({ "estimate": "5" }), "estimate must be a number or null").await;
    refused(json!({ "assignee_id": "x", "status": "NO" }), "assignee_id does not exist in this workspace")
        .await;
    let kind = "assignee_type must be 'user' or 'agent' when assignee_id is set";
    refused(json!({ "assignee_type": "robot" }), kind).await;
    refused(json!({ "project_id": "x" }), "project_id does not exist in this workspace").await;
    refused(json!({ "milestone_id": "x" }), "milestone_id does not exist in this workspace").await;
    refused(json!({ "labels": ["x"] }), "label x does not exist in this workspace").await;
    refused(json!({ "routine_id": "x" }), "routine_id does not exist in this workspace").await;
    refused(json!({ "routine_inputs": {} }), "routine_inputs provided without routine_id").await;
    refused(json!({ "routine_inputs": [] }), "routine_inputs is not valid JSON").await;
    refused(json!({ "due_date": "soon" }), "due_date must be YYYY-MM-DD or an RFC 3339 timestamp").await;
    // All or nothing.
    refused(
        json!({ "title": "Two", "parent_issue_id": issue }),
        "parent_issue_id cannot be the issue itself",
    )
    .await;
    refused(json!({ "title": "Two", "status": "DONE" }), "Invalid status transition from BACKLOG to DONE")
        .await;
    assert_eq!(desk.show(&issue).await, before);

    let set = json!({
        "title": " Two ", "description": "", "status": "TODO", "priority": "low", "assignee_id": desk.hand,
        "due_date": "2026-03-01", "estimate": 3, "sort_order": -1.5, "labels": [],
    });
    let after = desk.change(&issue, set).await.expect(200);
    for (name, value) in [
        ("title", json!("Two")),
        ("description", json!("")),
        ("status", json!("TODO")),
        ("assignee_type", json!("agent")),
        ("estimate", json!(3)),
        ("sort_order", json!(-1.5)),
    ] {
        assert_eq!(after[name], value, "{name}");
    }
    refused(json!({ "assignee_type": "user" }), "assignee_type does not match assignee_id").await;
    desk.change(&issue, json!({ "assignee_type": "agent" })).await.expect(200);
    let mine = desk.change(&issue, json!({ "assignee_id": server.owner })).await.expect(200);
    assert_eq!((&mine["assignee_type"], &mine["assignee_name"]), (&json!("user"), &json!("Ada Lovelace")));
    let cleared = json!({ "assignee_id": null, "assignee_type": null, "due_date": "", "estimate": null });
    let cleared = desk.change(&issue, cleared).await.expect(200);
    for name in ["assignee_id", "assignee_type", "due_date", "estimate"] {
        assert_eq!(cleared[name], Value::Null, "{name}");
    }
    assert!(cleared.get("assignee_name").is_none());
    desk.change(&issue, json!({ "assignee_id": desk.hand })).await.expect(200);
    let cleared = desk.change(&issue, json!({ "assignee_id": "" })).await.expect(200);
    assert_eq!((&cleared["assignee_id"], &cleared["assignee_type"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_and_parts_never_form_a_circle() {
    let server = Server::begin().await;
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let (a, b, c) = (desk.issue("a").await, other.issue("b").await, desk.issue("c").await);
    let below = async |desk: &Desk<'_>, issue: &str, parent: &str| {
        desk.change(issue, json!({ "parent_issue_id": parent })).await
    };
    below(&other, &b, &a).await.expect(200);
    let circle = "parent_issue_id would create a cycle";
    below(&desk, &a, &b).await.refused(400, circle);
    below(&desk, &c, &b).await.expect(200);
    below(&desk, &a, &c).await.refused(400, circle);
    below(&desk, &a, &a.to_lowercase()).await.refused(400, "parent_issue_id cannot be the issue itself");
    below(&desk, &a, "x").await.refused(400, "parent_issue_id does not exist in this workspace");
    // Parts in their order, whole, whatever crew they are of.
    let mut more = vec![];
    for (title, order) in [("late", 2.0), ("early", -1.0), ("middle", 0.0)] {
        let made = desk.create(json!({ "title": title, "parent_issue_id": a })).await;
        more.push(desk.change(&text(&made["id"]), json!({ "sort_order": order })).await.expect(200));
    }
    let id = text(&desk.show(&a).await["id"]);
    let parts = [more[1].clone(), other.show(&b).await, more[2].clone(), more[0].clone()];
    assert_eq!(desk.read(&a, "subtasks").await, parts);
    assert_eq!(desk.read(&id, "subtasks").await, parts);
    assert_eq!(desk.read(&c, "subtasks").await, Vec::<Value>::new());
    let unknown = server.get(format!("{}/subtasks", other.at(&a))).send().await;
    unknown.refused(404, "Issue not found");
    assert_eq!(desk.show(&a).await["sub_issues_count"], 4);

    // They outlive their parent, and say so.
    desk.delete(&a).await.expect(204);
    let left = other.show(&b).await;
    assert_eq!((&left["parent_issue_id"], &left["sub_issues_count"]), (&Value::Null, &json!(1)));
    assert_eq!(other.log(&b).await.last().unwrap(), "parent_changed: ");
    let freed = below(&desk, &c, "").await.expect(200);
    assert_eq!(freed["parent_issue_id"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_issue_that_is_not_begun_or_not_wanted_is_deleted_and_only_once() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    for status in STATUSES {
        let issue = desk.issue_in(status).await;
        let reply = desk.delete(&issue).await;
        if ["BACKLOG", "CANCELLED"].contains(&status) {
            assert!(reply.header("taffrail-cursor").is_some());
            assert_eq!(reply.expect(204), Value::Null);
            desk.delete(&issue).await.refused(404, "Issue not found");
            for what in ["", "/subtasks", "/comments", "/relations", "/activity", "/runs"] {
                let path = format!("{}{what}", desk.at(&issue));
                server.get(path).send().await.refused(404, "Issue not found");
            }
        } else {
            reply.refused(400, "Only BACKLOG or CANCELLED issues can be deleted");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_update_does_what_it_may_and_counts_what_it_changed() {
    let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
    let desk = server.desk("eng").await;
    let raw = async |body: &str| server.patch("/api/v1/issues/bulk").body(body).send().await;
    raw("{").await.refused(400, "Invalid JSON body");
    raw("{}").await.refused(400, "ids is required");
    raw(r#"{"ids":[],"updates":{"status":"TODO"}}"#).await.refused(400, "ids is required");
    let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    desk.bulk(&many, json!({})).await.refused(400, "Maximum 100 issues per bulk update");

    let mut ids = vec![];
    for number in 0..50 {
        let status = if number % 20 == 7 { "DONE" } else { "BACKLOG" };
        ids.push(text(&desk.show(&desk.issue_in(status).await).await["id"]));
    }
    let asking = server.post("/api/v1/crews").with_token(&stranger).in_workspace(&other);
    let crew = asking.json(json!({ "name": "Foreign", "slug": "foreign" })).send().await.text("id");
    let lead = json!({ "name": "Lead", "slug": "lead", "crew_id": crew, "agent_role": "LEAD" });
    let asking = server.post("/api/v1/agents").with_token(&stranger).in_workspace(&other);
    let foreign_agent = asking.json(lead).send().await.text("id");
    let asking =
        server.post(format!("/api/v1/crews/{crew}/issues")).with_token(&stranger).in_workspace(&other);
    let foreign = asking.json(json!({ "title": "Secret" })).send().await.text("id");

    let mut named: Vec<&str> = ids.iter().map(String::as_str).collect();
    named.push(&foreign);
    named.push("unknown");
    let told =
        server.patch("/api/v1/issues/bulk").json(json!({ "ids": named, "updates": { "status": "TODO" } }));
    assert_eq!(told.send().await.expect(200), json!({ "updated": 47 }));
    let again = desk.bulk(&named, json!({ "status": "TODO" })).await.expect(200);
    assert_eq!(again["updated"], 0, "what is so already is no change");
    let results = again["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[50]["reason"]), (52, &json!("Issue not found")));
    assert_eq!(without_id(&results[50]), without_id(&results[51]), "a foreign one is like none");

    let two = [named[0], named[1]];
    let count =
        async |ids: &[&str], updates: Value| desk.bulk(ids, updates).await.expect(200)["updated"].clone();
    assert_eq!(count(&two, json!({ "priority": "high" })).await, 2);
    assert_eq!(count(&two, json!({ "priority": "high" })).await, 0);
    assert_eq!(count(&two, json!({ "priority": "loud", "project_id": "" })).await, 0);
    assert_eq!(count(&two, json!({ "project_id": "x", "priority": "low" })).await, 0);
    assert_eq!(count(&two, json!({ "assignee_id": foreign_agent, "assignee_type": "agent" })).await, 0);
    assert_eq!(count(&two, json!({ "assignee_id": desk.hand, "assignee_type": "agent" })).await, 2);
    assert_eq!(count(&two, json!({ "labels": ["unknown"] })).await, 0, "a label that is not here is none");
    assert_eq!(count(&two, json!({ "assignee_id": "" })).await, 2);
    assert_eq!(count(&two, json!({})).await, 0);
    let identifier = text(&desk.show(named[0]).await["identifier"]);
    let twice = [named[0], &*identifier, &*identifier.to_lowercase(), named[0]];
    assert_eq!(count(&twice, json!({ "priority": "low" })).await, 1, "however it is named it is one");
    let log = desk.log(named[0]).await;
    let assigned = format!("assignee_changed: assignee_id: {} (bulk)", desk.hand);
    for line in ["status_changed: BACKLOG -> TODO (bulk)", "priority_changed: high (bulk)", &*assigned] {
        assert!(log.iter().any(|found| found == line), "{line} in {log:?}");
    }
}

fn without_id(result: &Value) -> Value {
    let mut result = result.clone();
    result["id"] = Value::Null;
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_said_edited_by_its_author_and_taken_back_by_who_may() {
    let server = Server::begin().await;
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let issue = desk.issue("One").await;
    let say = async |body: &str| {
        server.post(format!("{}/comments", desk.at(&issue))).body(body.to_owned()).send().await
    };
    say("{").await.refused(400, "Invalid JSON body");
    for empty in ["{}", r#"{"body":""}"#, r#"{"body":" \n"}"#] {
        say(empty).await.refused(400, "body is required");
    }
    desk.post("ENG-9", "comments", json!({})).await.refused(400, "body is required");
    desk.post("ENG-9", "comments", json!({ "body": "a" })).await.refused(404, "Issue not found");
    let before = desk.show(&issue).await;
    let said = desk.post(&issue, "comments", json!({ "body": "**a** " })).await.expect(201);
    let keys =
        ["id", "mission_id", "author_type", "author_id", "author_name", "body", "created_at", "updated_at"];
    assert_eq!(members(&said), keys.into());
    assert_eq!((&said["author_type"], &said["author_name"]), (&json!("user"), &json!("Ada Lovelace")));
    assert_eq!((&said["mission_id"], &said["body"]), (&before["id"], &json!("**a** ")));
    let after = desk.show(&issue).await;
    assert_eq!((&after["comment_count"], &after["updated_at"]), (&json!(1), &before["updated_at"]));
    assert_eq!(desk.log(&issue).await, ["created: One"], "no line in the log");

    let manager = server.member(Role::Manager).await;
    let admin = server.member(Role::Admin).await;
    let comments = format!("{}/comments", desk.at(&issue));
    let theirs =
        server.post(&*comments).with_token(&manager).json(json!({ "body": "b" })).send().await.expect(201);
    let at = |comment: &Value| format!("{comments}/{}", text(&comment["id"]));
    let edit = async |token: &str, comment: &Value| {
        server.patch(at(comment)).with_token(token).json(json!({ "body": "better" })).send().await
    };
    edit(&manager, &said).await.refused(403, "Only the author can edit a comment");
    edit(&server.token, &theirs).await.refused(403, "Only the author can edit a comment");
    server.patch(at(&said)).json(json!({ "body": "" })).send().await.refused(400, "body is required");
    server.patch(at(&said)).body("{").send().await.refused(400, "Invalid JSON body");
    let better = edit(&server.token, &said).await.expect(200);
    assert_eq!((&better["body"], &better["created_at"]), (&json!("better"), &said["created_at"]));
    edit(&server.token, &said).await.expect(200);
    let elsewhere = other.issue("Two").await;
    let wrong = format!("{}/comments/{}", other.at(&elsewhere), text(&said["id"]));
    server.patch(&*wrong).json(json!({ "body": "x" })).send().await.refused(404, "Comment not found");
    server.delete(&*wrong).send().await.refused(404, "Comment not found");
    assert_eq!(desk.read(&issue, "comments").await, [better, theirs.clone()]);

    let take_back =
        async |token: &str, comment: &Value| server.delete(at(comment)).with_token(token).send().await;
    take_back(&manager, &said).await.refused(403, "Only the author or an admin can delete a comment");
    take_back(&admin, &theirs).await.expect(204);
    take_back(&admin, &theirs).await.refused(404, "Comment not found");
    take_back(&server.token, &said).await.expect(204);
    assert_eq!(desk.read(&issue, "comments").await, Vec::<Value>::new());
    assert_eq!(desk.show(&issue).await["comment_count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_one_link_seen_from_both_ends() {
    let server = Server::begin().await;
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let (a, b) = (desk.issue("a").await, other.issue("b").await);
    let (a_id, b_id) = (text(&desk.show(&a).await["id"]), text(&other.show(&b).await["id"]));
    let relate = async |desk: &Desk<'_>, issue: &str, to: &str, how: &str| {
        desk.post(issue, "relations", json!({ "target_identifier": to, "relation_type": how })).await
    };
    let raw = server.post(format!("{}/relations", desk.at(&a))).body("{").send().await;
    raw.refused(400, "Invalid JSON body");
    let kind = "relation_type must be: blocks, blocked_by, relates_to, duplicate_of";
    desk.post("ENG-9", "relations", json!({})).await.refused(400, kind);
    relate(&desk, "ENG-9", "x", "sub_issue_of").await.refused(400, kind);
    relate(&desk, "ENG-9", "x", "blocks").await.refused(404, "Source issue not found");
    relate(&desk, &a, "OPS-9", "blocks").await.refused(404, "Target issue not found: OPS-9");
    relate(&desk, &a, &a, "blocks").await.refused(400, "Cannot relate an issue to itself");

    let made = relate(&desk, &a, &b, "blocks").await.expect(201);
    assert_eq!((members(&made), &made["status"]), (["id", "status"].into(), &json!("ok")));
    let exists = "Relation already exists";
    for (desk, from, to, how) in [
        (&desk, &a, &b, "blocks"),
        (&other, &b, &a, "blocked_by"),
        (&other, &b, &a, "blocks"),
        (&desk, &a, &b, "blocked_by"),
    ] {
        relate(desk, from, to, how).await.refused(409, exists);
    }
    let from_a = desk.read(&a, "relations").await;
    let keys = [
        "id",
        "source_id",
        "target_id",
        "relation_type",
        "direction",
        "target_identifier",
        "target_title",
        "target_status",
        "created_at",
    ];
    assert_eq!(members(&from_a[0]), keys.into());
    let seen = |link: &Value| {
        ["relation_type", "direction", "target_identifier", "target_title", "target_status"]
            .map(|name| text(&link[name]))
    };
    assert_eq!(seen(&from_a[0]), ["blocks", "outgoing", "OPS-1", "b", "BACKLOG"]);
    let from_b = other.read(&b, "relations").await;
    assert_eq!(seen(&from_b[0]), ["blocked_by", "incoming", "ENG-1", "a", "BACKLOG"]);
    for link in [&from_a[0], &from_b[0]] {
        assert_eq!((&link["source_id"], &link["target_id"]), (&json!(a_id), &json!(b_id)), "as it is stored");
    }
    // Other sorts between the same two are links of their own; `relates_to` has no direction.
    relate(&other, &b, &a, "relates_to").await.expect(201);
    relate(&desk, &a, &b, "relates_to").await.refused(409, exists);
    relate(&desk, &a, &b, "duplicate_of").await.expect(201);
    let kinds: Vec<_> = other.read(&b, "relations").await.iter().map(seen).collect();
    let kinds: Vec<_> = kinds.iter().map(|[how, direction, ..]| (&**how, &**direction)).collect();
    let expected = [("blocked_by", "incoming"), ("relates_to", "outgoing"), ("duplicate_of", "incoming")];
    assert_eq!(kinds, expected, "oldest first");
    assert_eq!(desk.show(&a).await["status"], "BACKLOG", "nothing of it moves an issue");

    let path = format!("/api/v1/relations/{}", text(&made["id"]));
    assert_eq!(server.delete(&*path).send().await.expect(200), json!({ "status": "ok" }));
    server.delete(&*path).send().await.refused(404, "Relation not found");
    assert_eq!(desk.read(&a, "relations").await.len(), 2);
    let log = desk.log(&a).await;
    assert_eq!(
        log[1..],
        [
            "relation_added: blocks OPS-1",
            "relation_added: duplicate_of OPS-1",
            "relation_removed: blocks OPS-1"
        ]
    );
    assert_eq!(other.log(&b).await.last().unwrap(), "relation_removed: blocked_by ENG-1");
    desk.delete(&a).await.expect(204);
    assert_eq!(other.read(&b, "relations").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_placed_before_or_behind_another_without_counting() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    for title in ["a", "b", "c", "d"] {
        desk.issue(title).await;
    }
    let board = async || desk.titles("sort=sort_order&order=asc").await;
    let place = async |issue: &str, body: Value| desk.post(issue, "move", body).await;
    assert_eq!(board().await, ["a", "b", "c", "d"]);
    assert_eq!(place("ENG-4", json!({ "before": "ENG-1" })).await.expect(200)["title"], "d");
    assert_eq!(board().await, ["d", "a", "b", "c"]);
    place("ENG-1", json!({ "after": "ENG-2" })).await.expect(200);
    assert_eq!(board().await, ["d", "b", "a", "c"]);
    place("ENG-3", json!({ "after": "ENG-4" })).await.expect(200);
    assert_eq!(board().await, ["d", "c", "b", "a"]);
    let exactly = "exactly one of before and after is required";
    place("ENG-1", json!({})).await.refused(400, exactly);
    place("ENG-1", json!({ "before": "ENG-2", "after": "ENG-3" })).await.refused(400, exactly);
    place("ENG-1", json!({ "before": "x" })).await.refused(400, "before does not exist in this workspace");
    place("ENG-9", json!({ "before": "ENG-1" })).await.refused(404, "Issue not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_reads_everything_and_writes_nothing() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.issue("One").await;
    let said = desk.post(&issue, "comments", json!({ "body": "a" })).await.text("id");
    let at = desk.at(&issue);
    for role in [Role::Member, Role::Viewer] {
        let token = server.member(role).await;
        for what in ["", "/subtasks", "/comments", "/relations", "/activity", "/runs", "/state?at=head"] {
            server.get(format!("{at}{what}")).with_token(&token).send().await.expect(200);
        }
        for path in
            ["/api/v1/issues", "/api/v1/issues/ENG-1", "/api/v1/issues/changes", "/api/v1/issues/export"]
        {
            server.get(path).with_token(&token).send().await.expect(200);
        }
        // Who may not write is told so before anybody looks at what they sent, or whether it is there.
        for (method, path) in [
            (Method::POST, desk.issues()),
            (Method::POST, "/api/v1/crews/unknown/issues".into()),
            (Method::POST, format!("{}/import", desk.issues())),
            (Method::PATCH, at.clone()),
            (Method::PATCH, desk.at("ENG-9")),
            (Method::DELETE, at.clone()),
            (Method::PATCH, "/api/v1/issues/bulk".into()),
            (Method::POST, format!("{at}/move")),
            (Method::POST, format!("{at}/start")),
            (Method::POST, format!("{at}/retry")),
            (Method::POST, format!("{at}/stop")),
            (Method::POST, format!("{at}/review")),
            (Method::POST, format!("{at}/comments")),
            (Method::PATCH, format!("{at}/comments/{said}")),
            (Method::DELETE, format!("{at}/comments/{said}")),
            (Method::POST, format!("{at}/relations")),
            (Method::DELETE, "/api/v1/relations/unknown".into()),
        ] {
            server.ask(method, path).with_token(&token).body("{").send().await.refused(403, "Forbidden");
        }
    }
    let lost = server.get("/api/v1/issues").without_workspace().send().await;
    lost.refused(400, "workspace_id is required");
    let named = server.get(format!("/api/v1/issues?workspace_id={}", server.workspace));
    assert_eq!(named.without_workspace().send().await.expect(200).as_array().unwrap().len(), 1);
    // A token has no more than its scopes (`issues.md` 1).
    let crews = server.scoped(&["crews:write", "crews:read"]).await;
    let changed = server.patch(&*at).with_token(&crews).json(json!({ "priority": "low" })).send().await;
    changed.expect(200);
    let bulk = server.patch("/api/v1/issues/bulk").with_token(&crews).body("{}").send().await;
    bulk.refused(403, "Forbidden");
    let relation = server.delete("/api/v1/relations/x").with_token(&crews).send().await;
    relation.refused(403, "Forbidden");
    let other = server.scoped(&["missions:write"]).await;
    server.patch(&*at).with_token(&other).body("{}").send().await.refused(403, "Forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_do_not_overwrite_each_others_issue() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.assigned("One").await;
    let tag = async || server.get(desk.at(&issue)).send().await.header("etag").unwrap().to_owned();
    let seen = tag().await;
    let known = server.get(desk.at(&issue)).header("if-none-match", &*seen).send().await;
    assert_eq!((known.status, &known.body), (304, &Value::Null));
    desk.post(&issue, "comments", json!({ "body": "a" })).await.expect(201);
    let known = server.get("/api/v1/issues/ENG-1").header("if-none-match", &*seen).send().await;
    assert_eq!(known.body["comment_count"], 1, "what is shown beside it has changed");
    // What was said about it changes nothing of it.
    let wish = async |what: &str, tag: &str, body: Value| {
        let method = if what.is_empty() { Method::PATCH } else { Method::POST };
        let asking = server.ask(method, format!("{}{what}", desk.at(&issue))).header("if-match", tag);
        asking.json(body).send().await
    };
    let gone = "The resource has changed since it was read";
    wish("", &seen, json!({ "title": "Mine" })).await.expect(200);
    wish("", &seen, json!({ "title": "Theirs" })).await.refused(412, gone);
    wish("/start", &seen, json!({})).await.refused(412, gone);
    desk.issue("Two").await;
    wish("/move", &seen, json!({ "after": "ENG-2" })).await.refused(412, gone);
    let delete = server.delete(desk.at(&issue)).header("if-match", &*seen).send().await;
    delete.refused(412, gone);
    // What is refused anyway is refused for its own reason.
    let early = "Issue must be IN_PROGRESS or REVIEW to stop (current: BACKLOG)";
    wish("/stop", &seen, json!({})).await.refused(400, early);
    wish("/start", &tag().await, json!({})).await.expect(200);
    wish("/review", &seen, json!({ "action": "approve" })).await.refused(412, gone);
    wish("/stop", &seen, json!({})).await.refused(412, gone);
    wish("/stop", "*", json!({})).await.expect(200);
    wish("/retry", &seen, json!({})).await.refused(412, gone);
    let now = tag().await;
    server.delete(desk.at(&issue)).header("if-match", &*now).send().await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_no_mission() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let metrics = server.get("/api/v1/mission-metrics").send().await.expect(200);
    let made = desk.create(json!({ "title": "One" })).await;
    let id = text(&made["id"]);
    desk.change("ENG-1", json!({ "status": "IN_PROGRESS" })).await.expect(200);
    let crew = format!("/api/v1/crews/{}/missions", desk.crew);
    for path in ["/api/v1/missions", &*crew] {
        assert_eq!(server.get(path).send().await.expect(200), json!([]), "{path}");
    }
    assert_eq!(server.get("/api/v1/mission-metrics").send().await.expect(200), metrics);
    for (method, what) in [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::DELETE, ""),
        (Method::POST, "/start"),
        (Method::POST, "/restart"),
        (Method::POST, "/resume"),
        (Method::POST, "/clone"),
        (Method::POST, "/tasks"),
        (Method::PATCH, "/tasks/x"),
        (Method::POST, "/tasks/x/approve"),
    ] {
        let asking = server.ask(method.clone(), format!("{crew}/{id}{what}"));
        let reply = asking.json(json!({ "title": "a", "approved": true })).send().await;
        let missing = if what == "/tasks/x" { "Task not found" } else { "Mission not found" };
        reply.refused(404, missing);
    }
    let state = server.get(format!("/api/v1/missions/{id}/state?at=2030-01-01T00:00:00Z")).send().await;
    assert_eq!(state.status, 404);
    // The other way round it is asked for by name.
    let mission = json!({ "title": "Mission", "lead_agent_id": desk.lead });
    let mission = server.post(&*crew).json(mission).send().await.expect(201);
    server
        .get(format!("/api/v1/issues/{}", text(&mission["id"])))
        .send()
        .await
        .refused(404, "Issue not found");
    for word in ["orchestration", "mission"] {
        let rows = desk.list(&format!("mission_type={word}")).await;
        assert_eq!((rows.len(), &rows[0]["id"], &rows[0]["number"]), (1, &mission["id"], &Value::Null));
        assert_eq!(
            (&rows[0]["identifier"], &rows[0]["mission_type"]),
            (&Value::Null, &json!("orchestration"))
        );
        assert_eq!(desk.list(&format!("mission_type={word}&status=DONE")).await.len(), 0);
    }
    assert_eq!(desk.list("mission_type=issue").await.len(), 1);
    assert_eq!(desk.list("mission_type=nonsense").await.len(), 0);
    // A checkpoint stands on either.
    let checkpoints = format!("/api/v1/missions/{id}/checkpoints");
    let made = server.post(&*checkpoints).json(json!({ "label": "x" })).send().await.expect(201);
    assert_eq!(made["mission_id"], json!(id));
    assert_eq!(server.get(&*checkpoints).send().await.expect(200)["count"], 1);
    let checkpoint = format!("/api/v1/checkpoints/{}", text(&made["id"]));
    server.post(format!("{checkpoint}/restore")).send().await.expect(200);
    // What begins from it is a mission, which can be planned.
    let fork = server.post(format!("{checkpoint}/fork")).json(json!({})).send().await.expect(201);
    let fork = server.get(format!("{crew}/{}", text(&fork["new_mission_id"]))).send().await.expect(200);
    assert_eq!((&fork["status"], &fork["lead_agent_id"]), (&json!("PLANNING"), &json!(desk.lead)));
    // It goes with its issue.
    desk.change("ENG-1", json!({ "status": "CANCELLED" })).await.expect(200);
    desk.delete("ENG-1").await.expect(204);
    server.get(&*checkpoint).send().await.refused(404, "checkpoint not found");
    assert_eq!(server.get(&*checkpoints).send().await.status, 404);
}
