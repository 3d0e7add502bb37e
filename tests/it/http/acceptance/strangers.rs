//! Who belongs to another workspace (check 18).

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};

use super::super::contract::operations;
use super::super::desk::text;
use super::super::server::Server;
use super::{Elsewhere, Reply, begin_with_another, make};

/// A word that stands in all that the first workspace has.
const SECRET: &str = "xyzzy";

/// One of everything of the first workspace: its ids, by what they are called in paths.
async fn furnish(server: &Server) -> BTreeMap<&'static str, String> {
    let desk = server.desk("eng").await;
    let issue = desk.create(json!({ "title": SECRET, "description": SECRET })).await;
    let other = desk.create(json!({ "title": SECRET, "parent_issue_id": issue["id"] })).await;
    let at = desk.at("ENG-1");
    let named = || json!({ "name": SECRET, "color": "red" });
    let project = make(server, "/api/v1/projects", named()).await;
    let milestones = format!("/api/v1/projects/{project}/milestones");
    let link = json!({ "target_identifier": other["id"], "relation_type": "blocks" });
    let view = json!({ "name": SECRET, "filters_json": "{}", "shared": true });
    let rule = json!({ "name": SECRET, "pattern": SECRET, "match_type": "exact" });
    let template = json!({ "crew_id": desk.crew, "title": SECRET, "cron_expression": "0 0 1 1 *" });
    let checkpoints = format!("/api/v1/missions/{}/checkpoints", text(&issue["id"]));
    desk.change("ENG-1", json!({ "assignee_id": desk.hand })).await.expect(200);
    let ids = BTreeMap::from([
        ("labelId", make(server, "/api/v1/labels", named()).await),
        ("milestoneId", make(server, &milestones, named()).await),
        ("commentId", make(server, &format!("{at}/comments"), json!({ "body": SECRET })).await),
        ("relationId", make(server, &format!("{at}/relations"), link).await),
        ("viewId", make(server, "/api/v1/saved-views", view).await),
        ("ruleId", make(server, "/api/v1/triage-rules", rule).await),
        ("recurringId", make(server, "/api/v1/recurring-issues", template).await),
        ("checkpointId", make(server, &checkpoints, json!({ "label": SECRET })).await),
        ("projectId", project),
        ("crewId", desk.crew.clone()),
        ("agentId", desk.hand.clone()),
        ("identifier", text(&issue["id"])),
        ("missionId", text(&issue["id"])),
    ]);
    desk.post("ENG-1", "start", Value::Null).await.expect(200);
    let run = text(&desk.claim().await["run_id"]);
    let task = server.get(format!("{at}/state?at=head")).send().await.expect(200);
    let entry = server.get("/api/v1/journal?entry_type=mission.created").send().await.expect(200);
    let more = [
        ("runId", run),
        ("taskId", text(&task["tasks"][0]["id"])),
        ("entryId", text(&entry["entries"][0]["id"])),
    ];
    ids.into_iter().chain(more).collect()
}

/// Everything that a body may ask for, each of a sort that is fine.
fn wish(ids: &BTreeMap<&str, String>) -> Value {
    json!({
        "title": "x", "name": "x", "slug": "xx", "body": "x", "label": "x", "color": "red", "pattern": "x",
        "match_type": "exact", "filters_json": "{}", "cron_expression": "0 0 1 1 *", "approved": true,
        "target_identifier": ids["identifier"], "relation_type": "relates_to", "action": "approve",
        "after": ids["identifier"], "lead_agent_id": ids["agentId"], "priority": "high",
    })
}

