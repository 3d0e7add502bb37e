//! Labels, projects and milestones, saved views, triage and recurring issues (`issues.md` 15–17).

use axum::http::Method;
use serde_json::{Value, json};
use taffrail_domain::roster::Role;
use taffrail_domain::tracker::TrackerCommand;
use taffrail_domain::{Actor, WorkspaceId};

use super::server::{Reply, Server};
use taffrail::writer::Wish;

/// A crew with a LEAD; its id and the LEAD's.
async fn crew(server: &Server, slug: &str) -> (String, String) {
    let crew = server.crew(slug).await;
    let lead = server.lead(&crew, &format!("{slug}-lead")).await;
    (crew, lead)
}

async fn make(server: &Server, path: &str, body: Value) -> Value {
    server.post(path).json(body).send().await.expect(201)
}

fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap()
}

async fn change(server: &Server, path: &str, body: Value) -> Reply {
    server.patch(path).json(body).send().await
}

async fn list(server: &Server, path: &str) -> Vec<Value> {
    server.get(path).send().await.expect(200).as_array().unwrap().clone()
}

/// Takes an issue to a status.
async fn bring(server: &Server, crew: &str, issue: &str, statuses: &[&str]) {
    for status in statuses {
        let path = format!("/api/v1/crews/{crew}/issues/{issue}");
        change(server, &path, json!({ "status": status })).await.expect(200);
    }
}

/// Acceptance check 17.
#[tokio::test(flavor = "multi_thread")]
async fn labels_clash_detach_and_are_renamed_by_managers() {
    let server = Server::begin().await;
    let (crew, _) = crew(&server, "eng").await;
    let labels = "/api/v1/labels";
    assert_eq!(list(&server, labels).await, Vec::<Value>::new());
    server.post(labels).json(json!({ "color": "#f00" })).send().await.refused(400, "name is required");
    server.post(labels).json(json!({ "name": "bug" })).send().await.refused(400, "color is required");
    server.post(labels).body("[").send().await.refused(400, "Invalid JSON body");
    let bug = make(&server, labels, json!({ "name": "bug", "color": "#f00", "label_group": "kind" })).await;
    assert_eq!(bug, json!({ "id": bug["id"], "name": "bug", "color": "#f00", "label_group": "kind" }));
    let ui = make(&server, labels, json!({ "name": "ui", "color": "blue" })).await;
    assert_eq!(ui["label_group"], Value::Null);
    let taken = "A label named \"bug\" already exists in this workspace";
    server.post(labels).json(json!({ "name": "bug", "color": "x" })).send().await.refused(409, taken);
    let path = format!("{labels}/{}", id(&ui));
    change(&server, &path, json!({ "name": "bug" })).await.refused(409, taken);
    change(&server, &path, json!({})).await.refused(400, "No fields to update");
    change(&server, &path, json!({ "name": null })).await.refused(400, "No fields to update");
    let unknown = server.patch(format!("{labels}/unknown")).body("[").send().await;
    unknown.refused(404, "Label not found");

    let manager = server.member(Role::Manager).await;
    let renamed = server.patch(&*path).with_token(&manager).json(json!({ "name": "face" })).send().await;
    assert_eq!(renamed.expect(200)["name"], "face");
    server.delete(&*path).with_token(&manager).send().await.refused(403, "Forbidden");

    let draft = json!({ "title": "Fix", "labels": [bug["id"], ui["id"]] });
    let issue = make(&server, &format!("/api/v1/crews/{crew}/issues"), draft).await;
    assert_eq!(
        issue["labels"][1],
        json!({ "id": ui["id"], "name": "face", "color": "blue", "label_group": null })
    );
    server.delete(format!("{labels}/{}", id(&bug))).send().await.expect(204);
    server.delete(format!("{labels}/{}", id(&bug))).send().await.refused(404, "Label not found");
    let shown = server.get(format!("/api/v1/issues/{}", id(&issue))).send().await.expect(200);
    assert_eq!(shown["labels"].as_array().unwrap().len(), 1);
    let names: Vec<Value> = list(&server, labels).await.iter().map(|label| label["name"].clone()).collect();
    assert_eq!(names, ["face"]);
    let journal = server.get("/api/v1/journal?entry_type=audit.entity_deleted").send().await.expect(200);
    assert_eq!(journal["entries"][0]["payload"]["action"], "label.deleted");
}

