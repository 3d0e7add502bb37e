//! Who may do what, and what strangers learn: nothing (`platform.md` 3, `journal.md` 13, check 9).

use axum::http::Method;
use serde_json::{Value, json};
use taffrail_domain::roster::{Permission, Role};

use super::server::Server;

/// Every mutation of the API, with what it needs.
fn mutations(crew: &str, lead: &str, mission: &str) -> Vec<(Method, String, Permission)> {
    let missions = format!("/api/v1/crews/{crew}/missions");
    let issues = format!("/api/v1/crews/{crew}/issues");
    let row = |method: Method, path: String, needs| (method, path, needs);
    vec![
        row(Method::POST, "/api/v1/crews".into(), Permission::Create),
        row(Method::PATCH, "/api/v1/crews/unknown".into(), Permission::Create),
        row(Method::PUT, "/api/v1/crews/unknown".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/crews/unknown".into(), Permission::Manage),
        row(Method::POST, "/api/v1/agents".into(), Permission::Create),
        // Of an agent the decider asks, since a role in its crew may be enough: it must be there.
        row(Method::PATCH, format!("/api/v1/agents/{lead}"), Permission::Create),
        row(Method::DELETE, format!("/api/v1/agents/{lead}"), Permission::Manage),
        row(Method::POST, format!("/api/v1/agents/{lead}/stop"), Permission::Create),
        row(Method::POST, "/api/v1/agents/unknown/webhook-secret/rotate".into(), Permission::Manage),
        row(Method::POST, format!("/api/v1/crews/{crew}/members"), Permission::Create),
        row(Method::PATCH, format!("/api/v1/crews/{crew}/members/unknown"), Permission::Manage),
        row(Method::DELETE, format!("/api/v1/crews/{crew}/members/unknown"), Permission::Manage),
        row(Method::POST, "/api/v1/crew-connections".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/crew-connections/unknown".into(), Permission::Manage),
        row(Method::POST, "/api/v1/journal/unknown/priority".into(), Permission::Manage),
        row(Method::POST, missions.clone(), Permission::Create),
        row(Method::PATCH, format!("{missions}/unknown"), Permission::Create),
        row(Method::DELETE, format!("{missions}/unknown"), Permission::Create),
        row(Method::POST, format!("{missions}/unknown/start"), Permission::Create),
        row(Method::POST, format!("{missions}/unknown/restart"), Permission::Create),
        row(Method::POST, format!("{missions}/unknown/resume"), Permission::Create),
        row(Method::POST, format!("{missions}/unknown/clone"), Permission::Create),
        row(Method::POST, format!("{missions}/unknown/tasks"), Permission::Create),
        row(Method::PATCH, format!("{missions}/{mission}/tasks/unknown"), Permission::Create),
        row(Method::POST, "/api/v1/missions/unknown/checkpoints".into(), Permission::Create),
        row(Method::POST, "/api/v1/checkpoints/unknown/restore".into(), Permission::Create),
        row(Method::POST, "/api/v1/checkpoints/unknown/fork".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/checkpoints/unknown".into(), Permission::Create),
        row(Method::POST, "/api/v1/labels".into(), Permission::Create),
        row(Method::PATCH, "/api/v1/labels/unknown".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/labels/unknown".into(), Permission::Manage),
        row(Method::POST, "/api/v1/projects".into(), Permission::Create),
        row(Method::PATCH, "/api/v1/projects/unknown".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/projects/unknown".into(), Permission::Manage),
        row(Method::POST, "/api/v1/projects/unknown/milestones".into(), Permission::Create),
        row(Method::PATCH, "/api/v1/milestones/unknown".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/milestones/unknown".into(), Permission::Manage),
        row(Method::POST, "/api/v1/saved-views".into(), Permission::Create),
        row(Method::PATCH, "/api/v1/saved-views/unknown".into(), Permission::Create),
        // Whoever owns a view may delete it, whatever their role.
        row(Method::DELETE, "/api/v1/saved-views/unknown".into(), Permission::Read),
        row(Method::POST, "/api/v1/triage-rules".into(), Permission::Create),
        row(Method::PATCH, "/api/v1/triage-rules/unknown".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/triage-rules/unknown".into(), Permission::Manage),
        row(Method::POST, "/api/v1/recurring-issues".into(), Permission::Create),
        row(Method::PATCH, "/api/v1/recurring-issues/unknown".into(), Permission::Create),
        row(Method::DELETE, "/api/v1/recurring-issues/unknown".into(), Permission::Manage),
        row(Method::POST, issues.clone(), Permission::Create),
        row(Method::POST, format!("{issues}/import"), Permission::Create),
        row(Method::PATCH, "/api/v1/issues/bulk".into(), Permission::Create),
        row(Method::PATCH, format!("{issues}/unknown"), Permission::Create),
        row(Method::DELETE, format!("{issues}/unknown"), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/move"), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/start"), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/retry"), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/stop"), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/review"), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/comments"), Permission::Create),
        row(Method::PATCH, format!("{issues}/unknown/comments/unknown"), Permission::Create),
        row(Method::DELETE, format!("{issues}/unknown/comments/unknown"), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/relations"), Permission::Create),
        row(Method::DELETE, "/api/v1/relations/unknown".into(), Permission::Create),
        row(Method::POST, format!("{issues}/unknown/attachments"), Permission::Create),
        row(Method::DELETE, format!("{issues}/unknown/attachments/unknown"), Permission::Create),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_passes_the_gates_it_may_and_no_others() {
    let server = Server::begin().await;
    let mission = server.mission("roles").await;
    let mut people = vec![(Role::Owner, server.token.clone())];
    for role in [Role::Admin, Role::Manager, Role::Member, Role::Viewer] {
        people.push((role, server.member(role).await));
    }
    for (role, token) in &people {
        for (method, path, needs) in mutations(&mission.crew, &mission.lead, &mission.id) {
            let asking = server.ask(method.clone(), &*path).with_token(token).body("{}");
            let reply = asking.header("if-match", "\"0-0\"").send().await;
            if role.allows(needs) {
                // Past the gate it is refused for what it asks, never for who asks.
                assert!([400, 404, 412].contains(&reply.status), "{role} {method} {path}: {reply:?}");
            } else {
                reply.refused(403, "Forbidden");
            }
        }
        for path in [
            "/api/v1/crews",
            "/api/v1/agents",
            "/api/v1/missions",
            "/api/v1/journal",
            "/api/v1/issues",
            "/api/v1/issues/changes",
            "/api/v1/issues/export",
        ] {
            server.get(path).with_token(token).send().await.expect(200);
        }
    }
}

/// A problem without what names the request.
fn without_names(mut body: Value) -> Value {
    let object = body.as_object_mut().unwrap();
    object.remove("instance");
    object.remove("request_id");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreign_answers_like_what_is_unknown() {
    let (server, other_workspace, stranger) = Server::begin().await.with_another_workspace().await;
    let mission = server.mission("secret").await;
    let task = mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("x").await["id"].as_str().unwrap().to_owned();
    let entry = mission.journal().await[0]["id"].as_str().unwrap().to_owned();
    let make = async |path: &str, body: Value| {
        server.post(path).json(body).send().await.expect(201)["id"].as_str().unwrap().to_owned()
    };
    let label = make("/api/v1/labels", json!({ "name": "secret", "color": "red" })).await;
    let project = make("/api/v1/projects", json!({ "name": "Secret" })).await;
    let issues = format!("/api/v1/crews/{}/issues", mission.crew);
    let issue = server.post(&*issues).json(json!({ "title": "secret" })).send().await.expect(201);
    let other = server.post(&*issues).json(json!({ "title": "other" })).send().await.text("identifier");
    let (issue, number) = (issue["id"].as_str().unwrap(), issue["identifier"].as_str().unwrap());
    let said =
        server.post(format!("{issues}/{issue}/comments")).json(json!({ "body": "secret" })).send().await;
    let said = said.text("id");
    let link = json!({ "target_identifier": other, "relation_type": "blocks" });
    let link = server.post(format!("{issues}/{issue}/relations")).json(link).send().await.text("id");
    let file = server.upload(&format!("{issues}/{issue}"), "secret.txt", b"secret").await.text("id");
    let (issue, number) = (&issue.to_owned(), &number.to_owned());
    let before = mission.show().await;
    let (crew, lead, id) = (&mission.crew, &mission.lead, &mission.id);
    let rows = [
        (Method::GET, "/api/v1/crews/ID", crew),
        (Method::PATCH, "/api/v1/crews/ID", crew),
        (Method::DELETE, "/api/v1/crews/ID", crew),
        (Method::GET, "/api/v1/agents/ID", lead),
        (Method::PATCH, "/api/v1/agents/ID", lead),
        (Method::DELETE, "/api/v1/agents/ID", lead),
        (Method::GET, &*format!("/api/v1/crews/{crew}/missions/ID"), id),
        (Method::PATCH, &*format!("/api/v1/crews/{crew}/missions/ID"), id),
        (Method::DELETE, &*format!("/api/v1/crews/{crew}/missions/ID"), id),
        (Method::POST, &*format!("/api/v1/crews/{crew}/missions/ID/start"), id),
        (Method::POST, &*format!("/api/v1/crews/{crew}/missions/ID/tasks"), id),
        (Method::PATCH, &*format!("/api/v1/crews/{crew}/missions/{id}/tasks/ID"), &task),
        (Method::GET, "/api/v1/missions/ID/checkpoints", id),
        (Method::POST, "/api/v1/missions/ID/checkpoints", id),
        (Method::GET, "/api/v1/missions/ID/state?at=2026-01-01T00:00:00Z", id),
        (Method::GET, "/api/v1/checkpoints/ID", &checkpoint),
        (Method::POST, "/api/v1/checkpoints/ID/restore", &checkpoint),
        (Method::POST, "/api/v1/checkpoints/ID/fork", &checkpoint),
        (Method::DELETE, "/api/v1/checkpoints/ID", &checkpoint),
        (Method::GET, "/api/v1/journal/ID", &entry),
        (Method::PATCH, "/api/v1/labels/ID", &label),
        (Method::DELETE, "/api/v1/labels/ID", &label),
        (Method::GET, "/api/v1/projects/ID", &project),
        (Method::PATCH, "/api/v1/projects/ID", &project),
        (Method::DELETE, "/api/v1/projects/ID", &project),
        (Method::GET, "/api/v1/projects/ID/stats", &project),
        (Method::GET, "/api/v1/projects/ID/milestones", &project),
        (Method::POST, "/api/v1/projects/ID/milestones", &project),
        (Method::GET, "/api/v1/issues/ID", issue),
        (Method::GET, "/api/v1/issues/ID", number),
        (Method::GET, &*format!("{issues}/ID"), issue),
        (Method::GET, &*format!("{issues}/ID"), number),
        (Method::PATCH, &*format!("{issues}/ID"), issue),
        (Method::DELETE, &*format!("{issues}/ID"), issue),
        (Method::GET, &*format!("{issues}/ID/subtasks"), issue),
        (Method::GET, &*format!("{issues}/ID/comments"), issue),
        (Method::PATCH, &*format!("{issues}/{issue}/comments/ID"), &said),
        (Method::DELETE, &*format!("{issues}/{issue}/comments/ID"), &said),
        (Method::GET, &*format!("{issues}/ID/relations"), issue),
        (Method::GET, &*format!("{issues}/ID/activity"), number),
        (Method::GET, &*format!("{issues}/ID/runs"), issue),
        (Method::GET, &*format!("{issues}/ID/state?at=head"), issue),
        (Method::GET, &*format!("{issues}/ID/diff?from=head"), issue),
        (Method::POST, &*format!("{issues}/ID/start"), issue),
        (Method::POST, &*format!("{issues}/ID/stop"), issue),
        (Method::POST, &*format!("{issues}/ID/retry"), issue),
        (Method::POST, &*format!("{issues}/ID/move"), issue),
        (Method::POST, "/api/v1/crews/ID/issues/import", crew),
        (Method::DELETE, "/api/v1/relations/ID", &link),
        (Method::GET, &*format!("{issues}/ID/attachments"), issue),
        (Method::POST, &*format!("{issues}/ID/attachments"), issue),
        (Method::GET, &*format!("{issues}/{issue}/attachments/ID"), &file),
        (Method::DELETE, &*format!("{issues}/{issue}/attachments/ID"), &file),
    ];
    for (method, path, id) in rows {
        let ask = async |id: &str| {
            let asking = server.ask(method.clone(), path.replace("ID", id));
            // What a file of issues needs, and no other body minds.
            let asking = asking.body(r#"{"title":"a"}"#);
            let reply = asking.with_token(&stranger).in_workspace(&other_workspace).send().await;
            assert_eq!(reply.status, 404, "{method} {path}: {reply:?}");
            without_names(reply.body)
        };
        assert_eq!(ask(id).await, ask("unknown").await, "{method} {path}");
    }
    assert_eq!(mission.show().await, before);
    let list = server
        .get(format!("/api/v1/crews/{crew}/missions"))
        .with_token(&stranger)
        .in_workspace(&other_workspace);
    assert_eq!(list.send().await.expect(200), json!([]));
    let list = server.get("/api/v1/issues").with_token(&stranger).in_workspace(&other_workspace);
    assert_eq!(list.send().await.expect(200), json!([]));
    let foreign = server.get("/api/v1/crews").with_token(&stranger).send().await;
    let unknown = server.get("/api/v1/crews").with_token(&stranger).in_workspace("unknown").send().await;
    assert_eq!(without_names(foreign.body), without_names(unknown.body));
}