#[track_caller]
fn tells_nothing(reply: &Reply, what: &str) {
    assert_ne!(reply.status, 403, "{what}: {reply:?}");
    assert!(!reply.body.to_string().contains(SECRET), "{what}: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_18_whatever_another_workspace_asks_for_by_id_is_not_there() {
    let (server, elsewhere) = begin_with_another().await;
    let ids = furnish(&server).await;
    let Elsewhere { workspace, token, crew, agent, issue } = &elsewhere;
    let before = server.get("/api/v1/journal/count").send().await.expect(200);
    let ask = async |method: Method, path: &str, body: Value| {
        server.ask(method, path).with_token(token).in_workspace(workspace).json(body).send().await
    };
    // Every path that has a place for such an id, by itself and below what is the stranger's own.
    let (mut asked, mut odd) = (0, vec![]);
    for operation in operations() {
        let places = operation.parameters("path");
        if places.is_empty() || !places.iter().all(|place| ids.contains_key(place)) {
            continue;
        }
        let whole = places.iter().fold(operation.path.to_owned(), |path, place| {
            path.replace(&format!("{{{place}}}"), &ids[place])
        });
        let mut paths = vec![whole.clone()];
        if places.len() > 1 {
            paths.push(whole.replace(&ids["crewId"], crew));
        }
        if places.len() > 2 {
            paths.push(whole.replace(&ids["crewId"], crew).replace(&ids["identifier"], issue));
        }
        for path in paths {
            let query = if path.ends_with("/diff") { "?from=start&to=head" } else { "?at=head" };
            let reply = ask(operation.method(), &format!("{path}{query}"), wish(&ids)).await;
            let what = format!("{} {path}", operation.method());
            tells_nothing(&reply, &what);
            // What an unknown crew has for missions is an empty list: there the crew is a filter.
            let is_filter = operation.path.ends_with("/missions") && reply.body == json!([]);
            if ![400, 404].contains(&reply.status) && !is_filter {
                odd.push(format!("{what}: {} {}", reply.status, reply.body));
            }
            asked += 1;
        }
    }
    assert!(asked > 90, "{asked}");
    assert_eq!(odd, Vec::<String>::new());

    // In a body such an id is as good as an invented one.
    let own = format!("/api/v1/crews/{crew}/issues");
    let patched = format!("{own}/{issue}");
    let nobody = "assignee_id does not exist in this workspace";
    let assignee = json!({ "title": "x", "assignee_type": "agent", "assignee_id": ids["agentId"] });
    for (method, path) in [(Method::POST, &own), (Method::PATCH, &patched)] {
        ask(method.clone(), path, assignee.clone()).await.refused(400, nobody);
        for (name, id) in
            [("parent_issue_id", "identifier"), ("project_id", "projectId"), ("milestone_id", "milestoneId")]
        {
            let reply = ask(method.clone(), path, json!({ "title": "x", name: ids[id] })).await;
            reply.refused(400, &format!("{name} does not exist in this workspace"));
        }
        let label = format!("label {} does not exist in this workspace", ids["labelId"]);
        let reply = ask(method, path, json!({ "title": "x", "labels": [ids["labelId"]] })).await;
        reply.refused(400, &label);
    }
    let missing = format!("Target issue not found: {}", ids["identifier"]);
    ask(Method::POST, &format!("{patched}/relations"), wish(&ids)).await.refused(404, &missing);
    let nowhere = "after does not exist in this workspace";
    ask(Method::POST, &format!("{patched}/move"), wish(&ids)).await.refused(400, nowhere);
    let bulk = json!({ "ids": [ids["identifier"]], "updates": { "priority": "low" } });
    let told = ask(Method::PATCH, "/api/v1/issues/bulk", bulk).await.expect(200);
    assert_eq!(told, json!({ "updated": 0 }));
    for (name, id) in [("crew_id", "crewId"), ("project_id", "projectId"), ("assignee_id", "agentId")] {
        let path = format!("/api/v1/issues?{name}={}", ids[id]);
        assert_eq!(ask(Method::GET, &path, Value::Null).await.expect(200), json!([]), "{name}");
    }
    for path in ["issues", "issues/search?q=xyzzy", "issues/changes", "issues/export", "journal"] {
        tells_nothing(&ask(Method::GET, &format!("/api/v1/{path}"), Value::Null).await, path);
    }

    // It was all in vain, and the stranger's own is as it was.
    assert_eq!(server.get("/api/v1/journal/count").send().await.expect(200), before);
    let shown = ask(Method::GET, &format!("/api/v1/issues/{issue}"), Value::Null).await.expect(200);
    assert_eq!((&shown["title"], &shown["lead_agent_id"]), (&json!("Their secret"), &json!(agent)));
}