/// Acceptance check 16.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_counts_its_issues_and_leaves_them_when_it_goes() {
    let server = Server::begin().await;
    let (crew, lead) = crew(&server, "eng").await;
    let projects = "/api/v1/projects";
    server.post(projects).json(json!({})).send().await.refused(400, "name is required");
    let draft = json!({
        "name": "Mobile App", "status": "planned", "priority": "none", "lead_type": "agent", "lead_id": lead,
    });
    let project = make(&server, projects, draft).await;
    assert_eq!((&project["slug"], &project["color"]), (&json!("mobile-app"), &json!("blue")));
    assert_eq!((&project["health"], &project["lead_name"]), (&json!("on_track"), &json!("Lead eng-lead")));
    assert_eq!((&project["issue_count"], &project["progress"]), (&json!(0), &json!(0)));
    let path = format!("{projects}/{}", id(&project));
    let milestones = format!("{projects}/mobile-app/milestones");
    let milestone = make(&server, &milestones, json!({ "name": "Beta", "target_date": "2026-12-24" })).await;
    assert_eq!((&milestone["position"], &milestone["status"]), (&json!(1), &json!("active")));

    let label = make(&server, "/api/v1/labels", json!({ "name": "bug", "color": "#f00" })).await;
    let issues = format!("/api/v1/crews/{crew}/issues");
    for number in 1..=12 {
        let mut draft = json!({ "title": format!("Issue {number}"), "milestone_id": milestone["id"] });
        if number <= 4 {
            draft["labels"] = json!([label["id"]]);
            draft["assignee_type"] = json!("user");
            draft["assignee_id"] = json!(server.owner);
        }
        let issue = make(&server, &issues, draft).await;
        assert_eq!((&issue["project_id"], &issue["project_name"]), (&project["id"], &json!("Mobile App")));
        match number {
            1..=7 => bring(&server, &crew, id(&issue), &["IN_PROGRESS", "REVIEW", "DONE"]).await,
            8 => bring(&server, &crew, id(&issue), &["IN_PROGRESS", "REVIEW"]).await,
            _ => {}
        }
    }
    let shown = server.get(&*path).send().await.expect(200);
    let counts = ["issue_count", "done_count", "closed_count", "progress"].map(|name| shown[name].as_u64());
    assert_eq!(counts, [Some(12), Some(8), Some(7), Some(66)]);
    assert_eq!(list(&server, projects).await, [shown]);
    let reached = &list(&server, &milestones).await[0];
    assert_eq!((&reached["issue_count"], &reached["done_count"]), (&json!(12), &json!(7)));
    let stats = server.get(format!("{projects}/mobile-app/stats")).send().await.expect(200);
    let expected = json!({
        "total_issues": 12, "completed_issues": 8,
        "by_status": { "BACKLOG": 4, "DONE": 7, "REVIEW": 1 },
        "by_assignee": [
            { "agent_id": "", "agent_name": "Unassigned", "total": 8, "completed": 4 },
            { "agent_id": server.owner, "agent_name": "Ada Lovelace", "total": 4, "completed": 4 },
        ],
        "by_label": [{ "label_name": "bug", "color": "#f00", "count": 4 }],
        "crews": ["eng"],
    });
    assert_eq!(stats, expected);

    server.delete(&*path).send().await.expect(204);
    server.get(&*path).send().await.refused(404, "Project not found");
    server.get(format!("{path}/stats")).send().await.refused(404, "Project not found");
    let left = list(&server, "/api/v1/issues").await;
    assert_eq!(left.len(), 12);
    assert!(
        left.iter().all(|issue| issue["project_id"] == Value::Null && issue["milestone_id"] == Value::Null)
    );
    let gone = format!("/api/v1/milestones/{}", id(&milestone));
    server.delete(gone).send().await.refused(404, "Milestone not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_are_listed_changed_and_tagged() {
    let server = Server::begin().await;
    let projects = "/api/v1/projects";
    for (name, status) in [("Zeta", "planned"), ("Alpha", "paused"), ("Mid", "planned")] {
        make(&server, projects, json!({ "name": name, "status": status })).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let list = list(&server, &format!("{projects}{query}")).await;
        list.iter().map(|project| project["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("").await, ["Alpha", "Mid", "Zeta"]);
    assert_eq!(names("?sort=created_at&status=planned,paused").await, ["Zeta", "Alpha", "Mid"]);
    assert_eq!(names("?status=completed").await, Vec::<String>::new());
    let first = server.get(format!("{projects}/zeta")).send().await;
    let tag = first.header("etag").unwrap().to_owned();
    let again = server.get(format!("{projects}/zeta")).header("if-none-match", &*tag).send().await;
    assert_eq!(again.status, 304);
    let patch = |body: Value| server.patch(format!("{projects}/zeta")).header("if-match", &*tag).json(body);
    let renamed = patch(json!({ "name": "Omega" })).send().await;
    assert_eq!(renamed.header("etag"), server.get(format!("{projects}/omega")).send().await.header("etag"));
    assert_eq!(renamed.expect(200)["slug"], "omega");
    let stale = server.patch(format!("{projects}/omega")).header("if-match", &*tag);
    let detail = "The resource has changed since it was read";
    stale.json(json!({ "name": "Late" })).send().await.refused(412, detail);
    let taken = "A project with the slug \"mid\" already exists in this workspace";
    change(&server, &format!("{projects}/omega"), json!({ "name": "MID" })).await.refused(409, taken);
    server.post(projects).json(json!({ "name": "Mid" })).send().await.refused(409, taken);
    let unknown = server.patch(format!("{projects}/none")).body("[").send().await;
    unknown.refused(404, "Project not found");
    assert_eq!(names("?sort=updated_at").await, ["Alpha", "Mid", "Omega"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn milestones_are_made_moved_and_unlinked() {
    let server = Server::begin().await;
    let (crew, _) = crew(&server, "eng").await;
    let project = make(&server, "/api/v1/projects", json!({ "name": "App" })).await;
    let path = format!("/api/v1/projects/{}/milestones", id(&project));
    server.get("/api/v1/projects/none/milestones").send().await.refused(404, "Project not found");
    server.post(&*path).json(json!({ "name": " " })).send().await.refused(400, "name is required");
    let words = "status must be one of: active, completed, cancelled";
    server.post(&*path).json(json!({ "name": "A", "status": "done" })).send().await.refused(400, words);
    let (one, two) = (
        make(&server, &path, json!({ "name": "One" })).await,
        make(&server, &path, json!({ "name": "Two" })).await,
    );
    let first = format!("/api/v1/milestones/{}", id(&one));
    let moved = change(&server, &first, json!({ "position": 9, "status": "completed" })).await.expect(200);
    assert_eq!((&moved["position"], &moved["status"]), (&json!(9), &json!("completed")));
    let names: Vec<Value> = list(&server, &path).await.iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["Two", "One"]);
    change(&server, &first, json!({})).await.refused(400, "No fields to update");
    let draft = json!({ "title": "Fix", "milestone_id": two["id"] });
    let issue = make(&server, &format!("/api/v1/crews/{crew}/issues"), draft).await;
    server.delete(format!("/api/v1/milestones/{}", id(&two))).send().await.expect(204);
    let shown = server.get(format!("/api/v1/issues/{}", id(&issue))).send().await.expect(200);
    assert_eq!((&shown["project_id"], &shown["milestone_id"]), (&project["id"], &Value::Null));
    let changes = server.get("/api/v1/issues/changes").send().await.expect(200);
    let of = |sort: &str| {
        let all = changes["changes"].as_array().unwrap().iter();
        all.filter(|change| change["type"] == sort)
            .map(|change| change["deleted"] == true)
            .collect::<Vec<_>>()
    };
    assert_eq!((of("project"), of("milestone")), (vec![false], vec![false, true]));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_their_owners_and_shared_ones_everybodys() {
    let server = Server::begin().await;
    let manager = server.member(Role::Manager).await;
    let views = "/api/v1/saved-views";
    server.post(views).json(json!({ "name": "A" })).send().await.refused(400, "filters_json is required");
    let draft = json!({ "name": "Mine", "filters_json": "{\"status\":[]}", "is_default": true });
    let own = make(&server, views, draft).await;
    assert_eq!(
        (&own["view_type"], &own["shared"], &own["mine"]),
        (&json!("list"), &json!(false), &json!(true))
    );
    assert_eq!((&own["owner_id"], &own["sort_json"]), (&json!(server.owner), &Value::Null));
    let draft = json!({ "name": "Another", "filters_json": "{}", "shared": true, "is_default": true });
    let shared = make(&server, views, draft).await;
    assert_eq!(shared["is_default"], true);
    let names: Vec<Value> = list(&server, views).await.iter().map(|view| view["name"].clone()).collect();
    assert_eq!(names, ["Another", "Mine"]);
    let seen = server.get(views).with_token(&manager).send().await.expect(200);
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]["mine"]), (1, &json!(false)));
    let path = format!("{views}/{}", id(&shared));
    let patch = |token: &str, body: Value| server.patch(&*path).with_token(token).json(body).send();
    patch(&manager, json!({ "name": "X" })).await.refused(403, "Only the view owner can update it");
    server.delete(&*path).with_token(&manager).send().await.refused(403, "Only the view owner can delete it");
    patch(&server.token, json!({ "sort_json": null })).await.refused(400, "No fields to update");
    let words = "view_type must be one of: list, board";
    patch(&server.token, json!({ "view_type": "map" })).await.refused(400, words);
    assert_eq!(patch(&server.token, json!({ "view_type": "board" })).await.expect(200)["view_type"], "board");
    // Any scope is enough to delete one's own, and for nothing else here (`issues.md` 1).
    let scoped = server.scoped(&["skills:write"]).await;
    patch(&scoped, json!({ "name": "X" })).await.refused(403, "Forbidden");
    server.delete(&*path).with_token(&scoped).send().await.expect(204);
    server.delete(&*path).send().await.refused(404, "Saved view not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn triage_hands_new_issues_out_by_their_titles() {
    let server = Server::begin().await;
    let (eng, _) = crew(&server, "eng").await;
    let (ops, ops_lead) = crew(&server, "ops").await;
    let process = async || server.post("/api/v1/triage/process").send().await.expect(200);
    assert_eq!(process().await, json!({ "processed": 0, "matched": 0, "more": false }));
    let rules = "/api/v1/triage-rules";
    let refused = async |body: Value, detail: &str| {
        server.post(rules).json(body).send().await.refused(400, detail);
    };
    refused(json!({}), "name is required").await;
    refused(json!({ "name": "A" }), "pattern is required").await;
    let word = "match_type must be: contains, regex, or exact";
    refused(json!({ "name": "A", "pattern": "(" }), word).await;
    let open = json!({ "name": "A", "pattern": "(", "match_type": "regex" });
    refused(open, "Invalid regex pattern: unclosed group").await;
    let label = make(&server, "/api/v1/labels", json!({ "name": "outage", "color": "red" })).await;
    let labels_json = json!([label["id"]]).to_string();
    let draft = json!({
        "name": "Outages", "pattern": "is down", "match_type": "contains", "crew_id": ops,
        "assignee_id": ops_lead, "priority": "urgent", "labels_json": labels_json,
    });
    let rule = make(&server, rules, draft).await;
    assert_eq!(
        (&rule["position"], &rule["enabled"], &rule["match_count"]),
        (&json!(1), &json!(true), &json!(0))
    );
    assert_eq!(rule["labels_json"], json!(labels_json));
    let issues = format!("/api/v1/crews/{eng}/issues");
    let down = make(&server, &issues, json!({ "title": "The mail server IS DOWN" })).await;
    make(&server, &issues, json!({ "title": "Paint the shed" })).await;
    assert_eq!(process().await, json!({ "processed": 2, "matched": 1, "more": false }));
    assert_eq!(process().await, json!({ "processed": 1, "matched": 0, "more": false }));

    let shown = server.get("/api/v1/issues/ENG-1").send().await.expect(200);
    assert_eq!((&shown["id"], &shown["crew_id"]), (&down["id"], &json!(ops)));
    assert_eq!((&shown["lead_agent_id"], &shown["assignee_id"]), (&json!(ops_lead), &json!(ops_lead)));
    assert_eq!((&shown["priority"], &shown["labels"][0]["name"]), (&json!("urgent"), &json!("outage")));
    let activity = server.get(format!("/api/v1/crews/{ops}/issues/ENG-1/activity")).send().await.expect(200);
    let words: Vec<&str> =
        activity.as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(words, ["triaged", "crew_changed", "priority_changed", "assignee_changed", "created"]);
    assert_eq!(list(&server, rules).await[0]["match_count"], 1);
    let path = format!("{rules}/{}", id(&rule));
    let pair = json!({ "pattern": "[", "match_type": "regex" });
    change(&server, &path, pair).await.refused(400, "Invalid regex pattern: unclosed character class");
    let off = change(&server, &path, json!({ "enabled": false, "crew_id": "" })).await.expect(200);
    assert_eq!((&off["enabled"], &off["crew_id"]), (&json!(false), &Value::Null));
    server.delete(&*path).send().await.expect(204);
    change(&server, &path, json!({})).await.refused(404, "Triage rule not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn recurring_issues_come_when_it_is_time() {
    let server = Server::begin().await;
    let (crew, _) = crew(&server, "eng").await;
    let templates = "/api/v1/recurring-issues";
    let refused = async |body: Value, detail: &str| {
        server.post(templates).json(body).send().await.refused(400, detail);
    };
    refused(json!({}), "crew_id is required").await;
    refused(json!({ "crew_id": crew }), "title is required").await;
    refused(json!({ "crew_id": crew, "title": "A" }), "cron_expression is required").await;
    let six = json!({ "crew_id": crew, "title": "A", "cron_expression": "0 0 0 * * *" });
    refused(six, "Invalid cron expression: expected exactly 5 fields, found 6").await;
    let nowhere = json!({ "crew_id": "none", "title": "A", "cron_expression": "0 0 * * *" });
    refused(nowhere, "Crew not found in workspace").await;
    let draft = json!({ "crew_id": crew, "title": "Water the plants", "cron_expression": "* * * * *" });
    let made = make(&server, templates, draft).await;
    assert_eq!((&made["crew_name"], &made["enabled"]), (&json!("Crew eng"), &json!(true)));
    assert_eq!((&made["run_count"], &made["last_run"]), (&json!(0), &Value::Null));

    // The engine's own wish; not before it is time.
    let writer = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    let (recurring, due) = {
        let world = writer.world();
        let found = world.state.recurring(id(&made)).unwrap();
        (found.id.clone(), found.next_run.unwrap())
    };
    let command = TrackerCommand::FireRecurring { recurring, due }.into();
    let wish = Wish { command, actor: Actor::Orchestrator, request: None };
    assert!(writer.execute(wish).await.unwrap().entries.is_empty());
    assert_eq!(list(&server, "/api/v1/issues").await, Vec::<Value>::new());

    let path = format!("{templates}/{}", id(&made));
    let daily = change(&server, &path, json!({ "cron_expression": "0 9 * * *" })).await.expect(200);
    assert!(daily["next_run"].as_str().unwrap().ends_with("T09:00:00Z"), "{daily}");
    let off = change(&server, &path, json!({ "enabled": false })).await.expect(200);
    assert_eq!(off["next_run"], Value::Null);
    change(&server, &path, json!({ "cron_expression": "x" }))
        .await
        .refused(400, "Invalid cron expression: expected exactly 5 fields, found 1");
    assert_eq!(list(&server, &format!("{templates}?crew_id={crew}")).await.len(), 1);
    assert_eq!(list(&server, &format!("{templates}?crew_id=other")).await.len(), 0);
    server.delete(&*path).send().await.expect(204);
    server.delete(&*path).send().await.refused(404, "Recurring issue not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scoped_token_needs_the_workspace_for_all_of_it() {
    let server = Server::begin().await;
    let (crews, admin) = (server.scoped(&["crews:write"]).await, server.scoped(&["workspace:admin"]).await);
    let body = || json!({ "name": "bug", "color": "red", "filters_json": "{}", "title": "A" });
    for path in ["labels", "projects", "saved-views", "triage-rules", "recurring-issues", "triage/process"] {
        let path = format!("/api/v1/{path}");
        server.post(&*path).with_token(&crews).json(body()).send().await.refused(403, "Forbidden");
        let reply = server.post(&*path).with_token(&admin).json(body()).send().await;
        assert!([200, 201, 400].contains(&reply.status), "{path}: {reply:?}");
    }
    for path in ["labels", "projects", "saved-views", "triage-rules", "recurring-issues"] {
        server.get(format!("/api/v1/{path}")).with_token(&crews).send().await.expect(200);
    }
    let view = make(&server, "/api/v1/saved-views", body()).await;
    let path = format!("/api/v1/saved-views/{}", id(&view));
    server.delete(path).with_token(&crews).send().await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bodies_name_of_another_workspace_does_not_exist() {
    let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
    let (crew, lead) = crew(&server, "eng").await;
    let project = make(&server, "/api/v1/projects", json!({ "name": "App" })).await;
    let milestones = format!("/api/v1/projects/{}/milestones", id(&project));
    let milestone = make(&server, &milestones, json!({ "name": "Beta" })).await;
    let label = make(&server, "/api/v1/labels", json!({ "name": "bug", "color": "red" })).await;
    let ask = async |path: &str, body: Value| {
        server.post(path).with_token(&stranger).in_workspace(&other).json(body).send().await
    };
    let rule = json!({ "name": "A", "pattern": "a", "match_type": "exact" });
    let with = |base: &Value, more: Value| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        body
    };
    let labels = json!([label["id"]]).to_string();
    let label_gone = format!("label {} does not exist in this workspace", id(&label));
    for (more, detail) in [
        (json!({ "crew_id": crew }), "crew_id does not exist in this workspace"),
        (json!({ "assignee_id": lead }), "assignee_id does not exist in this workspace"),
        (json!({ "project_id": project["id"] }), "project_id does not exist in this workspace"),
        (json!({ "labels_json": labels }), &*label_gone),
    ] {
        ask("/api/v1/triage-rules", with(&rule, more)).await.refused(400, detail);
    }
    let draft = json!({ "name": "A", "lead_type": "agent", "lead_id": lead });
    ask("/api/v1/projects", draft).await.refused(400, "lead_id does not exist in this workspace");
    let theirs = json!({ "name": "Their crew", "slug": "theirs" });
    let theirs = ask("/api/v1/crews", theirs).await.expect(201);
    let template = json!({ "crew_id": theirs["id"], "title": "A", "cron_expression": "0 0 * * *" });
    for (more, detail) in [
        (json!({ "crew_id": crew }), "Crew not found in workspace"),
        (json!({ "project_id": project["id"] }), "project_id does not exist in this workspace"),
        (json!({ "milestone_id": milestone["id"] }), "milestone_id does not exist in this workspace"),
        (json!({ "labels_json": labels }), &*label_gone),
    ] {
        ask("/api/v1/recurring-issues", with(&template, more)).await.refused(400, detail);
    }
    let foreign = format!("/api/v1/projects/{}/milestones", id(&project));
    ask(&foreign, json!({ "name": "A" })).await.refused(404, "Project not found");
    let mine = server.ask(Method::GET, "/api/v1/projects/app").with_token(&stranger).in_workspace(&other);
    mine.send().await.refused(404, "Project not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_answers_as_the_first_time_when_its_label_or_project_is_gone() {
    let server = Server::begin().await;
    let label = json!({ "name": "bug", "color": "red" });
    let project = json!({ "name": "App" });
    for (path, body, patch) in [
        ("/api/v1/labels", label, json!({ "color": "blue" })),
        ("/api/v1/projects", project, json!({ "icon": "rocket" })),
    ] {
        let named = |method: Method, path: &str, key: &str, body: &Value| {
            server.ask(method, path).header("idempotency-key", key.to_owned()).json(body.clone()).send()
        };
        let made = named(Method::POST, path, &format!("{path}-1"), &body).await;
        let own = format!("{path}/{}", made.text("id"));
        let changed = named(Method::PATCH, &own, &format!("{path}-2"), &patch).await.expect(200);
        server.delete(&*own).send().await.expect(204);
        let again = named(Method::POST, path, &format!("{path}-1"), &body).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.expect(201), made.body);
        let again = named(Method::PATCH, &own, &format!("{path}-2"), &patch).await;
        assert_eq!(again.expect(200), changed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_is_there_after_a_start() {
    let server = Server::begin().await;
    let (crew, _) = crew(&server, "eng").await;
    let project = make(&server, "/api/v1/projects", json!({ "name": "App" })).await;
    make(&server, "/api/v1/labels", json!({ "name": "bug", "color": "red" })).await;
    make(&server, "/api/v1/saved-views", json!({ "name": "Mine", "filters_json": "{}" })).await;
    let rule = json!({ "name": "A", "pattern": "a", "match_type": "exact" });
    make(&server, "/api/v1/triage-rules", rule).await;
    let template = json!({ "crew_id": crew, "title": "A", "cron_expression": "0 0 1 1 *" });
    make(&server, "/api/v1/recurring-issues", template).await;
    let draft = json!({ "title": "Fix", "project_id": project["id"] });
    make(&server, &format!("/api/v1/crews/{crew}/issues"), draft).await;
    let paths = ["labels", "projects", "saved-views", "triage-rules", "recurring-issues"];
    let mut before = vec![];
    for path in paths {
        before.push(list(&server, &format!("/api/v1/{path}")).await);
    }
    assert!(before.iter().all(|list| list.len() == 1) && before[1][0]["issue_count"] == 1);
    let server = server.reopened().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(list(&server, &format!("/api/v1/{path}")).await, before, "{path}");
    }
}
